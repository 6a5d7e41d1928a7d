"""Recorded days as a market to play: stored ticks where there are any, else minute bars spread into ticks."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import DataError
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS
from sos_actors.market.contracts import OPTION_TICK
from sos_actors.market.day import BarColumns, ChainColumns, MarketDay, TickColumns
from sos_actors.market.expiries import expiries
from sos_actors.market.ids import parse_id
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Right
from sos_actors.messages.market import CE, CHAIN_FIELDS, PE
from sos_actors.sandbox.bars import ceil_tick, floor_tick
from sos_actors.sandbox.days import chain_bars
from sos_actors.sandbox.schedule import Schedule
from sos_actors.sandbox.session_path import VIX
from sos_actors.sandbox.tape import DayTape, TickRow, strike_place
from sos_actors.sandbox.ticks import Minutes

Array = NDArray[np.float64]
#: Days kept open.
_KEPT_DAYS = 4
#: Half the spread of what was recorded without a quote, fraction of the price; a tick at least.
HALF_SPREAD = 0.001
#: Seconds within a minute at which its four prices are played, and how late each arrives.
_PLACES, _LATENCY_NS = (1, 20, 40, 59), 60_000_000


class History(Protocol):
    """Where recorded days come from."""

    def days(self, underlying: str, candidates: Sequence[dt.date]) -> list[dt.date]:
        """Those of the candidates it has data of."""

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Everything known of the day at bar grain."""

    def load_ticks(self, underlying: str, day: dt.date) -> TickColumns | None:
        """The day's ticks in order of arrival."""


