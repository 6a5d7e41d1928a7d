"""One trade: an intent, the orders that serve it, the units it holds and what they cost."""

from __future__ import annotations

import msgspec

from sos_actors.market.ids import parse_id
from sos_actors.messages import NAN, Direction, ExitReason, Fill, OrderIntent, OrderRole, Side, TradeClosed, TradePlan
from sos_actors.trading.exits import ExitPlan
from sos_actors.trading.ledger_entry import LedgerEntry
from sos_actors.trading.order_machine import OrderRecord
from sos_actors.trading.views import TradeView

#: Reached through its class, a member of an enumeration costs ten times as much.
BUY, EXIT, FLATTEN = Side.BUY, OrderRole.EXIT, ExitReason.FLATTEN

#: Letter of an order's id by what the order is for: `intent-e`, `intent-s`, `intent-t`, `intent-x1`.
ROLE_LETTERS = {OrderRole.ENTRY: "e", OrderRole.STOP: "s", OrderRole.TARGET: "t", EXIT: "x"}


class Execution:
    """A booked fill whose units are shared out: `units` and `charges_paise` are what is left of it."""

    __slots__ = ("charges_paise", "fill", "price_paise", "units")

    def __init__(self, fill: Fill, entry: LedgerEntry) -> None:
        self.fill = fill
        self.price_paise = entry.price_paise
        self.units = fill.quantity
        self.charges_paise = entry.charges_paise

    def take(self, units: int) -> int:
        """Take `units` away; their share of the charges in paise, the last units paying what remains."""
        share = self.charges_paise if units == self.units else self.charges_paise * units // self.units
        self.units -= units
        self.charges_paise -= share
        return share


class Trade:
    """A trade from its intent to flat. Units: `opened` in, `closed` out, `open` held now; money in paise.

    `working` are its orders that have not ended. `reason` is set once it is being closed. `replaces` is the
    opposite trade that this one's entry order closes first (a flip); `flip_to` the other end of that.
    """

    __slots__ = (
        "charges_paise",
        "closed",
        "closed_by",
        "entry_paise",
        "entry_ts",
        "exit_paise",
        "exit_ts",
        "exits",
        "flip_to",
        "index",
        "intent_id",
        "open",
        "opened",
        "plan",
        "reason",
        "replaces",
        "sent",
        "sign",
        "stop_due",
        "stop_order",
        "stops_failed",
        "target_order",
        "working",
    )

    def __init__(self, intent: OrderIntent) -> None:
        plan = intent.plan
        self.intent_id = intent.intent_id
        self.plan = plan
        self.sign = 1 if plan.side is BUY else -1
        self.opened = self.closed = self.open = 0
        self.entry_paise = self.exit_paise = self.charges_paise = 0
        self.entry_ts = self.exit_ts = 0
        self.exits: ExitPlan | None = None
        self.stops_failed = self.stop_due = 0
        self.stop_order: OrderRecord | None = None
        self.target_order: OrderRecord | None = None
        self.working: dict[str, OrderRecord] = {}
        self.sent: dict[OrderRole, int] = {}
        self.reason: ExitReason | None = None
        self.closed_by: ExitReason | None = None
        self.replaces: Trade | None = None
        self.flip_to: Trade | None = None
        self.index = ""
        if plan.index_stop == plan.index_stop or plan.index_target == plan.index_target:
            index = f"{parse_id(plan.instrument).exchange}|INDEX|{plan.underlying}"
            self.index = index if index != plan.instrument else ""

    @property
    def average_entry(self) -> float:
        """Average entry price, rupees."""
        return self.entry_paise / self.opened / 100.0

    def next_order_id(self, role: OrderRole) -> str:
        """Id of the next order of this role: a function of the intent and of how many there were."""
        count = self.sent.get(role, 0) + 1
        self.sent[role] = count
        return self._order_id(role, count)

    def order_ids(self) -> list[str]:
        """Ids of all orders sent so far, role by role."""
        return [self._order_id(role, n) for role, count in self.sent.items() for n in range(1, count + 1)]

    def _order_id(self, role: OrderRole, number: int) -> str:
        order_id = f"{self.intent_id}-{ROLE_LETTERS[role]}"
        return f"{order_id}{number}" if role is EXIT or number > 1 else order_id

    def add(self, execution: Execution, units: int) -> None:
        """Take `units` of the execution in."""
        if not self.opened:
            self.entry_ts = execution.fill.ts
        self.opened += units
        self.open += units
        self.entry_paise += units * execution.price_paise
        self.charges_paise += execution.take(units)

    def reduce(self, execution: Execution, units: int, reason: ExitReason) -> None:
        """Give `units` of the execution out."""
        self.closed += units
        self.open -= units
        self.exit_paise += units * execution.price_paise
        self.charges_paise += execution.take(units)
        self.exit_ts = execution.fill.ts
        self.closed_by = reason
        if self.exits is not None:
            self.exits.note_exit(execution.fill.price)

    def summary(self) -> TradeClosed:
        """Give the round trip as a message, once flat."""
        plan, exits = self.plan, self.exits
        gross = self.sign * (self.exit_paise - self.entry_paise)
        return TradeClosed(
            self.intent_id,
            self.intent_id,
            plan.strategy,
            plan.underlying,
            plan.instrument,
            plan.direction,
            plan.side,
            self.opened,
            self.entry_ts,
            self.exit_ts,
            self.average_entry,
            self.exit_paise / self.closed / 100.0,
            gross,
            self.charges_paise,
            gross - self.charges_paise,
            self.closed_by or FLATTEN,
            plan.regime,
            NAN if exits is None else exits.initial_risk,
            0.0 if exits is None else exits.mae,
            0.0 if exits is None else exits.mfe,
        )

    def view(self) -> TradeView:
        """Give what an observer may know."""
        plan, exits = self.plan, self.exits
        return TradeView(
            self.intent_id,
            plan.strategy,
            plan.instrument,
            plan.side,
            self.open,
            self.average_entry if self.opened else NAN,
            plan.stop if exits is None else exits.stop,
            plan.target,
            "" if self.reason is None else self.reason.value,
            tuple(
                (o.order_id, o.role.value, o.side.value, o.status.value, o.filled, o.quantity)
                for o in self.working.values()
            ),
        )


def stray_plan(plan: TradePlan, execution: Execution) -> TradePlan:
    """Give the plan of units that `plan` did not want: theirs is to be closed at once, without any level."""
    fill, direction = execution.fill, plan.direction
    if fill.side is not plan.side:
        direction = Direction.SHORT if direction is Direction.LONG else Direction.LONG
    return msgspec.structs.replace(
        plan, side=fill.side, quantity=execution.units, direction=direction, entry=fill.price, stop=NAN, target=NAN,
        index_stop=NAN, index_target=NAN, flip=False,
    )  # fmt: skip
