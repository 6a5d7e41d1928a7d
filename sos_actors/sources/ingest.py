"""Files into the market database: each file is read, checked and stored whole, or not at all.

Every row is accounted for: rows read = stored + rejected (by reason) + superseded snapshots + skipped (other symbols
and days than asked for).
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, date_of, day_number, ist_date
from sos_actors.market.day import DAILY_S, DataQuality
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.market.symbols import underlying_named
from sos_actors.sources.checking import (
    check_contracts,
    check_prices,
    check_session,
    interval_of,
    order_rows,
    order_ticks,
    snap,
)
from sos_actors.sources.facts import MarketFacts, PlainFacts
from sos_actors.sources.grouping import bar_days, chain_days, holes, per_day_starts, spot_bars, tick_days, to_units
from sos_actors.sources.layout import Layout, layout_of
from sos_actors.sources.reading import read_table
from sos_actors.sources.rows import Rows, read_rows
from sos_actors.storage.market_store import MarketStore

#: Hears how far the work is: a share from 0 to 1 of all files, and what is being done.
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file. Counts are rows of the file (for side-by-side chains, of its calls and its puts).

    `blocks` counts stored days of an instrument or chain as new, merged, replaced or unchanged.
    """

    path: str
    layout: str
    kind: str
    interval_s: int
    rows: int
    stored: int
    rejected: Mapping[str, int]
    skipped: int
    snapped: int
    superseded: int
    unsorted: int
    underlyings: tuple[str, ...]
    days: tuple[dt.date, ...]
    blocks: Mapping[str, int]
    quality: Mapping[tuple[str, dt.date], DataQuality]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What became of all files; sums over `files` as properties."""

    files: tuple[FileReport, ...]

    @property
    def rows(self) -> int:
        """Rows read."""
        return sum(one.rows for one in self.files)

    @property
    def stored(self) -> int:
        """Rows stored, or found stored already."""
        return sum(one.stored for one in self.files)

    @property
    def rejected(self) -> dict[str, int]:
        """Rows rejected by reason."""
        total: Counter[str] = Counter()
        for one in self.files:
            total.update(one.rejected)
        return dict(sorted(total.items()))

    @property
    def days(self) -> tuple[dt.date, ...]:
        """The days stored."""
        return tuple(sorted({day for one in self.files for day in one.days}))


@dataclass(frozen=True, slots=True)
class Request:
    """What to ingest of each file, and how; see `ingest`."""

    layout: str | Layout | None = None
    symbol: str | None = None
    from_date: dt.date | None = None
    to_date: dt.date | None = None
    force: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    facts: MarketFacts = field(default_factory=PlainFacts)
    #: Whether a file of nothing but other symbols is passed over, as one that was found in a folder is.
    pass_over: bool = False


def ingest(
    paths: Iterable[str | Path],
    store: MarketStore,
    layout: str | Layout | None = None,
    symbol: str | None = None,
    from_date: dt.date | None = None,
    to_date: dt.date | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
    overrides: Mapping[str, Any] | None = None,
    facts: MarketFacts | None = None,
    pass_over: bool = False,
    on_file: Callable[[FileReport], None] | None = None,
) -> IngestReport:
    """Store the files. `layout`: a name, a YAML file, or a Layout; otherwise one beside the file, or by its columns.

    `overrides` replaces keys of the layout (`{'lot': 75}`), `facts` knows sessions, lots and expiries. `pass_over`
    skips files of nothing but other symbols, as those found in a folder are skipped anyway. Raises
    InputError for a file that cannot be used, StorageError for a database that cannot; that file then left nothing
    behind, the ones before it are stored: `on_file` is told of each as soon as it is.
    """
    if from_date and to_date and from_date > to_date:
        raise InputError(f"--from-date {from_date} is after --to-date {to_date}: give them the other way round")
    if symbol is not None and symbol.upper() not in EXCHANGE_OF:
        raise InputError(f"--symbol {symbol}: unknown; there is {', '.join(EXCHANGE_OF)}")
    paths = list(paths)
    request = Request(
        layout, symbol.upper() if symbol else None, from_date, to_date, force, overrides or {}, facts or PlainFacts()
    )
    named = set() if pass_over else {Path(path) for path in paths}
    files = _files(paths)
    sizes = np.cumsum([0, *(path.stat().st_size for path in files)])
    reports = []
    for number, path in enumerate(files):
        begin, share = sizes[number] / max(sizes[-1], 1), (sizes[number + 1] - sizes[number]) / max(sizes[-1], 1)

        def tell(done: float, text: str, begin: float = begin, share: float = share) -> None:
            if progress:
                progress(float(begin + share * done), text)

        tell(0.0, f"reading {path.name}")
        table, uneven = read_table(path)
        own = replace(request, pass_over=path not in named)
        reports.append(ingest_table(table, str(path), f"file:{path.name}", store, own, tell, uneven))
        if on_file:
            on_file(reports[-1])
        tell(1.0, f"stored {path.name}")
    return IngestReport(tuple(reports))


def _files(paths: Iterable[str | Path]) -> list[Path]:
    """Give the files named, folders opened (CSV and Parquet in them, sorted). Raises InputError when there are none."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.name.lower().endswith((".csv", ".csv.gz", ".parquet")))
            if not inside:
                raise InputError(f"{path}: no .csv, .csv.gz or .parquet in this folder")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise InputError(f"{path}: no such file")
    if not found:
        raise InputError("nothing to ingest: give the paths of files")
    return found


