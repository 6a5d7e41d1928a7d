"""The builder against the bars Upstox itself sent, from raw ticks recorded with a clock five seconds behind."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sos_actors.market.bars import BarBuilder, BarSettings
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS
from sos_actors.messages import Tick

pytestmark = pytest.mark.real_data
pq = pytest.importorskip("pyarrow.parquet")

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
TICKS = DATA / "ticks_BANKNIFTY_options_2025-12-15_upstox_full_d5.parquet"
BARS = DATA / "options_1m_BANKNIFTY_2025-12-15.parquet"
IST = 19_800 * SECOND_NS
FIELDS = ("open", "high", "low", "close", "volume")


def _paise(column):
    return np.round(column.to_numpy().astype(float) * 20) / 20


@pytest.fixture(scope="module")
def built():
    """({(key, start): our bar}, {(key, start): the feed's row}, minutes whose first trade was shown, builders)."""
    if not TICKS.exists() or not BARS.exists():
        pytest.skip("no real market data")
    table = pq.read_table(TICKS).sort_by("recv_ts")
    keys = table.column("instrument_key").to_pylist()
    recv = (table.column("recv_ts").cast("int64").to_numpy() * 1000 - IST).tolist()
    ts = (table.column("ltt").cast("int64").to_numpy() * 1000 - IST).tolist()
    price, quantity = _paise(table.column("ltp")).tolist(), table.column("ltq").to_pylist()
    volume = table.column("vtt").to_pylist()

    builders = {key: BarBuilder(key, settings=BarSettings(hole_s=5.0)) for key in sorted(set(keys))}
    ours, shown, seen = {}, set(), {}
    clock, minute = 0, 0
    for key, arrived, traded, last, units, total in zip(keys, recv, ts, price, quantity, volume, strict=True):
        clock = max(clock, traded)
        # The live clock closes a minute one second after its end by exchange time.
        while minute and clock >= minute + MINUTE_NS + SECOND_NS:
            minute += MINUTE_NS
            for name, builder in builders.items():
                bar = builder.close(minute)
                if bar is not None:
                    ours[name, bar.start] = bar
        minute = minute or traded - traded % MINUTE_NS
        builders[key].tick(
            Tick(instrument=key, ts=traded, ts_recv=arrived, price=last, quantity=units, day_volume=total)
        )
        before = seen.get(key)
        if before is not None and traded // MINUTE_NS > before[0] // MINUTE_NS and total - before[1] == units:
            shown.add((key, traded - traded % MINUTE_NS))
        if before is None or total >= before[1]:
            seen[key] = (traded, total)
    reference = {}
    for row in pq.read_table(BARS).to_pylist():
        start = int(np.datetime64(row["ts"], "ns").astype("int64")) - IST
        reference[row["instrument_key"], start] = row
    return ours, reference, shown, builders


def _same(ours, theirs, field):
    mine = getattr(ours, field)
    return mine == theirs["volume"] if field == "volume" else abs(mine - round(theirs[field] * 20) / 20) < 0.001


def test_clean_minutes_match_the_brokers_own_bars(built):
    ours, reference, _, _ = built
    hits, clean = Counter(), 0
    for key, theirs in reference.items():
        bar = ours.get(key)
        if bar is None or not bar.complete:
            continue
        clean += 1
        hits.update(field for field in FIELDS if _same(bar, theirs, field))
    rates = {field: hits[field] / clean for field in FIELDS}
    print(f"\nclean minutes {clean} of {len(reference)}: " + ", ".join(f"{k} {v:.4f}" for k, v in rates.items()))
    assert clean > 1850
    floors = {"open": 0.71, "high": 0.84, "low": 0.81, "close": 0.96, "volume": 0.93}
    assert {field: rates[field] for field in floors if rates[field] < floors[field]} == {}


def test_a_bar_never_goes_outside_the_brokers_range(built):
    ours, reference, _, _ = built
    outside = [
        key
        for key, theirs in reference.items()
        if key in ours
        and ours[key].complete
        and (ours[key].high > theirs["high"] + 0.026 or ours[key].low < theirs["low"] - 0.026)
    ]
    assert outside == []


def test_exact_wherever_the_feed_showed_the_trades_at_the_edges(built):
    """What keeps the others from matching is trades between two snapshots, which nobody downstream can know.

    `shown` holds the minutes whose first snapshot differs from the one before by exactly its own trade.
    """
    ours, reference, shown, _ = built
    clean = [key for key in reference if key in ours and ours[key].complete]
    after = {key: (key[0], key[1] + MINUTE_NS) in shown for key in clean}
    for field, keys in (
        ("open", [key for key in clean if key in shown]),
        ("close", [key for key in clean if after[key]]),
        ("volume", [key for key in clean if key in shown and after[key]]),
    ):
        wrong = [key for key in keys if not _same(ours[key], reference[key], field)]
        print(f"\n{field}: edge trades shown in {len(keys)} minutes, different in {len(wrong)}")
        assert len(keys) > 500
        assert wrong == []


def test_holes_of_the_recording_are_marked(built):
    ours, _, _, builders = built
    for clock in ("10:56", "10:58", "11:03", "15:26"):
        start = int(np.datetime64(f"2025-12-15T{clock}", "ns").astype("int64")) - IST
        marked = [ours[key, start].complete for key in builders if (key, start) in ours]
        assert not any(marked), clock
