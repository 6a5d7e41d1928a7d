"""Canonical instrument ids: one string an instrument, the same in messages, storage and logs.

    NSE|INDEX|NIFTY    NSE|FUT|NIFTY|2025-09-30    NSE|OPT|NIFTY|2025-09-02|24500|CE

The broker's own keys are reused after expiry and so never identify anything here; `SymbolMaster` maps.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import NamedTuple

from sos_actors.errors import InputError
from sos_actors.messages import Right

#: Exchange of each underlying we know.
EXCHANGE_OF = {
    "NIFTY": "NSE",
    "BANKNIFTY": "NSE",
    "FINNIFTY": "NSE",
    "MIDCPNIFTY": "NSE",
    "NIFTYNXT50": "NSE",
    "INDIAVIX": "NSE",
    "SENSEX": "BSE",
    "BANKEX": "BSE",
}


class InstrumentId(NamedTuple):
    """The parts of a canonical id. `kind` is INDEX, FUT or OPT; the rest is None where it does not apply."""

    exchange: str
    kind: str
    underlying: str
    expiry: dt.date | None = None
    strike: float | None = None
    right: Right | None = None


@lru_cache(maxsize=64)
def index_id(underlying: str) -> str:
    """Id of an index, e.g. 'NSE|INDEX|NIFTY'."""
    return f"{EXCHANGE_OF[underlying]}|INDEX|{underlying}"


@lru_cache(maxsize=64)
def near_future(underlying: str) -> str:
    """Key under which the near future's bars go out, whichever contract that is today."""
    return f"near-future:{underlying}"


@lru_cache(maxsize=1024)
def future_id(underlying: str, expiry: dt.date) -> str:
    """Id of a future, e.g. 'NSE|FUT|NIFTY|2025-09-30'."""
    return f"{EXCHANGE_OF[underlying]}|FUT|{underlying}|{expiry.isoformat()}"


@lru_cache(maxsize=65536)
def option_id(underlying: str, expiry: dt.date, strike: float, right: Right) -> str:
    """Id of an option, e.g. 'NSE|OPT|NIFTY|2025-09-02|24500|CE'."""
    return f"{EXCHANGE_OF[underlying]}|OPT|{underlying}|{expiry.isoformat()}|{strike:g}|{right.value}"


@lru_cache(maxsize=65536)
def parse_id(instrument: str) -> InstrumentId:
    """Take a canonical id apart; raises InputError when it is none."""
    parts = instrument.split("|")
    try:
        match parts:
            case [exchange, "INDEX", name]:
                return InstrumentId(exchange, "INDEX", name)
            case [exchange, "FUT", name, day]:
                return InstrumentId(exchange, "FUT", name, dt.date.fromisoformat(day))
            case [exchange, "OPT", name, day, strike, right]:
                return InstrumentId(exchange, "OPT", name, dt.date.fromisoformat(day), float(strike), Right(right))
    except ValueError as error:
        raise InputError(f"instrument id '{instrument}': {error}") from None
    raise InputError(f"instrument id '{instrument}': write NSE|INDEX|NIFTY or NSE|OPT|NIFTY|2025-09-02|24500|CE")
