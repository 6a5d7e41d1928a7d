"""The chain analyst: frames in, snapshots out, on made chains whose truth is known."""

from __future__ import annotations

import datetime as dt
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.errors import DataError, InputError
from sos_actors.messages import CHAIN_FIELDS, Buildup, ChainFrame, ChainSnapshot, Regime
from sos_actors.quant.analyst import ChainAnalyst
from sos_actors.quant.black import price as black_price
from sos_actors.quant.chain_settings import ChainSettings
from sos_actors.quant.matrix import MatrixSettings
from sos_actors.quant.memory import SessionVolume

MINUTE = 60_000_000_000
START = 1_756_439_100_000_000_000
DAY, EXPIRY = dt.date(2025, 8, 29), dt.date(2025, 9, 2)
STRIKES = np.arange(23500.0, 25550.0, 50.0)
K = STRIKES.size
RIGHTS = np.array([[True], [False]])
YEARS, SIGMA, BASIS = 4.0 / 365.0, 0.12, 12.0
SETTINGS = ChainSettings()
LIGHT = ChainSettings(greeks=False)
ROW = {name: i for i, name in enumerate(CHAIN_FIELDS)}


def frame(
    minute,
    spot=24500.0,
    *,
    oi=None,
    strikes=STRIKES,
    sigma=SIGMA,
    volume=100.0,
    expiry=EXPIRY,
    known_spot=True,
    future_oi=math.nan,
    quotes=True,
):
    values = np.full((len(CHAIN_FIELDS), 2, strikes.size), math.nan)
    worth = black_price(spot + BASIS, strikes, YEARS, sigma, math.exp(-SETTINGS.rate * YEARS), RIGHTS)
    values[ROW["close"]] = worth
    if quotes:
        values[ROW["bid"]], values[ROW["ask"]] = worth * 0.999, worth * 1.001
    values[ROW["volume"]] = volume
    values[ROW["oi"]] = np.full((2, strikes.size), 75_000.0) if oi is None else oi
    start = START + minute * MINUTE
    return ChainFrame(
        "NIFTY", expiry, start, start + MINUTE, strikes, values, spot if known_spot else math.nan, math.nan, future_oi
    )


def run(frames, with_settings=SETTINGS, **day):
    analyst = ChainAnalyst("NIFTY", with_settings)
    analyst.new_day(DAY, **day)
    return [analyst.on_frame(one, YEARS) for one in frames]


def same(a: ChainSnapshot, b: ChainSnapshot):
    for name in ChainSnapshot.__struct_fields__:
        np.testing.assert_equal(getattr(a, name), getattr(b, name), err_msg=name)


def random_day(seed, minutes=14):
    """A day with holes: contracts without trade, quote or OI, minutes left out, strikes that come and go."""
    rng = np.random.default_rng(seed)
    spot, oi, frames, minute = 24500.0, rng.integers(100, 4000, (2, K)) * 75.0, [], 0
    for _ in range(minutes):
        spot *= 1.0 + rng.normal(0.0, 0.0006)
        oi = np.maximum(oi + rng.integers(-40, 50, (2, K)) * 75.0, 0.0)
        keep = slice(int(rng.integers(0, 3)), K - int(rng.integers(0, 3)))
        one = frame(
            minute,
            spot,
            oi=oi[:, keep],
            strikes=STRIKES[keep],
            known_spot=rng.random() < 0.9,
            volume=rng.integers(0, 90, (2, K))[:, keep] * 75.0,
        )
        one.values[rng.random(one.values.shape) < 0.1] = math.nan
        frames.append(one)
        minute += int(rng.choice([1, 1, 1, 2, 13]))
    return frames


