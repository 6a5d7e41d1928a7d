"""Black-76 option values and Greeks over arrays.

Every argument broadcasts: `forward` and `strike` in rupees, `years` to expiry, `sigma` as a fraction a year,
`discount` the value today of one rupee at expiry, `is_call` true for CE and false for PE. Formulas: F. Black,
"The pricing of commodity contracts" (1976). Nothing here raises or warns on bad numbers: they give NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, ndtr

from sos_actors.quant.blocks import Array, in_blocks

DAYS_A_YEAR = 365.0
INV_SQRT_2 = 0.7071067811865476
INV_SQRT_2PI = 0.3989422804014327
#: A total volatility beyond which the value equals its upper bound in double precision.
TOTAL_VOL_CAP = 50.0


class Greeks(NamedTuple):
    """Sensitivities of the option's value in rupees, each an array of the broadcast shape.

    They are those of Black-Scholes on the cash equivalent S* = discount × forward (the spot less the dividends to
    expiry) at the rate r = −ln(discount) / years; this is what brokers' option chains show.

    delta: rupees a rupee of S*; N(d1) for a call, N(d1) − 1 for a put.
    gamma: change of delta a rupee of S*.
    theta: rupees a calendar day (1/365 year) that passes with S*, sigma and r unchanged; negative for most options.
    vega: rupees a vol point (0.01 of sigma).
    rho: rupees for 1 % (0.01) more r, with S* unchanged.
    """

    delta: Array
    gamma: Array
    theta: Array
    vega: Array
    rho: Array


def price(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    sigma: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> Array:
    """Black-76 value in rupees, of the broadcast shape; the discounted intrinsic value where sigma²·years is 0.

    NaN where forward, strike or discount is not positive, or years or sigma is negative or unknown.
    Put-call parity and the bounds intrinsic <= value <= discount × (forward or strike) hold to rounding, and far
    out-of-the-money values keep their relative precision, because the time value is computed by itself.
    """
    return in_blocks(_price, 1, (forward, strike, years, sigma, discount, is_call))[0]


def greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    sigma: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> Greeks:
    """Five Greeks, in the units `Greeks` states.

    NaN in all five where forward, strike, discount, sigma or years is not positive or is unknown: at expiry, or
    without a volatility, there is nothing to differentiate.
    """
    return Greeks(*in_blocks(_greeks, 5, (forward, strike, years, sigma, discount, is_call)))


def time_value(log_moneyness: Array, total_vol: Array) -> Array:
    """Normalised undiscounted time value: that of the out-of-the-money option divided by √(forward·strike).

    `log_moneyness` is |ln(forward/strike)|, `total_vol` sigma·√years >= 0. The difference of two normal
    probabilities is taken through the scaled complementary error function, which neither under- nor overflows:
    ½·exp(−½(h² + s²/4))·[erfcx((h − s/2)/√2) − erfcx((h + s/2)/√2)] with h = log_moneyness / total_vol.
    """
    s = np.minimum(total_vol, TOTAL_VOL_CAP)
    h = log_moneyness / np.maximum(s, 1e-300)
    half = 0.5 * s
    difference = erfcx((h - half) * INV_SQRT_2) - erfcx((h + half) * INV_SQRT_2)
    value: Array = 0.5 * np.exp(-0.5 * (h * h + half * half)) * difference
    return value


def _price(
    forward: Array,
    strike: Array,
    years: Array,
    sigma: Array,
    discount: Array,
    is_call: NDArray[np.bool_],
) -> tuple[Array]:
    s = sigma * np.sqrt(years)
    root = np.sqrt(forward * np.where(forward > 0.0, strike, np.nan))
    intrinsic = np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
    value = discount * (intrinsic + root * time_value(np.abs(np.log(forward / strike)), s))
    return (np.where((s >= 0.0) & (discount > 0.0), value, np.nan),)


def _greeks(
    forward: Array,
    strike: Array,
    years: Array,
    sigma: Array,
    discount: Array,
    is_call: NDArray[np.bool_],
) -> tuple[Array, ...]:
    root = np.sqrt(years)
    s = sigma * root
    s = np.where((s > 0.0) & (discount > 0.0) & (forward > 0.0) & (strike > 0.0), s, np.nan)
    d1 = np.log(forward / strike) / s + 0.5 * s
    sign = np.where(is_call, 1.0, -1.0)
    delta = sign * ndtr(sign * d1)
    cash = discount * forward
    density = INV_SQRT_2PI * np.exp(-0.5 * (d1 * d1))
    vega = cash * density * root
    # The probability-weighted strike: what the holder pays at expiry, in today's rupees.
    paid = strike * discount * (sign * ndtr(sign * (d1 - s)))
    theta = (paid * np.log(discount) - (0.5 * sigma) * vega) / (years * DAYS_A_YEAR)
    return delta, density / (cash * s), theta, 0.01 * vega, (0.01 * years) * paid
