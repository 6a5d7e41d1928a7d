"""Trades in files, read back by other means."""

import csv

import pyarrow.parquet
import pytest

from sos_actors.errors import InputError
from sos_actors.reports.files import COLUMNS, trades_table, write_trades
from sos_actors.reports.run import run_result


def test_csv(record, tmp_path):
    path = tmp_path / "trades.csv"
    write_trades(record.trades, path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [name for name, _, _ in COLUMNS]
    assert [row["trade_id"] for row in rows] == ["T1", "T2", "T3"]
    assert rows[0]["entry_time"] == "2025-09-02T09:31:00+05:30"
    assert [float(row["net"]) for row in rows] == [123_242.33, -18_964.37, -525.62]
    assert rows[2]["r_multiple"] == ""
    assert list(tmp_path.iterdir()) == [path]


def test_parquet(record, tmp_path):
    path = tmp_path / "trades.parquet"
    write_trades(record.trades, path)
    table = pyarrow.parquet.read_table(path)
    assert table.to_pylist() == run_result(record).trades
    assert table.schema.field("mae").metadata == {b"description": b"worst excursion, rupees a unit, >= 0"}


def test_columns_are_those_of_a_trade(record):
    assert list(run_result(record).trades[0]) == [name for name, _, _ in COLUMNS]


def test_no_trades_keep_the_columns(tmp_path):
    path = tmp_path / "none.csv"
    write_trades((), path)
    assert path.read_text().count("\n") == 1
    assert trades_table(()).num_rows == 0


def test_writing_again_replaces(record, tmp_path):
    path = tmp_path / "trades.CSV"
    write_trades(record.trades, path)
    first = path.read_bytes()
    write_trades(record.trades[::-1], path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("trades.xlsx", "end the name in .csv or .parquet"),
        ("trades", "end the name in"),
        ("no/such/t.csv", "cannot be written"),
        ("no/such/t.parquet", "cannot be written"),
    ],
)
def test_bad_places(record, tmp_path, name, words):
    with pytest.raises(InputError, match=words) as caught:
        write_trades(record.trades, tmp_path / name)
    assert "\n" not in str(caught.value)
