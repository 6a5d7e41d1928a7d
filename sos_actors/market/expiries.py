"""When index derivatives expire: weekdays by date of effect, moved to the trading day before a holiday.

These are the days on which contracts did expire. What was listed earlier can stand at another day: before the weekday
changed, or before a holiday was announced (the contract of 31 March 2026 moved to the 30th in December 2025).
Sources: exchange circulars on expiry days (Sep 2023, Mar 2024, Nov 2024, Jan 2025, Sep 2025).
"""

from __future__ import annotations

import calendar as pycalendar
import datetime as dt
from functools import lru_cache
from itertools import pairwise

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.ids import EXCHANGE_OF

_MON, _TUE, _WED, _THU, _FRI = range(5)
_ONE_DAY = dt.timedelta(days=1)
#: First day of a rule and its weekday; None: there is none any more. Oldest first.
Rules = tuple[tuple[dt.date, int | None], ...]

_ALWAYS = dt.date.min
#: One weekly index an exchange since 20 November 2024.
_NO_MORE_WEEKLIES = dt.date(2024, 11, 20)
_JAN_2025 = dt.date(2025, 1, 1)
_SEP_2025 = dt.date(2025, 9, 1)

WEEKLY: dict[str, Rules] = {
    "NIFTY": ((_ALWAYS, _THU), (_SEP_2025, _TUE)),
    "BANKNIFTY": ((_ALWAYS, _THU), (dt.date(2023, 9, 4), _WED), (_NO_MORE_WEEKLIES, None)),
    "FINNIFTY": ((_ALWAYS, _TUE), (_NO_MORE_WEEKLIES, None)),
    "MIDCPNIFTY": ((_ALWAYS, _WED), (dt.date(2023, 8, 17), _MON), (_NO_MORE_WEEKLIES, None)),
    "NIFTYNXT50": ((_ALWAYS, None),),
    # The contract of Friday 3 January 2025 kept its day when the rest moved to Tuesdays.
    "SENSEX": ((_ALWAYS, _FRI), (dt.date(2025, 1, 6), _TUE), (_SEP_2025, _THU)),
    "BANKEX": ((_ALWAYS, _FRI), (dt.date(2023, 10, 16), _MON), (_NO_MORE_WEEKLIES, None)),
}

#: Last such weekday of the month; the rule in force on the first of the month counts.
MONTHLY: dict[str, Rules] = {
    "NIFTY": ((_ALWAYS, _THU), (_SEP_2025, _TUE)),
    "BANKNIFTY": ((_ALWAYS, _THU), (dt.date(2024, 3, 1), _WED), (_JAN_2025, _THU), (_SEP_2025, _TUE)),
    "FINNIFTY": ((_ALWAYS, _TUE), (_JAN_2025, _THU), (_SEP_2025, _TUE)),
    "MIDCPNIFTY": ((_ALWAYS, _WED), (dt.date(2023, 8, 1), _MON), (_JAN_2025, _THU), (_SEP_2025, _TUE)),
    "NIFTYNXT50": ((_ALWAYS, _FRI), (_JAN_2025, _THU), (_SEP_2025, _TUE)),
    "SENSEX": ((_ALWAYS, _FRI), (_JAN_2025, _TUE), (_SEP_2025, _THU)),
    "BANKEX": ((_ALWAYS, _FRI), (dt.date(2023, 10, 1), _MON), (_JAN_2025, _TUE), (_SEP_2025, _THU)),
}


def monthly_expiries(
    underlying: str, first: dt.date, last: dt.date, calendar: TradingCalendar = INDIA
) -> tuple[dt.date, ...]:
    """Monthly expiries within [first, last], ascending. Raises InputError for an unknown underlying or year."""
    exchange = _exchange(underlying)
    found = []
    year, month = first.year, first.month
    while (year, month) <= (last.year, last.month):
        nominal = _last_weekday(underlying, year, month)
        if _may_fall_in(nominal, last, calendar) and first <= (day := _adjusted(exchange, nominal, calendar)) <= last:
            found.append(day)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return tuple(found)


