"""Indicators against plain numpy, on random and real prices, and what they do with what is unknown."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.messages import Bar
from sos_actors.quant.indicators import Ema, Extreme, Lag, Sma, Stdev, Vwap, WindowSum
from sos_actors.quant.studies import BAR_FIELDS, StudyBook, StudySpec
from sos_actors.quant.wilder import Atr, Rsi

NAN = math.nan
DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
INDEX = DATA / "index_1m_NIFTY.csv.gz"
prices = st.lists(st.floats(1.0, 1e5, allow_nan=False), min_size=1, max_size=120)
gappy = st.lists(st.one_of(st.floats(1.0, 1e5), st.just(NAN)), min_size=1, max_size=120)


def windows(x, n, function):
    """A window function by definition: NaN until n values, and while a NaN is inside."""
    return [
        function(np.array(x[i - n + 1 : i + 1])) if i >= n - 1 and not np.isnan(x[i - n + 1 : i + 1]).any() else NAN
        for i in range(len(x))
    ]


def close_to(got, expected, scale=1.0):
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 * scale)


WINDOWED = {
    "sum": (WindowSum, np.sum),
    "sma": (Sma, np.mean),
    "stdev": (Stdev, np.std),
    "highest": (lambda n: Extreme(n, 1), np.max),
    "lowest": (lambda n: Extreme(n, -1), np.min),
}


@pytest.mark.parametrize("name", WINDOWED)
@given(x=gappy, n=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_windowed_indicator_equals_its_definition_even_across_nans(name, x, n):
    make, function = WINDOWED[name]
    indicator = make(n)
    # prices that jump between 1 and 1e5 leave 1e-16 * 1e10 in a sum of squares, of which the deviation is the root
    tolerance = 3e-3 if name == "stdev" else 1e-6
    np.testing.assert_allclose([indicator.update(v) for v in x], windows(x, n, function), rtol=1e-9, atol=tolerance)


@given(x=prices, n=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_ema_is_seeded_with_the_first_value_and_known_from_the_nth(x, n):
    expected, value = [], x[0]
    for i, v in enumerate(x):
        value += 2 / (n + 1) * (v - value)
        expected.append(value if i >= n - 1 else NAN)
    indicator = Ema(n)
    assert np.array_equal([indicator.update(v) for v in x], expected, equal_nan=True)


@given(x=prices, n=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_lag_gives_the_value_n_bars_ago(x, n):
    indicator = Lag(n)
    assert np.array_equal(
        [indicator.update(v) for v in x], [x[i - n] if i >= n else NAN for i in range(len(x))], equal_nan=True
    )


def wilder(values, n):
    """Wilder's smoothing by definition: the mean of the first n, then (previous * (n - 1) + value) / n."""
    out, value = [], NAN
    for i, v in enumerate(values):
        if i == n - 1:
            value = float(np.mean(values[:n]))
        elif i >= n:
            value = (value * (n - 1) + v) / n
        out.append(value)
    return out


def rsi_by_definition(x, n):
    changes = np.diff(x)
    up, down = wilder(np.maximum(changes, 0), n), wilder(np.maximum(-changes, 0), n)
    return [NAN] + [
        NAN if math.isnan(a) else 50.0 if a + b == 0 else 100 * a / (a + b) for a, b in zip(up, down, strict=True)
    ]


