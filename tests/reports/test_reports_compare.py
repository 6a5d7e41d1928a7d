"""Two runs side by side."""

import io
import json

import msgspec
import pytest

from sos_actors.reports.compare import compare, print_comparison
from sos_actors.reports.run import to_json


def as_json(record, **changes):
    return json.loads(to_json(msgspec.structs.replace(record, **changes)))


def text_of(comparison) -> str:
    out = io.StringIO()
    print_comparison(comparison, out, ("mon.json", "tue.json"))
    return out.getvalue()


def test_equal_runs_differ_in_timings_only(record):
    comparison = compare(as_json(record), as_json(record, timings={"run": 9.0}))
    assert comparison.same
    assert comparison.first_trade == -1
    assert text_of(comparison) == "mon.json and tue.json are the same in everything but timings.\n"


def test_first_trade_that_differs(record):
    second = msgspec.structs.replace(record.trades[1], net_paise=-1_896_438, charges_paise=21_438)
    comparison = compare(as_json(record), as_json(record, trades=(record.trades[0], second, record.trades[2])))
    assert not comparison.same
    assert comparison.first_trade == 1
    assert [(d.where, d.a, d.b) for d in comparison.trade[:2]] == [
        ("trades.1.charges", 214.37, 214.38),
        ("trades.1.net", -18_964.37, -18_964.38),
    ]
    assert "summary.net" in {difference.where for difference in comparison.summary}
    text = text_of(comparison)
    assert "the first trade that differs is number 2" in text
    assert "trades.1.charges" in text
    assert "and 46 figures of break-downs" in text
    assert "summary.by_" not in text


def test_a_trade_more(record):
    fewer = as_json(record, trades=record.trades[:2])
    comparison = compare(as_json(record), fewer)
    assert comparison.first_trade == 2
    (only,) = comparison.trade
    assert only.a.startswith("T3 vwap_ema_gate_long")
    assert only.b is None
    assert compare(fewer, as_json(record)).trade[0].a is None


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"run_hash": "x"}, "run_hash"),
        ({"seed": 1}, "seed"),
        ({"refusals": ()}, "refusals.COOLDOWN"),
        ({"assumptions": {}}, "assumptions.charges"),
        ({"quality": ()}, "data_quality.days"),
        ({"symbols": ("SENSEX",)}, "symbols"),
    ],
)
def test_facts(record, change, where):
    comparison = compare(as_json(record), as_json(record, **change))
    assert where in {difference.where for difference in comparison.facts}
    assert not comparison.same


def test_nothing_is_not_the_same_as_a_missing_key(record):
    a, b = as_json(record), as_json(record)
    a["summary"]["new"] = None
    assert [difference.where for difference in compare(a, b).summary] == ["summary.new"]
