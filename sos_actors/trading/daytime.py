"""Time of day in India from a UTC time stamp. India has kept one offset, +05:30, since 1945."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

NS_PER_SECOND = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_SECOND
IST_OFFSET_NS = 19_800 * NS_PER_SECOND

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()


def ns_of_day(ts: int) -> int:
    """Nanoseconds since midnight, Indian time, of the UTC time `ts` in ns."""
    return (ts + IST_OFFSET_NS) % NS_PER_DAY


def day_of(ts: int) -> dt.date:
    """Give the Indian date of the UTC time `ts` in ns."""
    return _date((ts + IST_OFFSET_NS) // NS_PER_DAY)


@lru_cache(maxsize=16)
def _date(days: int) -> dt.date:
    return dt.date.fromordinal(_EPOCH_ORDINAL + days)


def parse_hhmm(text: str) -> int:
    """Nanoseconds since midnight of 'HH:MM'; raises ValueError saying what was expected."""
    hours, colon, minutes = text.partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise ValueError(f"time of day '{text}': write HH:MM, Indian time, e.g. 15:15")
    return (int(hours) * 60 + int(minutes)) * 60 * NS_PER_SECOND
