"""Histograms of durations: near the truth, whatever the size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.runtime.figures import Histogram, summary


@given(st.lists(st.integers(4, 10**12), min_size=1, max_size=300))
def test_quantiles_are_within_an_eighth_of_the_true_ones(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    read = histogram.read()
    assert read["count"] == len(values)
    assert read["max"] == max(values)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        true = int(np.quantile(values, share, method="inverted_cdf"))
        assert abs(read[name] - true) <= true / 8 + 1


def test_several_together_and_none_at_all():
    one, two = Histogram(), Histogram()
    for _ in range(10):
        one.add(1_000)
        two.add(1_000_000)
    both = summary((one, two))
    assert both["count"] == 20
    assert both["max"] == 1_000_000
    assert abs(both["p99"] - 1_000_000) <= 125_000
    assert abs(both["p50"] - 1_000) <= 125
    assert summary(()) == {"count": 0, "p50": None, "p99": None, "max": None}


def test_a_clock_that_lies_a_little_does_no_harm():
    histogram = Histogram()
    histogram.add(-5)
    histogram.add(0)
    assert histogram.read()["count"] == 2
