"""Single values of the broker's answers, read so that an odd one never costs the row it stands in.

The broker sends numbers as strings here and there, null or "NA" for nothing, times as IST text without a zone in two
formats (its documentation shows both) or as milliseconds.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
from typing import Any

from sos_actors.market.clocktime import IST, SECOND_NS
from sos_actors.messages import Side
from sos_actors.runtime.walltime import ns_of

NAN = math.nan
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%d-%m-%Y %H:%M:%S")
_NOTHING = {"", "NA", "N/A", "null", "None"}
#: Numbers above this are milliseconds since the epoch, not seconds (the year 2286 in seconds).
_MS_FROM = 10_000_000_000


def text(value: Any) -> str:
    """Give a text; '' for null, "NA" and what is no single value."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    found = str(value).strip()
    return "" if found in _NOTHING else found


def number(value: Any) -> float:
    """Give a number, NaN where there is none. Numbers written as text are read."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return NAN
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return NAN
    return found if math.isfinite(found) else NAN


def price(value: Any) -> float:
    """Give a price in rupees; NaN where there is none, which the broker also writes as 0."""
    found = number(value)
    return found if found > 0 else NAN


def units(value: Any) -> int:
    """Give a count, 0 where there is none."""
    found = number(value)
    return 0 if math.isnan(found) else round(found)


def side(value: Any) -> Side | None:
    """Give the side a row names; None for a word that is neither."""
    return {"BUY": Side.BUY, "B": Side.BUY, "SELL": Side.SELL, "S": Side.SELL}.get(text(value).upper())


def instant(value: Any) -> int:
    """Give a time as UTC ns; 0 where there is none or nobody can read it."""
    return _instant(text(value))


@functools.lru_cache(maxsize=4096)  # every read of a book shows the same times again
def _instant(found: str) -> int:
    if not found:
        return 0
    if found.isdecimal():
        count = int(found)
        return count * SECOND_NS // (1000 if count >= _MS_FROM else 1)
    moment = _moment(found)
    if moment is None:
        return 0
    return ns_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=IST))


def _moment(found: str) -> dt.datetime | None:
    for pattern in _FORMATS:
        try:
            return dt.datetime.strptime(found, pattern)  # noqa: DTZ007 - the zone, if any, is seen to by the caller
        except ValueError:
            continue
    try:
        return dt.datetime.fromisoformat(found)
    except ValueError:
        return None
