"""Placing, modifying and cancelling one order: the checks that answer at once, and the hand-over to the desk."""

from __future__ import annotations

from dataclasses import replace

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.sandbox.exchange.answers import Answer, Refusal, success
from sos_actors.sandbox.exchange.desk import Desk
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.orders import Change, Order, Ticket
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.user import User
from sos_actors.sandbox.exchange.validation import modify_ticket, order_id_of, place_ticket


class OrderApi:
    """The order API of the broker over a desk. Times are UTC ns; every method raises Refusal."""

    def __init__(self, settings: ExchangeSettings, floor: Floor, desk: Desk, user: User) -> None:
        self._unprotected = settings.risk.unprotected_market
        self._floor = floor
        self._desk = desk
        self._user = user

    def ticket(self, body: object) -> Ticket:
        """Check a body to be placed."""
        ticket = place_ticket(body, self._floor.instruments, self._unprotected)
        self._user.check_segment(ticket.instrument)
        return ticket

    def place(self, body: object, now: int, latency_ms: int, version: int) -> Answer:
        """Take a new order."""
        faults = self._floor.faults
        if faults.hit("reject_place"):
            menu = faults.menu
            raise Refusal(menu.reject_place_code.removeprefix("UDAPI"), status=menu.reject_place_status)
        ticket = self.ticket(body)
        if version == 2:
            ticket = replace(ticket, slice=False)
        quick = faults.hit("fill_before_answer")
        orders = self._desk.accept(ticket, now, quick=quick)
        ids = [order.order_id for order in orders]
        answer = success({"order_ids": ids} if version == 3 else {"order_id": ids[0]}, latency_ms=latency_ms)
        if not quick:
            return answer
        return Answer(body=answer.body, delay_ns=int(faults.menu.slow_answer_s * SECOND_NS))

    def modify(self, body: object, now: int, latency_ms: int) -> Answer:
        """Take a change of an order."""
        order = self._find(body.get("order_id") if isinstance(body, dict) else None, "1003")
        if order.final:
            raise Refusal("100041", path="order_id", value=order.order_id)
        self._user.check_segment(order.instrument)
        self._desk.ask(order, Change(modify_ticket(body, order, self._unprotected)), now)
        return success({"order_id": order.order_id}, latency_ms=latency_ms)

    def cancel(self, order_id: object, now: int, latency_ms: int) -> Answer:
        """Take back an order."""
        order = self._find(order_id, "1023")
        if order.final:
            raise Refusal("100040", path="order_id", value=order.order_id)
        self._desk.ask(order, Change(None), now)
        return success({"order_id": order.order_id}, latency_ms=latency_ms)

    def _find(self, order_id: object, required: str) -> Order:
        order = self._floor.orders.get(order_id_of(order_id, required))
        if order is None:
            raise Refusal("100010", path="order_id", value=order_id)
        return order
