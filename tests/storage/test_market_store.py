import datetime as dt
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace

import apsw
import numpy as np
import pytest

from sos_actors.errors import InputError, StorageError
from sos_actors.market.day import BarColumns, ChainColumns, DataQuality, MarketDay, TickColumns
from sos_actors.storage import migrations
from sos_actors.storage.database import open_database, storage_errors
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.merging import same_columns

MINUTE = 60_000_000_000
NINE_FIFTEEN = 1_756_784_700_000_000_000  # 2025-09-02 09:15 IST
DAY = dt.date(2025, 9, 2)
WEEK = dt.timedelta(days=7)


def bars(first=0, rows=5, level=24_500.0, instrument="NSE|INDEX|NIFTY", interval_s=60):
    start = NINE_FIFTEEN + (first + np.arange(rows)) * interval_s * 10**9
    price = level + np.arange(rows) / 20
    unknown = np.full(rows, np.nan)
    return BarColumns(instrument, interval_s, start, price, price + 2, price - 2, price + 1, unknown, unknown)


def chain(expiry=DAY, strikes=(24_500.0, 24_550.0), *, first=0, rows=3, level=100.0, interval_s=60):
    values = np.full((rows, 8, 2, len(strikes)), np.nan)
    values[:, 3] = level
    values[:, 5] = 75.0
    start = NINE_FIFTEEN + (first + np.arange(rows)) * interval_s * 10**9
    return ChainColumns("NIFTY", expiry, interval_s, start, np.array(strikes), values)


def ticks(rows=6, price=10.0):
    ts = NINE_FIFTEEN + np.arange(rows) * 10**9
    real = np.full(rows, price)
    return TickColumns(
        "NIFTY",
        ("NSE|INDEX|NIFTY", "NSE|OPT|NIFTY|2025-09-02|24500|CE"),
        np.arange(rows, dtype=np.int32) % 2,
        ts,
        ts + 5,
        real,
        np.ones(rows, np.int64),
        np.arange(rows),
        real,
        real,
        real,
    )


@pytest.fixture
def store(tmp_path):
    with MarketStore(tmp_path / "market.db") as opened:
        yield opened


def test_a_day_comes_back_whole_with_its_nearest_chain_and_future(store):
    store.save_bars(bars(), DAY, "a")
    store.save_bars(bars(instrument="NSE|FUT|NIFTY|2025-10-28"), DAY, "a")
    near = bars(instrument="NSE|FUT|NIFTY|2025-09-30")
    store.save_bars(near, DAY, "a")
    for expiry in (DAY + WEEK, DAY, DAY + 2 * WEEK):
        store.save_chain(chain(expiry), DAY, "b")
    day = store.load_day("NIFTY", DAY)
    assert same_columns(day.index, bars())
    assert same_columns(day.future, near)
    assert [one.expiry for one in day.chains] == [DAY]
    assert (day.source, day.simulated) == ("a+b", False)
    assert [one.expiry for one in store.load_day("NIFTY", DAY, "all").chains] == [DAY, DAY + WEEK, DAY + 2 * WEEK]
    assert [one.expiry for one in store.load_day("NIFTY", DAY, [DAY + WEEK]).chains] == [DAY + WEEK]
    assert store.load_day("NIFTY", DAY + WEEK) is None
    assert store.load_day("BANKNIFTY", DAY) is None


def test_storing_the_same_again_changes_nothing_and_what_differs_is_merged_minute_by_minute(store):
    assert store.save_bars(bars(0, 5), DAY, "a") == "new"
    assert store.save_bars(bars(0, 5), DAY, "b") == "unchanged"
    assert store.save_bars(bars(3, 4, level=25_000.0), DAY, "b") == "merged"
    day = store.load_day("NIFTY", DAY)
    assert day.index.open.tolist()[2:4] == [24_500.1, 25_000.0]
    assert len(day.index.start) == 7
    assert day.source == "a+b"
    assert store.save_bars(bars(0, 2), DAY, "c", force=True) == "replaced"
    assert len(store.load_day("NIFTY", DAY).index.start) == 2


