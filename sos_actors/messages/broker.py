"""What passes between the order gateway and the connection to a real (or simulated) broker.

The gateway decides, the link only carries: every `Send...` and `Read...` is answered by exactly one message with the
same `request_id`. What the broker says unasked (the order stream) comes as `BrokerOrderChanged`, and may come late,
twice, out of order, or never.
"""

from __future__ import annotations

import msgspec

from sos_actors.messages.base import Message, Side, Word
from sos_actors.messages.market import NAN
from sos_actors.messages.orders import OrderType


class Outcome(Word):
    """How a command to the broker ended.

    CONFIRMED: the broker took it. REJECTED: it said no, and that is proof. REFUSED: it never left us. UNKNOWN: it may
    or may not have been taken (time-out, broken connection, 5xx, an answer nobody can read).
    """

    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


class BrokerOrder(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One order as the broker shows it, in the order book, its history, or on the stream.

    `instrument` is our id, or the broker's own key where we do not know it; `status` the broker's word, lower case;
    `revision` counts its changes (the broker's order_request_id); `ts` the later of its time stamps, UTC ns, 0 where
    there is none. `ended` says that the broker counts it as final. Prices in rupees, NaN where there is none.
    """

    broker_id: str
    instrument: str
    side: Side
    quantity: int
    status: str
    ended: bool
    tag: str = ""
    filled: int = 0
    average_price: float = NAN
    order_type: str = ""
    product: str = ""
    price: float = NAN
    trigger: float = NAN
    revision: int = 0
    ts: int = 0
    detail: str = ""
    exchange_id: str = ""
    parent_id: str = ""


class BrokerTrade(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One execution as the broker's trade book shows it. `ts` is the exchange's time, UTC ns."""

    trade_id: str
    broker_id: str
    instrument: str
    side: Side
    quantity: int
    price: float
    ts: int


class BrokerPosition(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What the broker says is held of one instrument and product. `quantity` is signed units; values in rupees."""

    instrument: str
    product: str
    quantity: int
    average_price: float = NAN
    buy_quantity: int = 0
    sell_quantity: int = 0
    buy_value: float = NAN
    sell_value: float = NAN
    last_price: float = NAN


class SendPlace(Message, frozen=True, gc=False):
    """Place one order at the broker. Order gateway -> broker link; answered by CommandAnswered.

    `tag` (at most 40 characters) is the only thing by which the order can be found again. `protection` is the broker's
    market protection: percent, or -1 for its own table; it goes with MARKET and with STOP without a price. A STOP with
    a `price` is a stop-limit order. With `slice` the broker cuts what is above the freeze quantity.
    """

    request_id: str
    tag: str
    instrument: str
    side: Side
    quantity: int
    order_type: OrderType
    price: float = NAN
    trigger: float = NAN
    product: str = "I"
    validity: str = "DAY"
    slice: bool = False
    protection: float = -1.0
    exits: bool = False


class SendModify(Message, frozen=True, gc=False):
    """Change an order at the broker. Order gateway -> broker link; answered by CommandAnswered.

    The broker wants every field, so all are given. `exits` asks the rate limiter for the share kept for exits.
    """

    request_id: str
    broker_id: str
    quantity: int
    order_type: OrderType
    price: float = NAN
    trigger: float = NAN
    validity: str = "DAY"
    protection: float = -1.0
    exits: bool = False


class SendCancel(Message, frozen=True, gc=False):
    """Take an order back at the broker. Order gateway -> broker link; answered by CommandAnswered."""

    request_id: str
    broker_id: str
    exits: bool = False


class ReadOrders(Message, frozen=True, gc=False):
    """Read the day's orders: those of one tag, or the whole book. Order gateway -> broker link; OrdersRead answers."""

    request_id: str
    tag: str = ""


class ReadTrades(Message, frozen=True, gc=False):
    """Read the day's executions. Order gateway -> broker link; answered by TradesRead."""

    request_id: str


class ReadPositions(Message, frozen=True, gc=False):
    """Read what the account holds. Order gateway -> broker link; answered by PositionsRead."""

    request_id: str


class ReadFunds(Message, frozen=True, gc=False):
    """Read the free money. Order gateway -> broker link; answered by FundsRead."""

    request_id: str


class CommandAnswered(Message, frozen=True, gc=False):
    """What became of a SendPlace, SendModify or SendCancel. Broker link -> order gateway.

    `broker_ids` are the ids of a placed order (several where it was cut); `code` the broker's error code or '';
    `retry_after_s` is above 0 where the broker or our own limiter says that nothing can go out before.
    """

    request_id: str
    ts: int
    outcome: Outcome
    broker_ids: tuple[str, ...] = ()
    code: str = ""
    detail: str = ""
    retry_after_s: float = 0.0


class OrdersRead(Message, frozen=True, gc=False):
    """Answer to ReadOrders. Broker link -> order gateway. `ok` false: the read failed, and proves nothing."""

    request_id: str
    ts: int
    ok: bool
    orders: tuple[BrokerOrder, ...] = ()
    tag: str = ""
    detail: str = ""


class TradesRead(Message, frozen=True, gc=False):
    """Answer to ReadTrades. Broker link -> order gateway. `ok` false: the read failed."""

    request_id: str
    ts: int
    ok: bool
    trades: tuple[BrokerTrade, ...] = ()
    detail: str = ""


class PositionsRead(Message, frozen=True, gc=False):
    """Answer to ReadPositions. Broker link -> order gateway. `ok` false: the read failed."""

    request_id: str
    ts: int
    ok: bool
    positions: tuple[BrokerPosition, ...] = ()
    detail: str = ""


class FundsRead(Message, frozen=True, gc=False):
    """Answer to ReadFunds. Broker link -> order gateway, RiskActor. Rupees free to trade; `ok` false: failed."""

    request_id: str
    ts: int
    ok: bool
    available: float = NAN
    used: float = NAN
    detail: str = ""


class BrokerOrderChanged(Message, frozen=True, gc=False):
    """The order stream says that an order changed. Broker link -> order gateway."""

    ts: int
    order: BrokerOrder


class OrderStreamChanged(Message, frozen=True, gc=False):
    """The order stream came up or went down. Broker link -> order gateway, observers.

    When it comes up, what happened meanwhile was not sent: the books must be read again.
    """

    ts: int
    live: bool
    detail: str = ""


class AccountDiffered(Message, frozen=True, gc=False):
    """Our books and the broker's differ, or (`differences` empty) agree again. Order gateway -> RiskActor, observers.

    While they differ nothing is entered. Each difference is one line: what, ours, the broker's. With `starting` the
    first line only says that the broker's books have not been read yet, which is no difference.
    """

    ts: int
    differences: tuple[str, ...]
    starting: bool = False


class CheckOrders(Message, frozen=True, gc=False):
    """Look after orders, doubts and reads that are due at `ts`. GatewayActor, OrderActor -> themselves, by a timer."""

    ts: int
