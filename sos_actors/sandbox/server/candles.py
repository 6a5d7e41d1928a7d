"""Candles as the broker gives them: any interval from minute bars, newest first."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

import numpy as np

from sos_actors.market.clocktime import MINUTE_NS, ist_date, ist_text, midnight_ns
from sos_actors.market.day import BarColumns
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.sandbox.days import MarketDays
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.listing import contract_of

#: A candle: start (ISO, IST), open, high, low, close, volume, open interest.
Row = list[str | float | int]
_KEY = re.compile(r"(NSE_EQ|NSE_FO|NCD_FO|BSE_EQ|BSE_FO|BCD_FO|MCX_FO|NSE_COM|NSE_INDEX|BSE_INDEX|MCX_INDEX)\|[\w ]+")
_EXPIRED_KEY = re.compile(r"(NSE_FO|BSE_FO)\|(\d+)\|(\d{2})-(\d{2})-(\d{4})")
_LONGEST = {"minutes": 300, "hours": 5, "days": 1, "weeks": 1, "months": 1}
#: Days a call may span, by unit; minutes above 15 as hours.
_MONTH, _QUARTER, _DECADE = 31, 92, 3660
_SINCE_MINUTES, _SINCE_DAYS = dt.date(2022, 1, 1), dt.date(2000, 1, 1)
#: Intervals of V2 and of expired contracts.
V2_INTERVALS = {
    "1minute": ("minutes", 1),
    "30minute": ("minutes", 30),
    "day": ("days", 1),
    "week": ("weeks", 1),
    "month": ("months", 1),
}
EXPIRED_INTERVALS = {
    "1minute": ("minutes", 1),
    "3minute": ("minutes", 3),
    "5minute": ("minutes", 5),
    "15minute": ("minutes", 15),
    "30minute": ("minutes", 30),
    "day": ("days", 1),
}


class CandleBook:
    """Candles of one market. Slow where many days are asked for: call it off the server's loop, one at a time."""

    def __init__(self, days: MarketDays) -> None:
        self._days = days

    def history(
        self, instrument: Instrument, unit: str, interval: int, first: dt.date, last: dt.date, today: dt.date
    ) -> list[Row]:
        """Candles from `first` to `last`, today left out, as the broker does; newest first."""
        last = min(last, today - dt.timedelta(days=1))
        parts = [self._days.bars(instrument, day) for day in self._trading_days(instrument, first, last)]
        return _rows([part for part in parts if part is not None], unit, interval)

    def expired(self, instrument: Instrument, unit: str, interval: int, first: dt.date, last: dt.date) -> list[Row]:
        """Candles of a contract that has expired; newest first."""
        assert instrument.expiry is not None  # only contracts expire
        last = min(last, instrument.expiry)
        parts = [self._days.bars(instrument, day) for day in self._trading_days(instrument, first, last)]
        return _rows([part for part in parts if part is not None], unit, interval)

    def intraday(self, instrument: Instrument, unit: str, interval: int, now_ns: int) -> list[Row]:
        """Candles of today from the minutes that are over; newest first."""
        today = ist_date(now_ns)
        bars = self._days.bars(instrument, today) if self._trading_days(instrument, today, today) else None
        if bars is None:
            return []
        over = int(np.searchsorted(bars.start + MINUTE_NS, now_ns, side="right"))
        return _rows([bars.rows(slice(over))], unit, interval) if over else []

    def _trading_days(self, instrument: Instrument, first: dt.date, last: dt.date) -> tuple[dt.date, ...]:
        exchange = EXCHANGE_OF[instrument.underlying]
        first = max(first, _SINCE_DAYS)
        return self._days.schedule.calendar.trading_days(exchange, first, last) if first <= last else ()


def parse_v3(unit: str, interval: str) -> tuple[str, int]:
    """Check unit and interval of a V3 path; raises Refusal 1146, 1147."""
    if unit not in _LONGEST:
        raise Refusal("1146", "Unit is invalid: minutes, hours, days, weeks or months", path="unit", value=unit)
    if not interval.isdecimal() or not 1 <= int(interval) <= _LONGEST[unit]:
        text = f"Interval is invalid: {unit} take 1 to {_LONGEST[unit]}"
        raise Refusal("1147", text, path="interval", value=interval)
    return unit, int(interval)


