"""Several orders in one request: multi place, multi cancel, exit all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sos_actors.messages import Side
from sos_actors.sandbox.exchange.answers import Answer, Refusal, success
from sos_actors.sandbox.exchange.desk import Desk
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.orderapi import OrderApi
from sos_actors.sandbox.exchange.orders import Change, Ticket
from sos_actors.sandbox.exchange.positions import Position
from sos_actors.sandbox.exchange.user import SEGMENTS, segment_of
from sos_actors.sandbox.exchange.validation import MARKET, MAX_CORRELATION, MAX_SLICES, slices

_MAX_TOGETHER = 50


class BulkApi:
    """Requests on many orders. Times are UTC ns; every method raises Refusal."""

    def __init__(self, floor: Floor, desk: Desk, orders: OrderApi) -> None:
        self._floor = floor
        self._desk = desk
        self._orders = orders

    def place(self, body: object, now: int) -> Answer:
        """Place several orders, buys first; a row that cannot be read stops all of them."""
        if not isinstance(body, list) or not body:
            raise Refusal("1114")
        tickets, errors = self._tickets(body)
        if errors:
            summary = {"total": len(body), "payload_error": len(errors), "success": 0, "error": 0}
            return Answer(status=400, body={"status": "error", "data": None, "errors": errors, "summary": summary})
        if sum(len(slices(ticket)) for _, ticket in tickets) > MAX_SLICES:
            raise Refusal("1118")
        data: list[dict[str, str]] = []
        refused: list[dict[str, Any]] = []
        for name, ticket in sorted(tickets, key=lambda pair: pair[1].side is Side.SELL):
            if self._floor.faults.hit("reject_place"):
                code = self._floor.faults.menu.reject_place_code.removeprefix("UDAPI")
                refused.append(_error(name, Refusal(code)))
                continue
            made = self._desk.accept(ticket, now)
            # Slices of one row are told apart by a suffix.
            names = [name] if len(made) == 1 else [f"{name}_{number}" for number in range(1, len(made) + 1)]
            data += [
                {"correlation_id": one, "order_id": order.order_id} for one, order in zip(names, made, strict=True)
            ]
        summary = {"total": len(body), "payload_error": 0, "success": len(body) - len(refused), "error": len(refused)}
        if not refused:
            return success(data, summary=summary)
        body_out = {"data": data, "errors": refused, "summary": summary}
        if data:
            return Answer(status=207, body={"status": "partial_success", **body_out})
        return Answer(status=400, body={"status": "error", **body_out})

    def cancel(self, tag: str | None, segment: str | None, now: int) -> Answer:
        """Cancel every open order, of a tag or segment if given."""
        _check_segment(segment, "1108")
        found = [
            order
            for order in self._floor.live.values()
            if (not tag or order.tag == tag) and (not segment or segment_of(order.instrument) == segment)
        ]
        if not found:
            raise Refusal("1109")
        if len(found) > _MAX_TOGETHER:
            raise Refusal("1110")
        for order in found:
            self._desk.ask(order, Change(None), now)
        return _done([order.order_id for order in found])

    def exit(self, tag: str | None, segment: str | None, now: int) -> Answer:
        """Close every position at market, buys first; a tag finds intraday positions opened by orders that bore it."""
        _check_segment(segment, "1108")
        held = [
            one
            for one in self._floor.account.positions.values()
            if one.net
            and (not segment or segment_of(one.instrument) == segment)
            and (not tag or self._tagged(one, tag))
        ]
        if not held:
            raise Refusal("1111")
        if len(held) > _MAX_TOGETHER:
            raise Refusal("1112")
        if not all(self._floor.is_open(one.instrument.exchange, now) for one in held):
            raise Refusal("1113")
        tickets = sorted((closing(one) for one in held), key=lambda ticket: ticket.side is Side.SELL)
        return _done([order.order_id for ticket in tickets for order in self._desk.accept(ticket, now)])

    def _tickets(self, body: list[Any]) -> tuple[list[tuple[str, Ticket]], list[dict[str, Any]]]:
        """Give the rows as tickets by correlation id, and what is wrong with those that are none."""
        tickets: list[tuple[str, Ticket]] = []
        errors: list[dict[str, Any]] = []
        seen: list[str] = []
        for row in body:
            name = row.get("correlation_id") if isinstance(row, Mapping) else None
            try:
                if not name or not isinstance(name, str):
                    raise Refusal("1115", path="correlation_id")
                if len(name) > MAX_CORRELATION:
                    raise Refusal("1116", path="correlation_id", value=name)
                if name in seen:
                    raise Refusal("1117", path="correlation_id", value=name)
                seen.append(name)
                tickets.append((name, self._orders.ticket(row)))
            except Refusal as refusal:
                errors.append(_error(name, refusal))
        return tickets, errors

    def _tagged(self, position: Position, tag: str) -> bool:
        trades = self._floor.account.trades
        return position.product == "I" and any(
            order.tag == tag and order.instrument is position.instrument and order.product == position.product
            for _, order in trades
        )


def closing(position: Position) -> Ticket:
    """Make the market order that closes a position, in slices where it is above the freeze quantity."""
    return Ticket(
        instrument=position.instrument,
        side=Side.SELL if position.net > 0 else Side.BUY,
        quantity=abs(position.net),
        product=position.product,
        validity="DAY",
        order_type=MARKET,
        protection=-1.0,
        slice=True,
    )


def _check_segment(segment: str | None, wrong: str) -> None:
    if segment and segment not in SEGMENTS:
        raise Refusal(wrong, path="segment", value=segment)


def _done(ids: list[str]) -> Answer:
    summary = {"total": len(ids), "success": len(ids), "error": 0}
    return success({"order_ids": ids}, errors=None, summary=summary)


def _error(name: object, refusal: Refusal) -> dict[str, Any]:
    return {"correlation_id": name, **refusal.row()}
