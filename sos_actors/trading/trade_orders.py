"""The orders of trades: sent, changed and taken back; what is to be sent gathers in `TradeOrders.out`."""

from __future__ import annotations

from sos_actors.messages import NAN, CancelOrder, Message, ModifyOrder, OrderRole, OrderType, SubmitOrder
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.order_machine import OrderRecord
from sos_actors.trading.ticks import tick_down, tick_nearest, tick_up
from sos_actors.trading.trade import Trade
from sos_actors.trading.trade_table import TradeTable

#: Reached through its class, a member of an enumeration costs ten times as much.
LIMIT = OrderType.LIMIT
ENTRY, STOP, TARGET, EXIT = OrderRole.ENTRY, OrderRole.STOP, OrderRole.TARGET, OrderRole.EXIT


class TradeOrders(TradeTable):
    """The trades of one account with what their orders are made of. Times are UTC ns."""

    def __init__(self, settings: DeskSettings) -> None:
        super().__init__()
        self.settings = settings
        self.out: list[Message] = []

    def drain(self) -> list[Message]:
        """Give what is to be sent, in order, and begin anew."""
        out, self.out = self.out, []
        return out

    def send_entry(self, trade: Trade, ts: int) -> None:
        """Send a trade's entry; it also buys or sells what is held of the trade it replaces."""
        plan, kind, price = trade.plan, self.settings.entry_order, NAN
        quantity = plan.quantity + (trade.replaces.open if trade.replaces is not None else 0)
        if kind is LIMIT:
            tick = self.settings.tick
            price = tick_up(plan.entry, tick) if trade.sign > 0 else tick_down(plan.entry, tick)
        self._send(trade, ENTRY, quantity, kind, ts, price=price)

    def rest_stop(self, trade: Trade, stop: float, ts: int) -> None:
        """Let a stop for the units held rest at the broker; it and the target cancel each other."""
        level = tick_nearest(stop, self.settings.tick)
        trade.stop_order = self._send(trade, STOP, trade.open, OrderType.STOP, ts, trigger=level, oco=_pair(trade))

    def rest_target(self, trade: Trade, target: float, ts: int) -> None:
        """Let a target for the units held rest at the broker; it and the stop cancel each other."""
        level = tick_nearest(target, self.settings.tick)
        trade.target_order = self._send(trade, TARGET, trade.open, LIMIT, ts, price=level, oco=_pair(trade))

    def send_exit(self, trade: Trade, ts: int) -> None:
        """Leave at the market with all the units held."""
        self._send(trade, EXIT, trade.open, OrderType.MARKET, ts)

    def resize(self, record: OrderRecord, units: int, ts: int) -> None:
        """Let an order stand for just these units beside what it has filled, unless it is being cancelled."""
        wanted = record.filled + units
        if wanted != record.quantity and not record.cancelling:
            record.resize(wanted)
            self.note_order(record)
            self.out.append(ModifyOrder(record.order_id, ts, quantity=wanted))

    def take_back(self, trade: Trade, ts: int) -> None:
        """Cancel what works for a trade, except what closes it: its exit, or a stop that became one."""
        for record in trade.working.values():
            if record.role is not EXIT and not record.leaving:
                self.cancel(record, ts)

    def cancel(self, record: OrderRecord, ts: int) -> None:
        """Cancel an order, unless it is being cancelled."""
        if not record.cancelling:
            record.cancelling = True
            self.note_order(record)
            self.out.append(CancelOrder(record.order_id, ts))

    def _send(
        self,
        trade: Trade,
        role: OrderRole,
        quantity: int,
        kind: OrderType,
        ts: int,
        *,
        price: float = NAN,
        trigger: float = NAN,
        oco: str = "",
    ) -> OrderRecord:
        plan = trade.plan
        side = plan.side if role is ENTRY else plan.side.opposite
        order_id = trade.next_order_id(role)
        order = SubmitOrder(
            order_id, trade.intent_id, ts, plan.instrument, side, quantity, kind, role, price, trigger, oco
        )
        record = self.records[order_id] = trade.working[order_id] = OrderRecord.of(order)
        self.changed[trade.intent_id] = trade
        self.out.append(order)
        return record


def _pair(trade: Trade) -> str:
    return f"{trade.intent_id}-oco"
