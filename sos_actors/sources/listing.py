"""Which contracts of an underlying there were on a day, and the key each has at the broker now."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.expiries import monthly_expiries, next_expiry
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.upstox.expired import ExpiredContracts

#: Most days by which a contract's expiry can lie after the calendar's: what was listed before a rule changed.
_MOVED = dt.timedelta(days=4)


@dataclass(frozen=True, slots=True)
class Contract:
    """One instrument and where its candles are: with the listed or with the expired ones."""

    id: str
    key: str
    expired: bool = False


def strikes_near(strikes: list[float], low: float, high: float, each_side: int) -> list[float]:
    """Give of the ascending strikes those within [low, high] and so many more below and above."""
    below = [strike for strike in strikes if strike < low]
    within = [strike for strike in strikes if low <= strike <= high]
    above = [strike for strike in strikes if strike > high]
    return below[len(below) - min(each_side, len(below)) :] + within + above[:each_side]


class Listing:
    """Contracts of past days and today. What has expired is asked of the broker, once each (BrokerError)."""

    def __init__(
        self, table: InstrumentTable, expired: ExpiredContracts, today: dt.date, calendar: TradingCalendar = INDIA
    ) -> None:
        self._table, self._expired, self._today, self._calendar = table, expired, today, calendar
        self._past: dict[str, tuple[dt.date, ...]] = {}
        self._gone: dict[tuple[str, dt.date], list[Instrument]] = {}
        self._futures: dict[tuple[str, dt.date], Contract | None] = {}

    def future(self, underlying: str, day: dt.date) -> Contract | None:
        """Give the near future of a day; None when there is none."""
        try:
            expiry = monthly_expiries(underlying, day, day + dt.timedelta(days=45), self._calendar)[0]
        except (InputError, IndexError):  # a year whose holidays are not known
            expiry = None
        if expiry is None or expiry >= self._today:
            listed = (one for one in self._table.futures(underlying) if one.expiry is not None and one.expiry >= day)
            return next((Contract(one.id, one.upstox_key) for one in listed), None)
        key = (underlying, expiry)
        if key not in self._futures:
            found = self._expired.futures(underlying, expiry)
            self._futures[key] = Contract(found[0].id, found[0].upstox_key, expired=True) if found else None
        return self._futures[key]

    def front_expiry(self, underlying: str, day: dt.date) -> dt.date | None:
        """Give the nearest expiry on or after a day; None when the broker no longer knows it.

        It forgets expiries after some months: the first it still knows is then far from the one that was due.
        """
        found = min(self.expiries(underlying, day), default=None)
        try:
            due = next_expiry(underlying, day, self._calendar)
        except InputError:  # a year whose holidays are not known
            return found
        return found if found is not None and found <= due + _MOVED else None

    def expiries(self, underlying: str, day: dt.date) -> list[dt.date]:
        """Give the expiries on or after a day, nearest first."""
        listed = {expiry for expiry in self._table.expiries(underlying) if expiry >= self._today}
        found = {expiry for expiry in listed if expiry >= day}
        if self._some_gone(underlying, day):
            found.update(expiry for expiry in self._past_expiries(underlying) if day <= expiry < self._today)
        return sorted(found)

    def options(self, underlying: str, expiry: dt.date) -> list[tuple[Instrument, Contract]]:
        """Give the options of an expiry by strike, calls before puts."""
        if expiry >= self._today:
            return [(one, Contract(one.id, one.upstox_key)) for one in self._table.options(underlying, expiry)]
        key = (underlying, expiry)
        if key not in self._gone:
            self._gone[key] = self._expired.options(underlying, expiry)
        return [(one, Contract(one.id, one.upstox_key, expired=True)) for one in self._gone[key]]

    def _some_gone(self, underlying: str, day: dt.date) -> bool:
        """Whether anything that was listed on the day can have expired since: else the broker need not be asked."""
        try:
            return next_expiry(underlying, day, self._calendar) < self._today
        except InputError:
            return day < self._today

    def _past_expiries(self, underlying: str) -> tuple[dt.date, ...]:
        if underlying not in self._past:
            self._past[underlying] = self._expired.expiries(underlying)
        return self._past[underlying]
