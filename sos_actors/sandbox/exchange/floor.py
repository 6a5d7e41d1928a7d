"""The exchange: its books and hours, and what happens to orders that have reached it."""

from __future__ import annotations

import numpy as np

from sos_actors.market.calendar import TradingCalendar
from sos_actors.market.clocktime import SECOND_NS, ist_date
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import Side
from sos_actors.sandbox.exchange import risk
from sos_actors.sandbox.exchange.account import Account
from sos_actors.sandbox.exchange.agenda import Agenda, Delays
from sos_actors.sandbox.exchange.book import Book, Match
from sos_actors.sandbox.exchange.faults import FaultDice
from sos_actors.sandbox.exchange.orders import Order, Status
from sos_actors.sandbox.exchange.positions import Position, stream_position
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.stream import EventKind, Stream
from sos_actors.sandbox.exchange.validation import LIMIT, STOP


class Floor:
    """Orders of the day, books, executions, the account; everything that changes an order is published here."""

    def __init__(
        self,
        settings: ExchangeSettings,
        instruments: InstrumentTable,
        calendar: TradingCalendar,
        agenda: Agenda,
        delays: Delays,
        faults: FaultDice,
        rng: np.random.Generator,
    ) -> None:
        self.settings = settings
        self.instruments = instruments
        self.calendar = calendar
        self.agenda = agenda
        self.faults = faults
        self.stream = Stream(delays, faults, settings.account.user_id)
        self.books: dict[str, Book] = {}
        self.account = Account(settings, self.books)
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self._halted_until = 0
        self._rng = rng
        self._trades = 0

    def book(self, instrument: Instrument) -> Book:
        """The book of an instrument, made when it is asked for first."""
        found = self.books.get(instrument.id)
        if found is None:
            found = Book(instrument, self.settings.depth, self.settings.risk.lpp_reference_s)
            self.books[instrument.id] = found
        return found

    def is_open(self, exchange: str, now: int) -> bool:
        """Whether an exchange is in session."""
        found = self.calendar.sessions(exchange, ist_date(now))
        return any(session.open_ns <= now < session.close_ns for session in found)

    def trading(self, instrument: Instrument, now: int) -> bool:
        """Whether the exchange matches orders now."""
        return now >= self._halted_until and self.is_open(instrument.exchange, now)

    def quote(self, book: Book, figures: tuple[int, int, int, int, int], volume: float, now: int) -> None:
        """Move the market of one instrument: stops are triggered, orders filled."""
        traded = book.quote(*figures, volume, now)
        if not book.resting and not book.stops:
            return
        if self.trading(book.instrument, now):
            for match in book.sweep(traded):
                self.fill(match, now)
            self._trigger(book, now)

    def halt(self, now: int, seconds: float) -> None:
        """Stop all executions for some seconds; what became marketable meanwhile is then filled."""
        self._halted_until = max(self._halted_until, now + int(seconds * SECOND_NS))
        self.agenda.at(self._halted_until, self._resume)

    def blocked(self, besides: Order | None = None) -> int:
        """Paise that stand behind working orders."""
        # What is held can be closed once: orders that came earlier close it first.
        before: dict[tuple[str, str, Side], int] = {}
        total = 0
        for one in self.live.values():
            key = (one.instrument.id, one.product, one.side)
            if one is not besides:
                total += self.account.needed(one, before.get(key, 0))
            before[key] = before.get(key, 0) + one.pending
        return total

    def short_of_margin(self, order: Order) -> int:
        """Paise that an order needs above what is free; 0 or less when there is enough."""
        before = 0
        for one in self.live.values():
            if one is order:
                break
            if one.instrument is order.instrument and one.product == order.product and one.side is order.side:
                before += one.pending
        return self.account.needed(order, before) - self.account.available(self.blocked(order))

    def expire(self, orders: list[Order], text: str, now: int) -> None:
        """End orders at once, as the exchange does at the close."""
        for order in orders:
            if not order.final:
                order.message = text
                self.finish(order, Status.CANCELLED if order.entered else Status.REJECTED, now)

    def publish(self, order: Order, status: Status, now: int) -> None:
        """Give an order a status, keep it in the history and say it on the stream."""
        order.status = status
        order.changed_ts = now
        row = order.row()
        order.history.append((now, row))
        self.stream.order(order, row, now)

    def stand(self, order: Order, now: int) -> None:
        """Show an order as resting or waiting, put it in the book and match it."""
        order.exchange_ts = now
        self.publish(order, order.resting, now)
        book = self.book(order.instrument)
        if order.waiting:
            book.stops.append(order)
            if self.trading(order.instrument, now):
                self._trigger(book, now)
            return
        if self.trading(order.instrument, now):
            self._fill_all(book.take(order), now)
        if order.final:
            return
        if order.validity == "IOC":
            order.message = "The unfilled part of an IOC order was cancelled"
            self.finish(order, Status.CANCELLED, now)
        else:
            book.join(order)

    def _trigger(self, book: Book, now: int) -> None:
        for order in book.triggered():
            order.waiting = False
            if order.order_type == STOP:
                self.protect(order, order.trigger)
            order.exchange_ts = now
            # While a request is on its way the order shows that; its new place is shown when it is answered.
            self.publish(order, order.status if order.busy else Status.OPEN, now)
            self._fill_all(book.take(order), now)
            if not order.final:
                if order.validity == "IOC":
                    self.finish(order, Status.CANCELLED, now)
                else:
                    book.join(order)

    def protect(self, order: Order, base: int) -> None:
        """Make a limit of a market order, at `base` plus or minus the protection."""
        book = self.book(order.instrument)
        order.price = risk.market_limit(
            self.settings.risk, order.instrument, order.side, order.protection, base, book.tick
        )
        order.order_type = LIMIT

    def fill(self, match: Match, now: int) -> None:
        """Execute a match, in one piece or two."""
        order, quantity, price = match
        for piece in self._pieces(order, quantity):
            self._execute(order, piece, price, now)

    def _fill_all(self, matches: list[Match], now: int) -> None:
        for match in matches:
            self.fill(match, now)

    def _pieces(self, order: Order, quantity: int) -> list[int]:
        """Cut an execution in two now and then; in whole lots unless a fault says otherwise."""
        lot = max(1, order.instrument.lot_size)
        if quantity > 1 and self.faults.hit("odd_fill"):
            first = 1 + int(self._rng.integers(quantity - 1))
            return [first, quantity - first]
        if quantity > lot and self._rng.random() < self.settings.depth.split_probability:
            first = lot * int(1 + self._rng.integers((quantity - 1) // lot))
            return [first, quantity - first]
        return [quantity]

    def _execute(self, order: Order, quantity: int, price: int, now: int) -> None:
        day = ist_date(now)
        self._trades += 1
        self.account.execute(order, quantity, price, f"{self._trades:08d}", now, day)
        order.filled += quantity
        order.value += quantity * price
        order.exchange_ts = now
        if order.pending:
            self.publish(order, order.status, now)
        else:
            # A request that is still on its way has lost against the fill.
            if order.status is Status.CANCEL_PENDING:
                self.publish(order, Status.NOT_CANCELLED, now)
            elif order.status in {Status.MODIFY_VALIDATING, Status.MODIFY_PENDING}:
                self.publish(order, Status.NOT_MODIFIED, now)
            self.finish(order, Status.COMPLETE, now)
        self.say_position(self.account.position(order.instrument, order.product), now)

    def say_position(self, position: Position, now: int) -> None:
        """Say on the stream what is held of a contract."""
        instrument = position.instrument
        book = self.book(instrument)
        row = position.row(book.last, book.close)
        body = stream_position(row, instrument.upstox_key.split("|")[0], self.settings.account.user_id)
        self.stream.send(EventKind.POSITION, body, now)

    def finish(self, order: Order, status: Status, now: int) -> None:
        """Give an order its final status and take it out of the book."""
        self.book(order.instrument).leave(order)
        self.live.pop(order.order_id, None)
        order.requests.clear()
        order.busy = order.waiting = False
        self.publish(order, status, now)

    def _resume(self, now: int) -> None:
        if now < self._halted_until:
            return
        for book in self.books.values():
            if (book.resting or book.stops) and self.trading(book.instrument, now):
                self._fill_all(book.sweep(0), now)
                self._trigger(book, now)
