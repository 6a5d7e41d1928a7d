"""Implied volatility and Greeks of a chain, as the broker's quotes show them: once a minute, from the quotes."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.ids import index_id
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Right
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.quant import black
from sos_actors.quant.forward import discount_factor
from sos_actors.quant.implied import implied_vol
from sos_actors.sandbox.live_market import LiveMarket
from sos_actors.sandbox.tape import strike_place

_NS_A_YEAR = 365.0 * 86_400e9
_BID, _ASK, _CLOSE = (CHAIN_FIELDS.index(name) for name in ("bid", "ask", "close"))
_IS_CALL = np.array([[True], [False]])


class OptionGreeks(NamedTuple):
    """`iv` is a fraction a year; theta a day, vega a vol point, rho one percent; all 0 where nothing follows."""

    iv: float = 0.0
    delta: float = 0.0
    theta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    rho: float = 0.0


NONE = OptionGreeks()


class GreekBook:
    """Greeks by contract, computed for a whole chain when first asked for in a minute."""

    def __init__(self, rate: float) -> None:
        """`rate` is the interest rate a year, continuously compounded."""
        self._rate = rate
        self._kept: dict[tuple[str, dt.date], tuple[dt.date, int, np.ndarray]] = {}

    def of(self, market: LiveMarket, instrument: Instrument) -> OptionGreeks:
        """Greeks of an option as of the last completed minute; zeros for anything else, and before the first."""
        if instrument.right is None or instrument.expiry is None:
            return NONE
        done = market.minutes_done(instrument.underlying)
        key = (instrument.underlying, instrument.expiry)
        kept = self._kept.get(key)
        if kept is None or kept[:2] != (market.tape.day, done):
            kept = self._kept[key] = (market.tape.day, done, self._compute(market, *key, done))
        at = strike_place(market.tape.chain(*key), instrument.strike)
        if at is None or not kept[2].size:
            return NONE
        return OptionGreeks(*(float(x) for x in kept[2][:, 0 if instrument.right is Right.CE else 1, at]))

    def _compute(self, market: LiveMarket, underlying: str, expiry: dt.date, done: int) -> np.ndarray:
        """Figures [6, right, strike] at the end of minute `done`; empty where they cannot be had."""
        tape = market.tape
        chain, index = tape.chain(underlying, expiry), _index_close(market, underlying, done)
        if chain is None or index is None or done == 0:
            return np.empty(0)
        now = int(tape.starts(underlying)[done - 1]) + MINUTE_NS
        years = max(tape.schedule.expiry_ns(underlying, expiry) - now, MINUTE_NS) / _NS_A_YEAR
        discount = float(discount_factor(self._rate, years))
        values = chain.values[done - 1]
        middle = (values[_BID] + values[_ASK]) / 2.0
        price = np.where(np.isnan(middle), values[_CLOSE], middle)
        forward = index / discount
        iv = implied_vol(price, forward, chain.strikes, years, discount, _IS_CALL)
        g = black.greeks(forward, chain.strikes, years, iv, discount, _IS_CALL)
        return np.nan_to_num(np.stack([iv, g.delta, g.theta, g.gamma, g.vega, g.rho]))


def _index_close(market: LiveMarket, underlying: str, done: int) -> float | None:
    index = market.table.by_id(index_id(underlying))
    columns = market.tape.minutes(index) if index is not None else None
    return float(columns.close[done - 1]) if columns is not None and done else None
