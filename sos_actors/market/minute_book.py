"""The minutes of one underlying as they close, put together to columns for storage. No clock, no I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.market.day import BAR_FIELDS, BarColumns, ChainColumns
from sos_actors.market.ids import parse_id
from sos_actors.messages import CE, CHAIN_FIELDS, PE, Bar, ChainFrame, Right


@dataclass(frozen=True, slots=True)
class RecordedMinutes:
    """What was heard since the last time. `doubtful` are minutes (instrument, start) in which the feed had a hole."""

    bars: tuple[BarColumns, ...]
    chains: tuple[ChainColumns, ...]
    doubtful: tuple[tuple[str, int], ...]

    def __bool__(self) -> bool:
        return bool(self.bars or self.chains)


class MinuteBook:
    """Collects bars and chain frames. What a contract's own bar says stands over what a frame says of it."""

    def __init__(self, underlying: str) -> None:
        self.underlying = underlying
        self._bars: dict[tuple[str, int], dict[int, Bar]] = {}
        self._options: dict[tuple[dt.date, int], dict[tuple[int, int, float], Bar]] = {}
        self._frames: dict[tuple[dt.date, int], dict[int, ChainFrame]] = {}
        self._doubtful: dict[tuple[str, int], None] = {}

    def take_bar(self, bar: Bar) -> None:
        """Take the bar of the index, a future or an option; the same minute again replaces it."""
        parts, interval_s = parse_id(bar.instrument), (bar.end - bar.start) // SECOND_NS
        if parts.expiry is not None and parts.strike is not None:
            side = CE if parts.right is Right.CE else PE
            self._options.setdefault((parts.expiry, interval_s), {})[bar.start, side, parts.strike] = bar
        else:
            self._bars.setdefault((bar.instrument, interval_s), {})[bar.start] = bar
        if bar.complete:
            self._doubtful.pop((bar.instrument, bar.start), None)
        else:
            self._doubtful[bar.instrument, bar.start] = None

    def take_frame(self, frame: ChainFrame) -> None:
        """Take one minute of a chain."""
        interval_s = (frame.end - frame.start) // SECOND_NS
        self._frames.setdefault((frame.expiry, interval_s), {})[frame.start] = frame

    def minutes(self) -> RecordedMinutes:
        """Give what was taken since `clear`."""
        bars = tuple(
            _bar_columns(instrument, interval_s, [own[start] for start in sorted(own)])
            for (instrument, interval_s), own in sorted(self._bars.items())
        )
        expiries = sorted({*self._options, *self._frames})
        return RecordedMinutes(bars, tuple(self._chain(*key) for key in expiries), tuple(self._doubtful))

    def clear(self) -> None:
        """Forget what was taken: it is stored."""
        self._bars.clear()
        self._options.clear()
        self._frames.clear()
        self._doubtful.clear()

    def _chain(self, expiry: dt.date, interval_s: int) -> ChainColumns:
        frames, bars = self._frames.get((expiry, interval_s), {}), self._options.get((expiry, interval_s), {})
        start = np.array(sorted({*frames, *(key[0] for key in bars)}), np.int64)
        listed: Iterable[float] = (strike for frame in frames.values() for strike in frame.strikes.tolist())
        strikes = np.array(sorted({*listed, *(key[2] for key in bars)}), np.float64)
        values = np.full((len(start), len(CHAIN_FIELDS), 2, len(strikes)), np.nan)
        for minute, frame in frames.items():
            values[np.searchsorted(start, minute), :, :, np.searchsorted(strikes, frame.strikes)] = np.moveaxis(
                frame.values, 2, 0
            )
        for (minute, side, strike), bar in bars.items():
            cell = values[np.searchsorted(start, minute), :, side, np.searchsorted(strikes, strike)]
            own = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.oi, bar.bid, bar.ask)
            cell[:] = np.where(np.isnan(own), cell, own)
        return ChainColumns(self.underlying, expiry, interval_s, start, strikes, values)


def _bar_columns(instrument: str, interval_s: int, bars: list[Bar]) -> BarColumns:
    start = np.array([bar.start for bar in bars], np.int64)
    columns = (np.array([getattr(bar, name) for bar in bars], np.float64) for name in BAR_FIELDS)
    return BarColumns(instrument, interval_s, start, *columns)
