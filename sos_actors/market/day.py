"""One day of one underlying as columns: what storage loads, sources bring and the feed gives out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

#: What a bar tells besides its start, in the order of the columns of `BarColumns`.
BAR_FIELDS = ("open", "high", "low", "close", "volume", "oi")
#: Interval of daily bars in seconds: bars this long or longer are history and never drive a session.
DAILY_S = 86_400

FloatColumn = NDArray[np.float64]
IntColumn = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars of one instrument, oldest first. `start` is UTC ns; volume in units; NaN where unknown."""

    instrument: str
    interval_s: int
    start: IntColumn
    open: FloatColumn
    high: FloatColumn
    low: FloatColumn
    close: FloatColumn
    volume: FloatColumn
    oi: FloatColumn

    def rows(self, which: slice | IntColumn | NDArray[np.bool_]) -> BarColumns:
        """Give the bars of some rows only: a range of them, their numbers or a mask."""
        columns = {name: getattr(self, name)[which] for name in ("start", *BAR_FIELDS)}
        return replace(self, **columns)


@dataclass(frozen=True, slots=True)
class ChainColumns:
    """The chain of one expiry over a day. `values` [minute, field of CHAIN_FIELDS, right, strike]; NaN: unknown."""

    underlying: str
    expiry: dt.date
    interval_s: int
    start: IntColumn
    strikes: FloatColumn
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TickColumns:
    """Ticks of many instruments in order of arrival. `which[i]` indexes `instruments`; times UTC ns."""

    underlying: str
    instruments: tuple[str, ...]
    which: NDArray[np.int32]
    ts: IntColumn
    ts_recv: IntColumn
    price: FloatColumn
    quantity: IntColumn
    day_volume: IntColumn
    oi: FloatColumn
    bid: FloatColumn
    ask: FloatColumn


@dataclass(frozen=True, slots=True)
class DataQuality:
    """What was wrong with a day's data. `rejected` and `snapped` count rows, by reason; `holes` are [start, end) ns."""

    rows: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    snapped: int = 0
    holes: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MarketDay:
    """Everything known of one underlying on one day. `index` is None where only the chain is known."""

    underlying: str
    day: dt.date
    index: BarColumns | None
    future: BarColumns | None
    chains: tuple[ChainColumns, ...]
    source: str
    simulated: bool = False
    quality: DataQuality = DataQuality()


@dataclass(frozen=True, slots=True)
class DayStats:
    """Open, high, low, close of an index on one day: what the next day's pivots are made of."""

    underlying: str
    day: dt.date
    open: float
    high: float
    low: float
    close: float


#: day -> what the index did on the trading day before, None where nobody knows.
PreviousDay = Callable[[dt.date], DayStats | None]
