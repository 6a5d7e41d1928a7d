import datetime as dt
import gzip
import json
import os
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_date
from sos_actors.market.contracts import ContractRules, freeze_quantity, strike_step, tick_size

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
MASTER = DATA / "upstox_master_indices_2025-12_complete_nse_bse.json.gz"
MASTER_DAY = dt.date(2025, 12, 16)
D = dt.date
RULES = ContractRules()


@pytest.mark.parametrize(
    ("underlying", "expiry", "day", "lot"),
    [
        ("NIFTY", "2024-04-25", "2024-04-20", 50),
        ("NIFTY", "2024-05-02", "2024-04-29", 25),
        ("NIFTY", "2024-12-19", "2024-12-10", 25),
        ("NIFTY", "2025-01-02", "2024-12-30", 75),
        ("NIFTY", "2025-01-30", "2025-01-15", 25),  # monthly, listed before the change
        ("NIFTY", "2025-03-27", "2024-12-26", 25),  # quarterly, before and after its switch
        ("NIFTY", "2025-03-27", "2024-12-27", 75),
        ("NIFTY", "2025-12-30", "2025-12-30", 75),
        ("NIFTY", "2026-01-06", "2025-12-30", 65),
        ("NIFTY", "2026-03-30", "2025-12-30", 75),
        ("NIFTY", "2026-03-30", "2025-12-31", 65),
        ("NIFTY", "2026-11-23", "2026-11-20", 65),
        ("NIFTY", "2029-12-24", "2026-01-05", 65),
        ("BANKNIFTY", "2024-07-03", "2024-07-01", 15),
        ("BANKNIFTY", "2025-02-27", "2025-02-03", 30),
        ("BANKNIFTY", "2025-06-26", "2025-06-20", 30),
        ("BANKNIFTY", "2025-07-31", "2025-06-20", 35),
        ("BANKNIFTY", "2025-09-25", "2025-04-24", 30),
        ("BANKNIFTY", "2025-09-25", "2025-04-25", 35),
        ("BANKNIFTY", "2026-01-27", "2026-01-05", 30),
        ("SENSEX", "2024-12-27", "2024-12-20", 10),
        ("SENSEX", "2025-12-18", "2025-12-15", 20),
        ("MIDCPNIFTY", "2025-12-30", "2025-12-15", 140),
        ("FINNIFTY", "2026-01-27", "2025-12-15", 60),
    ],
)
def test_lots(underlying, expiry, day, lot):
    assert RULES.lot_size(underlying, D.fromisoformat(expiry), D.fromisoformat(day)) == lot


def test_terms():
    terms = RULES.terms("NIFTY", D(2026, 11, 23), D(2026, 11, 20))
    assert (terms.lot_size, terms.freeze_quantity, terms.max_order) == (65, 1800, 1755)
    assert (terms.strike_step, terms.tick_size) == (50.0, 0.05)
    assert RULES.terms("BANKNIFTY", D(2025, 12, 30), D(2025, 12, 15)).max_order == 595
    assert RULES.terms("BANKNIFTY", D(2026, 1, 27), D(2026, 1, 5), "FUT").tick_size == 0.2


@pytest.mark.parametrize(
    ("day", "freeze"), [("2025-08-29", 600), ("2025-09-01", 900), ("2026-06-30", 900), ("2026-07-01", 600)]
)
def test_freeze_by_month(day, freeze):
    assert freeze_quantity("BANKNIFTY", D.fromisoformat(day)) == freeze


def test_unknown_underlying():
    for call in (lambda: RULES.lot_size("X", D(2026, 1, 6), D(2026, 1, 5)), lambda: freeze_quantity("X", D(2026, 1, 5)),
                 lambda: strike_step("X", D(2026, 1, 5))):  # fmt: skip
        with pytest.raises(InputError, match=r"'X'"):
            call()


@pytest.mark.real_data
def test_lots_of_the_bhavcopy():
    pq = pytest.importorskip("pyarrow.parquet")
    path = DATA / "bhavcopy_fo_NIFTY.parquet"
    if not path.exists():
        pytest.skip("no real market data")
    rows = {
        (r["date"], r["expiry"], r["lot"]) for r in pq.read_table(path, columns=["date", "expiry", "lot"]).to_pylist()
    }
    assert len({day for day, _, _ in rows}) == 66
    wrong = [row for row in sorted(rows) if RULES.lot_size("NIFTY", row[1], row[0]) != row[2]]
    assert wrong == []


@pytest.mark.real_data
def test_terms_of_the_instrument_master():
    if not MASTER.exists():
        pytest.skip("no real market data")
    strikes = defaultdict(set)
    contracts = set()
    for row in json.loads(gzip.decompress(MASTER.read_bytes())):
        if not row["segment"].endswith("_FO"):
            continue
        underlying, expiry = row["underlying_symbol"], ist_date(row["expiry"] * 10**6)
        kind = "FUT" if row["instrument_type"] == "FUT" else "OPT"
        contracts.add((underlying, expiry, kind, row["lot_size"], row["freeze_quantity"], row["tick_size"] / 100))
        if kind == "OPT":
            strikes[underlying, expiry].add(row["strike_price"])
    for underlying, expiry, kind, lot, freeze, tick in sorted(contracts):
        terms = RULES.terms(underlying, expiry, MASTER_DAY, kind)
        assert (terms.lot_size, terms.tick_size) == (lot, tick), (underlying, expiry, kind)
        assert tick_size(underlying, kind, MASTER_DAY) == tick
        # The broker has smaller freeze quantities for BSE's futures.
        if not (kind == "FUT" and underlying in {"SENSEX", "BANKEX"}):
            assert terms.max_order == freeze, (underlying, expiry, kind)
    for (underlying, expiry), listed in strikes.items():
        if expiry < D(2026, 1, 1):
            ordered = sorted(listed)
            steps = {b - a for a, b in pairwise(ordered)}
            assert min(steps) == strike_step(underlying, MASTER_DAY), underlying
