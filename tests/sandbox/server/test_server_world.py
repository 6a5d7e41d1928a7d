"""The world without sockets: days that follow each other, limits of a feed's client, odd requests."""

from __future__ import annotations

import datetime as dt
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_ns
from sos_actors.sandbox.server.codec import FULL, FULL_D30, LTPC, MODES, OPTION_GREEKS
from sos_actors.sandbox.server.feed_client import FeedClient
from sos_actors.sandbox.server.local import simulated_days
from sos_actors.sandbox.server.sessions import segment_statuses, status_of
from sos_actors.sandbox.server.settings import ServerSettings
from sos_actors.sandbox.server.world import World

SETTINGS = ServerSettings(symbols=("NIFTY",))
FRIDAY, MONDAY = dt.date(2026, 11, 20), dt.date(2026, 11, 23)
INDEX = "NSE_INDEX|Nifty 50"


def world(now):
    return World(SETTINGS, simulated_days(SETTINGS), now)


# === days =======================================================================================================


def test_the_weekend_lies_between_two_days():
    made = world(ist_ns(FRIDAY, "15:38"))
    now, end = made.now_ns, ist_ns(MONDAY, "09:17")
    index = made.quote(INDEX)
    seen = []
    while now < end:
        night = now > ist_ns(FRIDAY, "15:45") and now < ist_ns(MONDAY, "09:10")
        now = min(now + (60 if night else 1) * MINUTE_NS, end)
        seen += [
            (made.market.tape.day, quote.ltp) for quote in made.step(now) if quote.instrument.id == index.instrument.id
        ]
    assert {day for day, _ in seen} == {FRIDAY, MONDAY}
    friday = [price for day, price in seen if day == FRIDAY]
    assert made.quote(INDEX).previous_close == friday[-1]
    assert made.quote(INDEX) is not index
    assert made.quote(INDEX).ltp == seen[-1][1]


def test_a_position_bought_before_the_weekend_is_settled_on_expiry():
    made = world(ist_ns(FRIDAY, "10:00"))
    item = made.market.table.by_id("NSE|OPT|NIFTY|2026-11-23|29500|CE")
    made.quote(item.upstox_key)
    body = {
        "quantity": 65, "product": "D", "validity": "DAY", "price": 0, "tag": "held", "order_type": "MARKET",
        "instrument_token": item.upstox_key, "transaction_type": "BUY", "disclosed_quantity": 0, "trigger_price": 0,
        "is_amo": False, "market_protection": -1,
    }  # fmt: skip
    assert made.exchange.place(body, made.now_ns).ok
    for seconds in range(1, 30):
        list(made.step(ist_ns(FRIDAY, "10:00") + seconds * SECOND_NS))
        made.exchange.advance(made.now_ns)
    assert made.exchange.books.net() == {item.id: 65}
    made.jump(ist_ns(MONDAY, "15:30"))
    made.exchange.advance(made.now_ns)
    assert made.exchange.books.net() == {item.id: 65}
    made.jump(ist_ns(MONDAY, "15:41"))
    made.jump(ist_ns(MONDAY, "15:50"))
    made.exchange.advance(made.now_ns)
    assert made.exchange.books.net() == {}
    assert made.exchange.books.audit() == ()
    settlement = made.exchange.books.executions()[-1]
    assert settlement.price == pytest.approx(max(made.quote(INDEX).ltp - 29500.0, 0.0) * 100, abs=1)


def test_it_begins_on_the_last_day_there_was():
    sunday = world(ist_ns(dt.date(2026, 11, 22), "12:00"))
    assert sunday.market.tape.day == FRIDAY
    quote = sunday.quote(INDEX)
    assert quote.ltp == sunday.market.tape.bars(quote.instrument).close[-1]


@pytest.mark.parametrize(
    ("clock", "status"),
    [
        ("08:59:59", "NORMAL_CLOSE"),
        ("09:00", "PRE_OPEN_START"),
        ("09:12", "PRE_OPEN_END"),
        ("09:15", "NORMAL_OPEN"),
        ("15:39:59", "NORMAL_OPEN"),
        ("15:40", "NORMAL_CLOSE"),
    ],
)
def test_sessions_of_a_day(clock, status):
    calendar = simulated_days(SETTINGS).schedule.calendar
    assert status_of(calendar, "NSE", ist_ns(FRIDAY, clock))[0] == status
    assert set(segment_statuses(calendar, ist_ns(FRIDAY, clock)).values()) == {status}


# === a feed's client ============================================================================================


def ask(client, method, keys, mode):
    raw = json.dumps({"guid": "g", "method": method, "data": {"instrumentKeys": keys, "mode": mode}}).encode()
    return client.take(raw, lambda key: not key.startswith("bad"))


