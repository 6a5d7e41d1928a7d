import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.market.bars import BarBuilder, BarSettings
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_ns
from sos_actors.messages import Tick, VolumeSource

OPEN = ist_ns(dt.date(2026, 11, 20), "09:15")
NAME = "NSE|OPT|NIFTY|2026-11-23|25000|CE"


def tick(at, price, day_volume=-1, quantity=65, recv=None, oi=math.nan):
    """A tick `at` seconds after the open, received at `recv` (the same by default)."""
    ts = OPEN + round(at * SECOND_NS)
    ts_recv = ts if recv is None else OPEN + round(recv * SECOND_NS)
    return Tick(instrument=NAME, ts=ts, ts_recv=ts_recv, price=price, quantity=quantity, day_volume=day_volume, oi=oi)


def listening(hole_s=0.0):
    builder = BarBuilder(NAME, settings=BarSettings(hole_s=hole_s))
    builder.start_day(listening_since=OPEN)
    return builder


def feed(builder, *ticks):
    for item in ticks:
        builder.tick(item)


def test_one_minute():
    builder = listening()
    feed(builder, tick(0, 100, 65), tick(10, 103, 195), tick(20, 99, 260), tick(59.999, 101, 325, oi=6500))
    bar = builder.close(OPEN + MINUTE_NS)
    assert (bar.start, bar.end) == (OPEN, OPEN + MINUTE_NS)
    assert (bar.open, bar.high, bar.low, bar.close) == (100, 103, 99, 101)
    assert (bar.volume, bar.oi, bar.complete, bar.volume_source) == (325, 6500, True, VolumeSource.EXCHANGE)
    assert builder.close(OPEN + 2 * MINUTE_NS) is None, "nothing traded"


def test_a_trade_on_the_minute_belongs_to_the_new_one_also_before_the_old_is_closed():
    builder = listening()
    feed(builder, tick(30, 100, 65), tick(60, 110, 130))
    assert builder.close(OPEN + MINUTE_NS).high == 100
    feed(builder, tick(90, 105, 195))
    second = builder.close(OPEN + 2 * MINUTE_NS)
    assert (second.open, second.close, second.volume) == (110, 105, 130)


def test_quote_updates_of_an_old_trade_make_no_bar():
    builder = listening()
    feed(builder, tick(50, 100, 65))
    assert builder.close(OPEN + MINUTE_NS).volume == 65
    # The quote moved; the trade time, price and day volume are those of the last trade.
    feed(builder, tick(50, 100, 65, recv=70), tick(50, 100, 65, recv=100, oi=130))
    assert builder.close(OPEN + 2 * MINUTE_NS) is None
    assert builder.late == 0, "a repeated snapshot is not late"
    feed(builder, tick(130, 101, 130))
    third = builder.close(OPEN + 3 * MINUTE_NS)
    assert (third.open, third.volume, third.oi) == (101, 65, 130)


def test_a_late_trade_gives_its_volume_to_the_next_bar():
    builder = listening()
    feed(builder, tick(30, 100, 65))
    builder.close(OPEN + MINUTE_NS)
    feed(builder, tick(59, 500, 195, recv=62), tick(70, 101, 260))
    second = builder.close(OPEN + 2 * MINUTE_NS)
    assert (second.open, second.high, second.volume) == (101, 101, 195)
    assert builder.late == 1


def test_an_overtaken_message_is_dropped():
    builder = listening()
    feed(builder, tick(10, 100, 65), tick(20, 101, 260), tick(15, 999, 130), tick(30, 102, 325))
    bar = builder.close(OPEN + MINUTE_NS)
    assert (bar.high, bar.close, bar.volume) == (102, 102, 325)
    assert builder.stale == 1


@pytest.mark.parametrize("wrong", [9_999_999, 6_500])
def test_a_counter_that_begins_anew_does_not_silence_the_contract_for_the_day(wrong):
    builder = listening()
    feed(builder, tick(10, 100, wrong), tick(20, 101, 65), tick(30, 102, 130), tick(25, 999, 70))
    bar = builder.close(OPEN + MINUTE_NS)
    assert (bar.high, bar.close, bar.volume) == (102, 102, wrong + 65 + 65)
    assert builder.stale == 1  # the one that a later trade had overtaken
    feed(builder, tick(70, 103, 195))
    assert builder.close(OPEN + 2 * MINUTE_NS).volume == 65


def test_joining_late_marks_the_first_bar_and_takes_only_the_seen_volume():
    builder = BarBuilder(NAME, settings=BarSettings(hole_s=0.0))
    feed(builder, tick(130, 100, 10_000, quantity=65), tick(140, 101, 10_130))
    bar = builder.close(OPEN + 3 * MINUTE_NS)
    assert (bar.volume, bar.complete) == (195, False)
    feed(builder, tick(190, 100, 10_195))
    assert builder.close(OPEN + 4 * MINUTE_NS).complete


def test_joining_with_the_snapshot_of_an_old_trade_marks_the_minute_we_joined_in():
    builder = BarBuilder(NAME, settings=BarSettings(hole_s=0.0))
    feed(builder, tick(10, 90, 10_000, recv=640), tick(650, 100, 10_065), tick(659, 101, 10_130))
    bar = builder.close(OPEN + 11 * MINUTE_NS)
    assert (bar.open, bar.volume, bar.complete) == (100, 130, False)
    feed(builder, tick(670, 100, 10_195))
    assert builder.close(OPEN + 12 * MINUTE_NS).complete


