"""The live cast, put together in two steps: what thinks plays history first, then what trades joins it.

Nothing that holds orders or positions is there while history is played, so that no old price can move it.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from sos_actors import assembly
from sos_actors.actors.data_keeper import DataKeeperActor, GapFillerActor
from sos_actors.actors.feed import FeedActor
from sos_actors.actors.gateway import GatewayActor
from sos_actors.actors.live_feed import LiveFeedActor, MarketStream
from sos_actors.actors.notifier import Event, NotifierActor
from sos_actors.actors.recorder import RecorderActor
from sos_actors.actors.selector import Lots
from sos_actors.actors.state_keeper import StateKeeperActor
from sos_actors.actors.subscription import SubscriptionActor
from sos_actors.config import Config
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import MINUTE_NS, ist_date
from sos_actors.market.day import MarketDay
from sos_actors.market.following import FollowSettings
from sos_actors.market.ids import index_id
from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import GapsFilled, GapsSuspected, OrderStatus, OrderUpdate, Phase, SessionPhase, Tick
from sos_actors.runtime import LiveRuntime, RestartPolicy
from sos_actors.runtime.supervision import VITAL, Directive
from sos_actors.storage.order_store import OrderStore
from sos_actors.storage.recorded_days import RecordedDays
from sos_actors.trading.checkpoint import restore, working_orders
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.gateway.records import DayBegun
from sos_actors.trading.gateway.settings import Contract
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskState
from sos_actors.web.daybook import DayBook
from sos_actors.web.observer import spawn_observer

#: The edges to the market come back three times within five minutes; then the process starts over.
EDGE_POLICY = RestartPolicy(restarts=3, period_s=300.0, exhausted=Directive.ESCALATE)
#: Groups of the daemon's own edges, each a thread, whatever the configuration says of the rest.
LINK, DATA, GAPS, NOTICES = "link", "data", "gaps", "notices"

#: On a scaled clock: real seconds for which the broker's books may lag behind, and between reads about a doubt.
_LAG_S = 5.0
_DOUBT_READ_S = 0.5


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What the live cast needs from outside. `speed`: seconds of the clock in one of real time.

    `spawn_link` puts the connection to the broker's orders into the cast; None trades on paper. `cash_paise` is what a
    desk without a past starts with.
    """

    table: Callable[[], InstrumentTable]
    table_of: Callable[[dt.date], InstrumentTable]
    stream: MarketStream
    market_db: Path
    fill_gaps: Callable[[GapsSuspected], GapsFilled]
    tell: Callable[[Event], None]
    orders_folder: Path
    tag_prefix: str
    cash_paise: int
    speed: float = 1.0
    spawn_link: Callable[[LiveRuntime], None] | None = None


