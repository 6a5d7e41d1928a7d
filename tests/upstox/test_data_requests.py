"""The data requests with the real SDK against a broker on a loopback port."""

import datetime as dt
import gzip
import json
import logging
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from data_broker import EXPIRED, NIFTY, TODAY, DataBroker
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import DataError
from sos_actors.market.calendar import TradingCalendar
from sos_actors.market.clocktime import ist_ns
from sos_actors.upstox.chain_snapshot import read_chain
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.errors import NotAllowedError, RateLimitedError, UnreadableAnswerError
from sos_actors.upstox.expired import ContractRow, ExpiredContracts
from sos_actors.upstox.history import CandleAnswer, CandleHistory, Candles, chunks
from sos_actors.upstox.instruments import MasterFiles, check_packed, downloader
from sos_actors.upstox.limits import RateLimiter
from sos_actors.upstox.market_info import MarketInfo
from sos_actors.upstox.settings import UpstoxSettings

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
MASTER = DATA / "upstox_master_indices_2025-12_complete_nse_bse.json.gz"


@pytest.fixture
def broker():
    started = DataBroker().start()
    yield started
    started.stop()


@pytest.fixture
def client(broker):
    settings = UpstoxSettings(host=broker.url, order_host=broker.url, assets_url=broker.url)
    made = UpstoxClient(settings, RateLimiter(settings.rates, time.monotonic), "token-of-a-test")
    yield made
    made.close()


# --- candles --------------------------------------------------------------------------------------------

DAYS = st.dates(dt.date(2022, 1, 1), dt.date(2026, 12, 31))


