"""Regimes: each component's direction, the ladder's boundaries, hysteresis, warm-up."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.messages import Buildup, Regime
from sos_actors.quant.regime import Evidence, RegimeSettings, RegimeTracker, score

MINUTE = 60_000_000_000
PLAIN = RegimeSettings(smoothing_minutes=0.0, warmup_minutes=0.0, minimum_weight=0.0)
LADDER = [
    Regime.COMPLETE_BEARISH,
    Regime.BEARISH,
    Regime.SIDEWAYS_BEARISH,
    Regime.SIDEWAYS,
    Regime.SIDEWAYS_BULLISH,
    Regime.BULLISH,
    Regime.COMPLETE_BULLISH,
]

maybe = st.one_of(st.just(math.nan), st.floats(0.0, 5.0))
evidences = st.builds(
    Evidence,
    pcr=maybe,
    pcr_velocity=st.one_of(st.just(math.nan), st.floats(-0.1, 0.1)),
    price=st.one_of(st.just(math.nan), st.floats(20000.0, 30000.0)),
    previous_close=st.one_of(st.just(math.nan), st.floats(20000.0, 30000.0)),
    vwap=st.one_of(st.just(math.nan), st.floats(20000.0, 30000.0)),
    smart_trend=st.sampled_from(list(Buildup)),
    call_wall_oi=maybe,
    put_wall_oi=maybe,
)


@pytest.mark.parametrize(
    ("bullish", "bearish"),
    [
        (Evidence(pcr=1.3), Evidence(pcr=1 / 1.3)),
        (Evidence(pcr_velocity=0.01), Evidence(pcr_velocity=-0.01)),
        (Evidence(price=100.6, previous_close=100.0), Evidence(price=99.4, previous_close=100.0)),
        (Evidence(price=100.25, vwap=100.0), Evidence(price=99.75, vwap=100.0)),
        (Evidence(smart_trend=Buildup.LONG_BUILDUP), Evidence(smart_trend=Buildup.SHORT_BUILDUP)),
        (Evidence(call_wall_oi=0.0, put_wall_oi=5.0), Evidence(call_wall_oi=5.0, put_wall_oi=0.0)),
    ],
)
def test_each_component_alone_reaches_both_ends(bullish, bearish):
    assert score(bullish, PLAIN) == pytest.approx(1.0)
    assert score(bearish, PLAIN) == pytest.approx(-1.0)


def test_halfway_evidence_is_weighed():
    evidence = Evidence(pcr=math.sqrt(1.3), smart_trend=Buildup.SHORT_COVERING, call_wall_oi=1.0, put_wall_oi=1.0)
    assert score(evidence, PLAIN) == pytest.approx((0.5 * 1.0 + 0.5 * 1.0 + 0.0 * 0.5) / 2.5)


@given(evidences)
def test_score_is_within_one_or_unknown(evidence):
    value = score(evidence, RegimeSettings())
    assert math.isnan(value) or -1.0 <= value <= 1.0


def test_too_little_evidence_is_unknown():
    tracker = RegimeTracker(RegimeSettings(warmup_minutes=0.0))
    assert tracker.update(MINUTE, Evidence(pcr=1.5)) is Regime.UNKNOWN
    assert tracker.update(2 * MINUTE, Evidence(pcr=1.5, smart_trend=Buildup.LONG_BUILDUP)) is Regime.COMPLETE_BULLISH


def pcr_of(value):
    """PCR whose component alone makes this score."""
    return 1.3**value


@pytest.mark.parametrize(("value", "regime"), list(zip([-0.9, -0.4, -0.2, 0.0, 0.2, 0.4, 0.9], LADDER, strict=True)))
def test_ladder(value, regime):
    assert RegimeTracker(PLAIN).update(MINUTE, Evidence(pcr=pcr_of(value))) is regime


def test_a_regime_is_left_only_past_the_margin():
    tracker = RegimeTracker(PLAIN)
    seen = [
        tracker.update(t * MINUTE, Evidence(pcr=pcr_of(value)))
        for t, value in enumerate([0.05, 0.13, 0.15, 0.08, 0.05, -0.9])
    ]
    assert seen == [
        Regime.SIDEWAYS,
        Regime.SIDEWAYS,
        Regime.SIDEWAYS_BULLISH,
        Regime.SIDEWAYS_BULLISH,
        Regime.SIDEWAYS,
        Regime.COMPLETE_BEARISH,
    ]


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=40))
def test_hysteresis_never_strays_further_than_its_margin(values):
    tracker = RegimeTracker(PLAIN)
    for t, value in enumerate(values):
        regime = tracker.update(t * MINUTE, Evidence(pcr=pcr_of(value)))
        allowed = {
            RegimeTracker(PLAIN).update(MINUTE, Evidence(pcr=pcr_of(min(max(value + d, -1.0), 1.0))))
            for d in (-0.0401, 0.0, 0.0401)
        }
        assert regime in allowed


def test_warm_up_and_smoothing():
    tracker = RegimeTracker(RegimeSettings(minimum_weight=0.0))
    seen = [tracker.update(t * MINUTE, Evidence(pcr=1.0)) for t in range(7)]
    assert seen == [Regime.UNKNOWN] * 5 + [Regime.SIDEWAYS] * 2
    assert tracker.update(7 * MINUTE, Evidence(pcr=2.0)) is Regime.SIDEWAYS_BULLISH
    assert tracker.score == pytest.approx(1.0 / 6.0)


@pytest.mark.parametrize(
    "bad",
    [
        {"sideways": 0.5},
        {"pcr_full": 1.0},
        {"vwap_full": 0.0},
        {"walls_weight": -1.0},
    ],
)
def test_senseless_settings_are_refused(bad):
    with pytest.raises(InputError, match="regime"):
        RegimeSettings(**bad)
