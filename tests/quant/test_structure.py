"""Market structure: pivots against a loop and forward only, CPR, opening range, hurdles."""

from __future__ import annotations

import datetime as dt
import math
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.market.day import DayStats
from sos_actors.messages import Bar
from sos_actors.quant.structure import StructureSettings, StructureTracker, clusters, pivot_range, pivots

MINUTE = 60_000_000_000
OPEN = 1_756_439_100_000_000_000
DAY = dt.date(2025, 8, 29)
YESTERDAY = DayStats("NIFTY", dt.date(2025, 8, 28), 24600.0, 24700.0, 24500.0, 24550.0)


def bars(highs, lows=None, closes=None):
    lows = [h - 5.0 for h in highs] if lows is None else lows
    closes = [(h + low) / 2 for h, low in zip(highs, lows, strict=True)] if closes is None else closes
    return [
        Bar("NSE|INDEX|NIFTY", OPEN + i * MINUTE, OPEN + (i + 1) * MINUTE, (h + low) / 2, h, low, c)
        for i, (h, low, c) in enumerate(zip(highs, lows, closes, strict=True))
    ]


def run(series, settings=None, prev=None, opens=0):
    tracker = StructureTracker("NIFTY", settings or StructureSettings())
    tracker.new_day(DAY, prev, opens)
    seen = []
    for bar in series:
        tracker.on_bar(bar)
        seen.append(tracker.at(bar.end))
    return tracker, seen


walks = st.lists(st.integers(90, 110).map(float), min_size=1, max_size=60)


@given(walks, st.integers(1, 4), st.integers(1, 4))
def test_pivots_are_those_of_the_loop(highs, left, right):
    high = np.array(highs)
    is_high, is_low = pivots(high, high, left, right)
    for i in range(len(highs)):
        before, after = highs[max(i - left, 0) : i], highs[i + 1 : i + 1 + right]
        full = len(before) == left and len(after) == right
        assert is_high[i] == (full and all(highs[i] > b for b in before) and all(highs[i] >= a for a in after))
        assert is_low[i] == (full and all(highs[i] < b for b in before) and all(highs[i] <= a for a in after))


@given(walks, st.integers(1, 4), st.integers(1, 4))
def test_walking_bar_by_bar_confirms_the_same_pivots_and_never_early(highs, left, right):
    settings = StructureSettings(pivot_left=left, pivot_right=right)
    _, seen = run(bars(highs), settings)
    is_high, is_low = pivots(np.array(highs), np.array(highs) - 5.0, left, right)
    swing_high = swing_low = math.nan
    for i, structure in enumerate(seen):
        if i - right >= 0 and is_high[i - right]:
            swing_high = highs[i - right]
        if i - right >= 0 and is_low[i - right]:
            swing_low = highs[i - right] - 5.0
        np.testing.assert_equal((structure.swing_high, structure.swing_low), (swing_high, swing_low))


@given(walks, st.data())
def test_what_comes_later_changes_nothing(highs, data):
    cut = data.draw(st.integers(0, len(highs)))
    _, whole = run(bars(highs), prev=YESTERDAY)
    _, part = run(bars(highs)[:cut], prev=YESTERDAY)
    for a, b in zip(part, whole[:cut], strict=True):
        np.testing.assert_equal(msgspec.structs.astuple(a), msgspec.structs.astuple(b))


def test_central_pivot_range():
    pivot, top, bottom = pivot_range(24700.0, 24500.0, 24550.0)
    assert pivot == pytest.approx(24583.3333, abs=1e-3)
    assert (top, bottom) == (24600.0, pytest.approx(24566.6667, abs=1e-3))
    _, seen = run(bars([24650.0]), prev=YESTERDAY)
    assert (seen[0].prev_high, seen[0].prev_close, seen[0].pivot) == (24700.0, 24550.0, pivot)


@pytest.mark.parametrize(
    ("highs", "virgin"),
    [
        ([24650.0, 24640.0, 24630.0], [True, True, True]),  # stays above
        ([24650.0, 24603.0, 24650.0], [True, False, False]),  # dips in (low 24598), and stays touched
        ([24650.0, 24500.0], [True, False]),  # jumps right through it between two bars
        ([24560.0, 24540.0], [True, True]),  # stays below
    ],
)
def test_virgin_until_touched(highs, virgin):
    _, seen = run(bars(highs), prev=YESTERDAY)
    assert [structure.cpr_virgin for structure in seen] == virgin


def test_without_yesterday_nothing_of_yesterday_is_known():
    _, seen = run(bars([24650.0]))
    assert math.isnan(seen[0].pivot)
    assert math.isnan(seen[0].prev_close)
    assert seen[0].cpr_virgin is False


def test_opening_range_is_known_when_it_is_over():
    highs = [100.0 + i for i in range(20)]
    _, seen = run(bars(highs), opens=OPEN)
    assert all(math.isnan(structure.opening_high) for structure in seen[:14])
    assert {(s.opening_high, s.opening_low) for s in seen[14:]} == {(114.0, 95.0)}
    assert (seen[-1].day_open, seen[-1].day_high, seen[-1].day_low) == (97.5, 119.0, 95.0)


def test_a_day_joined_late_has_no_opening_range():
    _, seen = run(bars([100.0] * 20), opens=OPEN - 5 * MINUTE)
    assert math.isnan(seen[-1].opening_high)


def test_clusters():
    assert clusters([100.0, 100.01, 101.0, 102.0, 102.02, 102.03], 2, 0.0004) == pytest.approx([100.005, 102.0166667])
    assert clusters([100.0, 101.0], 2, 0.0004) == []
    assert clusters([], 2, 0.0004) == []


def test_hurdles_are_where_the_price_turned_twice_or_open_interest_is_piled_up():
    peak = [100.0, 103.0, 106.0, 110.0, 106.0, 103.0, 100.0]
    series = bars(peak + peak[1:])
    tracker, seen = run(series, StructureSettings(hurdle_touches=2))
    assert math.isnan(seen[9].hurdle_above)  # one peak is no level
    assert math.isnan(run(series)[1][-1].hurdle_above)  # nor are two, where three are asked for
    assert seen[-1].hurdle_above == 110.0
    assert math.isnan(seen[-1].hurdle_below)
    tracker.on_chain(SimpleNamespace(oi_wall_above=108.0, oi_wall_below=90.0))
    assert (tracker.at(0).hurdle_above, tracker.at(0).hurdle_below) == (108.0, 90.0)
    tracker.on_chain(SimpleNamespace(oi_wall_above=120.0, oi_wall_below=math.nan))
    assert tracker.at(0).hurdle_above == 110.0
    assert math.isnan(tracker.at(0).hurdle_below)


def test_a_new_day_forgets():
    tracker, _ = run(bars([100.0, 103.0, 106.0, 110.0, 106.0, 103.0, 100.0]), prev=YESTERDAY)
    tracker.new_day(DAY + dt.timedelta(days=1), None)
    fresh = tracker.at(5)
    assert (fresh.underlying, fresh.ts) == ("NIFTY", 5)
    assert all(math.isnan(v) for v in msgspec.structs.astuple(fresh) if isinstance(v, float))
    with pytest.raises(ValueError, match="not of a day before"):
        tracker.new_day(DAY, DayStats("NIFTY", DAY, 1.0, 1.0, 1.0, 1.0))


def test_senseless_settings_are_refused():
    with pytest.raises(InputError, match="structure"):
        StructureSettings(pivot_left=0)
    with pytest.raises(InputError, match="hurdle_tolerance"):
        StructureSettings(hurdle_tolerance=-0.1)