@given(DAYS, DAYS, st.integers(1, 40))
def test_chunks_cover_every_day_once_and_none_is_too_long(first, last, longest):
    found = chunks(first, last, longest)
    days = [start + dt.timedelta(days=n) for start, end in found for n in range((end - start).days + 1)]
    assert days == [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    assert all(1 <= (end - start).days + 1 <= longest for start, end in found)


def test_past_candles_come_oldest_first_over_as_many_requests_as_it_takes(broker, client):
    first, last = dt.date(2026, 9, 1), dt.date(2026, 10, 30)
    rows = CandleHistory(client, patience_s=5).past(NIFTY, first, last)
    assert broker.hits["historical-candle"] == 3
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert rows[0][0] == "2026-09-01T09:15:00+05:30"
    assert rows[-1][0] == "2026-10-30T15:39:00+05:30"
    days = {row[0][:10] for row in rows}
    assert len(days) == len(TradingCalendar().trading_days("NSE", first, last)) == len(rows) / 385


def test_today_comes_from_intraday_alone(broker, client):
    history = CandleHistory(client, patience_s=5)
    assert history.past(NIFTY, TODAY, TODAY) == []
    assert len(history.today(NIFTY)) == 385


def test_rows_that_are_none_are_kept_to_be_counted():
    rows = CandleAnswer(
        data=Candles(candles=[["2026-11-20T09:16:00+05:30", 1], None, ["2026-11-20T09:15:00+05:30"]])
    ).rows()
    assert rows == [[], ["2026-11-20T09:15:00+05:30"], ["2026-11-20T09:16:00+05:30", 1]]
    assert CandleAnswer().rows() == CandleAnswer(data=Candles()).rows() == []


def test_html_and_429_are_typed(broker, client):
    history = CandleHistory(client, patience_s=0)
    broker.answers["/v3/historical-candle"] = lambda _: web.Response(text="<html>busy</html>", content_type="text/html")
    with pytest.raises(UnreadableAnswerError):
        history.today(NIFTY)
    broker.answers["/v3/historical-candle"] = lambda _: web.Response(status=429, text="<html>")
    with pytest.raises(RateLimitedError):
        history.today(NIFTY)


# --- expired contracts ----------------------------------------------------------------------------------


def test_expired_contracts_have_dated_keys(client):
    expired = ExpiredContracts(client, patience_s=5)
    assert expired.expiries("NIFTY") == (dt.date(2026, 11, 10), EXPIRED)
    options = expired.options("NIFTY", EXPIRED)
    assert options[0].id == "NSE|OPT|NIFTY|2026-11-17|24000|CE"
    assert options[0].upstox_key == "NSE_FO|30000|17-11-2026"
    assert options[0].tick_size == 0.05
    assert [one.id for one in expired.futures("NIFTY", EXPIRED)] == ["NSE|FUT|NIFTY|2026-11-17"]
    rows = expired.candles(options[0].upstox_key, dt.date(2026, 11, 16), EXPIRED)
    assert len(rows) == 2 * 385


def test_without_the_plan_the_advice_names_it(broker, client):
    broker.plus = False
    with pytest.raises(NotAllowedError, match="Upstox Plus") as told:
        ExpiredContracts(client, patience_s=5).expiries("NIFTY")
    assert told.value.code == "UDAPI1149"


@pytest.mark.parametrize(
    "changes",
    [{"expiry": None}, {"expiry": "soon"}, {"instrument_key": None}, {"strike_price": None}, {"instrument_type": "EQ"},
     {"underlying_key": "NSE_EQ|X", "underlying_symbol": "RELIANCE"}],
)  # fmt: skip
def test_contract_rows_that_lack_something_are_left_out(changes):
    sound = {"instrument_key": "NSE_FO|1|17-11-2026", "expiry": "2026-11-17", "instrument_type": "CE",
             "strike_price": 25_000.0, "underlying_key": NIFTY}  # fmt: skip
    assert ContractRow(**sound).instrument() is not None
    assert ContractRow(**(sound | changes)).instrument() is None


# --- the chain and the calendar -------------------------------------------------------------------------


def test_the_chain_is_a_frame_with_ascending_strikes(client):
    now = ist_ns(TODAY, "10:00")
    told = read_chain(client, "NIFTY", dt.date(2026, 11, 23), now)
    frame = told.frame
    assert frame.strikes.tolist() == [25_000, 25_050]
    assert frame.spot == 25_010.5
    assert frame.column("close")[0].tolist() == [120.5, 120.5]
    assert frame.column("bid")[0].tolist() == [120.0, 120.0]
    assert np.isnan(frame.column("ask")[0]).all()  # a quote of zero is none
    assert np.isnan(frame.column("close")[1]).all()
    assert told.iv[0].tolist() == [0.125, 0.125]


def test_no_strikes_no_chain(broker, client):
    broker.answers["/v2/option/chain"] = lambda _: web.json_response({"status": "success", "data": []})
    assert read_chain(client, "NIFTY", dt.date(2026, 11, 23), 0) is None


def test_hours_and_state_of_a_segment(broker, client):
    start, end = ist_ns(TODAY, "09:15") // 10**6, ist_ns(TODAY, "15:40") // 10**6
    hours = [
        {"exchange": "NSE", "start_time": start, "end_time": 1},
        {"exchange": "NFO", "start_time": start, "end_time": end},
    ]
    broker.answers["/v2/market/timings"] = lambda _: web.json_response({"data": hours})
    broker.answers["/v2/market/status"] = lambda _: web.json_response(
        {"data": {"exchange": "NFO", "status": "NORMAL_OPEN"}}
    )
    info = MarketInfo(client)
    assert info.sessions("NFO", TODAY) == TradingCalendar().sessions("NSE", TODAY)
    assert info.sessions("CDS", TODAY) == ()
    assert info.status("NFO") == "NORMAL_OPEN"


# --- the instrument master ------------------------------------------------------------------------------


def master_files(broker, home):
    settings = UpstoxSettings(host=broker.url, order_host=broker.url, assets_url=broker.url)
    return MasterFiles(home, downloader(settings))


def test_the_master_is_fetched_once_a_day_and_kept(broker, tmp_path):
    files = master_files(broker, tmp_path)
    assert files.today(TODAY).age_days == 0
    files.today(TODAY)
    assert broker.agents == [f"sos-actors/{broker.agents[0].split('/')[1]}"]
    files.today(TODAY, refresh=True)
    assert len(broker.agents) == 2
    files.today(TODAY + dt.timedelta(days=1))
    assert files.days() == [TODAY, TODAY + dt.timedelta(days=1)]
    assert files.on(TODAY + dt.timedelta(days=9)).day == TODAY + dt.timedelta(days=1)
    with pytest.raises(DataError, match="or before is kept"):
        files.on(TODAY - dt.timedelta(days=1))
    assert sorted(path.name for path in files.folder.iterdir()) == ["2026-11-20.json.gz", "2026-11-21.json.gz"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: web.Response(status=403, text="<html>no</html>"), "HTTP 403"),
        (lambda _: web.Response(body=b""), "empty"),
        (lambda _: web.Response(body=b"<html>maintenance</html>"), "no gzip"),
        (lambda _: web.Response(body=gzip.compress(json.dumps([1] * 9999).encode())[:-20]), "cut short"),
        (lambda _: web.Response(body=gzip.compress(b"[]")), "no index options"),
        (lambda _: web.Response(body=gzip.compress(b'{"a": 1}')), "no use"),
    ],
)
def test_a_bad_file_is_refused_and_yesterdays_stands_in_loudly(broker, tmp_path, caplog, answer, words):
    files = master_files(broker, tmp_path)
    kept = files.today(TODAY - dt.timedelta(days=1)).path.read_bytes()
    broker.answers["/market-quote"] = answer
    with caplog.at_level(logging.WARNING):
        found = files.today(TODAY)
    assert (found.day, found.age_days) == (TODAY - dt.timedelta(days=1), 1)
    assert "1 day(s) old" in caplog.text
    assert words in caplog.text
    assert files.path(TODAY - dt.timedelta(days=1)).read_bytes() == kept
    shutil.rmtree(files.folder)
    with pytest.raises(DataError, match=words):
        files.today(TODAY)
    assert list(files.folder.glob(".*")) == []


def test_a_damaged_file_of_today_is_fetched_again(broker, tmp_path):
    files = master_files(broker, tmp_path)
    files.today(TODAY)
    files.path(TODAY).write_bytes(b"rubbish")
    assert len(files.today(TODAY).table) > 100


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr("sos_actors.upstox.instruments.MOST_UNPACKED", 2**25)
    with pytest.raises(DataError, match="unpacks to more"):
        check_packed(gzip.compress(bytes(2**26), 1), "here")
    monkeypatch.setattr("sos_actors.upstox.instruments.MOST_PACKED", 10)
    with pytest.raises(DataError, match="no instrument file"):
        check_packed(bytes(11), "here")


@pytest.mark.skipif(not MASTER.exists(), reason="needs the shared data")
def test_the_real_file_goes_through(broker, tmp_path):
    broker.answers["/market-quote"] = lambda _: web.Response(body=MASTER.read_bytes())
    found = master_files(broker, tmp_path).today(TODAY)
    assert found.table.by_id("NSE|INDEX|NIFTY").upstox_key == NIFTY
    assert len(found.table.expiries("NIFTY")) > 5