@given(x=prices, n=st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_rsi_is_wilders_and_stays_within_its_bounds(x, n):
    indicator = Rsi(n)
    got = [indicator.update(v) for v in x]
    np.testing.assert_allclose(got, rsi_by_definition(x, n), rtol=1e-7, atol=1e-6)
    assert all(0 <= v <= 100 for v in got if not math.isnan(v))


@given(x=prices, n=st.integers(1, 20), spread=st.floats(0, 50))
@settings(max_examples=60, deadline=None)
def test_atr_is_wilders_mean_of_true_ranges(x, n, spread):
    ranges = [2 * spread] + [max(b + spread, a) - min(b - spread, a) for a, b in pairwise(x)]
    indicator = Atr(n)
    got = [indicator.update(v + spread, v - spread, v) for v in x]
    np.testing.assert_allclose(got, wilder(ranges, n), rtol=1e-9, atol=1e-7)


def test_rsi_extremes():
    rising, falling, flat = Rsi(2), Rsi(2), Rsi(2)
    for k in range(5):
        ends = rising.update(100 + k), falling.update(100 - k), flat.update(100)
    assert ends == (100.0, 0.0, 50.0)


def test_vwap_begins_anew_each_day_and_is_unknown_without_volume():
    vwap = Vwap()
    assert math.isnan(vwap.update(100.0, NAN))
    assert math.isnan(vwap.update(100.0, 0.0))
    assert vwap.update(100.0, 10.0) == 100.0
    assert vwap.update(103.0, 20.0) == pytest.approx(102.0)
    assert vwap.update(500.0, NAN) == pytest.approx(102.0)
    vwap.new_day()
    assert vwap.update(50.0, 1.0) == 50.0


def test_a_year_of_minutes_leaves_no_rounding_errors_behind():
    x = 25_000 + np.cumsum(np.random.default_rng(7).normal(0, 5, 100_000))
    x[50_000:] += 1e6  # a jump that would poison naive running sums, and back
    x[50_100:] -= 1e6
    for make, function in WINDOWED.values():
        indicator = make(20)
        for v in x.tolist():
            last = indicator.update(v)
        assert last == pytest.approx(function(x[-20:]), rel=1e-12)


def test_stdev_of_equal_prices_is_zero():
    indicator = Stdev(5)
    assert [indicator.update(24_999.95) for _ in range(12)][4:] == [0.0] * 8


EVERY = [
    StudySpec("ema", "close", 9),
    StudySpec("sma", "volume", 5),
    StudySpec("stdev", "close", 5),
    StudySpec("sum", "range", 3),
    StudySpec("highest", "high", 5),
    StudySpec("lowest", "low", 5),
    StudySpec("lag", "close", 3),
    StudySpec("change", "hl2", 2),
    StudySpec("rsi", "close", 4),
    StudySpec("atr", "close", 4),
    StudySpec("vwap"),
    StudySpec("bb_upper", "close", 5, 2.0),
    StudySpec("bb_lower", "close", 5, 2.0),
    StudySpec("rvol", "volume"),
    StudySpec("change_from_open"),
    StudySpec("change", StudySpec("rsi", "close", 4), 3),
    *[StudySpec("lag", name, 1) for name in BAR_FIELDS],
]


def some_bars(n, seed=1):
    rng = np.random.default_rng(seed)
    closes = (25_000 + np.cumsum(rng.normal(0, 5, n))).tolist()
    made = []
    for i, c in enumerate(closes):
        o = closes[i - 1] if i else c
        made.append(
            Bar("I", i, i + 1, o, max(o, c) + rng.random(), min(o, c) - rng.random(), c, float(rng.integers(1, 99)))
        )
    return made


def test_book_gives_every_study_its_slot_and_parts_come_first():
    book = StudyBook(EVERY)
    for bar in some_bars(40):
        values = book.update(bar)
    at = {spec: values[book.slot(spec)] for spec in EVERY}
    upper, lower = at[StudySpec("bb_upper", "close", 5, 2.0)], at[StudySpec("bb_lower", "close", 5, 2.0)]
    deviation = values[book.slot(StudySpec("stdev", "close", 5))]
    mean = values[book.slot(StudySpec("sma", "close", 5))]
    assert (upper, lower) == (mean + 2 * deviation, mean - 2 * deviation)
    last = some_bars(40)[-2]
    assert at[StudySpec("lag", "body_size", 1)] == abs(last.close - last.open)
    assert at[StudySpec("lag", "low_wick", 1)] == min(last.open, last.close) - last.low
    assert StudyBook(book.specs).specs == book.specs
    assert len(values) == len(book.specs) == len(set(book.specs))


def test_every_study_is_known_after_its_warmup_and_not_before():
    for spec in EVERY:
        if spec.fields == ("oi",):
            continue
        book = StudyBook([spec])
        got = [book.update(bar)[book.slot(spec)] for bar in some_bars(60)]
        first = next(i for i, value in enumerate(got) if not math.isnan(value))
        assert first + 1 == spec.warmup, spec


def test_only_session_studies_begin_anew_with_the_day():
    book = StudyBook([StudySpec("ema", "close", 3), StudySpec("vwap"), StudySpec("change_from_open")])
    for bar in some_bars(30):
        before = book.update(bar)
    book.new_day()
    bar = some_bars(31)[-1]
    after = dict(zip(book.specs, book.update(bar), strict=True))
    assert after[StudySpec("vwap")] == pytest.approx((bar.high + bar.low + bar.close) / 3)
    assert after[StudySpec("change_from_open")] == pytest.approx((bar.close / bar.open - 1) * 100)
    assert after[StudySpec("ema", "close", 3)] == pytest.approx(before[0] + 0.5 * (bar.close - before[0]))


def test_a_restored_book_goes_on_to_the_bit():
    some = some_bars(80)
    one, two = StudyBook(EVERY), StudyBook(EVERY)
    for bar in some[:47]:
        one.update(bar)
    two.restore(json.loads(json.dumps(one.state())))
    for bar in some[47:]:
        assert np.array_equal(one.update(bar), two.update(bar), equal_nan=True)


@pytest.mark.parametrize(
    "spec",
    [
        StudySpec("ema", "close", 0),
        StudySpec("sma", "close", 10**6),
        StudySpec("nonsense", "close", 3),
        StudySpec("ema", "__class__", 3),
    ],
)
def test_a_book_refuses_what_it_cannot_compute(spec):
    with pytest.raises(ValueError, match=r"expected|unknown"):
        StudyBook([spec])


@pytest.mark.real_data
@pytest.mark.skipif(not INDEX.exists(), reason="no real market data")
def test_real_index_agrees_with_numpy():
    with gzip.open(INDEX, "rt") as file:
        rows = [tuple(float(row[name]) for name in ("open", "high", "low", "close")) for row in csv.DictReader(file)][
            :8000
        ]
    book = StudyBook(
        [
            StudySpec("sma", "close", 20),
            StudySpec("stdev", "close", 20),
            StudySpec("highest", "high", 50),
            StudySpec("lowest", "low", 50),
            StudySpec("ema", "close", 21),
            StudySpec("atr", "close", 14),
            StudySpec("rsi", "close", 14),
        ]
    )
    got = np.array([book.update(Bar("I", i, i + 1, *row)) for i, row in enumerate(rows)])
    table = np.array(rows)
    view = np.lib.stride_tricks.sliding_window_view
    close_to(got[19:, 0], view(table[:, 3], 20).mean(axis=1))
    close_to(got[19:, 1], view(table[:, 3], 20).std(axis=1), scale=100)
    assert np.array_equal(got[49:, 2], view(table[:, 1], 50).max(axis=1))
    assert np.array_equal(got[49:, 3], view(table[:, 2], 50).min(axis=1))
    last = np.concatenate(([np.nan], table[:-1, 3]))
    ranges = np.fmax(table[:, 1], last) - np.fmin(table[:, 2], last)
    close_to(got[:, 5], wilder(ranges.tolist(), 14))
    close_to(got[:, 6], rsi_by_definition(table[:, 3], 14), scale=100)
    alpha, value, expected = 2 / 22, rows[0][3], []
    for row in rows:
        value = (1 - alpha) * value + alpha * row[3]
        expected.append(value)
    close_to(got[20:, 4], expected[20:])


@settings(max_examples=60, deadline=None)
@given(gappy, st.integers(1, 9))
def test_a_book_writes_an_ema_out_as_the_indicator_has_it(values, n):
    book, indicator = StudyBook([StudySpec("ema", "close", n)]), Ema(n)
    for x in values:
        (got,) = book.update(Bar("X", 0, 60, x, x, x, x))
        assert np.array_equal(got, indicator.update(x), equal_nan=True)