class RecordedDays:
    """The days that are stored of some underlyings; on all others the market stays as the last one left it."""

    def __init__(self, history: History, underlyings: tuple[str, ...], schedule: Schedule | None = None) -> None:
        self._history, self._underlyings = history, underlyings
        self._schedule = schedule or Schedule()
        self._tapes: OrderedDict[dt.date, RecordedTape] = OrderedDict()

    @property
    def schedule(self) -> Schedule:
        """Sessions and terms of contracts."""
        return self._schedule

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings with contracts."""
        return self._underlyings

    def tape(self, day: dt.date) -> DayTape:
        """Give a stored day; raises DataError where nothing is stored."""
        return self._tape(day)

    def latest(self, day: dt.date) -> dt.date | None:
        """Last stored day of the half year up to `day`."""
        candidates = [day - dt.timedelta(days=back) for back in range(183, -1, -1)]
        found = [days[-1] for name in self._underlyings if (days := self._history.days(name, candidates))]
        return max(found, default=None)

    def expiries(self, underlying: str, first: dt.date, last: dt.date) -> tuple[dt.date, ...]:
        """Weekly and monthly expiries."""
        return expiries(underlying, first, last, self._schedule.calendar)

    def bars(self, instrument: Instrument, day: dt.date) -> BarColumns | None:
        """Bars as they were recorded; None where nothing was."""
        if not any(self._history.days(name, [day]) for name in self._underlyings):
            return None
        return self._tape(day).bars(instrument)

    def _tape(self, day: dt.date) -> RecordedTape:
        if day not in self._tapes:
            self._tapes[day] = RecordedTape(self._history, day, self._underlyings, self._schedule)
            if len(self._tapes) > _KEPT_DAYS:
                self._tapes.popitem(last=False)
        return self._tapes[day]


class RecordedTape:
    """One stored day. Raises DataError when nothing of it is stored."""

    def __init__(self, history: History, day: dt.date, underlyings: tuple[str, ...], schedule: Schedule) -> None:
        self._day, self._schedule = day, schedule
        found = {name: history.load_day(name, day) for name in (*underlyings, VIX)}
        self._days = {name: one for name, one in found.items() if one is not None}
        self._underlyings = tuple(name for name in underlyings if name in self._days)
        if not self._underlyings:
            raise DataError(f"sandbox: nothing of {', '.join(underlyings)} is stored on {day}; ingest it first")
        self._ticks = {name: _by_instrument(history.load_ticks(name, day)) for name in self._days}

    @property
    def day(self) -> dt.date:
        """The trading day."""
        return self._day

    @property
    def schedule(self) -> Schedule:
        """Sessions and terms of contracts."""
        return self._schedule

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings something is stored of."""
        return self._underlyings

    def starts(self, underlying: str) -> NDArray[np.int64]:
        """Start of every minute of the session, UTC ns."""
        return self._schedule.minute_starts(underlying, self._day)

    def expiries(self, underlying: str) -> tuple[dt.date, ...]:
        """Expiries with a stored chain, ascending."""
        one = self._days.get(underlying)
        return tuple(sorted(chain.expiry for chain in one.chains)) if one is not None else ()

    def strikes(self, underlying: str, expiry: dt.date) -> Array:
        """Strikes of a stored chain."""
        chain = self.chain(underlying, expiry)
        return chain.strikes if chain is not None else np.empty(0)

    def future_expiry(self, underlying: str) -> dt.date | None:
        """Expiry of the stored future."""
        one = self._days.get(underlying)
        return parse_id(one.future.instrument).expiry if one is not None and one.future is not None else None

    def bars(self, instrument: Instrument) -> BarColumns | None:
        """Bars as they were recorded."""
        one = self._days.get(instrument.underlying)
        if one is None:
            return None
        if instrument.kind == "INDEX":
            return one.index
        if instrument.kind == "FUT":
            return one.future if one.future is not None and one.future.instrument == instrument.id else None
        chain = next((chain for chain in one.chains if chain.expiry == instrument.expiry), None)
        return chain_bars(chain, instrument) if chain is not None else None

    def chain(self, underlying: str, expiry: dt.date) -> ChainColumns | None:
        """Chain with a row for every minute of the session, the last known values standing."""
        one = self._days.get(underlying)
        chain = next((chain for chain in one.chains if chain.expiry == expiry), None) if one is not None else None
        if chain is None:
            return None
        starts = self.starts(underlying)
        values = np.full((len(starts), *chain.values.shape[1:]), np.nan)
        here, there = _places(chain.start, starts)
        values[there] = chain.values[here]
        return ChainColumns(underlying, expiry, 60, starts, chain.strikes, _stand(values))

    def minutes(self, instrument: Instrument) -> Minutes | None:
        """Every minute of the session; one without trades shows the price before it, unquoted ones a small spread."""
        bars = self.bars(instrument)
        if bars is None or not np.isfinite(bars.close).any():
            return None
        starts = self.starts(instrument.underlying)
        column = {
            name: _laid(getattr(bars, name), bars.start, starts) for name in ("open", "high", "low", "close", "oi")
        }
        close = _stand(column["close"])
        first = np.flatnonzero(np.isfinite(close))[0]
        close[:first] = column["open"][first] if np.isfinite(column["open"][first]) else close[first]
        prices = [np.where(np.isfinite(column[name]), column[name], close) for name in ("open", "high", "low")]
        lot = max(instrument.lot_size, 1)
        volume = np.nan_to_num(_laid(bars.volume, bars.start, starts))
        bid, ask = self._quotes(instrument, starts, close)
        return Minutes(
            start=starts,
            open=prices[0],
            high=prices[1],
            low=prices[2],
            close=close,
            lots=np.rint(volume / lot).astype(np.int64)
            if instrument.kind != "INDEX"
            else np.zeros(len(starts), np.int64),
            lot=lot,
            tick=instrument.tick_size or OPTION_TICK,
            oi=_stand(column["oi"]),
            bid=bid,
            ask=ask,
            high_at=np.full(len(starts), 1 / 3),
            low_at=np.full(len(starts), 2 / 3),
        )

    def ticks(self, instrument: Instrument, first: int, end: int) -> list[TickRow]:
        """Give the stored ticks of the minutes; without any, four a minute that has a bar."""
        starts = self.starts(instrument.underlying)
        rows = self._ticks[instrument.underlying].get(instrument.id)
        if rows is not None:
            since, until = int(starts[first]), int(starts[end - 1]) + MINUTE_NS
            return [row for row in rows if since <= row[1] < until]
        found, bars = self.minutes(instrument), self.bars(instrument)
        if found is None or bars is None:
            raise DataError(f"{instrument.id}: nothing is stored on {self._day}")
        known = np.isfinite(_laid(bars.close, bars.start, starts))
        done = np.cumsum(found.lots) - found.lots
        return [row for at in range(first, end) if known[at] for row in _spread(found, at, int(done[at]))]

    def _quotes(self, instrument: Instrument, starts: NDArray[np.int64], close: Array) -> tuple[Array, Array]:
        """Bid and ask by minute: as stored, else around the close."""
        if instrument.kind == "INDEX":
            unknown = np.full(len(starts), np.nan)
            return unknown, unknown
        tick = instrument.tick_size
        half = np.maximum(close * HALF_SPREAD, tick)
        bid, ask = np.maximum(floor_tick(close - half, tick), tick), ceil_tick(close + half, tick)
        if instrument.expiry is None or instrument.right is None:
            return bid, ask
        chain = self.chain(instrument.underlying, instrument.expiry)
        stored = _best(chain, instrument) if chain is not None else None
        if stored is None:
            return bid, ask
        both = np.isfinite(stored[0]) & np.isfinite(stored[1]) & (stored[1] > stored[0])
        return np.where(both, stored[0], bid), np.where(both, stored[1], ask)


