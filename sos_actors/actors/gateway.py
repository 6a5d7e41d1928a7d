"""GatewayActor: the broker's place in the cast when the broker is real. It keeps, sends, and sets timers."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Protocol

import msgspec

from sos_actors.messages import (
    AlertLevel,
    AlertRaised,
    BrokerOrderChanged,
    CancelOrder,
    CheckOrders,
    CommandAnswered,
    FundsRead,
    ModifyOrder,
    OrderIntent,
    OrdersRead,
    OrderStreamChanged,
    Phase,
    PositionsRead,
    SendCancel,
    SendModify,
    SendPlace,
    SessionPhase,
    SetTradingState,
    Stage,
    StateChanged,
    SubmitOrder,
    Tick,
    TradesRead,
    TradingState,
    Wish,
)
from sos_actors.runtime import Actor, Topic, handles
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.gateway.records import Record, StateSaved
from sos_actors.trading.gateway.settings import Quote
from sos_actors.trading.gateway.table import NEVER

#: What changes or takes back an order whose request is on the disk already.
_CHANGES = (SendModify, SendCancel)


class RecordStore(Protocol):
    """Where records are kept: `append` so that they survive the process, `sync` so that they survive the machine."""

    def append(self, record: Record, /) -> None:
        """Keep a record."""

    def sync(self) -> None:
        """Wait until what was kept is safe."""


class GatewayActor(Actor):
    """Hands everything to the gateway and does what it says, in order: what is to be kept is written before a send.

    A placing leaves once that is on the disk. A change or a cancel can double nothing, and of one that was sent the
    broker's books tell after a power cut what it came to: it leaves as soon as it is written, and the disk follows.
    `recovered` are the records found at start, `working` the orders the restored desk waits for, `wishes` what it wants
    of them, and `known` the ids of the fills it has booked; `notice` is what the store had to say about them ('' for
    nothing).
    """

    def __init__(
        self,
        gateway: OrderGateway,
        store: RecordStore,
        recovered: Iterable[Record] = (),
        working: Iterable[str] = (),
        notice: str = "",
        known: Collection[str] = (),
        wishes: Iterable[Wish] = (),
    ) -> None:
        super().__init__()
        self._gateway = gateway
        self._store = store
        self._recovered = tuple(recovered)
        self._working = tuple(working)
        self._known = frozenset(known)
        self._wishes = tuple(wishes)
        self._notice = notice
        self._hearing: dict[str, None] = {}
        self._topics: dict[type, Topic] = {}
        self._timer = self._timer_at = 0
        for kind in type(self).handler_names:
            if kind is not Tick and kind is not CheckOrders:
                self.subscribe(kind)

    def on_start(self) -> None:
        """Take up where the records end, and begin to read the broker's books."""
        now = self.clock.now
        if self._notice:
            self.publish(AlertRaised(now, AlertLevel.WARNING, self.path, self._notice))
        self._gateway.restore(self._recovered, self._working, self._known, self._wishes)
        self._recovered, self._known = (), frozenset()
        self._do(self._gateway.start(now))

    @handles(OrderIntent)
    def on_intent(self, message: OrderIntent) -> None:
        """Keep the plan of a trade."""
        self._do(self._gateway.on_intent(message, self.clock.now))

    @handles(StateChanged)
    def on_state_changed(self, message: StateChanged) -> None:
        """Keep a state; it is safe before anything that its actor sends after it leaves.

        What the risk book says is safe at once: a halt must survive the power, and nothing need ever be sent after it.
        """
        self._store.append(StateSaved(message.ts, message.part, message.state, message.working, message.whole))
        if message.part == "risk":
            self._store.sync()

    @handles(SubmitOrder)
    def on_submit(self, message: SubmitOrder) -> None:
        """Take an order, and hear the prices of what it trades."""
        if message.instrument not in self._hearing:
            self._hearing[message.instrument] = None
            self.subscribe(Tick, message.instrument)  # the desk has asked the feed for it
        self._do(self._gateway.submit(message, self.clock.now))

    @handles(ModifyOrder)
    def on_modify(self, message: ModifyOrder) -> None:
        """Change an order."""
        self._do(self._gateway.modify(message, self.clock.now))

    @handles(CancelOrder)
    def on_cancel(self, message: CancelOrder) -> None:
        """Take an order back."""
        self._do(self._gateway.cancel(message, self.clock.now))

    @handles(CommandAnswered)
    def on_answer(self, message: CommandAnswered) -> None:
        """Take what became of a command."""
        self._do(self._gateway.on_answer(message, self.clock.now))

    @handles(BrokerOrderChanged)
    def on_change(self, message: BrokerOrderChanged) -> None:
        """Take what the order stream says."""
        self._do(self._gateway.on_change(message, self.clock.now))

    @handles(OrderStreamChanged)
    def on_stream(self, message: OrderStreamChanged) -> None:
        """Take the order stream's coming or going."""
        self._do(self._gateway.on_stream(message, self.clock.now))

    @handles(OrdersRead)
    def on_orders(self, message: OrdersRead) -> None:
        """Take the order book."""
        self._do(self._gateway.on_orders(message, self.clock.now))

    @handles(TradesRead)
    def on_trades(self, message: TradesRead) -> None:
        """Take the trade book."""
        self._do(self._gateway.on_trades(message, self.clock.now))

    @handles(PositionsRead)
    def on_positions(self, message: PositionsRead) -> None:
        """Take the positions."""
        self._do(self._gateway.on_positions(message, self.clock.now))

    @handles(FundsRead)
    def on_funds(self, message: FundsRead) -> None:
        """Take the funds."""
        self._do(self._gateway.on_funds(message, self.clock.now))

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        """Note a price."""
        bid = message.bid if message.bid > 0.0 else 0.0  # noqa: FURB136 - NaN: no quote
        ask = message.ask if message.ask > 0.0 else 0.0  # noqa: FURB136 - as above
        out = self._gateway.on_quote(message.instrument, Quote(self.clock.now, message.price, bid, ask), self.clock.now)
        if out:
            self._do(out)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Follow the session."""
        if message.phase is Phase.CLOSED:
            for instrument in self._hearing:
                self.unsubscribe(Tick, instrument)
            self._hearing.clear()
        self._do(self._gateway.on_phase(message.phase, message.day, self.clock.now))

    @handles(SetTradingState)
    def on_state(self, message: SetTradingState) -> None:
        """Let entries pass again when the operator says so."""
        if message.state is TradingState.ACTIVE and not message.strategy and not message.underlying:
            self._do(self._gateway.resume(self.clock.now))

    @handles(CheckOrders)
    def on_timer(self, message: CheckOrders) -> None:
        """Look after what is due."""
        if message.ts == self._timer_at:
            self._timer_at = 0
            self._do(self._gateway.on_timer(self.clock.now))

    def _do(self, out: list[Any]) -> None:
        changed = False
        for item in out:
            if isinstance(item, Record):
                self._store.append(item)
                continue
            if isinstance(item, SendPlace):
                self._store.sync()
            kind = type(item)
            topic = self._topics.get(kind)
            if topic is None:
                topic = self._topics[kind] = self.topic(kind)
            topic.publish(item)
            changed |= isinstance(item, _CHANGES)
        if changed:
            self._store.sync()
        self._set_timer()

    def _set_timer(self) -> None:
        due = self._gateway.next_due()
        if due == NEVER or (self._timer_at and self._timer_at <= due):
            return
        if self._timer_at:
            self.clock.cancel(self._timer)
        self._timer_at = due
        self._timer = self.clock.schedule(due, Stage.TIMER, self, CheckOrders(due))

    def on_stop(self) -> None:
        """Leave nothing unwritten."""
        self._store.sync()

    def inspect(self) -> dict[str, Any]:
        """Say what is working, in doubt, and what differs."""
        state: dict[str, Any] = msgspec.to_builtins(self._gateway.state())
        return state
