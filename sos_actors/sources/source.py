"""Where history comes from, in the order it is asked: the database first, and whatever stands behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from sos_actors.market.day import DataQuality, DayStats, MarketDay, TickColumns
from sos_actors.storage.market_store import MarketStore


class HistorySource(Protocol):
    """Something that may know days of an underlying. Every method raises DataError when what it has cannot be had."""

    @property
    def name(self) -> str:
        """Short name, as '--source' takes it and reports show it."""

    def days(self, underlying: str, candidates: Sequence[dt.date]) -> list[dt.date]:
        """Those of the candidates (trading days, ascending) it has data of."""

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Everything known of the day at bar grain; None when nothing is."""

    def load_ticks(self, underlying: str, day: dt.date) -> TickColumns | None:
        """The day's ticks in order of arrival; None when there are none."""

    def quality(self, underlying: str, day: dt.date) -> DataQuality:
        """What was wrong with the day's data, all grains together."""

    def day_stats(self, underlying: str, before: dt.date) -> DayStats | None:
        """The index's open, high, low and close of the last day before `before`; None when unknown."""


class DatabaseSource:
    """The market database as a source. With `every_expiry` all stored chains are loaded, else the nearest."""

    name = "database"

    def __init__(self, store: MarketStore, *, every_expiry: bool = False) -> None:
        self._store, self._every_expiry = store, every_expiry

    def days(self, underlying: str, candidates: Sequence[dt.date]) -> list[dt.date]:
        """Give the candidates that are stored."""
        stored = set(self._store.days(underlying))
        return [day for day in candidates if day in stored]

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Give the stored day."""
        return self._store.load_day(underlying, day, "all" if self._every_expiry else "front")

    def load_ticks(self, underlying: str, day: dt.date) -> TickColumns | None:
        """Give the stored ticks."""
        return self._store.load_ticks(underlying, day)

    def quality(self, underlying: str, day: dt.date) -> DataQuality:
        """Give what ingest found."""
        return self._store.quality(underlying, day)

    def day_stats(self, underlying: str, before: dt.date) -> DayStats | None:
        """Give the last stored day's figures."""
        return self._store.day_stats(underlying, before)


class SourceChain:
    """Sources asked in order; the first that knows the day answers.

    What any but the first brought is kept in `store`, when one is given, and then the first is asked again, so that
    the run that fetched a day sees exactly what later runs will see. Strict runs ('--no-backfill') simply have a chain
    of the database alone.
    """

    def __init__(self, sources: Sequence[HistorySource], store: MarketStore | None = None) -> None:
        self._sources, self._store = tuple(sources), store
        self.name = "+".join(source.name for source in self._sources)

    def days(self, underlying: str, candidates: Sequence[dt.date]) -> list[dt.date]:
        """Give the candidates any source has."""
        found: set[dt.date] = set()
        for source in self._sources:
            found.update(source.days(underlying, [day for day in candidates if day not in found]))
        return sorted(found)

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Give the day from the first source that has it; None when none has."""
        for place, source in enumerate(self._sources):
            found = source.load_day(underlying, day)
            if found is None:
                continue
            if place > 0 and self._store is not None:
                self._store.save_day(found)
                return self._sources[0].load_day(underlying, day) or found  # as it will be the next time
            return found
        return None

    def load_ticks(self, underlying: str, day: dt.date) -> TickColumns | None:
        """Give the ticks from the first source that has them."""
        return next((t for s in self._sources if (t := s.load_ticks(underlying, day)) is not None), None)

    def quality(self, underlying: str, day: dt.date) -> DataQuality:
        """Give what the first source that has the day says."""
        return next((s.quality(underlying, day) for s in self._sources if s.days(underlying, [day])), DataQuality())

    def day_stats(self, underlying: str, before: dt.date) -> DayStats | None:
        """Give the latest figures any source has; of equally late ones the first source's."""
        known = [stats for s in self._sources if (stats := s.day_stats(underlying, before)) is not None]
        return max(known, key=lambda stats: stats.day, default=None)
