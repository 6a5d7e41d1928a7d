"""An order as the broker keeps it, the words of its life, and its rows as the API shows them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sos_actors.market.clocktime import SECOND_NS, ist_plain
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Side
from sos_actors.messages.base import Word


class Status(Word):
    """The broker's words for where an order is."""

    RECEIVED = "put order req received"
    VALIDATING = "validation pending"
    OPEN_PENDING = "open pending"
    OPEN = "open"
    TRIGGER_PENDING = "trigger pending"
    COMPLETE = "complete"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    CANCEL_PENDING = "cancel pending"
    NOT_CANCELLED = "not cancelled"
    MODIFY_VALIDATING = "modify validation pending"
    MODIFY_PENDING = "modify pending"
    MODIFIED = "modified"
    NOT_MODIFIED = "not modified"


FINAL = frozenset({Status.COMPLETE, Status.REJECTED, Status.CANCELLED})
_RESTING = frozenset({Status.OPEN, Status.TRIGGER_PENDING})
_ASKED = frozenset({Status.CANCEL_PENDING, Status.MODIFY_VALIDATING})
#: What may follow what; a status may also follow itself, with another filled quantity.
FOLLOWS: dict[Status, frozenset[Status]] = {
    Status.RECEIVED: frozenset({Status.VALIDATING, Status.REJECTED}),
    Status.VALIDATING: frozenset({Status.OPEN_PENDING, Status.REJECTED}),
    Status.OPEN_PENDING: _RESTING | {Status.REJECTED},
    Status.OPEN: _ASKED | {Status.COMPLETE, Status.CANCELLED},
    Status.TRIGGER_PENDING: _ASKED | {Status.OPEN, Status.CANCELLED},
    Status.CANCEL_PENDING: frozenset({Status.CANCELLED, Status.NOT_CANCELLED}),
    Status.NOT_CANCELLED: _RESTING | {Status.COMPLETE},
    Status.MODIFY_VALIDATING: frozenset({Status.MODIFY_PENDING, Status.NOT_MODIFIED, Status.CANCELLED}),
    Status.MODIFY_PENDING: frozenset({Status.MODIFIED, Status.NOT_MODIFIED, Status.CANCELLED}),
    Status.MODIFIED: _RESTING,
    Status.NOT_MODIFIED: _RESTING | {Status.COMPLETE},
}


@dataclass(slots=True, frozen=True)
class Ticket:
    """A request to place, checked. Prices in paise, 0 where there is none; `protection` percent, -1 automatic."""

    instrument: Instrument
    side: Side
    quantity: int
    product: str
    validity: str
    order_type: str
    price: int = 0
    trigger: int = 0
    disclosed: int = 0
    protection: float = 0.0
    tag: str | None = None
    slice: bool = False


@dataclass(slots=True, frozen=True)
class Change:
    """A request to modify (`ticket` fields that matter) or, with None, to cancel."""

    ticket: Ticket | None


