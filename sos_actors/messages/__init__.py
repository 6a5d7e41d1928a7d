"""Every message that crosses a mailbox. Import them from here."""

from sos_actors.messages.base import Buildup, Direction, Message, Regime, Right, Side, VolumeSource
from sos_actors.messages.clock import Advance, MinuteClosed, Phase, SessionPhase
from sos_actors.messages.codec import decode, encode
from sos_actors.messages.decision import (
    Flatten,
    OrderIntent,
    RefusalReason,
    Refused,
    SetTradingState,
    Signal,
    TradePlan,
    TradingState,
)
from sos_actors.messages.market import (
    CE,
    CHAIN_FIELDS,
    NAN,
    PE,
    Bar,
    ChainFrame,
    ChainSnapshot,
    FeedStatus,
    MarketStructure,
    Studies,
    Subscribe,
    Tick,
    Unsubscribe,
)
from sos_actors.messages.orders import (
    AccountMarked,
    CancelOrder,
    ExitReason,
    Fill,
    ModifyOrder,
    OrderRole,
    OrderStatus,
    OrderType,
    OrderUpdate,
    PositionChanged,
    SubmitOrder,
    TradeClosed,
)
from sos_actors.messages.system import ActorBenched, ActorFailed, Terminated

__all__ = [
    "CE", "CHAIN_FIELDS", "NAN", "PE", "AccountMarked", "ActorBenched", "ActorFailed", "Advance", "Bar", "Buildup",
    "CancelOrder", "ChainFrame", "ChainSnapshot", "Direction", "ExitReason", "FeedStatus", "Fill", "Flatten",
    "MarketStructure", "Message", "MinuteClosed", "ModifyOrder", "OrderIntent", "OrderRole", "OrderStatus",
    "OrderType", "OrderUpdate", "Phase", "PositionChanged", "RefusalReason", "Refused", "Regime", "Right",
    "SessionPhase", "SetTradingState", "Side", "Signal", "Studies", "SubmitOrder", "Subscribe", "Terminated",
    "Tick", "TradeClosed", "TradePlan", "TradingState", "Unsubscribe", "VolumeSource", "decode", "encode",
]
