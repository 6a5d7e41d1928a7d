"""A day's columns laid out in time: which bars and frames are known at the end of each interval.

Nothing is given out before its interval has closed, which is what keeps a backtest from seeing the future.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.market.day import BarColumns, ChainColumns, MarketDay
from sos_actors.market.ids import option_id
from sos_actors.messages import CE, NAN, PE, Bar, ChainFrame, DayLoaded, Right, VolumeSource


class Quote(NamedTuple):
    """A contract's bar with the quotes at its end (NaN where unknown)."""

    bar: Bar
    bid: float
    ask: float


def _lane(columns: BarColumns | None, times: NDArray[np.int64], labels: list[int]) -> list[Bar | None]:
    """Lay one instrument's bars along `times` (`labels` as a list): at each the bar that ends there, else None."""
    if columns is None:
        return [None] * len(times)
    ends = columns.start + columns.interval_s * SECOND_NS
    known = bool(np.isfinite(columns.volume).any())
    prices = (columns.open, columns.high, columns.low, columns.close)
    bars = list(
        map(
            Bar,
            repeat(columns.instrument),
            columns.start.tolist(),
            labels if len(ends) == len(times) else ends.tolist(),  # as many as there are times: then they are these
            *(column.tolist() for column in prices),
            columns.volume.tolist() if known else repeat(NAN),
            columns.oi.tolist() if np.isfinite(columns.oi).any() else repeat(NAN),
            repeat(VolumeSource.EXCHANGE if known else VolumeSource.NONE),
        )
    )
    if len(bars) == len(times):
        return list(bars)
    return [None if row < 0 else bars[row] for row in _rows(ends, times)]


class _ChainRows:
    """Frames of one expiry."""

    def __init__(self, columns: ChainColumns, times: NDArray[np.int64]) -> None:
        self.columns = columns
        self.length = columns.interval_s * SECOND_NS
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


def longest_interval(day: MarketDay) -> int:
    """Length in seconds of the longest bars the day has of anything: an order may have to wait as long for a price."""
    return max((one.interval_s for one in (day.index, day.future, *day.chains) if one is not None), default=0)


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
        ends = [c.start + c.interval_s * SECOND_NS for c in [*columns, *chains]]
        times = ends[0] if len(ends) == 1 else np.unique(np.concatenate([np.empty(0, np.int64), *ends]))
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
        #: (instrument, its bar at each time or None): near futures and indices, a future before its index.
        self.lanes: list[tuple[str, list[Bar | None]]] = []
        self._chains: list[tuple[_ChainRows, list[Bar | None], list[Bar | None]]] = []
        for day in days:
            future, index = (_lane(columns, times, self.times) for columns in (day.future, day.index))
            self.lanes += [(c.instrument, lane) for c, lane in ((day.future, future), (day.index, index)) if c]
            self._chains += [(_ChainRows(chain, times), index, future) for chain in day.chains]
        self._bars = dict(self.lanes)
        self._contracts = {name: rows for rows, _, _ in self._chains for name in rows.places}

    def frames(self, i: int) -> list[ChainFrame]:
        """Give every chain frame that ends at time i."""
        found = []
        for rows, index, future in self._chains:
            bar = index[i]
            frame = rows.frame(i, NAN if bar is None else bar.close, future[i])
            if frame is not None:
                found.append(frame)
        return found

    def quote(self, instrument: str, i: int) -> Quote | None:
        """Give any instrument's bar and quotes at time i; None where it has none, or is not on the tape."""
        chain = self._contracts.get(instrument)
        if chain is not None:
            return chain.quote(instrument, i)
        lane = self._bars.get(instrument)
        bar = None if lane is None else lane[i]
        return None if bar is None else Quote(bar, NAN, NAN)

    def has(self, instrument: str) -> bool:
        """Say whether the instrument is anywhere on the tape."""
        return instrument in self._contracts or instrument in self._bars
