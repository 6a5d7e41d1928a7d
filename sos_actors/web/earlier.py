"""What happened on a day before the daemon was started again: from the records of its earlier sessions.

A start plays the day's prices, so the observer has them; what was decided and done in an earlier life it has not heard.
That stands in the record of that life, which is read here, in the dashboard's own process.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from sos_actors.errors import SosError
from sos_actors.market.clocktime import ist_date, ist_ns
from sos_actors.messages import Bar, ChainSnapshot, MarketStructure, SessionPhase, decode
from sos_actors.runtime.journal.deliveries import heard_by
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.journal.sessions import before
from sos_actors.web.daybook import WRITTEN, DayBook, Diary

#: Who hears what a day's book is made of.
_OBSERVER = "observer"
#: What a start plays again.
_PLAYED = (Bar, ChainSnapshot, MarketStructure, SessionPhase)
_TOLD: dict[str, Any] = {kind.__name__: kind for kind in WRITTEN if kind not in _PLAYED}

#: When it is said that a session cannot be shown: before all that happened.
_MORNING = "09:00"

#: (day, session) -> the book of what earlier sessions did on that day.
ReadEarlier = Callable[[dt.date, str], DayBook]


def earlier_today(folder: Path) -> ReadEarlier:
    """Give what reads the sessions under `folder`. A record that cannot be read is left out, with a line in the log."""

    def read(day: dt.date, session: str) -> DayBook:
        diary = Diary()
        diary.book = DayBook(day)
        for earlier in _of_day(folder, day, session):
            try:
                for now, message in _told(earlier, day):
                    diary.take(now, message)
            except (SosError, OSError, msgspec.MsgspecError) as error:
                logger.warning("the pages lack what session {} did: {}", earlier.name, error)
                diary.book.events.append((ist_ns(day, _MORNING), "session", f"{earlier.name} is not shown: {error}"))
        return diary.book

    return read


def _of_day(folder: Path, day: dt.date, session: str) -> list[Path]:
    """Give the sessions begun on a day before this one, and the last of a day before, which may have run into it."""
    found = before(folder, session)
    today = [one for one in found if one.name.startswith(day.isoformat())]
    return found[-len(today) - 1 :]


def _told(session: Path, day: dt.date) -> Iterator[tuple[int, Any]]:
    for now, kind, body in heard_by(JournalReader(session), _OBSERVER, _TOLD.keys()):
        if ist_date(now) == day:
            yield now, decode(body, _TOLD[kind])
