"""The live cast, put together in two steps: what thinks plays history first, then what trades joins it.

Nothing that holds orders or positions is there while history is played, so that no old price can move it. A replay
spawns the same cast without its edges, and what the cast asks of the outside is answered from the record.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from typing import cast as cast_to

import msgspec

from sos_actors import assembly
from sos_actors.actors.data_keeper import DataKeeperActor, GapFillerActor
from sos_actors.actors.feed import FeedActor
from sos_actors.actors.gateway import GatewayActor, RecordStore
from sos_actors.actors.live_feed import LiveFeedActor, MarketStream
from sos_actors.actors.notifier import Event, NotifierActor
from sos_actors.actors.recorder import RecorderActor
from sos_actors.actors.selector import Lots, LotsOf
from sos_actors.actors.state_keeper import StateKeeperActor
from sos_actors.actors.subscription import SubscriptionActor
from sos_actors.config import Config
from sos_actors.decoding import from_msgpack
from sos_actors.market.clocktime import ist_date
from sos_actors.market.day import DayStats, MarketDay
from sos_actors.market.following import FollowSettings
from sos_actors.market.ids import index_id
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import (
    GapsFilled,
    GapsSuspected,
    HistoryPlayed,
    OrderStatus,
    OrderUpdate,
    Phase,
    SessionPhase,
    SetTradingState,
    Tick,
    TradingState,
)
from sos_actors.runtime import LiveRuntime, RestartPolicy, Runtime
from sos_actors.runtime.journal.answers import Ask, plainly
from sos_actors.runtime.supervision import VITAL, Directive
from sos_actors.storage.minute_shelf import MinuteShelf
from sos_actors.storage.order_store import Recovery
from sos_actors.trading.checkpoint import restore, wishes, working_orders
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.gateway.records import AnyRecord, DayBegun, StateSaved
from sos_actors.trading.gateway.settings import Contract
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskState
from sos_actors.web.observer import Observed, spawn_observer

#: The edges to the market come back three times within five minutes; then the process starts over.
EDGE_POLICY = RestartPolicy(restarts=3, period_s=300.0, exhausted=Directive.ESCALATE)
#: Groups of the daemon's own edges, each a thread, whatever the configuration says of the rest.
LINK, DATA, GAPS, NOTICES = "link", "data", "gaps", "notices"
#: Paths of the actors that touch the world: a replay leaves them out and has what they said from the record.
EDGES = ("feed", "link", "data", "gaps", "notifier", "observer")


class Store(RecordStore, Protocol):
    """Where the order path's records lie, and what they said at the start."""

    recovery: Recovery

    def close(self) -> None:
        """Write everything out."""


@dataclass(frozen=True, slots=True)
class LiveEdges:
    """What the actors that touch the world stand on.

    `spawn_link` puts the connection to the broker's orders into the cast; None on paper.
    """

    stream: MarketStream
    market_db: Path
    fill_gaps: Callable[[GapsSuspected], GapsFilled]
    tell: Callable[[Event], None]
    spawn_link: Callable[[LiveRuntime], None] | None = None


#: On a scaled clock: real seconds for which the broker's books may lag behind, and between reads about a doubt.
_LAG_S = 5.0
_DOUBT_READ_S = 0.5


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What the live cast needs from outside. `speed`: seconds of the clock in one of real time.

    `real`: orders go to a broker; else they are filled on paper. `cash_paise` is what a desk without a past starts
    with. `ask` hands the functions of the outside to the cast; without `edges` nobody touches the world.
    """

    table: Callable[[], InstrumentTable]
    table_of: Callable[[dt.date], InstrumentTable]
    open_store: Callable[[], Store]
    tag_prefix: str
    cash_paise: int
    speed: float = 1.0
    real: bool = False
    ask: Ask = plainly
    edges: LiveEdges | None = None


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What the order store had at the start, as a session keeps it."""

    records: tuple[AnyRecord, ...]
    states: dict[str, tuple[StateSaved, ...]]
    cut: str


