"""The statements that put single rows of the market database in place, and read the quality notes back."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from typing import Any, NamedTuple

import apsw
import msgspec
import numpy as np

from sos_actors.decoding import from_json
from sos_actors.market.day import BarColumns, DataQuality, IntColumn


class StoredBlock(NamedTuple):
    """One stored day as it lies in its table."""

    id: int
    source: str
    simulated: int
    hash: bytes
    block: bytes


def block_hash(block: bytes) -> bytes:
    """Say what a block is recognised by when the same day comes again."""
    return hashlib.blake2b(block, digest_size=16).digest()


def put_block(
    db: apsw.Connection,
    table: str,
    key: dict[str, Any],
    start: IntColumn,
    block: bytes,
    *,
    source: str,
    simulated: bool,
) -> None:
    """Insert a day's block, or put it in the place of the one with the same key."""
    row = {
        **key,
        "rows": len(start),
        "first_ts": int(start.min()),
        "last_ts": int(start.max()),
        "source": source,
        "simulated": int(simulated),
        "hash": block_hash(block),
        "block": block,
    }
    db.execute(
        f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
    )


def put_stats(db: apsw.Connection, underlying: str, day: dt.date, bars: BarColumns) -> None:
    """Keep the open, high, low and close that an index's bars of one day add up to."""
    values = (float(bars.open[0]), float(np.nanmax(bars.high)), float(np.nanmin(bars.low)), float(bars.close[-1]))
    db.execute(
        "INSERT OR REPLACE INTO day_stats VALUES (?, ?, ?, ?, ?, ?, ?)",
        (underlying, day.isoformat(), bars.interval_s, *values),
    )


def put_quality(db: apsw.Connection, underlying: str, day: dt.date, source: str, quality: DataQuality) -> None:
    """Keep what was wrong with what one source gave for a day."""
    text = msgspec.json.encode(quality).decode()
    db.execute("INSERT OR REPLACE INTO data_quality VALUES (?, ?, ?, ?)", (underlying, day.isoformat(), source, text))


def read_quality(db: apsw.Connection, underlying: str, day: dt.date) -> DataQuality:
    """Add up what was wrong with a day's data over all its sources."""
    rows = db.execute(
        "SELECT quality FROM data_quality WHERE underlying = ? AND day = ? ORDER BY source",
        (underlying, day.isoformat()),
    )
    parts = [from_json(text, DataQuality) for (text,) in rows]
    rejected: Counter[str] = Counter()
    for part in parts:
        rejected.update(part.rejected)
    return DataQuality(
        rows=sum(part.rows for part in parts),
        rejected=dict(sorted(rejected.items())),
        snapped=sum(part.snapped for part in parts),
        holes=tuple(sorted({hole for part in parts for hole in part.holes})),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )
