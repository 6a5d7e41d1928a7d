import datetime as dt
import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import ist_date, ist_ns
from sos_actors.market.expiries import (
    MONTHLY,
    expiries,
    expiry_instant,
    is_expiry_day,
    is_monthly,
    monthly_expiries,
    next_expiry,
    weekly_expiries,
)
from sos_actors.market.ids import EXCHANGE_OF

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
D = dt.date
#: Listed for these days until they were announced as holidays (the list of 2026 in mid December 2025, 15 January in
#: January); the bhavcopy of January 2026 has NIFTY's March contract on the 30th.
NOT_YET_MOVED = {D(2026, 3, 31), D(2026, 3, 26), D(2026, 1, 15)}


@pytest.mark.parametrize(
    ("underlying", "first", "last", "expected"),
    [
        # Thursday to Tuesday, 1 September 2025
        ("NIFTY", "2025-08-14", "2025-09-16", "2025-08-14 2025-08-21 2025-08-28 2025-09-02 2025-09-09 2025-09-16"),
        # 31 March, 14 April, 24 November 2026 are holidays
        ("NIFTY", "2026-03-25", "2026-04-14", "2026-03-30 2026-04-07 2026-04-13"),
        ("NIFTY", "2026-11-17", "2026-12-01", "2026-11-17 2026-11-23 2026-12-01"),
        # Diwali: Tuesday 21 October 2025 has a Muhurat session, which is no expiry day
        ("NIFTY", "2025-10-14", "2025-10-28", "2025-10-14 2025-10-20 2025-10-28"),
        # weekly Thursday to Wednesday in September 2023; the monthly week has no Wednesday until March 2024
        ("BANKNIFTY", "2023-08-24", "2023-09-30", "2023-08-24 2023-08-31 2023-09-06 2023-09-13 2023-09-20 2023-09-28"),
        ("BANKNIFTY", "2024-01-15", "2024-02-07", "2024-01-17 2024-01-25 2024-01-31 2024-02-07"),
        ("BANKNIFTY", "2024-03-20", "2024-04-03", "2024-03-20 2024-03-27 2024-04-03"),
        # no weeklies after 20 November 2024; monthly Wednesday, then Thursday, then Tuesday
        ("BANKNIFTY", "2024-11-01", "2025-01-31", "2024-11-06 2024-11-13 2024-11-27 2024-12-24 2025-01-30"),
        ("BANKNIFTY", "2025-08-01", "2025-09-30", "2025-08-28 2025-09-30"),
        ("FINNIFTY", "2024-11-10", "2025-01-31", "2024-11-12 2024-11-19 2024-11-26 2024-12-31 2025-01-30"),
        # 22 January 2024 became a holiday, Saturday the 20th a full session
        ("MIDCPNIFTY", "2024-01-15", "2024-01-29", "2024-01-15 2024-01-20 2024-01-29"),
        # Friday until 3 January 2025, Tuesday until August, Thursday since
        ("SENSEX", "2024-12-20", "2025-01-14", "2024-12-20 2024-12-27 2025-01-03 2025-01-07 2025-01-14"),
        ("SENSEX", "2025-08-19", "2025-09-11", "2025-08-19 2025-08-26 2025-09-04 2025-09-11"),
        ("SENSEX", "2026-08-13", "2026-08-13", "2026-08-13"),
    ],
)  # fmt: skip
def test_known_expiries(underlying, first, last, expected):
    found = expiries(underlying, D.fromisoformat(first), D.fromisoformat(last))
    assert " ".join(map(str, found)) == expected


def test_next_and_day_of_expiry():
    assert next_expiry("NIFTY", D(2026, 11, 21)) == D(2026, 11, 23)
    assert next_expiry("NIFTY", D(2026, 11, 23)) == D(2026, 11, 23)
    assert next_expiry("NIFTY", D(2026, 11, 24)) == D(2026, 12, 1)
    assert next_expiry("BANKNIFTY", D(2026, 10, 28)) == D(2026, 11, 23)
    assert is_expiry_day("NIFTY", D(2026, 11, 23))
    assert not is_expiry_day("NIFTY", D(2026, 11, 24))
    assert is_monthly("NIFTY", D(2026, 11, 23))
    assert not is_monthly("NIFTY", D(2026, 12, 1))


def test_the_year_can_be_finished_without_next_years_holidays():
    assert next_expiry("NIFTY", D(2026, 12, 23)) == D(2026, 12, 29)
    assert next_expiry("SENSEX", D(2026, 12, 30)) == D(2026, 12, 31)
    with pytest.raises(InputError, match="2027"):
        next_expiry("NIFTY", D(2026, 12, 30))


