"""The shelf of a daemon's own recordings: minutes as they closed, and which of them are in doubt."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from sos_actors.market.minute_book import RecordedMinutes
from sos_actors.storage.day_states import DayState, DayStates
from sos_actors.storage.market_store import MarketStore

#: The source that recorded blocks and the states of recorded days have.
LIVE = "live"


class MinuteShelf:
    """Stores what a daemon records. Opened at first use, so that the database belongs to the thread that uses it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: MarketStore | None = None

    @property
    def _store(self) -> MarketStore:
        if self._opened is None:
            self._opened = MarketStore(self._path)
        return self._opened

    def begin(self, underlying: str, day: dt.date, now: int) -> None:
        """Mark the day as one that is not whole, unless it is whole already. Raises StorageError."""
        states = DayStates(self._store)
        state = states.get(underlying, day)
        if state is None or not state.complete:
            states.put(underlying, day, DayState(complete=False, source=LIVE, note="being recorded", at=now))

    def keep(self, underlying: str, day: dt.date, minutes: RecordedMinutes) -> None:
        """Store the minutes and their doubts in one transaction. Raises StorageError."""
        with self._store.transaction():
            for bars in minutes.bars:
                self._store.save_bars(bars, day, LIVE)
            for chain in minutes.chains:
                self._store.save_chain(chain, day, LIVE)
            if minutes.doubtful:
                DayStates(self._store).doubt(underlying, day, minutes.doubtful)

    def close(self) -> None:
        """Close the database."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
