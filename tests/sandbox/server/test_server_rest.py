"""The market side of REST, asked by the broker's real SDK and by hand."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import urllib.error
import urllib.request

import pytest
import upstox_client
from upstox_client.rest import ApiException

from sos_actors.market.clocktime import ist_date
from sos_actors.market.instruments import read_master
from sos_actors.sandbox.market import SimulatedMarket

INDEX = "NSE_INDEX|Nifty 50"
EXPIRY = "2026-11-23"
DAY = dt.date(2026, 11, 20)


def codes(answer):
    """The error's code in both casings, which must be the same."""
    (error,) = answer["errors"]
    assert answer["status"] == "error"
    assert set(error) == {
        "errorCode", "message", "propertyPath", "invalidValue", "error_code", "property_path", "invalid_value"
    }  # fmt: skip
    assert error["errorCode"] == error["error_code"]
    return error["errorCode"]


def refused(call, *args, **kwargs):
    """HTTP status and code of an SDK call that must fail."""
    with pytest.raises(ApiException) as caught:
        call(*args, **kwargs)
    return caught.value.status, codes(json.loads(caught.value.body))


# === instruments ================================================================================================


def test_the_master_is_what_our_reader_takes(desk, tmp_path):
    raw = urllib.request.urlopen(
        desk.sandbox.address + "/market-quote/instruments/exchange/complete.json.gz", timeout=30
    ).read()
    path = tmp_path / "complete.json.gz"
    path.write_bytes(raw)
    table = read_master(path)
    one = table.by_id("NSE|OPT|NIFTY|2026-11-23|29950|CE")
    assert (one.lot_size, one.freeze_quantity, one.tick_size, one.weekly) == (65, 1800, 0.05, False)
    assert one.expiry == dt.date(2026, 11, 23)
    assert len(table) > 1000
    served = desk.sandbox.call(lambda service: [one.upstox_key for one in service.world.market.table])
    assert sorted(one.upstox_key for one in table) == sorted(served)
    assert len(set(served)) == len(served)
    row = next(row for row in json.loads(gzip.decompress(raw)) if row["instrument_type"] == "CE")
    assert row["tick_size"] == 5.0
    assert row["expiry"] % 86_400_000 == 66_599_000  # 23:59:59 IST


def test_the_master_is_refused_to_who_does_not_say_what_he_is(desk):
    path = "/market-quote/instruments/exchange/NSE.json.gz"
    assert desk.call(path, headers={"User-Agent": ""})[0] == 403
    assert desk.call("/market-quote/instruments/exchange/BSE.json.gz")[0] == 200


def test_search(desk):
    api = upstox_client.InstrumentsApi(desk.api)
    found = api.search_instrument("NIFTY 29950", instrument_types="CE", expiry=EXPIRY)
    assert [row["trading_symbol"] for row in _rows(found)] == ["NIFTY 29950 CE 23 NOV 26"]
    status, answer = desk.call("/v2/instruments/search?query=NIFTY&records=5&page_number=2")
    assert (status, len(answer["data"])) == (200, 5)
    assert answer["meta_data"]["page"]["total_records"] > 1000


def _rows(answer):
    return [row if isinstance(row, dict) else row.to_dict() for row in answer.data]


# === candles ====================================================================================================


def test_candles_are_the_markets_bars_newest_first(desk):
    candles = upstox_client.HistoryV3Api(desk.api).get_historical_candle_data1(
        INDEX, "minutes", "1", "2026-11-19", "2026-11-19"
    )
    rows = candles.data.candles
    bars = SimulatedMarket(seed=7).index("NIFTY", dt.date(2026, 11, 19))
    assert len(rows) == len(bars.start) == 385
    assert [row[4] for row in reversed(rows)] == bars.close.tolist()
    assert rows[-1][0] == "2026-11-19T09:15:00+05:30"
    assert rows[0][5:] == [0, 0]


def test_longer_candles_join_the_minutes(desk):
    api = upstox_client.HistoryV3Api(desk.api)
    minutes = api.get_historical_candle_data1(INDEX, "minutes", "1", "2026-11-19", "2026-11-18").data.candles
    fives = api.get_historical_candle_data1(INDEX, "minutes", "5", "2026-11-19", "2026-11-18").data.candles
    days = api.get_historical_candle_data1(INDEX, "days", "1", "2026-11-19", "2026-11-18").data.candles
    weeks = api.get_historical_candle_data1(INDEX, "weeks", "1", "2026-11-19", "2026-11-16").data.candles
    assert len(fives) == 2 * 77
    first = list(reversed(minutes))[:5]
    assert fives[-1][1:5] == [
        first[0][1], max(row[2] for row in first), min(row[3] for row in first), first[-1][4]
    ]  # fmt: skip
    assert [row[0][:10] for row in days] == ["2026-11-19", "2026-11-18"]
    assert days[0][2] == max(row[2] for row in minutes[:385])
    assert len(weeks) == 1
    assert weeks[0][0] == "2026-11-16T00:00:00+05:30"


