"""Black-76 values and Greeks: against an independent library, finite differences, and the laws they obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vollib.black import black
from vollib.black_scholes.greeks import analytical

from sos_actors.quant.black import Greeks, greeks, price
from sos_actors.quant.blocks import BLOCK

POINTS = 10_000


def sample(count, seed=7):
    """Contracts as listed: strikes within 10 %, half an hour to 30 days (log-uniform), 8 to 60 % volatility."""
    rng = np.random.default_rng(seed)
    years = np.exp(rng.uniform(np.log(0.5 / 24 / 365), np.log(30 / 365), count))
    forward = 24_000.0 * np.exp(0.065 * years)
    strike = 24_000.0 * rng.uniform(0.9, 1.1, count)
    sigma = rng.uniform(0.08, 0.6, count)
    return forward, strike, years, sigma, np.exp(-0.065 * years), rng.random(count) < 0.5


contracts = st.tuples(
    st.floats(100.0, 100_000.0),  # forward
    st.floats(-1.0, 1.0),  # ln(strike / forward)
    st.floats(1.0 / (365 * 24 * 60), 3.0),  # years
    st.floats(0.01, 1.5),  # sigma
    st.floats(0.8, 1.0),  # discount
)


def test_price_agrees_with_vollib():
    forward, strike, years, sigma, discount, is_call = sample(POINTS)
    ours = price(forward, strike, years, sigma, discount, is_call)
    rows = zip(forward, strike, years, sigma, is_call, strict=True)
    theirs = [black("c" if call else "p", f, k, t, 0.065, v) for f, k, t, v, call in rows]
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=2e-11)


def test_greeks_agree_with_vollib_on_the_cash_equivalent():
    columns = sample(POINTS, seed=8)
    forward, strike, years, sigma, discount, is_call = columns
    ours = greeks(*columns)
    rows = list(zip(forward * discount, strike, years, sigma, is_call, strict=True))
    for name in Greeks._fields:
        function = getattr(analytical, name)
        theirs = [function("c" if call else "p", s, k, t, 0.065, v) for s, k, t, v, call in rows]
        np.testing.assert_allclose(getattr(ours, name), theirs, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("is_call", [True, False])
def test_greeks_are_the_slopes_of_the_price_in_the_stated_units(is_call):
    cash, strike, years, rate, sigma = 24_500.0, 24_700.0, 9 / 365, 0.06, 0.13

    def value(cash=cash, years=years, rate=rate, sigma=sigma):
        discount = np.exp(-rate * years)
        return float(price(cash / discount, strike, years, sigma, discount, is_call))

    ours = greeks(cash * np.exp(rate * years), strike, years, sigma, np.exp(-rate * years), is_call)
    assert ours.delta == pytest.approx((value(cash + 1) - value(cash - 1)) / 2, rel=1e-5)
    assert ours.gamma == pytest.approx(value(cash + 1) - 2 * value() + value(cash - 1), rel=1e-4)
    hour = 1 / 365 / 24
    assert ours.theta == pytest.approx(12 * (value(years=years - hour) - value(years=years + hour)), rel=1e-4)
    assert ours.vega == pytest.approx((value(sigma=sigma + 0.005) - value(sigma=sigma - 0.005)), rel=1e-3)
    assert ours.rho == pytest.approx((value(rate=rate + 0.005) - value(rate=rate - 0.005)), rel=1e-3)


@given(contracts)
@settings(max_examples=300, deadline=None)
def test_bounds_and_parity(contract):
    forward, log_strike, years, sigma, discount = contract
    strike = forward * np.exp(log_strike)
    call, put = price(forward, strike, years, sigma, discount, [True, False])
    rounding = 4e-16 * max(forward, strike)
    assert call - put == pytest.approx(discount * (forward - strike), abs=4 * rounding)
    assert discount * max(forward - strike, 0.0) - rounding <= call <= discount * forward + rounding
    assert discount * max(strike - forward, 0.0) - rounding <= put <= discount * strike + rounding


@given(contracts, st.floats(1.001, 2.0))
@settings(max_examples=300, deadline=None)
def test_price_rises_with_volatility_and_never_below_intrinsic(contract, factor):
    forward, log_strike, years, sigma, discount = contract
    strike = forward * np.exp(log_strike)
    out_of_the_money = strike >= forward
    low, high = price(forward, strike, years, [sigma, sigma * factor], discount, out_of_the_money)
    assert 0.0 <= low <= high
    if low > 1e-290 and sigma * np.sqrt(years) < 3.0:
        assert low < high


def test_value_at_expiry_or_without_volatility_is_intrinsic():
    forward, strike, is_call = np.array([110.0, 90.0, 90.0, 100.0]), 100.0, np.array([True, True, False, True])
    for years, sigma in ((0.0, 0.2), (1.0, 0.0)):
        np.testing.assert_allclose(price(forward, strike, years, sigma, 0.5, is_call), [5.0, 0.0, 5.0, 0.0])


def test_far_out_of_the_money_keeps_relative_precision():
    # Asymptotics of the normal tail: forward 1, |ln K| = 1, s = 0.05; ln of the value is known to ten digits.
    h, s = 20.0, 0.05
    z_low, z_high = h - s / 2, h + s / 2
    mills = [sum(c / z ** (2 * i + 1) for i, c in enumerate((1, -1, 3, -15, 105, -945))) for z in (z_low, z_high)]
    expected = -0.5 * (h * h + s * s / 4) - 0.5 * np.log(2 * np.pi) + np.log(mills[0] - mills[1]) + 0.5
    assert np.log(price(1.0, np.e, 1.0, s, 1.0, True)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_bad_numbers_give_nan(position, bad):
    arguments = [100.0, 100.0, 0.1, 0.2, 0.99]
    arguments[position] = bad
    assert np.isnan(price(*arguments, True))
    assert all(np.isnan(greek) for greek in greeks(*arguments, True))


@pytest.mark.parametrize("position", range(5))
def test_zero_gives_no_greeks(position):
    arguments = [100.0, 100.0, 0.1, 0.2, 0.99]
    arguments[position] = 0.0
    assert all(np.isnan(greek) for greek in greeks(*arguments, True))


def test_any_shape_and_type_broadcasts_to_full_arrays_of_the_caller():
    strike = np.arange(24_000, 24_500, 100, dtype=np.int32)
    sides = np.array([[True], [False]])
    ours = greeks(np.float32(24_250), strike, 0.02, 0.12, 1, sides)
    assert all(greek.shape == (2, 5) and greek.dtype == np.float64 and greek.flags.writeable for greek in ours)
    assert price(24_250.0, strike, 0.02, 0.12, 1.0, sides).shape == (2, 5)
    assert price(1.0, 1.0, 1.0, 1.0, 1.0, True).shape == ()
    assert price([], 1.0, 1.0, 1.0, 1.0, True).shape == (0,)
    # 85,000 × 85,000 does not fit 32 bits.
    assert price(np.int32(85_000), np.int32(85_000), 0.02, 0.12, 1, True) == price(8.5e4, 8.5e4, 0.02, 0.12, 1.0, True)


def test_blocks_give_what_single_contracts_give():
    columns = sample(2 * BLOCK + 17)
    whole = price(*columns)
    shaped = price(*(column[: 2 * BLOCK].reshape(2, 1, BLOCK) for column in columns))
    assert shaped.shape == (2, 1, BLOCK)
    some = [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 1]
    np.testing.assert_array_equal(shaped.reshape(-1), whole[: 2 * BLOCK])
    np.testing.assert_allclose([price(*(c[i] for c in columns)) for i in some], whole[some], rtol=1e-14)
    last = greeks(*(column[-17:] for column in columns))
    for block, alone in zip(greeks(*columns), last, strict=True):
        np.testing.assert_allclose(block[-17:], alone, rtol=1e-13)
