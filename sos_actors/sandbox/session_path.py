"""The paths of the index and of India VIX within one session, twelve points a minute."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.sandbox.bars import to_tick
from sos_actors.sandbox.daily import DayState
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.settings import MarketSettings

Array = NDArray[np.float64]
#: Points of the path within a minute: one every five seconds.
POINTS = 12
POINT_NS = MINUTE_NS // POINTS
#: The four instants of a minute at which anything that follows the index is valued.
OPEN, HIGH, LOW, CLOSE = 0, 1, 2, 3
#: Canonical name of India VIX, and the step of its level (points, 100 times the fraction).
VIX, VIX_TICK = "INDIAVIX", 0.01


@dataclass(frozen=True, slots=True)
class MarketPath:
    """What all indices share in a session. Arrays over path points [minutes * POINTS], both starting at zero.

    `spread[i]` is the standard deviation of the step into point i, their squares adding up to one; `clock` the
    share of the session's variance gone by; `shared` the market's own path in units of the session's sigma.
    """

    spread: Array
    clock: Array
    shared: Array


@dataclass(frozen=True, slots=True)
class SessionPath:
    """One index and VIX through a session. `level` [minutes, POINTS] points; `vix` the same shape, fraction a year.

    `instants` [4, minutes] are the points of the minute's open, high, low and close, in that order.
    """

    level: Array
    vix: Array
    instants: NDArray[np.int64]

    def at_instants(self, values: Array) -> Array:
        """Values [minutes, POINTS] at the open, high, low and close of each minute: [4, minutes]."""
        return np.asarray(values[np.arange(len(values)), self.instants])


def day_shape(minutes: int) -> Array:
    """Activity through the day, mean one: busy after the open, quiet at midday, busier to the close. [minutes]."""
    at = np.arange(minutes) + 0.5
    shape = 0.7 + 1.5 * np.exp(-at / 28.0) + 0.65 * np.exp(-(minutes - at) / 45.0)
    return np.asarray(shape / float(shape.mean()))


def log_ou(rng: np.random.Generator, n: int, half_life: float, deviation: float) -> Array:
    """Stationary mean-reverting Gaussian path of n steps; half-life in steps. [n]."""
    keep = 0.5 ** (1.0 / half_life)
    draws = rng.standard_normal(n) * (deviation * math.sqrt(1.0 - keep * keep))
    draws[0] *= 1.0 / math.sqrt(1.0 - keep * keep)
    return decaying_sum(draws, keep)


def decaying_sum(values: Array, keep: float) -> Array:
    """Sum of each value and what is kept of the sum before it."""
    # scipy.signal's filter gives the same to the bit, but takes a second to import.
    return np.fromiter(accumulate(values.tolist(), lambda before, value: value + keep * before), float, len(values))


def market_path(settings: MarketSettings, seed: int, state: DayState, minutes: int) -> MarketPath:
    """Draw the part of a session that all indices have in common."""
    rng = stream(seed, "session", state.day.toordinal())
    pace = day_shape(minutes) * np.exp(log_ou(rng, minutes, settings.minute_vol_half_life, settings.minute_vol))
    spread = np.repeat(pace, POINTS)
    spread[0] = 0.0
    spread /= math.sqrt(float(np.square(spread).sum()))
    steps = spread * rng.standard_normal(len(spread))
    for _ in range(int(rng.poisson(settings.jumps_per_day))):
        at = int(rng.integers(1, len(spread)))
        steps[at] += settings.jump_size * float(rng.standard_normal())
    clock = np.cumsum(np.square(spread))
    return MarketPath(spread, clock / clock[-1], np.cumsum(steps))


def session_path(settings: MarketSettings, seed: int, state: DayState, market: MarketPath, name: str) -> SessionPath:
    """Path of one index through a session: exactly the day's open and close, and the market's common moves between."""
    index = settings.indices[name]
    rng = stream(seed, "session", name, state.day.toordinal())
    alone = np.cumsum(market.spread * rng.standard_normal(len(market.spread)))
    mixed = math.sqrt(index.loading) * market.shared + math.sqrt(1.0 - index.loading) * alone
    size = state.sigma * index.vol_ratio * state.noise
    logs = _pinned(size * mixed, market.clock, math.log(state.closes[name] / state.opens[name]))
    level = to_tick(state.opens[name] * np.exp(logs)).reshape(-1, POINTS)
    minutes = len(level)
    first, last = np.zeros(minutes, np.int64), np.full(minutes, POINTS - 1)
    instants = np.stack([first, level.argmax(axis=1), level.argmin(axis=1), last])
    return SessionPath(level, vix_path(settings, seed, state, market), instants)


def vix_path(settings: MarketSettings, seed: int, state: DayState, market: MarketPath) -> Array:
    """India VIX through a session, moving against the market. [minutes, POINTS], fraction a year."""
    rng = stream(seed, "vix", state.day.toordinal())
    alone = np.cumsum(market.spread * rng.standard_normal(len(market.spread)))
    mixed = -settings.leverage * market.shared + math.sqrt(1.0 - settings.leverage**2) * alone
    size = settings.vix_vol * math.sqrt(1.0 - settings.overnight_share)
    logs = _pinned(size * mixed, market.clock, math.log(state.vix_close / state.vix_open))
    return np.asarray(state.vix_open * np.exp(logs)).reshape(-1, POINTS)


def _pinned(path: Array, clock: Array, end: float) -> Array:
    """Make the path a bridge in its own variance clock, from zero to `end`."""
    return np.asarray(path + clock * (end - float(path[-1])))
