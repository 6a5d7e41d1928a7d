"""The market's mood in seven steps, from a weighted score with hysteresis.

Each component is a number from -1 (bearish) to +1 (bullish), or NaN where its data is missing; then it is left
out and the others carry its weight. The defaults:

    component        -1                0             +1              weight
    PCR by OI        <= 1 / 1.3        1             >= 1.3          1.0   (logarithmic; writers of puts are bulls)
    PCR velocity     <= -0.01 / min    0             >= 0.01 / min   0.5
    previous close   <= -0.6 %         unchanged     >= +0.6 %       1.0
    VWAP             <= -0.25 %        on it         >= +0.25 %      1.0
    smart trend      Short Buildup     Neutral       Long Buildup    1.0   (Short Covering +0.5, Long Unwinding -0.5)
    walls            only call wall    equal         only put wall   0.5   ((put - call) / (put + call) OI at the walls)

The score is their weighted mean, smoothed over `smoothing_minutes`. Its regime; a boundary belongs to the step above:

    below -0.60                   COMPLETE_BEARISH
    -0.60 to -0.30                BEARISH
    -0.30 to -0.10                SIDEWAYS_BEARISH
    -0.10 to  0.10                SIDEWAYS
     0.10 to  0.30                SIDEWAYS_BULLISH
     0.30 to  0.60                BULLISH
     0.60 and above               COMPLETE_BULLISH

A regime is left only when the score is past the boundary by `hysteresis`. UNKNOWN until `warmup_minutes` after the
first score, and while components that are known weigh less than `minimum_weight`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import NamedTuple

import msgspec

from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.messages import NAN, Buildup, Regime

_LADDER = (
    Regime.COMPLETE_BEARISH,
    Regime.BEARISH,
    Regime.SIDEWAYS_BEARISH,
    Regime.SIDEWAYS,
    Regime.SIDEWAYS_BULLISH,
    Regime.BULLISH,
    Regime.COMPLETE_BULLISH,
)
_OF_TREND = {
    Buildup.UNKNOWN: NAN,
    Buildup.NEUTRAL: 0.0,
    Buildup.LONG_BUILDUP: 1.0,
    Buildup.SHORT_COVERING: 0.5,
    Buildup.SHORT_BUILDUP: -1.0,
    Buildup.LONG_UNWINDING: -0.5,
}


class RegimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds of the regime score. A weight of 0 turns a component off."""

    pcr_full: float = 1.3
    """PCR at which its component is +1; 1 / this is -1."""
    pcr_velocity_full: float = 0.01
    """PCR change per minute at which its component is +1."""
    previous_close_full: float = 0.006
    """Distance from the previous close, as a fraction of it, at which its component is +1."""
    vwap_full: float = 0.0025
    """Distance from the session's VWAP, as a fraction of it, at which its component is +1."""
    pcr_weight: float = 1.0
    pcr_velocity_weight: float = 0.5
    previous_close_weight: float = 1.0
    vwap_weight: float = 1.0
    smart_trend_weight: float = 1.0
    walls_weight: float = 0.5
    sideways: float = 0.10
    """Score below which (either sign) the market is SIDEWAYS."""
    directional: float = 0.30
    """Score from which it is BULLISH or BEARISH; between the two SIDEWAYS_BULLISH or SIDEWAYS_BEARISH."""
    complete: float = 0.60
    """Score from which it is COMPLETE_BULLISH or COMPLETE_BEARISH."""
    hysteresis: float = 0.04
    """Score past a boundary that is needed to leave a regime."""
    smoothing_minutes: float = 5.0
    """Time constant of the score's exponential smoothing; 0: none."""
    warmup_minutes: float = 5.0
    """Minutes from the first score to the first regime."""
    minimum_weight: float = 2.0
    """Weight of known components below which the regime is UNKNOWN."""

    def __post_init__(self) -> None:
        """Raise InputError where values contradict each other."""
        if not 0.0 < self.sideways < self.directional < self.complete <= 1.0:
            raise InputError("chain.regime: write 0 < sideways < directional < complete <= 1")
        if self.pcr_full <= 1.0:
            raise InputError(f"chain.regime.pcr_full: {self.pcr_full} must be above 1")
        if min(self.pcr_velocity_full, self.previous_close_full, self.vwap_full) <= 0.0:
            raise InputError("chain.regime: pcr_velocity_full, previous_close_full and vwap_full must be above 0")
        if (
            min(
                self.pcr_weight,
                self.pcr_velocity_weight,
                self.previous_close_weight,
                self.vwap_weight,
                self.smart_trend_weight,
                self.walls_weight,
                self.hysteresis,
                self.smoothing_minutes,
            )
            < 0.0
        ):
            raise InputError("chain.regime: weights, hysteresis and smoothing_minutes may not be negative")


