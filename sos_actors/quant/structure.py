"""Market structure: swing pivots, central pivot range, opening range, the levels at which price stalls.

Nothing here looks ahead: a pivot is known only when `right` later bars have closed.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right, insort
from collections import deque
from math import isnan
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.day import DayStats
from sos_actors.messages import NAN, Bar, ChainSnapshot, MarketStructure
from sos_actors.quant.chain import Floats


class StructureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What counts as a pivot, an opening range, a hurdle."""

    pivot_left: int = 3
    """Bars before a swing high that must be lower (before a swing low: higher)."""
    pivot_right: int = 3
    """Bars after it that may not be higher (lower); it is known when they have closed."""
    opening_minutes: int = 15
    """Length of the opening range from the session's open."""
    hurdle_touches: int = 3
    """Swing pivots that must lie together to make a stalling level."""
    hurdle_tolerance: float = 0.0003
    """How far apart they may lie, as a fraction of the price (0.0003: 7.5 points at 25,000)."""

    def __post_init__(self) -> None:
        """Raise InputError where a value makes no sense."""
        if min(self.pivot_left, self.pivot_right, self.opening_minutes, self.hurdle_touches) < 1:
            raise InputError("structure: pivot_left, pivot_right, opening_minutes and hurdle_touches must be 1 or more")
        if self.hurdle_tolerance < 0.0:
            raise InputError(f"structure.hurdle_tolerance: {self.hurdle_tolerance} is negative")


class PivotRange(NamedTuple):
    """The central pivot range: the pivot and the range around it, rupees."""

    pivot: float
    top: float
    bottom: float


def pivot_range(high: float, low: float, close: float) -> PivotRange:
    """Central pivot range of the previous day.

    Pivot = (H + L + C) / 3; the two central lines are (H + L) / 2 and 2 x pivot - (H + L) / 2. `top` is the upper.
    """
    pivot, middle = (high + low + close) / 3.0, (high + low) / 2.0
    mirror = 2.0 * pivot - middle
    return PivotRange(pivot, max(middle, mirror), min(middle, mirror))


