"""Prices on the exchange's grid: rounding to the tick, up, down or to the nearest."""

from __future__ import annotations

import math

#: Slack, as a fraction of a tick, within which a float counts as lying on the grid.
_SLACK = 1e-6


def tick_up(price: float, tick: float) -> float:
    """Smallest multiple of `tick` that is not below `price`; `tick` 0 leaves the price as it is."""
    return price if tick <= 0.0 else round(math.ceil(price / tick - _SLACK) * tick, 9)


def tick_down(price: float, tick: float) -> float:
    """Largest multiple of `tick` that is not above `price`; `tick` 0 leaves the price as it is."""
    return price if tick <= 0.0 else round(math.floor(price / tick + _SLACK) * tick, 9)


def tick_nearest(price: float, tick: float) -> float:
    """Nearest multiple of `tick`; NaN and `tick` 0 leave the price as it is."""
    return price if tick <= 0.0 or math.isnan(price) else round(round(price / tick) * tick, 9)


def on_tick(price: float, tick: float) -> bool:
    """Whether `price` is a multiple of `tick` (always, for `tick` 0)."""
    return tick <= 0.0 or abs(price / tick - round(price / tick)) < _SLACK
