"""Indicators that take one value a bar and answer in O(1), whatever their length.

Every class has `update(...) -> float`, called once for every closed bar, oldest first. The answer is NaN until
the indicator has seen enough, and again while a NaN lies within what it looks at; a NaN never stays behind once it has
left the window. Running sums are summed afresh each time the window has gone round, so rounding errors
do not add up over a year of minutes, and the cost stays O(1) a bar on average.

Windows and averages run on from one day to the next; `Vwap` and `SessionFirst` alone begin anew at `new_day()`.
`state()` and `restore()` copy an indicator's memory for checkpoints.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

NAN = math.nan


class Indicator:
    """What all indicators share: copying their memory, and nothing to do at a new day."""

    __slots__ = ()

    def new_day(self) -> None:
        """Begin a new trading day; only session-anchored indicators care."""

    @classmethod
    def _memory(cls) -> list[str]:
        return [name for kind in cls.__mro__ for name in getattr(kind, "__slots__", ())]

    def state(self) -> list[Any]:
        """Copy the memory as plain numbers and lists."""
        values = [getattr(self, name) for name in self._memory()]
        return [list(value) if isinstance(value, list | deque) else value for value in values]

    def restore(self, state: list[Any]) -> None:
        """Take back what `state()` gave, from an indicator of the same class and length."""
        for name, value in zip(self._memory(), state, strict=True):
            if isinstance(getattr(self, name), deque):
                setattr(self, name, deque((item[0], item[1]) for item in value))
            else:
                setattr(self, name, list(value) if isinstance(value, list) else value)


def ema_alpha(n: int) -> float:
    """Weight of the latest value in an exponential average over n."""
    return 2.0 / (n + 1)


class Ema(Indicator):
    """Exponential moving average: alpha = 2 / (n + 1), seeded with the first value, known from the n-th on."""

    __slots__ = ("_alpha", "_begun", "_left", "_value")

    def __init__(self, n: int) -> None:
        self._alpha = ema_alpha(n)
        #: Values still to come until it is known.
        self._left = n
        #: The average as far as it has come, until it is known; and from then on.
        self._begun = self._value = NAN

    def update(self, x: float) -> float:
        """Take the next value. A NaN gives NaN for this bar and changes nothing."""
        if x != x:
            return NAN
        value = self._begun if self._left else self._value
        value = x if value != value else value + self._alpha * (x - value)
        if self._left:
            self._left -= 1
            self._begun = value
        if not self._left:
            self._value = value
        return self._value


class WindowSum(Indicator):
    """Sum of the last n values."""

    __slots__ = ("_at", "_n", "_ring", "_total", "_unknown")

    def __init__(self, n: int) -> None:
        self._n = n
        self._ring = [NAN] * n
        self._at = 0
        self._total = 0.0
        self._unknown = n  # an empty place counts as an unknown value, which also covers the warm-up

    def update(self, x: float) -> float:
        """Take the next value, give the sum."""
        ring, at = self._ring, self._at
        old = ring[at]
        ring[at] = x
        if old == old:
            self._total -= old
        else:
            self._unknown -= 1
        if x == x:
            self._total += x
        else:
            self._unknown += 1
        at += 1
        if at == self._n:
            at = 0
            self._total = math.fsum([value for value in ring if value == value])
        self._at = at
        return NAN if self._unknown else self._total


class Sma(WindowSum):
    """Arithmetic mean of the last n values."""

    __slots__ = ()

    def update(self, x: float) -> float:
        """Take the next value, give the mean."""
        return WindowSum.update(self, x) / self._n


class Stdev(Indicator):
    """Population standard deviation (divided by n) of the last n values.

    The sums are of differences from a value near the mean, chosen afresh each time round, so that
    the squares of prices near 25,000 do not swallow a deviation of a few points.
    """

    __slots__ = ("_around", "_at", "_n", "_ring", "_squares", "_total", "_unknown")

    def __init__(self, n: int) -> None:
        self._n = n
        self._ring = [NAN] * n
        self._at = 0
        self._around = NAN
        self._total = 0.0
        self._squares = 0.0
        self._unknown = n

    def update(self, x: float) -> float:
        """Take the next value, give the deviation (0 for equal values)."""
        ring, at = self._ring, self._at
        if self._around != self._around:
            self._around = x
        old = ring[at]
        ring[at] = x
        if old == old:
            old -= self._around
            self._total -= old
            self._squares -= old * old
        else:
            self._unknown -= 1
        if x == x:
            x -= self._around
            self._total += x
            self._squares += x * x
        else:
            self._unknown += 1
        at += 1
        if at == self._n:
            at = 0
            self._recentre()
        self._at = at
        if self._unknown:
            return NAN
        variance = (self._squares - self._total * self._total / self._n) / self._n
        return math.sqrt(variance) if variance > 0.0 else 0.0

    def _recentre(self) -> None:
        known = [value for value in self._ring if value == value]
        if not known:
            self._around, self._total, self._squares = NAN, 0.0, 0.0
            return
        around = known[0] + math.fsum([value - known[0] for value in known]) / len(known)
        self._around = around
        self._total = math.fsum([value - around for value in known])
        self._squares = math.fsum([(value - around) * (value - around) for value in known])


class Extreme(Indicator):
    """Highest (sign = 1) or lowest (sign = -1) of the last n values, the current one included."""

    __slots__ = ("_count", "_known", "_n", "_queue", "_sign")

    def __init__(self, n: int, sign: int) -> None:
        self._n = n
        self._sign = sign
        self._count = 0
        self._known = 0  # values since the last NaN
        self._queue: deque[tuple[int, float]] = deque()  # (position, sign * value), values falling

    def update(self, x: float) -> float:
        """Take the next value, give the extreme."""
        queue = self._queue
        count = self._count = self._count + 1
        if x != x:
            self._known = 0
            queue.clear()
            return NAN
        self._known += 1
        signed = x * self._sign
        while queue and queue[-1][1] <= signed:
            queue.pop()
        queue.append((count, signed))
        if queue[0][0] <= count - self._n:
            queue.popleft()
        return NAN if self._known < self._n else queue[0][1] * self._sign


class Lag(Indicator):
    """The value n bars ago."""

    __slots__ = ("_at", "_n", "_ring")

    def __init__(self, n: int) -> None:
        self._n = n
        self._ring = [NAN] * n
        self._at = 0

    def update(self, x: float) -> float:
        """Take the next value, give the one n bars before it."""
        at = self._at
        old = self._ring[at]
        self._ring[at] = x
        at += 1
        self._at = 0 if at == self._n else at
        return old


class Vwap(Indicator):
    """Volume-weighted average of the typical price since the day began.

    A bar without known volume adds nothing; until some volume is known the answer is NaN, never an
    average with made-up weights.
    """

    __slots__ = ("_value", "_volume")

    def __init__(self) -> None:
        self._value = 0.0
        self._volume = 0.0

    def new_day(self) -> None:
        """Begin the session's average anew."""
        self._value = self._volume = 0.0

    def update(self, typical: float, volume: float) -> float:
        """Take the next bar's typical price (high + low + close) / 3 and its volume."""
        if volume > 0.0:
            self._value += typical * volume
            self._volume += volume
        return self._value / self._volume if self._volume else NAN


class SessionFirst(Indicator):
    """The first value of the trading day."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value = NAN

    def new_day(self) -> None:
        """Forget yesterday's."""
        self._value = NAN

    def update(self, x: float) -> float:
        """Take the next value, give the day's first."""
        if self._value != self._value:
            self._value = x
        return self._value
