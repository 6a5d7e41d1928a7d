"""The broker's rows and stream texts: odd values, both time formats, bare lists, unknown words, nulls."""

import datetime as dt
import json
import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_broker import KEY, OPTION, TABLE, order_row

from sos_actors.market.clocktime import ist_ns
from sos_actors.messages import BrokerOrder, Side
from sos_actors.upstox import fields
from sos_actors.upstox.books import FINAL, BookReader, data_of, rows_of
from sos_actors.upstox.errors import UnreadableAnswerError
from sos_actors.upstox.order_stream import UpdateReader

READER = BookReader(lambda: TABLE)
AT = ist_ns(dt.date(2026, 11, 20), "13:25:13")


def same(left, right):
    """Whether two structs are equal, NaN being equal to NaN."""
    return msgspec.json.encode(left) == msgspec.json.encode(right)


# --- values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-20 13:25:13", "20-Nov-2026 13:25:13", "20-11-2026 13:25:13", "2026-11-20 13:25:13.000",
        "2026-11-20T13:25:13+05:30", "2026-11-20T07:55:13Z", "2026-11-20T13:25:13", AT // 10**6, str(AT // 10**6),
        AT // 10**9,
    ],
)  # fmt: skip
def test_every_way_to_write_a_time(written):
    assert fields.instant(written) == AT


@pytest.mark.parametrize("written", [None, "", "NA", "soon", "2026-13-45 99:00:00", [], {}, True, math.nan])
def test_what_is_no_time_is_none(written):
    assert fields.instant(written) == 0


@pytest.mark.parametrize(
    ("value", "number", "units", "price"),
    [
        (65, 65.0, 65, 65.0), ("65", 65.0, 65, 65.0), (65.0, 65.0, 65, 65.0), ("100.05", 100.05, 100, 100.05),
        (0, 0.0, 0, math.nan), (None, math.nan, 0, math.nan), ("NA", math.nan, 0, math.nan),
        ([1], math.nan, 0, math.nan), (True, math.nan, 0, math.nan), ("1e999", math.nan, 0, math.nan),
        (-65, -65.0, -65, math.nan),
    ],
)  # fmt: skip
def test_numbers(value, number, units, price):
    assert str((fields.number(value), fields.units(value), fields.price(value))) == str((number, units, price))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=2)
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(set(order_row()) - {"order_id"})), anything))
def test_no_odd_value_loses_an_order(odd):
    order = READER.order("book", {**order_row(), **odd})
    assert isinstance(order, BrokerOrder)
    assert order.broker_id == "261120025562880"
    assert order.ended == (order.status in FINAL)
    msgspec.json.encode(order)


# --- orders -------------------------------------------------------------------------------------------------


def test_an_order_as_the_broker_shows_it():
    row = order_row(status="Open", filled_quantity=30, average_price=100.0, status_message="half", parent_order_id="NA")
    assert same(
        READER.order("book", row),
        BrokerOrder(
            broker_id="261120025562880", instrument=OPTION, side=Side.BUY, quantity=65, status="open", ended=False,
            tag="sos-1", filled=30, average_price=100.0, order_type="LIMIT", product="I", price=100.05, revision=1,
            ts=AT + 10**9, detail="half", exchange_id="1300000025660919",
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        *((name, True) for name in ("complete", "CANCELLED", "Rejected", "cancelled after  market order")),
        *((name, False) for name in (
            "put order req received", "validation pending", "open pending", "open", "trigger pending", "cancel pending",
            "not cancelled", "modify validation pending", "modify pending", "modified", "not modified",
            "after market order req received", "modify after market order req received", "something new", "", None,
        )),
    ],
)  # fmt: skip
def test_only_four_statuses_are_final(status, ended):
    assert READER.order("book", order_row(status=status)).ended is ended


def test_an_unknown_key_stays_and_an_unknown_side_is_said():
    order = READER.order("book", order_row(instrument_token="NSE_EQ|INE002A01018", transaction_type="SHORT"))
    assert (order.instrument, order.side) == ("NSE_EQ|INE002A01018", Side.BUY)
    assert "'SHORT'" in order.detail


def test_a_history_becomes_each_order_as_it_stood_last():
    def row(number, **changes):
        return order_row(**{"order_id": number, "exchange_timestamp": None, **changes})

    rows = [
        row("1", status="put order req received"),
        row("2", status="open"),
        row("1", status="complete", filled_quantity=65),
        row("1", status="open", order_request_id="2"),  # late: it was complete before
        row("2", status="modified", order_request_id="2", price=99.0),
        row("2", status="open", order_request_id="1", order_timestamp="2026-11-20 13:25:40"),
    ]
    found = {order.broker_id: order for order in READER.orders("history", rows)}
    assert list(found) == ["1", "2"]
    assert (found["1"].status, found["1"].filled) == ("complete", 65)
    assert (found["2"].status, found["2"].price, found["2"].revision) == ("modified", 99.0, 2)


