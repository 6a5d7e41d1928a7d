"""Past days of the daemon, out of the records of its sessions: each day whole, however often it was started again.

A day's run is named by where its orders went and its date: `live 2026-11-20`, `paper 2026-11-20`. What was traded with
real money and what was not is never one run. Only a day that is opened is read, once, and the last few are kept.
"""

from __future__ import annotations

import datetime as dt
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sos_actors.errors import DataError, InputError, SosError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import ist_text
from sos_actors.market.day import DataQuality
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.messages import ActorBenched, ActorFailed
from sos_actors.reports.figures import Session
from sos_actors.reports.run import DayQuality, RunRecord, RunResult, run_result
from sos_actors.runtime.journal.recording import INCOMPLETE
from sos_actors.web.daybook import DayBook, Diary
from sos_actors.web.lives import DAMAGED, Life, Lives, kind_of, told
from sos_actors.web.schema import SessionRow

#: Days kept ready; one is some ten megabytes.
_KEPT = 3
#: Seconds a list of the sessions is good for: one that still runs has to be looked at anew.
_LISTED_S = 15.0
#: Seconds, and times its reading, before a day that still grows is read anew.
_GROWN_S, _GROWN_TIMES = 30.0, 20.0
_NAME = re.compile(r"[a-z ]+ \d{4}-\d\d-\d\d")
#: What a day's trading was worth believing, by kind.
FILLS = {
    "live": "by the broker, with real money",
    "paper": "simulated on the broker's live prices; no order left the machine",
    "sandbox": "by a simulated exchange, at simulated prices",
}


