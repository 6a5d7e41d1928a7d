"""What becomes of a day that is stored twice: the two are merged minute by minute, and the newer wins."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.day import BAR_FIELDS, BarColumns, ChainColumns, TickColumns
from sos_actors.messages.market import CHAIN_FIELDS


def same_columns(one: object, other: object) -> bool:
    """Whether two column sets of one kind hold the same, NaN being equal to NaN."""
    if type(one) is not type(other):
        return False
    for field in fields(one):  # type: ignore[arg-type]  # both are dataclasses of market.day
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            if not np.array_equal(left, right, equal_nan=left.dtype.kind == "f"):
                return False
        elif left != right:
            return False
    return True


def merge_bars(old: BarColumns, new: BarColumns, *, fill_only: bool = False) -> BarColumns:
    """All bars of both; where both have one, the newer, or with `fill_only` the older."""
    first, second = (new, old) if fill_only else (old, new)
    start = np.concatenate([first.start, second.start])
    order = np.argsort(start, kind="stable")
    last = np.append(np.diff(start[order]) != 0, True)[: len(order)]
    keep = order[last]
    columns = (np.concatenate([getattr(first, name), getattr(second, name)])[keep] for name in BAR_FIELDS)
    return BarColumns(new.instrument, new.interval_s, start[keep], *columns)


def merge_chains(old: ChainColumns, new: ChainColumns) -> ChainColumns:
    """All minutes and strikes of both; a contract's minute of which the newer knows anything is taken from it whole.

    But for the quotes: where the newer has neither bid nor ask, as candles never have, those known before stay.
    """
    start = np.union1d(old.start, new.start)
    strikes = np.union1d(old.strikes, new.strikes)
    values = np.full((len(start), len(CHAIN_FIELDS), 2, len(strikes)), np.nan)
    rows, places = np.searchsorted(start, old.start), np.searchsorted(strikes, old.strikes)
    values[rows[:, None], :, :, places[None, :]] = old.values.transpose(0, 3, 1, 2)
    rows, places = np.searchsorted(start, new.start), np.searchsorted(strikes, new.strikes)
    there = values[rows[:, None], :, :, places[None, :]]
    unknown: NDArray[np.bool_] = np.isnan(new.values).min(axis=1)
    known = ~unknown.transpose(0, 2, 1)[:, :, None, :]
    merged = np.where(known, new.values.transpose(0, 3, 1, 2), there)
    bid, ask = CHAIN_FIELDS.index("bid"), CHAIN_FIELDS.index("ask")
    unquoted = np.isnan(merged[:, :, [bid, ask]]).all(axis=2, keepdims=True)
    merged[:, :, [bid, ask]] = np.where(unquoted, there[:, :, [bid, ask]], merged[:, :, [bid, ask]])
    values[rows[:, None], :, :, places[None, :]] = merged
    return ChainColumns(new.underlying, new.expiry, new.interval_s, start, strikes, values)


def distinct_rows(columns: list[NDArray[Any]]) -> NDArray[np.bool_]:
    """Mark the first of each set of identical rows. The columns are float64 or int64; NaN is equal to NaN."""
    table = np.stack([np.ascontiguousarray(column).view(np.int64) for column in columns], axis=1)
    keys = table.view(f"V{8 * len(columns)}").reshape(-1)
    _, first = np.unique(keys, return_index=True)
    keep = np.zeros(len(keys), np.bool_)
    keep[first] = True
    return keep


def merge_ticks(old: TickColumns, new: TickColumns) -> TickColumns:
    """All ticks of both in order of arrival, identical ones once."""
    instruments = tuple(dict.fromkeys(old.instruments + new.instruments))
    places = {name: place for place, name in enumerate(instruments)}
    mapped = np.array([places[name] for name in new.instruments], np.int32)
    which = np.concatenate([old.which, mapped[new.which]])
    rest = {
        name: np.concatenate([getattr(old, name), getattr(new, name)])
        for name in ("ts", "ts_recv", "price", "quantity", "day_volume", "oi", "bid", "ask")
    }
    keep = distinct_rows([which.astype(np.int64), *rest.values()])
    order = np.flatnonzero(keep)
    order = order[np.argsort(rest["ts_recv"][order], kind="stable")]
    kept = {name: column[order] for name, column in rest.items()}
    return TickColumns(new.underlying, instruments, which[order], **kept)
