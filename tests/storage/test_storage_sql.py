import datetime as dt

import apsw
import numpy as np
import pytest

from sos_actors.errors import InputError, StorageError
from sos_actors.market.day import BarColumns, ChainColumns
from sos_actors.storage.blocks import decode_bars
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.sql import query

NINE_FIFTEEN = 1_756_784_700_000_000_000  # 2025-09-02 09:15 IST
MINUTE = 60_000_000_000
DAY = dt.date(2025, 9, 2)


def bars(day_number=0, rows=3):
    start = NINE_FIFTEEN + day_number * 86_400 * 10**9 + np.arange(rows) * MINUTE
    price = 24_500.05 + np.arange(rows)
    unknown = np.full(rows, np.nan)
    return BarColumns("NSE|INDEX|NIFTY", 60, start, price, price + 1, price - 1, price, unknown, unknown)


def chain(expiry, strikes=(24_450.0, 24_500.0, 24_550.0), rows=2):
    values = np.full((rows, 8, 2, len(strikes)), np.nan)
    values[:, 3] = np.arange(rows * 2 * len(strikes)).reshape(rows, 2, len(strikes)) + 0.05
    values[0, :, 1, 0] = np.nan
    return ChainColumns("NIFTY", expiry, 60, NINE_FIFTEEN + np.arange(rows) * MINUTE, np.array(strikes), values)


@pytest.fixture
def path(tmp_path):
    with MarketStore(tmp_path / "market.db") as store:
        for number in range(3):
            store.save_bars(bars(number), DAY + dt.timedelta(days=number), "test")
        store.save_chain(chain(DAY), DAY, "test")
        store.save_chain(chain(dt.date(2025, 9, 9)), DAY, "test")
    return tmp_path / "market.db"


def test_bars_read_as_rows_with_ist_time_and_null_for_unknown(path):
    found = query(path, "SELECT * FROM bars WHERE symbol = 'NIFTY' AND day = '2025-09-02' ORDER BY ts")
    assert found.columns[:5] == ("symbol", "instrument", "day", "time", "ts")
    rows = list(found.rows)
    assert len(rows) == 3
    assert rows[1] == (
        "NIFTY",
        "NSE|INDEX|NIFTY",
        "2025-09-02",
        "2025-09-02T09:16:00",
        NINE_FIFTEEN + MINUTE,
        60,
        24501.05,
        24502.05,
        24500.05,
        24501.05,
        None,
        None,
        "test",
        0,
    )


def test_chain_reads_as_one_row_a_contract_and_leaves_out_what_is_unknown(path):
    rows = list(
        query(
            path, "SELECT time, strike, right, close FROM chain WHERE expiry = ? AND day = '2025-09-02'", ["2025-09-02"]
        ).rows
    )
    assert len(rows) == 11
    assert rows[0] == ("2025-09-02T09:15:00", 24450.0, "CE", 0.05)
    assert ("2025-09-02T09:15:00", 24450.0, "PE") not in [row[:3] for row in rows]


def test_conditions_on_strike_and_right_find_one_contract(path):
    where = "strike = 24500 AND right = 'PE' AND expiry < '2025-09-05'"
    rows = list(query(path, f"SELECT close FROM chain WHERE {where}").rows)
    assert rows == [(4.05,), (10.05,)]


def test_ranges_joins_and_aggregates_work(path):
    by_day = "SELECT day, count(*), max(high) FROM bars WHERE day > '2025-09-02' GROUP BY day"
    assert list(query(path, by_day).rows) == [("2025-09-03", 3, 24503.05), ("2025-09-04", 3, 24503.05)]
    joined = "SELECT count(*) FROM chain c JOIN bars b ON b.ts = c.ts AND b.day = c.day AND b.symbol = c.underlying"
    assert list(query(path, joined).rows) == [(22,)]


def test_the_day_decides_which_blocks_are_opened(path, monkeypatch):
    opened = []

    def counted(block):
        opened.append(1)
        return decode_bars(block)

    monkeypatch.setattr("sos_actors.storage.sql.decode_bars", counted)
    list(query(path, "SELECT close FROM bars WHERE day = '2025-09-03'").rows)
    assert len(opened) == 1
    list(query(path, "SELECT close FROM bars WHERE close > 0").rows)
    assert len(opened) == 4


def test_a_query_without_rows_still_has_columns(path):
    found = query(path, "SELECT day, close AS last FROM bars WHERE day = '1999-01-01'")
    assert found.columns == ("day", "last")
    assert list(found.rows) == []


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM bars", "SELECT * FROM bar"])
def test_bad_sql_is_one_line(path, sql):
    with pytest.raises(InputError, match=r"^SQL: "):
        query(path, sql)


def test_nothing_can_be_written(path):
    with pytest.raises(StorageError, match="cannot be written"):
        query(path, "DELETE FROM bar_block")
    assert apsw.Connection(str(path)).execute("SELECT count(*) FROM bar_block").get == 3


def test_no_database_yet(tmp_path):
    with pytest.raises(StorageError, match="run 'ingest' first"):
        query(tmp_path / "none.db", "SELECT 1")