@pytest.mark.parametrize(
    ("mode", "alone", "mixed"),
    [(LTPC, 5000, 2000), (OPTION_GREEKS, 3000, 2000), (FULL, 2000, 1500), (FULL_D30, 50, 50)],
)
def test_keys_of_a_mode(mode, alone, mixed):
    keys = [f"k{number}" for number in range(6000)]
    client = FeedClient(plus=True)
    assert len(ask(client, "sub", keys, mode)) == alone
    client = FeedClient(plus=True)
    ask(client, "sub", ["other"], LTPC if mode != LTPC else FULL)
    assert len(ask(client, "sub", keys, mode)) == mixed
    assert client.ignored == 6000 - mixed


def test_thirty_levels_are_for_plus_users():
    client = FeedClient(plus=False)
    assert ask(client, "sub", ["a"], FULL_D30) == []
    assert client.modes == {}


@given(
    st.lists(
        st.tuples(st.sampled_from(["sub", "unsub", "change_mode", "?"]), st.integers(0, 5), st.sampled_from(MODES))
    )
)
def test_a_key_has_the_mode_it_was_last_asked_in(requests):
    client, expected = FeedClient(plus=True), {}
    for method, number, mode in requests:
        key = f"k{number}" if number else "bad"
        fresh = ask(client, method, [key], mode)
        if method == "unsub":
            expected.pop(key, None)
        elif method != "?" and number:
            expected[key] = mode
            assert fresh == [key]
    assert client.modes == expected


@given(st.binary(max_size=60))
def test_no_bytes_make_a_client_fail(raw):
    client = FeedClient(plus=True)
    client.take(raw, lambda _: True)
    assert set(client.modes.values()) <= set(MODES)


# === odd requests ===============================================================================================


def test_nothing_a_caller_writes_makes_the_server_fail(desk):
    paths = [
        "/v3/historical-candle/NSE_INDEX%7CNifty%2050/minutes/1/9999-12-31/0001-01-01",
        "/v3/historical-candle/NSE_INDEX%7CNifty%2050/months/1/2026-11-19/0001-01-01",
        "/v3/historical-candle/NSE_INDEX%7CNifty%2050/minutes/%F0%9F%92%A5/2026-11-19",
        "/v2/historical-candle/NSE_INDEX%7CIndia%20VIX/1minute/2026-11-19/2026-11-19",
        "/v2/expired-instruments/historical-candle/NSE_FO%7C1%7C31-12-9999/day/2026-11-19/2026-11-01",
        "/v2/expired-instruments/historical-candle/NSE_FO%7C13502652%7C23-11-2026/day/2026-11-19/2026-11-01",
        "/v2/expired-instruments/historical-candle/BSE_FO%7C99999999999999999999%7C30-02-2026/day/2026-11-19/2026-11-01",
        "/v2/expired-instruments/expiries?instrument_key=NSE_INDEX%7CIndia+VIX",
        "/v2/expired-instruments/option/contract?instrument_key=NSE_INDEX%7CNifty+50&expiry_date=2031-01-01",
        "/v2/option/chain?instrument_key=NSE_INDEX%7CIndia+VIX&expiry_date=2026-11-23",
        "/v2/option/chain?instrument_key=NSE_INDEX%7CNifty+50&expiry_date=0001-01-01",
        "/v2/market/timings/9999-12-31",
        "/v2/market/holidays/1999-01-01",
        "/v2/instruments/search?query=x&records=-1&page_number=99999999999",
        "/v2/instruments/search?query=%25&records=30&page_number=10000000",
        "/v3/market-quote/ohlc?interval=I30&instrument_key=NSE_INDEX%7CNifty+50",
        "/v2/order/history?order_id=%00",
        "/market-quote/instruments/exchange/..%2f..json.gz",
        "/upstox-developer-api/order-updates/feed?code=nope",
        "/v3/feed/market-data-feed",
    ]
    for path in paths:
        status, answer = desk.call(path)
        assert status < 500, (path, answer)
    for method, path, body in (
        ("POST", "/sandbox/faults", None),
        ("POST", "/sandbox/clock", {"speed": "fast"}),
        ("POST", "/sandbox/clock", {"now": "yesterday"}),
        ("POST", "/sandbox/market/none", {}),
        ("POST", "/v2/login/authorization/token", {}),
        ("POST", "/v3/order/place", [1, {"instrument_token": 5}]),
        ("POST", "/v2/charges/margin", {"instruments": {"a": 1}}),
    ):
        status, answer = desk.call(path, method, body)
        assert 400 <= status < 500, (path, status, answer)


def test_settings_say_what_is_wrong():
    for changes, words in (
        ({"port": -1}, "sandbox.port is -1"),
        ({"speed": 0}, "speed is above 0"),
        ({"symbols": ()}, "symbols names one at least"),
        ({"step_ms": 0}, "sandbox.step_ms is 0"),
    ):
        with pytest.raises(ValueError, match=words):
            ServerSettings(**changes)
    with pytest.raises(msgspec.ValidationError, match="approval_s is -1"):
        msgspec.convert({"app": {"approval_s": -1}}, ServerSettings)
