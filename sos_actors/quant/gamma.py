"""Dealers' gamma: how much must be traded to stay hedged, and the level at which that turns round.

Sign convention (the common, naive one): customers are taken to sell calls and buy puts, so dealers are **long
every call and short every put**. Positive exposure: dealers sell rallies and buy dips, which calms the market;
negative: they trade with the move. Nobody publishes who holds what; it is a convention, not a fact.
"""

from __future__ import annotations

import numpy as np

from sos_actors.messages import CE, NAN, PE
from sos_actors.quant.chain import Floats


def gamma_exposure(gamma: Floats, oi: Floats, spot: Floats | float) -> Floats:
    """Rupees of the underlying dealers must sell when it rises 1 %, [..., 2, K] -> [...].

    Sum over strikes of gamma x OI (units), calls less puts, x spot^2 x 0.01; gamma is the change of delta per point.
    NaN where spot, every gamma or every OI is unknown.
    """
    held = gamma * oi
    known = ~np.isnan(held)
    summed = np.add.reduce(np.where(known, held, 0.0), axis=-1)
    net = np.where(known.any(axis=(-1, -2)), summed[..., CE] - summed[..., PE], NAN)
    result: Floats = net * np.square(spot) * 0.01
    return result


def gamma_profile(levels: Floats, strikes: Floats, smile: Floats, net_oi: Floats, years: float) -> Floats:
    """Exposure (up to a positive factor) were the forward at each of `levels` [G] -> [G].

    `smile` [K] is one IV a strike, kept as it is while the level moves (sticky strike); `net_oi` [K] calls less puts.
    Black's gamma, phi(d1) / (F sigma sqrt T), is the same for a call and a put of one strike. Strikes whose IV or OI
    is unknown are left out.
    """
    use = (smile > 0.0) & ~np.isnan(net_oi) & (net_oi != 0.0)
    strikes, deviation, net_oi = strikes[use], smile[use] * np.sqrt(years), net_oi[use]
    d1 = np.log(levels[:, None] / strikes) / deviation + 0.5 * deviation
    total: Floats = np.add.reduce(np.exp(-0.5 * d1 * d1) * (net_oi / deviation), axis=-1) * levels
    return total


def gamma_flip(
    strikes: Floats, smile: Floats, oi: Floats, forward: float, years: float, *, reach: float = 0.05, steps: int = 41
) -> float:
    """Level of the forward at which dealers' gamma changes sign, the nearest to where it is now; NaN if none.

    `oi` [2, K]. The profile is taken at `steps` levels within `reach` (a fraction) of the forward and is linear
    between them. A strike with OI on one side only counts that side. NaN when expired or the forward is unknown.
    """
    if not (forward > 0.0 and years > 0.0):
        return NAN
    known = ~np.isnan(oi)
    filled = np.where(known, oi, 0.0)
    net = np.where(known.any(axis=0), filled[CE] - filled[PE], NAN)
    levels = forward * np.linspace(1.0 - reach, 1.0 + reach, steps)
    profile = gamma_profile(levels, strikes, smile, net, years)
    left, right = profile[:-1], profile[1:]
    turns = np.flatnonzero(((left < 0.0) & (right >= 0.0)) | ((left > 0.0) & (right <= 0.0)))
    if not turns.size:
        return NAN
    zeros = levels[turns] + (levels[turns + 1] - levels[turns]) * left[turns] / (left[turns] - right[turns])
    return float(zeros[np.abs(zeros - forward).argmin()])
