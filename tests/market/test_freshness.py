"""Whether live data can be trusted, and what a lost feed does to bars and frames."""

import datetime as dt

import numpy as np
import pytest

from sos_actors.market.bars import BarBuilder
from sos_actors.market.clocktime import ist_ns
from sos_actors.market.frames import FrameBuilder
from sos_actors.market.freshness import FreshnessJudge, FreshnessSettings
from sos_actors.market.ids import option_id
from sos_actors.messages import CHAIN_FIELDS, NAN, Bar, Right, Tick

S = 1_000_000_000
DAY = dt.date(2026, 11, 20)
OPEN, TEN = ist_ns(DAY, "09:15"), ist_ns(DAY, "10:00")
PLAIN = FreshnessSettings(index_stale_s=10.0, options_stale_s=15.0)


def judge(now=TEN, up=OPEN - 60 * S, opened=OPEN, index=TEN, options=TEN, speed=1.0):
    return FreshnessJudge(PLAIN, speed).judge(now, up, opened, index, options)


def test_fresh_data_is_live():
    assert judge().live
    assert judge(index=TEN - 10 * S, options=TEN - 15 * S).live
    assert judge(options=None).live


def test_an_old_index_is_not():
    verdict = judge(index=TEN - 11 * S)
    assert not verdict.live
    assert "index for 11 s" in verdict.detail
    assert verdict.since == TEN - 11 * S


def test_old_options_are_not():
    assert "any option for 16 s" in judge(options=TEN - 16 * S).detail
    assert judge(index=TEN - 5 * S, options=TEN - 16 * S).since == TEN - 16 * S


def test_after_a_reconnect_something_fresh_must_come_first():
    assert "first price" in judge(up=TEN - 5 * S, index=TEN - 6 * S).detail
    assert "options" in judge(up=TEN - 5 * S, index=TEN - 4 * S, options=TEN - 6 * S).detail
    assert judge(up=TEN - 5 * S, index=TEN - 4 * S, options=TEN - 4 * S).live


def test_outside_the_session_ages_do_not_count():
    assert judge(opened=0, index=OPEN, options=OPEN).live
    assert judge(now=OPEN + 9 * S, opened=OPEN, index=OPEN - 50 * S, options=OPEN - 50 * S).live
    assert not judge(now=OPEN + 11 * S, opened=OPEN, index=OPEN - 50 * S, options=OPEN - 50 * S).live


def test_the_closing_auction_freezes_the_index_but_not_the_options():
    late = ist_ns(DAY, "15:20")
    assert judge(now=late, index=late - 300 * S, options=late).live
    assert not judge(now=late, index=late, options=late - 16 * S).live
    after = ist_ns(DAY, "15:40")
    assert not judge(now=after, index=after - 300 * S, options=after).live


def test_a_scaled_clock_leaves_the_machine_some_real_time():
    assert judge(index=TEN - 59 * S, options=TEN - 59 * S, speed=30.0).live
    assert not judge(index=TEN - 61 * S, speed=30.0).live


@pytest.mark.parametrize("wrong", [{"index_stale_s": 0.0}, {"check_s": 0.0}, {"index_pause_from": "15:50"}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="freshness"):
        FreshnessSettings(**wrong)


def minute_bars(builder, first, count, events=()):
    """Tick every second for some minutes; events {second: call}."""
    bars, calls = [], dict(events)
    for second in range(count * 60):
        now = first + second * S
        if second in calls:
            calls[second](now)
        builder.tick(Tick("X", now, now, 100.0, 1, second))
        if second % 60 == 59:
            bars.append(builder.close(now + S))
    return [bar.complete for bar in bars]


def test_bars_of_a_time_without_trust_are_incomplete():
    builder = BarBuilder("X")
    builder.start_day(TEN - 60 * S)
    complete = minute_bars(builder, TEN, 6, {70: builder.lose, 80: builder.lose, 190: builder.regain})
    assert complete == [True, False, False, False, True, True]


def test_a_short_loss_within_one_minute_marks_that_minute_only():
    builder = BarBuilder("X")
    builder.start_day(TEN - 60 * S)
    assert minute_bars(builder, TEN, 4, {70: builder.lose, 72: builder.regain}) == [True, False, True, True]


def contract(strike, right=Right.CE):
    return option_id("NIFTY", DAY, strike, right)


def bar_of(name, close=50.0, oi=1_000.0):
    return Bar(name, 0, 60 * S, close, close, close, close, 75.0, oi, bid=close - 1, ask=close + 1)


def test_what_is_known_of_contracts_that_stay_goes_along():
    old = FrameBuilder([contract(100.0), contract(150.0)])
    old.add(bar_of(contract(100.0), 10.0))
    old.add(bar_of(contract(150.0), 20.0))
    old.flush(0, 60 * S, NAN, None)
    heir = old.successor([contract(150.0), contract(200.0)])
    assert heir.flush(60 * S, 120 * S, NAN, None) is None  # nothing of this minute is in
    heir.add(bar_of(contract(200.0), 30.0))
    frame = heir.flush(60 * S, 120 * S, NAN, None)
    assert frame.strikes.tolist() == [150.0, 200.0]
    assert frame.column("oi")[0].tolist() == [1_000.0, 1_000.0]
    np.testing.assert_array_equal(frame.column("close")[0], [NAN, 30.0])
    np.testing.assert_array_equal(frame.column("bid")[0], [19.0, 29.0])


def test_a_change_within_a_minute_keeps_the_minute():
    old = FrameBuilder([contract(100.0), contract(150.0)])
    old.add(bar_of(contract(150.0), 20.0))
    frame = old.successor([contract(150.0), contract(200.0)]).flush(0, 60 * S, NAN, None)
    np.testing.assert_array_equal(frame.values[CHAIN_FIELDS.index("close"), 0], [20.0, NAN])


def test_another_expiry_begins_empty():
    old = FrameBuilder([contract(100.0)])
    old.add(bar_of(contract(100.0)))
    other = option_id("NIFTY", DAY + dt.timedelta(days=7), 100.0, Right.CE)
    assert old.successor([other]).flush(0, 60 * S, NAN, None) is None
