"""The broker's holiday lists, one file a year under `<home>/calendar/`, laid over the built-in tables.

What counts is in which list the derivatives segment stands, not the row's type: see `TradingCalendar.with_holidays`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sos_actors.decoding import from_json
from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.clocktime import ist_text
from sos_actors.market.expiries import next_expiry

log = logging.getLogger(__name__)
Row = Mapping[str, Any]


class CalendarFiles:
    """The holiday lists of a home folder."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "calendar"

    def keep(self, rows: Sequence[Row]) -> list[str]:
        """Keep the broker's rows by year, in place of that year's older ones; says where they differ from the tables.

        Raises InputError for rows of another shape; what was kept then stays.
        """
        told = differences(INDIA_TABLES, INDIA_TABLES.with_holidays(rows))
        years: dict[str, list[Row]] = {}
        for row in rows:
            years.setdefault(str(row["date"])[:4], []).append(row)
        self._folder.mkdir(parents=True, exist_ok=True)
        for year, own in years.items():
            scratch = self._folder / f".{year}.json"
            scratch.write_bytes(msgspec.json.format(msgspec.json.encode(own)))
            scratch.replace(self._folder / f"{year}.json")
        return told

    def load(self) -> TradingCalendar:
        """Give the tables with every kept list laid over them. A list that cannot be read is left out, with a warning.

        The sequence is by year, so that it does not matter in which they were kept.
        """
        calendar = INDIA_TABLES
        for path in sorted(self._folder.glob("[0-9][0-9][0-9][0-9].json")):
            try:
                calendar = calendar.with_holidays(from_json(path.read_bytes(), list[dict[str, Any]]))
            except (InputError, msgspec.MsgspecError, OSError) as error:
                log.warning("%s: left out, the built-in table stands: %s", path, error)
        return calendar

    def kept_on(self, year: int) -> dt.date | None:
        """Give the day (UTC) on which the year's list was kept; None when there is none."""
        path = self._folder / f"{year}.json"
        return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).date() if path.exists() else None

    def adopt(self) -> None:
        """Make the process's calendar, which every part reads, that of the kept lists. For the start of a command."""
        INDIA.become(self.load())
        next_expiry.cache_clear()


#: The tables as they are in the program, whatever was adopted since.
INDIA_TABLES = TradingCalendar()


def differences(tables: TradingCalendar, told: TradingCalendar) -> list[str]:
    """Say in one line each on which days the two calendars differ, for the years both know."""
    found = []
    for exchange in ("NSE", "BSE"):
        for day in told.overridden(exchange):
            if day.year not in tables.years:
                continue
            ours, theirs = tables.sessions(exchange, day), told.sessions(exchange, day)
            if ours != theirs:
                found.append(f"{exchange} {day}: the broker says {_hours(theirs)}, the built-in table {_hours(ours)}")
    return found


def _hours(sessions: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{ist_text(start)[11:16]}-{ist_text(end)[11:16]}" for start, end in sessions) or "closed"