@dataclass(frozen=True, slots=True)
class _Day:
    """A day's run: which day, and the lives it is made of, in order."""

    day: dt.date | None
    lives: tuple[Life, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """A day as it was read at an instant, in so many seconds, from records of these sizes."""

    sizes: tuple[tuple[str, int], ...]
    at: float
    took: float
    book: DayBook
    result: RunResult


def name_of(mode: str, day: dt.date) -> str:
    """Give the name of a day's run; `mode` as a daemon's status says it, or a life's kind."""
    return f"{kind_of(mode)} {day}"


class RecordedDays:
    """The recorded days of the daemon, as runs that can be looked at. Safe on any thread."""

    def __init__(
        self, folder: Path, under_way: Callable[[], str] = str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`folder` holds the sessions; `under_way` gives the name of a day's run that is not over, and not offered."""
        self._lives, self._under_way, self._monotonic = Lives(folder), under_way, monotonic
        self._listed: tuple[float, dict[str, _Day]] | None = None
        self._kept: OrderedDict[str, _Read] = OrderedDict()
        self._lock = threading.Lock()

    def symbols(self) -> list[str]:
        """Give every underlying that was traded."""
        return list(dict.fromkeys(name for one in self._days().values() for life in one.lives for name in life.symbols))

    def rows(self) -> list[SessionRow]:
        """List the days that can be opened, then the sessions they are made of; the newest first."""
        listed, hidden = self._days(), self._under_way()
        days = [_row(name, one) for name, one in listed.items() if name != hidden]
        lives = {life.name: life for one in listed.values() for life in one.lives}
        return days + [_session_row(life) for life in sorted(lives.values(), key=lambda life: life.name, reverse=True)]

    def knows(self, run: str) -> bool:
        """Say whether this is the name of a recorded day, though perhaps of one that was deleted."""
        return run in self._days() or _NAME.fullmatch(run) is not None

    def result(self, run: str) -> RunResult:
        """Give what a day came to, as a backtest's result is."""
        return self._open(run).result

    def days(self, run: str) -> list[dt.date]:
        """Give the one day of a run."""
        day = self._day(run).day
        return [] if day is None else [day]

    def book(self, run: str, day: dt.date) -> DayBook:
        """Give the whole day."""
        if day not in self.days(run):
            raise InputError(f"{run} has no {day}: a recorded run is one day")
        return self._open(run).book

    def _days(self) -> dict[str, _Day]:
        """Give the days by name, the newest first."""
        now = self._monotonic()
        if self._listed is None or now - self._listed[0] > _LISTED_S:
            self._listed = now, _by_day(self._lives.all())
        return self._listed[1]

    def _day(self, run: str) -> _Day:
        """Give a day that is listed; raises a SosError that says why it is not."""
        found = self._days().get(run)
        if found is None:
            raise InputError(
                f"'{run}' is not recorded, or no more: old sessions are deleted (journal.keep_days, journal.keep_mb)"
            )
        if found.day is None:
            raise DataError(f"session {found.lives[0].name} cannot be read: {found.lives[0].problem}")
        return found

    def _open(self, run: str) -> _Read:
        """Give a day, read where it was not or has grown much since."""
        with self._lock:
            day = self._day(run)
            sizes = tuple((life.name, life.size) for life in day.lives)
            found, now = self._kept.get(run), self._monotonic()
            if found is None or (
                found.sizes != sizes and now - found.at > max(_GROWN_S, _GROWN_TIMES * found.took)
            ):  # a day that a daemon still lives through grows with every question
                found = self._kept[run] = self._read(run, day, sizes)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(run)
            return found

    def _read(self, run: str, one: _Day, sizes: tuple[tuple[str, int], ...]) -> _Read:
        assert one.day is not None
        began = self._monotonic()
        book, broken, notes = _whole_day(one.day, one.lives)
        if not (book.bars or book.events or book.marks or book.trades):
            told_why = f": {'; '.join(notes)}" if notes else ""
            raise DataError(f"{run}: nothing of that day stands in its record{told_why}")
        result = run_result(_record(one.day, one.lives, book, broken, notes))
        now = self._monotonic()
        return _Read(sizes, now, now - began, book, result)


def _by_day(lives: Sequence[Life]) -> dict[str, _Day]:
    days: dict[tuple[dt.date, str], list[Life]] = {}
    damaged = [life for life in lives if life.kind == DAMAGED]
    for life in lives:
        for day in life.days() if life.kind != DAMAGED else ():
            days.setdefault((day, life.kind), []).append(life)
    found = {name_of(kind, day): _Day(day, tuple(those)) for (day, kind), those in sorted(days.items(), reverse=True)}
    return found | {f"{DAMAGED} {life.name}": _Day(None, (life,)) for life in reversed(damaged)}


def _row(name: str, one: _Day) -> SessionRow:
    first = one.lives[0]
    if one.day is None:
        return SessionRow(kind="recorded", name=name, day="", problem=first.problem)
    sessions = "1 session" if len(one.lives) == 1 else f"{len(one.lives)} sessions"
    return SessionRow(kind="recorded", name=name, day=str(one.day), detail=f"{sessions}, {_fills(first)}")


def _session_row(life: Life) -> SessionRow:
    detail = "" if life.kind == DAMAGED else f"{life.kind}, {ist_text(life.began)[:16]} to {ist_text(life.last)[:16]}"
    cut = "" if life.kind == DAMAGED or life.end else ", was cut off or still runs"
    return SessionRow(kind="session", name=life.name, detail=detail + cut, problem=life.problem)


def _fills(life: Life) -> str:
    return f"fills {FILLS.get(life.kind, 'of a stage not known')}"


def _whole_day(
    day: dt.date, lives: Sequence[Life]
) -> tuple[DayBook, tuple[list[ActorFailed], list[ActorBenched]], list[str]]:
    """Read a day through: its book, what failed and was benched, and what is missing of it."""
    book, notes = DayBook(day), []
    failed: list[ActorFailed] = []
    benched: list[ActorBenched] = []
    for life in lives:
        diary = Diary()
        diary.book = DayBook(day)
        try:
            for now, message in told(life, day):
                diary.take(now, message)
                if isinstance(message, ActorFailed):
                    failed.append(message)
                elif isinstance(message, ActorBenched):
                    benched.append(message)
        except (SosError, OSError, msgspec.MsgspecError) as error:
            why = f"is shown as far as it can be read: {error}"
            gone = "was deleted meanwhile (journal.keep_days, journal.keep_mb)"
            notes.append(f"session {life.name} {why if life.folder.is_dir() else gone}")
        if life.end is not None and life.end.reason.startswith(INCOMPLETE):
            notes.append(f"session {life.name} was recorded in part only, {life.end.reason}")
        later = diary.book
        if later.day == day:  # else it ended while it played the days before
            later.go_before(book)
            book = later
    book.events = sorted(dict.fromkeys(book.events))  # a start tells the day's phases again
    return book, (failed, benched), notes


def _record(
    day: dt.date, lives: Sequence[Life], book: DayBook, broken: tuple[list[ActorFailed], list[ActorBenched]],
    notes: Sequence[str],
) -> RunRecord:  # fmt: skip
    last = lives[-1]
    quality = DataQuality(notes=tuple(notes))
    symbols = tuple(dict.fromkeys(name for life in lives for name in life.symbols))
    hours = INDIA.sessions(EXCHANGE_OF.get(symbols[0], "NSE"), day) if day.year in INDIA.years else ()
    return RunRecord(
        run_hash="", config_hash=last.config_hash, code_version=last.code, seed=0, source=last.kind, symbols=symbols,
        from_date=day, to_date=day,
        strategies=tuple(dict.fromkeys(name for life in lives for name in life.strategies)),
        starting_equity_paise=book.marks[0].equity_paise if book.marks else 0,
        sessions=(Session(day, hours[0].open_ns, hours[-1].close_ns),) if hours else (),
        trades=book.trades, refusals=book.refusals, signals=book.signals, explained=book.explained,
        plans=list(book.plans.values()), orders=book.orders, marks=book.marks, fills=book.fills,
        failed=broken[0], benched=broken[1],
        quality=[
            DayQuality(underlying=name, day=day, source=last.kind, simulated=last.kind == "sandbox", quality=quality)
            for name in symbols
        ],
        assumptions={
            "fills": FILLS.get(last.kind, ""),
            "sessions": ", ".join(life.name for life in lives),
        },
    )  # fmt: skip
