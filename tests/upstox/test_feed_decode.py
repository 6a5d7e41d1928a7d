"""Frames read by field say what the SDK's own way (MessageToDict) says, and what the recorded market said."""

import datetime as dt
import os
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from upstox_client.feeder.proto.MarketDataFeedV3_pb2 import FeedResponse

from sos_actors.market.bars import BarBuilder
from sos_actors.messages import Tick
from sos_actors.upstox.decode import FeedDecoder

MS = 1_000_000
DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
TICKS = DATA / "ticks_BANKNIFTY_options_2025-12-15_upstox_full_d5.parquet"

prices = st.floats(0, 1e6) | st.just(0.0)
counts = st.integers(0, 2**40)
times = st.integers(0, 2**42)
KEYS = ("NSE_FO|1", "NSE_FO|2", "BSE_FO|3", "NSE_INDEX|Nifty 50")
UNKNOWN = "NSE_FO|404"


def decoder(now=5):
    ticks, markets = [], []
    made = FeedDecoder(lambda: now, lambda: 77, ticks.append, markets.append)
    made.instruments = {key: f"our {key}" for key in KEYS}
    return made, ticks, markets


@st.composite
def responses(draw):
    response = FeedResponse(type=draw(st.sampled_from([0, 1])), currentTs=draw(times))
    for key in draw(st.lists(st.sampled_from([*KEYS, UNKNOWN]), unique=True)):
        feed = response.feeds[key]
        mode = draw(st.sampled_from(["ltpc", "greeks", "full_d5", "full_d30", "index", "none"]))
        if mode == "none":
            feed.requestMode = 1
            continue
        if mode in {"full_d5", "full_d30"}:
            record = feed.fullFeed.marketFF
            for _ in range(draw(st.integers(0, 30 if mode == "full_d30" else 5))):
                record.marketLevel.bidAskQuote.add(
                    bidQ=draw(counts), bidP=draw(prices), askQ=draw(counts), askP=draw(prices)
                )
            record.marketOHLC.ohlc.add(interval="1d", open=1.0, ts=draw(times))
        elif mode == "greeks":
            record = feed.firstLevelWithGreeks
            record.firstDepth.bidP, record.firstDepth.askP = draw(prices), draw(prices)
            record.optionGreeks.delta = 0.5
        else:
            record = feed.fullFeed.indexFF if mode == "index" else feed
        if mode not in {"ltpc", "index"}:
            record.vtt, record.oi, record.iv = draw(counts), float(draw(counts)), 0.1
        record.ltpc.ltp, record.ltpc.ltt, record.ltpc.ltq = draw(prices), draw(times), draw(counts)
        record.ltpc.cp = draw(prices)
    return response


def the_sdks_way(response):
    """Key -> (price, ts, quantity, volume, oi, bid, ask), out of the dict; keys without a trade left out."""
    found = {}
    for key, feed in MessageToDict(response).get("feeds", {}).items():
        full = feed.get("fullFeed", {})
        record = full.get("marketFF") or full.get("indexFF") or feed.get("firstLevelWithGreeks") or feed
        ltpc = record.get("ltpc", {})
        price, ts = ltpc.get("ltp", 0.0), int(ltpc.get("ltt", 0))
        if not price or not ts or key == UNKNOWN:
            continue
        if "marketFF" in full or "firstLevelWithGreeks" in feed:
            levels = record.get("marketLevel", {}).get("bidAskQuote") or [record.get("firstDepth", {})]
            bid, ask = (levels[0].get(name, np.nan) for name in ("bidP", "askP"))
            rest = (int(record.get("vtt", 0)), record.get("oi", 0.0), bid, ask)
        else:
            rest = (-1, np.nan, np.nan, np.nan)
        found[f"our {key}"] = (price, ts * MS, int(ltpc.get("ltq", 0)), *rest)
    return found


@given(responses())
def test_the_fast_way_and_the_sdks_way_agree(response):
    made, ticks, _ = decoder()
    made.decode(response.SerializeToString())
    ours = {t.instrument: (t.price, t.ts, t.quantity, t.day_volume, t.oi, t.bid, t.ask) for t in ticks}
    expected = the_sdks_way(response)
    assert ours.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(np.array(ours[name]), np.array(values))
    assert all(tick.ts_recv == 5 for tick in ticks)
    known = [key for key in response.feeds if key != UNKNOWN]
    assert made.heard == dict.fromkeys(known, 77)
    assert made.priceless == len(known) - len(ticks)
    assert made.unknown.total() == (UNKNOWN in response.feeds)


@given(st.binary(max_size=200) | st.text(max_size=20))
def test_nothing_a_server_sends_raises(data):
    made, _, _ = decoder()
    made.decode(data)


