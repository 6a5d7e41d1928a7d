"""OrderActor: the account's trades, orders, positions and ledger."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from sos_actors.market.clocktime import ist_date
from sos_actors.market.ids import index_id, parse_id
from sos_actors.messages import (
    Bar,
    CheckOrders,
    ExitReason,
    Fill,
    Flatten,
    Message,
    MinuteClosed,
    OrderIntent,
    OrderUpdate,
    Phase,
    Right,
    SessionPhase,
    Settle,
    Stage,
    StateChanged,
    Subscribe,
    Tick,
    TradeClosed,
    Unsubscribe,
)
from sos_actors.runtime import Actor, Topic, handles
from sos_actors.trading.checkpoint import Checkpointer, working_orders
from sos_actors.trading.desk import OrderDesk


class OrderActor(Actor):
    """Forwards what happens to the desk and sends what the desk says. It hears the prices of what it holds.

    `timed` is false where no exit and no entry depends on the time of day: then it need not be told every minute.
    With `durable` the desk's state goes to the gateway ahead of whatever follows from it.
    """

    def __init__(self, desk: OrderDesk, *, timed: bool = True, durable: bool = False) -> None:
        super().__init__()
        self._durable = durable
        self._desk = desk
        self._checkpoints = Checkpointer(desk)
        self._hearing: set[str] = set()
        self._topics: dict[type, Topic] = {}
        self._timer_at = 0
        self._settled_on: dt.date | None = None
        self.subscribe(SessionPhase)
        self.subscribe(OrderIntent)
        self.subscribe(Flatten)
        self.subscribe(OrderUpdate)
        self.subscribe(Fill)
        if timed:
            self.subscribe(MinuteClosed)

    def on_start(self) -> None:
        """Hear the prices of what a restored desk holds."""
        for instrument in self._desk.held():
            self._hear(instrument)
            parts = parse_id(instrument)
            if parts.kind == "OPT":
                self._hear(index_id(parts.underlying))
        self._set_timer()

    @handles(OrderIntent)
    def on_intent(self, message: OrderIntent) -> None:
        """Enter a trade."""
        plan = message.plan
        out = self._desk.on_intent(message)
        self._hear(plan.instrument)
        if plan.right is not None:
            self._hear(index_id(plan.underlying))
        self._send(out)

    @handles(Flatten)
    def on_flatten(self, message: Flatten) -> None:
        """Close what is open."""
        self._send(self._desk.flatten(message.ts, message.reason, message.strategy, message.underlying))

    @handles(OrderUpdate)
    def on_update(self, message: OrderUpdate) -> None:
        """Take what the broker says of an order."""
        out = self._desk.on_update(message)
        if out:
            self._send(out)
        self._set_timer()

    @handles(CheckOrders)
    def on_timer(self, message: CheckOrders) -> None:
        """Send stops and exits again that came to nothing."""
        if message.ts == self._timer_at:
            self._timer_at = 0
            self._send(self._desk.on_timer(self.clock.now))
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._desk.next_due()
        if due and (not self._timer_at or due < self._timer_at):
            self._timer_at = due
            self.clock.schedule(due, Stage.TIMER, self, CheckOrders(due))

    @handles(Fill)
    def on_fill(self, message: Fill) -> None:
        """Book a fill. One that is told after its contract was settled is settled with it, at the same price."""
        self._send(self._desk.on_fill(message))
        if self._settled_on is not None and self._settled_on == ist_date(self.clock.now):
            self._settle(message.instrument, self._settled_on, self.clock.now)
        self._set_timer()

    @handles(Bar)
    def on_bar(self, message: Bar) -> None:
        """Watch the levels of what is held."""
        out = self._desk.on_bar(message)
        if out:
            self._send(out)

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        """Watch the levels of what is held, tick by tick."""
        out = self._desk.on_tick(message)
        if out:
            self._send(out)

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        """Watch the time, and mark the account while something is open."""
        self._send(self._desk.on_minute(message.ts))
        if self._hearing:
            self._keep(whole=self._checkpoints.due, moved=True)  # nobody waits for an order now
            self.publish(self._desk.mark(message.ts))

    def _keep(self, *, whole: bool = False, moved: bool = False) -> None:
        """Have the desk's state kept, where the session is to survive this process."""
        if self._durable:
            state, whole = self._checkpoints.save(whole=whole, moved=moved)
            self.publish(StateChanged(self.clock.now, "desk", state, working_orders(self._desk), whole))

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Protect what was held over night and mark the account; end the day once the broker's last word is in."""
        if message.phase is Phase.PRE_OPEN:
            for instrument in self._desk.in_books():  # no daemon ran when it expired
                self._settle(instrument, message.day - dt.timedelta(days=1), message.ts)
            self._send(self._desk.start_of_day(message.ts))
            self.publish(self._desk.mark(message.ts))
        elif message.phase is Phase.OPEN and self._durable:
            # A restart in mid-session goes through no morning again, and nothing may be held that would be marked.
            self.publish(self._desk.mark(self.clock.now))
        elif message.phase is Phase.CLOSED:
            self.actor_ref.tell(Settle(message.ts))

    @handles(Settle)
    def on_settled(self, message: Settle) -> None:
        """Settle what expired today, close the day's books, mark the account."""
        day = self._settled_on = ist_date(message.ts)
        for instrument in self._desk.in_books():
            self._settle(instrument, day, message.ts, at_index=True)
        self._desk.end_of_day()
        self._keep(whole=True)
        self._forget()
        self.publish(self._desk.mark(message.ts))

    def _settle(self, instrument: str, day: dt.date, ts: int, *, at_index: bool = False) -> None:
        """Settle a contract that has expired by the end of `day`; at the last price known, or against the index's."""
        expiry = parse_id(instrument).expiry
        if expiry is None or expiry > day:
            return
        price = self._desk.price(instrument)
        if at_index and expiry == day:
            price = self._intrinsic(instrument, price)
        if price is not None:
            self._send(self._desk.settle(ts, instrument, price, ExitReason.EXPIRY))

    def _intrinsic(self, instrument: str, last: float | None) -> float | None:
        """Give an option's value against the index's last price, where that is heard; else its own last one."""
        parts = parse_id(instrument)
        index = index_id(parts.underlying)
        spot = self._desk.price(index) if index in self._hearing else None
        if parts.strike is None or spot is None:
            return last
        return max(spot - parts.strike if parts.right is Right.CE else parts.strike - spot, 0.0)

    def _send(self, messages: Sequence[Message]) -> None:
        if self._durable and messages:
            self._keep()
        topics = self._topics
        for message in messages:
            kind = type(message)
            topic = topics.get(kind)
            if topic is None:
                topic = topics[kind] = self.topic(kind)
            publish = topic.publish  # as a variable: half the price of calling it as if it were a method
            publish(message)
            if isinstance(message, TradeClosed) and not self._desk.holds(message.instrument):
                self._forget()
                self.publish(self._desk.mark(self.clock.now))  # the next minute's may never come: nothing is held now

    def _hear(self, instrument: str) -> None:
        if instrument not in self._hearing:
            self._hearing.add(instrument)
            self.subscribe(Bar, instrument)
            self.subscribe(Tick, instrument)
            self.publish(Subscribe(instrument, "held"))

    def _forget(self) -> None:
        """Stop hearing prices nobody needs any more."""
        held = self._desk.held()
        indices = [index_id(parts.underlying) for parts in map(parse_id, held) if parts.kind == "OPT"]
        for instrument in sorted(self._hearing.difference(held, indices)):
            self._hearing.discard(instrument)
            self.unsubscribe(Bar, instrument)
            self.unsubscribe(Tick, instrument)
            self.publish(Unsubscribe(instrument, "held"))

    def inspect(self) -> dict[str, Any]:
        """Say the desk's state: cash, positions, trades, and what is held and the account are worth by now."""
        desk = self._desk
        state: dict[str, Any] = msgspec.to_builtins(desk.state())
        equity = desk.mark(self.clock.now).equity_paise
        return state | {"prices": {name: desk.price(name) for name in desk.held()}, "equity_paise": equity}
