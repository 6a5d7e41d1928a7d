"""The life of one order: every state, every legal step, in this file.

    INTENT -> SUBMITTED -> OPEN -> PARTIALLY_FILLED -> FILLED | CANCELLED | REJECTED
                    any of them, not knowing -> UNKNOWN -> any of them, once found out

The broker's word comes late, twice and out of order, so a step that only repeats or lags behind what is known is
*stale* and ignored; a step that contradicts it is an `Anomaly`, returned and never raised. A fill is the truth
about money whatever the order's state: it is always counted, once.
"""

from __future__ import annotations

import msgspec

from sos_actors.messages import Fill, OrderRole, OrderStatus, OrderUpdate, Side, SubmitOrder
from sos_actors.trading.anomalies import Anomaly, AnomalyKind

_S = OrderStatus
#: Reached through its class, a member of an enumeration costs ten times as much.
INTENT, PARTIALLY_FILLED, FILLED, CANCELLED, REJECTED = (
    _S.INTENT,
    _S.PARTIALLY_FILLED,
    _S.FILLED,
    _S.CANCELLED,
    _S.REJECTED,
)

#: From each state, the states a broker's update may lead to.
STEPS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.INTENT: frozenset(
        {
            _S.SUBMITTED,
            _S.OPEN,
            _S.PARTIALLY_FILLED,
            _S.FILLED,
            _S.CANCELLED,
            _S.REJECTED,
            _S.UNKNOWN,
        }
    ),
    _S.SUBMITTED: frozenset({_S.OPEN, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELLED, _S.REJECTED, _S.UNKNOWN}),
    _S.OPEN: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELLED, _S.REJECTED, _S.UNKNOWN}),
    _S.PARTIALLY_FILLED: frozenset({_S.FILLED, _S.CANCELLED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset({_S.SUBMITTED, _S.OPEN, _S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELLED, _S.REJECTED}),
    _S.FILLED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.REJECTED: frozenset(),
}

#: Updates that say no more than is known already: they lag behind and are ignored.
STALE: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.INTENT: frozenset({_S.INTENT}),
    _S.SUBMITTED: frozenset({_S.INTENT, _S.SUBMITTED}),
    _S.OPEN: frozenset({_S.INTENT, _S.SUBMITTED, _S.OPEN}),
    _S.PARTIALLY_FILLED: frozenset({_S.INTENT, _S.SUBMITTED, _S.OPEN, _S.PARTIALLY_FILLED}),
    _S.UNKNOWN: frozenset({_S.INTENT, _S.UNKNOWN}),
    _S.FILLED: frozenset({_S.INTENT, _S.SUBMITTED, _S.OPEN, _S.PARTIALLY_FILLED, _S.FILLED, _S.UNKNOWN}),
    _S.CANCELLED: frozenset({_S.INTENT, _S.SUBMITTED, _S.OPEN, _S.PARTIALLY_FILLED, _S.CANCELLED, _S.UNKNOWN}),
    _S.REJECTED: frozenset({_S.INTENT, _S.SUBMITTED, _S.OPEN, _S.REJECTED, _S.UNKNOWN}),
}


class OrderRecord(msgspec.Struct, array_like=True, eq=False, gc=False):
    """All that is known of one order. `quantity` and `filled` in units; only `advance` changes the state.

    `cancelling` is set by the owner when it has asked to take the order back, `leaving` when it has made a stop the
    exit. `resize` notes a quantity asked for, which the broker may have been too far to grant: `quantity_before` is
    the least there was before it.
    Checkpoints hold it as it stands here: the order of the fields is their layout.
    """

    order_id: str
    intent_id: str
    instrument: str
    side: Side
    quantity: int
    quantity_before: int
    role: OrderRole
    #: When it was sent, UTC ns.
    sent_ts: int
    status: OrderStatus = INTENT
    filled: int = 0
    cancelling: bool = False
    leaving: bool = False
    fill_ids: list[str] = []

    @classmethod
    def of(cls, order: SubmitOrder) -> OrderRecord:
        """Give the record of an order about to be sent."""
        return cls(
            order.order_id,
            order.intent_id,
            order.instrument,
            order.side,
            order.quantity,
            order.quantity,
            order.role,
            order.ts,
        )

    def resize(self, quantity: int) -> None:
        """Note that the broker was asked to make it `quantity` units in all; of several wishes none may be granted."""
        self.quantity_before = min(self.quantity_before, self.quantity)
        self.quantity = quantity

    @property
    def remaining(self) -> int:
        """Units not filled yet."""
        return self.quantity - self.filled

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected: cancelled, rejected, or filled and every fill is here."""
        status = self.status
        return status is CANCELLED or status is REJECTED or (status is FILLED and self.filled >= self.quantity)


def advance(record: OrderRecord, event: OrderUpdate | Fill) -> Anomaly | None:
    """Take one event into the record; an `Anomaly` when it does not fit.

    A fill counts unless its id was seen before (DUPLICATE_FILL) or it is another instrument's or side's
    (MISMATCH). LATE_FILL and OVERFILL are counted *and* reported: the owner decides what to do about them.
    """
    return advance_fill(record, event) if isinstance(event, Fill) else advance_update(record, event)


def advance_update(record: OrderRecord, event: OrderUpdate) -> Anomaly | None:
    """Take what the broker says of the order, as `advance` does."""
    status = record.status
    wanted = event.status
    if wanted in STEPS[status]:
        record.status = wanted
        if wanted is FILLED and record.quantity_before < record.quantity:
            # A larger quantity was asked for and the order is said to be complete: it may be so at the smaller one.
            # Should the rest come after all, it is counted and reported as an overfill.
            record.quantity = max(record.quantity_before, record.filled)
        return None
    if wanted in STALE[status]:
        return None
    return Anomaly(AnomalyKind.ILLEGAL_STEP, record.order_id, event.ts, f"{status} -> {wanted} {event.detail}".rstrip())


def advance_fill(record: OrderRecord, fill: Fill) -> Anomaly | None:
    """Take a fill of the order, as `advance` does."""
    if fill.instrument != record.instrument or fill.side is not record.side or fill.quantity <= 0:
        detail = f"{fill.side} {fill.quantity} {fill.instrument} for {record.side} {record.instrument}"
        return Anomaly(AnomalyKind.MISMATCH, record.order_id, fill.ts, detail)
    if fill.fill_id in record.fill_ids:
        return Anomaly(AnomalyKind.DUPLICATE_FILL, record.order_id, fill.ts, fill.fill_id)
    record.fill_ids.append(fill.fill_id)
    filled = record.filled = record.filled + fill.quantity
    status = record.status
    if filled > record.quantity:
        record.status = FILLED
        detail = f"{filled} of {record.quantity} units filled"
        return Anomaly(AnomalyKind.OVERFILL, record.order_id, fill.ts, detail)
    if status is CANCELLED or status is REJECTED:
        detail = f"{fill.quantity} units filled after {status}"
        if filled == record.quantity:
            record.status = FILLED
        return Anomaly(AnomalyKind.LATE_FILL, record.order_id, fill.ts, detail)
    if filled == record.quantity:
        record.status = FILLED
    elif status is not FILLED:
        record.status = PARTIALLY_FILLED
    return None