def pivots(high: Floats, low: Floats, left: int, right: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Swing highs and lows of bars [N]: two masks [N], marked at the pivot's own bar.

    A swing high is above each of the `left` bars before it and not below any of the `right` bars after it, so of
    a flat top the first bar counts. Bars without enough neighbours are never pivots. A mark at i is **known** only at
    bar i + right: whoever walks forward must not use it before.
    """
    return _peaks(high, left, right), _peaks(-low, left, right)


def _peaks(values: Floats, left: int, right: int) -> NDArray[np.bool_]:
    peaks = np.zeros(values.size, dtype=bool)
    if values.size > left + right:
        windows = np.lib.stride_tricks.sliding_window_view(values, left + right + 1)
        centre = windows[:, left]
        peaks[left : values.size - right] = (centre > windows[:, :left].max(axis=1)) & (
            centre >= windows[:, left + 1 :].max(axis=1)
        )
    return peaks


def clusters(levels: list[float], touches: int, tolerance: float) -> list[float]:
    """Mean of each group of at least `touches` of the ascending `levels` within `tolerance` (fraction), ascending.

    Groups are taken greedily from below; a group is as wide as the tolerance allows, from its lowest level.
    """
    found: list[float] = []
    start = 0
    while start < len(levels):
        end = bisect_right(levels, levels[start] * (1.0 + tolerance), start)
        if end - start >= touches:
            found.append(sum(levels[start:end]) / (end - start))
        start = end
    return found


class StructureTracker:
    """Structure of one underlying through a day, bar by bar. Bars are the index's (or what stands for it)."""

    def __init__(self, underlying: str, settings: StructureSettings) -> None:
        self._underlying = underlying
        self._settings = settings
        self._width = settings.pivot_left + settings.pivot_right + 1
        self._previous: DayStats | None = None
        self._clear(0)

    def new_day(self, day: dt.date, prev: DayStats | None, opens: int = 0) -> None:
        """Begin `day`: what the day before was, where known.

        `opens` is the session's open (UTC ns). With it, a first bar that comes later leaves the opening range unknown;
        without it (0) the session opens with the first bar. Raises ValueError if `prev` is not an earlier day.
        """
        if prev is not None and prev.day >= day:
            raise ValueError(f"{self._underlying}: statistics of {prev.day} are not of a day before {day}")
        self._previous = prev
        self._clear(opens)

    def _clear(self, opens: int) -> None:
        previous = self._previous
        self._range = PivotRange(NAN, NAN, NAN)
        if previous is not None:
            self._range = pivot_range(previous.high, previous.low, previous.close)
        self._virgin = not isnan(self._range.pivot)
        self._opens = opens
        self._opening_ends = 0
        self._opening = (NAN, NAN)
        self._opening_known = False
        self._open = self._high = self._low = self._close = NAN
        self._highs: deque[float] = deque(maxlen=self._width)
        self._lows: deque[float] = deque(maxlen=self._width)
        self._swing_high = self._swing_low = NAN
        self._levels: list[float] = []
        self._stalls: list[float] = []
        self._wall_above = self._wall_below = NAN

    def on_bar(self, bar: Bar) -> None:
        """Take the next closed bar of the day."""
        if isnan(self._open):
            self._begin(bar)
        else:
            self._high, self._low = max(self._high, bar.high), min(self._low, bar.low)
        self._update_opening(bar)
        if self._virgin:
            # Between two closes everything was passed, even where the next bar opens on the other side of the range.
            low, high = min(bar.low, self._close), max(bar.high, self._close)
            self._virgin = low > self._range.top or high < self._range.bottom
        self._close = bar.close
        self._highs.append(bar.high)
        self._lows.append(bar.low)
        if len(self._highs) == self._width:
            self._find_pivot()

    def _begin(self, bar: Bar) -> None:
        self._open, self._high, self._low, self._close = bar.open, bar.high, bar.low, bar.open
        if self._opens in (0, bar.start):
            self._opening_ends = bar.start + self._settings.opening_minutes * MINUTE_NS

    def _update_opening(self, bar: Bar) -> None:
        if self._opening_known or not self._opening_ends:
            return
        if bar.start < self._opening_ends:
            self._opening = (self._high, self._low)
        self._opening_known = bar.end >= self._opening_ends

    def _find_pivot(self) -> None:
        left, highs, lows = self._settings.pivot_left, self._highs, self._lows
        high, low = highs[left], lows[left]
        found = False
        if high == max(highs) and high not in list(highs)[:left]:
            self._swing_high, found = high, True
            insort(self._levels, high)
        if low == min(lows) and low not in list(lows)[:left]:
            self._swing_low, found = low, True
            insort(self._levels, low)
        if found:
            self._stalls = clusters(self._levels, self._settings.hurdle_touches, self._settings.hurdle_tolerance)

    def on_chain(self, snapshot: ChainSnapshot) -> None:
        """Take the walls of open interest; they count as hurdles until the next snapshot."""
        self._wall_above, self._wall_below = snapshot.oi_wall_above, snapshot.oi_wall_below

    def at(self, ts: int) -> MarketStructure:
        """Give what is known after the bars so far, stamped `ts` (UTC ns)."""
        previous = self._previous
        above, below = self._hurdles()
        opening = self._opening if self._opening_known else (NAN, NAN)
        return MarketStructure(
            self._underlying,
            ts,
            self._open,
            self._high,
            self._low,
            previous.open if previous else NAN,
            previous.high if previous else NAN,
            previous.low if previous else NAN,
            previous.close if previous else NAN,
            self._range.pivot,
            self._range.top,
            self._range.bottom,
            self._virgin,
            opening[0],
            opening[1],
            self._swing_high,
            self._swing_low,
            above,
            below,
        )

    def _hurdles(self) -> tuple[float, float]:
        """Nearest stalling level or wall strictly above and strictly below the last close."""
        close, stalls = self._close, self._stalls
        if isnan(close):
            return NAN, NAN
        above, below = self._wall_above, self._wall_below
        over, under = bisect_right(stalls, close), bisect_left(stalls, close)
        above = above if above > close else NAN
        below = below if below < close else NAN
        if over < len(stalls) and not above <= stalls[over]:
            above = stalls[over]
        if under > 0 and not below >= stalls[under - 1]:
            below = stalls[under - 1]
        return above, below