def _best(chain: ChainColumns, instrument: Instrument) -> tuple[Array, Array] | None:
    at = strike_place(chain, instrument.strike)
    if at is None:
        return None
    right = CE if instrument.right is Right.CE else PE
    bid, ask = (chain.values[:, CHAIN_FIELDS.index(name), right, at] for name in ("bid", "ask"))
    return bid, ask


def _by_instrument(ticks: TickColumns | None) -> dict[str, list[TickRow]]:
    found: dict[str, list[TickRow]] = {}
    if ticks is None:
        return found
    names = ("ts_recv", "ts", "price", "quantity", "day_volume", "oi", "bid", "ask")
    for place, name in enumerate(ticks.instruments):
        mine = ticks.which == place
        found[name] = list(zip(*(getattr(ticks, column)[mine].tolist() for column in names), strict=True))
    return found


def _places(start: NDArray[np.int64], starts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of `start` that are minutes of the session, and which."""
    at = np.searchsorted(starts, start)
    inside = (at < len(starts)) & (starts[np.minimum(at, len(starts) - 1)] == start)
    return np.flatnonzero(inside), at[inside]


def _laid(values: Array, start: NDArray[np.int64], starts: NDArray[np.int64]) -> Array:
    out = np.full(len(starts), np.nan)
    here, there = _places(start, starts)
    out[there] = values[here]
    return out


def _stand(values: Array) -> Array:
    """Let the last known value stand along the first axis."""
    known = np.isfinite(values)
    row = np.arange(len(values)).reshape(-1, *([1] * (values.ndim - 1)))
    last = np.maximum.accumulate(np.where(known, row, 0), axis=0)
    return np.asarray(np.take_along_axis(values, last, axis=0))


def _spread(m: Minutes, at: int, done: int) -> list[TickRow]:
    """Four ticks of one minute: open, both extremes (the nearer to the open first), close."""
    rising = m.close[at] >= m.open[at]
    extremes = (m.low[at], m.high[at]) if rising else (m.high[at], m.low[at])
    prices = [float(x) for x in (m.open[at], *extremes, m.close[at])]
    each, lots = int(m.lots[at]) // 4, int(m.lots[at])
    half = (m.ask[at] - m.bid[at]) / 2.0
    rows: list[TickRow] = []
    for place, (second, price) in enumerate(zip(_PLACES, prices, strict=True)):
        ts = int(m.start[at]) + second * SECOND_NS
        units = (lots - 3 * each if place == 3 else each) * m.lot
        done_units = (done + (lots if place == 3 else each * (place + 1))) * m.lot
        oi = float(m.oi[at] if place == 3 or at == 0 else m.oi[at - 1])
        last = place == 3
        bid = float(m.bid[at]) if last else float(np.maximum(floor_tick(np.asarray(price - half), m.tick), m.tick))
        ask = float(m.ask[at]) if last else float(ceil_tick(np.asarray(price + half), m.tick))
        rows.append((ts + _LATENCY_NS, ts, price, units, done_units if lots or done else -1, oi, bid, ask))
    return rows
