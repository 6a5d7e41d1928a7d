"""Rows and messages have the broker's fields, all of them and no others, and the real SDK reads them."""

import json

import pytest

# Field names as the broker's documentation shows them.
ORDER = """exchange product price quantity status guid tag instrument_token placed_by trading_symbol tradingsymbol
order_type validity trigger_price disclosed_quantity transaction_type average_price filled_quantity pending_quantity
status_message status_message_raw exchange_order_id parent_order_id order_id variety order_timestamp exchange_timestamp
is_amo order_request_id order_ref_id"""
TRADE = """exchange product trading_symbol tradingsymbol instrument_token order_type transaction_type quantity
exchange_order_id order_id exchange_timestamp average_price trade_id order_ref_id order_timestamp"""
POSITION = """exchange multiplier value pnl product instrument_token average_price buy_value overnight_quantity
day_buy_value day_buy_price overnight_buy_amount overnight_buy_quantity day_buy_quantity day_sell_value day_sell_price
overnight_sell_amount overnight_sell_quantity day_sell_quantity quantity last_price unrealised realised sell_value
trading_symbol tradingsymbol close_price buy_price sell_price"""
FUNDS = "used_margin payin_amount span_margin adhoc_margin notional_cash available_margin exposure_margin"


def names(text):
    return set(text.split())


@pytest.fixture
def traded(venue):
    venue.place(price=100.05)
    return venue


def test_order_book(traded):
    row = traded.rows()[0]
    assert set(row) == names(ORDER)
    assert row["trading_symbol"] == "NIFTY26NOV25000CE"
    assert row["exchange"] == "NFO"


def test_order_message(traded):
    body = next(event.body for event in traded.events if event.kind == "order")
    assert set(body) == names(ORDER) | {"update_type", "user_id", "userId", "instrument_key"}
    assert (body["update_type"], body["exchange"]) == ("order", "NSE")


def test_trade(traded):
    assert set(traded.exchange.trades(traded.now).body["data"][0]) == names(TRADE)


def test_position(traded):
    assert set(traded.exchange.positions(traded.now).body["data"][0]) == names(POSITION)


def test_funds(traded):
    data = traded.exchange.funds(traded.now).body["data"]
    assert set(data["equity"]) == set(data["commodity"]) == names(FUNDS)


def test_everything_is_json(traded):
    exchange, now = traded.exchange, traded.now
    answers = [
        exchange.order_book(now),
        exchange.positions(now),
        exchange.holdings(now),
        exchange.funds(now),
        exchange.funds(now, version=3),
        exchange.profile(now),
        exchange.kill_switch(now),
        exchange.static_ip(now),
        exchange.gtt_list(now),
        exchange.place(None, now),
    ]
    for answer in answers:
        assert json.loads(json.dumps(answer.body)) == answer.body
    for event in traded.events:
        json.dumps(event.body)


class _Response:
    """What the SDK's deserialiser takes."""

    def __init__(self, body):
        self.data = json.dumps(body)


@pytest.mark.parametrize(
    ("model", "call"),
    [
        ("GetOrderBookResponse", lambda e, now: e.order_book(now)),
        ("GetTradeResponse", lambda e, now: e.trades(now)),
        ("GetPositionResponse", lambda e, now: e.positions(now)),
        ("GetUserFundMarginResponse", lambda e, now: e.funds(now)),
        ("GetUserFundMarginV3Response", lambda e, now: e.funds(now, version=3)),
        ("GetProfileResponse", lambda e, now: e.profile(now)),
        ("KillSwitchResponse", lambda e, now: e.kill_switch(now)),
        ("UserIpResponse", lambda e, now: e.static_ip(now)),
        ("GetGttOrderResponse", lambda e, now: e.gtt_list(now)),
    ],
)
def test_the_real_sdk_reads_it(traded, model, call):
    upstox = pytest.importorskip("upstox_client")
    answer = call(traded.exchange, traded.now)
    client = upstox.ApiClient.__new__(upstox.ApiClient)  # without its thread pool
    client.configuration = upstox.Configuration()
    read = client.deserialize(_Response(answer.body), model)
    assert read.status == "success"
    assert read.data is not None
