import datetime as dt
import gzip
import json
import os
from pathlib import Path

import pytest

from sos_actors.errors import InputError
from sos_actors.market.instruments import INDEX_KEYS, read_master
from sos_actors.market.symbols import SymbolMaster

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
MASTER = DATA / "upstox_master_indices_2025-12_complete_nse_bse.json.gz"
PLAIN = SymbolMaster()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NIFTY", "NSE|INDEX|NIFTY"),
        ("nifty 50", "NSE|INDEX|NIFTY"),
        ("  Nifty   Bank ", "NSE|INDEX|BANKNIFTY"),
        ("bank nifty", "NSE|INDEX|BANKNIFTY"),
        ("India VIX", "NSE|INDEX|INDIAVIX"),
        ("sensex", "BSE|INDEX|SENSEX"),
        ("NSE_INDEX|Nifty 50", "NSE|INDEX|NIFTY"),
        ("nse_index|nifty bank", "NSE|INDEX|BANKNIFTY"),
        ("NSE|INDEX|NIFTY", "NSE|INDEX|NIFTY"),
        ("nse|opt|nifty|2026-01-20|25550|pe", "NSE|OPT|NIFTY|2026-01-20|25550|PE"),
        ("NSE|OPT|NIFTY|2026-01-20|25550.0|PE", "NSE|OPT|NIFTY|2026-01-20|25550|PE"),
        ("NSE|FUT|NIFTY|2026-01-27", "NSE|FUT|NIFTY|2026-01-27"),
        ("NIFTY 25550 PE 20 JAN 26", "NSE|OPT|NIFTY|2026-01-20|25550|PE"),
        ("nifty 50 25550 pe 20 jan 2026", "NSE|OPT|NIFTY|2026-01-20|25550|PE"),
        ("NIFTY 25000 CE 23 NOV 26", "NSE|OPT|NIFTY|2026-11-23|25000|CE"),
        ("SENSEX 82000 CE 18DEC25", "BSE|OPT|SENSEX|2025-12-18|82000|CE"),
        ("BANKNIFTY FUT 24 FEB 26", "NSE|FUT|BANKNIFTY|2026-02-24"),
        ("BANKNIFTY26JAN59000CE", "NSE|OPT|BANKNIFTY|2026-01-27|59000|CE"),
        ("NIFTY26NOV25000PE", "NSE|OPT|NIFTY|2026-11-23|25000|PE"),
        ("NIFTY26NOVFUT", "NSE|FUT|NIFTY|2026-11-23"),
        ("NIFTY2611325550PE", "NSE|OPT|NIFTY|2026-01-13|25550|PE"),
        ("NIFTY25O2025000CE", "NSE|OPT|NIFTY|2025-10-20|25000|CE"),
    ],
)
def test_parses(text, expected):
    assert PLAIN.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NIFTTY", "did you mean 'NIFTY"),
        ("banknifti", "BANKNIFTY"),
        ("RELIANCE", "unknown"),
        ("", "unknown"),
        ("NIFTY 25550 PE 31 FEB 26", "there is no 31 FEB 26"),
        ("NIFTY 25550 XX 20 JAN 26", "unknown"),
        ("NIFTY2613925550PE", "there is no 39 JAN"),
        ("NSE_FO|43885", "not in the instrument file"),
        ("NSE_INDEX|Nifty 500 X", "not in the instrument file"),
        ("BSE|INDEX|NIFTY", "NIFTY is not on BSE"),
        ("NSE|OPT|NIFTY", "instrument id"),
    ],
)
def test_what_it_does_not_know(text, words):
    with pytest.raises(InputError, match=words) as caught:
        PLAIN.parse(text)
    assert "\n" not in str(caught.value)


def test_indices_need_no_table():
    for underlying, key in INDEX_KEYS.items():
        assert PLAIN.upstox_key(PLAIN.parse(underlying)) == key
        assert PLAIN.parse(key) == PLAIN.parse(underlying)
    with pytest.raises(InputError, match="no instrument file is loaded"):
        PLAIN.upstox_key("NSE|OPT|NIFTY|2026-01-20|25550|PE")


@pytest.mark.real_data
def test_every_contract_of_a_real_master_round_trips():
    if not MASTER.exists():
        pytest.skip("no real market data")
    symbols = SymbolMaster(read_master(MASTER))
    for row in json.loads(gzip.decompress(MASTER.read_bytes())):
        if row["segment"].endswith("_FO"):
            instrument = symbols.parse(row["instrument_key"])
            assert symbols.parse(row["trading_symbol"]) == instrument
            assert symbols.upstox_key(instrument) == row["instrument_key"]
            assert symbols.instrument(instrument).lot_size == row["lot_size"]
    # A listed expiry beats the rule: the March contract still stood at the 31st, which became a holiday.
    assert symbols.parse("NIFTY26MAR25000CE") == "NSE|OPT|NIFTY|2026-03-31|25000|CE"
    key = symbols.upstox_key("NSE|OPT|NIFTY|2025-12-16|25900|CE")
    assert symbols.parse(key + "|16-12-2025") == "NSE|OPT|NIFTY|2025-12-16|25900|CE"
    with pytest.raises(InputError, match="not in the instrument file"):
        symbols.parse(key + "|17-12-2024")
    with pytest.raises(InputError, match="is it listed"):
        symbols.upstox_key("NSE|OPT|NIFTY|2025-12-16|25901|CE")


@pytest.mark.real_data
def test_short_forms_of_the_exchange():
    pq = pytest.importorskip("pyarrow.parquet")
    path = DATA / "bhavcopy_fo_NIFTY.parquet"
    if not path.exists():
        pytest.skip("no real market data")
    columns = ["tradingsymbol", "expiry", "strike", "right", "date"]
    seen = set()
    for row in pq.read_table(path, columns=columns).to_pylist():
        # In January 2025 the months from September on still stood at Thursdays.
        far = row["date"].year == 2025 and row["expiry"] >= dt.date(2025, 9, 1)
        if far or row["expiry"].year > 2026:
            continue
        if row["tradingsymbol"] in seen:
            continue
        seen.add(row["tradingsymbol"])
        kind = "FUT" if row["right"] not in {"CE", "PE"} else "OPT"
        tail = "" if kind == "FUT" else f"|{row['strike']:g}|{row['right']}"
        assert PLAIN.parse(row["tradingsymbol"]) == f"NSE|{kind}|NIFTY|{row['expiry']}{tail}", row
    assert len(seen) > 2000
