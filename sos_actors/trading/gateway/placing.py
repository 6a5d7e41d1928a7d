r"""Placing: an order leaves once, and what became of it is found out, never guessed.

    SENT --confirmed--> TAKEN          SENT --rejected, refused--> NEVER
      \--unknown, no answer--> DOUBT --found by tag--> TAKEN
                                     \--not found by enough reads over enough time--> ABSENT

A request in doubt is never sent again. One that is proved not to have been taken may be followed by another, with a
tag of its own, where it is an exit and the reason will pass.
"""

from __future__ import annotations

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages import NAN, AlertLevel, CommandAnswered, OrderStatus, OrderType, Outcome, SendPlace
from sos_actors.trading.gateway.gate import EntryGate
from sos_actors.trading.gateway.order import Child, GatewayOrder, Placed, Placement, tag_of
from sos_actors.trading.gateway.pricing import first_terms, market_terms, passed
from sos_actors.trading.gateway.records import OrderTaken, PlaceEnded, PlaceSent
from sos_actors.trading.gateway.table import OrderTable
from sos_actors.trading.gateway.telling import Teller
from sos_actors.trading.gateway.verdicts import Verdict, judge

#: Refusals after which an exit goes out again by itself.
_PASSING = (Verdict.TOKEN, Verdict.RATE, Verdict.NIGHT, Verdict.LOCAL, Verdict.CLOSED)
#: An exit that is refused over and over is said so the first time and every so many times.
_SAID_EVERY = 12
#: Seconds between two looks whether the broker's positions bear out what an order is to close.
_PROOF_S = 1.0