def test_known_chain_gives_back_its_making():
    [snapshot] = run([frame(0)])
    assert snapshot.ts == START + MINUTE
    assert snapshot.forward == pytest.approx(24512.0, abs=0.01)
    assert snapshot.atm_strike == 24500.0
    assert snapshot.atm_iv == pytest.approx(SIGMA, abs=1e-4)
    assert snapshot.iv_skew == pytest.approx(0.0, abs=1e-3)
    assert (snapshot.pcr, snapshot.pcr_volume, snapshot.proxy_oi) == (1.0, 1.0, 2 * K * 75_000.0)
    assert (snapshot.ce_volume, snapshot.pe_volume) == (100.0 * K, 100.0 * K)
    both = ~np.isnan(snapshot.iv).any(axis=0)
    np.testing.assert_allclose(snapshot.delta[0, both] - snapshot.delta[1, both], 1.0, atol=0.02)
    assert (snapshot.smart_trend, snapshot.regime) == ("", Regime.UNKNOWN)
    assert set(snapshot.missing) == {"previous_close", "oi_history", "future_oi", "iv_history", "breadth"}


def test_each_missing_input_is_named_and_nothing_is_made_up():
    bare = frame(0, known_spot=False, quotes=False)
    for name in ("close", "volume", "oi"):
        bare.values[ROW[name]] = math.nan
    [snapshot] = run([bare])
    assert set(snapshot.missing) == {
        "spot",
        "previous_close",
        "oi",
        "oi_history",
        "volume",
        "bid_ask",
        "future_oi",
        "forward",
        "greeks",
        "iv_history",
        "breadth",
    }
    for name, value in zip(ChainSnapshot.__struct_fields__, msgspec.structs.astuple(snapshot), strict=True):
        if isinstance(value, float) and name != "years":
            assert math.isnan(value), name
    assert np.isnan(snapshot.price).all()
    assert (snapshot.buildup == Buildup.UNKNOWN).all()


def test_without_spot_the_forward_stands_for_it():
    [snapshot] = run([frame(0, known_spot=False)])
    assert math.isnan(snapshot.spot)
    assert snapshot.atm_strike == 24500.0
    assert "spot" in snapshot.missing


def test_a_spot_of_zero_is_no_spot():
    [snapshot] = run([msgspec.structs.replace(frame(0), spot=0.0)])
    assert math.isnan(snapshot.spot)
    assert snapshot.forward == pytest.approx(24512.0, abs=0.01)
    assert snapshot.atm_strike == 24500.0


def test_after_the_close_of_expiry_there_is_no_model():
    snapshot = ChainAnalyst("NIFTY", SETTINGS).on_frame(frame(0), 0.0)
    assert math.isnan(snapshot.atm_iv)
    assert snapshot.pcr == 1.0


def test_volume_is_the_days_so_far():
    snapshots = run([frame(0, volume=100.0), frame(1, volume=math.nan), frame(2, volume=50.0)])
    assert [snapshot.ce_volume for snapshot in snapshots] == [100.0 * K, 100.0 * K, 150.0 * K]
    assert ["volume" in snapshot.missing for snapshot in snapshots] == [False, True, False]


def test_changes_trend_and_codes():
    grown = np.full((2, K), 75_000.0)
    grown[0] += 7_500.0
    first, second = frame(0, 24500.0), frame(1, 24520.0, oi=grown)
    _, snapshot = run([first, second], ChainSettings(oi_change_minutes=1, pcr_velocity_minutes=1))
    assert (snapshot.ce_oi_change, snapshot.pe_oi_change) == (7_500.0 * K, 0.0)
    assert snapshot.pcr_oi_change == 0.0
    assert snapshot.pcr == pytest.approx(1 / 1.1)
    assert snapshot.pcr_velocity == pytest.approx(1 / 1.1 - 1.0)
    assert snapshot.smart_trend == "Long Buildup"
    near = np.abs(STRIKES - 24500.0) <= 300.0
    assert (snapshot.buildup[0, near] == Buildup.LONG_BUILDUP).all()
    assert (snapshot.buildup[1, near] == Buildup.NEUTRAL).all()


def test_the_future_is_the_better_proxy():
    frames = [frame(0, 24500.0, future_oi=1e7), frame(1, 24480.0, oi=np.full((2, K), 90_000.0), future_oi=0.99e7)]
    _, snapshot = run(frames)
    assert snapshot.smart_trend == "Long Unwinding"
    assert snapshot.proxy_oi == 0.99e7