@dataclass(slots=True, eq=False)
class Order:
    """One order at the broker. Prices in paise. `ahead` is what stands before it in the queue at its price."""

    order_id: str
    ref_id: str
    instrument: Instrument
    side: Side
    quantity: int
    product: str
    validity: str
    order_type: str
    price: int
    trigger: int
    disclosed: int
    protection: float
    tag: str | None
    placed_by: str
    placed_ts: int
    status: Status = Status.RECEIVED
    message: str = ""
    raw_message: str | None = None
    exchange_id: str = ""
    exchange_ts: int = 0
    changed_ts: int = 0
    request_id: int = 1
    filled: int = 0
    value: int = 0
    #: At the exchange: resting in the book, or a stop waiting for its trigger.
    entered: bool = False
    waiting: bool = False
    busy: bool = False
    quick: bool = False
    internal: bool = False
    ahead: int = 0
    priority: int = 0
    requests: deque[Change] = field(default_factory=deque)
    #: Every published state: (ts, row).
    history: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    @property
    def pending(self) -> int:
        """Units not filled yet."""
        return self.quantity - self.filled

    @property
    def final(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.status in FINAL

    @property
    def resting(self) -> Status:
        """The status it has when it simply waits."""
        return Status.TRIGGER_PENDING if self.waiting else Status.OPEN

    def row(self) -> dict[str, Any]:
        """The order as the order book shows it now."""
        instrument = self.instrument
        symbol = short_symbol(instrument)
        live = self.status not in FINAL
        return {
            "exchange": FO_EXCHANGE[instrument.exchange],
            "product": self.product,
            "price": self.price / 100,
            "quantity": self.quantity,
            "status": str(self.status),
            "guid": None,
            "tag": self.tag,
            "instrument_token": instrument.upstox_key,
            "placed_by": self.placed_by,
            "trading_symbol": symbol,
            "tradingsymbol": symbol,
            "order_type": self.order_type,
            "validity": self.validity,
            "trigger_price": self.trigger / 100,
            "disclosed_quantity": self.disclosed,
            "transaction_type": str(self.side),
            "average_price": round(self.value / self.filled / 100, 4) if self.filled else 0.0,
            "filled_quantity": self.filled,
            "pending_quantity": self.pending if live else 0,
            "status_message": self.message or None,
            "status_message_raw": self.raw_message,
            "exchange_order_id": self.exchange_id or None,
            "parent_order_id": None,
            "order_id": self.order_id,
            "variety": "SIMPLE",
            "order_timestamp": stamp(self.changed_ts),
            "exchange_timestamp": stamp(self.exchange_ts) if self.exchange_ts else None,
            "is_amo": False,
            "order_request_id": str(self.request_id),
            "order_ref_id": self.ref_id,
        }


_NOT_IN_HISTORY = ("pending_quantity", "guid", "order_ref_id")
FO_EXCHANGE = {"NSE": "NFO", "BSE": "BFO"}


def history_row(row: dict[str, Any]) -> dict[str, Any]:
    """Turn an order-book row into one of the order's history."""
    shown = {name: value for name, value in row.items() if name not in _NOT_IN_HISTORY}
    shown["parent_order_id"] = "NA"
    return shown


def stream_row(row: dict[str, Any], instrument: Instrument, user_id: str) -> dict[str, Any]:
    """Turn an order-book row into a message of the order stream."""
    return {
        "update_type": "order",
        "user_id": user_id,
        "userId": user_id,
        **row,
        "exchange": instrument.exchange,
        "instrument_key": instrument.upstox_key,
        "exchange_order_id": row["exchange_order_id"] or "",
        "status_message": row["status_message"] or "",
    }


@lru_cache(maxsize=4096)
def _stamp(second: int) -> str:
    return ist_plain(second * SECOND_NS)


def stamp(ns: int) -> str:
    """Write an instant as the API does: IST without a zone, '2026-11-20 13:25:13'."""
    return _stamp(ns // SECOND_NS)


@lru_cache(maxsize=65536)
def short_symbol(instrument: Instrument) -> str:
    """The exchange's short form: NIFTY26NOV25000CE monthly, NIFTY2613025000PE weekly, NIFTY26NOVFUT."""
    expiry = instrument.expiry
    if expiry is None:
        return instrument.underlying
    month = expiry.strftime("%b").upper()
    if instrument.strike is None or instrument.right is None:
        return f"{instrument.underlying}{expiry:%y}{month}FUT"
    date = f"{expiry:%y}{_MONTH_LETTER[expiry.month]}{expiry:%d}" if instrument.weekly else f"{expiry:%y}{month}"
    return f"{instrument.underlying}{date}{instrument.strike:g}{instrument.right}"


_MONTH_LETTER = ("", "1", "2", "3", "4", "5", "6", "7", "8", "9", "O", "N", "D")
