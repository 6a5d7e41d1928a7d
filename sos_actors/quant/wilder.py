"""Wilder's indicators (New Concepts in Technical Trading Systems, 1978): averages smoothed by 1 / n."""

from __future__ import annotations

from sos_actors.quant.indicators import NAN, Indicator


class Rsi(Indicator):
    """Relative strength index after Wilder (1978): seeded with the plain mean of the first n changes.

    Known from the (n + 1)-th value on. 100 when nothing fell, 0 when nothing rose, 50 when nothing moved.
    """

    __slots__ = ("_down", "_last", "_n", "_seen", "_up")

    def __init__(self, n: int) -> None:
        self._n = n
        self._last = NAN
        self._seen = 0
        self._up = 0.0
        self._down = 0.0

    def update(self, x: float) -> float:
        """Take the next value, give 0 ... 100. A NaN gives NaN for this bar and changes nothing."""
        if x != x:
            return NAN
        change = x - self._last
        self._last = x
        if change != change:
            return NAN
        rise, fall = (change, 0.0) if change > 0.0 else (0.0, -change)
        seen, n = self._seen, self._n
        if seen < n:
            seen = self._seen = seen + 1
            self._up += (rise - self._up) / seen
            self._down += (fall - self._down) / seen
            if seen < n:
                return NAN
        else:
            self._up += (rise - self._up) / n
            self._down += (fall - self._down) / n
        both = self._up + self._down
        return 100.0 * (self._up / both) if both > 0.0 else 50.0


class Atr(Indicator):
    """Average true range after Wilder (1978): the mean of the first n true ranges, then smoothed by 1 / n.

    The first bar's true range is its high less its low. Known from the n-th bar on, in points.
    """

    __slots__ = ("_close", "_n", "_seen", "_value")

    def __init__(self, n: int) -> None:
        self._n = n
        self._close = NAN
        self._seen = 0
        self._value = 0.0

    def update(self, high: float, low: float, close: float) -> float:
        """Take the next bar, give the range."""
        last = self._close
        self._close = close
        if last == last:
            high, low = max(high, last), min(low, last)
        seen, n = self._seen, self._n
        if seen < n:
            seen = self._seen = seen + 1
            self._value += (high - low - self._value) / seen
            return self._value if seen == n else NAN
        self._value += (high - low - self._value) / n
        return self._value
