"""An adversarial broker in memory, a desk that only counts, and the wires between them and the gateway."""

from __future__ import annotations

from dataclasses import dataclass, field

from sos_actors.messages import (
    NAN,
    AccountDiffered,
    AlertRaised,
    BrokerOrder,
    BrokerOrderChanged,
    BrokerPosition,
    BrokerTrade,
    CancelOrder,
    CommandAnswered,
    Fill,
    FundsRead,
    ModifyOrder,
    OrderRole,
    OrdersRead,
    OrderStreamChanged,
    OrderType,
    OrderUpdate,
    Outcome,
    PositionsRead,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    SendCancel,
    SendModify,
    SendPlace,
    Side,
    SubmitOrder,
    TradesRead,
    Wish,
)
from sos_actors.trading.anomalies import AnomalyKind
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.gateway.records import PlaceSent, Record
from sos_actors.trading.gateway.settings import Contract, GatewaySettings, Quote
from sos_actors.trading.order_machine import OrderRecord, advance

CALL = "NSE|OPT|NIFTY|2026-11-23|25000|CE"
SECOND = 1_000_000_000
#: Friday 20 Nov 2026, 10:00 in India.
START = 1_795_149_000 * SECOND + 0
LOT, FREEZE, TICK = 65, 260, 0.05
SETTINGS = GatewaySettings()
WORDS = {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET", OrderType.STOP: "SL"}


def contract(_: str) -> Contract:
    return Contract(LOT, FREEZE, TICK)


@dataclass
class Held:
    """One order at the broker."""

    broker_id: str
    tag: str
    side: Side
    quantity: int
    kind: OrderType
    price: float
    trigger: float
    since: int
    status: str = "open"
    filled: int = 0
    paise: int = 0
    revision: int = 1
    detail: str = ""

    @property
    def ended(self) -> bool:
        return self.status in {"complete", "cancelled", "rejected"}

    def shown(self, ts: int) -> BrokerOrder:
        average = round(self.paise / self.filled / 100.0, 2) if self.filled else NAN
        return BrokerOrder(
            broker_id=self.broker_id,
            instrument=CALL,
            side=self.side,
            quantity=self.quantity,
            status=self.status,
            ended=self.ended,
            tag=self.tag,
            filled=self.filled,
            average_price=average,
            order_type=WORDS[self.kind],
            price=self.price,
            trigger=self.trigger,
            revision=self.revision,
            ts=ts // SECOND * SECOND,
            detail=self.detail,
        )


class Broker:
    """Orders, trades and positions as an exchange has them: never wrong, whatever is said about them."""

    def __init__(self) -> None:
        self.orders: dict[str, Held] = {}
        self.trades: list[BrokerTrade] = []
        self.stream: list[BrokerOrder] = []
        self.base = 0
        self._ids = 0

    def place(self, send: SendPlace, now: int) -> tuple[str, ...]:
        parts, left = [], send.quantity
        while left > 0:
            parts.append(min(left, FREEZE) if send.slice else left)
            left -= parts[-1]
        assert all(part <= FREEZE and part % LOT == 0 for part in parts)
        return tuple(self._add(send, part, now) for part in parts)

    def _add(self, send: SendPlace, quantity: int, now: int) -> str:
        self._ids += 1
        order = Held(f"B{self._ids}", send.tag, send.side, quantity, send.order_type, send.price, send.trigger, now)
        if send.order_type is OrderType.STOP:
            order.status = "trigger pending"
        self.orders[order.broker_id] = order
        self._say(order, now)
        return order.broker_id

    def modify(self, send: SendModify, now: int) -> str:
        order = self.orders[send.broker_id]
        if order.ended:
            return "UDAPI100041"
        if send.quantity <= order.filled:
            return "UDAPI1029"
        order.quantity, order.kind, order.price, order.trigger = (
            send.quantity,
            send.order_type,
            send.price,
            send.trigger,
        )
        order.status = "trigger pending" if order.kind is OrderType.STOP else "open"
        order.revision += 1
        self._say(order, now)
        return ""

    def cancel(self, broker_id: str, now: int) -> str:
        order = self.orders[broker_id]
        if order.ended:
            return "UDAPI100040"
        order.status = "cancelled"
        self._say(order, now)
        return ""

    def fill(self, broker_id: str, lots: int, paise: int, now: int) -> None:
        order = self.orders[broker_id]
        if order.ended:
            return
        units = min(lots * LOT, order.quantity - order.filled)
        order.filled += units
        order.paise += units * paise
        order.status = "complete" if order.filled == order.quantity else "open"
        name = f"T{len(self.trades) + 1}"
        self.trades.append(BrokerTrade(trade_id=name, broker_id=broker_id, instrument=CALL, side=order.side,
                                       quantity=units, price=paise / 100.0, ts=now))  # fmt: skip
        self._say(order, now)

    def reject(self, broker_id: str, now: int) -> None:
        order = self.orders[broker_id]
        if not order.ended and not order.filled:
            order.status, order.detail = "rejected", "circuit limits"
            self._say(order, now)

    def by_hand(self, side: Side, lots: int, paise: int, now: int) -> None:
        self._ids += 1
        order = Held(f"H{self._ids}", "", side, lots * LOT, OrderType.LIMIT, paise / 100.0, NAN, now)
        self.orders[order.broker_id] = order
        self._say(order, now)
        self.fill(order.broker_id, lots, paise, now)

    def _say(self, order: Held, now: int) -> None:
        self.stream.append(order.shown(now))

    @property
    def position(self) -> int:
        return self.base + sum(order.filled * order.side.sign for order in self.orders.values())


@dataclass
class Wire:
    """The gateway with its wires: what waits to reach the broker, what the desk heard, what is on record."""

    settings: GatewaySettings = SETTINGS
    broker: Broker = field(default_factory=Broker)
    now: int = START

    def __post_init__(self) -> None:
        self.lives = self._close = 0
        self.records: list[Record] = []
        self.waiting: list[SendPlace | SendModify | SendCancel] = []
        self.reads: list[tuple[ReadOrders | ReadTrades | ReadPositions | ReadFunds, list[BrokerOrder]]] = []
        self.desk: dict[str, OrderRecord] = {}
        self.submits: dict[str, SubmitOrder] = {}
        self.most: dict[str, int] = {}
        self.tags: dict[str, str] = {}
        self.fills: dict[str, Fill] = {}
        self.paise: dict[str, int] = {}
        self.alerts: list[str] = []
        self.differences: tuple[str, ...] = ()
        self.odd: list[AnomalyKind] = []
        self.gateway = self._new()
        self.send(self.gateway.start(self.now))

    def _new(self) -> OrderGateway:
        self.lives += 1
        return OrderGateway(self.settings, contract, f"S{self.lives}")

    # -- out of the gateway ---------------------------------------------------------------------------------------

    def send(self, out: list, until: int | None = None) -> None:
        """Do what the gateway says, in order, up to the item at which the power goes."""
        for item in out[:until]:
            if isinstance(item, Record):
                self.records.append(item)
                if isinstance(item, PlaceSent):
                    assert item.send.tag not in self.tags, "a tag was used twice"
                    self.tags[item.send.tag] = item.order_id
            elif isinstance(item, (SendPlace, SendModify, SendCancel)):
                self._check_send(item)
                self.waiting.append(item)
            elif isinstance(item, (ReadOrders, ReadTrades, ReadPositions, ReadFunds)):
                self.reads.append((item, self.book()))
            else:
                self._hear(item)

    def _check_send(self, item: SendPlace | SendModify | SendCancel) -> None:
        if isinstance(item, SendPlace):
            assert item.tag in self.tags, "sent before it was on record"
            assert len(item.tag) <= 40
            order = self.submits[self.tags[item.tag]]
            if order.role is OrderRole.ENTRY:
                assert not self.differences, "entered while the books differ"

    def _hear(self, item: object) -> None:
        if isinstance(item, OrderUpdate):
            record = self.desk[item.order_id]
            anomaly = advance(record, item)
            if anomaly is not None:
                self.odd.append(anomaly.kind)
        elif isinstance(item, Fill):
            known = self.fills.setdefault(item.fill_id, item)
            assert known == item, "one fill id, two fills"
            record = self.desk.get(item.order_id)
            if record is not None and item.fill_id not in record.fill_ids:
                self.paise[item.order_id] = self.paise.get(item.order_id, 0) + round(item.price * 100) * item.quantity
                anomaly = advance(record, item)
                if anomaly is not None:
                    self.odd.append(anomaly.kind)
        elif isinstance(item, AlertRaised):
            self.alerts.append(item.text)
        elif isinstance(item, AccountDiffered):
            self.differences = item.differences
        else:
            raise TypeError(f"unexpected {item!r}")

    # -- from the desk --------------------------------------------------------------------------------------------

    def submit(
        self, order_id: str, role: OrderRole = OrderRole.ENTRY, side: Side = Side.BUY, lots: int = 1,
        kind: OrderType = OrderType.MARKET, price: float = NAN, trigger: float = NAN, until: int | None = None,
    ) -> None:  # fmt: skip
        order = SubmitOrder(order_id, "i", self.now, CALL, side, lots * LOT, kind, role, price, trigger)
        self.desk[order_id] = OrderRecord.of(order)
        self.submits[order_id] = order
        self.most[order_id] = order.quantity
        self.send(self.gateway.submit(order, self.now), until)

    def modify(self, order_id: str, **changes: object) -> None:
        quantity = int(changes.get("quantity", 0))  # type: ignore[call-overload]
        if quantity:
            self.desk[order_id].resize(quantity)
            self.most[order_id] = max(self.most[order_id], quantity)
        self.send(self.gateway.modify(ModifyOrder(order_id, self.now, **changes), self.now))

    def cancel(self, order_id: str) -> None:
        self.send(self.gateway.cancel(CancelOrder(order_id, self.now), self.now))

    # -- broker side ----------------------------------------------------------------------------------------------

    def book(self) -> list[BrokerOrder]:
        return [order.shown(self.now) for order in self.broker.orders.values()]

    def carry(self, item: SendPlace | SendModify | SendCancel) -> CommandAnswered:
        """Let the broker have a command; gives the answer it would send."""
        if isinstance(item, SendPlace):
            ids = self.broker.place(item, self.now)
            return CommandAnswered(item.request_id, self.now, Outcome.CONFIRMED, ids)
        if isinstance(item, SendModify):
            code = self.broker.modify(item, self.now)
        else:
            code = self.broker.cancel(item.broker_id, self.now)
        outcome = Outcome.REJECTED if code else Outcome.CONFIRMED
        return CommandAnswered(item.request_id, self.now, outcome, code=code)

    def answer(self, answer: CommandAnswered) -> None:
        self.send(self.gateway.on_answer(answer, self.now))

    def unknown(self, item: SendPlace | SendModify | SendCancel) -> CommandAnswered:
        return CommandAnswered(item.request_id, self.now, Outcome.UNKNOWN, detail="timed out")

    def read(self, place: int = 0, *, ok: bool = True, old: bool = False) -> None:
        """Answer a read that waits: with what is so now, or (`old`) with what was so when it was sent."""
        ask, before = self.reads.pop(place)
        orders = before if old else self.book()
        if isinstance(ask, ReadOrders):
            wanted = tuple(order for order in orders if not ask.tag or order.tag == ask.tag)
            self.send(self.gateway.on_orders(OrdersRead(ask.request_id, self.now, ok, wanted, ask.tag), self.now))
        elif isinstance(ask, ReadTrades):
            trades = tuple(self.broker.trades)
            self.send(self.gateway.on_trades(TradesRead(ask.request_id, self.now, ok, trades), self.now))
        elif isinstance(ask, ReadPositions):
            held = (BrokerPosition(instrument=CALL, product="I", quantity=self.broker.position),)
            self.send(self.gateway.on_positions(PositionsRead(ask.request_id, self.now, ok, held), self.now))
        else:
            self.send(self.gateway.on_funds(FundsRead(ask.request_id, self.now, ok, 1e6, 0.0), self.now))

    def say(self, place: int = 0, *, keep: bool = False) -> None:
        """Deliver one message of the order stream, in whatever order; `keep` delivers it again later."""
        order = self.broker.stream[place] if keep else self.broker.stream.pop(place)
        self.send(self.gateway.on_change(BrokerOrderChanged(self.now, order), self.now))

    def stream(self, *, live: bool) -> None:
        self.send(self.gateway.on_stream(OrderStreamChanged(self.now, live), self.now))

    def quote(self, last: float) -> None:
        self.send(self.gateway.on_quote(CALL, Quote(self.now, last, last - 0.05, last + 0.05), self.now))

    def restart(self, *wishes: Wish) -> None:
        """kill -9 and a new start: nothing but the records and what is with the broker is left.

        Besides these `wishes` the desk says again how large it wants its stops.
        """
        self.gateway = self._new()
        self.reads.clear()
        working = {oid: record for oid, record in self.desk.items() if not record.ended}
        sizes = [
            ModifyOrder(oid, self.now, quantity=record.quantity)
            for oid, record in working.items()
            if record.role is OrderRole.STOP
        ]
        self.gateway.restore(list(self.records), tuple(working), set(self.fills), [*sizes, *wishes])
        told = self.gateway.start(self.now)
        assert not [item for item in told if isinstance(item, Fill) and item.fill_id in self.fills], "told twice"
        self.send(told)
        self.stream(live=True)

    # -- time -----------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass, timers firing when they are due; nothing is answered."""
        end = self.now + round(seconds * SECOND)
        while (due := self.gateway.next_due()) <= end:
            self._tick(due)
            self.send(self.gateway.on_timer(self.now))
        self.now = end

    def settle(self, seconds: float = 90.0) -> None:
        """No more faults: everything is carried, answered and said, and time passes."""
        end = self.now + round(seconds * SECOND)
        while True:
            while self.waiting or self.reads or self.broker.stream:
                if self.broker.stream:
                    self.say()
                elif self.waiting:
                    self.answer(self.carry(self.waiting.pop(0)))
                else:
                    self.read()
            due = self.gateway.next_due()
            if due > end:
                break
            self._tick(due)
            self.send(self.gateway.on_timer(self.now))
        self.now = end

    def _tick(self, due: int) -> None:
        """Move on to a timer; timers that come thousands to the second would be a loop without end."""
        self._close = self._close + 1 if due - self.now < SECOND // 1000 else 0
        assert self._close < 50, "the gateway spins"
        self.now = due

    # -- what must hold -------------------------------------------------------------------------------------------

    def at_broker(self, order_id: str) -> list[Held]:
        return [order for order in self.broker.orders.values() if self.tags.get(order.tag) == order_id]

    def filled(self, order_id: str) -> int:
        return sum(fill.quantity for fill in self.fills.values() if fill.order_id == order_id)

    def check_never_two(self) -> None:
        """What works and what was filled of an order never exceed what was asked of it."""
        for order_id, most in self.most.items():
            orders = self.at_broker(order_id)
            exposure = sum(o.filled if o.ended else o.quantity for o in orders)
            assert exposure <= most, f"{order_id}: {exposure} units at the broker, {most} were asked"

    def check_quiet(self) -> None:
        """Nothing moves any more: our books are the broker's."""
        self.check_never_two()
        for order_id in self.desk:
            theirs = sum(order.filled for order in self.at_broker(order_id))
            assert self.filled(order_id) == theirs, f"{order_id}: {self.filled(order_id)} told, {theirs} filled"
        told = sum(fill.quantity * fill.side.sign for fill in self.fills.values())
        assert told + self.broker.base == self.broker.position
        assert self.gateway.state().differences == ()
        assert self.gateway.state().in_doubt == ()
        for order_id, record in self.desk.items():
            live = [order for order in self.at_broker(order_id) if not order.ended]
            assert not (record.ended and live), f"{order_id} has ended here and works there"
        assert AnomalyKind.ILLEGAL_STEP not in self.odd
        assert AnomalyKind.MISMATCH not in self.odd
