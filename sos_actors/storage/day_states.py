"""What each stored day is worth, and what was fetched of a day that is not yet whole.

A day that is fetched goes through three steps: each contract's rows are kept as they came (`keep_fetched`), all of them
are checked and stored in one transaction, and with it the day's state is written and the rows are dropped. A fetch that
is cut short goes on at the contract where it stopped; no day ever looks whole that is not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import zstandard

from sos_actors.storage.database import storage_errors
from sos_actors.storage.market_store import MarketStore


class DayState(msgspec.Struct, frozen=True, kw_only=True):
    """`complete`: nothing more is to be had. `every_option`: every listed option, not those near the money alone.

    `source` is who wrote it ('upstox', 'live'), `note` says what is missing, `at` when it was written (UTC ns).
    """

    complete: bool
    every_option: bool = False
    source: str = ""
    note: str = ""
    at: int = 0


class DayStates:
    """The states of days and the fetched rows in the market database of `store`."""

    def __init__(self, store: MarketStore) -> None:
        self._store, self._db = store, store.db

    def get(self, underlying: str, day: dt.date) -> DayState | None:
        """Give the day's state; None for a day nobody fetched or recorded (one from files is taken for whole)."""
        return self.between(underlying, day, day).get(day)

    def between(self, underlying: str, first: dt.date, last: dt.date) -> dict[dt.date, DayState]:
        """Give the states of the days from `first` to `last`, both included, oldest first."""
        with storage_errors(self._store.path):
            rows = self._db.execute(
                "SELECT day, complete, every_option, source, note, at FROM day_state "
                "WHERE underlying = ? AND day BETWEEN ? AND ? ORDER BY day",
                (underlying, first.isoformat(), last.isoformat()),
            )
            return {
                dt.date.fromisoformat(day): DayState(
                    complete=bool(complete), every_option=bool(every), source=source, note=note, at=at
                )
                for day, complete, every, source, note, at in rows
            }

    def put(self, underlying: str, day: dt.date, state: DayState) -> None:
        """Write the day's state in place of the last."""
        with self._store.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO day_state VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    underlying, day.isoformat(), int(state.complete), int(state.every_option), state.source,
                    state.note, state.at,
                ),
            )  # fmt: skip

    def keep_fetched(self, underlying: str, instrument: str, rows: Mapping[dt.date, Sequence[Any]]) -> None:
        """Keep the rows of one contract as they came, by day; a day without rows is kept as such."""
        with self._store.transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO fetched VALUES (?, ?, ?, ?)",
                [
                    (underlying, day.isoformat(), instrument, zstandard.compress(msgspec.json.encode(own), 1))
                    for day, own in rows.items()
                ],
            )

    def fetched(self, underlying: str, day: dt.date, instrument: str | None = None) -> dict[str, list[list[Any]]]:
        """Give the rows kept of a day, by instrument, or those of one instrument alone."""
        with storage_errors(self._store.path):
            found = self._db.execute(
                "SELECT instrument, rows FROM fetched WHERE underlying = ?1 AND day = ?2 "
                "AND instrument = coalesce(?3, instrument) ORDER BY instrument",
                (underlying, day.isoformat(), instrument),
            )
            return {name: msgspec.json.decode(zstandard.decompress(rows)) for name, rows in found}

    def is_fetched(self, underlying: str, day: dt.date, instrument: str) -> bool:
        """Whether the rows of an instrument's day are kept."""
        with storage_errors(self._store.path):
            found = self._db.execute(
                "SELECT 1 FROM fetched WHERE underlying = ? AND day = ? AND instrument = ?",
                (underlying, day.isoformat(), instrument),
            )
            return found.fetchone() is not None

    def drop_fetched(self, underlying: str, day: dt.date) -> None:
        """Forget the rows kept of a day."""
        with self._store.transaction():
            self._db.execute("DELETE FROM fetched WHERE underlying = ? AND day = ?", (underlying, day.isoformat()))

    def doubt(self, underlying: str, day: dt.date, minutes: Iterable[tuple[str, int]]) -> None:
        """Note recorded minutes (instrument, start in UTC ns) in which the feed had a hole."""
        with self._store.transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO doubtful_minute VALUES (?, ?, ?, ?)",
                [(underlying, day.isoformat(), instrument, start) for instrument, start in minutes],
            )

    def doubtful(self, underlying: str, day: dt.date) -> set[tuple[str, int]]:
        """Give the day's minutes in doubt."""
        with storage_errors(self._store.path):
            found = self._db.execute(
                "SELECT instrument, start FROM doubtful_minute WHERE underlying = ? AND day = ?",
                (underlying, day.isoformat()),
            )
            return {(instrument, start) for instrument, start in found}

    def settle(self, underlying: str, day: dt.date, minutes: Iterable[tuple[str, int]]) -> None:
        """Take minutes out of doubt: history has filled them."""
        with self._store.transaction():
            self._db.executemany(
                "DELETE FROM doubtful_minute WHERE underlying = ? AND day = ? AND instrument = ? AND start = ?",
                [(underlying, day.isoformat(), instrument, start) for instrument, start in minutes],
            )
