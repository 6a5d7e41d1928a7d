import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_helpers import OPEN_TS, PUT, fill, order

from sos_actors.messages import OrderStatus, OrderUpdate, Side
from sos_actors.trading.anomalies import AnomalyKind
from sos_actors.trading.order_machine import STALE, STEPS, OrderRecord, advance

S = OrderStatus
ENDS = (S.FILLED, S.CANCELLED, S.REJECTED)


def update(status, detail=""):
    return OrderUpdate("o", OPEN_TS, status, detail)


def record_in(status, filled=0):
    record = OrderRecord.of(order())
    record.status, record.filled = status, filled
    return record


def test_the_tables_cover_every_state_and_never_overlap():
    assert set(STEPS) == set(STALE) == set(OrderStatus)
    assert all(not STEPS[status] & STALE[status] for status in OrderStatus)
    assert all(not STEPS[status] for status in ENDS)
    assert all(S.UNKNOWN in STEPS[status] for status in OrderStatus if status not in (*ENDS, S.UNKNOWN))


def test_the_usual_life():
    record = OrderRecord.of(order(quantity=75))
    for status in (S.SUBMITTED, S.OPEN):
        assert advance(record, update(status)) is None
        assert record.status is status
    assert advance(record, fill("1", Side.BUY, 25, 100.0)) is None
    assert (record.status, record.filled, record.remaining, record.ended) == (S.PARTIALLY_FILLED, 25, 50, False)
    assert advance(record, fill("2", Side.BUY, 50, 100.0)) is None
    assert (record.status, record.filled, record.ended) == (S.FILLED, 75, True)
    assert advance(record, update(S.FILLED)) is None


@pytest.mark.parametrize(("status", "wanted"), list(itertools.product(OrderStatus, OrderStatus)))
def test_every_step_is_legal_stale_or_reported(status, wanted):
    record = record_in(status)
    anomaly = advance(record, update(wanted, "why"))
    if wanted in STEPS[status]:
        assert anomaly is None
        assert record.status is wanted
    else:
        assert record.status is status
        assert (anomaly is None) == (wanted in STALE[status])
        if anomaly is not None:
            assert anomaly.kind is AnomalyKind.ILLEGAL_STEP
            assert anomaly.detail == f"{status} -> {wanted} why"


def test_a_fill_before_the_acknowledgement_counts_and_the_acknowledgement_is_stale():
    record = OrderRecord.of(order(quantity=75))
    assert advance(record, fill("1", Side.BUY, 75, 100.0)) is None
    assert record.status is S.FILLED
    assert advance(record, update(S.OPEN)) is None
    assert record.status is S.FILLED


def test_filled_said_before_the_fills_arrive_is_not_the_end():
    record = OrderRecord.of(order(quantity=75))
    advance(record, update(S.FILLED))
    assert not record.ended
    assert advance(record, fill("1", Side.BUY, 50, 100.0)) is None
    assert record.status is S.FILLED
    assert not record.ended
    assert advance(record, fill("2", Side.BUY, 25, 100.0)) is None
    assert record.ended


def test_a_duplicate_fill_counts_once():
    record = OrderRecord.of(order(quantity=75))
    advance(record, fill("1", Side.BUY, 25, 100.0))
    assert advance(record, fill("1", Side.BUY, 25, 100.0)).kind is AnomalyKind.DUPLICATE_FILL
    assert record.filled == 25


@pytest.mark.parametrize("status", [S.CANCELLED, S.REJECTED])
def test_a_late_fill_is_counted_and_reported(status):
    record = record_in(status)
    assert advance(record, fill("1", Side.BUY, 25, 100.0)).kind is AnomalyKind.LATE_FILL
    assert (record.filled, record.status) == (25, status)
    assert advance(record, fill("2", Side.BUY, 50, 100.0)).kind is AnomalyKind.LATE_FILL
    assert (record.filled, record.status) == (75, S.FILLED)


def test_more_than_ordered_is_counted_and_reported():
    record = OrderRecord.of(order(quantity=75))
    assert advance(record, fill("1", Side.BUY, 100, 100.0)).kind is AnomalyKind.OVERFILL
    assert (record.filled, record.status) == (100, S.FILLED)


@pytest.mark.parametrize(
    "wrong",
    [
        fill("1", Side.SELL, 75, 100.0),
        fill("1", Side.BUY, 75, 100.0, instrument=PUT),
        fill("1", Side.BUY, 0, 100.0),
    ],
)
def test_a_fill_that_is_not_this_orders_changes_nothing(wrong):
    record = OrderRecord.of(order(quantity=75))
    assert advance(record, wrong).kind is AnomalyKind.MISMATCH
    assert (record.filled, record.status) == (0, S.INTENT)


def test_a_partial_fill_resolves_unknown():
    record = record_in(S.UNKNOWN)
    assert advance(record, fill("1", Side.BUY, 25, 100.0)) is None
    assert record.status is S.PARTIALLY_FILLED


events = st.lists(
    st.one_of(
        st.sampled_from(OrderStatus).map(update),
        st.tuples(st.integers(0, 5), st.integers(1, 80)).map(lambda row: fill(str(row[0]), Side.BUY, row[1], 100.0)),
    ),
    max_size=20,
)


@given(events)
def test_no_sequence_raises_and_each_fill_id_counts_once(sequence):
    record = OrderRecord.of(order(quantity=75))
    seen = {}
    for event in sequence:
        before = record.status
        advance(record, event)
        if not isinstance(event, OrderUpdate):
            seen.setdefault(event.fill_id, event.quantity)
        elif before in ENDS:
            assert record.status is before
    assert record.filled == sum(seen.values())
    if record.filled >= 75:
        assert record.ended
