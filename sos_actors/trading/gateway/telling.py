"""What the desk is told: fills, where an order stands, how it ended."""

from __future__ import annotations

import msgspec

from sos_actors.errors import InputError
from sos_actors.market.clocktime import SECOND_NS, ist_date
from sos_actors.market.ids import parse_id
from sos_actors.messages import AlertLevel, Fill, OrderStatus, OrderUpdate, Side
from sos_actors.trading.gateway.fills import Value, untold, value_of
from sos_actors.trading.gateway.order import Child, GatewayOrder, Placed
from sos_actors.trading.gateway.records import FillBooked, OrderEnded, PositionFound
from sos_actors.trading.gateway.table import BY_HAND, OrderTable

OPEN, UNKNOWN, PARTIALLY_FILLED = OrderStatus.OPEN, OrderStatus.UNKNOWN, OrderStatus.PARTIALLY_FILLED
FILLED, CANCELLED, REJECTED = OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED

COMPLETE, REFUSED = "complete", "rejected"


class Teller:
    """Turns what is known of the orders into the desk's messages, each once."""

    def __init__(self, table: OrderTable) -> None:
        self._table = table

    def tell_fills(self, child: Child) -> bool:
        """Tell what is filled and untold; True where a fill waits for the trade book to say its price."""
        if child.told >= child.filled:
            child.waits_since = 0
            return False
        table, settings = self._table, self._table.settings
        if child.owner is None and table.awaited(child):
            return False  # the answer to the request says whose it is
        contract = table.contract(child.instrument)
        value = value_of(child, contract, settings.average_decimals)
        if value is None or not value.exact:
            child.waits_since = child.waits_since or table.now
            if table.now - child.waits_since < settings.trades_wait_s * SECOND_NS:
                return True
        for execution in untold(child, value or self._guess(child), contract):
            ts = execution.ts if 0 < execution.ts <= table.now else table.now
            self._tell_fill(child, execution.units, execution.paise, ts)
        child.waits_since = 0
        return False

    def _guess(self, child: Child) -> Value:
        """Value fills of which the broker says no price: a lost position would be worse than a wrong price."""
        table = self._table
        terms, quote = child.terms, table.quotes.get(child.instrument)
        price = quote.last if quote is not None and quote.last > 0.0 else 0.0
        if terms is not None and terms.price > 0.0:
            price = terms.price
        name = f"{child.filled - child.told} units of {child.instrument}"
        table.alert(AlertLevel.WARNING, f"the broker says no price for {name}: booked at {price:.2f}")
        return Value(child.told_paise + (child.filled - child.told) * max(round(price * 100.0), 1), exact=False)

    def _tell_fill(self, child: Child, units: int, paise: int, ts: int) -> None:
        table = self._table
        start, end = child.told, child.told + units
        order_id = child.owner.submit.order_id if child.owner is not None else BY_HAND + child.broker_id
        fill = Fill(
            f"{child.broker_id}:{start}-{end}", order_id, ts, child.instrument, child.side, units, paise / 100.0,
            first_of_slice=start == 0,
        )  # fmt: skip
        if child.owner is None:
            closing = table.closing(fill)
            if 0 < closing < units:  # two fills: of what is ours, and of the rest
                self._tell_fill(child, closing, paise, ts)
                self._tell_fill(child, units - closing, paise, ts)
                return
            if closing:
                fill = msgspec.structs.replace(fill, closes=True)
                table.closed[child.instrument] = table.closed.get(child.instrument, 0) + fill.side.sign * units
            what = ": it closes what is held here" if closing else ""
            text = f"{fill.side} {units} {child.instrument} at {fill.price:.2f}, made by hand at the broker{what}"
            table.alert(AlertLevel.WARNING if closing else AlertLevel.INFO, text)
        child.told = end
        child.told_paise += units * paise
        table.out.append(FillBooked(child.broker_id, fill, child.told, child.told_paise))
        if child.owner is not None or is_ours(child.instrument):
            table.out.append(fill)

    def tell_moved(self, instrument: str, signed: int) -> None:
        """Tell that what was held over night has changed by `signed` units while nobody watched.

        What others hold bears it first, and is left alone. Of ours no price is known (0): the desk books its last one.
        """
        table, side, units = self._table, Side.BUY if signed > 0 else Side.SELL, abs(signed)
        broker_id = f"gone-{side}-{instrument}"
        child = table.children.get(broker_id)
        name = f"{broker_id}-{ist_date(table.now)}:{0 if child is None else child.told}"
        fill = Fill(name, BY_HAND + broker_id, table.now, instrument, side, units, 0.0, closes=True)
        ours = table.closing(fill)
        if ours < units:
            theirs = side.sign * (units - ours)
            table.base[instrument] = table.base.get(instrument, 0) + theirs
            table.out.append(PositionFound(instrument, theirs))
        if not ours:
            return
        fill = msgspec.structs.replace(fill, quantity=ours)
        child = child or table.add_gone(broker_id, instrument, side)
        child.filled = child.told = child.told + ours
        table.closed[instrument] = table.closed.get(instrument, 0) + side.sign * ours
        table.alert(
            AlertLevel.WARNING,
            f"{ours} units of {instrument}, held when the day began, are with the broker no more: squared off,"
            " expired or closed by hand while nobody watched; booked at the last price known",
        )
        table.out += (FillBooked(broker_id, fill, child.told, 0), fill)

    def status(self, order: GatewayOrder) -> None:
        """Tell where a working order stands, if that is new."""
        if any(placement.state is Placed.DOUBT for placement in order.placements):
            self._update(order, UNKNOWN, "no answer from the broker: looking for it")
        elif any(child.told for child in order.children):
            self._update(order, PARTIALLY_FILLED, "")
        elif order.children:
            self._update(order, OPEN, "")

    def note(self, order: GatewayOrder, detail: str) -> None:
        """Tell the desk something of a working order that does not change where it stands."""
        status = PARTIALLY_FILLED if any(child.told for child in order.children) else OPEN
        self._table.out.append(OrderUpdate(order.submit.order_id, self._table.now, status, detail))

    def finish(self, order: GatewayOrder, detail: str = "") -> None:
        """Tell how an order ended, for which nothing is open at the broker any more."""
        told = sum(child.told for child in order.children)
        complete = bool(order.children) and all(child.status == COMPLETE for child in order.children)
        if told >= order.quantity or (complete and told == order.asked_before):
            status = FILLED
        elif not told and not order.cancelling and all(child.status == REFUSED for child in order.children):
            status = REJECTED
        else:
            status = CANCELLED
        words = [child.detail for child in order.children if child.detail and child.status != COMPLETE]
        self.end(order, status, detail or (words[0] if words else ""))

    def end(self, order: GatewayOrder, status: OrderStatus, detail: str) -> None:
        """Tell an order's end."""
        table = self._table
        order.ended = True
        order.retry_at = order.retry_units = order.unapplied = 0
        table.active.pop(order.submit.order_id, None)
        table.out.append(OrderEnded(order.submit.order_id, table.now, status, detail))
        self._update(order, status, detail)

    def _update(self, order: GatewayOrder, status: OrderStatus, detail: str) -> None:
        if status is not order.told_status:
            order.told_status = status
            self._table.out.append(OrderUpdate(order.submit.order_id, self._table.now, status, detail))


def is_ours(instrument: str) -> bool:
    """Whether an instrument is one this program has an id for, so that its books can hold it."""
    try:
        parse_id(instrument)
    except (InputError, ValueError):
        return False
    return True
