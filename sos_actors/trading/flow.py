"""How trades go through their lives: entry, protection, exit, flip, and what to do with units nobody wanted.

`OrderDesk` takes events apart and calls these; the orders they need are made in `trade_orders`.
"""

from __future__ import annotations

from collections.abc import Mapping

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages import (
    ExitReason,
    ModifyOrder,
    OrderIntent,
    OrderStatus,
    OrderType,
    RefusalReason,
    Refused,
    TradePlan,
)
from sos_actors.trading import stops
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.exit_actions import ExitAction, ExitNow
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.exits import ExitPlan
from sos_actors.trading.order_machine import OrderRecord
from sos_actors.trading.trade import Execution, Trade, stray_plan
from sos_actors.trading.trade_orders import ENTRY, EXIT, STOP, TARGET, TradeOrders

#: Reached through its class, a member of an enumeration costs ten times as much.
FLIP, FLATTEN = ExitReason.FLIP, ExitReason.FLATTEN


class TradeFlow(TradeOrders):
    """The trades of one account, each taken on from one event to the next. Times are UTC ns."""

    def __init__(self, settings: DeskSettings, exits: Mapping[str, ExitSettings]) -> None:
        super().__init__(settings)
        self._exits = dict(exits)

    # -- entry --------------------------------------------------------------------------------------------------------

    def begin(self, trade: Trade, ts: int) -> None:
        """Send the entry, or for a flip first see to the opposite trades."""
        if trade.plan.flip:
            self._turn(trade, ts)
        if trade.replaces is None or not trade.replaces.working:
            self.send_entry(trade, ts)

    def _turn(self, trade: Trade, ts: int) -> None:
        """Close the strategy's opposite trades: one in the same instrument by the entry order itself."""
        plan = trade.plan
        for old in tuple(self.live.values()):
            other = old.plan
            if (
                other.strategy != plan.strategy
                or other.underlying != plan.underlying
                or other.direction is plan.direction
                or old.reason is not None
            ):
                continue
            same = other.instrument == plan.instrument and other.side is not plan.side and not self._by_stop(old)
            if same and trade.replaces is None and old.open:
                old.reason, old.flip_to, trade.replaces = FLIP, trade, old
                self.changed[old.intent_id] = old
                self.take_back(old, ts)
            else:
                self.close(old, FLIP, ts)

    def entry_filled(self, trade: Trade, execution: Execution) -> None:
        """Share out a fill of an entry order: first what it closes (a flip), then what the plan wants, then strays."""
        old, plan = trade.replaces, trade.plan
        ts = execution.fill.ts
        self.changed[trade.intent_id] = trade
        if old is not None and old.open:
            self.changed[old.intent_id] = old
            old.reduce(execution, min(old.open, execution.units), FLIP)
            if not old.open:
                old.flip_to = trade.replaces = None
                self.finish(old, ts)
        wanted = plan.quantity - trade.opened if trade.intent_id in self.live else 0
        units = min(execution.units, wanted)
        if units > 0:
            trade.add(execution, units)
            if trade.exits is None:
                settings = self._exits.get(plan.strategy, self.settings.exits)
                trade.exits = ExitPlan.of(plan, ts, trade.average_entry, settings, self.settings.tick)
            else:
                trade.exits.set_entry(trade.average_entry)
            if trade.reason is None:
                self.protect(trade, ts)
            elif trade.stop_order is not None and trade.stop_order.leaving and not trade.stop_order.ended:
                self.resize(trade.stop_order, trade.open, ts)
        if execution.units:
            self._stray(plan, execution)

    # -- protection ---------------------------------------------------------------------------------------------------

    def protect(self, trade: Trade, ts: int) -> None:
        """See to it that stop and target rest at the broker for just the units held, or are watched here."""
        exits, units = trade.exits, trade.open
        if exits is None or not units:
            return
        self.changed[trade.intent_id] = trade
        if exits.stop != exits.stop and exits.target != exits.target:
            return
        if exits.stop == exits.stop:
            if trade.stop_order is None or trade.stop_order.ended:
                if not exits.watch_stop:
                    self.rest_stop(trade, exits.stop, ts)
            else:
                self.resize(trade.stop_order, units, ts)
        if exits.target == exits.target and not exits.watch_target:
            if not self.settings.rest_target:
                exits.watch_target = True
            elif trade.target_order is None or trade.target_order.ended:
                self.rest_target(trade, exits.target, ts)
            else:
                self.resize(trade.target_order, units, ts)

    def rest_stops(self, ts: int) -> None:
        """Send the stops and exits again whose time has come, and of which none is at the broker."""
        for trade in stops.take_due(self.live.values(), ts):
            self.changed[trade.intent_id] = trade
            if not stops.bare(trade):
                continue
            if trade.reason is not None:
                self.next_step(trade, ts)
            elif trade.exits is not None:
                self.rest_stop(trade, trade.exits.stop, ts)

    def protect_anew(self, ts: int) -> None:
        """On a new day send stops and targets of what stayed open again: the broker's orders ended with the day."""
        for trade in tuple(self.live.values()):
            if trade.exits is not None and trade.reason is None:
                self.changed[trade.intent_id] = trade
                trade.exits.watch_stop = trade.exits.watch_target = False
                trade.stops_failed = trade.stop_due = 0
                self.protect(trade, ts)

    def act(self, trade: Trade, actions: tuple[ExitAction, ...], ts: int) -> None:
        """Do what the exit plan decided, unless the trade is being closed already."""
        for action in actions:
            if trade.reason is not None or not trade.open:
                return
            if isinstance(action, ExitNow):
                self.close(trade, action.reason, ts)
            elif trade.stop_order is None or trade.stop_order.ended:
                self.protect(trade, ts)
            else:
                self.out.append(ModifyOrder(trade.stop_order.order_id, ts, trigger=action.price))

    # -- exit ---------------------------------------------------------------------------------------------------------

    def close(self, trade: Trade, reason: ExitReason, ts: int) -> None:
        """Begin to close a trade: take its orders back, and when their ends are known leave at the market.

        With `exit_by_stop` a stop that rests at the broker is not taken back: it becomes the exit.
        """
        if trade.reason is None:
            trade.reason = reason
            trade.stops_failed = 0  # exits have a row of failures of their own: what stops cost is not waited for again
            self.changed[trade.intent_id] = trade
            stop = trade.stop_order
            if stop is not None and self._by_stop(trade):
                stop.leaving = True
                self.out.append(ModifyOrder(stop.order_id, ts, order_type=OrderType.MARKET))
            self.take_back(trade, ts)
            if not trade.working:
                self.next_step(trade, ts)

    def _by_stop(self, trade: Trade) -> bool:
        """Whether a trade is left by its stop: one works at the broker, and not only in our hopes."""
        stop = trade.stop_order
        usable = stop is not None and not stop.ended and not stop.cancelling
        return self.settings.exit_by_stop and usable and trade.open > 0

    def next_step(self, trade: Trade, ts: int) -> None:
        """Go on with a trade that is being closed and has no order working."""
        if not trade.open:
            self.finish(trade, ts)
        elif trade.flip_to is None:
            self.send_exit(trade, ts)
        elif not trade.flip_to.sent:
            self.send_entry(trade.flip_to, ts)

    def exit_filled(self, trade: Trade, record: OrderRecord, execution: Execution) -> None:
        """Share out a fill of a stop, target or exit order; what exceeds the trade is a stray."""
        units = min(trade.open, execution.units)
        if units:
            self.changed[trade.intent_id] = trade
            trade.reduce(execution, units, _why(trade, record))
        if execution.units:
            self._stray(trade.plan, execution)
        if trade.open and trade.reason is None:
            other = trade.target_order if record is trade.stop_order else trade.stop_order
            if other is not None and not other.ended:
                self.resize(other, trade.open, execution.fill.ts)

    def closed_by_hand(self, trade: Trade, execution: Execution) -> None:
        """Take units out of a trade that somebody else closed; its orders shrink, and are taken back once it is flat.

        What one of them fills in the meantime is a stray.
        """
        ts = execution.fill.ts
        self.changed[trade.intent_id] = trade
        trade.reduce(execution, execution.units, FLATTEN)
        if not trade.open:
            trade.reason = trade.reason or FLATTEN
        for record in trade.working.values():
            if record.role is not ENTRY and trade.open:
                self.resize(record, trade.open, ts)
            elif not trade.open:
                self.cancel(record, ts)
        if not trade.open and not trade.working:
            self.finish(trade, ts)

    def order_ended(self, trade: Trade, record: OrderRecord, ts: int, detail: str) -> None:
        """Draw the consequences of an order's end; it is no longer among the working ones."""
        role = record.role
        self.changed[trade.intent_id] = trade
        if role is ENTRY:
            self._entry_ended(trade, record, ts, detail)
        elif not trade.open:
            self._flat(trade, ts)
        elif trade.reason is not None:
            if role is EXIT:
                stops.exit_failed(trade, ts, self.settings)
            elif not trade.working:
                self.next_step(trade, ts)
        elif record.status is OrderStatus.FILLED:
            self.close(trade, _why(trade, record), ts)
        elif trade.exits is not None:
            if role is STOP:
                if stops.failed(trade, trade.exits, record, ts, self.settings):
                    self.close(trade, ExitReason.UNPROTECTED, ts)
            else:
                trade.exits.watch_target = True

    def _entry_ended(self, trade: Trade, record: OrderRecord, ts: int, detail: str) -> None:
        old, trade.replaces = trade.replaces, None
        if not trade.open:
            self.finish(trade, ts, detail or f"entry {record.status.value.lower()}")
        elif trade.reason is not None and not trade.working:
            self.next_step(trade, ts)
        if old is not None:
            old.flip_to = None
            self.changed[old.intent_id] = old
            self.next_step(old, ts)

    def _flat(self, trade: Trade, ts: int) -> None:
        """Finish a flat trade, once nothing can open it again: an entry still filling is taken back first."""
        filling = [record for record in trade.working.values() if record.role is ENTRY]
        for record in filling:
            self.cancel(record, ts)
        if not filling:
            self.finish(trade, ts)

    def finish(self, trade: Trade, ts: int, detail: str = "entry taken back") -> None:
        """End a trade that holds nothing: TradeClosed, or Refused where it never opened. A waiting flip goes on.

        The other half of a stop and target pair is cancelled by the broker (`oco`) and only let go here.
        """
        if trade.intent_id not in self.live:
            return
        plan = trade.plan
        self.forget(trade)
        if trade.opened:
            self.out.append(trade.summary())
        else:
            self.out.append(
                Refused(
                    ts,
                    plan.strategy,
                    plan.underlying,
                    RefusalReason.EXCHANGE_REJECTED,
                    f"{plan.instrument}: {detail}",
                    plan.signal_id,
                )
            )
        successor, trade.flip_to = trade.flip_to, None
        if successor is not None:
            successor.replaces = None
            self.changed[successor.intent_id] = successor
            if not successor.sent:
                self.send_entry(successor, ts)
        if trade.replaces is not None:
            trade.replaces.flip_to = None
            self.changed[trade.replaces.intent_id] = trade.replaces

    def chase(self, trade: Trade, ts: int) -> None:
        """Once a minute: take back entries out of patience, send exits that ended short once more."""
        if trade.reason is not None and not trade.working:
            self.next_step(trade, ts)
            return
        patience = self.settings.entry_patience_s * SECOND_NS
        for record in trade.working.values():
            if patience and record.role is ENTRY and ts - record.sent_ts >= patience:
                self.cancel(record, ts)

    def let_go(self, trade: Trade, ts: int) -> None:
        """Take a trade's orders back without waiting for their ends, and part it from a flip."""
        self.changed[trade.intent_id] = trade
        for record in trade.working.values():
            self.cancel(record, ts)
        trade.working.clear()
        if trade.flip_to is not None:
            self.changed[trade.flip_to.intent_id] = trade.flip_to
            trade.flip_to.replaces, trade.flip_to = None, None

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _stray(self, plan: TradePlan, execution: Execution) -> None:
        """Take units nobody wanted as a trade of their own and close it at the market."""
        fill, stray = execution.fill, stray_plan(plan, execution)
        trade = self.admit(OrderIntent(f"{fill.fill_id}-stray", fill.ts, stray))
        trade.add(execution, execution.units)
        trade.exits = ExitPlan.of(stray, fill.ts, fill.price, self.settings.exits, self.settings.tick)
        self.close(trade, FLATTEN, fill.ts)


def _why(trade: Trade, record: OrderRecord) -> ExitReason:
    if record.role is STOP and trade.exits is not None and not record.leaving:
        return trade.exits.stop_reason
    if record.role is TARGET:
        return ExitReason.TARGET
    return trade.reason or FLATTEN
