"""The exchange's own books, to be read by those who judge a trader by them, and the audit of the books themselves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from sos_actors.messages import Side
from sos_actors.sandbox.exchange.account import TRADE, Execution
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.orders import FINAL, FOLLOWS, Order, Status


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the exchange knows it now. Prices in paise, `instrument` our id; `words` are its statuses so far."""

    order_id: str
    tag: str
    instrument: str
    side: Side
    product: str
    order_type: str
    status: str
    live: bool
    quantity: int
    filled: int
    value: int
    price: int
    trigger: int
    placed_ts: int
    words: tuple[str, ...]


class Books:
    """Read-only views of orders, executions, positions and cash. The day's orders; executions of all days."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor

    def orders(self, tag: str | None = None) -> tuple[OrderView, ...]:
        """The day's orders in order of arrival; those of one tag if given."""
        return tuple(_view(one) for one in self._floor.orders.values() if tag is None or one.tag == tag)

    def orders_by_tag(self) -> dict[str, tuple[OrderView, ...]]:
        """The day's orders by tag ('' those without)."""
        found: dict[str, list[OrderView]] = {}
        for order in self._floor.orders.values():
            found.setdefault(order.tag or "", []).append(_view(order))
        return {tag: tuple(views) for tag, views in found.items()}

    def live_by_tag(self) -> dict[str, int]:
        """How many orders of each tag are not final."""
        found: dict[str, int] = {}
        for order in self._floor.live.values():
            found[order.tag or ""] = found.get(order.tag or "", 0) + 1
        return found

    def net(self) -> dict[str, int]:
        """Signed units held by instrument, all products together; flat ones left out."""
        found: dict[str, int] = {}
        for one in self._floor.account.positions.values():
            found[one.instrument.id] = found.get(one.instrument.id, 0) + one.net
        return {name: units for name, units in found.items() if units}

    def executions(self) -> tuple[Execution, ...]:
        """Every execution and settlement since the start."""
        return tuple(self._floor.account.executions)

    @property
    def cash(self) -> int:
        """Paise on the account; premiums and charges booked, futures at their full value."""
        return self._floor.account.cash

    @property
    def charges(self) -> int:
        """Paise of charges since the start."""
        return self._floor.account.charges

    def audit(self) -> tuple[str, ...]:
        """What is wrong with the books, a line each; empty when they are in order."""
        return (*self._audit_money(), *self._audit_orders())

    def _audit_money(self) -> Iterator[str]:
        account = self._floor.account
        held: dict[tuple[str, str], int] = {}
        cash, charges = account.start, 0
        names: set[str] = set()
        for one in account.executions:
            key = (one.instrument, one.product)
            held[key] = held.get(key, 0) + one.side.sign * one.quantity
            cash -= one.side.sign * one.quantity * one.price + one.charges
            charges += one.charges
            if one.quantity <= 0 or one.price < 0 or (one.kind == TRADE and not one.price):
                yield f"execution {one.trade_id}: {one.quantity} at {one.price} paise"
            if one.trade_id in names:
                yield f"trade id {one.trade_id} twice"
            names.add(one.trade_id)
        if cash != account.cash:
            yield f"cash is {account.cash} paise, the executions make {cash}"
        if charges != account.charges:
            yield f"charges are {account.charges} paise, the executions make {charges}"
        for key in sorted({*held, *account.positions}):
            position = account.positions.get(key)
            net = position.net if position else 0
            if net != held.get(key, 0):
                yield f"{key[0]} {key[1]}: position {net}, the executions make {held.get(key, 0)}"

    def _audit_orders(self) -> Iterator[str]:
        executed: dict[str, tuple[int, int]] = {}
        for one, _ in self._floor.account.trades:
            units, value = executed.get(one.order_id, (0, 0))
            executed[one.order_id] = (units + one.quantity, value + one.quantity * one.price)
        for order in self._floor.orders.values():
            name = order.order_id
            if (order.filled, order.value) != executed.get(name, (0, 0)):
                yield f"{name}: filled {order.filled} worth {order.value}, the executions make {executed.get(name)}"
            if not 0 <= order.filled <= order.quantity:
                yield f"{name}: filled {order.filled} of {order.quantity}"
            if (order.status is Status.COMPLETE) != (order.filled == order.quantity):
                yield f"{name}: {order.status} with {order.filled} of {order.quantity}"
            if order.final == (name in self._floor.live):
                yield f"{name}: {order.status}, live {name in self._floor.live}"
            book = self._floor.book(order.instrument)
            held = (book.resting.count(order), book.stops.count(order))
            live = order.entered and not order.final
            if held != (live and not order.waiting, live and order.waiting):
                yield f"{name}: {order.status} stands {held[0]} times in the book, {held[1]} times among the stops"
            yield from _audit_history(order)


def _audit_history(order: Order) -> Iterator[str]:
    words = [Status(row["status"]) for _, row in order.history]
    if words[0] is not Status.RECEIVED:
        yield f"{order.order_id}: begins as '{words[0]}'"
    for before, after in pairwise(words):
        if before in FINAL:
            yield f"{order.order_id}: '{before}' is final, '{after}' follows"
        elif before is not after and after not in FOLLOWS[before]:
            yield f"{order.order_id}: '{after}' follows '{before}'"
    filled = [row["filled_quantity"] for _, row in order.history]
    times = [ts for ts, _ in order.history]
    if filled != sorted(filled) or times != sorted(times):
        yield f"{order.order_id}: its history runs backwards"


def _view(order: Order) -> OrderView:
    return OrderView(
        order_id=order.order_id,
        tag=order.tag or "",
        instrument=order.instrument.id,
        side=order.side,
        product=order.product,
        order_type=order.order_type,
        status=str(order.status),
        live=not order.final,
        quantity=order.quantity,
        filled=order.filled,
        value=order.value,
        price=order.price,
        trigger=order.trigger,
        placed_ts=order.placed_ts,
        words=tuple(row["status"] for _, row in order.history),
    )
