import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.market.clocktime import DAY_NS, MINUTE_NS, ist_ns, minute_of_day
from sos_actors.market.day import BarColumns
from sos_actors.market.resample import Resampler, bucket_start, resample
from sos_actors.messages import Bar

DAY = dt.date(2026, 7, 20)
OPEN = ist_ns(DAY, "09:15")
NAN = math.nan
NAME = "NSE|INDEX|NIFTY"


def bar(minute, price=100.0, high=None, low=None, close=None, volume=10.0, oi=NAN, complete=True, day=0):
    start = OPEN + day * DAY_NS + minute * MINUTE_NS
    return Bar(NAME, start, start + MINUTE_NS, price, high or price, low or price, close or price, volume, oi,
               complete=complete)  # fmt: skip


def columns(bars):
    def column(name):
        return np.array([getattr(b, name) for b in bars], dtype=float)

    start = np.array([b.start for b in bars], dtype=np.int64)
    return BarColumns(NAME, 60, start, *(column(n) for n in ("open", "high", "low", "close", "volume", "oi")))


def run(resampler, bars):
    out = [done for item in bars for done in resampler.add(item)]
    left = resampler.flush()
    return out + ([left] if left else [])


def test_five_minutes():
    resampler = Resampler(5)
    prices = [100.0, 104.0, 98.0, 101.0, 103.0]
    done = [resampler.add(bar(i, price, oi=1000.0 + i)) for i, price in enumerate(prices)]
    assert done[:4] == [()] * 4
    (five,) = done[4]
    assert (five.start, five.end) == (OPEN, OPEN + 5 * MINUTE_NS)
    assert (five.open, five.high, five.low, five.close) == (100.0, 104.0, 98.0, 103.0)
    assert (five.volume, five.oi, five.complete) == (50.0, 1004.0, True)
    assert resampler.flush() is None


def test_bars_count_from_the_open_and_the_last_says_that_it_is_partial():
    hours = run(Resampler(60), [bar(i) for i in range(375)])
    assert [minute_of_day(b.start) for b in hours] == [555, 615, 675, 735, 795, 855, 915]
    assert minute_of_day(hours[-1].end) == 930, "15:15 to 15:30, not to 16:15"
    assert all(b.end - b.start == 60 * MINUTE_NS for b in hours[:-1])
    assert sum(b.volume for b in hours) == 3750.0


def test_a_quiet_last_minute_does_not_hold_the_bar_back():
    resampler = Resampler(5)
    for minute in range(4):
        assert resampler.add(bar(minute)) == ()
    assert resampler.close(OPEN + 4 * MINUTE_NS) is None
    done = resampler.close(OPEN + 5 * MINUTE_NS)
    assert (done.end, done.volume) == (OPEN + 5 * MINUTE_NS, 40.0)
    assert resampler.close(OPEN + 6 * MINUTE_NS) is None


def test_a_gap_can_complete_two_bars_at_once():
    resampler = Resampler(3)
    resampler.add(bar(0))
    first, second = resampler.add(bar(5))
    assert (first.start, first.end) == (OPEN, OPEN + 3 * MINUTE_NS)
    assert (second.start, second.end) == (OPEN + 3 * MINUTE_NS, OPEN + 6 * MINUTE_NS)


def test_the_next_day_ends_a_bar_where_its_day_ended():
    resampler = Resampler(60)
    resampler.add(bar(374))
    (last,) = resampler.add(bar(0, day=1))
    assert minute_of_day(last.end) == 930


def test_a_session_of_its_own():
    resampler = Resampler(25)
    evening = ist_ns(dt.date(2024, 11, 1), "18:00")
    assert resampler.start_session(evening) is None
    minutes = [
        Bar(NAME, evening + i * MINUTE_NS, evening + (i + 1) * MINUTE_NS, 1.0, 1.0, 1.0, 1.0, 1.0) for i in range(60)
    ]
    done = run(resampler, minutes)
    assert [(minute_of_day(b.start), b.volume) for b in done] == [(1080, 25.0), (1105, 25.0), (1130, 10.0)]
    whole = resample(columns(minutes), 25, session_open=evening)
    assert whole.start.tolist() == [b.start for b in done]
    resampler.add(minutes[0])
    assert resampler.start_session(OPEN).start == evening, "what was left comes out"


def test_one_incomplete_minute_and_unknown_volume():
    done = run(Resampler(3), [bar(0, volume=NAN, oi=5.0), bar(1, complete=False), bar(2), bar(3, volume=NAN)])
    assert (done[0].volume, done[0].oi, done[0].complete) == (20.0, 5.0, False)
    assert math.isnan(done[1].volume)


def test_bad_lengths():
    for bad in (0, -5):
        with pytest.raises(InputError, match="whole number of minutes"):
            Resampler(bad)
    five = resample(columns([bar(i) for i in range(10)]), 5)
    with pytest.raises(InputError, match="do not make"):
        resample(five, 7)
    assert len(resample(five, 10).start) == 1
    assert len(resample(columns([]), 5).start) == 0


def test_pre_open_minutes_keep_to_themselves():
    assert bucket_start(OPEN - 8 * MINUTE_NS, 5) == OPEN - 10 * MINUTE_NS
    assert bucket_start(OPEN - MINUTE_NS, 15) == OPEN - 15 * MINUTE_NS


@st.composite
def series(draw):
    minutes = sorted(draw(st.sets(st.tuples(st.integers(0, 2), st.integers(0, 374)), min_size=1, max_size=80)))
    maybe = st.one_of(st.just(NAN), st.integers(0, 10_000).map(float))
    bars = []
    for day, minute in minutes:
        low, first, last, high = sorted(draw(st.lists(st.integers(1, 9999).map(float), min_size=4, max_size=4)))
        bars.append(bar(minute, first, high, low, last, draw(maybe), draw(maybe), day=day))
    return bars


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


@settings(deadline=None)
@given(series(), st.integers(1, 400))
def test_invariants_and_both_ways_agree(bars, minutes):
    longer = run(Resampler(minutes), bars)
    assert [b.start for b in longer] == sorted({bucket_start(b.start, minutes) for b in bars})
    for item in longer:
        inside = [b for b in bars if bucket_start(b.start, minutes) == item.start]
        assert item.low <= min(item.open, item.close) <= max(item.open, item.close) <= item.high
        assert (item.open, item.close) == (inside[0].open, inside[-1].close)
        assert (item.high, item.low) == (max(b.high for b in inside), min(b.low for b in inside))
        assert inside[-1].end <= item.end <= item.start + minutes * MINUTE_NS
    known = [b.volume for b in bars if not math.isnan(b.volume)]
    assert sum(b.volume for b in longer if not math.isnan(b.volume)) == sum(known)

    fast = resample(columns(bars), minutes)
    assert fast.interval_s == minutes * 60
    assert fast.start.tolist() == [b.start for b in longer]
    for name in ("open", "high", "low", "close", "volume", "oi"):
        assert all(map(same, getattr(fast, name).tolist(), [getattr(b, name) for b in longer])), name


@given(series(), st.sampled_from([5, 15, 25]), st.sampled_from([2, 3]))
def test_resampling_twice_is_resampling_once(bars, minutes, times):
    once = resample(columns(bars), minutes * times)
    twice = resample(resample(columns(bars), minutes), minutes * times)
    for name in ("start", "open", "high", "low", "close", "volume", "oi"):
        np.testing.assert_array_equal(getattr(once, name), getattr(twice, name))
