"""Time to expiry, discounting, and the forward that put-call parity implies.

Our convention: calendar time in years of 365 days, counted in nanoseconds to the close of the expiry's session, and
Black-76 on the forward of the same expiry, taken from the option prices themselves. No dividend forecast and no
financing rate enters a volatility then, but for the discount factor, which hardly moves it. The exchange's own
convention is in `quant.nse`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sos_actors.market.clocktime import DAY_NS, MINUTE_NS
from sos_actors.market.ids import index_id
from sos_actors.messages import Bar, ChainSnapshot, VolumeSource
from sos_actors.quant.blocks import Array

NAN = float("nan")
NS_A_YEAR = 365 * DAY_NS


def years_to_expiry(now: int | NDArray[np.int64], expiry_close: int | NDArray[np.int64]) -> Array:
    """Calendar years (365 days) from `now` to `expiry_close`, both UTC ns, broadcast; 0 from the expiry on."""
    return np.asarray(np.maximum(np.subtract(expiry_close, now, dtype=np.int64), 0) / NS_A_YEAR)


def discount_factor(rate: ArrayLike, years: ArrayLike) -> Array:
    """Value today of one rupee in `years`, at the continuously compounded `rate` (fraction a year), broadcast."""
    return np.asarray(np.exp(-np.multiply(rate, years, dtype=np.float64)))


def parity_forward(
    strikes: ArrayLike,
    call_price: ArrayLike,
    put_price: ArrayLike,
    discount: ArrayLike = 1.0,
    *,
    spot_hint: ArrayLike = NAN,
    fallback: ArrayLike = NAN,
    pairs: int = 6,
) -> tuple[Array, Array]:
    """Forward implied by put-call parity, strike + (call − put) / discount, near the money.

    `strikes`, `call_price`, `put_price` broadcast to [..., K]; a price that is NaN or not positive is unknown.
    `discount`, `spot_hint` and `fallback` broadcast to the leading axes [...]. Returns (forward, dispersion), both
    [...] in rupees. The forward is the median over the `pairs` strikes nearest to it whose two prices are known, so
    fewer than half of them may be stale or wrong. The dispersion is the median absolute deviation of these pairs
    from it: near 1 for a liquid chain, inf where one pair stands alone, NaN where there was none and the forward
    is `fallback`.

    The money is first sought around `spot_hint`, or where that is NaN, where call and put cost nearly the same.
    """
    strikes, call, put = np.broadcast_arrays(
        *(np.asarray(array, dtype=np.float64) for array in (strikes, call_price, put_price))
    )
    lead = strikes.shape[:-1]
    discount, hint, other = (np.broadcast_to(a, lead)[..., None] for a in (discount, spot_hint, fallback))
    with np.errstate(all="ignore"):
        carried = (call - put) / discount
        known = (call > 0.0) & (put > 0.0) & np.isfinite(carried)
        implied = np.where(known, strikes + carried, np.nan)
        start = np.where(np.isnan(hint), np.abs(carried), np.abs(strikes - hint))
        rough, _ = _nearest_median(implied, np.where(known, start, np.inf), pairs)
        offset = np.abs(strikes - rough[..., None])
        forward, dispersion = _nearest_median(implied, np.where(known, offset, np.inf), pairs)
    return np.where(np.isnan(forward), other[..., 0], forward), dispersion


def _nearest_median(values: Array, distance: Array, count: int) -> tuple[Array, Array]:
    """Median over the last axis of the `count` values of least distance, and their median absolute deviation.

    NaN values are left out. The sort is stable, so that ties fall the same way on every machine.
    """
    order = np.argsort(distance, axis=-1, kind="stable")[..., :count]
    if values.ndim == 1:  # a single minute: a handful of numbers, for which Python is four times as quick
        found = [value for value in values[order].tolist() if value == value]
        middle_one = _median_of(found)
        spread = _median_of([abs(value - middle_one) for value in found]) if len(found) != 1 else np.inf
        return np.asarray(middle_one), np.asarray(spread)
    nearest = np.take_along_axis(values, order, axis=-1)
    known = np.count_nonzero(~np.isnan(nearest), axis=-1)
    middle = _median(nearest, known)
    deviation = _median(np.abs(nearest - middle[..., None]), known)
    return middle, np.where(known == 1, np.inf, deviation)


def _median_of(values: list[float]) -> float:
    """Median of a few numbers; NaN of none."""
    ranked, count = sorted(values), len(values)
    return 0.5 * (ranked[(count - 1) // 2] + ranked[count // 2]) if count else NAN


def _median(values: Array, known: NDArray[np.intp]) -> Array:
    """Median over the last axis of rows that hold `known` numbers, the rest NaN; NaN for a row without any."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ranked = np.sort(values, axis=-1)  # NaN goes to the end
    low = np.maximum(known - 1, 0)[..., None] // 2
    high = np.minimum(known[..., None] // 2, values.shape[-1] - 1)
    both = np.take_along_axis(ranked, low, axis=-1) + np.take_along_axis(ranked, high, axis=-1)
    return np.where(known > 0, 0.5 * both[..., 0], np.nan)


def index_bar(chain: ChainSnapshot, rate: float, previous: float = NAN) -> Bar | None:
    """Make the minute's bar of an index that has no data of its own from its chain; None without a forward.

    The forward is taken back to a spot at the continuously compounded `rate`. It is the minute's only price, so the
    bar opens at the close of the one before: `previous`, NaN for a day's first.
    """
    spot = round(chain.forward * math.exp(-rate * chain.years), 2)
    if not math.isfinite(spot):
        return None
    opened = spot if math.isnan(previous) else previous
    return Bar(
        index_id(chain.underlying), chain.ts - MINUTE_NS, chain.ts, opened, max(opened, spot), min(opened, spot), spot,
        volume_source=VolumeSource.NONE,
    )  # fmt: skip
