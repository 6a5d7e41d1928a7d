"""The exchange's convention, and both conventions against its own column on a real day."""

from __future__ import annotations

import datetime as dt
import itertools
import os
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sos_actors.quant.black import greeks, price
from sos_actors.quant.chain import contract_price
from sos_actors.quant.forward import discount_factor, parity_forward, years_to_expiry
from sos_actors.quant.implied import implied_vol
from sos_actors.quant.nse import NSE_RATE, fit_nse_spot, nse_implied_vol, nse_parity_spot, nse_years

IST = ZoneInfo("Asia/Kolkata")
DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
DAY = DATA / "chain_1m_NIFTY_2025-08-29_nse.parquet"
CALL, PUT = 0, 1


def ns(*when):
    return int(dt.datetime(*when, tzinfo=IST).timestamp()) * 1_000_000_000


def test_years_are_whole_indian_calendar_days_and_at_least_one():
    now = np.array([ns(2025, 8, 29, 0, 0), ns(2025, 8, 29, 15, 29), ns(2025, 9, 1, 23, 59), ns(2025, 9, 2, 9, 15)])
    np.testing.assert_allclose(nse_years(now, dt.date(2025, 9, 2)) * 365, [4, 4, 1, 1])


def test_round_trip_and_parity_in_the_convention():
    strikes, years, spot = np.arange(24_000.0, 25_050.0, 50.0), 11 / 365, 24_480.0
    discount = discount_factor(NSE_RATE, years)
    call, put = (price(spot / discount, strikes, years, 0.12, discount, side) for side in (True, False))
    np.testing.assert_allclose(nse_implied_vol(call, spot, strikes, years, True), 0.12, rtol=1e-10)
    np.testing.assert_allclose(nse_implied_vol(put, spot, strikes, years, False), 0.12, rtol=1e-10)
    assert nse_parity_spot(strikes, call, put, years) == pytest.approx(spot, abs=1e-7)


def test_fit_finds_the_spot_behind_a_column_in_spite_of_stale_rows():
    rng = np.random.default_rng(3)
    strikes = np.tile(np.arange(24_000.0, 25_050.0, 50.0), 4)
    is_call, years = np.arange(84) % 2 == 0, np.repeat([4 / 365, 11 / 365], 42)
    column = 0.12 + 0.00001 * ((strikes - 24_500.0) / 100) ** 2
    discount = discount_factor(NSE_RATE, years)
    last = price(24_511.3 / discount, strikes, years, column, discount, is_call)
    stale = rng.random(84) < 0.3
    last = np.where(stale, last * rng.uniform(0.8, 1.1, 84), last)
    shown = np.round(column, 4)
    shown[5], last[6] = 0.0, np.nan
    assert fit_nse_spot(shown, last, strikes, years, is_call) == pytest.approx(24_511.3, abs=0.5)


def test_fit_without_a_usable_row_gives_nan():
    assert np.isnan(fit_nse_spot([0.0, np.nan], [100.0, 100.0], [24_000.0, 24_050.0], 0.01, [True, False]))
    assert np.isnan(fit_nse_spot([0.1], [0.05], [30_000.0], 0.01, [True]))
    assert np.isnan(fit_nse_spot([], [], [], 0.01, []))


@pytest.fixture(scope="module")
def snapshots():
    """Every third snapshot of the day: (time UTC ns, columns) of the expiries within 130 days."""
    if not DAY.exists():
        pytest.skip("real market data absent")
    table = pq.read_table(DAY).sort_by("ts")
    stamps = table["ts"].cast("int64").to_numpy() * 1_000 - 19_800 * 1_000_000_000
    expiry = table["expiry"].cast("int32").to_numpy()
    columns = {
        name: table[name].to_numpy().astype(float) for name in ("strike", "ltp", "bid", "ask", "iv", "oi", "volume")
    }
    columns["expiry"] = expiry
    columns["is_call"] = pc.equal(table["right"], "CE").to_numpy()
    edges = np.flatnonzero(np.diff(stamps, prepend=0, append=0))
    near = expiry <= (dt.date(2025, 12, 31) - dt.date(1970, 1, 1)).days
    out = []
    for start, end in list(itertools.pairwise(edges))[::3]:
        use = np.arange(start, end)[near[start:end]]
        out.append((int(stamps[start]), {name: column[use] for name, column in columns.items()}))
    assert len(out) > 90
    return out


