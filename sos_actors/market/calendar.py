"""Which days and hours the exchanges trade index derivatives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS, ist_date, ist_ns
from sos_actors.market.tables import CLOSINGS, HOLIDAYS, OPENING, SPECIAL_SESSIONS

#: What the broker calls the derivatives segment of each exchange.
_SEGMENT = {"NSE": "NFO", "BSE": "BFO"}
_ONE_DAY = dt.timedelta(days=1)
_MS = 1_000_000
#: A Muhurat or a test of the other site lasts an hour or two, a trading day more than this.
_REGULAR_NS = 300 * MINUTE_NS


class Session(NamedTuple):
    """One continuous stretch of trading, [open_ns, close_ns) in UTC ns."""

    open_ns: int
    close_ns: int


Overrides = Mapping[tuple[str, dt.date], tuple[Session, ...]]


class TradingCalendar:
    """Trading days and sessions of NSE and BSE index derivatives, from the tables and, over them, the broker's rows.

    Nothing in it changes, except that the process's own calendar can `become` another at the start. A date in a year
    that neither the tables nor the broker's rows know raises InputError: guessing that an unknown holiday is a trading
    day would make a backtest or an expiry silently wrong.
    """

    def __init__(self, overrides: Overrides | None = None, extra_years: frozenset[int] = frozenset()) -> None:
        self._overrides: dict[tuple[str, dt.date], tuple[Session, ...]] = dict(overrides or {})
        self._years = frozenset(HOLIDAYS) | extra_years
        self._cache: dict[tuple[str, dt.date], tuple[Session, ...]] = {}

    @property
    def years(self) -> tuple[int, ...]:
        """The years this calendar knows, ascending."""
        return tuple(sorted(self._years))

    def sessions(self, exchange: str, day: dt.date) -> tuple[Session, ...]:
        """Sessions of the day in order of time; empty when closed. Raises InputError for an unknown year, exchange."""
        key = (exchange, day)
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._look_up(exchange, day)
        return found

    def is_trading_day(self, exchange: str, day: dt.date) -> bool:
        """Whether there is any session, Muhurat and special Saturdays included."""
        return bool(self.sessions(exchange, day))

    def is_regular_day(self, exchange: str, day: dt.date) -> bool:
        """Whether the day has one session from morning to afternoon: what an expiry needs."""
        found = self.sessions(exchange, day)
        return len(found) == 1 and found[0].close_ns - found[0].open_ns >= _REGULAR_NS

    def previous_trading_day(self, exchange: str, day: dt.date) -> dt.date:
        """Last trading day before `day`."""
        return self._step(exchange, day, -_ONE_DAY)

    def next_trading_day(self, exchange: str, day: dt.date) -> dt.date:
        """First trading day after `day`."""
        return self._step(exchange, day, _ONE_DAY)

    def trading_days(self, exchange: str, first: dt.date, last: dt.date) -> tuple[dt.date, ...]:
        """Every trading day from `first` to `last`, both included."""
        span = (first + dt.timedelta(days=i) for i in range((last - first).days + 1))
        return tuple(day for day in span if self.is_trading_day(exchange, day))

    def overridden(self, exchange: str) -> tuple[dt.date, ...]:
        """Days of which the broker's rows decide, ascending."""
        return tuple(sorted(day for name, day in self._overrides if name == exchange))

    def become(self, other: TradingCalendar) -> None:
        """Take over what another calendar knows. For `INDIA`, which every part reads, before anything has begun."""
        self._overrides, self._years, self._cache = dict(other._overrides), other._years, {}

    def with_holidays(self, rows: Iterable[Mapping[str, Any]]) -> TradingCalendar:
        """Lay the broker's holiday rows over this calendar and give the new one.

        A row is `{"date": "2026-01-26", "holiday_type": ..., "closed_exchanges": ["NFO", ...],
        "open_exchanges": [{"exchange": "NFO", "start_time": ms, "end_time": ms}, ...]}`. What counts is in which list
        the derivatives segment stands, not the type: a trading holiday can still open it, and a settlement holiday
        need not close it. A date on which neither list names the segment stays as it was. The years of the rows
        become known. Raises InputError for a row of another shape.
        """
        overrides = dict(self._overrides)
        years: set[int] = set()
        for row in rows:
            try:
                day = dt.date.fromisoformat(row["date"])
                closed = row.get("closed_exchanges") or ()
                opened = [
                    (item["exchange"], Session(int(item["start_time"]) * _MS, int(item["end_time"]) * _MS))
                    for item in row.get("open_exchanges") or ()
                ]
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(f"holiday row {row!r}: {error!r}; expected the broker's /v2/market/holidays") from None
            years.add(day.year)
            for exchange, segment in _SEGMENT.items():
                found = tuple(sorted(session for name, session in opened if name == segment))
                if any(ist_date(s.open_ns) != day or s.close_ns <= s.open_ns for s in found):
                    raise InputError(f"holiday row of {day}: the hours of {segment} are not on that day")
                if found or segment in closed:
                    overrides[exchange, day] = found
        return TradingCalendar(overrides, self._years | years)

    def _look_up(self, exchange: str, day: dt.date) -> tuple[Session, ...]:
        if exchange not in _SEGMENT:
            raise InputError(f"exchange '{exchange}': the calendar knows NSE and BSE")
        override = self._overrides.get((exchange, day))
        if override is not None:
            return override
        if day.year not in self._years:
            known = self.years
            raise InputError(
                f"{day}: no holiday list for {day.year} (known: {known[0]}-{known[-1]}); "
                "refresh the calendar from the broker or add the year to market/tables.py"
            )
        special = SPECIAL_SESSIONS.get(day)
        if special is not None:
            return tuple(Session(ist_ns(day, start), ist_ns(day, end)) for start, end in special)
        if day.weekday() >= 5 or day in HOLIDAYS.get(day.year, ()):
            return ()
        return (regular_session(day),)

    def _step(self, exchange: str, day: dt.date, step: dt.timedelta) -> dt.date:
        day += step
        while not self.is_trading_day(exchange, day):
            day += step
        return day


def regular_session(day: dt.date) -> Session:
    """When derivatives trade on a regular day of that date's rules, holiday or not."""
    close = next(close for since, close in CLOSINGS if day >= since)
    return Session(ist_ns(day, OPENING), ist_ns(day, close))


#: The calendar of the tables alone.
INDIA = TradingCalendar()
