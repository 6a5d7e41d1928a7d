import datetime as dt
import gzip
import json
import os
import time
from pathlib import Path

import pytest

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_ns
from sos_actors.market.instruments import read_master, rupees_of_tick
from sos_actors.messages import Right

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
EXPIRY = dt.date(2026, 11, 23)
INDEX = {"segment": "NSE_INDEX", "name": "Nifty 50", "exchange": "NSE", "instrument_type": "INDEX",
         "instrument_key": "NSE_INDEX|Nifty 50", "exchange_token": "26000", "trading_symbol": "NIFTY"}  # fmt: skip


def option(strike, right, token, **changes):
    return {
        "weekly": False, "segment": "NSE_FO", "name": "NIFTY", "exchange": "NSE",
        "expiry": ist_ns(EXPIRY, "23:59:59") // 10**6, "instrument_type": right, "underlying_symbol": "NIFTY",
        "instrument_key": f"NSE_FO|{token}", "lot_size": 65, "freeze_quantity": 1800.0, "exchange_token": str(token),
        "minimum_lot": 65, "underlying_key": "NSE_INDEX|Nifty 50", "tick_size": 5.0, "underlying_type": "INDEX",
        "trading_symbol": f"NIFTY {strike} {right} 23 NOV 26", "strike_price": float(strike),
    } | changes  # fmt: skip


FUTURE = option(0, "FUT", 99, trading_symbol="NIFTY FUT 23 NOV 26", tick_size=10.0)
EQUITY = {"segment": "NSE_EQ", "name": "RELIANCE", "exchange": "NSE", "isin": "INE002A01018", "instrument_type": "EQ",
          "instrument_key": "NSE_EQ|INE002A01018", "lot_size": 1, "freeze_quantity": 1e5, "tick_size": 5.0,
          "trading_symbol": "RELIANCE", "cas_eligible": True}  # fmt: skip
STOCK_OPTION = option(1400, "CE", 77, underlying_symbol="RELIANCE", underlying_type="EQUITY")


def write(path, rows):
    path.write_bytes(gzip.compress(json.dumps(rows).encode(), 1))
    return path


def test_reads_what_matters(tmp_path):
    rows = [INDEX, option(25050, "PE", 2), option(25000, "PE", 3), option(25000, "CE", 1), FUTURE, EQUITY, STOCK_OPTION]
    rows += [EQUITY | {"trading_symbol": None, "lot_size": None, "expiry": None, "underlying_symbol": None}]
    table = read_master(write(tmp_path / "complete.json.gz", rows))
    assert len(table) == 5
    call = table.by_key("NSE_FO|1")
    assert call.id == "NSE|OPT|NIFTY|2026-11-23|25000|CE"
    assert (rupees_of_tick(5.0), rupees_of_tick(10.0), rupees_of_tick(0.05)) == (0.05, 0.1, 0.05)
    assert (call.tick_size, call.lot_size, call.freeze_quantity) == (0.05, 65, 1800)
    assert (call.kind, call.strike, call.right, call.expiry, call.weekly) == ("OPT", 25000.0, Right.CE, EXPIRY, False)
    assert table.by_id(call.id) is call
    assert table.by_id("NSE|INDEX|NIFTY").upstox_key == "NSE_INDEX|Nifty 50"
    assert [(o.strike, o.right) for o in table.options("NIFTY", EXPIRY)] == [
        (25000.0, Right.CE), (25000.0, Right.PE), (25050.0, Right.PE),
    ]  # fmt: skip
    assert table.expiries("NIFTY") == (EXPIRY,)
    (future,) = table.futures("NIFTY")
    assert (future.id, future.tick_size) == ("NSE|FUT|NIFTY|2026-11-23", 0.1)
    assert table.by_key("NSE_EQ|INE002A01018") is None


@pytest.mark.parametrize(
    "gone", [("underlying_symbol",), ("underlying_symbol", "underlying_key"), ("weekly", "minimum_lot")]
)
@pytest.mark.parametrize("how", ["absent", "null"])
def test_an_option_is_known_without_the_name_of_its_underlying(tmp_path, gone, how):
    row = option(25000, "CE", 1)
    for field in gone:
        row[field] = None
        if how == "absent":
            del row[field]
    strange = option(1400, "CE", 2, name="RELIANCE", underlying_key="NSE_EQ|INE002A01018", underlying_symbol=None)
    table = read_master(write(tmp_path / "m.json.gz", [row, strange]))
    assert [item.underlying for item in table] == ["NIFTY"]
    assert [item.upstox_key for item in table.options("NIFTY", EXPIRY)] == ["NSE_FO|1"]


def test_plain_json_too(tmp_path):
    path = tmp_path / "NSE.json"
    path.write_text(json.dumps([option(25000, "CE", 1)]))
    assert len(read_master(path)) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "fetch it again"),
        (b"<html>403</html>", "fetch it again"),
        (gzip.compress(b"[{}", mtime=0)[:-9], "fetch it again"),
        (b"\x1f\x8bnot a gzip", "fetch it again"),
        (b'{"status": "error"}', "fetch it again"),
        (json.dumps([option(1, "CE", 1, strike_price="high")]).encode(), "fetch it again"),
        (json.dumps([option(1, "CE", 1, lot_size=0)]).encode(), "lot"),
        (json.dumps([option(1, "CE", 1, instrument_key=None)]).encode(), "key"),
        (json.dumps([INDEX, EQUITY]).encode(), "complete"),
    ],
)
def test_bad_files(tmp_path, content, words):
    path = tmp_path / "bad.json.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_master(path)
    assert "\n" not in str(caught.value)
    assert "bad.json.gz" in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="fetch it"):
        read_master(tmp_path / "none.json.gz")


def test_a_hundred_thousand_rows_cost_little_more_than_parsing_them_plainly(tmp_path):
    rows = [option(strike, right, token := 2 * n + i) | {"instrument_key": f"NSE_FO|{token}"}
            for n, strike in enumerate(range(1, 25_001)) for i, right in enumerate(("CE", "PE"))]  # fmt: skip
    rows += [EQUITY | {"instrument_key": f"NSE_EQ|{i}"} for i in range(50_000)]
    path = write(tmp_path / "complete.json.gz", rows)

    def best(call):
        times = []
        for _ in range(2):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
        return min(times)

    plain = best(lambda: json.loads(gzip.decompress(path.read_bytes())))
    ours = best(lambda: read_master(path))
    print(f"\n100,000 rows: json.loads {plain:.2f} s, read_master {ours:.2f} s")
    assert ours < 2.0 * plain
    assert len(read_master(path)) == 50_000


@pytest.mark.real_data
def test_the_real_file():
    path = DATA / "upstox_master_indices_2025-12_complete_nse_bse.json.gz"
    if not path.exists():
        pytest.skip("no real market data")
    table = read_master(path)
    rows = json.loads(gzip.decompress(path.read_bytes()))
    assert sum(i.kind != "INDEX" for i in table) == sum(r["segment"].endswith("_FO") for r in rows)
    assert {i.underlying for i in table if i.kind == "INDEX"} == {
        "NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "INDIAVIX", "SENSEX", "BANKEX",
    }  # fmt: skip
    assert {i.tick_size for i in table if i.kind == "OPT"} == {0.05}
    assert table.expiries("NIFTY")[:3] == (dt.date(2025, 12, 16), dt.date(2025, 12, 23), dt.date(2025, 12, 30))
    for row in rows:
        if row["segment"].endswith("_FO"):
            found = table.by_key(row["instrument_key"])
            assert found is not None
            assert table.by_id(found.id).trading_symbol == row["trading_symbol"]
