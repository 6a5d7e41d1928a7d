"""Lots, freeze quantities, strike steps and ticks of index derivatives by date.

The instrument master of the day says all this for contracts that are listed; these tables are for days whose master
nobody kept. A change of the lot meets new contracts first: those already listed keep the old lot until they expire,
except the long-dated quarterly ones, which are switched on one evening.
Sources: exchange circulars on market lots (Apr 2024, Oct 2024, Mar 2025, Oct 2025).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.expiries import weekly_expiries

Number = TypeVar("Number", int, float)

#: Smallest price step of an index option, rupees, on both exchanges throughout.
OPTION_TICK = 0.05
#: NSE took index futures to coarser ticks in 2025, by the level of the index.
_COARSE_TICKS_FROM = dt.date(2025, 4, 15)
_COARSE_FUTURE_TICK = {"NIFTY": 0.10, "BANKNIFTY": 0.20, "FINNIFTY": 0.10}


@dataclass(frozen=True, slots=True)
class LotEra:
    """A lot size and the first contracts that had it. `switched` is the first day listed quarterly ones had it."""

    lot: int
    weekly_from: dt.date
    monthly_from: dt.date
    switched: dt.date


def _era(lot: int, weekly_from: str, monthly_from: str, switched: str) -> LotEra:
    return LotEra(lot, *(dt.date.fromisoformat(text) for text in (weekly_from, monthly_from, switched)))


_FIRST = "0001-01-01"
_NEVER = "9999-12-31"

#: Oldest first.
LOTS: dict[str, tuple[LotEra, ...]] = {
    "NIFTY": (
        _era(50, _FIRST, _FIRST, _FIRST),
        _era(25, "2024-05-02", "2024-05-30", "2024-04-26"),
        _era(75, "2025-01-02", "2025-02-27", "2024-12-27"),
        _era(65, "2026-01-06", "2026-01-27", "2025-12-31"),
    ),
    "BANKNIFTY": (
        _era(25, _FIRST, _FIRST, _FIRST),
        _era(15, "2023-07-06", "2023-07-27", "2023-06-30"),
        _era(30, _NEVER, "2025-02-27", "2024-12-26"),
        _era(35, _NEVER, "2025-07-31", "2025-04-25"),
        _era(30, _NEVER, "2026-01-27", "2025-12-31"),
    ),
    "FINNIFTY": (
        _era(40, _FIRST, _FIRST, _FIRST),
        _era(25, "2024-05-07", "2024-05-28", "2024-04-26"),
        _era(65, _NEVER, "2025-02-27", "2024-12-27"),
        _era(60, _NEVER, "2026-01-27", "2025-12-31"),
    ),
    "MIDCPNIFTY": (
        _era(75, _FIRST, _FIRST, _FIRST),
        _era(50, "2024-05-06", "2024-05-27", "2024-04-26"),
        _era(120, _NEVER, "2025-02-27", "2024-12-27"),
        _era(140, _NEVER, "2025-07-31", "2025-04-25"),
        _era(120, _NEVER, "2026-01-27", "2025-12-31"),
    ),
    "NIFTYNXT50": (_era(10, _FIRST, _FIRST, _FIRST), _era(25, _NEVER, "2025-02-27", "2024-12-27")),
    "SENSEX": (_era(10, _FIRST, _FIRST, _FIRST), _era(20, "2025-01-07", "2025-02-25", "2025-01-01")),
    "BANKEX": (_era(15, _FIRST, _FIRST, _FIRST), _era(30, _NEVER, "2025-02-25", "2025-01-01")),
}

#: Largest quantity of one order in units, by first day; the exchanges revise it monthly. Oldest first.
_FREEZE: dict[str, tuple[tuple[dt.date, int], ...]] = {
    "NIFTY": ((dt.date.min, 1800),),
    "BANKNIFTY": (
        (dt.date.min, 900),
        (dt.date(2025, 8, 1), 600),
        (dt.date(2025, 9, 1), 900),
        (dt.date(2025, 11, 1), 600),
        (dt.date(2026, 4, 1), 900),
        (dt.date(2026, 7, 1), 600),
    ),
    "FINNIFTY": ((dt.date.min, 1800), (dt.date(2025, 11, 1), 1200)),
    "MIDCPNIFTY": ((dt.date.min, 2800),),
    "NIFTYNXT50": ((dt.date.min, 600),),
    "SENSEX": ((dt.date.min, 1000),),
    "BANKEX": ((dt.date.min, 900),),
}

#: Distance between neighbouring strikes near the money, index points, by first day. Oldest first.
_STEP: dict[str, tuple[tuple[dt.date, float], ...]] = {
    "NIFTY": ((dt.date.min, 50.0),),
    "BANKNIFTY": ((dt.date.min, 100.0),),
    "FINNIFTY": ((dt.date.min, 50.0), (dt.date(2025, 12, 31), 100.0)),
    "MIDCPNIFTY": ((dt.date.min, 25.0),),
    "NIFTYNXT50": ((dt.date.min, 100.0),),
    "SENSEX": ((dt.date.min, 100.0),),
    "BANKEX": ((dt.date.min, 100.0),),
}


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """What an order in one contract must obey: units, index points, rupees. `max_order` is whole lots in units."""

    lot_size: int
    freeze_quantity: int
    max_order: int
    strike_step: float
    tick_size: float


class ContractRules:
    """Terms of contracts by underlying, expiry and day of trade. Pure; answers are cached. Raises InputError."""

    def __init__(self, calendar: TradingCalendar = INDIA) -> None:
        self._calendar = calendar
        self._terms: dict[tuple[str, dt.date, dt.date, str], ContractTerms] = {}

    def terms(self, underlying: str, expiry: dt.date, day: dt.date, kind: str = "OPT") -> ContractTerms:
        """All terms of the contract of `kind` OPT or FUT expiring on `expiry`, as traded on `day`."""
        key = (underlying, expiry, day, kind)
        found = self._terms.get(key)
        if found is None:
            lot, freeze = self.lot_size(underlying, expiry, day), freeze_quantity(underlying, day)
            tick = tick_size(underlying, kind, day)
            found = ContractTerms(lot, freeze, freeze // lot * lot, strike_step(underlying, day), tick)
            self._terms[key] = found
        return found

    def lot_size(self, underlying: str, expiry: dt.date, day: dt.date) -> int:
        """Units in one lot of the contract expiring on `expiry`, as traded on `day`."""
        eras = LOTS.get(underlying)
        if eras is None:
            raise InputError(f"underlying '{underlying}': no lot table; known: {', '.join(sorted(LOTS))}")
        # What is no weekly counts as monthly: a long-dated contract can stand at a day that was no expiry in the end,
        # because the weekday changed or the day became a holiday, or lie in a year whose holidays are not known.
        weekly = expiry.year in self._calendar.years and expiry in weekly_expiries(
            underlying, expiry, expiry, self._calendar
        )
        for era in reversed(eras):
            first = era.weekly_from if weekly else era.monthly_from
            if expiry >= first and (day >= era.switched or not _long_dated(expiry)):
                return era.lot
        return eras[0].lot


def freeze_quantity(underlying: str, day: dt.date) -> int:
    """Largest quantity one order may have, units, by the exchange's circular (the broker floors it to whole lots)."""
    return _in_force(_FREEZE, underlying, day)


def strike_step(underlying: str, day: dt.date) -> float:
    """Distance of strikes near the money in index points; far expiries and strikes are listed more coarsely."""
    return _in_force(_STEP, underlying, day)


def tick_size(underlying: str, kind: str, day: dt.date) -> float:
    """Smallest price step in rupees of an option (OPT) or future (FUT)."""
    if kind == "FUT" and day >= _COARSE_TICKS_FROM:
        return _COARSE_FUTURE_TICK.get(underlying, OPTION_TICK)
    return OPTION_TICK


def _long_dated(expiry: dt.date) -> bool:
    """Whether a contract belongs to the quarterly cycle, listed a year and more ahead."""
    return expiry.month % 3 == 0


def _in_force(table: Mapping[str, Sequence[tuple[dt.date, Number]]], underlying: str, day: dt.date) -> Number:
    rows = table.get(underlying)
    if rows is None:
        raise InputError(f"underlying '{underlying}': no contract table; known: {', '.join(sorted(table))}")
    return next(value for since, value in reversed(rows) if day >= since)