@given(responses(), st.data())
def test_a_frame_cut_short_is_counted_or_read_never_raised(response, data):
    whole = response.SerializeToString()
    made, ticks, _ = decoder()
    made.decode(whole[: data.draw(st.integers(0, len(whole)))])
    assert made.malformed <= 1
    assert len(ticks) <= len(response.feeds)


def test_a_tick_is_stamped_before_its_frame_is_read(monkeypatch):
    clock = [5]

    class Slow:
        @staticmethod
        def FromString(data):  # noqa: N802 - protobuf's name
            clock[0] += 1_000
            return FeedResponse.FromString(data)

    monkeypatch.setattr("sos_actors.upstox.decode.FeedResponse", Slow)
    ticks: list[Tick] = []
    made = FeedDecoder(lambda: clock[0], lambda: 77, ticks.append, lambda _: None)
    made.instruments = {"NSE_FO|1": "X"}
    response = FeedResponse(type=1)
    response.feeds["NSE_FO|1"].ltpc.ltp = 100.0
    response.feeds["NSE_FO|1"].ltpc.ltt = 1
    made.decode(response.SerializeToString())
    assert [tick.ts_recv for tick in ticks] == [5]


def test_prices_that_are_none():
    for price in (0.0, -1.0, float("nan"), float("inf")):
        response = FeedResponse(type=1)
        response.feeds["NSE_FO|1"].ltpc.ltp = price
        response.feeds["NSE_FO|1"].ltpc.ltt = 1
        made, ticks, _ = decoder()
        made.decode(response.SerializeToString())
        assert ticks == []
        assert made.priceless == 1


def test_the_segments_status():
    response = FeedResponse(type=2, currentTs=1_000)
    response.marketInfo.segmentStatus["NSE_FO"] = 2
    response.marketInfo.segmentStatus["BSE_FO"] = 0
    response.marketInfo.segmentStatus["MCX_FO"] = 99
    response.marketInfo.casMarketStatus["NSE_EQ"].status = "CAS_OPEN"
    made, ticks, markets = decoder()
    made.decode(response.SerializeToString())
    assert ticks == []
    (market,) = markets
    assert market.ts == 1_000 * MS
    assert market.segments == (("BSE_FO", "PRE_OPEN_START"), ("MCX_FO", "99"), ("NSE_FO", "NORMAL_OPEN"))
    assert market.closing_auction == (("NSE_EQ", "CAS_OPEN"),)


@pytest.mark.real_data
@pytest.mark.skipif(not TICKS.exists(), reason="no real market data")
def test_bars_of_recorded_ticks_survive_the_wire():
    """A real session's ticks, encoded as the broker does, decoded, and made to bars: the same bars."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - only where the data is

    rows = pq.read_table(TICKS).slice(0, 40_000).to_pylist()
    busiest = max({r["instrument_key"] for r in rows}, key=lambda k: sum(r["instrument_key"] == k for r in rows))
    rows = [r for r in rows if r["instrument_key"] == busiest]
    assert len(rows) > 200
    now = [0]
    got: list[Tick] = []
    made = FeedDecoder(lambda: now[0], lambda: 0, got.append, lambda _: None)
    made.instruments = {busiest: "X"}
    direct, wired = BarBuilder("X"), BarBuilder("X")
    for row in rows:
        ltt, now[0] = ns(row["ltt"]), ns(row["recv_ts"])
        made.decode(frame_of(row, ltt // MS))
        direct.tick(
            Tick(
                "X",
                ltt,
                now[0],
                float(row["ltp"]),
                row["ltq"],
                row["vtt"],
                row["oi"],
                float(row["bid1"]),
                float(row["ask1"]),
            )
        )
        wired.tick(got[-1])
    assert len(got) == len(rows)
    minutes = sorted({tick.ts // (60 * 10**9) for tick in got})
    assert len(minutes) > 3
    for minute in minutes:
        end = (minute + 1) * 60 * 10**9
        assert repr(wired.close(end)) == repr(direct.close(end))


def ns(when: dt.datetime) -> int:
    return round(when.replace(tzinfo=dt.UTC).timestamp() * 1_000) * MS


def frame_of(row, ltt_ms):
    response = FeedResponse(type=1, currentTs=ltt_ms)
    record = response.feeds[row["instrument_key"]].fullFeed.marketFF
    record.ltpc.ltp, record.ltpc.ltt, record.ltpc.ltq, record.ltpc.cp = row["ltp"], ltt_ms, row["ltq"], row["cp"]
    record.vtt, record.oi, record.atp, record.iv = row["vtt"], row["oi"], row["atp"], row["iv"]
    for level in range(1, 6):
        record.marketLevel.bidAskQuote.add(
            bidQ=row[f"bidq{level}"], bidP=row[f"bid{level}"], askQ=row[f"askq{level}"], askP=row[f"ask{level}"]
        )
    return response.SerializeToString()
