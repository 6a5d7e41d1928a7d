"""Taking in what the broker shows, on the stream or in its books, and what follows from it for each order."""

from __future__ import annotations

from collections.abc import Iterable

from sos_actors.messages import BrokerOrder, BrokerTrade
from sos_actors.trading.gateway.changing import Changer
from sos_actors.trading.gateway.order import Child, GatewayOrder
from sos_actors.trading.gateway.placing import Placer
from sos_actors.trading.gateway.reading import Book, Reader, Reading
from sos_actors.trading.gateway.table import OrderTable
from sos_actors.trading.gateway.telling import Teller


class Intake:
    """Takes the broker's word in and draws its consequences."""

    def __init__(self, table: OrderTable, teller: Teller, placer: Placer, changer: Changer, reader: Reader) -> None:
        self._table = table
        self._teller = teller
        self._placer = placer
        self._changer = changer
        self._reader = reader

    def orders(self, shown: Iterable[BrokerOrder], reading: Reading) -> None:
        """Take the order book, or (`reading.tag`) the orders of one tag."""
        table = self._table
        met = {order.submit.order_id: order for order in table.active.values()}
        seen = set()
        for one in shown:
            child = self.show(one, reading.began)
            seen.add(child.broker_id)
            # Of what has ended and was told nothing follows: most of a day's book.
            if child.owner is not None and not (child.owner.ended and child.settled):
                met[child.owner.submit.order_id] = child.owner
        if not reading.tag:
            self._note_missing(seen, reading.began)
        self._placer.looked(reading.began, reading.tag)
        for order in met.values():
            self.touch(order)

    def _note_missing(self, seen: set[str], began: int) -> None:
        for order in self._table.active.values():
            for child in order.live:
                if child.broker_id in seen:
                    child.missing_since = 0
                elif not child.missing_since and began > child.priced_ts:
                    child.missing_since = began

    def trades(self, shown: Iterable[BrokerTrade]) -> None:
        """Take the trade book: what was executed, to the paisa."""
        met: dict[str, Child] = {}
        for trade in shown:
            child = self._table.children.get(trade.broker_id)
            if child is None:
                self._reader.want(Book.ORDERS)  # an order nobody has shown yet
            elif trade.trade_id not in child.trades:
                child.trades[trade.trade_id] = (trade.ts, trade.quantity, round(trade.price * 100.0))
                child.filled = max(child.filled, sum(units for _, units, _ in child.trades.values()))
                met[child.broker_id] = self._table.watched[child.broker_id] = child
        for child in met.values():
            if child.owner is not None:
                self.touch(child.owner)
            else:
                self._teller.tell_fills(child)

    def show(self, shown: BrokerOrder, began: int) -> Child:
        """Take one order as the broker shows it; `began` is when the read of it did, 0 for the stream."""
        table = self._table
        child = table.children.get(shown.broker_id)
        if child is None:
            placement = table.by_tag.get(shown.tag) if shown.tag else None
            child = table.external(shown) if placement is None else self._placer.attach(placement, shown.broker_id)
        if child.merge(shown):
            table.watched[child.broker_id] = child
        if child.placement is not None:
            self._placer.found(child.placement)
        if began:
            self._changer.compare(child, shown, began)
        if child.owner is None and self._teller.tell_fills(child):
            self._reader.want(Book.TRADES)
        return child

    def touch(self, order: GatewayOrder) -> None:
        """Draw the consequences of what is known of an order: fills, commands, where it stands, its end."""
        held = False
        for child in order.children:
            self._changer.triggered(child)
            held |= self._teller.tell_fills(child)
        if held:
            self._reader.want(Book.TRADES)
        if order.ended:
            for child in order.live:
                self._changer.drive_child(order, child)
            return
        self._changer.drive(order)
        if order.undecided or order.live or order.retry_at:
            self._teller.status(order)
        elif not held:
            self._teller.finish(order)