def ingest_table(
    table: pa.Table, where: str, source: str, store: MarketStore, request: Request, tell: Progress, uneven: int = 0
) -> FileReport:
    """Store one table read from `where`; `uneven` lines of it had a wrong number of columns. See `ingest`."""
    path = Path(where)
    name, layout = layout_of(path, table.column_names, request.layout, request.overrides)
    rows = read_rows(table, layout, _symbol_in(path.name, layout) or request.symbol, where)
    count = table.num_rows * (2 if layout.kind == "chain_wide" else 1) + uneven
    if uneven:
        rows.rejected["wrong number of columns"] += uneven
    skipped = _skip(rows, request, where)
    tell(0.3, f"checking {path.name}")
    checked = _check(rows, layout, request, where)
    if not len(rows) and not skipped:
        raise InputError(f"{where}: no row can be stored: " + _reasons(rows.rejected))
    tell(0.6, f"storing {path.name}")
    blocks: Counter[str] = Counter()
    with store.transaction():
        blocks.update(_store(rows, layout, checked.interval_s, source, store, request))
        quality = _quality(rows, layout, checked, request.facts)
        for (underlying, day), one in quality.items():
            store.save_quality(underlying, day, source, one)
    return FileReport(
        where,
        name,
        layout.kind,
        checked.interval_s,
        count,
        len(rows),
        dict(sorted(rows.rejected.items())),
        skipped,
        sum(checked.snapped.values()),
        checked.superseded,
        checked.unsorted,
        tuple(sorted({underlying for underlying, _ in quality})),
        tuple(sorted({day for _, day in quality})),
        dict(sorted(blocks.items())),
        quality,
    )


def _reasons(rejected: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))


def _symbol_in(name: str, layout: Layout) -> str | None:
    """Give the one underlying that a file's name has as words, e.g. index_1m_NIFTY.csv, 'NIFTY BANK_minute.csv'.

    None where the layout says which it is.
    """
    words, found, place = re.split(r"[^A-Z0-9]+", name.upper()), set(), 0
    while not layout.underlying and place < len(words):
        length, named = next(
            ((n, one) for n in (3, 2, 1) if (one := underlying_named("".join(words[place : place + n])))), (1, None)
        )
        found.add(named)
        place += length
    found.discard(None)
    return next(iter(found)) if len(found) == 1 else None


