"""Black-76 over one chain: implied volatilities, Greeks, and what is read off them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sos_actors.messages import NAN
from sos_actors.quant.black import greeks
from sos_actors.quant.chain import Floats
from sos_actors.quant.gamma import gamma_exposure, gamma_flip
from sos_actors.quant.implied import implied_vol
from sos_actors.quant.volatility import atm_iv, iv_skew, smile

_IS_CALL = np.array([[True], [False]])


class ChainModel(NamedTuple):
    """What option pricing says of one chain at one moment; arrays [2, K], units as in ChainSnapshot."""

    iv: Floats
    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats
    atm_iv: float = NAN
    skew: float = NAN
    exposure: float = NAN
    flip: float = NAN


@lru_cache(maxsize=64)
def no_model(size: int) -> ChainModel:
    """Everything unknown, over `size` strikes; the arrays are one and the same, and read-only."""
    unknown = np.full((2, size), NAN)
    unknown.setflags(write=False)
    return ChainModel(unknown, unknown, unknown, unknown, unknown, unknown)


def chain_model(
    strikes: Floats,
    price: Floats,
    oi: Floats,
    *,
    atm: int,
    spot: float,
    forward: float,
    discount: float,
    years: float,
    skew_delta: float,
    flip_reach: float,
    flip_steps: int,
) -> ChainModel:
    """Value a chain: prices and OI [2, K], `atm` the position of the strike at the money (-1: none).

    `spot` NaN: the cash equivalent of the forward stands for it. The flip level is given in terms of the spot, the
    forward's level scaled by spot / forward. A part that cannot be computed is NaN.
    """
    if not (forward > 0.0 and years > 0.0):
        return no_model(strikes.size)
    iv = implied_vol(price, forward, strikes, years, discount, _IS_CALL)
    sensitivities = greeks(forward, strikes, years, iv, discount, _IS_CALL)
    spot = spot if spot > 0.0 else forward * discount
    curve = smile(strikes, iv, forward)
    flip = gamma_flip(strikes, curve, oi, forward, years, reach=flip_reach, steps=flip_steps)
    return ChainModel(
        iv,
        *sensitivities,
        atm_iv=float(atm_iv(iv, atm)),
        skew=float(iv_skew(sensitivities.delta, iv, skew_delta)),
        exposure=float(gamma_exposure(sensitivities.gamma, oi, spot)),
        flip=flip * spot / forward,
    )
