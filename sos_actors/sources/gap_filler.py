"""History into the gaps of a recorded day, and nowhere else: what was recorded soundly is never touched.

A minute has a gap when the index or the chain has nothing of it, or when any instrument's bar of it is in doubt. An
option without a bar in a minute that has no gap did not trade, and stays without one.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sos_actors.errors import SosError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.day import ChainColumns, DataQuality, IntColumn, MarketDay
from sos_actors.market.ids import EXCHANGE_OF, index_id, option_id
from sos_actors.messages import CE, CHAIN_FIELDS, PE, GapsFilled, GapsSuspected, Right
from sos_actors.sources.candle_rows import Rows, store_day
from sos_actors.sources.facts import MarketFacts
from sos_actors.sources.grouping import holes
from sos_actors.storage.day_states import DayState, DayStates
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.minute_shelf import LIVE

#: (instrument id, day) -> its one-minute rows as the broker gives them. Raises SosError.
MinutesOf = Callable[[str, dt.date], Rows]
_CLOSE = CHAIN_FIELDS.index("close")


class GapFiller:
    """Fills gaps in the database at `path`. Each call opens it anew, so that any thread may call."""

    def __init__(
        self, path: Path, minutes_of: MinutesOf, facts: MarketFacts, calendar: TradingCalendar = INDIA
    ) -> None:
        self._path, self._minutes_of, self._facts, self._calendar = path, minutes_of, facts, calendar

    def __call__(self, asked: GapsSuspected) -> GapsFilled:
        """Fill what can be filled. Raises SosError when history cannot be had or the database not be written."""
        with MarketStore(self._path) as store:
            return self._fill(store, asked)

    def _fill(self, store: MarketStore, asked: GapsSuspected) -> GapsFilled:
        underlying, day, states = asked.underlying, asked.day, DayStates(store)
        recorded = store.load_day(underlying, day, "all")
        if recorded is None:
            return GapsFilled(underlying, day, error="nothing of the day is recorded")
        doubtful = states.doubtful(underlying, day)
        gaps = self._gaps(recorded, doubtful, asked.until)
        cells = 0
        if len(gaps):
            history = self._history(recorded)
            with store.transaction():
                cells = self._merge(store, recorded, history, gaps, doubtful)
                states.settle(underlying, day, sorted(_found(history, doubtful)))
        after = store.load_day(underlying, day, ())  # a minute in which no option traded is no gap any more
        left = len(self._gaps(after, states.doubtful(underlying, day), asked.until))
        self._note(store, asked, left)
        return GapsFilled(underlying, day, minutes=len(gaps), cells=cells, left=left)

    def _gaps(self, day: MarketDay | None, doubtful: set[tuple[str, int]], until: int) -> IntColumn:
        """Give the starts of the session's minutes that ended by `until` and have a gap, ascending."""
        if day is None:
            return np.empty(0, np.int64)
        spans = self._calendar.sessions(EXCHANGE_OF[day.underlying], day.day)
        minutes = np.concatenate(
            [np.arange(s.open_ns, min(s.close_ns, until - MINUTE_NS + 1), MINUTE_NS) for s in spans]
        )
        there = [one.start for one in (day.index, *day.chains[:1]) if one is not None]
        missing = [minutes[~np.isin(minutes, start)] for start in there] if day.index is not None else [minutes]
        doubts = np.array(sorted({start for _, start in doubtful}), np.int64)
        return np.unique(np.concatenate([*missing, minutes[np.isin(minutes, doubts)]]))

    def _history(self, recorded: MarketDay) -> MarketDay | None:
        """Fetch the whole day of every recorded instrument, checked as rows of a file are."""
        rows: dict[str, Rows] = {}
        for instrument in _instruments(recorded):
            try:
                rows[instrument] = self._minutes_of(instrument, recorded.day)
            except SosError:
                if instrument == index_id(recorded.underlying):
                    raise  # the broker cannot be asked at all
        with tempfile.TemporaryDirectory() as folder, MarketStore(Path(folder) / "history.db") as scratch:
            store_day(scratch, recorded.underlying, recorded.day, rows, "history", self._facts)
            return scratch.load_day(recorded.underlying, recorded.day, "all")

    def _merge(
        self,
        store: MarketStore,
        recorded: MarketDay,
        history: MarketDay | None,
        gaps: IntColumn,
        doubtful: set[tuple[str, int]],
    ) -> int:
        """Store what history has of the gaps, where nothing sound was recorded; gives the number of bars."""
        if history is None:
            return 0
        count = 0
        for new in (history.index, history.future):
            if new is None:
                continue
            old = recorded.index if new is history.index else recorded.future
            sound = _sound(new.instrument, old.start, doubtful) if old is not None else np.empty(0, np.int64)
            keep = np.isin(new.start, gaps) & ~np.isin(new.start, sound)
            if keep.any():
                store.save_bars(new.rows(keep), recorded.day, "upstox:fill")
                count += int(keep.sum())
        for chain in history.chains:
            own = next((one for one in recorded.chains if one.expiry == chain.expiry), None)
            new_cells = _lacking(chain, own, gaps, doubtful)
            if new_cells.any():
                values = np.where(new_cells[:, None], chain.values, np.nan)
                used = new_cells.any(axis=(1, 2))
                filled = replace(chain, start=chain.start[used], values=values[used])
                store.save_chain(filled, recorded.day, "upstox:fill")
                count += int(new_cells.sum())
        return count

    def _note(self, store: MarketStore, asked: GapsSuspected, left: int) -> None:
        """Write what the day is worth now; a day is whole when it is over and has no gap left."""
        whole = store.load_day(asked.underlying, asked.day, "front")
        if whole is None or whole.index is None:
            return
        spans = tuple(
            (s.open_ns, s.close_ns) for s in self._calendar.sessions(EXCHANGE_OF[asked.underlying], asked.day)
        )
        quality = DataQuality(rows=len(whole.index.start), holes=holes(whole.index.start, 60, spans))
        note = "" if asked.final and not left else f"{left} minute(s) missing or in doubt" if left else "being recorded"
        state = DayState(complete=asked.final and not left, source=LIVE, note=note, at=asked.until)
        with store.transaction():
            if asked.final:
                store.save_quality(asked.underlying, asked.day, LIVE, quality)
            DayStates(store).put(asked.underlying, asked.day, state)


