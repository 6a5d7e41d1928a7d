"""What prices become on an exchange: multiples of the tick, and bars with no more distinct prices than trades."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Tick of an option and of an index level, rupees (points).
TICK = 0.05
_SLACK = 1e-9


def to_tick(price: Array, tick: float = TICK) -> Array:
    """Round to the nearest multiple of the tick; dividing by a whole number gives the float that 0.15 is written as."""
    steps = round(1.0 / tick)
    return np.asarray(np.rint(price * steps) / steps)


def floor_tick(price: Array, tick: float = TICK) -> Array:
    """Round down to a multiple of the tick."""
    steps = round(1.0 / tick)
    return np.asarray(np.floor(price * steps + _SLACK) / steps)


def ceil_tick(price: Array, tick: float = TICK) -> Array:
    """Round up to a multiple of the tick."""
    steps = round(1.0 / tick)
    return np.asarray(np.ceil(price * steps - _SLACK) / steps)


def traded_ohlc(instants: Array, lots: Array) -> tuple[Array, Array, Array, Array]:
    """Open, high, low and close from prices at four instants [4, ...], as far as `lots` [...] trades can make them.

    One lot makes one price, two lots an open and a close, three lots a high besides.
    """
    close = instants[3]
    opening = np.where(lots < 2, close, instants[0])
    top, bottom = np.maximum(opening, close), np.minimum(opening, close)
    high = np.where(lots < 3, top, np.maximum(top, np.maximum(instants[1], instants[2])))
    low = np.where(lots < 4, bottom, np.minimum(bottom, np.minimum(instants[1], instants[2])))
    return opening, high, low, close


def to_lots(units: Array, lot: int) -> Array:
    """Whole lots nearest to a number of units, one at least."""
    return np.asarray(np.maximum(np.rint(units / lot), 1.0))
