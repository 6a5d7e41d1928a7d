import numpy as np
import pytest
from trading_helpers import snapshot

from sos_actors.messages import CE, NAN, PE
from sos_actors.trading.ranking import RankingSettings, percentile_rank, rank, spread_fraction

BLANK = np.full((2, 7), NAN)


def strikes(settings=None, right=CE, **changes):
    return [row.strike for row in rank(snapshot(**changes), right, RankingSettings(**(settings or {})))]


def test_the_score_is_the_stated_sum():
    best = rank(snapshot(), CE, RankingSettings())[0]
    # At the money: OI and its change rank first (1), distance 0, IV at the median, delta 0.5; spread 0.1 % of 1.5 %.
    assert best.strike == 24500.0
    assert best.score == pytest.approx((0.20 + 0.10 + 0.20 + 0.15 * (1 - 0.001 / 0.015) + 0.15 + 0.20) / 1.0)


def test_filters():
    # OI percentiles of 24400..24600: 3/7, 7/7, 6/7, 5/7 and 2/7 below 24400.
    assert strikes() == [24500.0, 24550.0, 24600.0]
    assert strikes({"mode": "intraday"}) == [24500.0, 24550.0, 24600.0]
    assert set(strikes({"min_oi_percentile": 0.0, "mode": "intraday"})) == set(range(24350, 24651, 50))
    assert set(strikes({"min_oi_percentile": 0.0})) == {24400.0, 24450.0, 24500.0, 24550.0, 24600.0}
    assert strikes({"max_spread": (0.0011, 0.0011)}) == [24500.0]


def test_a_side_without_interest_or_quotes_is_not_filtered_by_them():
    got = rank(snapshot(oi=BLANK, oi_change=BLANK, bid=BLANK, ask=BLANK), CE, RankingSettings())
    assert len(got) == 5
    assert got[0].score == pytest.approx(1.0)


def test_a_strike_without_a_price_or_without_interest_among_known_ones_is_left_out():
    price = snapshot().price.copy()
    price[CE, 3] = NAN
    assert 24500.0 not in strikes(price=price)
    oi = snapshot().oi.copy()
    oi[CE, 3] = NAN
    assert 24500.0 not in strikes(oi=oi)


def test_puts_are_ranked_by_their_own_row():
    oi = snapshot().oi.copy()
    oi[PE, 1] = 1e9
    assert 24400.0 in strikes(right=PE, oi=oi)
    assert 24400.0 not in strikes(oi=oi)


def test_each_weight_counts():
    flat = {
        "weight_oi": 0.0,
        "weight_distance": 0.0,
        "weight_iv": 0.0,
        "weight_spread": 0.0,
        "weight_oi_change": 0.0,
        "weight_delta": 0.0,
        "min_oi_percentile": 0.0,
    }
    iv = snapshot().iv.copy()
    iv[CE] = [0.1, 0.11, 0.2, 0.2, 0.12, 0.13, 0.14]
    oi_change = snapshot().oi_change.copy()
    oi_change[CE, 1] = 1e9
    assert strikes(flat) == []
    assert strikes(flat | {"weight_oi": 1.0})[:2] == [24500.0, 24550.0]
    assert strikes(flat | {"weight_distance": 1.0}) == [24500.0, 24450.0, 24550.0, 24400.0, 24600.0]
    assert strikes(flat | {"weight_iv": 1.0}, iv=iv)[0] == 24600.0
    assert strikes(flat | {"weight_spread": 1.0})[0] == 24400.0
    assert strikes(flat | {"weight_oi_change": 1.0}, oi_change=oi_change)[0] == 24400.0
    assert strikes(flat | {"weight_delta": 1.0, "target_delta": 0.3})[0] == 24600.0


def test_no_chain_no_rank():
    assert strikes(atm_strike=NAN) == []
    assert strikes(strikes=np.array([])) == []


def test_percentiles_and_spreads_of_holes():
    assert percentile_rank(np.array([3.0, NAN, 1.0, 3.0])).tolist()[0] == 1.0
    assert np.isnan(percentile_rank(np.array([3.0, NAN]))[1])
    assert np.isnan(percentile_rank(np.array([NAN, NAN]))).all()
    got = spread_fraction(np.array([99.0, 0.0, 101.0, NAN]), np.array([101.0, 1.0, 99.0, 1.0]))
    assert got[0] == pytest.approx(0.02)
    assert np.isnan(got[1:]).all()