def test_chains_merge_by_contract_and_minute(store):
    store.save_chain(chain(strikes=(24_500.0, 24_550.0), rows=2, level=100.0), DAY, "a")
    newer = chain(strikes=(24_550.0, 24_600.0), first=1, rows=2, level=200.0)
    newer.values[0, :, 1, 0] = np.nan  # nothing new of the 24550 put at 09:16
    assert store.save_chain(newer, DAY, "b") == "merged"
    (whole,) = store.load_day("NIFTY", DAY).chains
    assert whole.strikes.tolist() == [24_500.0, 24_550.0, 24_600.0]
    close = whole.values[:, 3]
    assert np.array_equal(close[:, 0], [[100, 100, np.nan], [100, 200, 200], [np.nan, 200, 200]], equal_nan=True)
    assert close[1, 1, 1] == 100.0
    assert store.save_chain(newer, DAY, "b") == "unchanged"


def test_ticks_merge_in_order_of_arrival_without_repeats(store):
    store.save_ticks(ticks(6), DAY, "a")
    assert store.save_ticks(ticks(6), DAY, "a") == "unchanged"
    assert store.save_ticks(ticks(9), DAY, "b") == "merged"
    assert same_columns(store.load_ticks("NIFTY", DAY), ticks(9))
    assert store.load_ticks("NIFTY", DAY + WEEK) is None
    assert store.days("NIFTY") == [DAY]
    assert store.load_day("NIFTY", DAY) is None


def test_the_finest_interval_is_loaded_unless_another_is_asked_for(store):
    store.save_bars(bars(interval_s=300), DAY, "a")
    store.save_bars(bars(interval_s=86_400, rows=1), DAY, "a")
    assert store.load_day("NIFTY", DAY).index.interval_s == 300
    store.save_bars(bars(interval_s=60), DAY, "a")
    store.save_chain(chain(interval_s=900), DAY, "a")
    day = store.load_day("NIFTY", DAY)
    assert (day.index.interval_s, day.chains[0].interval_s) == (60, 900)
    day = store.load_day("NIFTY", DAY, interval_s=300)
    assert (day.index.interval_s, day.chains) == (300, ())


def test_derived_bars_only_fill_what_is_not_there(store):
    store.save_bars(bars(0, 3), DAY, "real")
    store.save_bars(bars(2, 3, level=99.0), DAY, "spot", fill_only=True)
    assert store.load_day("NIFTY", DAY).index.open.tolist() == [24_500.0, 24_500.05, 24_500.1, 99.05, 99.1]


def test_simulated_data_never_mixes_with_real(store):
    assert store.save_bars(bars(0, 5, level=1.0), DAY, "sim", True) == "new"
    assert store.load_day("NIFTY", DAY).simulated
    assert store.save_bars(bars(0, 2), DAY, "real") == "replaced"
    assert len(store.load_day("NIFTY", DAY).index.start) == 2
    with pytest.raises(InputError, match="real data is stored"):
        store.save_bars(bars(0, 5), DAY, "sim", True)


def test_day_stats_are_of_the_last_day_before(store):
    assert store.day_stats("NIFTY", DAY) is None
    store.save_bars(bars(0, 5), DAY, "a")
    store.save_bars(bars(0, 5, instrument="NSE|FUT|NIFTY|2025-09-30", level=1.0), DAY, "a")
    stats = store.day_stats("NIFTY", DAY + WEEK)
    assert (stats.day, stats.open, stats.high, stats.low, stats.close) == (DAY, 24_500.0, 24_502.2, 24_498.0, 24_501.2)
    assert store.day_stats("NIFTY", DAY) is None
    store.save_bars(bars(0, 1, level=50.0, interval_s=86_400), DAY, "official")
    assert store.day_stats("NIFTY", DAY + WEEK).open == 50.0  # the exchange's own daily bar wins


