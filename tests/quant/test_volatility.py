"""Skew, rank, term and gamma against known volatilities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.quant.black import greeks
from sos_actors.quant.gamma import gamma_exposure, gamma_flip
from sos_actors.quant.volatility import atm_iv, iv_percentile, iv_rank, iv_skew, smile, term_slope

STRIKES = np.arange(22000.0, 26050.0, 50.0)
FORWARD, YEARS, RIGHTS = 24000.0, 7 / 365, np.array([[True], [False]])


def chain_of(sigma):
    iv = np.broadcast_to(sigma, (2, STRIKES.size)).copy()
    return iv, greeks(FORWARD, STRIKES, YEARS, iv, 1.0, RIGHTS)


def test_a_flat_smile_has_no_skew():
    iv, sensitivities = chain_of(0.12)
    assert float(iv_skew(sensitivities.delta, iv)) == pytest.approx(0.0, abs=1e-12)


def test_dearer_puts_make_a_positive_skew_of_the_size_of_the_smile():
    sigma = 0.12 - 0.5 * np.log(STRIKES / FORWARD)
    iv, sensitivities = chain_of(sigma)
    put = np.interp(0.25, -sensitivities.delta[1], iv[1])
    call = np.interp(0.25, sensitivities.delta[0][::-1], iv[0][::-1])
    assert float(iv_skew(sensitivities.delta, iv)) == pytest.approx(put - call, abs=1e-9)
    assert put - call > 0.005


def test_skew_survives_holes_and_is_unknown_without_wings():
    iv, sensitivities = chain_of(0.12)
    iv[:, ::3] = math.nan
    delta = np.where(np.isnan(iv), math.nan, sensitivities.delta)
    assert float(iv_skew(delta, iv)) == pytest.approx(0.0, abs=1e-12)
    iv[0] = math.nan
    assert math.isnan(float(iv_skew(delta, iv)))


def test_skew_of_a_day_is_that_of_its_minutes():
    days = [chain_of(0.12 - slope * np.log(STRIKES / FORWARD)) for slope in (0.0, 0.3, 0.6)]
    iv, delta = np.stack([iv for iv, _ in days]), np.stack([made.delta for _, made in days])
    np.testing.assert_equal(iv_skew(delta, iv), [float(iv_skew(made.delta, one)) for one, made in days])


def test_money_iv_is_the_mean_or_the_one_there_is():
    iv = np.array([[0.10, 0.20, math.nan], [0.30, math.nan, math.nan]])
    assert [float(atm_iv(iv, k)) for k in (0, 1)] == pytest.approx([0.20, 0.20])
    assert math.isnan(float(atm_iv(iv, 2)))
    assert math.isnan(float(atm_iv(iv, -1)))


def test_smile_takes_the_side_out_of_the_money():
    iv = np.array([[0.1, 0.2, math.nan], [0.4, 0.5, 0.6]])
    np.testing.assert_equal(smile(np.array([90.0, 110.0, 120.0]), iv, 100.0), [0.4, 0.2, 0.6])


@given(st.lists(st.floats(0.05, 0.9), min_size=1, max_size=60), st.floats(0.0, 1.0))
def test_rank_and_percentile(history, value):
    ordered = sorted(history)
    below = sum(1 for iv in history if iv < value)
    assert iv_percentile(value, ordered) == pytest.approx(100.0 * below / len(history))
    rank = iv_rank(value, ordered)
    if max(history) == min(history):
        assert math.isnan(rank)
    else:
        raw = 100.0 * (value - min(history)) / (max(history) - min(history))
        assert rank == pytest.approx(min(max(raw, 0.0), 100.0))


def test_term_slope_is_per_year_and_needs_two_expiries():
    assert term_slope(0.12, 0.02, 0.13, 0.10) == pytest.approx(0.125)
    assert math.isnan(term_slope(0.12, 0.02, 0.13, 0.02))
    assert math.isnan(term_slope(math.nan, 0.02, 0.13, 0.1))


def test_exposure_is_the_loop_over_contracts():
    _, sensitivities = chain_of(0.12)
    oi = np.arange(2.0 * STRIKES.size).reshape(2, -1)
    oi[0, 3] = math.nan
    expected = 0.0
    for right, sign in ((0, 1.0), (1, -1.0)):
        for k in range(STRIKES.size):
            if not math.isnan(oi[right, k]):
                expected += sign * sensitivities.gamma[right, k] * oi[right, k] * FORWARD**2 * 0.01
    assert float(gamma_exposure(sensitivities.gamma, oi, FORWARD)) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(float(gamma_exposure(sensitivities.gamma, np.full_like(oi, math.nan), FORWARD)))


def test_flip_lies_between_puts_below_and_calls_above():
    oi = np.zeros((2, STRIKES.size))
    oi[1, STRIKES == 23500.0] = 1e6
    oi[0, STRIKES == 24500.0] = 1e6
    level = gamma_flip(STRIKES, np.full(STRIKES.size, 0.12), oi, FORWARD, YEARS)
    assert level == pytest.approx(24000.0, abs=15.0)

    def exposure(forward):
        gamma = greeks(forward, STRIKES, YEARS, 0.12, 1.0, RIGHTS).gamma
        return float(gamma_exposure(gamma, oi, forward))

    assert exposure(level - 60.0) < 0.0 < exposure(level + 60.0)


def test_no_flip_where_all_is_on_one_side():
    oi = np.zeros((2, STRIKES.size))
    oi[0] = 1e6
    assert math.isnan(gamma_flip(STRIKES, np.full(STRIKES.size, 0.12), oi, FORWARD, YEARS))
    assert math.isnan(gamma_flip(STRIKES, np.full(STRIKES.size, 0.12), oi, FORWARD, 0.0))
    assert math.isnan(gamma_flip(STRIKES, np.full(STRIKES.size, math.nan), oi, FORWARD, YEARS))
