"""Levels of the underlying as levels of what is traded.

A premium follows its underlying as p + delta dS + gamma dS^2 / 2. On the adverse side the parabola has a lowest point
at dS = -delta / gamma, beyond which it would rise again; there the lowest point is taken.
"""

from __future__ import annotations

import math

import msgspec

from sos_actors.messages import Side, Signal
from sos_actors.trading.ranking import Mode
from sos_actors.trading.ticks import tick_nearest

#: Reached through its class, a member of an enumeration costs ten times as much.
BUY = Side.BUY


class LevelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Stop and target of a premium where delta or gamma is not known, as fractions of it. Pairs: scalp, intraday."""

    #: Which of the pairs applies.
    mode: Mode = "scalp"
    #: Fraction of the premium lost at the stop: scalp, intraday.
    premium_stop: tuple[float, float] = (0.12, 0.20)
    #: Fraction of the premium gained at the target: scalp, intraday.
    premium_target: tuple[float, float] = (0.20, 0.35)

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 < min(self.premium_stop) <= max(self.premium_stop) < 1:
            raise ValueError(f"selection.levels.premium_stop is {list(self.premium_stop)}: write two between 0 and 1")
        if not min(self.premium_target) > 0:
            raise ValueError(f"selection.levels.premium_target is {list(self.premium_target)}: write two above 0")


class Levels(msgspec.Struct, frozen=True, gc=False):
    """Entry, stop and target of one instrument, rupees; NaN: not used."""

    entry: float
    stop: float
    target: float

    def fault(self, side: Side) -> str:
        """Say what is wrong with them for a trade on `side`; empty when stop, entry and target are in order."""
        sign = 1 if side is BUY else -1
        if (self.entry - self.stop) * sign <= 0.0:
            return f"stop {self.stop:g} is not on the losing side of the entry {self.entry:g}"
        if (self.target - self.entry) * sign <= 0.0:
            return f"target {self.target:g} is not on the winning side of the entry {self.entry:g}"
        return ""


def shifted_levels(signal: Signal, price: float, tick: float) -> Levels:
    """Give the signal's own levels moved to an instrument that trades at `price`: the underlying or its future."""
    shift = price - signal.entry
    if shift != shift:
        shift = 0.0
    stop, target = signal.stop + shift, signal.target + shift
    if tick <= 0.0:
        return Levels(price, stop, target)
    return Levels(tick_nearest(price, tick), tick_nearest(stop, tick), tick_nearest(target, tick))


def premium_levels(
    signal: Signal,
    entry: float,
    *,
    delta: float,
    gamma: float,
    settings: LevelSettings,
    tick: float,
) -> Levels:
    """Levels of a bought option that costs `entry`: the signal's through delta and gamma, at least one tick.

    A level the signal does not have stays NaN. Without delta or gamma the fractions of the settings are taken.
    """
    if math.isnan(delta) or math.isnan(gamma):
        which = 0 if settings.mode == "scalp" else 1
        stop = entry * (1.0 - settings.premium_stop[which]) if not math.isnan(signal.stop) else signal.stop
        target = entry * (1.0 + settings.premium_target[which]) if not math.isnan(signal.target) else signal.target
    else:
        stop = premium_at(entry, delta, gamma, signal.stop - signal.entry)
        target = premium_at(entry, delta, gamma, signal.target - signal.entry)
    return Levels(entry, _floored(stop, tick), _floored(target, tick))


def premium_at(premium: float, delta: float, gamma: float, move: float) -> float:
    """Premium in rupees after the underlying moved by `move` points; never rising on an adverse move."""
    if gamma > 0.0 and delta * move < 0.0 and abs(move) > abs(delta / gamma):
        move = -delta / gamma
    return premium + delta * move + 0.5 * gamma * move * move


def _floored(price: float, tick: float) -> float:
    return price if math.isnan(price) else max(tick_nearest(price, tick), tick)
