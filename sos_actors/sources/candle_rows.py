"""A day's candles as the broker gave them, on the same checked way into the database as the rows of a file."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sos_actors.errors import InputError
from sos_actors.market.ids import parse_id
from sos_actors.sources.facts import MarketFacts
from sos_actors.sources.ingest import FileReport, Request, ingest_table
from sos_actors.sources.layout import Layout
from sos_actors.storage.market_store import MarketStore

_PRICES = ("ts", "open", "high", "low", "close")
_COUNTS = ("volume", "oi")
_INDEX = Layout(kind="bars", interval_s=60, columns={name: name for name in _PRICES})
_FUTURE = Layout(kind="bars", interval_s=60, columns={name: name for name in (*_PRICES, *_COUNTS, "expiry")})
_OPTIONS = Layout(
    kind="chain_long",
    interval_s=60,
    columns={name: name for name in (*_PRICES, *_COUNTS, "expiry", "strike", "right")},
)
#: What each kind of instrument is stored as, and under which name of its source. An index's volume of 0 is none.
KINDS = {"INDEX": ("index", _INDEX), "FUT": ("future", _FUTURE), "OPT": ("options", _OPTIONS)}

Rows = Sequence[Sequence[Any]]


def by_day(rows: Rows, days: Sequence[dt.date]) -> dict[dt.date, list[Sequence[Any]]]:
    """Part rows by their day, which is the date they begin with; of other days than these none are kept.

    A row whose time cannot be read goes to the first day, where checking will count it.
    """
    found: dict[dt.date, list[Sequence[Any]]] = {day: [] for day in days}
    for row in rows:
        try:
            day = dt.date.fromisoformat(str(row[0])[:10]) if row else days[0]
        except ValueError:
            day = days[0]
        if day in found:
            found[day].append(row)
    return found


def store_day(
    store: MarketStore,
    underlying: str,
    day: dt.date,
    fetched: Mapping[str, Rows],
    source: str,
    facts: MarketFacts,
    *,
    force: bool = False,
) -> tuple[dict[str, FileReport], list[str]]:
    """Check and store the rows of a day by instrument.

    Gives the reports by 'index', 'future' and 'options', and in words what could not be stored. Call it within a
    transaction. Raises StorageError.
    """
    reports: dict[str, FileReport] = {}
    refused: list[str] = []
    for kind, (name, layout) in KINDS.items():
        own = {instrument: rows for instrument, rows in fetched.items() if rows and parse_id(instrument).kind == kind}
        if not own:
            continue
        request = Request(layout=layout, symbol=underlying, from_date=day, to_date=day, force=force, facts=facts)
        where = f"{source} {underlying} {day} {name}"
        try:
            table = _table(own, layout)
            reports[name] = ingest_table(table, where, f"{source}:{name}", store, request, lambda *_: None)
        except InputError as error:
            refused.append(str(error))
    return reports, refused


def _table(fetched: Mapping[str, Rows], layout: Layout) -> pa.Table:
    """Lay the rows below each other as text, as a file has them; a row too short has unknown cells."""
    columns: dict[str, list[str | None]] = {name: [] for name in layout.columns}
    order = (*_PRICES, *_COUNTS)
    for instrument, rows in fetched.items():
        parts = parse_id(instrument)
        fixed = {
            "expiry": parts.expiry and parts.expiry.isoformat(),
            "strike": f"{parts.strike:g}" if parts.strike is not None else None,
            "right": parts.right and parts.right.value,
        }
        for row in rows:
            cells = dict(zip(order, row, strict=False))
            for name, column in columns.items():
                value = fixed[name] if name in fixed else cells.get(name)
                column.append(None if value is None else str(value))
    return pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
