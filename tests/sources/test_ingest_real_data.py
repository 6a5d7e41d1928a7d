"""Every market file of the test data goes in; what is known of it from elsewhere comes out."""

import datetime as dt
import os
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_ns
from sos_actors.market.ids import option_id
from sos_actors.messages import Right
from sos_actors.sources.facts import PlainFacts
from sos_actors.sources.ingest import ingest
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.sql import query

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
pytestmark = [pytest.mark.real_data, pytest.mark.skipif(not DATA.exists(), reason="no real market data here")]

KITE = "chain_5m_{}_2025-12-31_2026-01-13_kite.parquet"
NSE_1M = "chain_1m_NIFTY_2025-08-29_nse.parquet"
NSE_15M = "chain_15m_NIFTY_2025-10-13_2025-12-05_nse.parquet"
TICKS = "ticks_BANKNIFTY_options_2025-12-15_upstox_full_d5.parquet"
#: file: (layout, interval, rows, stored at least, underlyings, days)
FILES = {
    "index_1m_NIFTY.csv.gz": ("bars", 60, 78_480, 78_000, ("NIFTY",), 210),
    "index_1m_BANKNIFTY.csv.gz": ("bars", 60, 44_252, 44_000, ("BANKNIFTY",), 119),
    "index_5m_NIFTY.csv.gz": ("bars", 300, 879, 879, ("NIFTY",), 12),
    "index_1d_INDIAVIX.csv.gz": ("bars", 86_400, 3_613, 3_610, ("INDIAVIX",), 3_610),
    NSE_1M: ("nse_chain", 60, 446_132, 420_000, ("NIFTY",), 1),
    KITE.format("NIFTY"): ("kite_quotes", 300, 66_718, 54_000, ("NIFTY",), 10),
    KITE.format("BANKNIFTY"): ("kite_quotes", 300, 110_934, 90_000, ("BANKNIFTY",), 10),
    NSE_15M: ("nse_chain", 900, 405_370, 360_000, ("NIFTY",), 39),
    TICKS: ("upstox_ticks", 0, 154_929, 154_927, ("BANKNIFTY",), 1),
    "options_1m_BANKNIFTY_2025-12-15.parquet": ("option_bars", 60, 2_131, 2_131, ("BANKNIFTY",), 1),
    "options_1m_NIFTY_2025-03-12.parquet": ("option_bars", 60, 3_979, 3_979, ("NIFTY",), 1),
    "futures_1m_NIFTY_2025-03-12.csv.gz": ("future_bars", 60, 375, 375, ("NIFTY",), 1),
    "options_1m_ATM_multi_2026-03-27.csv.gz": (
        "atm_bars",
        60,
        2_398,
        2_398,
        ("BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTY", "SENSEX"),
        1,
    ),
    "options_15m_ATM_NIFTY_2023-01_2026-01.csv.gz": ("atm_bars", 900, 24_848, 24_381, ("NIFTY",), 489),
}


class TestFacts(PlainFacts):
    """NIFTY's lot in the lots-counting files, and the usual weekday of expiry."""

    __test__ = False

    def lot_size(self, underlying, expiry, day):
        assert underlying == "NIFTY"
        return 75

    def nearest_expiry(self, underlying, day):
        weekday = 1 if day >= dt.date(2025, 9, 1) else 3
        return day + dt.timedelta(days=(weekday - day.weekday()) % 7)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("real") / "market.db"
    with MarketStore(path) as store:
        reports = {name: ingest([DATA / name], store, facts=TestFacts()).files[0] for name in FILES}
    with MarketStore(path, readonly=True) as store:
        yield store, reports


@pytest.mark.parametrize("name", FILES)
def test_every_file_goes_in_and_every_row_is_accounted_for(stored, name):
    layout, interval_s, rows, at_least, underlyings, days = FILES[name]
    report = stored[1][name]
    assert (report.layout, report.interval_s, report.rows) == (layout, interval_s, rows)
    assert (report.underlyings, len(report.days)) == (underlyings, days)
    assert report.rows == report.stored + sum(report.rejected.values()) + report.superseded + report.skipped
    assert report.stored >= at_least


def test_again_changes_nothing(stored, tmp_path):
    with MarketStore(tmp_path / "m.db") as store:
        for name in (NSE_1M, TICKS, KITE.format("NIFTY"), "options_1m_ATM_multi_2026-03-27.csv.gz"):
            ingest([DATA / name], store, facts=TestFacts())
            assert set(ingest([DATA / name], store, facts=TestFacts()).files[0].blocks) == {"unchanged"}


def test_regular_days_of_the_index_have_375_bars(stored):
    store, _ = stored
    day = store.load_day("NIFTY", dt.date(2024, 1, 2))
    assert len(day.index.start) == 375
    assert store.quality("NIFTY", dt.date(2024, 1, 2)).holes == ()
    assert store.quality("NIFTY", dt.date(2025, 1, 3)).rejected.keys() <= {"before the open", "after the close"}
    stats = store.day_stats("NIFTY", dt.date(2024, 1, 3))
    assert (stats.day, stats.close) == (dt.date(2024, 1, 2), float(day.index.close[-1]))