class LiveCast:
    """Spawns the live cast into a runtime, and tells those who join late what day it is."""

    def __init__(self, runtime: LiveRuntime, cast: assembly.Cast, parts: LiveParts) -> None:
        self._runtime, self._parts = runtime, parts
        lots_of = lots_by_table(parts.table)
        self._cast = replace(cast, lots_of=lots_of)
        self._lots_of = lots_of
        self._restored_on: dt.date | None = None
        self.store: OrderStore | None = None
        #: The day under way as the dashboard shows it; None where there is none.
        self.book: Callable[[], DayBook] | None = None
        self.recorder: RecorderActor

    @property
    def config(self) -> Config:
        """The configuration."""
        return self._cast.config

    def think(self, load_day: Callable[[dt.date], Sequence[MarketDay]]) -> None:
        """Spawn the player of history and all that turns data into signals, and before them who watches for the web."""
        if self.config.web.enabled:
            self.book = spawn_observer(self._runtime, self._cast.names)
        self._runtime.spawn(FeedActor, "feed", load_day, group=self._cast.group("feed"), policy=VITAL)
        assembly.spawn_thinking(self._runtime, self._cast)

    def trade(self, played: Sequence[SessionPhase]) -> None:
        """Put the live feed in history's place and spawn all that trades. `played`: today's phases so far."""
        runtime = self._runtime
        runtime.ref("feed").stop(block=True)
        before = set(runtime) - {"feed"}  # the player may still be listed: its successor joins late too
        with runtime.together():
            working = self._spawn_orders()
            self.recorder = assembly.spawn_recorder(runtime, self._cast)
            runtime.spawn(NotifierActor, "notifier", self._parts.tell, group=NOTICES, policy=EDGE_POLICY)
            self._spawn_data()
            self._spawn_feed()
        if self._parts.spawn_link is None:
            # The paper exchange lives in this process: what rested there is watched by the desk from now on.
            for order_id in working:
                note = "the paper exchange began anew"
                runtime.tell("orders", OrderUpdate(order_id, runtime.clock.now, OrderStatus.CANCELLED, note))
        for path in [path for path in runtime if path not in before]:
            self._tell(path, played)

    def _spawn_orders(self) -> Collection[str]:
        """Spawn limits, desk and broker as the records of the last start left them; gives the orders that worked."""
        runtime, cast, parts = self._runtime, self._cast, self._parts
        assembly.spawn_selectors(runtime, cast, self._lots_of)
        if parts.spawn_link is not None:
            cast = replace(cast, config=with_real_orders(cast.config, parts.speed))
        desk, book = assembly.new_desk(cast, parts.cash_paise), RiskBook(cast.config.risk)
        store = self.store = OrderStore(parts.orders_folder)
        states = store.recovery.states
        if "desk" in states:
            restore(desk, states["desk"].state)
            self._restored_on = ist_date(states["desk"].ts)
        if "risk" in states:
            book.take_up(msgspec.msgpack.decode(states["risk"].state, type=RiskState))
        working = working_orders(desk)
        if parts.spawn_link is None:
            assembly.spawn_paper_broker(runtime, cast, self._lots_of, Tick)
            begun = [record.day for record in store.recovery.records if isinstance(record, DayBegun)]
            runtime.spawn(
                StateKeeperActor, "states", store, day=begun[-1] if begun else None, group=cast.group("broker"),
                policy=VITAL,
            )  # fmt: skip
        else:
            gateway = OrderGateway(cast.config.gateway, contracts_by_table(parts.table), parts.tag_prefix)
            runtime.spawn(
                GatewayActor, "broker", gateway, store, store.recovery.records, working, store.recovery.cut,
                group=cast.group("broker"), policy=VITAL,
            )  # fmt: skip
        assembly.spawn_order_path(runtime, cast, desk, book, durable=True)
        if parts.spawn_link is not None:
            parts.spawn_link(runtime)
        return working

    def _spawn_data(self) -> None:
        names, parts = self._cast.names, self._parts
        shelf = RecordedDays(parts.market_db)
        self._runtime.spawn(
            DataKeeperActor, "data", names, shelf, self.config.data.flush_s, group=DATA, policy=EDGE_POLICY
        )
        self._runtime.spawn(GapFillerActor, "gaps", parts.fill_gaps, group=GAPS)

    def _spawn_feed(self) -> None:
        runtime, cast, parts, c = self._runtime, self._cast, self._parts, self.config
        runtime.spawn(
            LiveFeedActor, "feed", parts.stream, cast.names, c.freshness, speed=parts.speed,
            group=cast.group("feed"), policy=EDGE_POLICY,
        )  # fmt: skip
        for number, name in enumerate(cast.names):
            extras = (index_id("INDIAVIX"),) if number == 0 else ()
            runtime.spawn(
                SubscriptionActor, f"subscription/{name}", name, c.follow.get(name, FollowSettings()), parts.table_of,
                self._previous_close(name), c.bars, extras=extras, policy=VITAL,
            )  # fmt: skip

    def _previous_close(self, name: str) -> Callable[[dt.date], float]:
        def previous_close(day: dt.date) -> float:
            before = self._cast.previous_day(name, day)
            return float("nan") if before is None else before.close

        return previous_close

    def _tell(self, path: str, played: Sequence[SessionPhase]) -> None:
        """Tell a late-comer today's phases. A desk that went through this morning already must not protect anew."""
        actor = self._runtime.actor(path)
        if SessionPhase not in actor.ports:
            return
        for phase in played:
            if path == "orders" and phase.phase is Phase.PRE_OPEN and self._restored_on == phase.day:
                continue
            self._runtime.tell(path, phase)


