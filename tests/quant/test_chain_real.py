"""The analyst on real NIFTY chains: totals against loops, forwards that agree, believable figures, no look-ahead."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sos_actors.messages import CHAIN_FIELDS, Buildup, ChainFrame, ChainSnapshot, Regime
from sos_actors.quant.analyst import ChainAnalyst
from sos_actors.quant.chain_settings import ChainSettings
from sos_actors.quant.forward import years_to_expiry
from sos_actors.quant.matrix import LABELS

pytestmark = pytest.mark.real_data
DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
NSE = ("chain_1m_NIFTY_2025-08-29_nse.parquet", dt.date(2025, 9, 2), dt.date(2025, 8, 29), 75)  # OI in lots of 75
KITE = ("chain_5m_NIFTY_2025-12-31_2026-01-13_kite.parquet", dt.date(2026, 1, 13), dt.date(2026, 1, 8), 1)
ROW = {name: i for i, name in enumerate(CHAIN_FIELDS)}
IST = np.timedelta64(330, "m")
SETTINGS = ChainSettings(iv_rank_basis="session")


@cache
def load(source):
    """Frames of one expiry and day, and the exchange's IV where there is one; a price of zero means none."""
    parquet = pytest.importorskip("pyarrow.parquet")
    file, expiry, day, lot = source
    if not (DATA / file).exists():
        pytest.skip(f"{file} is not there")
    begin = dt.datetime.combine(day, dt.time())
    table = parquet.read_table(
        DATA / file, filters=[("expiry", "=", expiry), ("ts", ">=", begin), ("ts", "<", begin + dt.timedelta(days=1))]
    )
    columns = {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}
    times, at = np.unique(columns["ts"], return_inverse=True)
    strikes, where = np.unique(columns["strike"].astype(np.float64), return_inverse=True)
    right = (columns["right"] == "PE").astype(int)
    values = np.full((len(CHAIN_FIELDS), times.size, 2, strikes.size), math.nan)
    iv = np.full(values.shape[1:], math.nan)
    for row, name, scale in (
        ("close", "ltp", 1),
        ("bid", "bid", 1),
        ("ask", "ask", 1),
        ("oi", "oi", lot),
        ("volume", "volume", lot),
    ):
        if name in columns:
            values[ROW[row], at, right, where] = columns[name].astype(np.float64) * scale
    for row in ("close", "bid", "ask"):
        values[ROW[row]][values[ROW[row]] == 0.0] = math.nan
    if "iv" in columns:
        iv[at, right, where] = np.where(columns["iv"] > 0.0, columns["iv"].astype(np.float64) / 100.0, math.nan)
    values[ROW["volume"]] = np.maximum(np.diff(values[ROW["volume"]], axis=0, prepend=math.nan), 0.0)
    stamps = (times.astype("datetime64[ns]") - IST).astype(np.int64).tolist()
    frames = [ChainFrame("NIFTY", expiry, ts - 60 * 10**9, ts, strikes, values[:, t]) for t, ts in enumerate(stamps)]
    return frames, iv


@cache
def snapshots(source, cut=None):
    frames, _ = load(source)
    expiry, day = source[1], source[2]
    close = int((np.datetime64(expiry, "ns") + np.timedelta64(15 * 60 + 30, "m") - IST).astype(np.int64))
    analyst = ChainAnalyst("NIFTY", SETTINGS)
    analyst.new_day(day)
    return [analyst.on_frame(one, float(years_to_expiry(one.end, close))) for one in frames[:cut]]


both = pytest.mark.parametrize("source", [NSE, KITE], ids=["nse", "kite"])


@both
def test_totals_pain_and_walls_are_those_of_loops(source):
    for one, snapshot in list(zip(load(source)[0], snapshots(source), strict=True))[::15]:
        oi, strikes = one.column("oi").tolist(), one.strikes.tolist()
        calls, puts = ([0.0 if math.isnan(v) else v for v in oi[right]] for right in (0, 1))
        assert snapshot.ce_oi == sum(calls)
        assert snapshot.pcr == sum(puts) / sum(calls)
        pains = [
            sum(c * max(s - k, 0.0) + p * max(k - s, 0.0) for c, p, k in zip(calls, puts, strikes, strict=True))
            for s in strikes
        ]
        assert snapshot.max_pain == strikes[pains.index(min(pains))]
        above = [k for k in strikes if k >= snapshot.forward][: SETTINGS.wall_strikes]
        below = [k for k in strikes if k <= snapshot.forward][-SETTINGS.wall_strikes :]
        assert snapshot.oi_wall_above == max(above, key=lambda k: calls[strikes.index(k)])
        assert snapshot.oi_wall_below == max(below, key=lambda k: puts[strikes.index(k)])


