"""Where a run's history comes from: the database, or the simulated market. What fills the database: `fallback`."""

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
