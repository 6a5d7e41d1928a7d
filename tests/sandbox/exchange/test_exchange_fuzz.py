"""Whatever is sent to the exchange gets an answer: nothing a caller writes makes it fail."""

import json

import pytest
from exchange_helpers import CALL, Venue
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["BUY", "SELL", "LIMIT", "MARKET", "SL", "SL-M", "I", "D", "DAY", "IOC", CALL.upstox_key]),
)
ODD = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
)
GOOD_ORDER = Venue().body()
GOOD_GTT = {
    "type": "MULTIPLE",
    "quantity": 65,
    "product": "I",
    "instrument_token": CALL.upstox_key,
    "transaction_type": "BUY",
    "rules": [
        {"strategy": "ENTRY", "trigger_type": "ABOVE", "trigger_price": 101.0},
        {"strategy": "STOPLOSS", "trigger_type": "IMMEDIATE", "trigger_price": 90.0, "trailing_gap": 1.0},
    ],
}
GOOD_LEG = {"instrument_key": CALL.upstox_key, "quantity": 65, "transaction_type": "BUY", "product": "I", "price": 1.0}
GOOD_QUERY = {
    "instrument_token": CALL.upstox_key,
    "quantity": "65",
    "product": "I",
    "transaction_type": "BUY",
    "price": "1",
}


def spoiled(good):
    """A good body with some of its fields replaced by anything."""
    return st.dictionaries(st.sampled_from(sorted(good)), ODD, max_size=3).map(lambda bad: {**good, **bad})


def answered(answer):
    assert answer.status in {200, 207, 400, 401, 403, 423}
    json.dumps(answer.body)
    assert (answer.status < 300) or answer.code.startswith("UDAPI")


@pytest.fixture(scope="module")
def shared():
    made = Venue()
    made.quote()
    return made


@given(body=st.one_of(ODD, spoiled(GOOD_ORDER)))
@example(body={**GOOD_ORDER, "quantity": float("inf")})
@example(body={**GOOD_ORDER, "quantity": float("nan")})
@example(body={**GOOD_ORDER, "price": float("inf")})
@example(body={**GOOD_ORDER, "market_protection": float("nan")})
@example(body={**GOOD_ORDER, "quantity": 10**15, "slice": True})
@hypothesis_settings(max_examples=300)
def test_place(shared, body):
    answered(shared.exchange.place(body, shared.now))
    answered(shared.exchange.place_multi([body], shared.now))
    answered(shared.exchange.place_multi(body, shared.now))
    shared.run(100)
    assert shared.exchange.books.audit() == ()
    shared.exchange.cancel_multi(shared.now)


@given(
    body=st.one_of(
        ODD,
        spoiled(
            {
                "order_id": "1",
                "order_type": "SL",
                "validity": "DAY",
                "price": 101.0,
                "trigger_price": 100.5,
                "quantity": 65,
                "disclosed_quantity": 0,
            }
        ),
    )
)
@hypothesis_settings(max_examples=200)
def test_modify_and_cancel(body):
    venue = Venue()
    venue.quote()
    order = venue.place(price=99.0)
    if isinstance(body, dict) and body.get("order_id") == "1":
        body["order_id"] = order
    answered(venue.exchange.modify(body, venue.now))
    answered(venue.exchange.cancel(body, venue.now))
    answered(venue.exchange.order_details(body, venue.now))
    answered(venue.exchange.order_trades(body, venue.now))
    venue.run(200)
    venue.audited()


@given(
    body=st.one_of(
        ODD,
        spoiled(GOOD_GTT),
        spoiled(GOOD_GTT["rules"][1]).map(lambda bad: {**GOOD_GTT, "rules": [GOOD_GTT["rules"][0], bad]}),
    )
)
@hypothesis_settings(max_examples=200)
def test_gtt(shared, body):
    answered(shared.exchange.gtt_place(body, shared.now))
    answered(shared.exchange.gtt_modify(body, shared.now))
    answered(shared.exchange.gtt_cancel(body, shared.now))
    shared.run(100)


@given(body=st.one_of(ODD, spoiled(GOOD_LEG)), query=spoiled(GOOD_QUERY))
@hypothesis_settings(max_examples=200)
def test_the_rest(shared, body, query):
    answered(shared.exchange.margin({"instruments": [body]}, shared.now))
    answered(shared.exchange.margin(body, shared.now))
    answered(shared.exchange.brokerage(query, shared.now))
    answered(shared.exchange.set_static_ip(body, shared.now))
    answered(shared.exchange.set_kill_switch(body, shared.now))
    answered(shared.exchange.set_kill_switch([body], shared.now))
