"""The chain of sources behind the database: what it lacks is brought by the first that can, stored, then read there.

A run always reads the database alone, so that the run that fetched a day sees exactly what later runs will see.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

from sos_actors.sources.facts import MarketFacts
from sos_actors.sources.ingest import Progress, ingest
from sos_actors.storage.day_states import DayStates
from sos_actors.storage.market_store import MarketStore


@dataclass(frozen=True, slots=True)
class DayReport:
    """What became of one day of an underlying that was asked for. `did`: 'kept' is what was stored before and stays.

    Counts are rows stored and rejected, instruments fetched, stretches without a candle; `note` says what is missing.
    """

    underlying: str
    day: dt.date
    did: Literal["stored", "incomplete", "nothing", "kept"]
    rows: int = 0
    rejected: int = 0
    contracts: int = 0
    holes: int = 0
    note: str = ""


class Bringer(Protocol):
    """A source behind the database."""

    @property
    def name(self) -> str:
        """Short name, as `data.sources` has it."""

    def bring(
        self, underlying: str, days: Sequence[dt.date], *, force: bool = False, tell: Progress | None = None
    ) -> Iterator[DayReport]:
        """Store those of the days (ascending) it has; gives a report for each day. Raises SosError."""


class FileSource:
    """Files and folders as a source: of each only the days that are missing are taken."""

    name = "files"

    def __init__(self, paths: Sequence[Path], store: MarketStore, facts: MarketFacts) -> None:
        self._paths, self._store, self._facts = tuple(paths), store, facts

    def bring(
        self, underlying: str, days: Sequence[dt.date], *, force: bool = False, tell: Progress | None = None
    ) -> Iterator[DayReport]:
        """Store the days the files have. Raises InputError for a file that cannot be used."""
        before = set(self._store.days(underlying))
        missing = [day for day in days if force or day not in before]
        for first, last in runs(missing, days):
            for path in self._paths:
                ingest(
                    [path], self._store, None, underlying, first, last,
                    force=force, progress=tell, facts=self._facts, pass_over=True,
                )  # fmt: skip
        after = set(self._store.days(underlying))
        for day in days:
            did: Literal["stored", "kept", "nothing"] = "kept" if day in before else "stored"
            yield DayReport(underlying, day, did if day in after else "nothing")


def runs(some: Sequence[dt.date], of: Sequence[dt.date]) -> list[tuple[dt.date, dt.date]]:
    """Give the stretches [first, last] of `some` days that are neighbours in `of`; both ascending."""
    if not some:
        return []
    place = {day: number for number, day in enumerate(of)}
    cuts = [number for number, (one, other) in enumerate(pairwise(some), 1) if place[other] != place[one] + 1]
    starts, ends = [0, *cuts], [*cuts, len(some)]
    return [(some[start], some[end - 1]) for start, end in zip(starts, ends, strict=True)]


def missing_days(store: MarketStore, underlying: str, days: Iterable[dt.date]) -> list[dt.date]:
    """Give the days of which the database has nothing, or less than there may be."""
    days = list(days)
    if not days:
        return []
    stored = set(store.days(underlying))
    states = DayStates(store).between(underlying, min(days), max(days))
    return [day for day in days if day not in stored or (day in states and not states[day].complete)]


def fill(
    store: MarketStore,
    bringers: Sequence[Bringer],
    underlying: str,
    days: Sequence[dt.date],
    tell: Progress | None = None,
) -> list[DayReport]:
    """Have the missing ones of the days brought, each by the first source that can; gives what was done.

    Raises what the sources raise.
    """
    reports: dict[dt.date, DayReport] = {}
    for bringer in bringers:
        missing = missing_days(store, underlying, days)
        if missing:
            for report in bringer.bring(underlying, missing, tell=tell):
                if report.did != "nothing" or report.day not in reports:
                    reports[report.day] = report
    return [reports[day] for day in sorted(reports)]
