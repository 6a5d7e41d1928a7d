"""Events that do not fit what is known of an order."""

from __future__ import annotations

import enum

import msgspec


class AnomalyKind(enum.StrEnum):
    """What was odd about an event."""

    ILLEGAL_STEP = "ILLEGAL_STEP"
    DUPLICATE_FILL = "DUPLICATE_FILL"
    LATE_FILL = "LATE_FILL"
    OVERFILL = "OVERFILL"
    MISMATCH = "MISMATCH"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    DUPLICATE_INTENT = "DUPLICATE_INTENT"
    ORDER_REFUSED = "ORDER_REFUSED"


class Anomaly(msgspec.Struct, frozen=True, gc=False):
    """An event that does not fit what is known. `ts` is the event's, UTC ns; `detail` one line for the log."""

    kind: AnomalyKind
    order_id: str
    ts: int
    detail: str
