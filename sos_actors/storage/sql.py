"""Plain SQL over the stored minutes: the virtual tables `bars` and `chain`.

    bars   symbol, instrument, day, time, ts, interval_s, open, high, low, close, volume, oi, source, simulated
    chain  underlying, day, time, ts, interval_s, expiry, strike, right, open, high, low, close, volume, oi, bid, ask,
           source, simulated

`day` and `expiry` are ISO dates, `time` the bar's start as ISO text in IST, `ts` the same in UTC nanoseconds; unknown
values are NULL. A condition on symbol, instrument, day, expiry or interval_s decides which days are opened; one on
right or strike which cells are looked at; all others SQLite checks row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import apsw
import apsw.ext
import numpy as np

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_times
from sos_actors.market.day import BAR_FIELDS
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.storage.blocks import decode_bars, decode_chain
from sos_actors.storage.database import open_database, storage_errors

_RIGHTS = ("CE", "PE")
_OPERATORS = {
    apsw.SQLITE_INDEX_CONSTRAINT_EQ: "=",
    apsw.SQLITE_INDEX_CONSTRAINT_GT: ">",
    apsw.SQLITE_INDEX_CONSTRAINT_GE: ">=",
    apsw.SQLITE_INDEX_CONSTRAINT_LT: "<",
    apsw.SQLITE_INDEX_CONSTRAINT_LE: "<=",
}
_REAL = ("open", "high", "low", "close", "volume", "oi", "bid", "ask", "strike")
_WHOLE = ("ts", "interval_s", "simulated")


class QueryResult(NamedTuple):
    """What `query` found: the column names, and the rows, read as they are asked for."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


def _or_null(values: np.ndarray[Any, Any]) -> list[Any]:
    """Values with None for NaN."""
    return [None if value != value else value for value in values.tolist()]