class LiveCast:
    """Spawns the live cast into a runtime, and tells those who join late what day it is."""

    def __init__(self, runtime: Runtime, cast: assembly.Cast, parts: LiveParts) -> None:
        self._runtime, self._parts = runtime, parts
        lots_of = parts.ask("lots", Lots, lots_by_table(parts.table))
        previous_day = parts.ask("previous day", DayStats | None, cast.previous_day)
        self._cast = replace(cast, lots_of=lots_of, previous_day=previous_day)
        self._lots_of = lots_of
        self._restored_on: dt.date | None = None
        self.store: Store | None = None
        #: What the dashboard shows of the day under way; None where there is none.
        self.seen: Observed | None = None
        self.recorder: RecorderActor

    @property
    def config(self) -> Config:
        """The configuration."""
        return self._cast.config

    def think(self, load_day: Callable[[dt.date], Sequence[MarketDay]]) -> None:
        """Spawn the player of history and what thinks, and before them who watches for the web."""
        if self.config.web.enabled:
            self.seen = spawn_observer(self._runtime, self._cast.names)
        self._runtime.spawn(FeedActor, "feed", load_day, group=self._cast.group("feed"), policy=VITAL)
        self.spawn_thinking()

    def spawn_thinking(self) -> None:
        """Spawn all that turns data into signals."""
        assembly.spawn_thinking(self._runtime, self._cast)

    def play_on(self, load_day: Callable[[dt.date], Sequence[MarketDay]], day: dt.date, now: int) -> None:
        """Have what came into storage since played after what was: `load_day` gives just that. `now` in UTC ns."""
        self._runtime.ref("feed").stop(block=True)
        self._runtime.spawn(FeedActor, "feed", load_day, group=self._cast.group("feed"), policy=VITAL)
        self._runtime.tell("feed", SessionPhase(now, day, Phase.PRE_OPEN))

    def trade(self, played: Sequence[SessionPhase], now: int) -> None:
        """Put the live feed in history's place and spawn all that trades.

        `played`: today's phases so far. `now` (UTC ns): up to when history was played.
        """
        runtime = self._runtime
        assert isinstance(runtime, LiveRuntime)
        runtime.ref("feed").stop(block=True)
        before = set(runtime) - {"feed"}  # the player may still be listed: its successor joins late too
        with runtime.together():
            working = self.spawn_trading()
        if not self._parts.real:
            # The paper exchange lives in this process: what rested there is watched by the desk from now on.
            for order_id in working:
                note = "the paper exchange began anew"
                runtime.tell("orders", OrderUpdate(order_id, runtime.clock.now, OrderStatus.CANCELLED, note))
        for path in [path for path in runtime if path not in before]:
            self._tell(path, played)
        self._history_played(now)

    def _history_played(self, now: int) -> None:
        """Let strategies act from now on, and give them and the selectors what they had kept."""
        assert self.store is not None
        states = self.store.recovery.states
        for path in list(self._runtime):
            if HistoryPlayed in self._runtime.actor(path).ports:
                kept = states.get(path)
                self._runtime.tell(path, HistoryPlayed(now, b"" if kept is None else kept[-1].state))

    def spawn_trading(self) -> Collection[str]:
        """Spawn all that trades, and what feeds it; gives the orders that worked."""
        working = self._spawn_orders()
        self.recorder = assembly.spawn_recorder(self._runtime, self._cast)
        edges = self._parts.edges
        if edges is not None:
            self._runtime.spawn(NotifierActor, "notifier", edges.tell, group=NOTICES, policy=EDGE_POLICY)
            self._spawn_data(edges)
            self._spawn_feed(edges)
        self._spawn_following()
        return working

    def _spawn_orders(self) -> Collection[str]:
        """Spawn limits, desk and broker as the records of the last start left them; gives the orders that worked."""
        runtime, cast, parts = self._runtime, self._cast, self._parts
        assembly.spawn_selectors(runtime, cast, self._lots_of)
        if parts.real:
            cast = replace(cast, config=with_real_orders(cast.config, parts.speed))
        desk = assembly.new_desk(cast, parts.cash_paise)
        book = RiskBook(cast.config.risk, rest_target=cast.config.orders.rest_target)
        store = self.store = parts.open_store()
        found = parts.ask("order store", Recovered, lambda: recovered(store.recovery))()
        states = found.states
        if "desk" in states:
            restore(desk, [saved.state for saved in states["desk"]])
            self._restored_on = ist_date(states["desk"][-1].ts)
        if "risk" in states:
            book.take_up(from_msgpack(states["risk"][-1].state, RiskState))
            book.release(desk.flow.live, desk.ledger.positions())
            for name in cast.names:  # what the last stop laid on them ends with it; an operator's word goes on
                book.on_state(SetTradingState(TradingState.ACTIVE, "the daemon starts", underlying=name))
        working = working_orders(desk)
        if not parts.real:
            assembly.spawn_paper_broker(runtime, cast, self._lots_of, Tick)
            begun = [record.day for record in found.records if isinstance(record, DayBegun)]
            runtime.spawn(
                StateKeeperActor, "states", store, day=begun[-1] if begun else None, group=cast.group("broker"),
                policy=VITAL,
            )  # fmt: skip
        else:
            contracts = parts.ask("contract", Contract, contracts_by_table(parts.table))
            gateway = OrderGateway(cast.config.gateway, contracts, parts.tag_prefix)
            runtime.spawn(
                GatewayActor, "broker", gateway, store, found.records, working, found.cut, desk.ledger.seen,
                wishes(desk), group=cast.group("broker"), policy=VITAL,
            )  # fmt: skip
        assembly.spawn_order_path(runtime, cast, desk, book, durable=True)
        if parts.edges is not None and parts.edges.spawn_link is not None:
            assert isinstance(runtime, LiveRuntime)
            parts.edges.spawn_link(runtime)
        return working

    def _spawn_data(self, edges: LiveEdges) -> None:
        names = self._cast.names
        shelf = MinuteShelf(edges.market_db)
        self._runtime.spawn(
            DataKeeperActor, "data", names, shelf, self.config.data.flush_s, group=DATA, policy=EDGE_POLICY
        )
        self._runtime.spawn(GapFillerActor, "gaps", edges.fill_gaps, group=GAPS)

    def _spawn_feed(self, edges: LiveEdges) -> None:
        cast = self._cast
        self._runtime.spawn(
            LiveFeedActor, "feed", edges.stream, cast.names, self.config.freshness, speed=self._parts.speed,
            grace_ns=self.config.clock.grace_ns, group=cast.group("feed"), policy=EDGE_POLICY,
        )  # fmt: skip

    def _spawn_following(self) -> None:
        c, listed = self.config, self._parts.ask("listed", list[Instrument], self._listed)
        for number, name in enumerate(self._cast.names):
            extras = (index_id("INDIAVIX"),) if number == 0 else ()
            self._runtime.spawn(
                SubscriptionActor, f"subscription/{name}", name, c.follow.get(name, FollowSettings()),
                table_of(listed, name), self._previous_close(name), c.bars, extras=extras, policy=VITAL,
            )  # fmt: skip

    def _listed(self, name: str, day: dt.date) -> list[Instrument]:
        return [one for one in self._parts.table_of(day) if one.underlying == name]

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


def recovered(recovery: Recovery) -> Recovered:
    """Give what a store had as a session keeps it."""
    records = cast_to(tuple[AnyRecord, ...], recovery.records)
    return Recovered(
        records=records, states={part: tuple(saved) for part, saved in recovery.states.items()}, cut=recovery.cut
    )


def table_of(
    listed: Callable[[str, dt.date], list[Instrument]], underlying: str
) -> Callable[[dt.date], InstrumentTable]:
    """Give what of a day's instruments belongs to one underlying."""
    return lambda day: InstrumentTable(listed(underlying, day))


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


def lots_by_table(table: Callable[[], InstrumentTable]) -> LotsOf:
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


def seeded(text: str) -> random.Random:
    """Give a generator whose numbers depend on a text alone: back-off must differ between daemons, not in replay."""
    return random.Random(text)
