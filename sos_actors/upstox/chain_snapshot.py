"""The option chain of one expiry at this moment, as a frame. The broker gives it no time: it gets the asker's."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from upstox_client import OptionsApi

from sos_actors.market.instruments import INDEX_KEYS
from sos_actors.messages import CHAIN_FIELDS, NAN, ChainFrame
from sos_actors.upstox.client import UpstoxClient


class _Market(msgspec.Struct):
    ltp: float | None = None
    volume: float | None = None
    oi: float | None = None
    bid_price: float | None = None
    ask_price: float | None = None


class _Greeks(msgspec.Struct):
    iv: float | None = None


class _Side(msgspec.Struct):
    market_data: _Market | None = None
    option_greeks: _Greeks | None = None


class _Strike(msgspec.Struct):
    strike_price: float | None = None
    underlying_spot_price: float | None = None
    call_options: _Side | None = None
    put_options: _Side | None = None


class _Answer(msgspec.Struct):
    data: list[_Strike] | None = None


@dataclass(frozen=True, slots=True)
class ChainNow:
    """`frame` has the last price as all four prices, the day's volume so far as `volume`; `iv` [2, K] is a fraction."""

    frame: ChainFrame
    iv: NDArray[np.float64]


def read_chain(client: UpstoxClient, underlying: str, expiry: dt.date, now: int) -> ChainNow | None:
    """Fetch the chain; None when the broker lists none. `now` (UTC ns) stamps it. Raises BrokerError."""
    answer = client.call(
        f"chain of {underlying} {expiry}", OptionsApi(client.api).get_put_call_option_chain,
        INDEX_KEYS[underlying], expiry.isoformat(), answer=_Answer,
    )  # fmt: skip
    rows = sorted((row for row in answer.data or () if row.strike_price), key=lambda row: row.strike_price or 0.0)
    if not rows:
        return None
    strikes = np.array([row.strike_price for row in rows], np.float64)
    values = np.full((len(CHAIN_FIELDS), 2, len(rows)), NAN)
    iv = np.full((2, len(rows)), NAN)
    for place, row in enumerate(rows):
        for side, told in enumerate((row.call_options, row.put_options)):
            if told is None:
                continue
            if told.market_data is not None:
                values[:, side, place] = _values(told.market_data)
            if told.option_greeks is not None and told.option_greeks.iv:
                iv[side, place] = told.option_greeks.iv / 100.0  # percent here, a fraction everywhere else
    for array in (strikes, values, iv):
        array.setflags(write=False)
    spot = next((row.underlying_spot_price for row in rows if row.underlying_spot_price), NAN)
    return ChainNow(ChainFrame(underlying, expiry, now, now, strikes, values, spot), iv)


def _values(told: _Market) -> tuple[float, ...]:
    """Give the fields in the order of CHAIN_FIELDS; a price of zero is none."""
    price = told.ltp or NAN
    volume = NAN if told.volume is None else told.volume
    oi = NAN if told.oi is None else told.oi
    return price, price, price, price, volume, oi, told.bid_price or NAN, told.ask_price or NAN
