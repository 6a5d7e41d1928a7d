"""Import of an older SOS installation's SQLite database.

Read are `historical_candles` (symbol, timestamp, open, high, low, close, volume) and `option_chain_data` (symbol,
timestamp, strike and per-strike call and put columns); `market_stats` is counted and left out, since the chain actor
computes its figures anew. The rows go through the same checks as a file's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import pyarrow as pa

from sos_actors.errors import InputError
from sos_actors.sources.ingest import FileReport, IngestReport, Progress, Request, ingest_table
from sos_actors.storage.market_store import MarketStore

#: Tables imported, and the layout of each.
TABLES = {"historical_candles": "sos_candles", "option_chain_data": "sos_chain"}
#: Tables known and left out.
LEFT_OUT = ("market_stats",)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported, and the rows of the tables that were left out."""

    imported: IngestReport
    left_out: Mapping[str, int]


def is_sos_database(path: Path) -> bool:
    """Whether the file is SQLite with one of the tables we import."""
    try:
        with path.open("rb") as file:
            if not file.read(16).startswith(b"SQLite format 3"):
                return False
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return bool(_columns(db))
        finally:
            db.close()
    except (OSError, apsw.Error):
        return False


def import_sos(
    path: str | Path, store: MarketStore, request: Request | None = None, progress: Progress | None = None
) -> ImportReport:
    """Store what the database at `path` holds, all of it or nothing.

    Raises InputError when it is unreadable, holds none of the tables or one without the columns needed.
    """
    path, request = Path(path), request or Request()
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        columns = _columns(db)
        if not columns:
            raise InputError(f"{path}: has none of the tables {', '.join(TABLES)}")
        tables = {name: _read(db, name, names) for name, names in columns.items()}
        left_out = {name: int(db.execute(f"SELECT count(*) FROM {name}").get) for name in LEFT_OUT if _exists(db, name)}
    except apsw.Error as error:
        raise InputError(f"{path}: cannot be read as a SQLite database ({error})") from None
    reports: list[FileReport] = []
    with store.transaction():
        for number, (name, table) in enumerate(tables.items()):
            if table.num_rows:
                source = f"sos:{path.name}:{name}"
                tell = _part(progress, number, len(tables))
                part = replace(request, layout=TABLES[name])
                reports.append(ingest_table(table, f"{path}:{name}", source, store, part, tell))
    if not reports:
        raise InputError(f"{path}: {', '.join(columns)}: no rows")
    return ImportReport(IngestReport(tuple(reports)), left_out)


def _part(progress: Progress | None, number: int, count: int) -> Progress:
    def tell(share: float, text: str) -> None:
        if progress:
            progress((number + share) / count, text)

    return tell


def _exists(db: apsw.Connection, table: str) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)).get)


def _columns(db: apsw.Connection) -> dict[str, list[str]]:
    """Give the column names of each table we import."""
    there = [table for table in TABLES if _exists(db, table)]
    return {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in there}


def _read(db: apsw.Connection, table: str, names: list[str]) -> pa.Table:
    """Give a table's rows as text columns, which is what SQLite's loose types and the checks have in common."""
    wanted = ", ".join(f'CAST("{name}" AS TEXT)' for name in names)
    rows = db.execute(f"SELECT {wanted} FROM {table} ORDER BY rowid").fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