def parse_day(text: str, name: str) -> dt.date:
    """Read a date of a path; raises Refusal 1022."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise Refusal("1022", f"{name} must be a date, YYYY-MM-DD", path=name, value=text) from None


def check_range(unit: str, interval: int, first: dt.date | None, last: dt.date) -> dt.date:
    """Give the first day, a default where none was given; raises Refusal 1015, 1148."""
    short = unit == "minutes" and interval <= 15
    days = _MONTH if short else _QUARTER if unit in {"minutes", "hours"} else _DECADE
    if first is None:
        return last - dt.timedelta(days=days - 1)
    if first > last:
        raise Refusal("1015", "from_date must not be after to_date", path="from_date", value=first)
    if unit not in {"weeks", "months"} and (last - first).days > days:
        raise Refusal("1148", f"The range of dates is too long: {days} days for this interval", path="from_date")
    return max(first, _SINCE_MINUTES if unit in {"minutes", "hours"} else _SINCE_DAYS)


def find_instrument(key: str, table: InstrumentTable) -> Instrument:
    """Find the instrument of a key; raises Refusal 1021 for its form, 100011 when it is not listed."""
    if not _KEY.fullmatch(key):
        raise Refusal("1021", "Instrument key is of invalid format", path="instrumentKey", value=key)
    found = table.by_key(key)
    if found is None:
        raise Refusal("100011", "Invalid Instrument key", path="instrumentKey", value=key)
    return found


def find_expired(key: str, days: MarketDays) -> Instrument:
    """Find the contract of an expired key, 'NSE_FO|47983|17-04-2025'; raises Refusal 1021, 100011."""
    parts = _EXPIRED_KEY.fullmatch(key)
    if not parts:
        raise Refusal("1021", "Instrument key is of invalid format", path="expired_instrument_key", value=key)
    try:
        expiry = dt.date(int(parts[5]), int(parts[4]), int(parts[3]))
        found = contract_of(parts[1], int(parts[2]), expiry, expiry, days.schedule)
    except ValueError:
        found = None
    if found is None or found.underlying not in days.underlyings:
        raise Refusal("100011", "Invalid Instrument key", path="expired_instrument_key", value=key)
    return found


def _rows(parts: list[BarColumns], unit: str, interval: int) -> list[Row]:
    """Candles of the parts (ascending days), newest first; a bucket counts from its day's first minute."""
    rows = [row for part in parts for row in _day_rows(part, unit, interval)]
    if unit in {"weeks", "months"}:
        rows = list(_longer(rows, unit))
    return [[ist_text(int(row[0])), *row[1:]] for row in reversed(rows)]


def _day_rows(bars: BarColumns, unit: str, interval: int) -> Iterator[list[float]]:
    """Candles of one day, oldest first, with the start as UTC ns."""
    known = bars.rows(~np.isnan(bars.close))
    start = known.start
    if not len(start):
        return
    each = {"minutes": interval, "hours": 60 * interval}.get(unit)
    if each is None:
        place = np.zeros(len(start), np.int64)
        labels = np.full(1, midnight_ns(ist_date(int(start[0]))))
    else:
        place = (start - bars.start[0]) // (each * MINUTE_NS)
        labels = bars.start[0] + np.unique(place) * each * MINUTE_NS
    first = np.flatnonzero(np.diff(place, prepend=-1))
    last = np.append(first[1:], len(start)) - 1
    high, low = np.maximum.reduceat(known.high, first), np.minimum.reduceat(known.low, first)
    volume = np.add.reduceat(np.nan_to_num(known.volume), first).astype(np.int64)
    oi = np.nan_to_num(known.oi[last]).astype(np.int64)
    lists = (labels, known.open[first], high, low, known.close[last], volume, oi)
    yield from (list(row) for row in zip(*(one.tolist() for one in lists), strict=True))


def _longer(rows: list[list[float]], unit: str) -> Iterator[list[float]]:
    """Join daily rows to weeks (from Monday) or months, labelled by their first calendar day."""
    joined: list[float] | None = None
    label = 0
    for row in rows:
        day = ist_date(int(row[0]))
        begin = day - dt.timedelta(days=day.weekday()) if unit == "weeks" else day.replace(day=1)
        if joined is None or midnight_ns(begin) != label:
            if joined is not None:
                yield joined
            label = midnight_ns(begin)
            joined = [label, *row[1:]]
        else:
            joined[2], joined[3], joined[4] = max(joined[2], row[2]), min(joined[3], row[3]), row[4]
            joined[5], joined[6] = joined[5] + row[5], row[6]
    if joined is not None:
        yield joined
