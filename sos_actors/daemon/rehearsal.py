"""A day of the simulated market on the live stage, without a broker: what the dashboard shows where there is no data.

The same cast as live, on threads, fed with simulated ticks: the morning is played at once, then the clock runs.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace
from typing import Self

import msgspec

from sos_actors import assembly
from sos_actors.actors.notifier import Event, NotifierActor
from sos_actors.config import Config
from sos_actors.daemon.operations import Operations
from sos_actors.market.bars import BarSettings
from sos_actors.market.calendar import INDIA
from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.clocktime import ist_ns
from sos_actors.market.day import TickColumns
from sos_actors.market.ids import EXCHANGE_OF, parse_id
from sos_actors.playbook.loader import Playbook
from sos_actors.runtime import LiveRuntime, WallTime, sessions_of
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sources.simulated import SimulatedHistory
from sos_actors.web.observer import spawn_observer

#: Of the morning's ticks one in so many is played: bars and chains every minute, and no long wait for the first page.
_THIN, _THIN_INDEX = 8, 3
#: What is played. A Tuesday: the expiry day of NIFTY's weekly contracts.
DAY = dt.date(2025, 9, 2)
_SYMBOL = "NIFTY"


class Rehearsal:
    """One simulated day. `facts` of the operations: session, mode, started."""

    mode = "demo"

    def __init__(
        self, config: Config, playbook: Playbook, until: str = "11:00", *, day: dt.date = DAY, seed: int | None = None
    ) -> None:
        """The morning, up to `until` (HH:MM, Indian time), is played at once, the rest by the clock."""
        self.session = f"demo-{day}"
        self.started = ist_ns(day, "09:14")
        self.underlyings = (_SYMBOL,)
        self._day = day
        self.runtime = LiveRuntime(config.runtime)
        self.operations = Operations(self.runtime, self)
        self._until = ist_ns(day, until)
        number = config.backtest.seed if seed is None else seed
        self._history = history = SimulatedHistory(SimulatedMarket(config.simulated_market, number))
        ticks = history.load_ticks(_SYMBOL, day)
        assert ticks is not None  # the simulated market has every trading day
        quiet = msgspec.structs.replace(config, bars=BarSettings(hole_s=0.0))  # what was thinned out is no hole
        self._spawn(quiet, playbook, thinned(ticks, self._until))

    def _spawn(self, config: Config, playbook: Playbook, ticks: TickColumns) -> None:
        self.seen = spawn_observer(
            self.runtime, self.underlyings, [name for name in ticks.instruments if parse_id(name).kind == "OPT"]
        )
        spans = INDIA.sessions(EXCHANGE_OF[_SYMBOL], self._day)
        cast = assembly.Cast(
            config=config, playbook=playbook,
            underlyings=[assembly.Underlying(_SYMBOL, chain=True, tick_instruments=ticks.instruments)],
            charges=ChargeSchedule(config.charges), previous_day=self._history.day_stats,
            load_ticks=lambda _: [ticks], trade_from=spans[0].open_ns, groups=config.runtime.groups,
        )  # fmt: skip
        assembly.build(self.runtime, cast)
        self.runtime.spawn(NotifierActor, "notifier", _unheard, group="notices")
        self.runtime.clock.follow(sessions_of(self._day, spans), config.clock.grace_ns)

    def play(self, speed: float = 10.0) -> None:
        """Play the morning, then let the clock run at `speed` seconds a second."""
        self.runtime.run(until=self._until)
        self.runtime.start_wall(WallTime(time.monotonic_ns(), self._until, speed, shifted=True))

    def now(self) -> int:
        """The rehearsal's time, UTC ns."""
        return self.runtime.clock.now

    def not_ready(self) -> list[str]:
        """Nothing stands in the way of entries."""
        return []

    def token_until(self) -> str:
        """There is no token, as there is no broker."""
        return ""

    def secrets(self) -> list[str]:
        """There is nothing secret."""
        return []

    def close(self) -> None:
        """End it."""
        self.runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def thinned(ticks: TickColumns, until: int) -> TickColumns:
    """Leave out most ticks before `until` (UTC ns), of every instrument alike; running volumes stay right."""
    seen: dict[int, int] = {}
    kept = []
    one_in = [_THIN_INDEX if parse_id(name).kind == "INDEX" else _THIN for name in ticks.instruments]
    for place, (which, ts) in enumerate(zip(ticks.which.tolist(), ticks.ts.tolist(), strict=True)):
        seen[which] = seen.get(which, -1) + 1
        if ts >= until or seen[which] % one_in[which] == 0:
            kept.append(place)
    columns = ("which", "ts", "ts_recv", "price", "quantity", "day_volume", "oi", "bid", "ask")
    return replace(ticks, **{name: getattr(ticks, name)[kept] for name in columns})


def _unheard(event: Event) -> None:
    """The page shows what happens; the terminal need not."""
    del event
