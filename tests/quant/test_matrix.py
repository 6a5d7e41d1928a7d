"""The Money Matrix against a plain loop; the smart trend's hysteresis and its older rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sos_actors.errors import InputError
from sos_actors.messages import Buildup
from sos_actors.quant.matrix import LABELS, MatrixSettings, SmartTrend, buildup, classify, majority

changes = arrays(np.float64, (2, 9), elements=st.one_of(st.just(math.nan), st.integers(-4, 4).map(float)))


def slow(price, oi, price_threshold, oi_threshold):
    if math.isnan(price) or math.isnan(oi):
        return Buildup.UNKNOWN
    up, down = price > price_threshold, price < -price_threshold
    more, less = oi > oi_threshold, oi < -oi_threshold
    if up and more:
        return Buildup.LONG_BUILDUP
    if up and less:
        return Buildup.SHORT_COVERING
    if down and more:
        return Buildup.SHORT_BUILDUP
    if down and less:
        return Buildup.LONG_UNWINDING
    return Buildup.NEUTRAL


@given(changes, changes, st.integers(0, 3), st.integers(0, 3))
def test_codes_are_those_of_the_loop(price, oi, price_threshold, oi_threshold):
    codes = buildup(price, oi, float(price_threshold), float(oi_threshold))
    assert codes.dtype == np.int8
    for right in range(2):
        for k in range(9):
            expected = slow(price[right, k], oi[right, k], price_threshold, oi_threshold)
            assert codes[right, k] == expected
            assert classify(price[right, k], oi[right, k], price_threshold, oi_threshold) is expected


def test_labels_are_the_words_strategies_use():
    assert [LABELS[code] for code in Buildup] == [
        "",
        "Neutral",
        "Long Buildup",
        "Short Covering",
        "Short Buildup",
        "Long Unwinding",
    ]


def test_trend_is_held_while_the_moves_keep_their_direction():
    trend = SmartTrend(MatrixSettings(index_threshold=0.001, proxy_oi_threshold=0.001, hold=0.5))
    assert trend.update(0.0008, 0.002) is Buildup.NEUTRAL  # not enough to begin
    assert trend.update(0.002, 0.002) is Buildup.LONG_BUILDUP
    assert trend.update(0.0008, 0.0008) is Buildup.LONG_BUILDUP  # enough to stay
    assert trend.update(0.0004, 0.002) is Buildup.NEUTRAL  # under half
    assert trend.update(0.002, 0.002) is Buildup.LONG_BUILDUP
    assert trend.update(0.0008, -0.0008) is Buildup.NEUTRAL  # another direction
    assert trend.update(-0.002, 0.002) is Buildup.SHORT_BUILDUP
    assert trend.update(math.nan, 0.002) is Buildup.UNKNOWN


def test_majority_reads_puts_the_other_way_round():
    near = np.array([True, True, False])
    rising = np.array(
        [
            [Buildup.LONG_BUILDUP, Buildup.LONG_BUILDUP, Buildup.SHORT_BUILDUP],
            [Buildup.SHORT_BUILDUP, Buildup.NEUTRAL, Buildup.LONG_BUILDUP],
        ],
        dtype=np.int8,
    )
    assert majority(rising, near) is Buildup.LONG_BUILDUP


def test_majority_of_a_tie_is_neutral_and_of_nothing_unknown():
    near = np.array([True, True])
    tie = np.array([[Buildup.LONG_BUILDUP, Buildup.SHORT_BUILDUP], [Buildup.UNKNOWN] * 2], dtype=np.int8)
    assert majority(tie, near) is Buildup.NEUTRAL
    assert majority(np.full((2, 2), Buildup.UNKNOWN, dtype=np.int8), near) is Buildup.UNKNOWN


@pytest.mark.parametrize("bad", [{"window_minutes": 0}, {"hold": 1.5}])
def test_senseless_settings_are_refused(bad):
    with pytest.raises(InputError, match="matrix"):
        MatrixSettings(**bad)
