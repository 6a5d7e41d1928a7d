"""UTC nanoseconds to Indian wall-clock time and back, by arithmetic alone.

India Standard Time is UTC+05:30 and has had no daylight saving since 1945, so a fixed offset is exact for every
date this system can meet (a test compares it with zoneinfo's Asia/Kolkata). Days are also counted, 1970-01-01 being
number 0; what says so works on a number or, elementwise, on an array of them.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
#: IST minus UTC.
IST_OFFSET_NS = 19_800 * SECOND_NS
IST = dt.timezone(dt.timedelta(hours=5, minutes=30))

_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()

Ns = TypeVar("Ns", int, NDArray[np.int64])


def day_number(day: dt.date) -> int:
    """Days from 1970-01-01 to `day`."""
    return day.toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=64)
def date_of(number: int) -> dt.date:
    """Date of a day number."""
    return dt.date.fromordinal(int(number) + _EPOCH_ORDINAL)


def ist_day(ns: Ns) -> Ns:
    """Give the number of the day in India at the instant `ns` (UTC), or at each of an array."""
    return (ns + IST_OFFSET_NS) // DAY_NS


def ns_of_day(ns: Ns) -> Ns:
    """Nanoseconds since midnight IST at the instant `ns` (UTC), or at each of an array."""
    return (ns + IST_OFFSET_NS) % DAY_NS


def midnight_ns(day: dt.date) -> int:
    """UTC ns of 00:00 IST of `day`."""
    return day_number(day) * DAY_NS - IST_OFFSET_NS


def clock_seconds(text: str) -> int:
    """Seconds since midnight of 'HH:MM' or 'HH:MM:SS'; raises ValueError when it is neither."""
    parts = text.split(":")
    if len(parts) not in {2, 3} or not all(len(part) == 2 and part.isdecimal() for part in parts):
        raise ValueError(f"time of day '{text}': write HH:MM or HH:MM:SS, e.g. 15:15")
    hour, minute, second = (int(part) for part in (*parts, "00")[:3])
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"time of day '{text}': write HH:MM or HH:MM:SS, e.g. 15:15")
    return hour * 3600 + minute * 60 + second


def clock_ns(text: str) -> int:
    """Nanoseconds since midnight of 'HH:MM' or 'HH:MM:SS'; raises ValueError when it is neither."""
    return clock_seconds(text) * SECOND_NS


def ist_ns(day: dt.date, clock: str) -> int:
    """UTC ns of the wall-clock time `clock` ('HH:MM' or 'HH:MM:SS', IST) on `day`; raises ValueError."""
    return midnight_ns(day) + clock_ns(clock)


def ist_date(ns: int) -> dt.date:
    """Date in India at the instant `ns` (UTC)."""
    return date_of((ns + IST_OFFSET_NS) // DAY_NS)


def minute_of_day(ns: int) -> int:
    """Whole minutes since midnight IST, 0..1439; 09:15 is 555."""
    return (ns + IST_OFFSET_NS) % DAY_NS // MINUTE_NS


def ist_text(ns: int) -> str:
    """ISO 8601 in IST: '2025-09-02T09:15:00+05:30'; cut to the microsecond, which is left out where it is 0."""
    seconds, rest = divmod(ns, SECOND_NS)
    return dt.datetime.fromtimestamp(seconds, IST).replace(microsecond=rest // 1000).isoformat()


def ist_plain(ns: int) -> str:
    """Date and time in India as people read them, cut to the second: '2025-09-02 09:15:00'."""
    return ist_text(ns)[:19].replace("T", " ")


def ist_stamp(ns: int) -> str:
    """Date and time in India for the name of a file or folder, cut to the second: '2025-09-02-091500'."""
    return ist_text(ns)[:19].replace("T", "-").replace(":", "")


def ist_times(ns: NDArray[np.int64]) -> list[str]:
    """Instants (UTC ns) as ISO text in IST without a zone, cut to the second: '2025-09-02T09:15:00'."""
    text = np.datetime_as_string(((ns + IST_OFFSET_NS) // SECOND_NS).astype("datetime64[s]"))
    return [str(one) for one in text]
