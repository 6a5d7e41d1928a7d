"""What one option chain says by itself: totals, put-call ratios, max pain, walls, the money.

Every function takes strikes [K], ascending, and values [..., 2, K] with calls at CE = 0 and puts at PE = 1, and
works alike on one minute (no leading axis) and on a whole day (a leading axis of minutes). NaN means unknown;
unknown contracts are left out of sums, and a sum of nothing but unknowns is NaN, not zero. Prices are rupees
(index points), open interest and volume units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sos_actors.messages import CE, NAN, PE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def totals(values: Floats) -> Floats:
    """Sum over strikes, [..., 2, K] -> [..., 2]: calls and puts; NaN where no contract of that right is known."""
    summed: Floats = np.add.reduce(values, axis=-1)
    if not np.isnan(summed).any():  # nothing unknown: the usual case, and half the work
        return summed
    known = ~np.isnan(values)
    return np.where(known.any(axis=-1), np.add.reduce(np.where(known, values, 0.0), axis=-1), NAN)


def put_call_ratio(sums: Floats) -> Floats:
    """Divide puts by calls, [..., 2] -> [...], of open interest, volume or change of open interest.

    NaN where either is unknown, where calls are zero, and where either is negative: open interest that was
    closed on one side and opened on the other has no meaningful ratio.
    """
    call, put = sums[..., CE], sums[..., PE]
    ratio: Floats = np.divide(put, call, out=np.full(call.shape, NAN), where=(call > 0.0) & (put >= 0.0))
    return ratio


def ratio(put: float, call: float) -> float:
    """`put_call_ratio` of one pair of numbers."""
    return put / call if call > 0.0 and put >= 0.0 else NAN


def max_pain(strikes: Floats, oi: Floats) -> Floats:
    """Strike at which all options together would be worth least at expiry, [..., 2, K] -> [...].

    The holders' total is convex and piecewise linear in the settlement price, with slope (calls struck at or
    below) - (puts struck above). It is least at the first strike where calls and puts struck at or below together
    reach the total of puts. Of several equally good strikes the lowest. NaN without open interest.
    """
    known = np.fmax(oi, 0.0)  # an unknown contract counts as none
    puts = np.add.reduce(known[..., PE, :], axis=-1)
    reached = np.add.accumulate(known[..., CE, :] + known[..., PE, :], axis=-1)
    where = (reached >= puts[..., None]).argmax(axis=-1)
    result: Floats = np.where(reached[..., -1] > 0.0, strikes[where], NAN)
    return result


class Walls(NamedTuple):
    """Where most is written near the price: strike and open interest [..., 2], call wall above, put wall below."""

    strike: Floats
    oi: Floats


def oi_walls(strikes: Floats, oi: Floats, spot: Floats | float, reach: int) -> Walls:
    """Strike with the most call OI among the `reach` strikes at or above `spot`, with the most put OI at or below.

    One minute: `oi` [2, K] and `spot` a float; a day: [T, 2, K] and [T]. Of equals the nearest to the price. NaN
    where the spot is NaN or nothing is written within reach.
    """
    if isinstance(spot, float):
        return _walls_now(strikes, oi, spot, reach)
    first, last = strikes.searchsorted(spot, side="left"), strikes.searchsorted(spot, side="right")
    start = np.array((first, last - reach)).T[..., None]
    position = np.arange(strikes.size)
    shown = np.fmax(np.where((position >= start) & (position < start + reach), oi, 0.0), 0.0)
    most = np.maximum.reduce(shown, axis=-1)
    where = np.array((shown[..., CE, :].argmax(axis=-1), strikes.size - 1 - shown[..., PE, ::-1].argmax(axis=-1))).T
    found = (most > 0.0) & ~np.isnan(spot)[..., None]
    return Walls(np.where(found, strikes[where], NAN), np.where(found, most, NAN))


def _walls_now(strikes: Floats, oi: Floats, spot: float, reach: int) -> Walls:
    """Find the walls of one minute, where slices are three times as fast as masks."""
    if not spot > 0.0:
        return Walls(np.array((NAN, NAN)), np.array((NAN, NAN)))
    first, last = int(strikes.searchsorted(spot, side="left")), int(strikes.searchsorted(spot, side="right"))
    low = max(last - reach, 0)
    above, above_oi = _most(strikes[first : first + reach], oi[CE, first : first + reach])
    below, below_oi = _most(strikes[low:last][::-1], oi[PE, low:last][::-1])
    return Walls(np.array((above, below)), np.array((above_oi, below_oi)))


def _most(strikes: Floats, oi: Floats) -> tuple[float, float]:
    known = np.fmax(oi, 0.0)
    if not known.size:
        return NAN, NAN
    best = int(known.argmax())
    most = known.item(best)
    return (strikes.item(best), most) if most > 0.0 else (NAN, NAN)


def atm_index(strikes: Floats, price: Floats | float) -> Ints | int:
    """Position of the strike nearest to `price` [...]; of two equally near the lower.

    -1 where the price is NaN or lies outside the strikes by more than half a step: then no strike is at the money.
    """
    last = strikes.size - 1
    after: Ints | int
    if isinstance(price, float):
        after = min(max(int(strikes.searchsorted(price)), min(1, last)), last)
    else:
        after = np.clip(strikes.searchsorted(price), min(1, last), last)
    before = after - min(1, last)
    under, over = price - strikes[before], strikes[after] - price
    lowest = -0.5 * (strikes[after] - strikes[before])
    if isinstance(price, float):
        return (before if under <= over else after) if under >= lowest and over >= lowest else -1
    return np.where((under >= lowest) & (over >= lowest), np.where(under <= over, before, after), -1)


def at_strike(values: Floats, index: Ints | int) -> Floats:
    """Pick calls and puts at positions [...] of [..., 2, K] -> [..., 2]; NaN where the position is -1."""
    if isinstance(index, int):
        picked: Floats = values[..., index] if index >= 0 else np.full(values.shape[:-1], NAN)
        return picked
    picked = np.take_along_axis(values, np.maximum(index, 0)[..., None, None], axis=-1)[..., 0]
    return np.where((index >= 0)[..., None], picked, NAN)


def straddle(price: Floats, index: Ints | int) -> Floats:
    """Call plus put at the strike `index`, [..., 2, K] -> [...]; NaN unless both prices are known."""
    pair = at_strike(price, index)
    total: Floats = pair[..., CE] + pair[..., PE]
    return total


def contract_price(close: Floats, bid: Floats, ask: Floats, spread_fraction: float, spread_points: float) -> Floats:
    """Say what a contract is worth now, elementwise: the middle of a sane quote, else the last trade, else NaN.

    A quote is sane when bid > 0, ask >= bid and the spread is at most `spread_fraction` of the middle or at most
    `spread_points` rupees (a penny option one tick wide is sane). A crossed quote (bid > ask > 0) gives NaN, since
    the record contradicts itself; so does a price of zero or less.
    """
    middle, spread = 0.5 * (bid + ask), ask - bid
    limit = np.maximum(spread_fraction * middle, spread_points)
    quoted = (bid > 0.0) & (ask > 0.0) & (spread <= limit)  # a crossed quote among them
    price = np.where(quoted, middle, close)
    np.putmask(price, (quoted & (spread < 0.0)) | (price <= 0.0), NAN)
    return price


def above_intrinsic(strikes: Floats, price: Floats, forward: Floats | float, discount: Floats | float) -> Floats:
    """Prices [..., 2, K] with those below discounted intrinsic value made NaN.

    `forward` and `discount` are [...]; where the forward is NaN nothing can be said and prices are left as they are.
    """
    gap = (np.asarray(forward)[..., None] - strikes) * np.asarray(discount)[..., None]
    floor = np.stack((gap, -gap), axis=-2)
    result: Floats = np.where(price < floor, NAN, price)
    return result


def on_strikes(values: Floats, old: Floats, new: Floats) -> Floats:
    """Read values [..., K] over strikes `old` at strikes `new` [J] -> [..., J]; NaN at strikes not in `old`."""
    where = np.minimum(old.searchsorted(new), old.size - 1)
    result: Floats = np.where(old[where] == new, values[..., where], NAN)
    return result


def breadth_ratio(last: Floats, previous_close: Floats) -> float:
    """Advancing over declining constituents of an index, from last prices and previous closes, both [N].

    This is breadth of the index's **shares**. The chain says nothing about it, and nothing is made up from the
    chain: where constituents are not followed, breadth is NaN, and a condition on it is false. NaN too when no
    share declines or none is known.
    """
    advancing = int(np.count_nonzero(last > previous_close))
    declining = int(np.count_nonzero(last < previous_close))
    return advancing / declining if declining else NAN
