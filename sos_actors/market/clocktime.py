"""UTC nanoseconds to Indian wall-clock time and back, by arithmetic alone.

India Standard Time is UTC+05:30 and has had no daylight saving since 1945, so a fixed offset is exact for every
date this system can meet (a test compares it with zoneinfo's Asia/Kolkata).
"""

from __future__ import annotations

import datetime as dt

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
#: IST minus UTC.
IST_OFFSET_NS = 19_800 * SECOND_NS

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()


def midnight_ns(day: dt.date) -> int:
    """UTC ns of 00:00 IST of `day`."""
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY_NS - IST_OFFSET_NS


def clock_seconds(text: str) -> int:
    """Seconds since midnight of 'HH:MM' or 'HH:MM:SS'; raises ValueError when it is neither."""
    parts = text.split(":")
    if len(parts) not in {2, 3} or not all(len(part) == 2 and part.isdecimal() for part in parts):
        raise ValueError(f"'{text}' is no time of day: write HH:MM or HH:MM:SS")
    hour, minute, second = (int(part) for part in (*parts, "00")[:3])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"'{text}' is no time of day: write HH:MM or HH:MM:SS")
    return hour * 3600 + minute * 60 + second


def ist_ns(day: dt.date, clock: str) -> int:
    """UTC ns of the wall-clock time `clock` ('HH:MM' or 'HH:MM:SS', IST) on `day`; raises ValueError."""
    return midnight_ns(day) + clock_seconds(clock) * SECOND_NS


def ist_date(ns: int) -> dt.date:
    """Date in India at the instant `ns` (UTC)."""
    return dt.date.fromordinal((ns + IST_OFFSET_NS) // DAY_NS + _EPOCH_ORDINAL)


def minute_of_day(ns: int) -> int:
    """Whole minutes since midnight IST, 0..1439; 09:15 is 555."""
    return (ns + IST_OFFSET_NS) % DAY_NS // MINUTE_NS


def ist_text(ns: int) -> str:
    """ISO 8601 in IST: '2025-09-02T09:15:00+05:30'; fractions only where there are any, to the nanosecond."""
    inside = (ns + IST_OFFSET_NS) % DAY_NS
    second, fraction = divmod(inside, SECOND_NS)
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{ist_date(ns)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}{tail}+05:30"
