"""What prices do in the storm: options that move each for itself, or a chain that hangs together on one index."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from sos_actors.market.instruments import Instrument
from sos_actors.messages import Right
from sos_actors.quant.black import price as black_price

TICK = 0.05
#: Volatility of one step of an option that moves for itself, and of the index.
_SIGMA, _INDEX_SIGMA = 0.002, 0.0002
#: Of the chain: years to its expiry, implied volatility, and how far that swings in one step.
_YEARS, _IMPLIED, _SWING = 4.2 / 365.0, 0.14, 0.004
#: Where the index begins, rupees.
_SPOT = 25_000.0


class Market(Protocol):
    """Gives the next price of everything listed, rupees, the index first where there is one."""

    def step(self) -> Iterator[tuple[str, float]]:
        """Move on by one step."""


class Loose:
    """Options that move each for itself, with jumps: more happens to each than where all hangs together."""

    def __init__(self, listed: tuple[Instrument, ...], rng: random.Random) -> None:
        self._rng = rng
        self._prices = {one.id: 60.0 + 40.0 * number for number, one in enumerate(listed) if one.kind == "OPT"}

    def step(self) -> Iterator[tuple[str, float]]:
        """Move each option."""
        rng = self._rng
        for instrument, before in self._prices.items():
            drift = _SIGMA * rng.gauss(0.0, 1.0) + (0.0002 * math.log(100.0 / before))
            jump = rng.gauss(0.0, 0.04) if rng.random() < 0.002 else 0.0
            price = self._prices[instrument] = max(round(before * math.exp(drift + jump) / TICK), 100) * TICK
            yield instrument, price


class Chain:
    """An index that wanders, and its options at their Black-76 value with a volatility that swings."""

    def __init__(self, listed: tuple[Instrument, ...], rng: random.Random) -> None:
        self._rng = rng
        self._spot, self._implied = _SPOT, _IMPLIED
        self._index = next(one.id for one in listed if one.kind == "INDEX")
        options = [one for one in listed if one.kind == "OPT"]
        self._options = [one.id for one in options]
        self._strikes = np.array([one.strike for one in options], dtype=np.float64)
        self._calls = np.array([one.right is Right.CE for one in options])

    def step(self) -> Iterator[tuple[str, float]]:
        """Move the index, and every option with it."""
        rng = self._rng
        jump = rng.gauss(0.0, 0.002) if rng.random() < 0.002 else 0.0
        self._spot *= math.exp(_INDEX_SIGMA * rng.gauss(0.0, 1.0) + jump)
        self._implied = min(max(self._implied * math.exp(_SWING * rng.gauss(0.0, 1.0)), 0.08), 0.4)
        yield self._index, round(self._spot, 2)
        values = black_price(self._spot, self._strikes, _YEARS, self._implied, 1.0, self._calls)
        for instrument, value in zip(self._options, values.tolist(), strict=True):
            yield instrument, max(round(value / TICK), 20) * TICK
