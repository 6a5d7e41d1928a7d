"""Taking up where the records end: orders, requests, what the broker gave, what the desk was told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable

from sos_actors.messages import AlertLevel, Fill, Message, OrderRole, OrderStatus, OrderUpdate
from sos_actors.trading.gateway.changing import Changer
from sos_actors.trading.gateway.order import Child, GatewayOrder, Placed
from sos_actors.trading.gateway.placing import Placer
from sos_actors.trading.gateway.pricing import first_terms
from sos_actors.trading.gateway.records import (
    ChildFound,
    DayBegun,
    FillBooked,
    OrderAsked,
    OrderEnded,
    OrderTaken,
    PlaceEnded,
    PlaceSent,
    PositionFound,
    Record,
)
from sos_actors.trading.gateway.table import OrderTable
from sos_actors.trading.gateway.telling import is_ours


class Restorer:
    """Reads records into the tables, and tells the desk again what it was told and, as it was saved, does not know."""

    def __init__(self, table: OrderTable, placer: Placer, changer: Changer) -> None:
        self._table = table
        self._placer = placer
        self._changer = changer
        self._again: list[Message] = []
        self._working: tuple[str, ...] = ()
        self._known: Container[str] = ()
        self._fills = 0

    def replay(self, records: Iterable[Record], working: tuple[str, ...], known: Container[str]) -> dt.date | None:
        """Read the records of the day, oldest first; gives the day."""
        self._working, self._known = working, known
        day = None
        for record in records:
            if isinstance(record, DayBegun):
                day = record.day
                self._table.base = dict(record.positions)
                self._table.carry(dict(record.ours))
            elif isinstance(record, PositionFound):
                self._table.base[record.instrument] = self._table.base.get(record.instrument, 0) + record.quantity
            elif isinstance(record, FillBooked):
                self._fill(record)
            else:
                self._order(record)
        self._table.out.clear()
        for order in self._table.orders.values():
            self._uncertain(order)
            if order.exits and order.placements:  # that waited for the day's positions
                self._table.unproved.pop(order.submit.instrument, None)
        return day

    def tell_again(self) -> None:
        """Tell the desk fills and ends once more, and what became of orders it waits for that never came here."""
        table = self._table
        if table.orders or self._fills:
            counts = f"{self._fills} fills and {len(table.orders)} orders"
            table.alert(AlertLevel.INFO, f"recovered {counts} of the day, {len(table.active)} orders at work")
        table.out += self._again
        self._again = []
        for placement in [p for order in table.active.values() for p in order.placements]:
            if placement.state is Placed.SENT:
                self._placer.doubt(placement)
        for child in table.children.values():
            if not child.ended and child.owner is not None:
                child.unsure_since = max(table.now, 1)
        for order_id in self._working:
            if order_id not in table.orders:
                detail = "never sent: the program ended before"
                table.out.append(OrderUpdate(order_id, table.now, OrderStatus.CANCELLED, detail))

    def _order(self, record: Record) -> None:
        table = self._table
        if isinstance(record, OrderTaken):
            contract = table.contract(record.order.instrument)
            order = GatewayOrder(record.order, first_terms(record.order, contract, None, table.settings))
            table.admit(order)
        elif isinstance(record, PlaceSent):
            self._placer.enter(table.orders[record.order_id], record.send, record.ts)
        elif isinstance(record, PlaceEnded):
            table.by_tag[record.tag].state = Placed(record.state)
        elif isinstance(record, ChildFound):
            placement = table.by_tag[record.tag]
            child = table.add_child(placement, record.broker_id)
            if not placement.send.slice:
                child.quantity = child.want = placement.send.quantity
            child.stray = placement.state in {Placed.NEVER, Placed.ABSENT} or placement.owner.ended
        elif isinstance(record, OrderAsked):
            order = table.orders[record.order_id]
            order.cancelling |= record.cancel
            if record.quantity:
                order.asked_before, order.quantity = order.quantity, record.quantity
            self._changer.wish(order, record.price, record.trigger, record.order_type)
        elif isinstance(record, OrderEnded):
            order = table.orders[record.order_id]
            order.ended, order.told_status = True, record.status
            table.active.pop(record.order_id, None)
            if record.order_id in self._working:
                self._again.append(OrderUpdate(record.order_id, record.ts, record.status, record.detail))

    def _fill(self, record: FillBooked) -> None:
        fill: Fill = record.fill
        child = self._table.children.get(record.broker_id)
        if child is None:
            child = self._table.children[record.broker_id] = Child(record.broker_id, fill.instrument, fill.side, None)
        child.filled, child.told, child.told_paise = record.told, record.told, record.told_paise
        self._fills += 1
        if fill.closes:
            closed = self._table.closed
            closed[fill.instrument] = closed.get(fill.instrument, 0) + fill.side.sign * fill.quantity
        if fill.fill_id not in self._known and (child.owner is not None or is_ours(fill.instrument)):
            self._again.append(fill)

    @staticmethod
    def _uncertain(order: GatewayOrder) -> None:
        """Note what the records cannot say: how far a change had come, and an exit that waited to be sent again."""
        if order.ended:
            return
        sent = [placement for placement in order.placements if placement.state is not Placed.NEVER]
        if not sent:
            # An entry that never left is not sent now: its reason is old. An exit is still wanted.
            order.cancelling |= order.submit.role is OrderRole.ENTRY
            order.retry_at, order.retry_units = (0, 0) if order.cancelling else (1, order.quantity)
            return
        order.recount = order.submit.role is OrderRole.STOP and order.quantity != order.submit.quantity
