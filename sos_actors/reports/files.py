"""Trades as a table in a file: CSV or Parquet, by the file's suffix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from sos_actors.errors import InputError
from sos_actors.messages import TradeClosed
from sos_actors.reports.figures import in_order
from sos_actors.reports.run import trade_row

_TEXT, _NUMBER = pa.string(), pa.float64()

#: Column, type and meaning. Parquet keeps the meaning as the column's metadata (`description`).
COLUMNS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("trade_id", _TEXT, "unique within the run"),
    ("intent_id", _TEXT, "order intent that opened the trade"),
    ("strategy", _TEXT, "strategy that signalled"),
    ("underlying", _TEXT, "index, e.g. NIFTY"),
    ("instrument", _TEXT, "canonical id of what was traded"),
    ("direction", _TEXT, "view of the underlying: LONG or SHORT"),
    ("side", _TEXT, "side of the entry: BUY or SELL"),
    ("quantity", pa.int64(), "units"),
    ("entry_time", _TEXT, "first fill, ISO 8601, Asia/Kolkata"),
    ("exit_time", _TEXT, "last fill, ISO 8601, Asia/Kolkata"),
    ("holding_minutes", _NUMBER, "exit less entry, minutes"),
    ("entry_price", _NUMBER, "average price of entry, rupees a unit"),
    ("exit_price", _NUMBER, "average price of exit, rupees a unit"),
    ("gross", _NUMBER, "result before charges, rupees"),
    ("charges", _NUMBER, "charges of entry and exit, rupees"),
    ("net", _NUMBER, "result after charges, rupees"),
    ("r_multiple", _NUMBER, "net over (initial_risk x quantity); empty without a stop"),
    ("exit_reason", _TEXT, "why the position was closed"),
    ("regime", _TEXT, "regime at the signal"),
    ("initial_risk", _NUMBER, "entry to first stop, rupees a unit; empty without a stop"),
    ("mae", _NUMBER, "worst excursion, rupees a unit, >= 0"),
    ("mfe", _NUMBER, "best excursion, rupees a unit, >= 0"),
)

_SCHEMA = pa.schema([pa.field(name, kind, metadata={"description": text}) for name, kind, text in COLUMNS])


def trades_table(trades: Sequence[TradeClosed]) -> pa.Table:
    """Give the trades as an Arrow table of `COLUMNS`, in the order of their exits."""
    return pa.Table.from_pylist([trade_row(trade) for trade in in_order(trades)], schema=_SCHEMA)


def write_trades(trades: Sequence[TradeClosed], path: Path) -> None:
    """Write the trades to `path`, replacing it in one step; raises InputError for a bad suffix or place."""
    writers = {".csv": pyarrow.csv.write_csv, ".parquet": pyarrow.parquet.write_table}
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise InputError(f"trades file '{path}': unknown kind '{suffix}'; end the name in .csv or .parquet")
    part = path.with_name(path.name + ".part")
    try:
        writers[suffix](trades_table(trades), str(part))
        part.replace(path)
    except OSError as error:
        raise InputError(
            f"trades file '{path}': cannot be written: {error.strerror or error}; "
            "choose a folder that exists and can be written"
        ) from None