def test_expiry_instant_is_the_close_of_that_date():
    assert expiry_instant("NSE", D(2026, 7, 28)) == ist_ns(D(2026, 7, 28), "15:30")
    assert expiry_instant("NSE", D(2026, 11, 23)) == ist_ns(D(2026, 11, 23), "15:40")
    with pytest.raises(InputError, match="closed"):
        expiry_instant("NSE", D(2026, 11, 24))


def test_unknown_underlying():
    with pytest.raises(InputError, match="RELIANCE"):
        expiries("RELIANCE", D(2026, 1, 1), D(2026, 2, 1))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(MONTHLY)), st.dates(D(2024, 1, 1), D(2026, 11, 1)), st.integers(0, 50))
def test_expiries_are_trading_days_and_do_not_depend_on_the_window(underlying, first, length):
    last = first + dt.timedelta(days=length)
    found = expiries(underlying, first, last)
    assert all(INDIA.is_regular_day(EXCHANGE_OF[underlying], day) for day in found)
    assert list(found) == sorted(set(found))
    assert found == tuple(
        day for i in range(length + 1) if is_expiry_day(underlying, day := first + dt.timedelta(days=i))
    )
    weekly, monthly = weekly_expiries(underlying, first, last), monthly_expiries(underlying, first, last)
    assert set(weekly).isdisjoint(monthly)


def _parquet(name, *columns):
    pq = pytest.importorskip("pyarrow.parquet")
    path = DATA / name
    if not path.exists():
        pytest.skip("no real market data")
    return pq.read_table(path, columns=list(columns)).to_pylist()


@pytest.mark.real_data
def test_against_the_bhavcopy():
    rows = {(r["date"], r["expiry"]) for r in _parquet("bhavcopy_fo_NIFTY.parquet", "date", "expiry")}
    # In January 2025 contracts beyond August still stood at Thursdays; they were moved to Tuesdays later.
    for day, expiry in rows:
        if expiry.year <= 2026 and not (day < D(2025, 9, 1) <= expiry):
            assert is_expiry_day("NIFTY", expiry), (day, expiry)
    for day in sorted({day for day, _ in rows}):
        listed = sorted(expiry for d, expiry in rows if d == day)
        assert listed[0] == next_expiry("NIFTY", day)
        # Four weeklies and a monthly ahead are always listed, none missing between.
        ahead = expiries("NIFTY", day, day + dt.timedelta(days=21))
        assert set(ahead) <= set(listed), day


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "underlying"),
    [
        ("chain_1m_NIFTY_2025-08-29_nse.parquet", "NIFTY"),
        ("chain_15m_NIFTY_2025-10-13_2025-12-05_nse.parquet", "NIFTY"),
        ("chain_5m_NIFTY_2025-12-31_2026-01-13_kite.parquet", "NIFTY"),
        ("chain_5m_BANKNIFTY_2025-12-31_2026-01-13_kite.parquet", "BANKNIFTY"),
        ("ticks_BANKNIFTY_options_2025-12-15_upstox_full_d5.parquet", "BANKNIFTY"),
        ("options_1m_NIFTY_2025-03-12.parquet", "NIFTY"),
    ],
)
def test_against_real_chains(name, underlying):
    found = {r["expiry"] for r in _parquet(name, "expiry")}
    known = {expiry for expiry in found if expiry.year <= 2026} - NOT_YET_MOVED
    assert known
    assert [expiry for expiry in sorted(known) if not is_expiry_day(underlying, expiry)] == []


@pytest.mark.real_data
def test_against_the_instrument_master():
    path = DATA / "upstox_master_indices_2025-12_complete_nse_bse.json.gz"
    if not path.exists():
        pytest.skip("no real market data")
    rows = [r for r in json.loads(gzip.decompress(path.read_bytes())) if r["segment"].endswith("_FO")]
    contracts = {(r["underlying_symbol"], ist_date(r["expiry"] * 10**6), r["weekly"]) for r in rows}
    checked = 0
    for underlying, expiry, weekly in sorted(contracts):
        if expiry.year <= 2026 and expiry not in NOT_YET_MOVED:
            checked += 1
            assert is_expiry_day(underlying, expiry), (underlying, expiry)
            assert is_monthly(underlying, expiry) is not weekly, (underlying, expiry)
    assert checked > 30