def test_a_new_day_starts_at_zero():
    builder = listening()
    feed(builder, tick(10, 100, 50_000))
    builder.close(OPEN + MINUTE_NS)
    day = 24 * 3600
    builder.start_day(listening_since=OPEN + day * SECOND_NS)
    feed(builder, tick(day + 5, 90, 65))
    bar = builder.close(OPEN + day * SECOND_NS + MINUTE_NS)
    assert (bar.volume, bar.complete) == (65, True)


@pytest.mark.parametrize("yesterday", [30, 500_000])
@pytest.mark.parametrize("since", [None, OPEN])
def test_the_snapshot_of_yesterdays_last_trade_says_nothing_of_today(yesterday, since):
    builder = BarBuilder(NAME, settings=BarSettings(hole_s=0.0))
    builder.start_day(since)
    feed(builder, tick(-18 * 3600, 80, yesterday, recv=-600), tick(5, 90, 65), tick(6, 91, 130))
    bar = builder.close(OPEN + MINUTE_NS)
    assert (bar.open, bar.volume, bar.complete, builder.stale) == (90, 130, True, 0)
    feed(builder, tick(61, 91, 195), tick(-18 * 3600, 80, 600_000, recv=62), tick(63, 92, 260))
    bar = builder.close(OPEN + 2 * MINUTE_NS)
    assert (bar.close, bar.volume) == (92, 130)


def test_silence_marks_every_bar_it_touches():
    builder = listening(hole_s=20.0)
    feed(builder, tick(10, 100, 65), tick(25, 100, 130), tick(40, 100, 195), tick(55, 100, 260))
    assert builder.close(OPEN + MINUTE_NS).complete
    feed(builder, tick(70, 100, 325), tick(85, 100, 390), tick(95, 100, 400), tick(130, 100, 455))
    assert not builder.close(OPEN + 2 * MINUTE_NS).complete, "silent from 95 to 130 s"
    feed(builder, tick(149, 100, 520), tick(165, 100, 585), tick(179, 100, 650))
    assert not builder.close(OPEN + 3 * MINUTE_NS).complete
    feed(builder, tick(195, 100, 715), tick(210, 100, 780), tick(225, 100, 845), tick(236, 100, 900))
    assert builder.close(OPEN + 4 * MINUTE_NS).complete


def test_silence_that_has_not_ended_marks_the_bar_too():
    builder = listening(hole_s=20.0)
    feed(builder, tick(10, 100, 65))
    assert not builder.close(OPEN + MINUTE_NS).complete


def test_silence_is_measured_by_arrival_whatever_our_clock_says():
    """Our clock is five seconds behind; quotes keep coming while nothing trades: no hole."""
    builder = listening(hole_s=20.0)
    feed(builder, *[tick(10, 100, 65, recv=second) for second in range(5, 56, 10)])
    assert builder.close(OPEN + MINUTE_NS).complete


def test_the_feed_can_report_a_hole():
    builder = listening()
    builder.mark_hole(OPEN + 70 * SECOND_NS, OPEN + 90 * SECOND_NS)
    feed(builder, tick(10, 100, 65))
    assert builder.close(OPEN + MINUTE_NS).complete
    feed(builder, tick(100, 100, 130))
    assert not builder.close(OPEN + 2 * MINUTE_NS).complete
    feed(builder, tick(130, 100, 195))
    assert builder.close(OPEN + 3 * MINUTE_NS).complete


def test_an_index_has_no_volume():
    builder = listening()
    feed(builder, tick(0, 25000.0), tick(30, 25010.0), tick(58, 24990.0))
    bar = builder.close(OPEN + MINUTE_NS)
    assert math.isnan(bar.volume)
    assert bar.volume_source is VolumeSource.NONE
    assert (bar.open, bar.high, bar.low, bar.close) == (25000.0, 25010.0, 24990.0, 24990.0)


def test_other_intervals():
    builder = BarBuilder(NAME, interval_s=300)
    builder.start_day(listening_since=OPEN)
    feed(builder, tick(10, 100, 65), tick(299, 101, 130))
    assert builder.close(OPEN + 5 * MINUTE_NS).volume == 130
    for bad in (0, -60, 7, 3600):
        with pytest.raises(InputError, match="divide 1800"):
            BarBuilder(NAME, interval_s=bad)


TRADES = st.lists(
    st.tuples(st.floats(0, 299, allow_nan=False), st.integers(1, 2000), st.integers(1, 5)), min_size=1, max_size=60
)


@given(TRADES, st.floats(0, 0.9), st.randoms(use_true_random=False))
def test_invariants_of_any_stream(trades, delay, random):
    """Whatever is repeated or delayed: OHLC hold together, prices were traded, the volume of the day is kept."""
    total, stream = 0, []
    for at, ticks, lots in sorted(trades):
        total += lots * 65
        stream.append(tick(at, ticks * 0.05, total, lots * 65, recv=at + delay))
        if random.random() < 0.3:
            stream.append(stream[-1])
    builder = listening()
    bars, minute = [], 0
    for item in stream:
        while item.ts_recv >= OPEN + (minute + 1) * MINUTE_NS + SECOND_NS:
            minute += 1
            bars.append(builder.close(OPEN + minute * MINUTE_NS))
        builder.tick(item)
    bars += [builder.close(OPEN + m * MINUTE_NS) for m in range(minute + 1, 7)]
    bars = [bar for bar in bars if bar is not None]
    assert sum(bar.volume for bar in bars) == total
    for bar in bars:
        inside = [t.price for t in stream if bar.start <= t.ts < bar.end]
        assert (bar.high, bar.low) == (max(inside), min(inside))
        assert (bar.open, bar.close) == (inside[0], inside[-1])
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
    assert [bar.start for bar in bars] == sorted({t.ts - t.ts % MINUTE_NS for t in stream})
