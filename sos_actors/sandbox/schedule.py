"""When the simulated market is open and what it lists: sessions, expiries, lots and strike steps.

Rules only, without the list of holidays: every weekday is a session. Session times and expiry weekdays follow the
exchanges' changes of 2024-26.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

IST = ZoneInfo("Asia/Kolkata")
MINUTE_NS = 60_000_000_000
_OPEN = dt.time(9, 15)
_LONGER_FROM = dt.date(2026, 8, 3)
_TUESDAY, _THURSDAY = 1, 3
_NSE_TUESDAY_FROM = dt.date(2025, 9, 1)
_LOTS = {"NIFTY": 75, "BANKNIFTY": 30, "SENSEX": 20}
_NIFTY_65_FROM = dt.date(2026, 1, 6)
_STEPS = {"NIFTY": 50.0, "BANKNIFTY": 100.0, "SENSEX": 100.0}
_WEEKLY = frozenset({"NIFTY", "SENSEX"})


def is_session(day: dt.date) -> bool:
    """Whether the market trades on `day`."""
    return day.weekday() < 5


def open_ns(day: dt.date) -> int:
    """Start of the first minute of `day`, UTC ns."""
    return int(dt.datetime.combine(day, _OPEN, IST).timestamp()) * 1_000_000_000


def minutes(day: dt.date) -> int:
    """Length of the session, minutes: 375 to 15:30, 385 to 15:40 since 3 August 2026."""
    return 385 if day >= _LONGER_FROM else 375


def close_ns(day: dt.date) -> int:
    """End of the last minute of `day`, UTC ns."""
    return open_ns(day) + minutes(day) * MINUTE_NS


def sessions_between(first: dt.date, last: dt.date) -> int:
    """Sessions after `first` up to and including `last`."""
    return sum(is_session(dt.date.fromordinal(k)) for k in range(first.toordinal() + 1, last.toordinal() + 1))


def expiries(underlying: str, day: dt.date) -> tuple[dt.date, dt.date]:
    """Find the expiry in front on `day` (that day itself counts) and the first monthly one after it."""
    days = [dt.date.fromordinal(day.toordinal() + k) for k in range(75)]
    dates = [d for d in days if d.weekday() == _weekday(underlying, d)]
    monthly = [d for d in dates if (d + dt.timedelta(days=7)).month != d.month]
    front = dates[0] if underlying in _WEEKLY else monthly[0]
    return front, next(d for d in monthly if d > front)


def future_expiry(underlying: str, day: dt.date) -> dt.date:
    """Expiry of the near future: the first monthly expiry from `day` on."""
    front, following = expiries(underlying, day)
    return front if (front + dt.timedelta(days=7)).month != front.month else following


def lot_size(underlying: str, expiry: dt.date) -> int:
    """Units in a lot of contracts of that expiry."""
    if underlying == "NIFTY" and expiry >= _NIFTY_65_FROM:
        return 65
    return _LOTS.get(underlying, 25)


def strike_step(underlying: str) -> float:
    """Index points between listed strikes."""
    return _STEPS.get(underlying, 50.0)


def _weekday(underlying: str, day: dt.date) -> int:
    if underlying == "SENSEX":
        return _THURSDAY if day >= _NSE_TUESDAY_FROM else _TUESDAY
    return _TUESDAY if day >= _NSE_TUESDAY_FROM else _THURSDAY