class Placer:
    """Sends placing requests and follows them to their end."""

    def __init__(self, table: OrderTable, teller: Teller, gate: EntryGate) -> None:
        self._table = table
        self._teller = teller
        self._gate = gate
        self._asked: dict[str, Placement] = {}

    # -- out ----------------------------------------------------------------------------------------------------------

    def take(self, order: GatewayOrder) -> None:
        """Take a new order of the desk: send it, or say why not."""
        table = self._table
        table.admit(order)
        table.out.append(OrderTaken(order.submit))
        fault = self._fault(order)
        if fault:
            self._teller.end(order, OrderStatus.REJECTED, fault)
        elif self._must_wait(order):
            order.retry_units = order.quantity
        else:
            self.place(order, min(order.quantity, self._most(order)))

    def _must_wait(self, order: GatewayOrder) -> bool:
        """Whether an order may not leave yet; when it is looked at again is noted then.

        At night none is taken. And what was held over night may be gone, squared off or expired while nobody watched:
        an order that closes it would sell what nobody holds, so it waits for the broker's positions.
        """
        if self._gate.night():
            order.retry_at = self._gate.morning()
        elif order.exits and self._table.waits_for_proof(order.submit.instrument):
            order.retry_at = self._table.after(_PROOF_S)
        else:
            return False
        return True

    def _most(self, order: GatewayOrder) -> int:
        return self._table.contract(order.submit.instrument).largest * self._table.settings.slices

    def _fault(self, order: GatewayOrder) -> str:
        contract = self._table.contract(order.submit.instrument)
        if order.quantity <= 0 or contract.lot <= 0 or order.quantity % contract.lot:
            return f"quantity {order.quantity} is not a multiple of the lot {contract.lot}"
        if order.exits:
            return ""
        if order.quantity > self._most(order):
            return f"quantity {order.quantity} needs more than {self._table.settings.slices} exchange orders"
        return self._gate.reason()

    def place(self, order: GatewayOrder, quantity: int) -> None:
        """Send a request for `quantity` units of the order: first into the record, then out."""
        table = self._table
        tag = tag_of(table.prefix, order.submit.order_id, len(order.placements) + 1)
        terms, submit = order.terms, order.submit
        send = SendPlace(
            request_id=table.request_id(),
            tag=tag,
            instrument=submit.instrument,
            side=submit.side,
            quantity=quantity,
            order_type=terms.order_type,
            price=terms.price or NAN,
            trigger=terms.trigger or NAN,
            product=table.settings.product,
            slice=quantity > table.contract(submit.instrument).largest,
            protection=table.settings.protection,
            exits=order.exits,
        )
        order.retry_at = order.retry_units = 0
        placement = self.enter(order, send, table.now)
        self._asked[send.request_id] = placement
        table.out += (PlaceSent(submit.order_id, send, table.now), send)

    def enter(self, order: GatewayOrder, send: SendPlace, sent_ts: int) -> Placement:
        """Put a request into the tables."""
        placement = Placement(order, send, sent_ts)
        order.placements.append(placement)
        self._table.by_tag[send.tag] = placement
        return placement

    def retry(self, order: GatewayOrder) -> None:
        """Send what had to wait, or was proved not to have been taken: an exit, at today's price."""
        if self._must_wait(order):
            return
        table, submit = self._table, order.submit
        contract, quote = table.contract(submit.instrument), table.fresh_quote(submit.instrument)
        if order.is_stop and passed(submit.side, order.terms.trigger, quote):
            order.urgent = True
        if order.urgent:
            order.terms = market_terms(submit.side, contract, quote, table.settings, order.chases)
        elif order.submit.order_type is not OrderType.STOP:
            order.terms = first_terms(submit, contract, quote, table.settings)
        units = order.retry_units
        if not order.live:
            units, order.unapplied = units + order.unapplied, 0
        units = min(units, order.quantity - order.filled, self._most(order))
        if units > 0:
            self.place(order, units)
        else:
            order.retry_at = order.retry_units = 0

    # -- back ---------------------------------------------------------------------------------------------------------

    def answered(self, answer: CommandAnswered) -> GatewayOrder | None:
        """Take the answer to a placing request; None where it is the answer to something else."""
        placement = self._asked.pop(answer.request_id, None)
        if placement is None:
            return None
        order = placement.owner
        outcome = answer.outcome
        if outcome is Outcome.CONFIRMED and answer.broker_ids:
            for broker_id in answer.broker_ids:
                self.attach(placement, broker_id)
            self._decide(placement, Placed.TAKEN)
            self._gate.proved()
            order.refusals = 0
        elif outcome in {Outcome.REJECTED, Outcome.REFUSED} and not placement.children:
            if placement.state is not Placed.ABSENT:
                self._not_taken(placement, answer)
        elif placement.state is Placed.SENT:
            self.doubt(placement)
        return order

    def attach(self, placement: Placement, broker_id: str) -> Child:
        """Take an order the broker shows under a request's tag, or gave as its id."""
        table = self._table
        found = table.children.get(broker_id)
        known = found is not None and found.owner is not None
        child = table.add_child(placement, broker_id)
        if not known:
            if not placement.send.slice:
                child.quantity = child.want = placement.send.quantity
            if placement.state in {Placed.NEVER, Placed.ABSENT} or placement.owner.ended:
                child.stray = True
                name = f"{placement.send.side} {placement.send.quantity} {child.instrument}"
                table.alert(
                    AlertLevel.CRITICAL, f"order {broker_id} ({name}) appeared after it was given up: taken back"
                )
        return child

    def found(self, placement: Placement) -> None:
        """Settle a doubt whose order has been shown in full."""
        if placement.state is Placed.DOUBT and placement.found >= placement.send.quantity:
            self._decide(placement, Placed.TAKEN)

    def _not_taken(self, placement: Placement, answer: CommandAnswered) -> None:
        order, settings = placement.owner, self._table.settings
        verdict = judge(answer.code, left=answer.outcome is Outcome.REJECTED)
        self._gate.refused(verdict, answer)
        self._decide(placement, Placed.NEVER)
        if order.ended:
            return
        detail = f"{answer.code} {answer.detail}".strip() or verdict.value
        live_or_filled = any(child.filled or not child.ended for child in order.children)
        if order.exits and not order.cancelling and (verdict in _PASSING or answer.retry_after_s > 0.0):
            order.retry_units += placement.send.quantity
            order.refusals += 1
            if order.refusals % _SAID_EVERY == 1:
                self._table.alert(AlertLevel.WARNING, f"{order.submit.order_id}: not taken, tried on: {detail}")
            order.retry_at = self._table.after(max(answer.retry_after_s, 0.0) or settings.exit_retry_s)
        elif not live_or_filled:
            status = OrderStatus.CANCELLED if order.cancelling else OrderStatus.REJECTED
            self._teller.end(order, status, detail)

    def doubt(self, placement: Placement) -> None:
        """Note that nobody knows what became of a request; what the stream showed already may settle it."""
        placement.state = Placed.DOUBT
        placement.doubt_since = self._table.now
        self.found(placement)

    def looked(self, began: int, tag: str) -> None:
        """Count a read of the orders (of one tag, or '' the book) that began at `began` against the doubts."""
        table = self._table
        settings = table.settings
        for placement in table.doubts():
            if began < placement.doubt_since or tag not in {"", placement.send.tag}:
                continue
            if tag:
                placement.tag_reads += 1
            else:
                placement.book_reads += 1
            reads = placement.book_reads + placement.tag_reads
            seconds = (table.now - placement.doubt_since) / SECOND_NS
            both = placement.book_reads and placement.tag_reads
            # A broker that cannot be asked for a tag is asked twice as long for its whole book.
            times = 1 if both else 2
            if placement.book_reads and reads >= times * settings.absent_reads and seconds >= times * settings.absent_s:
                self._absent(placement, reads)

    def _absent(self, placement: Placement, reads: int) -> None:
        table, order = self._table, placement.owner
        if placement.children:
            self._decide(placement, Placed.TAKEN)
            missing = placement.send.quantity - placement.found
            table.alert(AlertLevel.WARNING, f"{order.submit.order_id}: {missing} units were never taken by the broker")
            return
        self._decide(placement, Placed.ABSENT)
        seconds = (table.now - placement.doubt_since) / SECOND_NS
        detail = f"not placed: not at the broker in {reads} reads over {seconds:.0f} s"
        table.alert(AlertLevel.WARNING, f"{order.submit.order_id}: {detail}")
        if not any(child.filled or not child.ended for child in order.children):
            status = OrderStatus.CANCELLED if order.cancelling else OrderStatus.REJECTED
            self._teller.end(order, status, detail)

    def overdue(self) -> list[GatewayOrder]:
        """Doubt every request that has had no answer for too long; gives their orders."""
        table = self._table
        limit = round(table.settings.answer_s * SECOND_NS)
        late = [
            placement
            for order in table.active.values()
            for placement in order.placements
            if placement.state is Placed.SENT and table.now - placement.sent_ts >= limit
        ]
        for placement in late:
            self.doubt(placement)
        return [placement.owner for placement in late]

    def _decide(self, placement: Placement, state: Placed) -> None:
        if placement.state is not state:
            placement.state = state
            self._table.out.append(PlaceEnded(placement.send.tag, state.value))
