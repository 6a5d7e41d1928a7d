"""What ingest must know of the market beyond the file: sessions, lots, nearest expiries."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, regular_session
from sos_actors.market.contracts import ContractRules, strike_step
from sos_actors.market.expiries import next_expiry
from sos_actors.market.ids import EXCHANGE_OF


class MarketFacts(Protocol):
    """The market's calendar and contract sizes, as far as ingest asks."""

    def sessions(self, underlying: str, day: dt.date) -> tuple[tuple[int, int], ...]:
        """Give the day's sessions as [start, end) in UTC ns, in order; empty on a holiday."""

    def lot_size(self, underlying: str, expiry: dt.date, day: dt.date) -> int:
        """Units a lot of the contract on that day."""

    def nearest_expiry(self, underlying: str, day: dt.date) -> dt.date:
        """Give the first expiry on or after the day."""

    def strike_step(self, underlying: str, day: dt.date) -> float:
        """Points between strikes; 0 when unknown, then the data is asked."""


class PlainFacts:
    """Knows the regular session alone; lots and expiries must come with the file or on the command line."""

    def sessions(self, underlying: str, day: dt.date) -> tuple[tuple[int, int], ...]:  # noqa: ARG002 - the protocol's
        """Every day is taken for a regular one."""
        return (regular_session(day),)

    def lot_size(self, underlying: str, expiry: dt.date, day: dt.date) -> int:
        """Raise InputError: unknown here."""
        raise InputError(f"{underlying} {expiry} on {day}: the file counts in lots: say 'lot: UNITS' in its mapping")

    def nearest_expiry(self, underlying: str, day: dt.date) -> dt.date:
        """Raise InputError: unknown here."""
        raise InputError(f"{underlying} on {day}: the file names no expiry: say 'expiry: YYYY-MM-DD' in its mapping")

    def strike_step(self, underlying: str, day: dt.date) -> float:  # noqa: ARG002 - the protocol's
        """Unknown here."""
        return 0.0


@dataclass(frozen=True, slots=True)
class CalendarFacts:
    """The facts from a trading calendar and contract tables; what the calendar does not know is a regular day.

    `exchange_sessions(exchange, day)` gives [open, close) pairs in UTC ns, `lots(underlying, expiry, day)` units,
    `next_expiry(underlying, day)` a date, `step(underlying, day)` points between strikes.
    """

    exchange_sessions: Callable[[str, dt.date], Sequence[tuple[int, int]]]
    lots: Callable[[str, dt.date, dt.date], int]
    next_expiry: Callable[[str, dt.date], dt.date]
    step: Callable[[str, dt.date], float]

    def sessions(self, underlying: str, day: dt.date) -> tuple[tuple[int, int], ...]:
        """Give the calendar's sessions; for a year or day it has none for, the regular one, for data is there."""
        try:
            found = tuple((start, end) for start, end in self.exchange_sessions(EXCHANGE_OF[underlying], day))
        except InputError:
            found = ()
        return found or PlainFacts().sessions(underlying, day)

    def lot_size(self, underlying: str, expiry: dt.date, day: dt.date) -> int:
        """Units a lot, from the tables."""
        return self.lots(underlying, expiry, day)

    def nearest_expiry(self, underlying: str, day: dt.date) -> dt.date:
        """Give the first expiry on or after the day."""
        return self.next_expiry(underlying, day)

    def strike_step(self, underlying: str, day: dt.date) -> float:
        """Points between strikes, from the tables; 0 for an underlying they lack."""
        try:
            return self.step(underlying, day)
        except InputError:
            return 0.0


def market_facts() -> CalendarFacts:
    """Give the facts as the process's calendar and the contract tables know them."""
    return CalendarFacts(INDIA.sessions, ContractRules().lot_size, next_expiry, strike_step)
