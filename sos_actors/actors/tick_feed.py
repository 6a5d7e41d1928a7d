"""TickFeedActor: plays a day's recorded ticks, one message a tick, in order of arrival."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from sos_actors.actors.broker import exchange_key
from sos_actors.market.day import TickColumns
from sos_actors.market.ids import index_id, parse_id
from sos_actors.messages import Advance, DayLoaded, Phase, SessionPhase, Stage, Tick
from sos_actors.runtime import Actor, Topic, handles

LoadTicks = Callable[[dt.date], Sequence[TickColumns]]


class TickFeedActor(Actor):
    """Plays ticks. Simulated time is the exchange's (`ts`), never stepping back: a tick that arrived late comes late.

    The exchange (a paper broker with waiting orders) sees a tick before anybody else.
    """

    def __init__(self, load_ticks: LoadTicks) -> None:
        """`load_ticks` brings the day of every underlying of the run; it is called at the day's start."""
        super().__init__()
        self._load_ticks = load_ticks
        self._ticks: Iterator[Tick] = iter(())
        self._next: Tick | None = None
        self._topics: dict[str, tuple[Topic, Topic]] = {}
        self._played = 0
        self.subscribe(SessionPhase)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Load the new day."""
        if message.phase is Phase.PRE_OPEN:
            days = self._load_ticks(message.day)
            for day in days:
                self.publish(contents(day, message.day), day.underlying)
            self._ticks = in_order(days)
            self._wake()

    @handles(Advance)
    def on_advance(self, message: Advance) -> None:
        """Give out the tick that is due: to the exchange first if it waits for one, then to everybody."""
        tick = self._next
        if tick is None:
            return
        exchange, everybody = self._topics_of(tick.instrument)
        if message.stage is Stage.MATCH_OPEN and exchange.targets:
            exchange.publish(tick)
            self.clock.schedule(message.ts, Stage.MARKET_DATA, self, Advance(message.ts, Stage.MARKET_DATA))
            return
        everybody.publish(tick)
        self._played += 1
        self._wake()

    def _wake(self) -> None:
        tick = self._next = next(self._ticks, None)
        if tick is not None:
            at = max(tick.ts, self.clock.now)
            self.clock.schedule(at, Stage.MATCH_OPEN, self, Advance(at, Stage.MATCH_OPEN))

    def _topics_of(self, instrument: str) -> tuple[Topic, Topic]:
        found = self._topics.get(instrument)
        if found is None:
            found = self._topics[instrument] = (
                self.topic(Tick, exchange_key(instrument)),
                self.topic(Tick, instrument),
            )
        return found

    def inspect(self) -> dict[str, Any]:
        """Say how many ticks were played."""
        return {"played": self._played}


def contents(day: TickColumns, date: dt.date) -> DayLoaded:
    """Say what instruments a day's ticks are of. An index's ticks carry no volume."""
    kinds = {name: parse_id(name).kind for name in day.instruments}
    future = next((name for name, kind in kinds.items() if kind == "FUT"), "")
    has_index = index_id(day.underlying) in kinds
    since = int(day.ts.min()) if len(day.ts) else 0
    return DayLoaded(day.underlying, date, has_index, False, future, "OPT" in kinds.values(), since=since)


def in_order(days: Sequence[TickColumns]) -> Iterator[Tick]:
    """Give the ticks of several underlyings as messages, in the order of their arrival (`ts_recv`)."""
    columns = [
        (
            [day.instruments[n] for n in day.which.tolist()],
            *(
                column.tolist()
                for column in (
                    day.ts, day.ts_recv, day.price, day.quantity, day.day_volume, day.oi, day.bid, day.ask,
                )
            ),
        )
        for day in days
    ]  # fmt: skip
    if len(columns) == 1:
        return map(Tick, *columns[0])
    arrival = np.concatenate([day.ts_recv for day in days]) if days else np.empty(0, np.int64)
    rows = [row for column in columns for row in zip(*column, strict=True)]
    return (Tick(*rows[i]) for i in np.argsort(arrival, kind="stable").tolist())
