"""Implied volatility in the exchange's own convention, so that our figures can be compared with its page.

The `iv` column of NSE's option chain is Black-Scholes on the **spot** index at a rate of 10 % without dividends, the
time counted in whole calendar days / 365 (at least one day), from the last traded price. A call and a put of one strike
then differ by what the rate is wrong: it is no better figure than ours, only another one. The spot at that moment is
not in the chain's records; `fit_nse_spot` finds it.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sos_actors.market.clocktime import day_number, ist_day
from sos_actors.quant.black import DAYS_A_YEAR, greeks, price
from sos_actors.quant.blocks import Array
from sos_actors.quant.forward import discount_factor, parity_forward
from sos_actors.quant.implied import implied_vol

#: Continuously compounded rate a year the exchange assumes.
NSE_RATE = 0.10
FIT_STEPS = 20
#: Rupees of spot: a fit that moves less than this has ended.
FIT_TOLERANCE = 1e-6


def nse_years(now: int | NDArray[np.int64], expiry: dt.date) -> Array:
    """Years to expiry as the exchange counts: whole days from the Indian date of `now` (UTC ns), at least 1, / 365."""
    today = ist_day(np.asarray(now, dtype=np.int64))
    return np.asarray(np.maximum(day_number(expiry) - today, 1) / DAYS_A_YEAR)


def nse_implied_vol(
    last_price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
) -> Array:
    """Volatility (fraction a year) as in NSE's `iv` column (which is in %), broadcast; `years` from `nse_years`.

    NaN where `implied_vol` gives NaN; the exchange writes 0 there, and also for contracts it left out.
    """
    discount = discount_factor(NSE_RATE, years)
    return implied_vol(last_price, np.divide(spot, discount), strike, years, discount, is_call)


def nse_parity_spot(
    strikes: ArrayLike,
    call_price: ArrayLike,
    put_price: ArrayLike,
    years: ArrayLike,
    pairs: int = 6,
) -> Array:
    """Spot [...] that put-call parity at NSE's rate implies, from prices [..., K] of one expiry; NaN without pairs.

    Too high or low by what the rate is wrong over `years`: take the nearest expiry.
    """
    discount = discount_factor(NSE_RATE, years)
    return parity_forward(strikes, call_price, put_price, discount, pairs=pairs)[0] * discount


def fit_nse_spot(
    column: ArrayLike,
    last_price: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
) -> float:
    """Spot in rupees that best explains the exchange's volatilities `column` (fractions) of one snapshot.

    All arguments broadcast, over contracts of any number of expiries. Least absolute deviation in volatility: each
    contract has a spot at which its volatility is the column's, and the answer is the median of those, weighted by
    how much a rupee of spot moves the volatility (|delta / vega|). Contracts without a price or a volatility, or
    beyond a delta of 0.05 to 0.95, where vega is too small, do not vote. NaN where none is left.
    """
    arrays = np.broadcast_arrays(column, last_price, strike, years, is_call)
    vol, last, strikes, time, call = (array.reshape(-1) for array in arrays)
    use = (vol > 0.0) & (last > 0.0)
    vol, last, strikes, time, call = (array[use] for array in (vol, last, strikes, time, call))
    if not vol.size:
        return float("nan")
    discount = discount_factor(NSE_RATE, time)
    spot = float(np.median(strikes))
    for _ in range(FIT_STEPS):
        forward = spot / discount
        slopes = greeks(forward, strikes, time, vol, discount, call)
        votes = (np.abs(slopes.delta) > 0.05) & (np.abs(slopes.delta) < 0.95)
        if not votes.any():
            return float("nan")
        miss = last - price(forward, strikes, time, vol, discount, call)
        moves = (miss / slopes.delta)[votes]
        move = _weighted_median(moves, np.abs(slopes.delta / slopes.vega)[votes])
        spot += move
        if abs(move) < FIT_TOLERANCE:
            break
    return spot


def _weighted_median(values: Array, weights: Array) -> float:
    """Value at which half of the weight lies on either side."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])
