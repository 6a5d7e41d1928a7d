"""Where history comes from, in the order it is asked: the database first, and whatever stands behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from sos_actors.market.day import MarketDay
from sos_actors.storage.market_store import MarketStore


class HistorySource(Protocol):
    """Something that may know a day of an underlying."""

    @property
    def name(self) -> str:
        """Short name, as '--source' takes it and reports show it."""

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Everything known of the day; None when nothing is. Raises DataError when it should be there but failed."""


class DatabaseSource:
    """The market database as a source. With `every_expiry` all stored chains are loaded, else the nearest."""

    name = "database"

    def __init__(self, store: MarketStore, *, every_expiry: bool = False) -> None:
        self._store, self._every_expiry = store, every_expiry

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Give the stored day."""
        return self._store.load_day(underlying, day, "all" if self._every_expiry else "front")


class SourceChain:
    """Sources asked in order; the first that knows the day answers.

    What any but the first brought is kept in `store`, when one is given, and then the first is asked again, so that
    the run that fetched a day sees exactly what later runs will see. Strict runs ('--no-backfill') simply have a chain
    of the database alone.
    """

    name = "chain"

    def __init__(self, sources: Sequence[HistorySource], store: MarketStore | None = None) -> None:
        self._sources, self._store = tuple(sources), store

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
