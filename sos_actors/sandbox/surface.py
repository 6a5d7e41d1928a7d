"""Volatility of every option of the simulated market."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sos_actors.sandbox.settings import MarketSettings

Array = NDArray[np.float64]
#: Standard deviations of moneyness at which the smile bends over into flat wings.
WING = 3.0


def atm_volatility(settings: MarketSettings, vix: Array, vol_ratio: float, trading_days: float) -> Array:
    """At-the-money volatility of an expiry `trading_days` away: the near end swings more than VIX. Shape of vix."""
    extra = settings.short_end * np.exp(-trading_days / settings.short_end_days)
    return np.asarray(vol_ratio * settings.vix_mean * (vix / settings.vix_mean) ** (1.0 + extra))


def smile(settings: MarketSettings, strikes: Array, forward: Array, years: Array, atm: Array) -> Array:
    """Volatility by strike: quadratic in standardised log-moneyness, flat in the wings. [..., strike].

    `forward`, `years` and `atm` broadcast to [...]. Because moneyness is in standard deviations, the same settings
    give a steeper smile in index points as expiry comes near.
    """
    deviation = atm * np.sqrt(years)
    z = np.log(strikes / forward[..., None]) / deviation[..., None]
    z = WING * np.tanh(z / WING)
    return np.asarray(atm[..., None] * (1.0 + settings.skew * z + settings.curvature * z * z))
