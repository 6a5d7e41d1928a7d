"""Implied volatility: round trips over the whole domain, against an independent library, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vollib.black import black
from vollib.black.implied_volatility import implied_volatility

from sos_actors.quant.black import greeks, price
from sos_actors.quant.implied import _guess, _refine, implied_vol

POINTS = 10_000


@pytest.fixture(scope="module")
def listed():
    """Contracts as listed, priced by vollib: forward, strike, years, sigma, discount, is_call, price."""
    rng = np.random.default_rng(11)
    years = np.exp(rng.uniform(np.log(0.5 / 24 / 365), np.log(30 / 365), POINTS))
    forward = 24_000.0 * np.exp(0.065 * years)
    strike = 24_000.0 * rng.uniform(0.9, 1.1, POINTS)
    sigma = rng.uniform(0.08, 0.6, POINTS)
    is_call = rng.random(POINTS) < 0.5
    rows = zip(forward, strike, years, sigma, is_call, strict=True)
    value = np.array([black("c" if call else "p", f, k, t, 0.065, v) for f, k, t, v, call in rows])
    return forward, strike, years, sigma, np.exp(-0.065 * years), is_call, value


def test_finds_the_volatility_another_library_priced_with(listed):
    forward, strike, years, sigma, discount, is_call, value = listed
    ours = implied_vol(value, forward, strike, years, discount, is_call)
    vega = 100.0 * greeks(forward, strike, years, sigma, discount, is_call).vega
    known = vega > 1.0
    assert known.sum() > POINTS / 2
    assert np.abs(ours - sigma)[known].max() <= 1e-11
    assert np.abs(ours - sigma)[vega > 10.0].max() <= 1e-12
    # Where vega is small the answer is close or none.
    assert np.nanmax(np.abs(ours / sigma - 1.0)) <= 1e-4


def test_agrees_with_vollib_solver(listed):
    forward, strike, years, sigma, discount, is_call, value = listed
    ours = implied_vol(value, forward, strike, years, discount, is_call)
    known = 100.0 * greeks(forward, strike, years, sigma, discount, is_call).vega > 1.0
    rows = zip(value[known], forward[known], strike[known], years[known], is_call[known], strict=True)
    theirs = [implied_volatility(p, f, k, 0.065, t, "c" if call else "p") for p, f, k, t, call in rows]
    np.testing.assert_allclose(ours[known], theirs, rtol=0.0, atol=2e-11)


LOG_MONEYNESS = np.concatenate([[0.0, 1e-15, 1e-12, 1e-9], np.geomspace(1e-6, 1.0, 70)])
TOTAL_VOL = np.geomspace(1e-4, 3.0, 300)


def test_first_guess_over_the_whole_domain():
    k, s = (grid.reshape(-1) for grid in np.meshgrid(LOG_MONEYNESS, TOTAL_VOL))
    b = price(np.exp(0.5 * k), np.exp(-0.5 * k), 1.0, s, 1.0, False)
    k, s, b = k[b > 1e-300], s[b > 1e-300], b[b > 1e-300]
    error = np.abs(_guess(k, 2.0 * np.sinh(0.5 * k), b) / s - 1.0)
    for upper, allowed in ((0.2, 5e-5), (0.5, 2e-4), (1.0, 1e-3), (3.1, 1e-2)):
        assert error[s < upper].max() < allowed


@pytest.mark.parametrize("years", [1 / (365 * 24 * 60), 1 / 365, 1.0, 5.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("is_call", [True, False])
def test_round_trip_over_the_whole_domain(years, sign, is_call):
    k, s = np.meshgrid(LOG_MONEYNESS, TOTAL_VOL)
    forward, discount = 24_000.0 * np.exp(sign * k), 0.97
    sigma = s / np.sqrt(years)
    value = price(forward, 24_000.0, years, sigma, discount, is_call)
    ours = implied_vol(value, forward, 24_000.0, years, discount, is_call)
    relative = np.abs(ours / sigma - 1.0)
    # What roundings of the price (1e-15 of it) may move the volatility, relative to itself.
    slope = 100.0 * greeks(forward, 24_000.0, years, sigma, discount, is_call).vega * sigma
    doubt = 1e-15 * value / np.maximum(slope, 1e-300)
    clear = (doubt < 1e-6) & (value > 1e-290)
    assert clear.mean() > 0.6
    assert not np.isnan(ours[clear]).any()
    # The difference of two numbers near 1 that is of the order of s has a relative error of some 1e-15 / s.
    assert (relative <= 1e-12 + 1e-14 / s + 10.0 * doubt)[clear].all()
    assert np.nanmax(relative) <= 1e-3
    assert np.isnan(ours[~(doubt < 1.0)]).all()


def test_very_large_total_volatility_is_right_or_none():
    s, k = np.meshgrid(np.linspace(3.0, 40.0, 400), [0.0, 0.01, 0.3, 1.0])
    value = price(np.exp(k), 1.0, 1.0, s, 1.0, False)
    ours = implied_vol(value, np.exp(k), 1.0, 1.0, 1.0, False)
    assert np.nanmax(np.abs(ours / s - 1.0)) <= 1e-4
    assert not np.isnan(ours[s < 10.0]).any()
    assert np.isnan(ours[s > 30.0]).all()


def test_bracket_finds_the_answer_from_a_useless_guess():
    k = np.array([0.0, 0.05, 0.5, 1.0, 1.0])
    s = np.array([0.2, 0.01, 1.5, 3.0, 0.05])
    b = price(np.exp(0.5 * k), np.exp(-0.5 * k), 1.0, s, 1.0, False)
    for guess in (0.02, 0.3, 20.0):
        with np.errstate(all="ignore"):  # `implied_vol` sets this around its kernels
            found, _ = _refine(k, np.full(k.shape, guess), b)
        np.testing.assert_allclose(found, s, rtol=1e-12)


@given(
    forward=st.floats(1_000.0, 90_000.0),
    log_strike=st.floats(-1.0, 1.0),
    minutes=st.integers(1, 3 * 525_600),
    total_vol=st.floats(1e-4, 3.0),
    discount=st.floats(0.8, 1.0),
    is_call=st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_ticked_price_reprices_within_rounding_or_gives_nothing(
    *,
    forward,
    log_strike,
    minutes,
    total_vol,
    discount,
    is_call,
):
    strike, years = forward * np.exp(log_strike), minutes / 525_600
    exact = float(price(forward, strike, years, total_vol / np.sqrt(years), discount, is_call))
    ticked = round(exact / 0.05) * 0.05
    ours = implied_vol(ticked, forward, strike, years, discount, is_call)
    intrinsic = discount * max(forward - strike if is_call else strike - forward, 0.0)
    if ticked < intrinsic * (1 - 1e-12) or ticked == 0.0:
        assert np.isnan(ours)
    if not np.isnan(ours):
        again = float(price(forward, strike, years, ours, discount, is_call))
        assert again == pytest.approx(ticked, rel=1e-12, abs=1e-9)
    elif intrinsic + 0.01 < ticked < discount * (forward if is_call else strike) - 0.01:
        pytest.fail(f"no volatility for {ticked}, intrinsic {intrinsic}")


@given(st.floats(0.0, 0.99), st.floats(-0.5, 0.5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_rises_with_the_price(part, log_strike, is_call):
    forward, strike, discount = 100.0, 100.0 * np.exp(log_strike), 0.95
    low = discount * max(forward - strike if is_call else strike - forward, 0.0)
    high = discount * (forward if is_call else strike)
    prices = low + (high - low) * np.array([part, part + 0.005])
    first, second = implied_vol(prices, forward, strike, 0.5, discount, is_call)
    assert not np.isnan(second)
    assert np.isnan(first) or first < second


@pytest.mark.parametrize(
    ("value", "forward", "strike", "years", "discount", "is_call"),
    [
        (np.nan, 100.0, 100.0, 0.1, 1.0, True),
        (0.0, 100.0, 100.0, 0.1, 1.0, True),
        (-1.0, 100.0, 100.0, 0.1, 1.0, True),
        (np.inf, 100.0, 100.0, 0.1, 1.0, True),
        (10.0, 110.0, 100.0, 0.1, 1.0, True),  # intrinsic
        (9.0, 110.0, 100.0, 0.1, 1.0, True),  # below it
        (9.0, 100.0, 110.0, 0.1, 0.9, False),  # discounted intrinsic
        (110.0, 110.0, 100.0, 0.1, 1.0, True),  # the forward itself
        (150.0, 110.0, 100.0, 0.1, 1.0, True),
        (100.0, 110.0, 100.0, 0.1, 1.0, False),  # the strike itself
        (5.0, 100.0, 100.0, 0.0, 1.0, True),
        (5.0, 100.0, 100.0, -0.1, 1.0, True),
        (5.0, 100.0, 100.0, np.nan, 1.0, True),
        (5.0, 0.0, 100.0, 0.1, 1.0, True),
        (5.0, -100.0, 100.0, 0.1, 1.0, True),
        (5.0, -100.0, -100.0, 0.1, 1.0, True),
        (5.0, 100.0, 0.0, 0.1, 1.0, False),
        (5.0, np.nan, 100.0, 0.1, 1.0, True),
        (5.0, 100.0, np.inf, 0.1, 1.0, True),
        (5.0, 100.0, 100.0, 0.1, 0.0, True),
        (5.0, 100.0, 100.0, 0.1, -1.0, True),
        (5.0, 100.0, 100.0, 0.1, np.nan, True),
        (1e-310, 100.0, 200.0, 0.1, 1.0, True),  # too small for a double to hold exactly
    ],
)
def test_no_information_gives_nan(*, value, forward, strike, years, discount, is_call):
    assert np.isnan(implied_vol(value, forward, strike, years, discount, is_call))


def test_time_value_lost_in_the_rounding_of_the_price_gives_nan():
    prices = 4_000.0 + np.arange(1, 50) * 1e-12
    assert np.isnan(implied_vol(prices, 24_000.0, 20_000.0, 7 / 365, 1.0, True)).all()
    assert implied_vol(4_000.05, 24_000.0, 20_000.0, 7 / 365, 1.0, True) > 0.0


def test_bad_contracts_do_not_touch_their_neighbours():
    value = np.array([[100.0, np.nan, 1e9], [90.0, 0.0, 101.0]], dtype=np.float32)
    ours = implied_vol(value, 24_000.0, [24_000.0, 24_050.0, 24_000.0], 2 / 365, 1.0, [[True], [False]])
    assert np.isfinite(ours).tolist() == [[True, False, False], [True, False, True]]
    assert ours[0, 0] == implied_vol(np.array([100.0]), 24_000.0, 24_000.0, 2 / 365, 1.0, True)[0]


def test_large_inputs_equal_small_ones():
    strike = np.linspace(21_000.0, 27_000.0, 10_001)
    value = price(24_000.0, strike, 0.02, 0.2, 0.99, True)
    whole = implied_vol(value, 24_000.0, strike, 0.02, 0.99, True)
    parts = [
        implied_vol(value[i : i + 160], 24_000.0, strike[i : i + 160], 0.02, 0.99, True)
        for i in range(0, len(strike), 160)
    ]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-12)
    again = implied_vol(value, 24_000.0, strike, 0.02, 0.99, True)
    assert whole.tobytes() == again.tobytes()
