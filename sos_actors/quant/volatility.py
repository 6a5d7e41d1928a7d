"""What implied volatilities say: at the money, skew, term, and where today stands in its history.

Implied volatilities are fractions per year; arrays as in `quant.chain`: strikes [K], values [..., 2, K].
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from math import isnan

import numpy as np

from sos_actors.messages import CE, NAN, PE
from sos_actors.quant.chain import Floats, Ints, at_strike


def atm_iv(iv: Floats, index: Ints | int) -> Floats:
    """Mean of the call's and the put's IV at the money, [..., 2, K] -> [...]; one of them where the other is NaN."""
    pair = at_strike(iv, index)
    call, put = pair[..., CE], pair[..., PE]
    call, put = np.where(np.isnan(call), put, call), np.where(np.isnan(put), call, put)
    result: Floats = 0.5 * (call + put)
    return result


def smile(strikes: Floats, iv: Floats, forward: Floats | float) -> Floats:
    """One IV a strike, [..., 2, K] -> [..., K]: the out-of-the-money side's, else the other's, else NaN."""
    call, put = iv[..., CE, :], iv[..., PE, :]
    upper = strikes >= np.asarray(forward)[..., None]
    outer, inner = np.where(upper, call, put), np.where(upper, put, call)
    result: Floats = np.where(np.isnan(outer), inner, outer)
    return result


def iv_at_delta(size: Floats, iv: Floats, target: float) -> Floats:
    """IV where |delta| equals `target`, linear in delta between the nearest contract on each side, [..., K] -> [...].

    `size` is |delta| of one right. NaN where no contract with an IV lies on one of the sides.
    """
    known = ~np.isnan(iv)
    above = np.where(known & (size >= target), size - target, np.inf)
    below = np.where(known & (size < target), target - size, np.inf)
    gap_above, gap_below = above.min(axis=-1), below.min(axis=-1)
    found = np.isfinite(gap_above) & np.isfinite(gap_below)
    weight = np.divide(gap_below, gap_above + gap_below, out=np.full(found.shape, NAN), where=found)
    rows = iv.reshape(-1, iv.shape[-1])  # one index a row is several times as quick as take_along_axis
    at = np.arange(rows.shape[0])
    iv_above = rows[at, above.argmin(axis=-1).ravel()].reshape(found.shape)
    iv_below = rows[at, below.argmin(axis=-1).ravel()].reshape(found.shape)
    result: Floats = weight * iv_above + (1.0 - weight) * iv_below
    return result


def iv_skew(delta: Floats, iv: Floats, target: float = 0.25) -> Floats:
    """Risk reversal: IV of the put less IV of the call at |delta| = `target`, [..., 2, K] -> [...].

    Above zero where puts are dearer than calls, as index options usually are.
    """
    put = iv_at_delta(-delta[..., PE, :], iv[..., PE, :], target)
    call = iv_at_delta(delta[..., CE, :], iv[..., CE, :], target)
    result: Floats = put - call
    return result


def iv_rank(value: float, ordered: Sequence[float]) -> float:
    """Where `value` stands between the least and the greatest of `ordered` (ascending), 0 to 100, cut at the ends.

    NaN for an empty or flat history.
    """
    if not ordered or isnan(value) or ordered[-1] <= ordered[0]:
        return NAN
    return min(max(100.0 * (value - ordered[0]) / (ordered[-1] - ordered[0]), 0.0), 100.0)


def iv_percentile(value: float, ordered: Sequence[float]) -> float:
    """Share of `ordered` (ascending) that lies below `value`, 0 to 100; NaN for an empty history."""
    if not ordered or isnan(value):
        return NAN
    return 100.0 * bisect_left(ordered, value) / len(ordered)


def term_slope(near_iv: float, near_years: float, far_iv: float, far_years: float) -> float:
    """Change of at-the-money IV per year of expiry between two expiries (fraction per year per year).

    Above zero: the far expiry is dearer (contango), the usual state; below: the near one is (stress, an event).
    NaN where an IV is unknown or the far expiry is not later.
    """
    if not far_years > near_years:
        return NAN
    return (far_iv - near_iv) / (far_years - near_years)