def test_today_comes_from_intraday_alone_and_only_what_is_over(desk):
    api = upstox_client.HistoryV3Api(desk.api)
    assert api.get_historical_candle_data1(INDEX, "minutes", "1", "2026-11-20", "2026-11-20").data.candles == []
    rows = api.get_intra_day_candle_data(INDEX, "minutes", "1").data.candles
    now = desk.control("state")["now"]
    assert rows[0][0] < now
    assert dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(rows[0][0]) >= dt.timedelta(minutes=1)
    assert rows[-1][0] == "2026-11-20T09:15:00+05:30"


def test_options_have_candles_with_open_interest(desk):
    key = desk.key("NIFTY 29950 CE 23 NOV 26")
    v2 = upstox_client.HistoryApi(desk.api).get_historical_candle_data1(
        key, "30minute", "2026-11-19", "2026-11-19", "2.0"
    )
    assert len(v2.data.candles) == 13
    assert all(row[5] > 0 and row[6] > 0 for row in v2.data.candles)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("NIFTY", "minutes", "1", "2026-11-19", "2026-11-18"), "UDAPI1021"),
        (("NSE_FO|1", "minutes", "1", "2026-11-19", "2026-11-18"), "UDAPI100011"),
        ((INDEX, "ticks", "1", "2026-11-19", "2026-11-18"), "UDAPI1146"),
        ((INDEX, "hours", "9", "2026-11-19", "2026-11-18"), "UDAPI1147"),
        ((INDEX, "minutes", "1", "2026-11-18", "2026-11-19"), "UDAPI1015"),
        ((INDEX, "minutes", "1", "2026-11-19", "2026-09-01"), "UDAPI1148"),
        ((INDEX, "minutes", "1", "19-11-2026", "2026-11-18"), "UDAPI1022"),
    ],
)
def test_what_is_wrong_with_a_request_for_candles(desk, args, code):
    api = upstox_client.HistoryV3Api(desk.api)
    assert refused(api.get_historical_candle_data1, *args) == (400, code)


def test_expired_contracts_for_plus_users(desk):
    api = upstox_client.ExpiredInstrumentApi(desk.api)
    expiries = api.get_expiries(INDEX).data
    last = [str(day)[:10] for day in expiries][-1]
    assert last == "2026-11-17"
    contracts = api.get_expired_option_contracts(INDEX, last).data
    one = contracts[len(contracts) // 2]
    assert one.instrument_key.endswith("|17-11-2026")
    rows = api.get_expired_historical_candle_data(one.instrument_key, "day", last, "2026-11-16").data.candles
    assert [row[0][:10] for row in rows] == ["2026-11-17", "2026-11-16"]


def test_expired_contracts_are_refused_without_plus(open_desk):
    from sos_actors.sandbox.server.settings import AppSettings  # noqa: PLC0415

    desk = open_desk(app=AppSettings(plus=False))
    assert refused(upstox_client.ExpiredInstrumentApi(desk.api).get_expiries, INDEX) == (403, "UDAPI1149")


# === options and quotes =========================================================================================


def test_the_chain_says_what_the_market_says(desk):
    chain = upstox_client.OptionsApi(desk.api).get_put_call_option_chain(INDEX, EXPIRY).data
    assert len(chain) == 81
    row = chain[40]
    key = row.call_options.instrument_key
    shown, own = row.call_options.market_data, desk.control(f"market/{key.replace('|', '%7C')}", {})
    assert 0 < shown.bid_price < shown.ask_price
    assert abs(shown.ltp / own["ltp"] - 1) < 0.2  # a second or two later
    greeks = row.call_options.option_greeks
    assert 5 < greeks.iv < 40  # percent
    assert 0.2 < greeks.delta < 0.8
    assert greeks.theta < 0 < greeks.vega
    assert row.pcr == pytest.approx(row.put_options.market_data.oi / shown.oi, abs=1e-3)


def test_contracts_carry_the_expiry_as_a_date(desk):
    _, answer = desk.call(f"/v2/option/contract?instrument_key=NSE_INDEX%7CNifty+50&expiry_date={EXPIRY}")
    assert len(answer["data"]) == 162
    assert {row["expiry"] for row in answer["data"]} == {EXPIRY}
    assert answer["data"][0]["tick_size"] == 5.0


def test_quotes_are_keyed_with_a_colon_and_joined_by_the_token(desk):
    key = desk.key("NIFTY 29950 CE 23 NOV 26")
    v3 = upstox_client.MarketQuoteV3Api(desk.api)
    ltp = v3.get_ltp(instrument_key=f"{key},{INDEX}").data
    assert set(ltp) == {"NSE_FO:NIFTY26NOV29950CE", "NSE_INDEX:Nifty 50"}
    assert ltp["NSE_FO:NIFTY26NOV29950CE"].instrument_token == key
    greek = next(iter(v3.get_market_quote_option_greek(instrument_key=key).data.values()))
    assert 0.05 < greek.iv < 0.4  # a fraction
    ohlc = next(iter(v3.get_market_quote_ohlc("I1", instrument_key=key).data.values()))
    assert ohlc.prev_ohlc.low <= ohlc.prev_ohlc.close <= ohlc.prev_ohlc.high
    day = next(iter(v3.get_market_quote_ohlc("1d", instrument_key=key).data.values()))
    assert day.live_ohlc.volume >= ohlc.prev_ohlc.volume > 0
    v2 = upstox_client.MarketQuoteApi(desk.api)
    full = next(iter(v2.get_full_market_quote(key, "2.0").data.values()))
    assert len(full.depth.buy) == len(full.depth.sell) == 5
    assert full.depth.buy[0].price < full.depth.sell[0].price
    assert full.lower_circuit_limit < full.last_price < full.upper_circuit_limit
    assert next(iter(v2.ltp(key, "2.0").data.values())).last_price > 0


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v3/market-quote/ltp", "UDAPI1009"),
        ("/v3/market-quote/ltp?instrument_key=NIFTY", "UDAPI1011"),
        ("/v3/market-quote/ltp?instrument_key=NSE_FO%7C1", "UDAPI1087"),
        ("/v3/market-quote/option-greek?instrument_key=" + ",".join(["NSE_FO%7C1"] * 51), "UDAPI100076"),
        ("/v2/market-quote/ltp?symbol=" + ",".join(["NSE_FO%7C1"] * 501), "UDAPI100042"),
        ("/v3/market-quote/ohlc?interval=I7&instrument_key=NSE_INDEX%7CNifty+50", "UDAPI1028"),
        ("/v2/option/chain?instrument_key=NSE_INDEX%7CNifty%2050&expiry_date=soon", "UDAPI1088"),
        ("/v2/option/chain?instrument_key=NSE_INDEX%7CNope&expiry_date=2026-11-23", "UDAPI100011"),
        ("/v2/market/status/NASDAQ", "UDAPI1089"),
    ],
)
def test_what_is_wrong_with_a_request_for_quotes(desk, path, code):
    status, answer = desk.call(path)
    assert (status, codes(answer)) == (400, code)


