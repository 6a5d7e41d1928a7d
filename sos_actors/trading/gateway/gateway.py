"""The order gateway: the state of every order of ours at a broker, and the only thing that decides what is sent there.

It never guesses. A request is on record before it leaves; what became of it is found out by its answer, the order
stream and the broker's books; one whose fate is unknown is looked for and never sent twice. The broker's word on
orders, fills and positions wins over ours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container, Iterable

import msgspec

from sos_actors.market.clocktime import SECOND_NS, ist_date
from sos_actors.messages import (
    AlertLevel,
    BrokerOrderChanged,
    CancelOrder,
    CommandAnswered,
    FundsRead,
    Message,
    ModifyOrder,
    OrderIntent,
    OrdersRead,
    OrderStatus,
    OrderStreamChanged,
    OrderUpdate,
    Phase,
    PositionsRead,
    SubmitOrder,
    TradesRead,
    Wish,
)
from sos_actors.trading.gateway.account import Account
from sos_actors.trading.gateway.changing import Changer
from sos_actors.trading.gateway.gate import EntryGate
from sos_actors.trading.gateway.intake import Intake
from sos_actors.trading.gateway.order import PREFIX_LENGTH, Child, GatewayOrder, Placed
from sos_actors.trading.gateway.placing import Placer
from sos_actors.trading.gateway.pricing import first_terms
from sos_actors.trading.gateway.reading import Book, Reader
from sos_actors.trading.gateway.records import DayBegun, IntentTaken, Record
from sos_actors.trading.gateway.restoring import Restorer
from sos_actors.trading.gateway.settings import Contract, GatewaySettings, Quote
from sos_actors.trading.gateway.table import NEVER, OrderTable
from sos_actors.trading.gateway.telling import Teller

Out = list[Message | Record]
#: How long after the end of the day orders that have not ended are still looked after.
_AFTER_CLOSE_NS = 3_600 * SECOND_NS


class GatewayView(msgspec.Struct, frozen=True):
    """What an observer may know. `orders` as (order id, status, filled, quantity, broker ids)."""

    entries_held: str
    stream_live: bool
    orders: tuple[tuple[str, str, int, int, tuple[str, ...]], ...]
    in_doubt: tuple[str, ...]
    differences: tuple[str, ...]
    positions: dict[str, int]


class OrderGateway:
    """Orders of one account at a broker. Times are UTC ns; every call gives what is to be kept and sent, in order.

    `contract(instrument)` gives today's lot, freeze quantity and tick. `prefix` (letters and digits, at most 20) is
    never used twice: every tag and request id begins with it. Call `restore` with what was kept, if anything was, then
    `start` once, and `on_timer` whenever `next_due` says so.
    """

    def __init__(self, settings: GatewaySettings, contract: Callable[[str], Contract], prefix: str) -> None:
        if not (prefix.isascii() and prefix.isalnum() and len(prefix) <= PREFIX_LENGTH):
            raise ValueError(f"prefix '{prefix}': write up to {PREFIX_LENGTH} letters and digits")
        self._table = table = OrderTable(settings, contract, prefix)
        self._gate = EntryGate(table)
        self._teller = Teller(table)
        self._placer = Placer(table, self._teller, self._gate)
        self._changer = Changer(table, self._teller, self._placer, self._gate)
        self._reader = Reader(table)
        self._intake = Intake(table, self._teller, self._placer, self._changer, self._reader)
        self._account = Account(table, self._gate, self._reader, self._teller)
        self._restorer = Restorer(table, self._placer, self._changer)
        self._day: dt.date | None = None
        self._wishes: tuple[Wish, ...] = ()
        self._closed_at = 0
        self._started = False

    # -- life ---------------------------------------------------------------------------------------------------------

    def restore(
        self,
        records: Iterable[Record],
        working: Iterable[str] = (),
        known: Container[str] = (),
        wishes: Iterable[Wish] = (),
    ) -> None:
        """Take up where the records end. By the desk's last checkpoint it waits for `working` and booked `known` fills.

        What it knows is not told again. `wishes` are what it wants of those orders: the end may have come just before
        its last word was heard here.
        """
        self._day = self._restorer.replay(records, tuple(working), known)
        self._wishes = tuple(wishes)

    def start(self, now: int) -> Out:
        """Begin: tell the desk again all it may have missed, and hold entries until the broker's books are read."""
        table = self._begin(now)
        self._started = True
        self._restorer.tell_again()
        if self._day != ist_date(now):
            self._open_day(ist_date(now))
        for wish in self._wishes:
            self._changer.hear_again(wish)
        self._wishes = ()
        self._account.start()
        self._reader.want(Book.ORDERS, Book.TRADES, Book.POSITIONS, Book.FUNDS)
        for order in tuple(table.active.values()):
            self._intake.touch(order)
        return self._finish()

    def on_phase(self, phase: Phase, day: dt.date, now: int) -> Out:
        """Follow the session: a new day forgets the last one's orders, an end of day leaves little to look after."""
        self._begin(now)
        self._account.open = phase is Phase.OPEN
        if phase is Phase.CLOSED:
            self._closed_at = now
        else:
            self._closed_at = 0
            if day != self._day:
                self._open_day(day)
                self._account.start()
                self._reader.want(Book.ORDERS, Book.TRADES, Book.POSITIONS, Book.FUNDS)
        return self._finish()

    def _open_day(self, day: dt.date) -> None:
        """Forget yesterday: the broker's day orders ended with it, what was held is held still unless it is gone."""
        table = self._table
        for order in tuple(table.active.values()):
            self._teller.end(order, OrderStatus.CANCELLED, "the day is over")
        table.open_day()
        self._day = day
        table.out.append(DayBegun(day, tuple(table.base.items()), tuple(table.carried.items())))

    def resume(self, now: int) -> Out:
        """Let entries pass again after a hard stop: the operator has seen to its cause."""
        self._begin(now)
        self._gate.resume()
        return self._finish()

    # -- from the desk ------------------------------------------------------------------------------------------------

    def on_intent(self, intent: OrderIntent, now: int) -> Out:
        """Keep the whole plan of a trade that is about to be entered."""
        self._begin(now).out.append(IntentTaken(intent))
        return self._finish()

    def submit(self, order: SubmitOrder, now: int) -> Out:
        """Take an order of the desk; an id seen before does nothing."""
        table = self._begin(now)
        if order.order_id not in table.orders:
            contract, quote = table.contract(order.instrument), table.fresh_quote(order.instrument)
            taken = GatewayOrder(order, first_terms(order, contract, quote, table.settings))
            self._placer.take(taken)
            self._intake.touch(taken)
        return self._finish()

    def modify(self, wish: ModifyOrder, now: int) -> Out:
        """Change an order; for one that has ended, say how it ended.

        An exit goes this way: which books to read next can wait for the answer, or the timer.
        """
        table = self._begin(now)
        order = self._working(wish.order_id, "modify")
        if order is not None:
            lot = table.contract(order.submit.instrument).lot
            if wish.quantity and (wish.quantity % lot or wish.quantity < 0):
                self._teller.note(order, f"modify refused: quantity {wish.quantity} is not a multiple of the lot {lot}")
            else:
                self._changer.modify(order, wish)
                self._intake.touch(order)
        return table.drain()

    def cancel(self, wish: CancelOrder, now: int) -> Out:
        """Take an order back; for one that has ended, say how it ended."""
        table = self._begin(now)
        order = self._working(wish.order_id, "cancel")
        if order is not None:
            self._changer.cancel(order)
            self._intake.touch(order)
        return table.drain()

    def _working(self, order_id: str, what: str) -> GatewayOrder | None:
        table = self._table
        order = table.orders.get(order_id)
        if order is not None and not order.ended:
            return order
        status = OrderStatus.REJECTED if order is None else order.told_status or OrderStatus.CANCELLED
        known = "no such order" if order is None else "ended already"
        table.out.append(OrderUpdate(order_id, table.now, status, f"{what} refused: {known}"))
        return None

    # -- from the broker ----------------------------------------------------------------------------------------------

    def on_answer(self, answer: CommandAnswered, now: int) -> Out:
        """Take what became of a command."""
        self._begin(now)
        order = self._placer.answered(answer)
        if order is None:
            child = self._changer.answered(answer)
            order = child.owner if child is not None else None
        if order is not None:
            self._intake.touch(order)
        return self._finish()

    def on_change(self, message: BrokerOrderChanged, now: int) -> Out:
        """Take what the order stream says of an order."""
        self._begin(now)
        child = self._intake.show(message.order, 0)
        if child.owner is not None:
            self._intake.touch(child.owner)
        return self._finish()

    def on_stream(self, message: OrderStreamChanged, now: int) -> Out:
        """Take the order stream's coming or going; what happened meanwhile is in the books."""
        self._begin(now)
        if message.live and not self._gate.stream_live:
            self._reader.want(Book.ORDERS, Book.TRADES, Book.POSITIONS)
        self._gate.stream_live = message.live
        return self._finish()

    def on_orders(self, message: OrdersRead, now: int) -> Out:
        """Take the order book, or the orders of one tag."""
        self._begin(now)
        reading = self._reader.answered(message.request_id, ok=message.ok, detail=message.detail)
        if reading is not None:
            self._gate.proved()
            self._intake.orders(message.orders, reading)
        return self._finish()

    def on_trades(self, message: TradesRead, now: int) -> Out:
        """Take the trade book: what was executed, to the paisa."""
        self._begin(now)
        if self._reader.answered(message.request_id, ok=message.ok, detail=message.detail) is not None:
            self._gate.proved()
            self._intake.trades(message.trades)
        return self._finish()

    def on_positions(self, message: PositionsRead, now: int) -> Out:
        """Take what the broker says is held."""
        self._begin(now)
        reading = self._reader.answered(message.request_id, ok=message.ok, detail=message.detail)
        if reading is not None:
            self._gate.proved()
            self._account.compare(message.positions, reading.began)
            if self._account.unsettled:
                self._reader.want(Book.ORDERS, Book.TRADES, at=self._table.after(2.0))
        return self._finish()

    def on_funds(self, message: FundsRead, now: int) -> Out:
        """Take the free money: RiskActor hears it too; here only a debt is worth a word."""
        table = self._begin(now)
        reading = self._reader.answered(message.request_id, ok=message.ok, detail=message.detail)
        if reading is not None and message.available < 0.0:
            table.alert(AlertLevel.WARNING, f"the broker shows a debt of {-message.available:.2f} rupees")
        return self._finish()

    def on_quote(self, instrument: str, quote: Quote, now: int) -> Out:
        """Take the price of an instrument with an order at work: a stop that was passed by must not rest."""
        table = self._begin(now)
        table.quotes[instrument] = quote
        stops = [o for o in table.active.values() if o.is_stop and o.submit.instrument == instrument and not o.urgent]
        if not stops:
            return []
        for order in stops:
            self._changer.chase(order)
            self._intake.touch(order)
        return self._finish() if table.out else []

    # -- time ---------------------------------------------------------------------------------------------------------

    def on_timer(self, now: int) -> Out:
        """Look after what is due: late answers, exits to be sent or priced anew, doubts, reads."""
        table = self._begin(now)
        self._placer.overdue()
        self._changer.overdue()
        for order in sorted(table.active.values(), key=lambda order: not order.exits):
            if order.retry_at and order.retry_at <= now:
                self._placer.retry(order)
            self._changer.chase(order)
            self._intake.touch(order)
        for child in table.watched.values():
            if child.owner is None or child.owner.ended:
                self._look_after(child)
        table.prune()
        return self._finish()

    def _look_after(self, child: Child) -> None:
        """See to an order nobody waits for any more: its fills are told, a stray is taken back."""
        if self._teller.tell_fills(child):
            self._reader.want(Book.TRADES)
        if child.stray and child.owner is not None:
            self._changer.drive_child(child.owner, child)

    def next_due(self) -> int:
        """Give the time at which `on_timer` is next wanted, UTC ns; a time without end where it is not."""
        table, settings = self._table, self._table.settings
        over = self._closed_at and (not table.active or table.now - self._closed_at > _AFTER_CLOSE_NS)
        if not self._started or over:
            return NEVER
        answer, chase = round(settings.answer_s * SECOND_NS), round(settings.chase_s * SECOND_NS)
        times = [self._reader.next_due()]
        for order in table.active.values():
            if order.retry_at:
                times.append(order.retry_at)
            times += (p.sent_ts + answer for p in order.placements if p.state is Placed.SENT)
            resting = self._changer.resting(order)
            if resting:
                times.append(max(child.priced_ts for child in resting) + chase)
        wait = round(settings.trades_wait_s * SECOND_NS)
        for child in table.watched.values():
            if child.command is not None:
                times.append(child.command.sent_ts + answer)
            elif child.quiet_until > table.now and not child.ended:
                times.append(child.quiet_until)
            if child.waits_since:
                times.append(child.waits_since + wait)
        return max(min(times), table.now + 1)

    def state(self) -> GatewayView:
        """Give what an observer may know."""
        table = self._table
        return GatewayView(
            self._gate.reason(),
            self._gate.stream_live,
            tuple(
                (
                    order_id,
                    "" if order.told_status is None else order.told_status.value,
                    order.filled,
                    order.quantity,
                    tuple(child.broker_id for child in order.children),
                )
                for order_id, order in table.active.items()
            ),
            tuple(placement.send.tag for placement in table.doubts()),
            self._gate.differences,
            {instrument: units for instrument, units in table.positions().items() if units},
        )

    # -- inside -------------------------------------------------------------------------------------------------------

    def _begin(self, now: int) -> OrderTable:
        self._table.now = max(now, self._table.now)
        return self._table

    def _finish(self) -> Out:
        self._account.refresh()
        if self._started:
            self._plan_reads()
            if self.next_due() <= self._table.now + 1 or self._reader.next_due() <= self._table.now:
                doubts = self._table.doubts()
                tag = min(doubts, key=lambda doubt: doubt.tag_reads).send.tag if doubts else ""
                self._reader.send(tag)
        return self._table.drain()

    def _plan_reads(self) -> None:
        """Read more often while something works or is not understood, seldom otherwise."""
        table, settings, reader = self._table, self._table.settings, self._reader
        if self._closed_at and not table.active:
            return
        if table.doubts():
            reader.every(settings.doubt_read_s, Book.ORDERS, Book.TAG)
        elif any(self._changer.undecided(order) for order in table.active.values()) or self._account.unsettled:
            reader.every(settings.doubt_read_s, Book.ORDERS)
        reader.every(settings.working_read_s if table.active else settings.idle_read_s, Book.ORDERS)
        reader.every(settings.settle_s / 2.0 if self._account.unsettled else settings.idle_read_s, Book.POSITIONS)
        reader.every(settings.idle_read_s, Book.TRADES)
        reader.every(settings.funds_read_s, Book.FUNDS)
