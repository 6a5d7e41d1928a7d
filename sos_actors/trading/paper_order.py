"""What the paper exchange keeps of one working order."""

from __future__ import annotations

import msgspec

from sos_actors.messages import OrderType, Side, SubmitOrder

#: Reached through its class, a member of an enumeration costs ten times as much.
BUY = Side.BUY


class PaperOrder(msgspec.Struct, eq=False, gc=False):
    """A working order: `quantity` in all, `filled` so far; `fills` numbers its executions. Prices in rupees.

    `since` is when it was sent and `live_from` when the exchange has it (ticks before that pass it by), UTC ns. A
    triggered stop goes on as a market order.
    """

    order_id: str
    instrument: str
    side: Side
    buy: bool
    quantity: int
    order_type: OrderType
    price: float
    trigger: float
    oco: str
    since: int
    live_from: int
    filled: int = 0
    fills: int = 0

    @classmethod
    def of(cls, message: SubmitOrder, live_from: int) -> PaperOrder:
        """Give what is kept of an order that has come in."""
        side = message.side
        return cls(
            message.order_id,
            message.instrument,
            side,
            side is BUY,
            message.quantity,
            message.order_type,
            message.price,
            message.trigger,
            message.oco,
            message.ts,
            live_from,
        )
