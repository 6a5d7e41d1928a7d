"""Changing and taking back: each of the broker's orders is brought to what is wanted of it, one command at a time.

Neither a change nor a cancel can double anything, so after a doubt or a lost race the truth is read and what is still
wanted is asked for once more.
"""

from __future__ import annotations

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages import (
    NAN,
    AlertLevel,
    BrokerOrder,
    CancelOrder,
    CommandAnswered,
    ModifyOrder,
    OrderRole,
    OrderType,
    Outcome,
    SendCancel,
    SendModify,
    Wish,
)
from sos_actors.trading.gateway.gate import EntryGate
from sos_actors.trading.gateway.order import Child, Command, GatewayOrder, Placed
from sos_actors.trading.gateway.placing import Placer
from sos_actors.trading.gateway.pricing import Terms, market_terms, passed, stop_terms
from sos_actors.trading.gateway.records import OrderAsked
from sos_actors.trading.gateway.table import OrderTable
from sos_actors.trading.gateway.telling import Teller
from sos_actors.trading.gateway.verdicts import Verdict, judge

LIMIT, MARKET, STOP = OrderType.LIMIT, OrderType.MARKET, OrderType.STOP
#: The broker's word for an order that stands in the exchange's book (a stop: whose trigger has traded).
WORKING = "open"
#: Reads in a row that must show other terms than those we believe in.
_MISMATCHES = 2
#: Refusals after which a stop that is to become the exit is given up as one, and what such a refusal says: for any
#: other reason (too many requests, a dead token) the stop must go on protecting until it has passed.
_REFUSALS, _STANDING = 2, (Verdict.ORDER, Verdict.CLOSED)