class Evidence(NamedTuple):
    """What a regime is judged by at one moment; NaN (or UNKNOWN) where not known."""

    pcr: float = NAN
    pcr_velocity: float = NAN
    price: float = NAN
    previous_close: float = NAN
    vwap: float = NAN
    smart_trend: Buildup = Buildup.UNKNOWN
    call_wall_oi: float = NAN
    put_wall_oi: float = NAN


def components(evidence: Evidence, settings: RegimeSettings) -> tuple[tuple[float, float], ...]:
    """(value in [-1, 1] or NaN, weight) of each component, in the order of the table above."""
    call_wall, put_wall = evidence.call_wall_oi, evidence.put_wall_oi
    walls = (put_wall - call_wall) / (put_wall + call_wall) if put_wall + call_wall > 0.0 else NAN
    return (
        (_of_pcr(evidence.pcr, settings.pcr_full), settings.pcr_weight),
        (_cut(evidence.pcr_velocity / settings.pcr_velocity_full), settings.pcr_velocity_weight),
        (
            _cut(_away(evidence.price, evidence.previous_close) / settings.previous_close_full),
            settings.previous_close_weight,
        ),
        (_cut(_away(evidence.price, evidence.vwap) / settings.vwap_full), settings.vwap_weight),
        (_OF_TREND[evidence.smart_trend], settings.smart_trend_weight),
        (walls, settings.walls_weight),
    )


def score(evidence: Evidence, settings: RegimeSettings) -> float:
    """Weighted mean of the known components, -1 to 1; NaN when they weigh less than `minimum_weight`."""
    total = weight = 0.0
    for value, share in components(evidence, settings):
        if not math.isnan(value) and share > 0.0:
            total += value * share
            weight += share
    return total / weight if weight > 0.0 and weight >= settings.minimum_weight else NAN


class RegimeTracker:
    """The regime of one underlying through a day: smoothing, warm-up and hysteresis over `score`."""

    def __init__(self, settings: RegimeSettings) -> None:
        self._settings = settings
        s = settings
        self._bounds = (-s.complete, -s.directional, -s.sideways, s.sideways, s.directional, s.complete)
        self.reset()

    def reset(self) -> None:
        """Start a day: nothing is known."""
        self.score = NAN
        self._since = 0
        self._last = 0
        self._level = -1

    def update(self, ts: int, evidence: Evidence) -> Regime:
        """Take the evidence at `ts` (UTC ns, later than before) and give the regime."""
        raw = score(evidence, self._settings)
        if math.isnan(raw):
            return Regime.UNKNOWN
        if math.isnan(self.score):
            self.score, self._since = raw, ts
        else:
            minutes = (ts - self._last) / MINUTE_NS
            self.score += (raw - self.score) * minutes / (minutes + self._settings.smoothing_minutes)
        self._last = ts
        if ts - self._since < self._settings.warmup_minutes * MINUTE_NS:
            return Regime.UNKNOWN
        self._level = self._next_level()
        return _LADDER[self._level]

    def _next_level(self) -> int:
        level = bisect_right(self._bounds, self.score)
        if self._level < 0:
            return level
        margin = self._settings.hysteresis
        if level > self._level:
            return max(self._level, bisect_right(self._bounds, self.score - margin))
        return min(self._level, bisect_right(self._bounds, self.score + margin))


def _of_pcr(pcr: float, full: float) -> float:
    """PCR on a logarithmic scale, so that 1.3 and 1 / 1.3 weigh alike; no puts at all is as bearish as can be."""
    if pcr > 0.0:
        return _cut(math.log(pcr) / math.log(full))
    return -1.0 if pcr == 0.0 else NAN


def _away(price: float, level: float) -> float:
    """Distance of a price from a level as a fraction of the level; NaN where either is unknown."""
    return price / level - 1.0 if level > 0.0 else NAN


def _cut(value: float) -> float:
    return NAN if math.isnan(value) else min(max(value, -1.0), 1.0)