def test_the_older_rule_of_the_smart_trend():
    grown = np.full((2, K), 75_000.0)
    grown[0] += 7_500.0
    majority = ChainSettings(matrix=MatrixSettings(smart_trend_rule="majority"))
    _, snapshot = run([frame(0, 24500.0), frame(1, 24520.0, oi=grown)], majority)
    assert snapshot.smart_trend == "Neutral"  # five calls built up, five puts without change: a tie
    grown[1] += 7_500.0
    _, snapshot = run([frame(0, 24500.0), frame(1, 24520.0, oi=grown)], majority)
    assert snapshot.smart_trend == "Long Buildup"  # calls bought; puts sold, which says the same


def test_open_interest_stands_until_it_is_published_again_but_not_for_ever():
    silent = np.full((2, K), math.nan)
    frames = [frame(0), frame(1, oi=silent), frame(14, oi=silent), frame(16, oi=silent)]
    snapshots = run(frames)
    assert [snapshot.pcr for snapshot in snapshots[:3]] == [1.0, 1.0, 1.0]
    assert math.isnan(snapshots[3].pcr)
    assert "oi" in snapshots[3].missing


def test_strikes_that_come_do_not_count_as_open_interest_that_came():
    snapshots = run(
        [frame(0, strikes=STRIKES[5:]), frame(1), frame(2)], ChainSettings(oi_change_minutes=1, pcr_velocity_minutes=1)
    )
    assert (snapshots[1].ce_oi_change, snapshots[1].pe_oi_change, snapshots[1].pcr_velocity) == (0.0, 0.0, 0.0)
    assert np.isnan(snapshots[1].oi_change[:, :5]).all()
    assert (snapshots[2].oi_change == 0.0).all()


def test_a_contract_that_becomes_known_does_not_move_the_ratio():
    hidden = np.full((2, K), 75_000.0)
    hidden[1, :20] = math.nan
    snapshots = run([frame(0, oi=hidden), frame(1)], ChainSettings(oi_change_minutes=1, pcr_velocity_minutes=1))
    assert snapshots[0].pcr < snapshots[1].pcr
    assert snapshots[1].pcr_velocity == 0.0


def test_vwap_survives_a_minute_without_spot():
    volume = SessionVolume()
    assert math.isnan(volume.vwap(on_spot=True))
    volume.add([1.0, 1.0], 100.0, on_spot=True)
    volume.add([5.0, math.nan], 112.0, on_spot=False)
    volume.add([6.0, 0.0], 104.0, on_spot=True)
    assert volume.vwap(on_spot=True) == pytest.approx((2 * 100.0 + 6 * 104.0) / 8)
    assert volume.vwap(on_spot=False) == 112.0
    assert not volume.add([math.nan, math.nan], 104.0, on_spot=True)


def test_a_hole_in_the_day_is_no_change():
    snapshots = run([frame(0), frame(40, 24600.0, oi=np.full((2, K), 99_000.0))])
    assert math.isnan(snapshots[1].ce_oi_change)
    assert math.isnan(snapshots[1].pcr_velocity)
    assert snapshots[1].smart_trend == ""


def test_another_expiry_and_another_day_begin_afresh():
    analyst = ChainAnalyst("NIFTY", SETTINGS)
    analyst.new_day(DAY)
    for minute in range(8):
        snapshot = analyst.on_frame(frame(minute, 24500.0 + minute), YEARS)
    assert snapshot.regime is not Regime.UNKNOWN
    other = analyst.on_frame(frame(8, expiry=dt.date(2025, 9, 9)), YEARS)
    assert (other.regime, other.smart_trend) == (Regime.UNKNOWN, "")
    assert math.isnan(other.ce_oi_change)
    assert other.ce_volume == 100.0 * K
    analyst.new_day(DAY + dt.timedelta(days=3))
    assert analyst.stale(5) is None
    same(analyst.on_frame(frame(0), YEARS), run([frame(0)])[0])


