"""Orders and what becomes of them."""

from __future__ import annotations

from sos_actors.messages.base import Direction, Message, Regime, Side, Word
from sos_actors.messages.market import NAN


class OrderType(Word):
    """How an order may be priced. STOP becomes a market order once its trigger trades."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"


class OrderStatus(Word):
    """Where an order stands; the legal steps are in trading/order_machine.py."""

    INTENT = "INTENT"
    SUBMITTED = "SUBMITTED"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class OrderRole(Word):
    """What an order is for."""

    ENTRY = "ENTRY"
    STOP = "STOP"
    TARGET = "TARGET"
    EXIT = "EXIT"


class ExitReason(Word):
    """Why a position was closed."""

    STOP = "STOP"
    TARGET = "TARGET"
    BREAK_EVEN = "BREAK_EVEN"
    TRAILING = "TRAILING"
    TIME_STOP = "TIME_STOP"
    SQUARE_OFF = "SQUARE_OFF"
    INDEX_STOP = "INDEX_STOP"
    INDEX_TARGET = "INDEX_TARGET"
    UNPROTECTED = "UNPROTECTED"
    FLIP = "FLIP"
    FLATTEN = "FLATTEN"
    DAILY_LOSS = "DAILY_LOSS"
    EXPIRY = "EXPIRY"
    END_OF_DATA = "END_OF_DATA"


class SubmitOrder(Message, frozen=True, gc=False):
    """Send this order. OrderActor -> BrokerActor, FeedActor. `price` is the limit, `trigger` the stop's; NaN: unused.

    Orders with the same non-empty `oco` cancel one another when one of them fills completely.
    """

    order_id: str
    intent_id: str
    ts: int
    instrument: str
    side: Side
    quantity: int
    order_type: OrderType
    role: OrderRole
    price: float = NAN
    trigger: float = NAN
    oco: str = ""


class ModifyOrder(Message, frozen=True, gc=False):
    """Change a working order's prices, quantity or type. OrderActor -> BrokerActor. NaN, 0, None: leave as is.

    A resting stop made MARKET leaves at once: one order all the way, so the units are never without one.
    """

    order_id: str
    ts: int
    price: float = NAN
    trigger: float = NAN
    quantity: int = 0
    order_type: OrderType | None = None


class CancelOrder(Message, frozen=True, gc=False):
    """Take a working order back. OrderActor -> BrokerActor."""

    order_id: str
    ts: int


#: What may be wanted of an order at work.
Wish = ModifyOrder | CancelOrder


class OrderUpdate(Message, frozen=True, gc=False):
    """What the broker says of an order. BrokerActor -> OrderActor."""

    order_id: str
    ts: int
    status: OrderStatus
    detail: str = ""


class Fill(Message, frozen=True, gc=False):
    """Units traded. BrokerActor -> OrderActor, RiskActor. `fill_id` is the broker's, unique per execution.

    `first_of_slice`: the first units of one of several exchange orders that the order was cut into or sent again as;
    each of them costs brokerage. `closes`: made by hand or by the broker itself, out of what our trades hold; `price`
    is 0 where it happened while nobody watched.
    """

    fill_id: str
    order_id: str
    ts: int
    instrument: str
    side: Side
    quantity: int
    price: float
    first_of_slice: bool = False
    closes: bool = False


class PositionChanged(Message, frozen=True, gc=False):
    """What is held now. OrderActor -> RiskActor, observers. `quantity` is signed units; cash in paise."""

    ts: int
    strategy: str
    underlying: str
    instrument: str
    quantity: int
    average_price: float
    realised_paise: int
    cash_paise: int


class TradeClosed(Message, frozen=True, gc=False):
    """A round trip, entry to flat. OrderActor -> RiskActor, recorder, strategy.

    Money in paise; `mae`, `mfe` are the worst and best excursion in rupees a unit (both >= 0);
    `initial_risk` rupees a unit between entry and first stop (NaN without a stop).
    """

    trade_id: str
    intent_id: str
    strategy: str
    underlying: str
    instrument: str
    direction: Direction
    side: Side
    quantity: int
    entry_ts: int
    exit_ts: int
    entry_price: float
    exit_price: float
    gross_paise: int
    charges_paise: int
    net_paise: int
    exit_reason: ExitReason
    regime: Regime
    initial_risk: float
    mae: float
    mfe: float


class AccountMarked(Message, frozen=True, gc=False):
    """The account marked to market. OrderActor -> RiskActor, recorder. Paise."""

    ts: int
    cash_paise: int
    equity_paise: int
    open_positions: int


class StateChanged(Message, frozen=True, gc=False):
    """An actor's state, kept before what it says next.

    OrderActor, RiskActor, StrategyActor, SelectorActor -> GatewayActor or StateKeeperActor. `part` names whose it is
    ('desk', 'risk', else the actor's path), `working` the orders the desk counts as working. It goes to the gateway
    ahead of the orders that follow from it, so that after a restart no order is found of which the desk knows nothing.
    `whole` false: only what changed since the state before; to be kept with it.
    """

    ts: int
    part: str
    state: bytes
    working: tuple[str, ...] = ()
    whole: bool = True