@pytest.mark.parametrize("lost", [{}, {"order_id": None}, {"order_id": "NA"}, {"order_id": []}])
def test_a_book_with_a_hole_in_it_is_not_read(lost):
    row = {key: value for key, value in order_row().items() if key != "order_id"} | lost
    with pytest.raises(UnreadableAnswerError, match="without an id"):
        READER.orders("book", [order_row(), row])


# --- envelopes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ('{"status":"success","data":[{},{}]}', 2), ("[{},{}]", 2), ('{"status":"partial_success","data":[{}]}', 1),
        ('{"status":"success","data":null}', 0), ("[]", 0), ('{"status":"success"}', 0),
    ],
)  # fmt: skip
def test_envelopes_and_bare_lists(body, count):
    assert len(rows_of("book", body.encode())) == count


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "{}",
        "7",
        '"x"',
        '{"status":"error","data":[]}',
        '{"status":"success","errors":[{"errorCode":"UDAPI100500"}]}',
        '{"status":"partial_success"}',
        '{"data":{}}',
        '{"data":[1]}',
        "<html>",
        "[{},",
        "[1]",
    ],
)
def test_what_is_no_book(body):
    with pytest.raises(UnreadableAnswerError):
        rows_of("book", body.encode())


def test_data_that_is_no_text_at_all():
    with pytest.raises(UnreadableAnswerError):
        data_of("book", b"\xff\xfe")


# --- trades and positions ---------------------------------------------------------------------------------------

TRADE = {
    "exchange": "NFO", "instrument_token": KEY, "transaction_type": "SELL", "quantity": 65, "order_id": "9",
    "exchange_timestamp": "20-Nov-2026 13:25:13", "average_price": 101.2, "trade_id": "50091502",
}  # fmt: skip


def test_an_execution():
    (trade,) = READER.trades("trades", [TRADE])
    assert (trade.trade_id, trade.broker_id, trade.instrument) == ("50091502", "9", OPTION)
    assert (trade.side, trade.quantity, trade.price, trade.ts) == (Side.SELL, 65, 101.2, AT)


@pytest.mark.parametrize("odd", [{"trade_id": None}, {"order_id": ""}, {"quantity": 0}, {"average_price": None},
                                 {"transaction_type": "?"}])  # fmt: skip
def test_an_execution_that_is_not_whole_is_not_guessed(odd):
    with pytest.raises(UnreadableAnswerError):
        READER.trades("trades", [TRADE | odd])


def test_positions():
    row = {
        "product": "D", "instrument_token": KEY, "average_price": None, "quantity": -130, "day_buy_quantity": 65,
        "overnight_buy_quantity": 65, "day_sell_quantity": 260, "buy_value": 6500.0, "sell_value": None,
        "last_price": 99.5,
    }  # fmt: skip
    (held,) = READER.positions("positions", [row])
    assert (held.instrument, held.product, held.quantity) == (OPTION, "D", -130)
    assert (held.buy_quantity, held.sell_quantity, held.buy_value, held.last_price) == (130, 260, 6500.0, 99.5)
    assert math.isnan(held.average_price)
    assert math.isnan(held.sell_value)


@pytest.mark.parametrize("odd", [{"quantity": None}, {"quantity": "many"}, {"instrument_token": None}])
def test_a_position_without_what_matters_is_not_taken_for_flat(odd):
    with pytest.raises(UnreadableAnswerError):
        READER.positions("positions", [{"instrument_token": KEY, "quantity": 65} | odd])


# --- the stream -----------------------------------------------------------------------------------------------


def test_an_order_update_is_read_like_a_row_of_the_book():
    updates = UpdateReader(READER)
    row = order_row(update_type="order", instrument_key=KEY, status="complete", filled_quantity=65, average_price=100)
    order = updates.read(json.dumps(row))
    assert (order.broker_id, order.instrument, order.ended, order.filled) == ("261120025562880", OPTION, True, 65)
    assert updates.counts == {"order": 1}


def test_a_key_under_its_other_name():
    row = order_row(update_type="order", instrument_key=KEY)
    del row["instrument_token"]
    assert UpdateReader(READER).read(json.dumps(row)).instrument == OPTION


def test_other_kinds_are_counted_and_nonsense_too():
    updates = UpdateReader(READER)
    for other in ("position", "holding", "gtt_order", "something new"):
        assert updates.read(json.dumps({"update_type": other})) is None
    halves = [json.dumps(order_row(**{"update_type": "order", name: None})) for name in ("order_id", "status")]
    nonsense = ["", "null", "[]", "{", '{"a":1}', b"\x08\x01\xff", '{"update_type":7}', *halves]
    for message in nonsense:
        assert updates.read(message) is None
    assert updates.counts == {"other": 4, "malformed": len(nonsense)}


@settings(max_examples=100, deadline=None)
@given(st.binary() | st.text() | st.builds(json.dumps, st.dictionaries(st.sampled_from(sorted(order_row())), anything)))
def test_no_text_of_the_stream_raises(message):
    UpdateReader(READER).read(message)