def test_stale_says_so_once():
    analyst = ChainAnalyst("NIFTY", SETTINGS)
    assert analyst.stale(1) is None
    last = analyst.on_frame(frame(0), YEARS)
    again = analyst.stale(last.ts + MINUTE)
    assert again.ts == last.ts + MINUTE
    assert again.missing == (*last.missing, "stale")
    assert again.pcr == last.pcr


def test_iv_rank_over_days_and_over_the_session():
    history = [0.10 + 0.002 * i for i in range(21)]
    [snapshot] = run([frame(0)], iv_history=[*history, math.nan])
    assert snapshot.iv_rank == pytest.approx(50.0, abs=0.1)
    assert snapshot.iv_percentile == pytest.approx(100 * 10.5 / 21, abs=2.5)
    few = run([frame(0)], iv_history=history[:19])[0]
    assert math.isnan(few.iv_rank)
    assert "iv_history" in few.missing
    session = ChainSettings(iv_rank_basis="session", iv_rank_minimum=3)
    ranked = run([frame(m, sigma=0.10 + 0.01 * m) for m in range(5)], session, iv_history=history)
    assert [math.isnan(s.iv_rank) for s in ranked] == [True, True, True, False, False]
    assert (ranked[4].iv_rank, ranked[4].iv_percentile) == (100.0, 100.0)


def test_breadth_comes_from_outside_only():
    analyst = ChainAnalyst("NIFTY", SETTINGS)
    assert math.isnan(analyst.on_frame(frame(0), YEARS).breadth_ratio)
    told = analyst.on_frame(frame(1), YEARS, 1.4)
    assert told.breadth_ratio == 1.4
    assert "breadth" not in told.missing


def test_the_light_path_agrees_on_all_that_needs_no_model():
    frames = [frame(m, 24500.0 + 7 * m, oi=np.full((2, K), 75_000.0 + 900 * m)) for m in range(9)]
    for full, light in zip(run(frames), run(frames, LIGHT), strict=True):
        for name in (
            "atm_strike",
            "straddle",
            "pcr",
            "pcr_volume",
            "pcr_velocity",
            "pcr_oi_change",
            "max_pain",
            "oi_wall_above",
            "oi_wall_below",
            "smart_trend",
            "regime",
            "proxy_oi",
            "oi_change",
        ):
            np.testing.assert_equal(getattr(full, name), getattr(light, name), err_msg=name)
        assert np.isnan(light.iv).all()
        assert math.isnan(light.atm_iv)
        assert "greeks" in light.missing


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 13))
def test_what_comes_later_changes_nothing(seed, cut):
    frames = random_day(seed)
    for a, b in zip(run(frames[:cut]), run(frames)[:cut], strict=True):
        same(a, b)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_on_any_data_figures_are_sane_or_unknown(seed):
    for snapshot in run(random_day(seed)):
        assert not (snapshot.pcr < 0.0)
        assert math.isnan(snapshot.max_pain) or snapshot.max_pain in snapshot.strikes
        reference = snapshot.spot if snapshot.spot > 0.0 else snapshot.forward
        assert not (snapshot.oi_wall_above < reference)
        assert not (snapshot.oi_wall_below > reference)
        assert not (snapshot.iv <= 0.0).any()
        assert not (snapshot.price <= 0.0).any()
        for name in (
            "price",
            "bid",
            "ask",
            "iv",
            "delta",
            "gamma",
            "theta",
            "vega",
            "rho",
            "oi",
            "oi_change",
            "buildup",
        ):
            assert getattr(snapshot, name).shape == (2, snapshot.strikes.size), name


def test_frames_are_not_written_to():
    frames = random_day(3)
    copies = [one.values.copy() for one in frames]
    run(frames)
    for one, copy in zip(frames, copies, strict=True):
        np.testing.assert_equal(one.values, copy)


def test_wrong_input_is_one_clear_line():
    with pytest.raises(DataError, match="without strikes"):
        run([frame(0, strikes=np.empty(0))])
    with pytest.raises(DataError, match="previous close"):
        run([], prev_close=0.0)
    for bad in ({"wall_strikes": 0}, {"flip_steps": 1}, {"skew_delta": 0.6}):
        with pytest.raises(InputError, match="chain"):
            ChainSettings(**bad)
