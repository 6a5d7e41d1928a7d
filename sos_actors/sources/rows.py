"""A file's rows under a layout as arrays, with every row that cannot be read counted by its reason."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sos_actors.errors import InputError
from sos_actors.market.clocktime import date_of, ist_day
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.sources.layout import Layout
from sos_actors.sources.reading import Mask, dates, numbers, rights, texts, times

#: What a date or strike that the kind does not have is.
NO_EXPIRY = -1
NEAREST = -2
#: Names the broker and older files use for the same indices.
ALIASES = {
    "NIFTY 50": "NIFTY",
    "NIFTY50": "NIFTY",
    "NIFTY BANK": "BANKNIFTY",
    "BANK NIFTY": "BANKNIFTY",
    "NSE_INDEX|NIFTY 50": "NIFTY",
    "NSE_INDEX|NIFTY BANK": "BANKNIFTY",
    "BSE_INDEX|SENSEX": "SENSEX",
    "NSE|INDEX|NIFTY": "NIFTY",
    "NSE|INDEX|BANKNIFTY": "BANKNIFTY",
    "BSE|INDEX|SENSEX": "SENSEX",
    "INDIA VIX": "INDIAVIX",
}


@dataclass
class Rows:
    """Rows as columns. `ts` UTC ns; `day` and `expiry` days since 1970 (IST); `underlying` indexes `names`."""

    names: list[str]
    underlying: NDArray[np.int64]
    ts: NDArray[np.int64]
    expiry: NDArray[np.int64]
    strike: NDArray[np.float64]
    right: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    ts_recv: NDArray[np.int64]
    rejected: Counter[str] = field(default_factory=Counter)
    rejected_by_day: dict[tuple[str, dt.date], Counter[str]] = field(default_factory=dict)

    @property
    def day(self) -> NDArray[np.int64]:
        """The IST calendar day of each row."""
        return ist_day(self.ts)

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, places: NDArray[np.int64] | Mask) -> None:
        """Keep only these rows, in this order."""
        for name in ("underlying", "ts", "expiry", "strike", "right", "ts_recv"):
            setattr(self, name, getattr(self, name)[places])
        self.values = {name: column[places] for name, column in self.values.items()}

    def by_day(self, mask: Mask) -> dict[tuple[str, dt.date], int]:
        """How many rows of each underlying and day the mask marks."""
        keys, counts = np.unique((self.underlying * 1_000_000 + self.day)[mask], return_counts=True)
        return {
            (self.names[key // 1_000_000], date_of(key % 1_000_000)): count
            for key, count in zip(keys.tolist(), counts.tolist(), strict=True)
        }

    def count(self, bad: Mask, reason: str) -> None:
        """Count rows as rejected under `reason`, in all and by day."""
        for key, count in self.by_day(bad).items():
            self.rejected[reason] += count
            self.rejected_by_day.setdefault(key, Counter())[reason] += count

    def reject(self, bad: Mask, reason: str) -> None:
        """Drop rows, counting them under `reason`."""
        if bad.any():
            self.count(bad, reason)
            self.take(~bad)


def read_rows(table: pa.Table, layout: Layout, symbol: str | None, where: str) -> Rows:
    """Give the table's rows. `symbol` stands in for a missing column; `where` names the file in messages.

    Raises InputError when no underlying is known.
    """
    for column in layout.found(table.column_names).values():
        if table.column_names.count(column) > 1:
            raise InputError(f"{where}: two columns are called {column}: rename one of them")
    if layout.kind == "chain_wide":
        return _wide_rows(table, layout, symbol, where)
    return _long_rows(table, layout, layout.found(table.column_names), symbol, where, None)


def _wide_rows(table: pa.Table, layout: Layout, symbol: str | None, where: str) -> Rows:
    """Give calls and puts side by side, made one below the other."""
    found = layout.found(table.column_names)
    halves = []
    for right, side in enumerate(("call_", "put_")):
        own = {
            name.removeprefix(side): column
            for name, column in found.items()
            if name.startswith(side) or not name.startswith(("call_", "put_"))
        }
        halves.append(_long_rows(table, layout, own, symbol, where, right))
    call, put = halves
    values = {
        name: np.concatenate([half.values.get(name, np.full(len(half), np.nan)) for half in halves])
        for name in dict.fromkeys([*call.values, *put.values])
    }

    def both(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(call, name), getattr(put, name)])

    by_day = {
        key: call.rejected_by_day.get(key, Counter()) + put.rejected_by_day.get(key, Counter())
        for key in dict.fromkeys([*call.rejected_by_day, *put.rejected_by_day])
    }
    return Rows(
        call.names,
        both("underlying"),
        both("ts"),
        both("expiry"),
        both("strike"),
        both("right"),
        values,
        both("ts_recv"),
        call.rejected + put.rejected,
        by_day,
    )


def _long_rows(
    table: pa.Table, layout: Layout, found: dict[str, str], symbol: str | None, where: str, right: int | None
) -> Rows:
    """One contract or bar a row."""
    count = table.num_rows
    bad: dict[str, Mask] = {}
    ts, bad["timestamp not readable"] = times(table[found["ts"]], layout.time_format, layout.zone)
    ts_recv = ts
    if "ts_recv" in found:
        ts_recv, bad["time of receipt not readable"] = times(table[found["ts_recv"]], layout.time_format, layout.zone)
    names, underlying = _underlyings(table, found, symbol or layout.underlying, where)
    bad["unknown symbol"] = np.array([name not in EXCHANGE_OF for name in names], np.bool_)[underlying]
    expiry = np.full(count, NO_EXPIRY)
    if "expiry" in found:
        expiry, bad["expiry not readable"] = dates(table[found["expiry"]])
    elif layout.kind != "bars":
        expiry = np.full(count, _constant_expiry(layout, where))
    sides = np.full(count, right if right is not None else -1)
    if "right" in found:
        sides, bad["right is neither CE nor PE"] = rights(table[found["right"]])
    values: dict[str, NDArray[np.float64]] = {}
    for name, column in found.items():
        if name not in {"ts", "ts_recv", "underlying", "expiry", "right"}:
            values[name], bad[f"{name} is not a number"] = numbers(table[column])
    strike = values.pop("strike", np.zeros(count))
    if "strike" in found:
        bad["strike missing"] = np.isnan(strike) & ~bad["strike is not a number"]
    rows = Rows(names, underlying, ts, expiry, strike, sides, values, ts_recv)
    left = np.arange(count)
    for reason, mask in bad.items():  # a row bad for several reasons counts once, for the first
        now = mask[left]
        rows.reject(now, reason)
        left = left[~now]
    return rows


def _underlyings(
    table: pa.Table, found: dict[str, str], symbol: str, where: str
) -> tuple[list[str], NDArray[np.int64]]:
    """Give the names of the underlyings, and each row's index into them."""
    if "underlying" in found:
        names, codes = texts(table[found["underlying"]])
        plain = [ALIASES.get(name, name) for name in names]
        distinct = list(dict.fromkeys(plain))
        return distinct, np.array([distinct.index(name) for name in plain], np.int64)[codes]
    if not symbol:
        raise InputError(f"{where}: does not say which underlying it is: give --symbol, or 'underlying:' in a mapping")
    return [symbol], np.zeros(table.num_rows, np.int64)


def _constant_expiry(layout: Layout, where: str) -> int:
    if layout.expiry == "nearest":
        return NEAREST
    if layout.expiry:
        try:
            return int((np.datetime64(layout.expiry) - np.datetime64("1970-01-01")) // np.timedelta64(1, "D"))
        except ValueError:
            raise InputError(f"{where}: layout: expiry '{layout.expiry}' is neither YYYY-MM-DD nor 'nearest'") from None
    raise InputError(f"{where}: has no expiry column: say 'expiry: YYYY-MM-DD' or 'expiry: nearest' in its mapping")