class _Bars:
    """The virtual table `bars`."""

    name = "bars"
    table = "bar_block"
    columns = (
        "symbol",
        "instrument",
        "day",
        "time",
        "ts",
        "interval_s",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "oi",
        "source",
        "simulated",
    )
    stored: ClassVar = {"symbol": "underlying", "instrument": "instrument", "day": "day", "interval_s": "interval_s"}
    keys = ("underlying", "instrument", "day", "source", "simulated", "block")
    within: tuple[str, ...] = ()

    @staticmethod
    def rows(block: tuple[Any, ...], _: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """One row a bar of a stored day."""
        underlying, instrument, day, source, simulated, data = block
        bars = decode_bars(data)
        columns = (_or_null(getattr(bars, name)) for name in BAR_FIELDS)
        for time, ts, *values in zip(ist_times(bars.start), bars.start.tolist(), *columns, strict=True):
            yield (underlying, instrument, day, time, ts, bars.interval_s, *values, source, simulated)


class _Chain:
    """The virtual table `chain`."""

    name = "chain"
    table = "chain_block"
    columns = (
        "underlying",
        "day",
        "time",
        "ts",
        "interval_s",
        "expiry",
        "strike",
        "right",
        *CHAIN_FIELDS,
        "source",
        "simulated",
    )
    stored: ClassVar = {name: name for name in ("underlying", "day", "expiry", "interval_s")}
    keys = ("underlying", "day", "expiry", "source", "simulated", "block")
    within = ("strike", "right")

    @staticmethod
    def rows(block: tuple[Any, ...], wanted: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """One row a minute and contract of which anything is known."""
        underlying, day, expiry, source, simulated, data = block
        chain = decode_chain(data)
        known = ~np.isnan(chain.values).all(axis=1)
        if "right" in wanted:
            known &= (np.array(_RIGHTS) == wanted["right"])[None, :, None]
        if "strike" in wanted:
            known &= (chain.strikes == wanted["strike"])[None, None, :]
        minutes, rights, strikes = np.nonzero(known)
        cells = chain.values[minutes, :, rights, strikes]
        times, starts, ladder = ist_times(chain.start), chain.start.tolist(), chain.strikes.tolist()
        places = zip(minutes.tolist(), rights.tolist(), strikes.tolist(), strict=True)
        for (minute, right, strike), cell in zip(places, cells, strict=True):
            yield (
                underlying,
                day,
                times[minute],
                starts[minute],
                chain.interval_s,
                expiry,
                ladder[strike],
                _RIGHTS[right],
                *_or_null(cell),
                source,
                simulated,
            )


class _Module:
    """What apsw asks of a virtual table module; the same for both tables."""

    def __init__(self, what: type[_Bars] | type[_Chain], reader: apsw.Connection) -> None:
        self._what, self._reader = what, reader

    def Connect(self, *_: Any) -> tuple[str, _Table]:  # noqa: N802 - apsw's name
        """Declare the table's columns."""
        kinds = (
            (name, "REAL" if name in _REAL else "INTEGER" if name in _WHOLE else "TEXT") for name in self._what.columns
        )
        declared = ", ".join(f'"{name}" {kind}' for name, kind in kinds)
        return f"CREATE TABLE x ({declared})", _Table(self._what, self._reader)

    Create = Connect


class _Table:
    def __init__(self, what: type[_Bars] | type[_Chain], reader: apsw.Connection) -> None:
        self._what, self._reader = what, reader

    def BestIndexObject(self, info: apsw.IndexInfo) -> bool:  # noqa: N802 - apsw's name
        """Take the conditions that narrow the days or cells; the plan is their names and operators as text."""
        plan: list[str] = []
        cost = 1e9
        for place in range(info.nConstraint):
            operator = _OPERATORS.get(info.get_aConstraint_op(place))
            column = info.get_aConstraint_iColumn(place)
            name = self._what.columns[column] if column >= 0 else ""
            usable = info.get_aConstraint_usable(place) and operator is not None
            if usable and (name in self._what.stored or (name in self._what.within and operator == "=")):
                plan.append(f"{name} {operator}")
                info.set_aConstraintUsage_argvIndex(place, len(plan))
                cost /= 100 if operator == "=" else 4
        info.idxStr = ",".join(plan)
        info.estimatedCost = cost
        return True

    def Open(self) -> _Cursor:  # noqa: N802 - apsw's name
        return _Cursor(self._what, self._reader)

    def Disconnect(self) -> None:  # noqa: N802 - apsw's name
        """Nothing is held."""

    Destroy = Disconnect


class _Cursor:
    def __init__(self, what: type[_Bars] | type[_Chain], reader: apsw.Connection) -> None:
        self._what, self._reader = what, reader
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self._row: tuple[Any, ...] | None = None
        self._number = 0

    def Filter(self, _: int, plan: str | None, values: Sequence[Any]) -> None:  # noqa: N802 - apsw's name
        """Start over with the conditions `BestIndexObject` took."""
        where, bound, within = ["1"], [], {}
        for condition, value in zip((plan or "").split(",") if plan else (), values, strict=True):
            name, operator = condition.split(" ")
            if name in self._what.within:
                within[name] = value
            else:
                where.append(f"{self._what.stored[name]} {operator} ?")
                bound.append(value)
        blocks = self._reader.execute(
            f"SELECT {', '.join(self._what.keys)} FROM {self._what.table} WHERE {' AND '.join(where)} ORDER BY id",
            tuple(bound),
        )
        self._rows = (row for block in blocks for row in self._what.rows(block, within))
        self._number = -1
        self.Next()

    def Next(self) -> None:  # noqa: N802 - apsw's name
        self._row = next(self._rows, None)
        self._number += 1

    def Eof(self) -> bool:  # noqa: N802 - apsw's name
        return self._row is None

    def Column(self, number: int) -> Any:  # noqa: N802 - apsw's name
        return self._number if number < 0 else self._row[number] if self._row is not None else None

    def Rowid(self) -> int:  # noqa: N802 - apsw's name
        return self._number

    def Close(self) -> None:  # noqa: N802 - apsw's name
        self._rows = iter(())


def register_tables(db: apsw.Connection) -> None:
    """Make `bars` and `chain` readable through `db`, a connection to a market database."""
    for what in (_Bars, _Chain):
        module: Any = _Module(what, db)  # apsw's protocol asks for methods that a read-only table never needs
        db.create_module(what.name, module, use_bestindex_object=True, eponymous_only=True, read_only=True)


def query(path: str | Path, sql: str, values: Sequence[Any] = ()) -> QueryResult:
    """Run one SELECT over the market database. Raises InputError for bad SQL, StorageError for a bad file."""
    db = open_database(path, readonly=True)
    register_tables(db)
    try:
        with storage_errors(path):
            info = apsw.ext.query_info(db, sql)
            cursor = db.execute(sql, tuple(values))
    except (apsw.SQLError, apsw.BindingsError) as error:
        db.close()
        raise InputError(f"SQL: {error}") from None
    return QueryResult(tuple(name for name, _ in info.description), _rows(path, cursor))


def _rows(path: str | Path, cursor: apsw.Cursor) -> Iterator[tuple[Any, ...]]:
    with storage_errors(path):
        yield from cursor