def weekly_expiries(
    underlying: str, first: dt.date, last: dt.date, calendar: TradingCalendar = INDIA
) -> tuple[dt.date, ...]:
    """Expiries within [first, last] of contracts that are not monthly, ascending.

    In the week of a monthly expiry there is no other, whatever the weekday. Raises InputError as above.
    """
    exchange = _exchange(underlying)
    found = []
    day = first
    # A holiday only moves an expiry back, by days at most: nominal days to a week past the end matter.
    while day <= last + 7 * _ONE_DAY:
        if (
            day.weekday() == _in_force(WEEKLY[underlying], day)
            and not _monthly_week(underlying, day)
            and _may_fall_in(day, last, calendar)
            and first <= (actual := _adjusted(exchange, day, calendar)) <= last
        ):
            found.append(actual)
        day += _ONE_DAY
    return tuple(found)


def expiries(underlying: str, first: dt.date, last: dt.date, calendar: TradingCalendar = INDIA) -> tuple[dt.date, ...]:
    """Every expiry within [first, last], weekly and monthly, ascending. Raises InputError as above."""
    weekly = weekly_expiries(underlying, first, last, calendar)
    return tuple(sorted({*weekly, *monthly_expiries(underlying, first, last, calendar)}))


@lru_cache(maxsize=4096)
def next_expiry(underlying: str, day: dt.date, calendar: TradingCalendar = INDIA) -> dt.date:
    """Give the nearest expiry on or after `day`. Raises InputError as above."""
    # Day by day, so that the last expiry of a year is found before next year's holidays are known.
    while not is_expiry_day(underlying, day, calendar):
        day += _ONE_DAY
    return day


def is_expiry_day(underlying: str, day: dt.date, calendar: TradingCalendar = INDIA) -> bool:
    """Whether contracts of the underlying expire on `day`. Raises InputError as above."""
    return day in expiries(underlying, day, day, calendar)


def is_monthly(underlying: str, expiry: dt.date, calendar: TradingCalendar = INDIA) -> bool:
    """Whether `expiry` is the month's expiry. Raises InputError as above."""
    return expiry in monthly_expiries(underlying, expiry, expiry, calendar)


def expiry_instant(exchange: str, day: dt.date, calendar: TradingCalendar = INDIA) -> int:
    """UTC ns at which contracts expiring on `day` stop trading: the day's last close. Raises InputError if closed."""
    sessions = calendar.sessions(exchange, day)
    if not sessions:
        raise InputError(f"{day}: {exchange} is closed, so nothing expires that day")
    return sessions[-1].close_ns


def _exchange(underlying: str) -> str:
    if underlying not in WEEKLY:
        raise InputError(f"underlying '{underlying}': no expiry rule; known: {', '.join(sorted(WEEKLY))}")
    return EXCHANGE_OF[underlying]


def _in_force(rules: Rules, day: dt.date) -> int | None:
    for (_, weekday), (until, _) in pairwise(rules):
        if day < until:
            return weekday
    return rules[-1][1]


@lru_cache(maxsize=1024)
def _last_weekday(underlying: str, year: int, month: int) -> dt.date:
    weekday = _in_force(MONTHLY[underlying], dt.date(year, month, 1))
    end = dt.date(year, month, pycalendar.monthrange(year, month)[1])
    assert weekday is not None  # every monthly rule has one
    return end - ((end.weekday() - weekday) % 7) * _ONE_DAY


def _monthly_week(underlying: str, day: dt.date) -> bool:
    """Whether the month's expiry falls into the Monday-to-Friday week of `day`."""
    monday = day - day.weekday() * _ONE_DAY
    return any(
        monday <= _last_weekday(underlying, edge.year, edge.month) < monday + 5 * _ONE_DAY
        for edge in (monday, monday + 4 * _ONE_DAY)
    )


def _may_fall_in(day: dt.date, last: dt.date, calendar: TradingCalendar) -> bool:
    """Whether a nominal day can count: one well past the end cannot, nor one past it in a year nobody knows yet."""
    return day <= last or (day <= last + 7 * _ONE_DAY and day.year in calendar.years)


def _adjusted(exchange: str, day: dt.date, calendar: TradingCalendar) -> dt.date:
    while not calendar.is_regular_day(exchange, day):
        day -= _ONE_DAY
    return day
