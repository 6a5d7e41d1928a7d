"""Everything the parts of the gateway share: its orders by every name they have, and what is to be sent and kept."""

from __future__ import annotations

from collections.abc import Callable

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages import AlertLevel, AlertRaised, BrokerOrder, Fill, Message, Side
from sos_actors.trading.gateway.order import Child, GatewayOrder, Placed, Placement
from sos_actors.trading.gateway.records import ChildFound, Record
from sos_actors.trading.gateway.settings import Contract, GatewaySettings, Quote

#: Order id under which fills of orders made by hand at the broker are booked: this and the broker's id.
BY_HAND = "external:"
#: A time without end.
NEVER = 1 << 62
#: Who speaks in the gateway's alerts.
SOURCE = "broker"


class OrderTable:
    """The orders of the day and the gateway's outbox. `now` is the time of the event at hand, UTC ns.

    `active` are the orders that have not ended. `watched` are the broker's orders of which something is
    still to come. `base` is what was held when the day began, by instrument, and `carried` what of it our orders had
    opened; `unproved` are those that no read of today's positions has borne out yet, with the time until which what
    would close ours waits. `closed` are the signed units by which orders that are not ours have closed what ours
    had opened.
    """

    def __init__(self, settings: GatewaySettings, contract: Callable[[str], Contract], prefix: str) -> None:
        self.settings = settings
        self.contract = contract
        self.prefix = prefix
        self.now = 0
        self.out: list[Message | Record] = []
        self.quotes: dict[str, Quote] = {}
        self.base: dict[str, int] = {}
        self.carried: dict[str, int] = {}
        self.unproved: dict[str, int] = {}
        self.closed: dict[str, int] = {}
        self.orders: dict[str, GatewayOrder] = {}
        self.active: dict[str, GatewayOrder] = {}
        self.by_tag: dict[str, Placement] = {}
        self.children: dict[str, Child] = {}
        self.watched: dict[str, Child] = {}
        self._requests = 0

    def request_id(self) -> str:
        """Give a new id for a request: unique in this session, and so for ever."""
        self._requests += 1
        return f"{self.prefix}-{self._requests}"

    def drain(self) -> list[Message | Record]:
        """Give what is to be kept and sent, in order, and begin anew."""
        out, self.out = self.out, []
        return out

    def alert(self, level: AlertLevel, text: str) -> None:
        """Tell whoever watches."""
        self.out.append(AlertRaised(self.now, level, SOURCE, text))

    def after(self, seconds: float) -> int:
        """Give the time so many seconds from now."""
        return self.now + round(seconds * SECOND_NS)

    def fresh_quote(self, instrument: str) -> Quote | None:
        """Give the last quote unless it is too old."""
        quote = self.quotes.get(instrument)
        if quote is None or self.now - quote.ts > self.settings.quote_fresh_s * SECOND_NS:
            return None
        return quote

    def admit(self, order: GatewayOrder) -> None:
        """Put a new order into the tables."""
        self.orders[order.submit.order_id] = self.active[order.submit.order_id] = order

    def add_child(self, placement: Placement, broker_id: str) -> Child:
        """Put a broker's order that came of a request into the tables, once, and into the record.

        One that was shown without our tag before was taken for somebody else's, and is ours from now on.
        """
        order = placement.owner
        child = self.children.get(broker_id)
        if child is None:
            child = Child(broker_id, order.submit.instrument, order.submit.side, order)
        elif child.owner is not None or child.told:
            return child
        child.owner, child.placement = order, placement
        child.terms = order.terms if placement is order.placements[-1] else None
        child.priced_ts = placement.sent_ts
        self.children[broker_id] = self.watched[broker_id] = child
        placement.children.append(child)
        order.children.append(child)
        self.out.append(ChildFound(placement.send.tag, broker_id))
        return child

    def external(self, shown: BrokerOrder) -> Child:
        """Put an order made by hand into the tables."""
        child = Child(shown.broker_id, shown.instrument, shown.side, None)
        self.children[shown.broker_id] = self.watched[shown.broker_id] = child
        return child

    def add_gone(self, broker_id: str, instrument: str, side: Side) -> Child:
        """Put the order nobody knows, by which units held over night have ended, into the tables."""
        child = self.children[broker_id] = Child(broker_id, instrument, side, None)
        child.ended = True
        return child

    def prune(self) -> None:
        """Watch no more what has ended and been told."""
        done = [broker_id for broker_id, child in self.watched.items() if child.settled]
        for broker_id in done:
            del self.watched[broker_id]

    def positions(self) -> dict[str, int]:
        """Give what should be held by instrument: what the day began with and everything filled since."""
        held = dict(self.base)
        for child in self.children.values():
            if child.filled:
                units = child.filled if child.side is Side.BUY else -child.filled
                held[child.instrument] = held.get(child.instrument, 0) + units
        return held

    def open_day(self) -> None:
        """Forget the day's orders: what they hold is carried over, if the broker says so too."""
        held = {name: self.held(name) for name in dict.fromkeys((*self.carried, *self.by_instrument()))}
        self.base = {instrument: units for instrument, units in self.positions().items() if units}
        self.carry({instrument: units for instrument, units in held.items() if units})
        for table in (self.closed, self.orders, self.by_tag, self.children, self.watched):
            table.clear()

    def carry(self, units: dict[str, int]) -> None:
        """Note what of `base` our orders hold, by instrument; today's positions have to bear all of it out."""
        self.carried = units
        self.unproved = dict.fromkeys((*self.base, *units), NEVER)

    def waits_for_proof(self, instrument: str) -> bool:
        """Say whether nothing may be sent yet that would close what our orders of the days before hold."""
        return instrument in self.carried and self.unproved.get(instrument, 0) > self.now

    def by_instrument(self) -> dict[str, None]:
        """Give the instruments that our orders of the day traded."""
        return {child.instrument: None for child in self.children.values() if child.owner is not None}

    def held(self, instrument: str) -> int:
        """Give the signed units that our orders hold of an instrument, as the desk was told."""
        own = sum(
            child.told * child.side.sign
            for child in self.children.values()
            if child.owner is not None and child.instrument == instrument
        )
        return self.carried.get(instrument, 0) + self.closed.get(instrument, 0) + own

    def awaited(self, child: Child) -> bool:
        """Say whether an order that is not ours, by what we know, may yet turn out to be what a request came to."""
        return any(
            placement.state in {Placed.SENT, Placed.DOUBT}
            and (placement.send.instrument, placement.send.side) == (child.instrument, child.side)
            for order in self.active.values()
            for placement in order.placements
        )

    def closing(self, fill: Fill) -> int:
        """Say how many units of a fill that is not ours, not told yet, close what our orders hold.

        Those that what others hold cannot bear: who sells all there is sells ours as well.
        """
        ours = self.closed.get(fill.instrument, 0) + self.carried.get(fill.instrument, 0)
        others = self.base.get(fill.instrument, 0) - ours
        for child in self.children.values():
            if child.instrument != fill.instrument:
                continue
            if child.owner is not None:
                ours += child.told * child.side.sign
            else:
                others += child.told * child.side.sign
        way = -fill.side.sign
        return max(min(ours * way, fill.quantity - others * way, fill.quantity), 0)

    def doubts(self) -> list[Placement]:
        """Give the requests whose fate is unknown, oldest first."""
        return [
            placement
            for order in self.active.values()
            for placement in order.placements
            if placement.state is Placed.DOUBT
        ]