# === hours, account, errors =====================================================================================


def test_status_timings_and_holidays(desk):
    hours = upstox_client.MarketHolidaysAndTimingsApi(desk.api)
    assert hours.get_market_status("NFO").data.status == "NORMAL_OPEN"
    assert hours.get_market_status("MCX").data.status == "NORMAL_CLOSE"
    rows = {row.exchange: row for row in hours.get_exchange_timings("2026-11-20").data}
    assert (rows["NFO"].end_time - rows["NFO"].start_time) == 385 * 60_000
    holidays = {str(row._date)[:10]: row for row in hours.get_holidays().data}
    assert "NFO" in holidays["2026-11-24"].closed_exchanges
    _, answer = desk.call("/v2/market/holidays/2026-02-01")
    assert [row["exchange"] for row in answer["data"][0]["open_exchanges"]] == ["NSE", "NFO", "BSE", "BFO"]


def test_our_calendar_takes_the_holiday_rows(desk):
    from sos_actors.market.calendar import INDIA  # noqa: PLC0415

    _, answer = desk.call("/v2/market/holidays")
    laid = INDIA.with_holidays(answer["data"])
    for day in (dt.date(2026, 11, 24), dt.date(2026, 2, 1), dt.date(2026, 11, 20)):
        assert laid.sessions("NSE", day) == INDIA.sessions("NSE", day)


def test_profile_and_funds(desk):
    user = upstox_client.UserApi(desk.api)
    assert user.get_profile("2.0").data.user_id == "SB1234"
    assert user.get_user_fund_margin("2.0").data["equity"].available_margin == 1_000_000.0


def test_an_unknown_path_and_a_wrong_method(desk):
    status, answer = desk.call("/v2/nothing/here")
    assert (status, codes(answer)) == (404, "UDAPI100060")
    status, answer = desk.call("/v2/order/retrieve-all", "POST", {})
    assert (status, codes(answer)) == (405, "UDAPI10000")


def test_without_a_token_only_what_the_sdk_asks_without_one(desk):
    bare = {"Authorization": ""}
    for path in (
        "/v3/historical-candle/NSE_INDEX%7CNifty%2050/days/1/2026-11-19",
        "/v2/market/holidays",
        "/v2/market/timings/2026-11-20",
    ):
        assert desk.call(path, headers=bare)[0] == 200
    for path in (
        "/v2/user/profile",
        "/v3/market-quote/ltp?instrument_key=NSE_INDEX%7CNifty+50",
        "/v2/order/retrieve-all",
    ):
        status, answer = desk.call(path, headers=bare)
        assert (status, codes(answer)) == (401, "UDAPI100050")


def test_too_many_requests(desk):
    desk.control("clock", {"speed": 0})
    path = "/v3/market-quote/ltp?instrument_key=NSE_INDEX%7CNifty+50"
    answers = [desk.call(path) for _ in range(51)]
    assert [status for status, _ in answers] == [200] * 50 + [429]
    assert codes(answers[-1][1]) == "UDAPI10005"


def test_the_sandboxs_day(desk):
    assert ist_date(desk.control("state")["now_ns"]) == DAY
