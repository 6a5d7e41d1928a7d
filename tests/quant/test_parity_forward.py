"""Forwards from put-call parity, discounting and time to expiry."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.quant.black import price
from sos_actors.quant.forward import discount_factor, parity_forward, years_to_expiry

STRIKES = np.arange(23_000.0, 26_050.0, 50.0)
NAN = np.nan
IST = ZoneInfo("Asia/Kolkata")


def chain(forward, years=5 / 365, sigma=0.11, discount=0.999):
    """Call and put prices [..., K] on STRIKES."""
    forward = np.asarray(forward)[..., None]
    return (price(forward, STRIKES, years, sigma, discount, is_call) for is_call in (True, False))


def ns(*when):
    return int(dt.datetime(*when, tzinfo=IST).timestamp()) * 1_000_000_000


def test_years_to_expiry_counts_calendar_minutes():
    close = ns(2025, 9, 2, 15, 30)
    now = np.array([ns(2025, 9, 1, 15, 30), ns(2025, 9, 2, 15, 29), close, ns(2025, 9, 3, 9, 15)])
    np.testing.assert_allclose(years_to_expiry(now, close), [1 / 365, 1 / 525_600, 0.0, 0.0], rtol=1e-15)
    assert years_to_expiry(int(now[0]), close) == 1 / 365


def test_discount():
    assert discount_factor(0.065, 2.0) == pytest.approx(np.exp(-0.13))


def test_parity_finds_the_forward_with_and_without_a_spot():
    call, put = chain(24_567.8)
    for hint in (NAN, 24_540.0, 24_000.0):
        forward, dispersion = parity_forward(STRIKES, call, put, 0.999, spot_hint=hint)
        assert forward == pytest.approx(24_567.8, abs=1e-8)
        assert dispersion == pytest.approx(0.0, abs=1e-8)


def test_a_day_at_once_equals_its_minutes():
    forwards = np.linspace(23_900.0, 25_100.0, 375)
    call, put = (np.round(side / 0.05) * 0.05 for side in chain(forwards))
    call[::7, 20:40] = NAN
    call[::11] = 0.0
    hints = np.where(np.arange(375) % 2, forwards, NAN)
    other = forwards - 5.0
    whole, dispersion = parity_forward(STRIKES, call, put, np.full(375, 0.999), spot_hint=hints, fallback=other)
    assert whole.shape == dispersion.shape == (375,)
    for i in range(0, 375, 3):
        one = parity_forward(STRIKES, call[i], put[i], 0.999, spot_hint=hints[i], fallback=other[i])
        np.testing.assert_equal((one[0].item(), one[1].item()), (whole[i], dispersion[i]))
    empty = np.arange(375) % 11 == 0
    assert np.isnan(dispersion[empty]).all()
    np.testing.assert_array_equal(whole[empty], other[empty])
    assert np.abs(whole - forwards)[~empty].max() < 0.15


def test_single_precision_and_whole_numbers_are_taken_as_they_are():
    call, put = (np.round(side).astype(np.int64) for side in chain(24_500.0))
    as_floats = parity_forward(STRIKES, call.astype(float), put.astype(float), 0.999)
    assert parity_forward(STRIKES.astype(np.int32), call, put.astype(np.float32), 0.999) == as_floats


def test_chain_axes_of_a_frame_broadcast():
    call, put = chain(np.array([[24_000.0, 24_100.0], [24_200.0, 24_300.0]]))
    forward, _ = parity_forward(STRIKES, call, put, 0.999)
    np.testing.assert_allclose(forward, [[24_000.0, 24_100.0], [24_200.0, 24_300.0]], atol=1e-8)


@given(
    st.floats(23_500.0, 25_500.0),
    st.lists(st.integers(0, len(STRIKES) - 1), min_size=2, max_size=2, unique=True),
    st.floats(-400.0, 400.0),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_two_wrong_prices_do_not_move_it(forward, where, error, with_spot):
    call, put = chain(forward)
    call[where[0]] = max(call[where[0]] + error, 0.05)
    put[where[1]] = max(put[where[1]] - error, 0.05)
    found, dispersion = parity_forward(STRIKES, call, put, 0.999, spot_hint=forward if with_spot else NAN)
    assert found == pytest.approx(forward, abs=1e-6)
    assert dispersion < 1e-6


def test_few_pairs_none_and_no_strikes():
    call, put = chain(24_500.0)
    call[:-1] = NAN
    forward, dispersion = parity_forward(STRIKES, call, put, 0.999)
    assert forward == pytest.approx(24_500.0, abs=1e-6)
    assert dispersion == np.inf
    for strikes, calls, puts in ((STRIKES, call * NAN, put), (STRIKES[:0], call[:0], put[:0])):
        assert [x.item() for x in parity_forward(strikes, calls, puts, 0.999, fallback=24_321.0)] == pytest.approx(
            [24_321.0, NAN], nan_ok=True
        )
    two = np.where(np.arange(len(STRIKES)) < 2, 1.0, NAN)
    forward, dispersion = parity_forward([100.0, 102.0, 104.0], [5.0, 4.0, NAN], [4.0, 4.0, 3.0], 1.0)
    assert (forward, dispersion) == (101.5, 0.5)
    assert np.isnan(parity_forward(STRIKES, two, -two)[0])