class Changer:
    """Asks the broker for changes until every order of ours is as it is wanted."""

    def __init__(self, table: OrderTable, teller: Teller, placer: Placer, gate: EntryGate) -> None:
        self._table = table
        self._teller = teller
        self._placer = placer
        self._gate = gate
        self._asked: dict[str, Child] = {}

    # -- what the desk wants ------------------------------------------------------------------------------------------

    def modify(self, order: GatewayOrder, wish: ModifyOrder) -> None:
        """Take the desk's wish for other prices, another size, or to leave at once."""
        kind = wish.order_type
        self._table.out.append(
            OrderAsked(wish.order_id, wish.quantity, wish.price, wish.trigger, kind)
        )  # the wish is kept before anything follows from it
        if wish.quantity and wish.quantity != order.quantity:
            order.asked_before, order.quantity = order.quantity, wish.quantity
            if not order.recount:
                order.unapplied += order.quantity - order.asked_before
        self.wish(order, wish.price, wish.trigger, kind)

    def wish(self, order: GatewayOrder, price: float, trigger: float, kind: OrderType | None) -> None:
        """Set the terms on which an order is wanted from now on."""
        table, submit = self._table, order.submit
        contract = table.contract(submit.instrument)
        if kind is MARKET and not order.urgent:
            self._leave(order)
        elif order.urgent:
            return
        elif order.is_stop:
            if trigger == trigger:
                order.terms = stop_terms(submit.side, trigger, contract, table.settings)
        elif price == price:
            order.terms = Terms(LIMIT, price)

    def _leave(self, order: GatewayOrder) -> None:
        """Make an order one that is to fill at once."""
        table, submit = self._table, order.submit
        order.urgent = True
        contract, quote = table.contract(submit.instrument), table.fresh_quote(submit.instrument)
        order.terms = market_terms(submit.side, contract, quote, table.settings, 0)
        for child in order.live:
            child.quiet_until = 0
        if order.retry_at:
            order.retry_at = table.now

    def cancel(self, order: GatewayOrder) -> None:
        """Take an order back, as soon as it is known where it is."""
        if not order.cancelling:
            order.cancelling = True
            order.retry_at = order.retry_units = 0
            self._table.out.append(OrderAsked(order.submit.order_id, cancel=True))

    def hear_again(self, wish: Wish) -> None:
        """Take what the desk wants of an order, unless that is known here already or the order has ended."""
        order = self._table.orders.get(wish.order_id)
        if order is None or order.ended:
            return
        if isinstance(wish, CancelOrder):
            self.cancel(order)
        elif self._is_new(order, wish):
            self.modify(order, wish)

    def _is_new(self, order: GatewayOrder, wish: ModifyOrder) -> bool:
        if (wish.quantity and wish.quantity != order.quantity) or (wish.order_type is MARKET and not order.urgent):
            return True
        if order.urgent or not order.is_stop or wish.trigger != wish.trigger:
            return False
        table, submit = self._table, order.submit
        terms = stop_terms(submit.side, wish.trigger, table.contract(submit.instrument), table.settings)
        return terms != order.terms

    # -- to the broker ------------------------------------------------------------------------------------------------

    def drive(self, order: GatewayOrder) -> None:
        """Send what brings the order's orders at the broker nearer to what is wanted."""
        self._resize(order)
        for child in order.live:
            self.drive_child(order, child)

    def drive_child(self, order: GatewayOrder, child: Child) -> None:
        """Send the next command for one of the broker's orders, if one is due and none is under way."""
        now = self._table.now
        if child.ended or child.command is not None or child.unsure_since or now < child.quiet_until:
            return
        if child.stray or order.cancelling:
            self._send_cancel(child, order)
        elif child.quantity:
            if child.want <= child.filled:
                self._send_cancel(child, order)
            elif child.terms != order.terms or child.want != child.quantity:
                self._send_modify(child, order)

    def _resize(self, order: GatewayOrder) -> None:
        """Share out a change of size among the orders that work; what none of them can hold becomes another one.

        It grows by what the desk asked for and no more, and shrinks whenever it stands for more than is wanted.
        """
        if order.cancelling or order.undecided or order.retry_at:
            return
        live = [child for child in order.live if not child.stray]
        if not live or any(child.command is not None or child.unsure_since or not child.quantity for child in live):
            return
        if order.recount and not self._recounted(order):
            return
        stands_for = sum(child.filled if child.ended else max(child.want, child.filled) for child in order.children)
        room = order.quantity - stands_for
        change, order.unapplied = min(room, max(order.unapplied, 0)), 0
        if room > change and order.is_stop and not order.urgent:
            self._too_small(order, room - change)
            return
        if not change:
            return
        largest = self._table.contract(order.submit.instrument).largest
        for child in live if change > 0 else reversed(live):
            step = min(change, max(largest - child.want, 0)) if change > 0 else max(change, child.filled - child.want)
            child.want += step
            change -= step
        if change > 0:
            self._placer.place(order, change)

    def _too_small(self, order: GatewayOrder, missing: int) -> None:
        """Take a stop back of which the broker never took a part: the desk then rests one for all that is held."""
        name = order.submit.order_id
        self._table.alert(AlertLevel.WARNING, f"{name}: no stop for {missing} units: taken back, another follows")
        self.cancel(order)

    @staticmethod
    def _recounted(order: GatewayOrder) -> bool:
        """After a restart: find what is still to change from what the book shows, once it shows all of it."""
        if any(child.unsure_since or child.command is not None or not child.quantity for child in order.children):
            return False
        for child in order.children:
            child.want = child.quantity
        order.unapplied = order.quantity - sum(child.quantity for child in order.children)
        order.recount = False
        return True

    def _send_cancel(self, child: Child, order: GatewayOrder) -> None:
        request_id = self._ask(child, Command(None, 0, self._table.now))
        self._table.out.append(SendCancel(request_id, child.broker_id, exits=order.exits or child.stray))

    def _send_modify(self, child: Child, order: GatewayOrder) -> None:
        table, terms = self._table, order.terms
        request_id = self._ask(child, Command(terms, child.want, table.now))
        table.out.append(
            SendModify(
                request_id=request_id,
                broker_id=child.broker_id,
                quantity=child.want,
                order_type=terms.order_type,
                price=terms.price or NAN,
                trigger=terms.trigger or NAN,
                protection=table.settings.protection,
                exits=order.exits,
            )
        )

    def _ask(self, child: Child, command: Command) -> str:
        request_id = self._table.request_id()
        self._asked[request_id] = child
        child.command = command
        child.priced_ts = command.sent_ts
        return request_id

    # -- back ---------------------------------------------------------------------------------------------------------

    def answered(self, answer: CommandAnswered) -> Child | None:
        """Take the answer to a change or a cancel; None where it is the answer to something else."""
        child = self._asked.pop(answer.request_id, None)
        if child is None:
            return None
        command, child.command = child.command, None
        table, now = self._table, self._table.now
        if command is None:  # it was given up, and read since
            return child
        if answer.outcome is Outcome.CONFIRMED:
            self._gate.proved()
            if command.terms is None:
                # Confirmed is not yet done: with settle_s at 0 it would be asked again at once, and again.
                child.quiet_until = table.after(max(table.settings.settle_s, table.settings.exit_retry_s))
            else:
                child.terms, child.quantity = command.terms, command.quantity
                child.mismatches, child.priced_ts = 0, now
                if child.owner is not None:
                    child.owner.refusals = 0
        elif answer.outcome is Outcome.UNKNOWN:
            child.unsure_since = now
        else:
            self._refused(child, command, answer)
        return child

    def _refused(self, child: Child, command: Command, answer: CommandAnswered) -> None:
        table, order = self._table, child.owner
        verdict = judge(answer.code, left=answer.outcome is Outcome.REJECTED)
        self._gate.refused(verdict, answer)
        wait = answer.retry_after_s if answer.retry_after_s > 0.0 else table.settings.exit_retry_s
        child.quiet_until = table.after(wait)
        if answer.outcome is Outcome.REFUSED:
            return
        child.unsure_since = table.now
        if verdict is Verdict.FINAL:
            child.quiet_until = 0
        elif order is not None and command.terms is not None:
            what = f"{answer.code} {answer.detail}".strip() or verdict.value
            table.alert(AlertLevel.WARNING, f"{order.submit.order_id}: change refused: {what}")
            if not order.ended:
                self._teller.note(order, f"modify refused: {what}")
                if verdict in _STANDING:
                    self._count_refusal(order)

    def _count_refusal(self, order: GatewayOrder) -> None:
        """Take a stop back that the broker will not make the exit: then the desk sends one."""
        order.refusals += 1
        if (
            order.urgent
            and order.submit.role is OrderRole.STOP
            and order.refusals >= _REFUSALS
            and not order.cancelling
        ):
            text = f"{order.submit.order_id}: the broker will not make this stop an exit: taken back, an exit follows"
            self._table.alert(AlertLevel.WARNING, text)
            self.cancel(order)

    def overdue(self) -> list[GatewayOrder]:
        """Give up waiting for answers that are too late; their orders."""
        table = self._table
        limit = round(table.settings.answer_s * SECOND_NS)
        late = [
            child
            for child in table.watched.values()
            if child.command is not None and table.now - child.command.sent_ts >= limit
        ]
        for child in late:
            child.command, child.unsure_since = None, table.now
        return [child.owner for child in late if child.owner is not None]

    def compare(self, child: Child, shown: BrokerOrder, began: int) -> None:
        """Compare what the book shows (read from `began` on) with what we believe holds there; the book is right."""
        order = child.owner
        if order is None or child.ended or child.command is not None:
            if child.ended and child.unsure_since:
                child.unsure_since, child.quantity = 0, shown.quantity or child.quantity
            return
        if child.unsure_since:
            if began >= child.unsure_since:
                child.unsure_since = child.mismatches = 0
                child.terms = _shown_terms(shown)
                child.quantity = shown.quantity or child.quantity
            return
        if child.terms is None:
            child.terms = _shown_terms(shown)
        elif self._differs(child, child.terms, shown) and began > child.priced_ts:
            child.mismatches += 1
            if child.mismatches >= _MISMATCHES:
                child.mismatches, child.terms = 0, _shown_terms(shown)
                child.quantity = shown.quantity or child.quantity
        else:
            child.mismatches = 0

    @staticmethod
    def _differs(child: Child, terms: Terms, shown: BrokerOrder) -> bool:
        if shown.quantity and shown.quantity != child.quantity:
            return True
        if terms.order_type is MARKET:
            return False
        if terms.order_type is STOP and shown.status == WORKING:
            return False  # it was triggered: what is left of it is a limit order
        seen = _shown_terms(shown)
        return (terms.price > 0.0 and abs(seen.price - terms.price) > 1e-6) or abs(seen.trigger - terms.trigger) > 1e-6

    # -- chase --------------------------------------------------------------------------------------------------------

    def triggered(self, child: Child) -> None:
        """Find out whether a stop was triggered and rests unfilled: from then on it is chased."""
        order = child.owner
        if order is None or order.urgent or not order.is_stop or child.ended or child.status != WORKING:
            return
        quote = self._table.fresh_quote(child.instrument)
        if child.filled or passed(child.side, order.terms.trigger, quote):
            order.urgent = True
            child.priced_ts = self._table.now

    def resting(self, order: GatewayOrder) -> list[Child]:
        """Give those of an exit's orders that wait to be filled, all of which may be priced anew."""
        if not order.urgent or order.cancelling:
            return []
        return [child for child in order.live if child.command is None and not child.unsure_since and not child.stray]

    def chase(self, order: GatewayOrder) -> None:
        """Price an exit anew that has rested unfilled for too long."""
        table, submit = self._table, order.submit
        resting = self.resting(order)
        patience = round(table.settings.chase_s * SECOND_NS)
        if not resting or any(table.now - child.priced_ts < patience for child in resting):
            self._overtaken(order)
            return
        order.chases += 1
        contract, quote = table.contract(submit.instrument), table.fresh_quote(submit.instrument)
        order.terms = market_terms(submit.side, contract, quote, table.settings, order.chases)
        for child in resting:
            child.priced_ts = table.now
            if child.terms == order.terms and order.terms.order_type is MARKET:
                child.terms = None  # the same words, yet priced anew from the last trade

    def _overtaken(self, order: GatewayOrder) -> None:
        """Leave at once where the price has passed a stop that the broker would not move."""
        if order.urgent or not order.is_stop or order.cancelling:
            return
        lagging = [child for child in order.live if child.terms is not None and child.terms != order.terms]
        quote = self._table.fresh_quote(order.submit.instrument)
        if lagging and passed(order.submit.side, order.terms.trigger, quote):
            self._leave(order)

    def undecided(self, order: GatewayOrder) -> bool:
        """Whether a read is needed to know where the order stands."""
        return any(child.unsure_since or not child.quantity for child in order.live) or any(
            placement.state is Placed.DOUBT for placement in order.placements
        )


def _shown_terms(shown: BrokerOrder) -> Terms:
    """Give the terms the broker shows; its own words for the types are LIMIT, MARKET, SL and SL-M."""
    word = shown.order_type.upper()
    kind = STOP if word.startswith(("SL", "STOP")) else MARKET if word == "MARKET" else LIMIT
    price = max(shown.price, 0.0) if shown.price == shown.price else 0.0
    trigger = shown.trigger if shown.trigger > 0.0 and kind is STOP else 0.0
    return Terms(kind, price, trigger)