def date_of(days):
    return dt.date(1970, 1, 1) + dt.timedelta(days=int(days))


@pytest.mark.real_data
def test_exchange_column_is_met_in_its_own_convention(snapshots):
    differences = []
    for now, rows in snapshots:
        years = np.array([nse_years(now, date_of(day)) for day in rows["expiry"]])
        liquid = (rows["iv"] > 0.0) & (rows["volume"] >= 100) & (rows["oi"] >= 1000)
        column = np.where(liquid, rows["iv"] / 100.0, np.nan)
        spot = fit_nse_spot(column, rows["ltp"], rows["strike"], years, rows["is_call"])
        ours = nse_implied_vol(rows["ltp"], spot, rows["strike"], years, rows["is_call"])
        discount = discount_factor(NSE_RATE, years)
        delta = greeks(spot / discount, rows["strike"], years, column, discount, rows["is_call"]).delta
        use = liquid & (np.abs(delta) > 0.1) & (np.abs(delta) < 0.9)
        differences.append(np.where(np.isnan(ours), np.inf, np.abs(100.0 * ours - rows["iv"]))[use])
    difference = np.concatenate(differences)
    assert len(difference) > 10_000
    assert np.median(difference) <= 0.1
    assert np.mean(difference <= 0.3) >= 0.9


@pytest.mark.real_data
def test_call_and_put_average_near_the_money_meets_the_column_in_our_convention(snapshots):
    differences = []
    for now, rows in snapshots:
        for day in np.unique(rows["expiry"]):
            close = ns(*date_of(day).timetuple()[:3], 15, 30)
            sides = [(rows["expiry"] == day) & (rows["is_call"] == call) for call in (True, False)]
            strikes = np.intersect1d(*(rows["strike"][side] for side in sides))
            pick = [np.flatnonzero(side)[np.searchsorted(rows["strike"][side], strikes)] for side in sides]
            fields = {name: np.stack([rows[name][i] for i in pick]) for name in ("ltp", "bid", "ask", "iv", "volume")}
            years = years_to_expiry(now, close)
            assert years * 365 > 1
            discount = discount_factor(0.065, years)
            mid = contract_price(fields["ltp"], fields["bid"], fields["ask"], 0.10, 0.5)
            forward, dispersion = parity_forward(strikes, mid[CALL], mid[PUT], discount)
            assert dispersion < 25.0
            ours = implied_vol(mid, forward, strikes, years, discount, [[True], [False]])
            near = np.abs(strikes / forward - 1.0) < 0.01
            use = near & (fields["iv"] > 0.0).all(0) & (fields["volume"] >= 100).all(0)
            differences.append(np.abs(100.0 * ours.mean(0) - fields["iv"].mean(0))[use])
    difference = np.concatenate(differences)
    assert len(difference) > 500
    assert not np.isnan(difference).any()
    assert np.median(difference) <= 0.2


@pytest.mark.real_data
def test_parity_forwards_of_a_day_are_steady_and_agree_across_strikes(snapshots):
    nearest = min(rows["expiry"].min() for _, rows in snapshots)
    found = []
    for _, rows in snapshots:
        sides = [(rows["expiry"] == nearest) & (rows["is_call"] == call) for call in (True, False)]
        strikes = rows["strike"][sides[CALL]]
        assert (strikes == rows["strike"][sides[PUT]]).all()
        mid = [contract_price(rows["ltp"][side], rows["bid"][side], rows["ask"][side], 0.10, 0.5) for side in sides]
        found.append(parity_forward(strikes, mid[CALL], mid[PUT], 0.9993))
    forward, dispersion = np.array(found).T
    assert np.median(dispersion) < 1.5
    assert np.abs(np.diff(forward)).max() < 60.0
    assert 24_300 < forward.min() < forward.max() < 24_700
