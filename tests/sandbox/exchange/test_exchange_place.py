"""Placing: what is refused at once, with which code, and what is rejected later."""

import datetime as dt

import pytest
from exchange_helpers import CALL, DAY, FUTURE, INDEX, Venue, with_settings

from sos_actors.errors import InputError
from sos_actors.sandbox.exchange import Caller, Token

TOMORROW = DAY + dt.timedelta(days=1)
SL = {"order_type": "SL", "price": 101.0, "trigger_price": 100.5}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"instrument_token": None}, "1026"),
        ({"instrument_token": "NSE_FO|1"}, "100011"),
        ({"instrument_token": INDEX.upstox_key}, "100011"),
        ({"order_type": None}, "1004"),
        ({"order_type": "ICEBERG"}, "1056"),
        ({"product": None}, "1006"),
        ({"product": "MTF"}, "1054"),
        ({"validity": None}, "1007"),
        ({"validity": "GTC"}, "1055"),
        ({"transaction_type": "HOLD"}, "1057"),
        ({"quantity": 0}, "1052"),
        ({"quantity": -65}, "1052"),
        ({"quantity": 65.5}, "100036"),
        ({"quantity": "65"}, "100036"),
        ({"quantity": True}, "100036"),
        ({"price": None}, "1008"),
        ({"price": 0}, "1043"),
        ({"price": -1}, "100036"),
        ({"price": float("nan")}, "100036"),
        ({"order_type": "MARKET", "market_protection": -1}, "1040"),
        ({"order_type": "SL", "price": 101.0}, "1041"),
        ({"trigger_price": 99.0}, "1042"),
        ({**SL, "trigger_price": 101.5}, "1037"),
        ({**SL, "trigger_price": 101.0}, "1037"),
        ({**SL, "transaction_type": "SELL", "price": 99.0, "trigger_price": 98.5}, "1038"),
        ({"disclosed_quantity": 6}, "1039"),
        ({"tag": "x" * 41}, "1119"),
        ({"quantity": 26 * 1755, "slice": True}, "1118"),
        ({"order_type": "MARKET", "price": 0}, "1158"),
        ({"order_type": "MARKET", "price": 0, "market_protection": 26}, "1159"),
        ({"order_type": "MARKET", "price": 0, "market_protection": -2}, "1160"),
    ],
)
def test_bad_field(venue, fields, code):
    answer = venue.send(**fields)
    assert (answer.status, answer.code) == (400, f"UDAPI{code}")
    row = answer.body["errors"][0]
    assert answer.body["status"] == "error"
    assert row["error_code"] == row["errorCode"] == f"UDAPI{code}"
    assert {"message", "property_path", "propertyPath", "invalid_value", "invalidValue"} <= set(row)
    venue.run()
    assert venue.exchange.books.orders() == ()


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_body_that_is_no_object(venue, body):
    assert venue.exchange.place(body, venue.now).code == "UDAPI100038"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"quantity": 70}, "lot size 65"),
        ({"quantity": 1820}, "freeze quantity 1800"),
        ({"price": 100.02}, "tick size 0.05"),
        ({"order_type": "SL", "price": 101.0, "trigger_price": 100.51}, "tick size"),
        ({"price": 59.95}, "limit price protection"),
        ({"price": 140.05}, "limit price protection"),
        ({"price": 700.0}, "circuit limits"),
        ({"quantity": 1755, "price": 120.0, "slice": False}, "Margin"),
    ],
)
def test_rejected_after_it_was_taken(make_venue, fields, word):
    venue = make_venue(account={"cash": 200_000.0})
    order = venue.place(**fields)
    assert venue.words(order) == ["put order req received", "validation pending", "rejected"]
    row = venue.rows()[0]
    assert word in row["status_message"]
    assert row["status_message"] in row["status_message_raw"]
    assert (row["status"], row["pending_quantity"], row["exchange_order_id"]) == ("rejected", 0, None)
    assert venue.audited().live_by_tag() == {}


@pytest.mark.parametrize("price", [60.0, 140.0])
def test_edges_of_the_price_protection_pass(venue, price):
    order = venue.place(price=price, transaction_type="BUY" if price < 100 else "SELL")
    assert venue.order(order).status == "open"


@pytest.mark.parametrize(("price", "passes"), [(20.0, True), (60.0, True), (19.95, False), (60.05, False)])
def test_low_premiums_have_a_band_in_rupees(venue, price, passes):
    venue.now += 31_000 * 1_000_000
    venue.quote(bid=39.95, ask=40.05, last=40.0)
    order = venue.place(price=price, transaction_type="BUY" if price < 40 else "SELL")
    assert (venue.order(order).status == "open") is passes


def test_the_reference_of_the_band_is_the_mean_of_thirty_seconds(venue):
    venue.run(10_000)
    venue.quote(bid=199.95, ask=200.05, last=200.0)
    # 100 and 200 within the window: the reference is 150, its band 90 to 210.
    low = venue.place(price=89.95, transaction_type="BUY")
    good = venue.place(price=90.0, transaction_type="BUY")
    assert [venue.order(one).status for one in (low, good)] == ["rejected", "open"]


def test_freeze_quantity_itself_is_not_above_it(venue):
    order = venue.place(quantity=1755)
    assert venue.order(order).status == "open"


def test_slices(venue):
    answer = venue.send(quantity=1755 * 2 + 65, slice=True, price=90.0)
    ids = answer.body["data"]["order_ids"]
    venue.run()
    assert [venue.order(one).quantity for one in ids] == [1755, 1755, 65]
    assert {venue.order(one).tag for one in ids} == {"t1"}
    assert len(set(ids)) == 3


def test_twenty_five_slices_pass(make_venue):
    venue = make_venue(account={"cash": 1e9})
    assert len(venue.send(quantity=25 * 1755, slice=True, price=90.0).body["data"]["order_ids"]) == 25


