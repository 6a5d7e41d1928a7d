"""The life of every order: through the broker's checks to the exchange, and what is asked of it on the way."""

from __future__ import annotations

from typing import Any

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
from sos_actors.sandbox.exchange.orders import FINAL, Change, Order, Status, Ticket
from sos_actors.sandbox.exchange.positions import Position, stream_position
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.stream import EventKind, Stream
from sos_actors.sandbox.exchange.validation import LIMIT, MARKET, STOP, STOP_LIMIT, STOPS, slices

_MS = 1_000_000


class Desk:
    """Orders of the day and the exchange's books, driven by the agenda."""

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
        self.calendar = calendar
        self.agenda = agenda
        self.faults = faults
        self.delays = delays
        self.stream = Stream(delays, faults, settings.account.user_id)
        self.instruments = instruments
        self.books: dict[str, Book] = {}
        self.account = Account(settings, self.books)
        self.orders: dict[str, Order] = {}
        self.live: dict[str, Order] = {}
        self.halted_until = 0
        self._rng = rng
        self._numbers = 0

    def book(self, instrument: Instrument) -> Book:
        """The book of an instrument, made when it is asked for first."""
        found = self.books.get(instrument.id)
        if found is None:
            found = Book(instrument, self.settings.depth, self.settings.risk.lpp_reference_s)
            self.books[instrument.id] = found
        return found

    # --- in ---------------------------------------------------------------------------------------------------

    def accept(self, ticket: Ticket, now: int, *, quick: bool = False, internal: bool = False) -> list[Order]:
        """Take a ticket: one order, or as many as its slices; each begins its way through the checks."""
        return [self._new_order(ticket, quantity, now, quick=quick, internal=internal) for quantity in slices(ticket)]

    def ask(self, order: Order, change: Change, now: int) -> None:
        """Put a request to modify or cancel behind those before it."""
        order.requests.append(change)
        self._next_request(order, now)

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

    def _working_before(self, order: Order) -> int:
        """Units of earlier working orders on the same side of the same contract and product."""
        total = 0
        for one in self.live.values():
            if one is order:
                break
            if one.instrument is order.instrument and one.product == order.product and one.side is order.side:
                total += one.pending
        return total

    def quote(self, book: Book, figures: tuple[int, int, int, int, int], volume: float, now: int) -> None:
        """Move the market of one instrument: stops are triggered, orders filled."""
        traded = book.quote(*figures, volume, now)
        if not book.resting and not book.stops:
            return
        if self.trading(book.instrument, now):
            for match in book.sweep(traded):
                self._fill(match, now)
            self._trigger(book, now)

    def trading(self, instrument: Instrument, now: int) -> bool:
        """Whether the exchange matches orders now."""
        return now >= self.halted_until and self.is_open(instrument.exchange, now)

    def is_open(self, exchange: str, now: int) -> bool:
        """Whether an exchange is in session."""
        found = self.calendar.sessions(exchange, ist_date(now))
        return any(session.open_ns <= now < session.close_ns for session in found)

    def halt(self, now: int, seconds: float) -> None:
        """Stop all executions for some seconds; what became marketable meanwhile is then filled."""
        self.halted_until = max(self.halted_until, now + int(seconds * SECOND_NS))
        self.agenda.at(self.halted_until, self._resume)

    def cancel_all(self, orders: list[Order], text: str, now: int) -> None:
        """End orders at once, as the exchange does at the close."""
        for order in orders:
            if not order.final:
                order.message = text
                self._finish(order, Status.CANCELLED if order.entered else Status.REJECTED, now)

    # --- the way of a new order -------------------------------------------------------------------------------

    def _new_order(self, ticket: Ticket, quantity: int, now: int, *, quick: bool, internal: bool) -> Order:
        self._numbers += 1
        day = ist_date(now)
        order = Order(
            order_id=f"{day:%y%m%d}{25_000_000 + self._numbers:09d}",
            ref_id=f"{57_744_000_000_000 + self._numbers * 17}",
            instrument=ticket.instrument,
            side=ticket.side,
            quantity=quantity,
            product=ticket.product,
            validity=ticket.validity,
            order_type=ticket.order_type,
            price=ticket.price,
            trigger=ticket.trigger,
            disclosed=ticket.disclosed,
            protection=ticket.protection,
            tag=ticket.tag,
            placed_by=self.settings.account.user_id,
            placed_ts=now,
            quick=quick,
            internal=internal,
        )
        self.orders[order.order_id] = self.live[order.order_id] = order
        self.publish(order, Status.RECEIVED, now)
        self._later(order, "validation_ms", now, self._validate)
        return order

    def _later(self, order: Order, delay: str, now: int, step: Any) -> None:
        """Have `step(order, ts)` done after a delay, unless the order is final by then."""
        ts = now + (0 if order.quick else self.delays.draw(delay))
        if self.faults.hit("slow_status"):
            ts += int(self.faults.menu.slow_status_s * SECOND_NS)

        def task(at: int) -> None:
            if not order.final:
                step(order, at)

        self.agenda.at(ts, task)

    def _validate(self, order: Order, now: int) -> None:
        self.publish(order, Status.VALIDATING, now)
        self._later(order, "risk_ms", now, self._check)

    def _check(self, order: Order, now: int) -> None:
        wrong = self._problem(order, now)
        if wrong:
            self._reject(order, wrong, now)
            return
        self.publish(order, Status.OPEN_PENDING, now)
        self._later(order, "exchange_ms", now, self._enter)

    def _problem(self, order: Order, now: int) -> str:
        """What the risk checks say against an order; makes a limit of a market order that passes."""
        if not self.is_open(order.instrument.exchange, now):
            return "RMS:Rule: the market is closed"
        expiry = order.instrument.expiry
        if expiry is not None and expiry < ist_date(now):
            return "RMS:Rule: the contract has expired"
        book = self.book(order.instrument)
        if not order.internal and self.faults.hit("reject_risk"):
            return "RMS:Blocked for the sake of testing"
        wrong = risk.problem(self.settings.risk, order, book)
        if wrong:
            return wrong
        if order.order_type == MARKET:
            self._protect(order, book.last)
        short = self.account.needed(order, self._working_before(order)) - self.account.available(self.blocked(order))
        if short > 0 and not order.internal:
            return f"RMS:Margin Exceeds, short by Rs {short / 100:.2f}"
        return ""

    def _protect(self, order: Order, base: int) -> None:
        """Make a limit of a market order, at `base` plus or minus the protection."""
        book = self.book(order.instrument)
        order.price = risk.market_limit(
            self.settings.risk, order.instrument, order.side, order.protection, base, book.tick
        )
        order.order_type = LIMIT

    def _enter(self, order: Order, now: int) -> None:
        if not self.is_open(order.instrument.exchange, now):
            self._reject(order, "16387 : the exchange is closed", now)
            return
        if self.faults.hit("halt"):
            self.halt(now, self.faults.menu.halt_s)
        order.entered = True
        order.exchange_id = f"13{self._numbers:05d}{int(order.order_id[-9:]):09d}"
        order.waiting = order.order_type in STOPS
        self._stand(order, now)
        self._next_request(order, now)

    def _stand(self, order: Order, now: int) -> None:
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
            self._finish(order, Status.CANCELLED, now)
        else:
            book.join(order)

    def _trigger(self, book: Book, now: int) -> None:
        for order in book.triggered():
            order.waiting = False
            if order.order_type == STOP:
                self._protect(order, order.trigger)
            order.exchange_ts = now
            # While a request is on its way the order shows that; its new place is shown when it is answered.
            self.publish(order, order.status if order.busy else Status.OPEN, now)
            self._fill_all(book.take(order), now)
            if not order.final:
                if order.validity == "IOC":
                    self._finish(order, Status.CANCELLED, now)
                else:
                    book.join(order)

    # --- requests on an order ---------------------------------------------------------------------------------

    def _next_request(self, order: Order, now: int) -> None:
        if not order.entered or order.busy or not order.requests or order.final:
            return
        change = order.requests.popleft()
        order.busy = True
        order.request_id += 1
        if change.ticket is None:
            self.publish(order, Status.CANCEL_PENDING, now)
            self._later(order, "exchange_ms", now, self._cancel)
            return
        ticket = change.ticket
        self.publish(order, Status.MODIFY_VALIDATING, now)

        def arrived(order: Order, now: int) -> None:
            self._modify(order, ticket, now)

        def validated(order: Order, now: int) -> None:
            self.publish(order, Status.MODIFY_PENDING, now)
            self._later(order, "exchange_ms", now, arrived)

        self._later(order, "risk_ms", now, validated)

    def _cancel(self, order: Order, now: int) -> None:
        if not order.waiting and self.trading(order.instrument, now) and self.faults.hit("cancel_loses"):
            self._fill((order, order.pending, order.price), now)
            return
        order.busy = False
        order.exchange_ts = now
        self._finish(order, Status.CANCELLED, now)

    def _modify(self, order: Order, ticket: Ticket, now: int) -> None:
        order.busy = False
        before = (order.quantity, order.price, order.trigger, order.order_type, order.validity, order.protection)
        wrong = "RMS:Rule: the modification was refused" if self.faults.hit("reject_modify") else ""
        if not wrong and ticket.quantity <= order.filled:
            wrong = f"RMS:Rule: {order.filled} of the order are filled already"
        if not wrong:
            order.quantity, order.price, order.trigger = ticket.quantity, ticket.price, ticket.trigger
            order.order_type, order.validity, order.protection = ticket.order_type, ticket.validity, ticket.protection
            wrong = self._problem(order, now)
        if wrong:
            order.quantity, order.price, order.trigger, order.order_type, order.validity, order.protection = before
            order.message, order.raw_message = _texts(wrong)
            self.publish(order, Status.NOT_MODIFIED, now)
            order.message, order.raw_message = "", None
            self.publish(order, order.resting, now)
        else:
            order.disclosed = ticket.disclosed
            self._modified(order, (before[0], before[1], before[3]), now)
        self._next_request(order, now)

    def _modified(self, order: Order, was: tuple[int, int, str], now: int) -> None:
        """Put a changed order where it belongs: only a smaller quantity at the same price keeps its place."""
        book = self.book(order.instrument)
        quantity, price, kind = was
        was_waiting = order.waiting
        # A stop-limit that was triggered and is changed as a stop-limit stays what it has become.
        triggered = kind == STOP_LIMIT and not was_waiting
        order.waiting = order.order_type in STOPS and not triggered
        self.publish(order, Status.MODIFIED, now)
        resting = not was_waiting and not order.waiting and order.validity == "DAY"
        if resting and order.price == price and order.quantity <= quantity:
            order.exchange_ts = now
            self.publish(order, Status.OPEN, now)
            return
        book.leave(order)
        self._stand(order, now)

    # --- out --------------------------------------------------------------------------------------------------

    def publish(self, order: Order, status: Status, now: int) -> None:
        """Give an order a status, keep it in the history and say it on the stream."""
        order.status = status
        order.changed_ts = now
        row = order.row()
        order.history.append((now, row))
        self.stream.order(order, row, now)

    def _fill_all(self, matches: list[Match], now: int) -> None:
        for match in matches:
            self._fill(match, now)

    def _fill(self, match: Match, now: int) -> None:
        order, quantity, price = match
        for piece in self._pieces(order, quantity):
            self._execute(order, piece, price, now)

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
        self._numbers += 1
        self.account.execute(order, quantity, price, f"{self._numbers:08d}", now, day)
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
            self._finish(order, Status.COMPLETE, now)
        self.say_position(self.account.position(order.instrument, order.product), now)

    def say_position(self, position: Position, now: int) -> None:
        """Say on the stream what is held of a contract."""
        instrument = position.instrument
        book = self.book(instrument)
        row = position.row(book.last, book.close)
        body = stream_position(row, instrument.upstox_key.split("|")[0], self.settings.account.user_id)
        self.stream.send(EventKind.POSITION, body, now)

    def _reject(self, order: Order, wrong: str, now: int) -> None:
        order.message, order.raw_message = _texts(wrong)
        self._finish(order, Status.REJECTED, now)

    def _finish(self, order: Order, status: Status, now: int) -> None:
        if status not in FINAL:
            raise AssertionError(f"{status} is not final")
        self.book(order.instrument).leave(order)
        self.live.pop(order.order_id, None)
        order.requests.clear()
        order.busy = order.waiting = False
        self.publish(order, status, now)

    def _resume(self, now: int) -> None:
        if now < self.halted_until:
            return
        for book in self.books.values():
            if (book.resting or book.stops) and self.trading(book.instrument, now):
                self._fill_all(book.sweep(0), now)
                self._trigger(book, now)


def _texts(wrong: str) -> tuple[str, str]:
    """Give the message for people and the raw one."""
    _, _, short = wrong.partition(":")
    return short.strip() or wrong, wrong