def test_quality_adds_up_over_sources_and_is_replaced_by_the_same_source(store):
    store.save_quality("NIFTY", DAY, "a", DataQuality(5, {"duplicate": 2}, 1, ((1, 2),), ("x",)))
    store.save_quality("NIFTY", DAY, "a", DataQuality(6, {"duplicate": 3}, 1, ((1, 2),), ("x",)))
    store.save_quality("NIFTY", DAY, "b", DataQuality(10, {"no price": 1, "duplicate": 1}, 0, ((0, 1),), ("x", "y")))
    whole = DataQuality(16, {"duplicate": 4, "no price": 1}, 1, ((0, 1), (1, 2)), ("x", "y"))
    assert store.quality("NIFTY", DAY) == whole


def test_save_day_round_trip(store):
    given = MarketDay("NIFTY", DAY, bars(), None, (chain(),), "upstox", quality=DataQuality(8))
    store.save_day(given)
    found = store.load_day("NIFTY", DAY)
    assert same_columns(found.index, given.index)
    assert same_columns(found.chains[0], given.chains[0])
    assert replace(found, index=None, chains=()) == replace(given, index=None, chains=())


def test_a_transaction_that_fails_leaves_nothing(store):
    def fail():
        with store.transaction():
            store.save_bars(bars(), DAY, "a")
            assert store.days("NIFTY") == [DAY]
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert store.days("NIFTY") == []
    assert store.day_stats("NIFTY", DAY + WEEK) is None


def test_a_full_disk_is_one_line_and_leaves_the_database_as_it_was(tmp_path):
    with MarketStore(tmp_path / "market.db") as store:
        store.save_bars(bars(), DAY, "a")
        store.db.pragma("max_page_count", store.db.pragma("page_count") + 4)
        noise = chain(strikes=tuple(20_000.0 + 50 * np.arange(80)), rows=200)
        noise.values[:] = np.random.default_rng(1).random(noise.values.shape)

        def save_both():
            with store.transaction():
                store.save_bars(bars(level=1.0), DAY + WEEK, "a")
                store.save_chain(noise, DAY, "a")

        with pytest.raises(StorageError, match="the disk is full; nothing of this was stored"):
            save_both()
        assert store.days("NIFTY") == [DAY]
        store.db.pragma("max_page_count", 1_000_000)
        assert store.save_chain(noise, DAY, "a") == "new"
    with MarketStore(tmp_path / "market.db", readonly=True) as store:
        assert same_columns(store.load_day("NIFTY", DAY).chains[0], noise)


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "market.db"
    path.write_bytes(b"not a database at all " * 500)
    with pytest.raises(StorageError, match="not a readable database"):
        MarketStore(path)


def test_a_corrupt_database(tmp_path):
    path = tmp_path / "market.db"
    with MarketStore(path) as store:
        for number in range(40):
            store.save_chain(chain(rows=50), DAY + number * WEEK, "a")
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 9] = b"\xa5" * (4096 * 6)
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged|not a readable database"):
        MarketStore(path)


def test_a_damaged_block_names_its_day_and_can_be_replaced(store):
    store.save_chain(chain(), DAY, "a")
    store.save_bars(bars(), DAY, "a")
    store.db.execute("UPDATE chain_block SET block = substr(block, 1, length(block) - 9)")
    with pytest.raises(StorageError, match=r"market.db: NIFTY 2025-09-02: its chain is damaged .* --force"):
        store.load_day("NIFTY", DAY)
    assert store.save_chain(chain(), DAY, "a", force=True) == "replaced"
    assert same_columns(store.load_day("NIFTY", DAY).chains[0], chain())


def test_a_newer_schema_says_to_upgrade_and_is_left_alone(tmp_path):
    path = tmp_path / "market.db"
    MarketStore(path).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", migrations.SCHEMA_VERSION + 1)
    db.close()
    for readonly in (False, True):
        with pytest.raises(StorageError, match=r"newer version .* upgrade the program"):
            MarketStore(path, readonly=readonly)