def with_real_orders(config: Config, speed: float) -> Config:
    """Give the configuration as orders at a broker need it.

    Exits go by the resting stop and the target is watched here, for the broker has no one-cancels-other. What waits for
    the network waits in real time: on a scaled clock that is so many times longer. So does what waits for books that
    lag, for at least `_LAG_S` real seconds: an order given up sooner may be there, and another is sent beside it.
    """
    orders = msgspec.structs.replace(config.orders, rest_target=False, exit_by_stop=True)
    own, scale = config.gateway, max(speed, 1.0)
    gateway = msgspec.structs.replace(
        own, trades_wait_s=own.trades_wait_s * scale, answer_s=own.answer_s * scale, read_s=own.read_s * scale,
        absent_s=_outlast(own.absent_s, _LAG_S, scale), settle_s=_outlast(own.settle_s, _LAG_S, scale),
        doubt_read_s=_outlast(own.doubt_read_s, _DOUBT_READ_S, scale),
    )  # fmt: skip
    return msgspec.structs.replace(config, orders=orders, gateway=gateway)


def _outlast(seconds: float, real: float, scale: float) -> float:
    """Give a wait on a clock that is `scale` times as fast: as set, and so many real seconds where that is less."""
    return max(seconds, min(seconds, real) * scale)


def lots_by_table(table: Callable[[], InstrumentTable]) -> assembly.LotsOf:
    """Give lots and largest orders as today's instrument file has them; of what it lacks, by the dated rules."""
    by_rule = assembly.lots_by_rule()

    def lots_of(instrument: str, day: dt.date) -> Lots:
        listed = table().by_id(instrument)
        if listed is None or not listed.lot_size:
            return by_rule(instrument, day)
        return Lots(listed.lot_size, listed.freeze_quantity // listed.lot_size * listed.lot_size)

    return lots_of


def contracts_by_table(table: Callable[[], InstrumentTable]) -> Callable[[str], Contract]:
    """Give lot, freeze quantity and tick of an instrument, as today's file has them."""

    def contract(instrument: str) -> Contract:
        listed = table().by_id(instrument)
        if listed is None or not listed.lot_size:
            return Contract(1, 0, 0.05)
        return Contract(listed.lot_size, listed.freeze_quantity, listed.tick_size or 0.05)

    return contract


def phases_until(exchange: str, now: int) -> list[SessionPhase]:
    """Give the phases today's session has been through by `now` (UTC ns), oldest first."""
    day = ist_date(now)
    found: list[SessionPhase] = []
    sessions = INDIA.sessions(exchange, day)
    for number, session in enumerate(sessions):
        first, last = number == 0, number == len(sessions) - 1
        if first and session.open_ns - MINUTE_NS <= now:
            found.append(SessionPhase(session.open_ns - MINUTE_NS, day, Phase.PRE_OPEN))
        if session.open_ns <= now:
            found.append(SessionPhase(session.open_ns, day, Phase.OPEN))
        if session.close_ns <= now:
            found.append(SessionPhase(session.close_ns, day, Phase.CLOSED if last else Phase.BREAK))
    return found


def seeded(text: str) -> random.Random:
    """Give a generator whose numbers depend on a text alone: back-off must differ between daemons, not in replay."""
    return random.Random(text)
