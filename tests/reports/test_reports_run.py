"""The JSON of a run: its keys, its values, and that equal inputs give equal bytes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from sos_actors.errors import InputError
from sos_actors.market.day import DataQuality
from sos_actors.reports.run import RunRecord, from_json, run_result, to_json

KEYS = [
    "run_hash",
    "config_hash",
    "code_version",
    "seed",
    "source",
    "symbols",
    "from_date",
    "to_date",
    "summary",
    "trades",
    "refusals",
    "data_quality",
    "assumptions",
    "decisions",
    "timings",
]


def test_keys_and_values(record):
    raw = json.loads(to_json(record), parse_constant=pytest.fail)
    assert list(raw) == KEYS
    assert (raw["from_date"], raw["to_date"], raw["symbols"]) == ("2025-09-02", "2025-09-03", ["NIFTY"])
    assert raw["summary"]["net"] == 103_752.34
    assert raw["summary"]["gross"] == 104_395.45
    assert raw["summary"]["max_drawdown"] == 19_489.99
    assert raw["summary"]["unrealised"] == 0
    assert raw["summary"]["profit_factor"] == round(12_324_233 / (1_896_437 + 52_562), 6)
    assert raw["summary"]["signals"] == 18
    assert raw["summary"]["by_exit_reason"]["TARGET"]["profit_factor"] is None
    assert [day["day"] for day in raw["summary"]["daily"]] == ["2025-09-02", "2025-09-03"]
    assert raw["refusals"] == {"COOLDOWN": 3, "REGIME": 12}
    assert raw["data_quality"]["simulated"] is True
    assert raw["data_quality"]["rows"] == 243_456
    assert raw["data_quality"]["days"][0]["holes"][0] == ["2025-09-02T11:00:00+05:30", "2025-09-02T11:03:00+05:30"]
    assert raw["timings"] == {"load": 0.012346, "run": 0.44}


def test_trades_in_the_order_of_exits(record):
    shuffled = msgspec.structs.replace(record, trades=record.trades[::-1])
    first, second, third = run_result(shuffled).trades
    assert [first["trade_id"], second["trade_id"], third["trade_id"]] == ["T1", "T2", "T3"]
    assert first["entry_time"] == "2025-09-02T09:31:00+05:30"
    assert first["r_multiple"] == 6.572924
    assert (third["r_multiple"], third["initial_risk"]) == (None, None)
    assert third["net"] == -525.62


def test_no_path_of_the_machine(record):
    assert b"/somewhere" not in to_json(record)


def test_only_timings_may_differ(record):
    slower = msgspec.structs.replace(record, timings={"load": 99.0})
    one, other = json.loads(to_json(record)), json.loads(to_json(slower))
    assert one.pop("timings") != other.pop("timings")
    assert one == other


def test_order_of_what_was_collected_does_not_matter(record):
    turned = msgspec.structs.replace(
        record,
        trades=record.trades[::-1],
        refusals=record.refusals[::-1],
        quality=record.quality[::-1],
        assumptions=dict(reversed(record.assumptions.items())),
        marks=record.marks[::-1],
    )
    assert to_json(turned) == to_json(record)


def test_same_bytes_in_other_processes():
    here = Path(__file__).parent
    program = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(here.parents[1])!r}]\n"
        "from conftest import _record\nfrom sos_actors.reports.run import to_json\n"
        "sys.stdout.buffer.write(to_json(_record()))"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone},
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "America/New_York"))
    ]
    assert outputs[0] == outputs[1]
    assert json.loads(outputs[0])["trades"]


def test_a_run_without_trades(record):
    empty = msgspec.structs.replace(record, trades=(), marks=(), refusals=(), signals=(), fills=(), quality=())
    raw = json.loads(to_json(empty), parse_constant=pytest.fail)
    assert (raw["trades"], raw["refusals"], raw["summary"]["trades"]) == ([], {}, 0)
    assert raw["summary"]["win_rate"] is None
    assert raw["data_quality"]["simulated"] is False


def test_read_back(record):
    assert from_json(to_json(record)) == run_result(record)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"run_hash": 1}', b"{}"])
def test_reading_something_else(raw):
    with pytest.raises(InputError, match=r"other\.json: not the JSON of a run"):
        from_json(raw, "other.json")


def test_the_record_is_frozen(record):
    with pytest.raises(AttributeError):
        record.seed = 8
    assert isinstance(record, RunRecord)
    assert isinstance(record.quality[0].quality, DataQuality)


def test_no_negative_zero(record):
    tiny = msgspec.structs.replace(record.trades[1], net_paise=-1, initial_risk=1e6, exit_price=-1e-9)
    raw = to_json(msgspec.structs.replace(record, trades=(tiny,)))
    row = json.loads(raw)["trades"][0]
    assert (row["r_multiple"], row["exit_price"], row["net"]) == (0, 0, -0.01)
    assert b"-0.0," not in raw
