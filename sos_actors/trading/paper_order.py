"""What the paper exchange keeps of one working order."""

from __future__ import annotations

from sos_actors.messages import OrderType, Side, SubmitOrder

#: Reached through its class, a member of an enumeration costs ten times as much.
BUY = Side.BUY


class PaperOrder:
    """A working order: `quantity` in all, `filled` so far; `fills` numbers its executions. Prices in rupees.

    `live_from` is when the exchange has it (ticks before that pass it by), UTC ns. A triggered stop goes on as
    a market order.
    """

    __slots__ = (
        "buy",
        "filled",
        "fills",
        "instrument",
        "live_from",
        "oco",
        "order_id",
        "order_type",
        "price",
        "quantity",
        "side",
        "trigger",
    )

    def __init__(self, message: SubmitOrder, live_from: int) -> None:
        self.order_id = message.order_id
        self.instrument = message.instrument
        self.side = message.side
        self.buy = message.side is BUY
        self.quantity = message.quantity
        self.order_type: OrderType = message.order_type
        self.price = message.price
        self.trigger = message.trigger
        self.oco = message.oco
        self.live_from = live_from
        self.filled = 0
        self.fills = 0
