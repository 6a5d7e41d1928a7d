"""A day's columns laid out in time: which bars and frames are known at the end of each interval.

Nothing is given out before its interval has closed, which is what keeps a backtest from seeing the future.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.day import BarColumns, ChainColumns, MarketDay
from sos_actors.market.ids import option_id
from sos_actors.messages import CE, NAN, PE, Bar, ChainFrame, DayLoaded, Right, VolumeSource

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Quote:
    """A contract's bar with the quotes at its end (NaN where unknown)."""

    bar: Bar
    bid: float
    ask: float


class _BarRows:
    """Bars of one instrument as Python lists: making a Bar from them is a matter of a tenth of a microsecond."""

    def __init__(self, columns: BarColumns, times: NDArray[np.int64]) -> None:
        length = columns.interval_s * NS
        self.instrument = columns.instrument
        self.rows = _rows(columns.start + length, times)
        self._start: list[int] = columns.start.tolist()
        self._end: list[int] = (columns.start + length).tolist()
        self._prices = tuple(
            zip(*(c.tolist() for c in (columns.open, columns.high, columns.low, columns.close)), strict=True)
        )
        self._volume: list[float] = columns.volume.tolist()
        self._oi: list[float] = columns.oi.tolist()
        known = bool(np.isfinite(columns.volume).any())
        self._source = VolumeSource.EXCHANGE if known else VolumeSource.NONE

    def bar(self, i: int) -> Bar | None:
        """Give the bar that ends at time i, if there is one."""
        row = self.rows[i]
        if row < 0:
            return None
        o, h, low, c = self._prices[row]
        return Bar(
            self.instrument,
            self._start[row],
            self._end[row],
            o,
            h,
            low,
            c,
            self._volume[row],
            self._oi[row],
            self._source,
        )


class _ChainRows:
    """Frames of one expiry."""

    def __init__(self, columns: ChainColumns, times: NDArray[np.int64]) -> None:
        self.columns = columns
        self.length = columns.interval_s * NS
        self.rows = _rows(columns.start + self.length, times)
        self.starts: list[int] = columns.start.tolist()
        self.places = {
            option_id(columns.underlying, columns.expiry, strike, right): (place, k)
            for right, place in ((Right.CE, CE), (Right.PE, PE))
            for k, strike in enumerate(columns.strikes.tolist())
        }
        columns.values.setflags(write=False)
        columns.strikes.setflags(write=False)

    def frame(self, i: int, spot: float, future: Bar | None) -> ChainFrame | None:
        """Give the frame that ends at time i, if there is one."""
        row = self.rows[i]
        if row < 0:
            return None
        c, start = self.columns, self.starts[row]
        price, oi = (future.close, future.oi) if future is not None else (NAN, NAN)
        return ChainFrame(c.underlying, c.expiry, start, start + self.length, c.strikes, c.values[row], spot, price, oi)

    def quote(self, instrument: str, i: int) -> Quote | None:
        """Give one contract's bar and quotes at time i; None where it neither traded nor was quoted."""
        row = self.rows[i]
        if row < 0:
            return None
        place, k = self.places[instrument]
        o, h, low, c, volume, oi, bid, ask = self.columns.values[row, :, place, k].tolist()
        if c != c:  # NaN: no price in this interval
            return None
        start = self.starts[row]
        return Quote(Bar(instrument, start, start + self.length, o, h, low, c, volume, oi), bid, ask)


def interval_of(day: MarketDay) -> int:
    """Length in seconds of the day's bars (of its frames, where it has no index)."""
    columns = [day.index] if day.index is not None else list(day.chains)
    return min((c.interval_s for c in columns), default=0)


def _rows(ends: NDArray[np.int64], times: NDArray[np.int64]) -> list[int]:
    """For each of `times` the index in `ends` (ascending) that equals it, else -1."""
    at = np.searchsorted(ends, times)
    found = at < len(ends)
    found[found] = ends[at[found]] == times[found]
    rows: list[int] = np.where(found, at, -1).tolist()
    return rows


class Tape:
    """The days of one or more underlyings, side by side.

    `times` are the ends (UTC ns, ascending) at which something becomes known; `i` below is an index into them.
    `contents` says what each underlying has.
    """

    def __init__(self, days: Sequence[MarketDay]) -> None:
        columns: list[BarColumns | ChainColumns]
        columns = [c for day in days for c in (day.index, day.future) if c is not None]
        chains = [chain for day in days for chain in day.chains]
        ends = [c.start + c.interval_s * NS for c in [*columns, *chains]]
        times = np.unique(np.concatenate(ends)) if ends else np.empty(0, np.int64)
        self.times: list[int] = times.tolist()
        self.contents = [
            DayLoaded(
                day.underlying,
                day.day,
                day.index is not None,
                day.index is not None and bool(np.isfinite(day.index.volume).any()),
                "" if day.future is None else day.future.instrument,
                bool(day.chains),
                interval_of(day),
            )
            for day in days
        ]
        self._days = [
            (
                None if day.future is None else _BarRows(day.future, times),
                None if day.index is None else _BarRows(day.index, times),
                [_ChainRows(chain, times) for chain in day.chains],
            )
            for day in days
        ]
        self._bars = {rows.instrument: rows for future, index, _ in self._days for rows in (future, index) if rows}
        self._contracts = {name: rows for _, _, chains in self._days for rows in chains for name in rows.places}

    def at(self, i: int) -> tuple[list[ChainFrame], list[Bar]]:
        """Give every frame and every index and future bar that ends at time i; a future comes before its index."""
        frames: list[ChainFrame] = []
        bars: list[Bar] = []
        for future_rows, index_rows, chains in self._days:
            future = future_rows.bar(i) if future_rows is not None else None
            index = index_rows.bar(i) if index_rows is not None else None
            if future is not None:
                bars.append(future)
            if index is not None:
                bars.append(index)
            spot = index.close if index is not None else NAN
            for chain in chains:
                frame = chain.frame(i, spot, future)
                if frame is not None:
                    frames.append(frame)
        return frames, bars

    def quote(self, instrument: str, i: int) -> Quote | None:
        """Give any instrument's bar and quotes at time i; None where it has none, or is not on the tape."""
        chain = self._contracts.get(instrument)
        if chain is not None:
            return chain.quote(instrument, i)
        rows = self._bars.get(instrument)
        bar = rows.bar(i) if rows is not None else None
        return None if bar is None else Quote(bar, NAN, NAN)

    def has(self, instrument: str) -> bool:
        """Say whether the instrument is anywhere on the tape."""
        return instrument in self._contracts or instrument in self._bars