def test_another_programs_database_is_not_touched(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE historical_candles (x)")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="of another program"):
        MarketStore(path)
    assert path.read_bytes() == before


def test_migrations_run_in_order_once_and_keep_the_data(tmp_path, monkeypatch):
    path = tmp_path / "market.db"
    with MarketStore(path) as store:
        store.save_bars(bars(), DAY, "a")
    steps = (
        *migrations.MIGRATIONS,
        "CREATE TABLE later (x); INSERT INTO later VALUES (1)",
        "UPDATE later SET x = x + 1",
    )
    monkeypatch.setattr("sos_actors.storage.database.MIGRATIONS", steps)
    monkeypatch.setattr("sos_actors.storage.database.SCHEMA_VERSION", len(steps))
    with pytest.raises(StorageError, match="of an older version"):
        MarketStore(path, readonly=True)
    for _ in range(2):
        with MarketStore(path) as store:
            assert store.db.execute("SELECT x FROM later").get == 2
            assert store.db.pragma("user_version") == len(steps)
            assert store.days("NIFTY") == [DAY]


def test_a_migration_that_fails_leaves_the_old_version(tmp_path, monkeypatch):
    path = tmp_path / "market.db"
    MarketStore(path).close()
    monkeypatch.setattr(
        "sos_actors.storage.database.MIGRATIONS",
        (*migrations.MIGRATIONS, "CREATE TABLE half (x)", "SELECT nothing FROM nowhere"),
    )
    monkeypatch.setattr("sos_actors.storage.database.SCHEMA_VERSION", len(migrations.MIGRATIONS) + 2)
    with pytest.raises(apsw.SQLError):
        open_database(path)
    db = apsw.Connection(str(path))
    assert db.pragma("user_version") == len(migrations.MIGRATIONS)
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").get == 0


def test_a_second_writer_is_told_so(tmp_path):
    with MarketStore(tmp_path / "market.db") as first, MarketStore(tmp_path / "market.db") as second:
        second.db.set_busy_timeout(1)
        with first.transaction():
            first.save_bars(bars(), DAY, "a")
            with pytest.raises(StorageError, match="another process is writing"):
                second.save_bars(bars(), DAY, "b")


def test_readonly_stores_cannot_write_and_need_a_file(tmp_path):
    with pytest.raises(StorageError, match="run 'ingest' first"):
        MarketStore(tmp_path / "none.db", readonly=True)
    MarketStore(tmp_path / "market.db").close()
    with MarketStore(tmp_path / "market.db", readonly=True) as store, pytest.raises(StorageError, match="be written"):
        store.save_bars(bars(), DAY, "a")


def test_load_bars_joins_days_at_one_interval(store):
    for number in range(3):
        store.save_bars(bars(1440 * number), DAY + dt.timedelta(days=number), "a")
    store.save_bars(bars(interval_s=300), DAY, "a")
    found = store.load_bars("NSE|INDEX|NIFTY", DAY, DAY + dt.timedelta(days=1))
    assert (len(found.start), found.interval_s) == (10, 60)
    assert (np.diff(found.start) > 0).all()
    assert len(store.load_bars("NSE|INDEX|NIFTY", DAY, DAY + WEEK, 300).start) == 5
    assert store.load_bars("NSE|INDEX|SENSEX", DAY, DAY) is None


@pytest.mark.parametrize(("free", "said"), [(0, "the disk is full"), (2**30, "reading or writing failed")])
def test_an_error_of_a_full_disk_that_has_another_name_is_told_as_one(tmp_path, monkeypatch, free, said):
    # SQLite cannot make the index of its log: that is an I/O error, also for one who only reads.
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises(StorageError, match=said), storage_errors(tmp_path / "market.db"):
        raise apsw.IOError("disk I/O error")
