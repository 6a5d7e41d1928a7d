"""Implied volatility of Black-76 prices over arrays.

The price is turned into the time value of the out-of-the-money option, normalised by √(forward·strike), where only
two numbers are left: k = |ln(forward/strike)| and the time value b; the unknown is the total volatility
s = sigma·√years. The solution has three parts:

1. A first guess from the normal (Bachelier) model, whose inverse is a function of one variable, here a rational
   fit. Two exact limits make it a guess for Black-76: for s → 0 the two volatilities differ by the factor k/m with
   m = |forward − strike| / √(forward·strike); for k → 0 by s = √8·erfinv(s_normal/√(2π)). Together they are within
   2e-5 of the answer for listed options (s < 0.2) and within 1 % up to s = 3, |k| = 1.
2. One step of Householder's third-order method on ln b(s) = ln b, where the function is nearly a parabola in 1/s
   for far strikes. Its error goes as the fourth power of the guess's.
3. For the few elements whose step was not small, more steps within a bracket, which always ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, erfinv

from sos_actors.quant.black import INV_SQRT_2PI
from sos_actors.quant.blocks import Array, in_blocks

SQRT_8 = 2.8284271247461903
SQRT_EIGHTH = 0.3535533905932738
SQRT_2_OVER_PI = 0.7978845608028654

#: h/q as a rational function of √q, where h = m / s_normal and q = ln(1 + m/2b): least squares in relative error
#: over h from 1e-6 to 38, largest error 1.7e-5. Coefficients from the constant term up.
GUESS_NUMERATOR = (0.79788248, -0.05152884, 0.60774817, 0.01177336, -0.02214002, 0.06728318)
GUESS_DENOMINATOR = (1.0, -0.06490413, 1.26707051, -0.04911512, 0.20398586, -0.01123934, 0.04752898)

#: A relative Newton step below this leaves an error of its fourth power: nothing in double precision.
SETTLED = 2e-4
#: Where the rounding of the price may move the volatility by more than this part of itself, the price does not tell it.
RESOLUTION = 1e-4
#: Relative error of an undiscounted price: what computing, discounting and inverting it in double precision may add up.
ROUNDING = 64.0 * float(np.finfo(np.float64).eps)
#: Normalised time values from here down are zero: below, the doubles themselves lose their precision.
SMALLEST = 1e-300
MAX_STEPS = 100


def implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> Array:
    """Volatility (fraction a year) at which Black-76 gives `price`; arguments as in `black.price`, broadcast shape.

    NaN where the price holds no information: unknown, zero, at or below the discounted intrinsic value, at or above
    the upper bound (discount × forward for a call, × strike for a put), at expiry, where forward, strike, years or
    discount is not positive, and where the price hardly depends on the volatility (its time value is lost beside the
    intrinsic value, or it touches its upper bound), so that a rounding error of the price (`ROUNDING`) would move the
    volatility by more than `RESOLUTION` of itself. Never raises for any number, never warns.
    """
    return in_blocks(_implied_vol, 1, (price, forward, strike, years, discount, is_call))[0]


def _implied_vol(
    price: Array,
    forward: Array,
    strike: Array,
    years: Array,
    discount: Array,
    is_call: NDArray[np.bool_],
) -> tuple[Array]:
    undiscounted = price / discount
    excess = forward - strike
    intrinsic = np.maximum(np.where(is_call, excess, -excess), 0.0)
    extrinsic = undiscounted - intrinsic
    root = np.sqrt(forward * strike)
    b = extrinsic / root
    valid = (b > SMALLEST) & (extrinsic < np.minimum(forward, strike)) & (years > 0.0) & (discount > 0.0)
    b = np.where(valid, b, np.nan)
    k = np.abs(np.log(forward / strike))
    first = _guess(k, np.abs(excess) / root, b)
    newton, step, slope = _step(k, first, b)
    s = first * (1.0 + step)
    rough = ~(np.abs(newton) <= SETTLED) & valid
    if rough.any():
        s[rough], slope[rough] = _refine(np.broadcast_to(k, s.shape)[rough], s[rough], b[rough])
    known = ROUNDING * undiscounted < RESOLUTION * extrinsic * slope
    return (np.where(known, s / np.sqrt(years), np.nan),)


def _guess(k: Array, m: Array, b: Array) -> Array:
    """First guess of the total volatility; see the top of the file."""
    # The floor keeps the limit m → 0 (at the money) out of 0/0: the guess is then exact to 1e-8.
    x = np.maximum(m / (b + b), 1e-8)
    q = np.log(1.0 + x)
    p = np.sqrt(q)
    normal = (b + b) * x * _horner(p, GUESS_DENOMINATOR) / (q * _horner(p, GUESS_NUMERATOR))
    # k/m, where the tiny summand makes it 1 for k = 0 and hides the rounding of the logarithm for k near 0.
    normal *= (k + 1e-9) / (m + 1e-9)
    guess: Array = SQRT_8 * erfinv(np.minimum(normal * INV_SQRT_2PI, 0.9999))
    return guess


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Polynomial in `x`, coefficients from the constant term up."""
    total = coefficients[-1] * x
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return total


def _step(k: Array, s: Array, b: Array) -> tuple[Array, Array, Array]:
    """Give Newton's and Householder's step on ln b(s) − ln b, relative to s, and the slope d ln b(s) / d ln s.

    With h = k/(√2·s), u = s/√8 and E∓ = erfcx(h ∓ u): b(s) = ½·exp(−h² − u²)·(E− − E+), so the exponential cancels in
    b'/b = √(2/π) / (E− − E+), and b''/b' = 2(h² − u²)/s gives the higher derivatives.
    """
    u = SQRT_EIGHTH * s
    h = 0.25 * k / u
    difference = erfcx(h - u) - erfcx(h + u)
    hh, uu = h * h, u * u
    both = hh + uu
    slope = SQRT_2_OVER_PI * s / difference
    newton = (both - np.log(difference / (b + b))) / slope
    # Second and third derivative of ln b(s) over the first, times s and s².
    second = 2.0 * (hh - uu) - slope
    third = second * (second - slope) - 2.0 * (both + hh + hh)
    step: Array = newton * (1.0 + 0.5 * newton * second) / (1.0 + newton * (second + newton * third / 6.0))
    return newton, step, slope


def _refine(k: Array, s: Array, b: Array) -> tuple[Array, Array]:
    """Step within a bracket until each element has settled; NaN for one that never does. All arrays [n].

    b(s) rises with s, so the sign of Newton's step tells on which side the answer lies. A Householder step that leaves
    the bracket is replaced by the bracket's middle, or by doubling while there is no upper end.
    """
    low = np.zeros_like(s)
    high = np.full_like(s, np.inf)
    for _ in range(MAX_STEPS):
        newton, step, slope = _step(k, s, b)
        moved = s * (1.0 + step)
        settled = np.abs(newton) <= SETTLED
        if settled.all():
            break
        low = np.where(newton > 0.0, s, low)
        high = np.where(newton < 0.0, s, high)
        middle = np.where(np.isinf(high), 2.0 * s, 0.5 * (low + high))
        s = np.where((moved > low) & (moved < high), moved, middle)
    return np.where(settled, moved, np.nan), slope
