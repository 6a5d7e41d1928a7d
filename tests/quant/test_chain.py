"""Chain figures against plain loops, one minute and a whole day alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sos_actors.quant import chain

NAN = math.nan
STRIKES = np.arange(24000.0, 24600.0, 50.0)
K = STRIKES.size

interest = st.one_of(st.just(NAN), st.integers(0, 10**7).map(float))
oi_arrays = arrays(np.float64, (2, K), elements=interest)
oi_days = arrays(np.float64, (3, 2, K), elements=interest)
spots = st.one_of(st.just(NAN), st.floats(23800.0, 24800.0), st.sampled_from(STRIKES.tolist()))


def known(values):
    return [v for v in values if not math.isnan(v)]


def slow_pcr(oi):
    calls, puts = known(oi[0].tolist()), known(oi[1].tolist())
    if not calls or not puts or sum(calls) == 0:
        return NAN
    return sum(puts) / sum(calls)


def slow_max_pain(oi):
    best, least = NAN, math.inf
    if not any(v > 0 for v in known(oi.ravel().tolist())):
        return NAN
    for settle in STRIKES.tolist():
        pain = 0.0
        for k, strike in enumerate(STRIKES.tolist()):
            call, put = oi[0, k], oi[1, k]
            pain += 0.0 if math.isnan(call) else call * max(settle - strike, 0.0)
            pain += 0.0 if math.isnan(put) else put * max(strike - settle, 0.0)
        if pain < least:
            best, least = settle, pain
    return best


def slow_walls(oi, spot, reach):
    above = [(k, s) for k, s in enumerate(STRIKES.tolist()) if s >= spot][:reach]
    below = [(k, s) for k, s in enumerate(STRIKES.tolist()) if s <= spot][::-1][:reach]
    found = []
    for right, near in ((0, above), (1, below)):
        strike, most = NAN, 0.0
        for k, s in near:
            if oi[right, k] > most:
                strike, most = s, oi[right, k]
        found += [strike, most or NAN]
    return found[0], found[2], found[1], found[3]


def slow_atm(spot):
    if not STRIKES[0] - 25.0 <= spot <= STRIKES[-1] + 25.0:
        return -1
    return min(range(K), key=lambda k: (abs(STRIKES[k] - spot), k))


@given(oi_arrays)
def test_pcr_is_that_of_the_loop(oi):
    np.testing.assert_equal(float(chain.put_call_ratio(chain.totals(oi))), slow_pcr(oi))


@given(oi_arrays)
def test_max_pain_is_that_of_the_loop(oi):
    np.testing.assert_equal(float(chain.max_pain(STRIKES, oi)), slow_max_pain(oi))


@given(oi_arrays, spots, st.integers(1, 15))
def test_walls_are_those_of_the_loop(oi, spot, reach):
    walls = chain.oi_walls(STRIKES, oi, spot, reach)
    above, below, above_oi, below_oi = slow_walls(oi, spot, reach)
    np.testing.assert_equal(walls.strike, [above, below])
    np.testing.assert_equal(walls.oi, [above_oi, below_oi])


@given(spots)
def test_the_money_is_the_nearest_strike(spot):
    assert chain.atm_index(STRIKES, spot) == slow_atm(spot)


@given(oi_days, arrays(np.float64, 3, elements=spots), st.integers(1, 15))
def test_a_day_is_its_minutes(day, spot, reach):
    walls = chain.oi_walls(STRIKES, day, spot, reach)
    atm = chain.atm_index(STRIKES, spot)
    for t in range(3):
        one, price = day[t], float(spot[t])
        np.testing.assert_equal(chain.totals(day)[t], chain.totals(one))
        np.testing.assert_equal(chain.put_call_ratio(chain.totals(day))[t], chain.put_call_ratio(chain.totals(one)))
        np.testing.assert_equal(chain.max_pain(STRIKES, day)[t], chain.max_pain(STRIKES, one))
        np.testing.assert_equal(walls.strike[t], chain.oi_walls(STRIKES, one, price, reach).strike)
        np.testing.assert_equal(walls.oi[t], chain.oi_walls(STRIKES, one, price, reach).oi)
        assert atm[t] == chain.atm_index(STRIKES, price)
        np.testing.assert_equal(chain.straddle(day, atm)[t], chain.straddle(one, int(atm[t])))


def test_totals_of_nothing_known_are_unknown_not_zero():
    np.testing.assert_equal(chain.totals(np.array([[NAN, NAN], [0.0, NAN]])), [NAN, 0.0])


@pytest.mark.parametrize(
    ("calls", "puts", "ratio"),
    [
        (0.0, 5.0, NAN),
        (-3.0, 5.0, NAN),
        (4.0, -5.0, NAN),
        (NAN, 1.0, NAN),
        (4.0, 0.0, 0.0),
        (4.0, 5.0, 1.25),
    ],
)
def test_ratio_has_no_answer_without_a_sane_denominator(calls, puts, ratio):
    np.testing.assert_equal(float(chain.put_call_ratio(np.array([calls, puts]))), ratio)
    np.testing.assert_equal(chain.ratio(puts, calls), ratio)


@pytest.mark.parametrize(
    ("close", "bid", "ask", "price"),
    [
        (100.0, 98.0, 102.0, 100.0),  # a sane quote: its middle
        (90.0, 98.0, 102.0, 100.0),  # even where the last trade is older
        (100.0, 50.0, 150.0, 100.0),  # too wide: the last trade
        (NAN, 50.0, 150.0, NAN),  # too wide and no trade
        (100.0, 102.0, 98.0, NAN),  # crossed
        (0.0, NAN, NAN, NAN),  # zero is no price
        (100.0, NAN, NAN, 100.0),
        (0.10, 0.05, 0.15, 0.10),  # a penny option: the spread is all of the middle, yet two ticks
        (0.05, 0.0, 0.05, 0.05),  # no bid
    ],
)
def test_contract_price(close, bid, ask, price):
    result = chain.contract_price(np.array([close]), np.array([bid]), np.array([ask]), 0.10, 0.5)
    np.testing.assert_allclose(result, [price])


@given(oi_arrays, st.floats(23900.0, 24700.0), st.floats(0.9, 1.0))
def test_no_price_is_left_below_intrinsic(price, forward, discount):
    price = price / 1e4
    kept = chain.above_intrinsic(STRIKES, price, forward, discount)
    for right, sign in ((0, 1.0), (1, -1.0)):
        for k in range(K):
            floor = discount * sign * (forward - STRIKES[k])
            expected = price[right, k] if price[right, k] >= floor - 1e-9 else NAN
            if abs(price[right, k] - floor) > 1e-6:
                np.testing.assert_equal(kept[right, k], expected)


def test_without_a_forward_prices_are_left_alone():
    price = np.full((2, K), 7.0)
    np.testing.assert_equal(chain.above_intrinsic(STRIKES, price, NAN, 1.0), price)


def test_values_move_to_other_strikes():
    values = np.array([[1.0, 2.0, 3.0]])
    moved = chain.on_strikes(values, np.array([10.0, 20.0, 30.0]), np.array([5.0, 20.0, 25.0, 30.0, 40.0]))
    np.testing.assert_equal(moved, [[NAN, 2.0, NAN, 3.0, NAN]])


def test_one_strike_is_a_chain_too():
    one, oi = np.array([24000.0]), np.array([[3.0], [4.0]])
    assert chain.atm_index(one, 24000.0) == 0
    assert chain.atm_index(one, 24010.0) == -1
    assert float(chain.max_pain(one, oi)) == 24000.0
    np.testing.assert_equal(chain.oi_walls(one, oi, 24000.0, 5).strike, [24000.0, 24000.0])


def test_breadth_counts_shares_and_is_unknown_without_them():
    last, before = np.array([11.0, 12.0, 9.0, NAN, 5.0]), np.array([10.0, 10.0, 10.0, 10.0, 5.0])
    assert chain.breadth_ratio(last, before) == 2.0
    assert math.isnan(chain.breadth_ratio(np.empty(0), np.empty(0)))
