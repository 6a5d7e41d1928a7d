"""Checked rows become the columns of days: bars of an instrument, the chain of an expiry, ticks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.clocktime import SECOND_NS, date_of
from sos_actors.market.day import BarColumns, ChainColumns, TickColumns
from sos_actors.market.ids import future_id, index_id, option_id
from sos_actors.messages import Right
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.sources.checking import contract_key, groups
from sos_actors.sources.facts import MarketFacts
from sos_actors.sources.layout import Layout
from sos_actors.sources.rows import Rows

_OHLC = ("open", "high", "low", "close")


def to_units(rows: Rows, layout: Layout, facts: MarketFacts) -> None:
    """Turn lots into units, by the lot of each contract on its day."""
    counted = [name for name, unit in (("oi", layout.oi_unit), ("volume", layout.volume_unit)) if unit == "lots"]
    counted = [name for name in counted if name in rows.values]
    if not counted:
        return
    days = rows.day
    lots = np.full(len(rows), float(layout.lot))
    if not layout.lot:
        for own in groups((rows.underlying << 44) | (rows.expiry << 22) | days):
            first = own[0]
            name = rows.names[rows.underlying[first]]
            lots[own] = facts.lot_size(name, date_of(rows.expiry[first]), date_of(days[first]))
    for name in counted:
        rows.values[name] = rows.values[name] * lots


def _column(rows: Rows, name: str, own: NDArray[np.int64]) -> NDArray[np.float64]:
    column = rows.values.get(name)
    return column[own] if column is not None else np.full(len(own), np.nan)


def bar_days(
    rows: Rows, layout: Layout, interval_s: int, facts: MarketFacts
) -> Iterator[tuple[BarColumns, NDArray[np.int64]]]:
    """Bars of each instrument and day, with the places of its rows."""
    days = rows.day
    for own in groups((rows.underlying << 44) | ((rows.expiry + 2) << 22) | days):
        name, expiry = rows.names[rows.underlying[own[0]]], rows.expiry[own[0]]
        instrument = index_id(name) if expiry < 0 else future_id(name, date_of(expiry))
        first, high, low, close = (_column(rows, "close" if layout.quotes else field, own) for field in _OHLC)
        start, volume = rows.ts[own], _column(rows, "volume", own)
        if layout.volume_is == "day":
            opened = facts.sessions(name, date_of(days[own[0]]))[0][0]
            volume = per_interval(volume, from_open=bool(start[0] == opened))
        yield BarColumns(instrument, interval_s, start, first, high, low, close, volume, _column(rows, "oi", own)), own


def chain_days(
    rows: Rows, layout: Layout, interval_s: int, facts: MarketFacts
) -> Iterator[tuple[ChainColumns, NDArray[np.int64]]]:
    """Give the chain of each expiry and day, with the places of its rows."""
    days = rows.day
    for own in groups((rows.underlying << 44) | (rows.expiry << 22) | days):
        first = own[0]
        start, minute = np.unique(rows.ts[own], return_inverse=True)
        strikes, place = np.unique(rows.strike[own], return_inverse=True)
        values = np.full((len(start), len(CHAIN_FIELDS), 2, len(strikes)), np.nan)
        for field, name in enumerate(CHAIN_FIELDS):
            ours = "close" if layout.quotes and name in _OHLC else name
            values[minute, field, rows.right[own], place] = _column(rows, ours, own)
        name, day = rows.names[rows.underlying[first]], date_of(days[first])
        if layout.volume_is == "day":
            field = CHAIN_FIELDS.index("volume")
            opened = facts.sessions(name, day)[0][0]
            values[:, field] = per_interval(values[:, field], from_open=bool(start[0] == opened))
        yield ChainColumns(name, date_of(rows.expiry[first]), interval_s, start, strikes, values), own


def per_interval(total: NDArray[np.float64], *, from_open: bool) -> NDArray[np.float64]:
    """Volumes of each interval from the day's so far [T, ...]; NaN where either end is unknown.

    A total that falls, as late messages make it, is held at what it was. The first interval is known only when it
    begins at the open; after a hole, the interval has the volume of the hole too.
    """
    so_far = np.fmax.accumulate(total, axis=0)
    before = np.empty_like(total)
    before[0] = 0.0 if from_open else np.nan
    before[1:] = so_far[:-1]
    return np.where(np.isnan(total), np.nan, so_far - before)


def spot_bars(rows: Rows, interval_s: int) -> Iterator[tuple[str, BarColumns]]:
    """Close-only bars of the index, from the spot that a chain's rows carry."""
    if "spot" not in rows.values:
        return
    known = np.flatnonzero(~np.isnan(rows.values["spot"]))
    days = rows.day
    for group in groups((rows.underlying[known] << 22) | days[known]):
        own = known[group]
        own = own[np.argsort(rows.ts[own], kind="stable")]
        last = np.append(np.diff(rows.ts[own]) != 0, True)
        own = own[last]
        spot, unknown = rows.values["spot"][own], np.full(len(own), np.nan)
        name = rows.names[rows.underlying[own[0]]]
        yield name, BarColumns(index_id(name), interval_s, rows.ts[own], spot, spot, spot, spot, unknown, unknown)


def tick_days(rows: Rows) -> Iterator[tuple[TickColumns, NDArray[np.int64]]]:
    """Give the ticks of each underlying and day in order of arrival, with the places of its rows."""
    contracts = contract_key(rows)
    for group in groups((rows.underlying << 22) | rows.day):
        own = group[np.argsort(rows.ts_recv[group], kind="stable")]
        _, first, which = np.unique(contracts[own], return_index=True, return_inverse=True)
        name = rows.names[rows.underlying[own[0]]]
        ids = tuple(
            option_id(name, date_of(rows.expiry[place]), float(rows.strike[place]), tuple(Right)[rows.right[place]])
            for place in own[first]
        )
        quantity = np.nan_to_num(_column(rows, "quantity", own), nan=0.0).astype(np.int64)
        day_volume = np.nan_to_num(_column(rows, "day_volume", own), nan=-1.0).astype(np.int64)
        yield (
            TickColumns(
                name,
                ids,
                which.astype(np.int32),
                rows.ts[own],
                rows.ts_recv[own],
                _column(rows, "close", own),
                quantity,
                day_volume,
                _column(rows, "oi", own),
                _column(rows, "bid", own),
                _column(rows, "ask", own),
            ),
            own,
        )


def holes(
    start: NDArray[np.int64], interval_s: int, sessions: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Stretches [from, to) within the sessions for which there is no bar or snapshot; `start` ascending."""
    step = interval_s * SECOND_NS
    found: list[tuple[int, int]] = []
    for opened, closed in sessions:
        own = start[(start >= opened) & (start < closed)]
        ends = np.concatenate([[opened], own + step])
        begins = np.concatenate([own, [closed]])
        for place in np.flatnonzero(begins > ends):
            found.append((int(ends[place]), int(begins[place])))  # noqa: PERF401 - clearer than one long line
    return tuple(found)


def per_day_starts(rows: Rows) -> dict[tuple[str, dt.date], tuple[int, NDArray[np.int64]]]:
    """For each underlying and day: how many rows, and their distinct times, ascending."""
    days = rows.day
    return {
        (rows.names[rows.underlying[own[0]]], date_of(days[own[0]])): (len(own), np.unique(rows.ts[own]))
        for own in groups(rows.underlying * 1_000_000 + days)
    }
