"""The life of every order: through the broker's checks to the exchange, and what is asked of it on the way."""

from __future__ import annotations

from collections.abc import Callable

from sos_actors.market.clocktime import SECOND_NS, ist_date
from sos_actors.sandbox.exchange import risk
from sos_actors.sandbox.exchange.agenda import Delays
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.orders import Change, Order, Status, Ticket
from sos_actors.sandbox.exchange.validation import MARKET, STOP_LIMIT, STOPS, slices


class Desk:
    """The broker between a request and the exchange's floor, driven by the agenda."""

    def __init__(self, floor: Floor, delays: Delays) -> None:
        self._floor = floor
        self._delays = delays
        self._numbers = 0

    def accept(self, ticket: Ticket, now: int, *, quick: bool = False, internal: bool = False) -> list[Order]:
        """Take a ticket: one order, or as many as its slices; each begins its way through the checks."""
        return [self._new_order(ticket, quantity, now, quick=quick, internal=internal) for quantity in slices(ticket)]

    def ask(self, order: Order, change: Change, now: int) -> None:
        """Put a request to modify or cancel behind those before it."""
        order.requests.append(change)
        self._next_request(order, now)

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
            placed_by=self._floor.settings.account.user_id,
            placed_ts=now,
            quick=quick,
            internal=internal,
        )
        self._floor.orders[order.order_id] = self._floor.live[order.order_id] = order
        self._floor.publish(order, Status.RECEIVED, now)
        self._later(order, "validation_ms", now, self._validate)
        return order

    def _later(self, order: Order, delay: str, now: int, step: Callable[[Order, int], None]) -> None:
        """Have `step(order, ts)` done after a delay, unless the order is final by then."""
        ts = now + (0 if order.quick else self._delays.draw(delay))
        if self._floor.faults.hit("slow_status"):
            ts += int(self._floor.faults.menu.slow_status_s * SECOND_NS)

        def task(at: int) -> None:
            if not order.final:
                step(order, at)

        self._floor.agenda.at(ts, task)

    def _validate(self, order: Order, now: int) -> None:
        self._floor.publish(order, Status.VALIDATING, now)
        self._later(order, "risk_ms", now, self._check)

    def _check(self, order: Order, now: int) -> None:
        wrong = self._problem(order, now)
        if wrong:
            self._reject(order, wrong, now)
            return
        self._floor.publish(order, Status.OPEN_PENDING, now)
        self._later(order, "exchange_ms", now, self._enter)

    def _problem(self, order: Order, now: int) -> str:
        """What the risk checks say against an order; makes a limit of a market order that passes."""
        if not self._floor.is_open(order.instrument.exchange, now):
            return "RMS:Rule: the market is closed"
        expiry = order.instrument.expiry
        if expiry is not None and expiry < ist_date(now):
            return "RMS:Rule: the contract has expired"
        book = self._floor.book(order.instrument)
        if not order.internal and self._floor.faults.hit("reject_risk"):
            return "RMS:Blocked for the sake of testing"
        wrong = risk.problem(self._floor.settings.risk, order, book)
        if wrong:
            return wrong
        if order.order_type == MARKET:
            self._floor.protect(order, book.last)
        short = self._floor.short_of_margin(order)
        if short > 0 and not order.internal:
            return f"RMS:Margin Exceeds, short by Rs {short / 100:.2f}"
        return ""

    def _enter(self, order: Order, now: int) -> None:
        if not self._floor.is_open(order.instrument.exchange, now):
            self._reject(order, "16387 : the exchange is closed", now)
            return
        if self._floor.faults.hit("halt"):
            self._floor.halt(now, self._floor.faults.menu.halt_s)
        order.entered = True
        order.exchange_id = f"1300{order.order_id[-12:]}"
        order.waiting = order.order_type in STOPS
        self._floor.stand(order, now)
        self._next_request(order, now)

    def _next_request(self, order: Order, now: int) -> None:
        if not order.entered or order.busy or not order.requests or order.final:
            return
        change = order.requests.popleft()
        order.busy = True
        order.request_id += 1
        if change.ticket is None:
            self._floor.publish(order, Status.CANCEL_PENDING, now)
            self._later(order, "exchange_ms", now, self._cancel)
            return
        ticket = change.ticket
        self._floor.publish(order, Status.MODIFY_VALIDATING, now)

        def arrived(order: Order, now: int) -> None:
            self._modify(order, ticket, now)

        def validated(order: Order, now: int) -> None:
            self._floor.publish(order, Status.MODIFY_PENDING, now)
            self._later(order, "exchange_ms", now, arrived)

        self._later(order, "risk_ms", now, validated)

    def _cancel(self, order: Order, now: int) -> None:
        if not order.waiting and self._floor.trading(order.instrument, now) and self._floor.faults.hit("cancel_loses"):
            self._floor.fill((order, order.pending, order.price), now)
            return
        order.busy = False
        order.exchange_ts = now
        self._floor.finish(order, Status.CANCELLED, now)

    def _modify(self, order: Order, ticket: Ticket, now: int) -> None:
        order.busy = False
        before = (order.quantity, order.price, order.trigger, order.order_type, order.validity, order.protection)
        wrong = "RMS:Rule: the modification was refused" if self._floor.faults.hit("reject_modify") else ""
        if not wrong and ticket.quantity <= order.filled:
            wrong = f"RMS:Rule: {order.filled} of the order are filled already"
        if not wrong:
            order.quantity, order.price, order.trigger = ticket.quantity, ticket.price, ticket.trigger
            order.order_type, order.validity, order.protection = ticket.order_type, ticket.validity, ticket.protection
            wrong = self._problem(order, now)
        if wrong:
            order.quantity, order.price, order.trigger, order.order_type, order.validity, order.protection = before
            order.message, order.raw_message = _texts(wrong)
            self._floor.publish(order, Status.NOT_MODIFIED, now)
            order.message, order.raw_message = "", None
            self._floor.publish(order, order.resting, now)
        else:
            order.disclosed = ticket.disclosed
            self._modified(order, (before[0], before[1], before[3]), now)
        self._next_request(order, now)

    def _modified(self, order: Order, was: tuple[int, int, str], now: int) -> None:
        """Put a changed order where it belongs: only a smaller quantity at the same price keeps its place."""
        book = self._floor.book(order.instrument)
        quantity, price, kind = was
        was_waiting = order.waiting
        # A stop-limit that was triggered and is changed as a stop-limit stays what it has become.
        triggered = kind == STOP_LIMIT and not was_waiting
        order.waiting = order.order_type in STOPS and not triggered
        self._floor.publish(order, Status.MODIFIED, now)
        resting = not was_waiting and not order.waiting and order.validity == "DAY"
        if resting and order.price == price and order.quantity <= quantity:
            order.exchange_ts = now
            self._floor.publish(order, Status.OPEN, now)
            return
        book.leave(order)
        self._floor.stand(order, now)

    def _reject(self, order: Order, wrong: str, now: int) -> None:
        order.message, order.raw_message = _texts(wrong)
        self._floor.finish(order, Status.REJECTED, now)


def _texts(wrong: str) -> tuple[str, str]:
    """Give the message for people and the raw one."""
    _, _, short = wrong.partition(":")
    return short.strip() or wrong, wrong