def _skip(rows: Rows, request: Request, where: str) -> int:
    """Leave out other symbols and days than asked for; returns how many rows that were."""
    before = len(rows)
    if request.symbol:
        if request.symbol in rows.names:
            rows.take(rows.underlying == rows.names.index(request.symbol))
        elif request.pass_over:
            rows.take(np.zeros(len(rows), np.bool_))
        else:
            raise InputError(f"{where}: nothing of {request.symbol} in it; there is {', '.join(rows.names)}")
    if request.from_date:
        rows.take(rows.day >= day_number(request.from_date))
    if request.to_date:
        rows.take(rows.day <= day_number(request.to_date))
    return before - len(rows)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What checking found besides rejected rows."""

    interval_s: int
    snapped: Mapping[tuple[str, dt.date], int]
    superseded: int
    unsorted: int


def _check(rows: Rows, layout: Layout, request: Request, where: str) -> _Checked:
    """Reject, sort and snap; afterwards the rows are fit to be stored."""
    if not len(rows):
        return _Checked(layout.interval_s, {}, 0, 0)
    ticks = layout.kind == "ticks"
    interval_s = 0 if ticks else interval_of(rows, layout, where)
    if layout.label == "end":
        rows.ts -= interval_s * SECOND_NS
    if interval_s != DAILY_S:
        check_session(rows, layout, request.facts, where)
    check_prices(rows, layout)
    check_contracts(rows, layout, request.facts)
    if ticks:
        return _Checked(0, {}, 0, order_ticks(rows))
    contract, unsorted = order_rows(rows)
    snapped, superseded = snap(rows, contract, layout, interval_s, request.facts)
    to_units(rows, layout, request.facts)
    return _Checked(interval_s, snapped, superseded, unsorted)


def _store(
    rows: Rows, layout: Layout, interval_s: int, source: str, store: MarketStore, request: Request
) -> Sequence[str]:
    """Save every day of every instrument; returns what each saving did."""
    force, days = request.force, rows.day

    def day_at(place: int) -> dt.date:
        return date_of(days[place])

    if layout.kind == "bars":
        whole = bar_days(rows, layout, interval_s, request.facts)
        return [store.save_bars(bars, day_at(own[0]), source, force=force) for bars, own in whole]
    if layout.kind == "ticks":
        return [store.save_ticks(ticks, day_at(own[0]), source, force=force) for ticks, own in tick_days(rows)]
    did: list[str] = [
        store.save_chain(chain, day_at(own[0]), source, force=force)
        for chain, own in chain_days(rows, layout, interval_s, request.facts)
    ]
    for _, bars in spot_bars(rows, interval_s):
        did.append(store.save_bars(bars, ist_date(bars.start[0]), source, fill_only=True))
    return did


def _quality(
    rows: Rows, layout: Layout, checked: _Checked, facts: MarketFacts
) -> dict[tuple[str, dt.date], DataQuality]:
    """Say what was wrong with each underlying and day."""
    quality = {}
    for (underlying, day), (count, start) in per_day_starts(rows).items():
        gaps: tuple[tuple[int, int], ...] = ()
        if layout.kind == "ticks":
            gaps = holes(np.unique(start - start % MINUTE_NS), 60, facts.sessions(underlying, day))
        elif checked.interval_s != DAILY_S:
            gaps = holes(start, checked.interval_s, facts.sessions(underlying, day))
        notes = []
        if layout.quotes:
            notes.append("quotes: the last price stands for open, high, low and close")
        if layout.expiry == "nearest":
            notes.append("expiry: the nearest of the day was assumed")
        rejected = dict(sorted(rows.rejected_by_day.get((underlying, day), {}).items()))
        quality[underlying, day] = DataQuality(
            count + sum(rejected.values()), rejected, checked.snapped.get((underlying, day), 0), gaps, tuple(notes)
        )
    return quality