def test_version_two_gives_one_id_and_does_not_slice(venue):
    answer = venue.exchange.place(venue.body(quantity=3510, slice=True), venue.now, version=2)
    venue.run()
    assert "freeze" in venue.rows()[0]["status_message"]
    assert answer.body["data"] == {"order_id": venue.rows()[0]["order_id"]}


def test_latency_is_said_and_kept(venue):
    answer = venue.send()
    assert 25 <= answer.body["metadata"]["latency"] <= 38
    assert answer.delay_ns // 1_000_000 == answer.body["metadata"]["latency"]


def test_night(venue):
    venue.until("23:59:59")
    assert venue.send().ok
    venue.until("00:00", day=TOMORROW)
    assert (venue.send().status, venue.send().code) == (423, "UDAPI100074")
    assert venue.exchange.cancel("x", venue.now).code == "UDAPI100074"
    assert venue.exchange.funds(venue.now).code == "UDAPI100072"
    assert venue.exchange.order_book(venue.now).ok
    venue.until("05:30", day=TOMORROW)
    assert venue.send().ok
    assert venue.exchange.funds(venue.now).ok


def test_outside_the_session(venue):
    for clock in ("09:14:59", "15:40:00"):
        early = Venue(at=clock)
        early.quote()
        order = early.place()
        assert early.order(order).status == "rejected"
        assert "closed" in early.rows()[0]["status_message"]


def test_unregistered_address(venue):
    stranger = Caller(ip="10.0.0.9")
    answer = venue.exchange.place(venue.body(), venue.now, stranger)
    assert (answer.status, answer.code) == (403, "UDAPI1154")
    assert venue.exchange.place(venue.body(), venue.now, Caller(ip="127.0.0.1")).ok
    # Reads are open to every address.
    assert venue.exchange.order_book(venue.now, stranger).ok


@pytest.mark.parametrize(
    ("token", "write", "read"),
    [(Token.NONE, (401, "UDAPI100050"), 401), (Token.EXTENDED, (403, "UDAPI100067"), 200)],
)
def test_tokens(venue, token, write, read):
    caller = Caller(token=token)
    answer = venue.exchange.place(venue.body(), venue.now, caller)
    assert (answer.status, answer.code) == write
    assert venue.exchange.order_book(venue.now, caller).status == read


@pytest.mark.parametrize(
    ("last", "percent"), [(4.0, 15.0), (8.0, 10.0), (50.0, 5.0), (200.0, 3.0)], ids=["<5", "<10", "<100", "above"]
)
def test_automatic_protection(venue, last, percent):
    venue.quote(bid=0, bid_qty=0, ask=0, ask_qty=0, last=last)
    order = venue.place(order_type="MARKET", price=0, market_protection=-1)
    row = venue.rows()[0]
    assert (row["order_type"], row["status"]) == ("LIMIT", "open")
    assert row["price"] == pytest.approx(last * (1 + percent / 100), abs=0.05)
    assert row["price"] >= last * (1 + percent / 100) - 1e-9
    assert venue.order(order).filled == 0


def test_protection_in_percent_rounds_away_from_the_market(venue):
    venue.quote(bid=0, ask=0, last=100.05)
    venue.place(order_type="MARKET", price=0, market_protection=2, transaction_type="SELL")
    assert venue.rows()[0]["price"] == 98.0  # 98.049 down to the tick


def test_unprotected_market_can_be_protected_instead():
    venue = Venue(with_settings(risk={"unprotected_market": "protect"}))
    venue.quote()
    assert venue.order(venue.place(order_type="MARKET", price=0)).status == "complete"


def test_market_order_without_any_price_yet(venue):
    order = venue.place(FUTURE, order_type="MARKET", price=0, market_protection=-1)
    assert "no last price" in venue.rows()[-1]["status_message"]
    assert venue.order(order).status == "rejected"


def test_rate_limit():
    venue = Venue(with_settings(rates={"orders": (10, 500, 2000)}))
    venue.quote()
    codes = [venue.send(price=90.0).code for _ in range(12)]
    assert codes == [""] * 10 + ["UDAPI10005"] * 2
    assert venue.send().headers == {}
    venue.run(1000)
    assert venue.send(price=90.0).ok


def test_rate_limit_of_a_minute_with_a_retry_after():
    venue = Venue(with_settings(rates={"orders": (0, 3, 0), "retry_after_s": 7}))
    venue.quote()
    assert [venue.send(price=90.0).ok for _ in range(4)] == [True] * 3 + [False]
    assert venue.send().headers == {"Retry-After": "7"}
    assert venue.send().status == 429
    venue.run(60_000)
    assert venue.send(price=90.0).ok


def test_an_expired_contract_is_not_traded():
    venue = Venue(day=dt.date(2026, 11, 25))
    venue.quote()
    venue.place()
    assert "expired" in venue.rows()[0]["status_message"]


def test_unknown_instrument_in_a_quote(venue):
    with pytest.raises(InputError, match="does not list"):
        venue.exchange.on_quote("NSE_FO|1", 1, 1, 1, 1, 1, 1, venue.now)
    venue.exchange.on_quote(CALL.upstox_key, 1, 1, 1, 1, 1, 1, venue.now)


def test_time_does_not_go_back(venue):
    order = venue.place(price=99.0)
    venue.exchange.cancel(order, venue.now - 10**12)
    venue.run()
    assert venue.order(order).status == "cancelled"
    venue.audited()


def test_circuit_before_the_first_price_of_the_day(venue):
    venue.now += 3 * 86_400 * 10**9  # Monday, and nothing has traded yet
    venue.run(0)
    assert venue.order(venue.place(price=100.05, product="D")).status == "open"
