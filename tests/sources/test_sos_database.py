import datetime as dt
import sqlite3

import numpy as np
import pytest

from sos_actors.errors import InputError
from sos_actors.sources.ingest import Request
from sos_actors.sources.sos_database import import_sos, is_sos_database
from sos_actors.storage.market_store import MarketStore

DAY = dt.date(2025, 9, 2)
MINUTE = 60_000_000_000


@pytest.fixture
def store(tmp_path):
    with MarketStore(tmp_path / "market.db") as opened:
        yield opened


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "sos.db"
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE historical_candles (id INTEGER PRIMARY KEY, symbol TEXT, timestamp TEXT, open REAL, "
            "high REAL, low REAL, close REAL, volume INTEGER)"
        )
        db.execute(
            "CREATE TABLE option_chain_data (symbol TEXT, timestamp TEXT, strike REAL, expiry TEXT, "
            "call_oi INTEGER, call_oi_chg INTEGER, call_ltp REAL, call_iv REAL, call_volume INTEGER, "
            "put_oi INTEGER, put_oi_chg INTEGER, put_ltp REAL, put_iv REAL, put_volume INTEGER)"
        )
        db.execute("CREATE TABLE market_stats (symbol TEXT, timestamp TEXT, pcr REAL)")
        for minute in range(15, 45):
            stamp = f"2025-09-02 09:{minute}:00"
            db.execute(
                "INSERT INTO historical_candles VALUES (NULL, 'Nifty 50', ?, 24500, 24510, 24490, 24505.5, 0)", (stamp,)
            )
            db.execute("INSERT INTO market_stats VALUES ('NIFTY', ?, 1.1)", (stamp,))
            for strike in (24_450, 24_500, 24_550):
                db.execute(
                    "INSERT INTO option_chain_data VALUES ('NIFTY', ?, ?, '2025-09-02', 750, 0, 101.05, 12.5, "
                    "?, 1500, 0, 98.5, 13.5, ?)",
                    (stamp, strike, 75 * (minute - 14), 150 * (minute - 14)),
                )
        db.execute("UPDATE historical_candles SET close = 'broken' WHERE id = 7")
    db.close()
    return path


def test_candles_and_chain_are_imported_and_statistics_counted(store, old):
    assert is_sos_database(old)
    report = import_sos(old, store)
    candles, chain = report.imported.files
    assert (candles.rows, candles.stored, dict(candles.rejected)) == (30, 29, {"close is not a number": 1})
    assert (chain.rows, chain.stored, chain.interval_s) == (180, 180, 60)
    assert dict(report.left_out) == {"market_stats": 30}
    day = store.load_day("NIFTY", DAY)
    assert len(day.index.start) == 29
    (columns,) = day.chains
    assert columns.values.shape == (30, 8, 2, 3)
    assert columns.values[0, :, 0, 1].tolist()[:6] == [101.05, 101.05, 101.05, 101.05, 75.0, 750.0]
    assert columns.values[5, 4, 1, 1] == 150.0
    assert (np.diff(columns.start) == MINUTE).all()
    assert set(import_sos(old, store).imported.files[0].blocks) == {"unchanged"}


def test_only_what_is_asked_for(store, old):
    with pytest.raises(InputError, match="nothing of SENSEX in it; there is NIFTY"):
        import_sos(old, store, Request(symbol="SENSEX"))
    import_sos(old, store, Request(from_date=dt.date(2025, 9, 3)))
    assert store.days("NIFTY") == []


def test_all_or_nothing_over_both_tables(store, old):
    with sqlite3.connect(old) as db:
        db.execute("ALTER TABLE option_chain_data RENAME COLUMN call_oi TO something")
    db.close()
    with pytest.raises(InputError, match=r"layout sos_chain needs column call_oi"):
        import_sos(old, store)
    assert store.days("NIFTY") == []


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"SQLite format 3\x00" + b"junk" * 200, "cannot be read as a SQLite database"),
        (b"text", "cannot be read as a SQLite"),
    ],
)
def test_files_that_are_none(store, tmp_path, content, match):
    path = tmp_path / "sos.db"
    path.write_bytes(content)
    assert not is_sos_database(path)
    with pytest.raises(InputError, match=match):
        import_sos(path, store)


def test_databases_without_our_tables(store, tmp_path):
    sqlite3.connect(tmp_path / "x.db").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(InputError, match="has none of the tables"):
        import_sos(tmp_path / "x.db", store)
    with pytest.raises(InputError, match="no such file"):
        import_sos(tmp_path / "none.db", store)