@both
def test_contract_codes_are_those_of_the_definition(source):
    matrix = SETTINGS.matrix
    seen = snapshots(source)
    checked = Counter()
    for before, now in list(pairwise(seen))[::9]:
        if not 60 * 10**9 <= now.ts - before.ts <= 120 * 10**9:
            continue
        for right in range(2):
            for k in range(now.strikes.size):
                price, old = now.price[right, k], before.price[right, k]
                change = now.oi[right, k] - before.oi[right, k]
                code = Buildup(int(now.buildup[right, k]))
                checked[code] += 1
                if math.isnan(price) or math.isnan(old) or math.isnan(change):
                    assert code is Buildup.UNKNOWN
                elif (
                    abs(price - old) <= matrix.premium_threshold * old
                    or abs(change) <= matrix.contract_oi_threshold * before.oi[right, k]
                ):
                    assert code is Buildup.NEUTRAL
                else:
                    assert (
                        code
                        is {
                            (True, True): Buildup.LONG_BUILDUP,
                            (True, False): Buildup.SHORT_COVERING,
                            (False, True): Buildup.SHORT_BUILDUP,
                            (False, False): Buildup.LONG_UNWINDING,
                        }[price > old, change > 0.0]
                    )
    if source is NSE:
        assert len(checked) == 6


@both
def test_parity_forwards_agree_across_near_strikes(source):
    spreads = []
    for snapshot in snapshots(source):
        discount = math.exp(-SETTINGS.rate * snapshot.years)
        near = np.abs(snapshot.strikes - snapshot.atm_strike) <= 150.0
        implied = (snapshot.strikes + (snapshot.price[0] - snapshot.price[1]) / discount)[near]
        implied = implied[~np.isnan(implied)]
        spreads.append(float(np.median(np.abs(implied - snapshot.forward))))
    assert np.median(spreads) < (0.5 if source is NSE else 1.5)


def test_volatilities_are_near_the_exchanges():
    _, iv = load(NSE)
    gaps = []
    for snapshot, theirs in zip(snapshots(NSE), iv, strict=True):
        at = int(np.flatnonzero(snapshot.strikes == snapshot.atm_strike)[0])
        if not np.isnan(theirs[:, at]).any():
            gaps.append(snapshot.atm_iv - float(theirs[:, at].mean()))
    assert len(gaps) > 280
    assert abs(np.median(gaps)) < 0.015  # their days are whole and their forward assumes 10 %
    assert np.std(gaps) < 0.01


@both
def test_the_day_is_believable(source):
    seen = snapshots(source)
    for snapshot in seen:
        assert abs(snapshot.atm_strike - snapshot.forward) <= 25.0
        assert 0.03 < snapshot.atm_iv < 0.30
        assert snapshot.straddle == pytest.approx(
            0.8 * snapshot.forward * snapshot.atm_iv * math.sqrt(snapshot.years), rel=0.15
        )
        assert snapshot.oi_wall_below <= snapshot.forward <= snapshot.oi_wall_above
        assert snapshot.smart_trend in LABELS.values()
        delta = snapshot.delta[0][~np.isnan(snapshot.delta[0])]
        assert (delta >= 0.0).all()
        assert (delta <= 1.0).all()
    regimes = [snapshot.regime for snapshot in seen]
    turns = sum(a is not b for a, b in pairwise(regimes))
    assert regimes[0] is Regime.UNKNOWN
    assert turns < len(regimes) / 3  # hysteresis: a mood, not a flicker
    assert not {Regime.COMPLETE_BULLISH, Regime.BULLISH} & set(regimes)  # both days fell on falling PCR


@both
@pytest.mark.parametrize("cut", [2, 30])
def test_what_comes_later_changes_nothing(source, cut):
    for a, b in zip(snapshots(source, cut), snapshots(source)[:cut], strict=True):
        for name in ChainSnapshot.__struct_fields__:
            np.testing.assert_equal(getattr(a, name), getattr(b, name), err_msg=name)