def test_a_stored_cell_is_what_the_file_said(stored):
    store, _ = stored
    table = pq.read_table(DATA / NSE_1M, filters=[("expiry", "=", dt.date(2025, 9, 2)), ("strike", "=", 24_500.0)])
    rows = [row for row in table.to_pylist() if row["right"] == "PE" and row["ts"].hour >= 12]
    first = min(rows, key=lambda row: row["ts"])
    day = store.load_day("NIFTY", dt.date(2025, 8, 29))
    (chain,) = day.chains
    minute = np.searchsorted(chain.start, ist_ns(day.day, "12:00"))
    same = [row for row in rows if row["ts"].minute == first["ts"].minute and row["ts"].hour == 12]
    cell = chain.values[minute, :, 1, np.searchsorted(chain.strikes, 24_500.0)]
    assert cell[3] == round(same[-1]["ltp"], 2)
    assert cell[5] == same[-1]["oi"] * 75
    assert cell[6:].tolist() == [round(same[-1]["bid"], 2), round(same[-1]["ask"], 2)]
    assert len(store.expiries("NIFTY", day.day)) == 18


def test_open_interest_and_volume_are_whole_lots(stored):
    store, _ = stored
    for underlying, day, lot in (
        ("NIFTY", dt.date(2025, 8, 29), 75),
        ("NIFTY", dt.date(2025, 3, 12), 75),
        ("BANKNIFTY", dt.date(2025, 12, 15), 35),
    ):
        values = store.load_day(underlying, day).chains[0].values[:, 4:6]
        known = values[~np.isnan(values)]
        assert len(known) > 100
        assert (known % lot == 0).all()


def test_closing_prices_agree_with_the_bhavcopy(stored):
    store, _ = stored
    day = dt.date(2026, 1, 5)
    wanted = [("date", "=", day), ("type", "=", "IDO"), ("expiry", "=", dt.date(2026, 1, 6))]
    table = pq.read_table(DATA / "bhavcopy_fo_NIFTY.parquet", filters=wanted).to_pylist()
    last = {(row["strike"], row["right"]): row["last"] for row in table}
    if not last:
        pytest.skip("the bhavcopy lacks that day")
    (chain,) = store.load_day("NIFTY", day).chains
    close = [
        (chain.values[-1, 3, right, place], last.get((strike, name)))
        for place, strike in enumerate(chain.strikes)
        for right, name in enumerate(("CE", "PE"))
    ]
    pairs = [(ours, theirs) for ours, theirs in close if theirs and not np.isnan(ours)]
    assert np.mean([abs(ours - theirs) <= 0.05 * theirs + 0.5 for ours, theirs in pairs]) > 0.9


def test_ticks_are_stored_in_order_of_arrival(stored):
    store, _ = stored
    ticks = store.load_ticks("BANKNIFTY", dt.date(2025, 12, 15))
    assert len(ticks.instruments) == 6
    assert option_id("BANKNIFTY", dt.date(2025, 12, 30), 59_400.0, Right.CE) in ticks.instruments
    assert (np.diff(ticks.ts_recv) >= 0).all()
    assert (ticks.day_volume > 0).all()
    assert np.median(ticks.ts - ticks.ts_recv) > 3 * 10**9  # the recorder's clock was behind the exchange's
    assert np.array_equal(np.round(ticks.price * 20), ticks.price * 20)  # a tick is 5 paise: no float32 noise left


def test_a_stored_day_of_a_chain_loads_fast(stored):
    store, _ = stored
    best = 1.0
    for _ in range(5):
        before = time.perf_counter()
        day = store.load_day("NIFTY", dt.date(2025, 8, 29))
        best = min(best, time.perf_counter() - before)
    assert day.chains[0].values.shape[0] == 280
    assert day.chains[0].values.shape[-1] == 86
    assert best < 0.012  # 2.3 ms on a free core; this only catches a collapse


def test_sql_over_real_minutes(stored):
    store, _ = stored
    found = query(
        store.path,
        "SELECT time, close, oi FROM chain WHERE underlying = 'NIFTY' AND day = '2025-08-29' AND "
        "expiry = '2025-09-02' AND strike = 24500 AND right = 'CE' ORDER BY ts LIMIT 2",
    )
    rows = list(found.rows)
    assert rows[0][0] == "2025-08-29T09:22:00"
    assert rows[0][1] > 0


def test_after_hours_snapshots_are_refused(tmp_path):
    with MarketStore(tmp_path / "m.db") as store:
        with pytest.raises(InputError, match="lie outside the session, from 2026-02-25T22:58:39"):
            ingest([DATA / "chain_rest_upstox_NIFTY_2026-02-25_2026-07-04.parquet"], store, to_date=dt.date(2026, 3, 1))
        assert store.days("NIFTY") == []
