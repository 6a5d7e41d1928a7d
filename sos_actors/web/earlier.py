"""What happened on a day before the daemon was started again: from the records of its earlier sessions.

A start plays the day's prices, so the observer has them; what was decided and done in an earlier life it has not heard.
That stands in the record of that life, which is read here, in the dashboard's own process.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from loguru import logger

from sos_actors.errors import SosError
from sos_actors.market.clocktime import ist_ns, midnight_ns
from sos_actors.messages import Bar, ChainSnapshot, MarketStructure, SessionPhase
from sos_actors.web.daybook import DayBook, Diary
from sos_actors.web.lives import DAMAGED, Life, Lives, told

#: What a start plays again.
_PLAYED = (Bar, ChainSnapshot, MarketStructure, SessionPhase)

#: When it is said that a session cannot be shown: before all that happened.
_MORNING = "09:00"

#: (day, session) -> the book of what earlier sessions did on that day.
ReadEarlier = Callable[[dt.date, str], DayBook]


def earlier_today(folder: Path) -> ReadEarlier:
    """Give what reads the sessions under `folder`. A record that cannot be read is left out, with a line in the log."""
    lives = Lives(folder)

    def read(day: dt.date, session: str) -> DayBook:
        diary = Diary()
        diary.book = DayBook(day)
        for earlier in _of_day(lives.all(), day, session):
            try:
                if earlier.kind == DAMAGED:
                    raise SosError(earlier.problem)
                for now, message in told(earlier, day, _PLAYED):
                    diary.take(now, message)
            except (SosError, OSError, msgspec.MsgspecError) as error:
                logger.warning("the pages lack what session {} did: {}", earlier.name, error)
                diary.book.events.append((ist_ns(day, _MORNING), "session", f"{earlier.name} is not shown: {error}"))
        return diary.book

    return read


def _of_day(lives: list[Life], day: dt.date, session: str) -> Iterator[Life]:
    """Give the lives before a session that reached into a day and traded where it does, oldest first.

    What a rehearsal on the sandbox exchange made in the morning is no result of the account that trades at noon.
    """
    place = next((n for n, life in enumerate(lives) if life.name == session), len(lives))
    own = lives[place].kind if place < len(lives) else DAMAGED
    for life in lives[:place]:
        if life.kind == DAMAGED:
            if life.name.startswith(day.isoformat()):
                yield life
        elif life.last >= midnight_ns(day) and own in {life.kind, DAMAGED}:
            yield life
