"""Bars, chain frames and what the chain actor computed of them, as Parquet or CSV. `docs/data.md` lists the columns.

A file appears under its name only when it is complete: it is written beside it and renamed at the end.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from sos_actors.errors import DataError, InputError, StorageError
from sos_actors.market.clocktime import ist_times
from sos_actors.market.day import BAR_FIELDS, BarColumns, ChainColumns
from sos_actors.market.ids import index_id
from sos_actors.messages import Buildup, ChainSnapshot
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.storage.market_store import MarketStore

Write = Callable[[pa.Table], None]
#: Snapshots are written this many at a time.
_BATCH = 512
_RIGHTS = np.array(["CE", "PE"])
_PLAIN = (
    "years",
    "spot",
    "forward",
    "atm_strike",
    "straddle",
    "atm_iv",
    "iv_skew",
    "iv_rank",
    "iv_percentile",
    "ce_oi",
    "pe_oi",
    "ce_oi_change",
    "pe_oi_change",
    "ce_volume",
    "pe_volume",
    "pcr",
    "pcr_volume",
    "pcr_oi_change",
    "pcr_velocity",
    "max_pain",
    "oi_wall_above",
    "oi_wall_below",
    "gamma_exposure",
    "gamma_flip",
    "proxy_oi",
    "breadth_ratio",
)
_BY_STRIKE = ("price", "bid", "ask", "iv", "delta", "gamma", "theta", "vega", "rho", "oi", "oi_change")
#: The words for `ChainSnapshot.buildup`, by number + 1; unknown is empty.
_BUILDUPS = np.array([one.label if one is not Buildup.UNKNOWN else "" for one in sorted(Buildup)])


@contextlib.contextmanager
def _table_file(out: str | Path) -> Iterator[Write]:
    """Give a function that appends tables to the file `out`, which appears when everything was written."""
    path = Path(out)
    if path.suffix.lower() not in {".parquet", ".csv"}:
        raise InputError(f"--out {path}: end it in .parquet or .csv")
    part = path.with_name(path.name + ".part")
    writer: Any = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            csv = path.suffix.lower() == ".csv"
            writer = (pacsv.CSVWriter if csv else pq.ParquetWriter)(part, table.schema)
        writer.write_table(table)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield write
        if writer is not None:
            writer.close()
            part.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error}): check the folder, its rights and the disk") from None
    finally:
        if writer is not None:
            with contextlib.suppress(OSError):
                writer.close()
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _stored_days(store: MarketStore, underlying: str, first: dt.date, last: dt.date) -> list[dt.date]:
    if first > last:
        raise InputError(f"--from-date {first} is after --to-date {last}: give them the other way round")
    return [day for day in store.days(underlying) if first <= day <= last]


def _moments(ts: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"time": ist_times(ts), "ts": ts}


def export_bars(
    store: MarketStore,
    underlying: str,
    from_date: dt.date,
    to_date: dt.date,
    out: str | Path,
    interval_s: int | None = None,
    instrument: str | None = None,
) -> int:
    """Write the bars of the index (or `instrument`); returns the rows. Raises DataError when there are none."""
    instrument, rows = instrument or index_id(underlying), 0
    with _table_file(out) as write:
        for day in _stored_days(store, underlying, from_date, to_date):
            bars = store.load_bars(instrument, day, day, interval_s)
            if bars is not None:
                write(_bar_table(bars))
                rows += len(bars.start)
        if not rows:
            raise DataError(f"no bars of {instrument} from {from_date} to {to_date} are stored: run 'ingest' for them")
    return rows


def _bar_table(bars: BarColumns) -> pa.Table:
    count = len(bars.start)
    return _table(
        {
            "instrument": [bars.instrument] * count,
            **_moments(bars.start),
            "interval_s": np.full(count, bars.interval_s),
            **{name: getattr(bars, name) for name in BAR_FIELDS},
        }
    )


def export_frames(
    store: MarketStore,
    underlying: str,
    from_date: dt.date,
    to_date: dt.date,
    out: str | Path,
    interval_s: int | None = None,
) -> int:
    """Write all stored chains, a row a minute and contract of which anything is known; returns the rows."""
    rows = 0
    with _table_file(out) as write:
        for day in _stored_days(store, underlying, from_date, to_date):
            market_day = store.load_day(underlying, day, "all", interval_s)
            for chain in market_day.chains if market_day else ():
                table = _chain_table(chain)
                write(table)
                rows += table.num_rows
        if not rows:
            raise DataError(f"no chain of {underlying} from {from_date} to {to_date} is stored: run 'ingest' for it")
    return rows


def _chain_table(chain: ChainColumns) -> pa.Table:
    minutes, rights, strikes = np.nonzero(~np.isnan(chain.values).all(axis=1))
    cells = chain.values[minutes, :, rights, strikes]
    times, start = np.array(ist_times(chain.start)), chain.start
    count = len(minutes)
    return _table(
        {
            "underlying": [chain.underlying] * count,
            "expiry": [chain.expiry.isoformat()] * count,
            "time": times[minutes],
            "ts": start[minutes],
            "interval_s": np.full(count, chain.interval_s),
            "strike": chain.strikes[strikes],
            "right": _RIGHTS[rights],
            **{name: cells[:, place] for place, name in enumerate(CHAIN_FIELDS)},
        }
    )


def export_rows(rows: Iterable[ChainSnapshot], what: Literal["snapshots", "strikes"], out: str | Path) -> int:
    """Write what the chain actor computed: a row a minute ('snapshots') or a minute and contract ('strikes').

    Returns the rows. Raises DataError when `rows` is empty.
    """
    count = 0
    with _table_file(out) as write:
        batch: list[ChainSnapshot] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                count += _write_batch(batch, what, write)
                batch = []
        if batch:
            count += _write_batch(batch, what, write)
        if not count:
            raise DataError(f"no {what} to export: the days asked for hold no chain")
    return count


def _write_batch(batch: list[ChainSnapshot], what: str, write: Write) -> int:
    table = _snapshot_table(batch) if what == "snapshots" else _strike_table(batch)
    write(table)
    return int(table.num_rows)


def _snapshot_table(batch: list[ChainSnapshot]) -> pa.Table:
    return _table(
        {
            "underlying": [one.underlying for one in batch],
            "expiry": [one.expiry.isoformat() for one in batch],
            **_moments(np.array([one.ts for one in batch], np.int64)),
            **{name: np.array([getattr(one, name) for one in batch], np.float64) for name in _PLAIN},
            "smart_trend": [one.smart_trend for one in batch],
            "regime": [str(one.regime.value) for one in batch],
            "missing": [",".join(one.missing) for one in batch],
        }
    )


def _strike_table(batch: list[ChainSnapshot]) -> pa.Table:
    sizes = [2 * len(one.strikes) for one in batch]
    stamps = _moments(np.array([one.ts for one in batch], np.int64))
    return _table(
        {
            "underlying": np.repeat([one.underlying for one in batch], sizes),
            "expiry": np.repeat([one.expiry.isoformat() for one in batch], sizes),
            **{name: np.repeat(column, sizes) for name, column in stamps.items()},
            "strike": np.concatenate([np.tile(one.strikes, 2) for one in batch]),
            "right": np.concatenate([np.repeat(_RIGHTS, len(one.strikes)) for one in batch]),
            **{name: np.concatenate([getattr(one, name).ravel() for one in batch]) for name in _BY_STRIKE},
            "buildup": _BUILDUPS[np.concatenate([one.buildup.ravel() for one in batch]).astype(np.int64) + 1],
        }
    )


def _table(columns: dict[str, Any]) -> pa.Table:
    """Columns as a table, unknown numbers as null."""
    return pa.table({name: pa.array(column, from_pandas=True) for name, column in columns.items()})