def _instruments(day: MarketDay) -> list[str]:
    """Give every instrument of a day: the index, the future, both options of each strike of each chain."""
    found = [index_id(day.underlying)]
    if day.future is not None:
        found.append(day.future.instrument)
    for chain in day.chains:
        found += [
            option_id(day.underlying, chain.expiry, strike, right)
            for strike in chain.strikes.tolist()
            for right in (Right.CE, Right.PE)
        ]
    return found


def _sound(instrument: str, start: IntColumn, doubtful: set[tuple[str, int]]) -> IntColumn:
    """Give the recorded minutes of an instrument that are not in doubt."""
    doubts = np.array([minute for name, minute in sorted(doubtful) if name == instrument], np.int64)
    return start[~np.isin(start, doubts)]


def _lacking(
    new: ChainColumns, old: ChainColumns | None, gaps: IntColumn, doubtful: set[tuple[str, int]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Mark [minute, right, strike] of `new` that lie in a gap, are known, and were not recorded soundly."""
    close = new.values[:, _CLOSE]
    wanted: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = ~np.isnan(close) & np.isin(new.start, gaps)[:, None, None]
    if old is None:
        return wanted
    place = {minute: number for number, minute in enumerate(old.start.tolist())}
    for k, strike in enumerate(new.strikes.tolist()):
        at = int(np.searchsorted(old.strikes, strike))
        if at == len(old.strikes) or old.strikes[at] != strike:
            continue
        for side, right in ((CE, Right.CE), (PE, Right.PE)):
            name = option_id(new.underlying, new.expiry, strike, right)
            for row in np.flatnonzero(wanted[:, side, k]).tolist():
                minute = int(new.start[row])
                was = place.get(minute)
                if (
                    was is not None
                    and not np.isnan(old.values[was, _CLOSE, side, at])
                    and (name, minute) not in doubtful
                ):
                    wanted[row, side, k] = False
    return wanted


def _found(history: MarketDay | None, doubtful: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Give the doubtful minutes that history has an answer to.

    Where history has the index's minute and not the option's, the option did not trade, and there is no doubt left.
    """
    if history is None or history.index is None:
        return set()
    known = set(history.index.start.tolist())
    return {(instrument, minute) for instrument, minute in doubtful if minute in known}
