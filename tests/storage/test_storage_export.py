import datetime as dt

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from sos_actors.errors import DataError, InputError, StorageError
from sos_actors.market.day import BarColumns, ChainColumns
from sos_actors.messages import ChainSnapshot, Regime
from sos_actors.storage.export import export_bars, export_frames, export_rows
from sos_actors.storage.market_store import MarketStore

NINE_FIFTEEN = 1_756_784_700_000_000_000
DAY = dt.date(2025, 9, 2)
STRIKES = np.array([24_500.0, 24_550.0])


def snapshot(minute):
    arrays = dict.fromkeys(("price", "bid", "ask", "iv", "delta", "gamma", "theta", "vega", "rho", "oi", "oi_change"))
    arrays = {name: np.array([[1.0, 2.0], [3.0, np.nan]]) + minute for name in arrays}
    scalars = set(ChainSnapshot.__struct_fields__) - {
        *arrays,
        "underlying",
        "expiry",
        "ts",
        "smart_trend",
        "regime",
        "missing",
        "strikes",
        "buildup",
    }
    values = {name: float(place) for place, name in enumerate(sorted(scalars))}
    values |= {"iv_rank": float("nan"), "forward": 2.5}
    return ChainSnapshot(
        underlying="NIFTY",
        expiry=DAY,
        ts=NINE_FIFTEEN + minute * 60_000_000_000,
        **values,
        smart_trend="Long Buildup",
        regime=Regime.BULLISH,
        missing=("volume",),
        strikes=STRIKES,
        buildup=np.array([[1, 0], [-1, 4]], np.int8),
        **arrays,
    )


@pytest.fixture
def store(tmp_path):
    with MarketStore(tmp_path / "market.db") as opened:
        price, unknown = np.array([24_500.05, 24_501.1]), np.full(2, np.nan)
        start = NINE_FIFTEEN + np.arange(2) * 60_000_000_000
        for number in range(2):
            opened.save_bars(
                BarColumns(
                    "NSE|INDEX|NIFTY", 60, start + number * 86_400 * 10**9, price, price, price, price, unknown, unknown
                ),
                DAY + dt.timedelta(days=number),
                "a",
            )
        values = np.full((2, 8, 2, 2), np.nan)
        values[:, 3, 0] = [[1.05, 2.0], [3.0, 4.0]]
        opened.save_chain(ChainColumns("NIFTY", DAY, 60, start, STRIKES, values), DAY, "a")
        yield opened


def test_bars_to_parquet_and_csv(store, tmp_path):
    assert export_bars(store, "NIFTY", DAY, DAY + dt.timedelta(days=9), tmp_path / "b.parquet") == 4
    rows = pq.read_table(tmp_path / "b.parquet").to_pylist()
    assert rows[1] == {
        "instrument": "NSE|INDEX|NIFTY",
        "time": "2025-09-02T09:16:00",
        "ts": NINE_FIFTEEN + 60 * 10**9,
        "interval_s": 60,
        "open": 24501.1,
        "high": 24501.1,
        "low": 24501.1,
        "close": 24501.1,
        "volume": None,
        "oi": None,
    }
    assert export_bars(store, "NIFTY", DAY, DAY, tmp_path / "new" / "b.csv") == 2
    assert pacsv.read_csv(tmp_path / "new" / "b.csv").column("close").to_pylist() == [24500.05, 24501.1]


def test_frames_are_a_row_a_minute_and_known_contract(store, tmp_path):
    assert export_frames(store, "NIFTY", DAY, DAY, tmp_path / "f.parquet") == 4
    rows = pq.read_table(tmp_path / "f.parquet").to_pylist()
    assert [(row["time"][11:16], row["strike"], row["right"], row["close"]) for row in rows] == [
        ("09:15", 24500.0, "CE", 1.05),
        ("09:15", 24550.0, "CE", 2.0),
        ("09:16", 24500.0, "CE", 3.0),
        ("09:16", 24550.0, "CE", 4.0),
    ]
    assert rows[0]["bid"] is None


def test_snapshots_and_strikes(tmp_path):
    rows = [snapshot(minute) for minute in range(3)]
    assert export_rows(iter(rows), "snapshots", tmp_path / "s.parquet") == 3
    first = pq.read_table(tmp_path / "s.parquet").to_pylist()[0]
    assert (first["forward"], first["iv_rank"], first["regime"], first["smart_trend"], first["missing"]) == (
        2.5,
        None,
        "BULLISH",
        "Long Buildup",
        "volume",
    )
    assert export_rows(iter(rows), "strikes", tmp_path / "k.parquet") == 12
    strikes = pq.read_table(tmp_path / "k.parquet").to_pylist()
    assert [(row["strike"], row["right"], row["price"], row["buildup"]) for row in strikes[:4]] == [
        (24500.0, "CE", 1.0, "Long Buildup"),
        (24550.0, "CE", 2.0, "Neutral"),
        (24500.0, "PE", 3.0, ""),
        (24550.0, "PE", None, "Long Unwinding"),
    ]
    assert strikes[-1]["time"] == "2025-09-02T09:17:00"


def test_many_snapshots_are_written_in_batches(tmp_path):
    assert export_rows((snapshot(minute) for minute in range(1_100)), "strikes", tmp_path / "k.csv") == 4_400
    assert pacsv.read_csv(tmp_path / "k.csv").num_rows == 4_400


def test_every_field_of_a_snapshot_is_exported(tmp_path):
    export_rows([snapshot(0)], "snapshots", tmp_path / "s.parquet")
    export_rows([snapshot(0)], "strikes", tmp_path / "k.parquet")
    written = {*pq.read_schema(tmp_path / "s.parquet").names, *pq.read_schema(tmp_path / "k.parquet").names}
    assert set(ChainSnapshot.__struct_fields__) - {"strikes"} <= written


def test_nothing_to_export_leaves_no_file(store, tmp_path):
    for call in (
        lambda out: export_bars(store, "SENSEX", DAY, DAY, out),
        lambda out: export_frames(store, "NIFTY", DAY + dt.timedelta(days=1), DAY + dt.timedelta(days=1), out),
        lambda out: export_rows([], "strikes", out),
    ):
        with pytest.raises(DataError):
            call(tmp_path / "x.parquet")
    assert not list(tmp_path.glob("x*"))


def test_a_failure_half_way_leaves_the_old_file(tmp_path):
    out = tmp_path / "k.csv"
    out.write_text("old")

    def broken():
        for minute in range(600):
            yield snapshot(minute)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        export_rows(broken(), "snapshots", out)
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.csv"]


def test_bad_requests(store, tmp_path):
    with pytest.raises(InputError, match=r"end it in \.parquet or \.csv"):
        export_bars(store, "NIFTY", DAY, DAY, tmp_path / "b.xlsx")
    with pytest.raises(InputError, match="the other way round"):
        export_bars(store, "NIFTY", DAY, DAY - dt.timedelta(days=1), tmp_path / "b.csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        export_bars(store, "NIFTY", DAY, DAY, tmp_path / "file" / "b.csv")
