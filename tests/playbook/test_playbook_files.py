"""Files: those that ship, those users have, those that are broken; the docs; real bars; the benchmark's stance."""

from __future__ import annotations

import copy
import csv
import datetime as dt
import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook_helpers import MINUTE, OPEN, ROOT, Runner, bars, chain, compiled

from sos_actors.messages import Bar, Direction, MarketStructure, Regime, Studies
from sos_actors.playbook import (
    Leave,
    Setup,
    StrategyError,
    StrategyMachine,
    build_playbook,
    load_playbook,
)
from sos_actors.playbook.reference import BLOCKS, rewrite
from sos_actors.playbook.schema import parse_strategy
from sos_actors.quant.studies import StudyBook

DATA = Path(os.environ.get("SOS_TEST_DATA", ROOT / "../shared/data"))
INDEX = DATA / "index_1m_NIFTY.csv.gz"
GATES = [
    "ema_cross_long",
    "ema_cross_short",
    "index_breakout_long",
    "brf_short",
    "institutional_demand_long",
    "round_level_rejection_short",
    "sample_trend_reversal",
    "screener_momentum_long",
    "snap_reversal_long",
    "snap_reversal_short",
    "vwap_ema_gate_long",
    "vwap_ema_gate_short",
    "bigdog_breakout_long",
    "bigdog_breakout_short",
    "bb_mean_reversion_long",
    "bb_mean_reversion_short",
    "volume_spike_scalper_long",
    "gap_fill_long",
    "smart_trend_index_long",
    "smart_trend_index_short",
]


@pytest.fixture(scope="module")
def playbook():
    return load_playbook([ROOT / "strategies"])


def test_shipped_files_load_without_a_word(playbook):
    assert playbook.errors == ()
    assert playbook.warnings == ()
    files = sorted((ROOT / "strategies").glob("*.json"))
    assert len(playbook.strategies) == len(files) >= 40
    assert [one.id for one in playbook.strategies] == [path.stem for path in files]
    assert all(one.definition.description for one in playbook.strategies)


def test_gates_have_their_filter_and_regimes(playbook):
    by_id = {one.id: one for one in playbook.strategies}
    for name in GATES:
        gate = by_id[name]
        assert gate.phases[0].id == "SMART_FILTER"
        long = gate.direction is Direction.LONG
        order = list(Regime)[:7] if long else list(Regime)[6::-1]
        rules = [gate.rules[regime] for regime in order]
        assert [rules[i].quantity_mod for i in (0, 1, 3)] == [2.5, 1.5, 1.0]
        assert [rules[i].tp_mult for i in (0, 1, 3)] == ([1, 1, 1] if name == "gap_fill_long" else [4.0, 2.0, 1.5])
        assert [rules[i].allow_entry for i in (5, 6)] == [False, False]


def test_every_shipped_strategy_can_be_explained_and_runs_without_any_input(playbook):
    for at in range(len(playbook.strategies)):
        runner = Runner(playbook, at)
        assert runner.run(bars([(100.0, 101.0, 99.0, 100.0, 5.0)] * 30)) == []
        assert runner.machine.explain()["waiting_for"]


def test_select_compiles_the_chosen_only(playbook):
    chosen = playbook.select(["BRF_SHORT", "snap_reversal_long"])
    assert {one.id for one in chosen.strategies} == {"brf_short", "snap_reversal_long"}
    assert [spec.kind for spec in chosen.studies[60]] == ["sma"]
    with pytest.raises(StrategyError, match="no strategy 'nonsense'"):
        playbook.select(["nonsense"])


# --- files users have

OLD = {
    "pattern_id": "OLD_STYLE",
    "regime_config": {"SIDEWAYS": {"allow_entry": True, "quantity_mod": 0.5, "buffer_atr": 0.5}, "BEARISH": {}},
    "phases": [
        {
            "id": "NEAR",
            "conditions": ["abs(candle.getClose() - round(candle.getClose(), -2)) < 50"],
            "capture": {
                "level": "round(candle.getClose(), -2)",
                "upper": "var.level + (candle.getATR() * regime.buffer_atr)",
            },
        },
        {"id": "PEAK", "conditions": ["candle.getHigh() > 0", "peak = highest(history, 5, 'high')"], "timeout": None},
        {"id": "TRIGGER", "conditions": "candle.getClose() < prev_candle.getLow()", "capture": None},
    ],
    "execution": {
        "side": "SHORT",
        "entry": "prev_candle.getLow() - 0.5",
        "sl": "vars.peak + 1.0",
        "tp": "entry - (risk * regime.tp)",
        "option_selection": "ATM_PUT",
    },
    "author": "someone",
}
NEW = {
    "pattern_id": "NEW_STYLE",
    "description": "D",
    "regime_config": {
        "BULLISH": {"allow_entry": True, "quantity_mod": 1.5, "tp_mult": 2.0},
        "BEARISH": {"allow_entry": False},
    },
    "phases": [
        {
            "id": "SMART_FILTER",
            "conditions": ["sentiment.smart_trend in ['Long Buildup', 'Short Covering']", "sentiment.pcr > 0.8"],
            "capture": {"initial_trend": "sentiment.smart_trend"},
            "timeout": 0,
        },
        {
            "id": "SCREEN",
            "conditions": [
                "vars.screener.rvol > 0.5 or screener.change_from_open > 0.3",
                "low_wick(candle) >= (candle_size(candle) * 0.1)",
                "body_size(candle) >= 0",
            ],
            "capture": {"setup_vwap": "vwap(history)", "bound": "round(close, -2) + (atr * 0.5)"},
            "timeout": 5,
        },
        {
            "id": "TRIGGER",
            "conditions": [
                "close > moving_avg(history, 20, 'close') and sentiment.breadth_ratio > 1.2",
                "time_is_between(timestamp, '09:15', '15:30')",
                "open < prev_day_close() * 1.1",
            ],
            "capture": {},
            "timeout": 15,
        },
    ],
    "execution": {
        "side": "BUY",
        "entry": "candle.close",
        "sl": "low - (atr(history, 14) * 0.5)",
        "tp": "close + ( (close - sl) * 2.5 )",
        "option_selection": "ATM",
    },
}


def load(tmp_path, **files):
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return load_playbook([tmp_path])


def test_files_of_2025_load_unchanged_and_newer_spellings_are_suggested(tmp_path):
    playbook = load(tmp_path, old=OLD)
    assert playbook.errors == ()
    said = "\n".join(playbook.warnings)
    for hint in (
        "write candle.close",
        "write vars.level",
        'move it to "capture"',
        "modern spelling is SELL",
        "unknown key 'author'",
        "write prev_candle.low",
    ):
        assert hint in said, hint
    strategy = playbook.strategies[0]
    assert strategy.names == ("level", "upper", "peak")
    assert not strategy.scale_target  # the target multiplies by regime.tp itself
    runner = Runner(playbook)
    flat, drop = (24_990.0, 24_995.0, 24_985.0, 24_990.0, 9.0), (24_990.0, 24_991.0, 24_960.0, 24_970.0, 9.0)
    far = (24_950.0, 24_955.0, 24_945.0, 24_950.0, 9.0)  # fifty points from a hundred, until the studies are known
    told = runner.run(bars([far] * 14 + [flat] * 6 + [drop]), chain(regime=Regime.SIDEWAYS))
    assert [at for at, _ in told] == [20]
    setup = told[0][1]
    assert (setup.entry, setup.stop, setup.selection) == (24_984.5, 24_996.0, "ATM_PUT")
    assert setup.target == pytest.approx(24_984.5 - 11.5)


def test_files_of_2026_load_unchanged_without_warnings_and_run(tmp_path):
    playbook = load(tmp_path, new=NEW)
    assert playbook.errors == ()
    assert playbook.warnings == ()
    runner = Runner(playbook)
    rows = [(100.0 + k, 103.0 + k, 98.0 + k, 101.0 + k, 10.0) for k in range(40)]
    told = runner.run(
        bars(rows), chain("Long Buildup", Regime.BULLISH, breadth_ratio=1.5), MarketStructure("N", 0, prev_close=120.0)
    )
    assert isinstance(told[0][1], Setup)
    assert dict(told[0][1].captured)["initial_trend"] == "Long Buildup"


BROKEN = {
    "empty": "",
    "nojson": "{",
    "list": "[]",
    "null": "null",
    "number": "5",
    "nophases": {"pattern_id": "x"},
    "both": {"pattern_id": "x", "stance": "1", "phases": OLD["phases"]},
    "noid": {"phases": OLD["phases"]},
    "emptyid": {"pattern_id": "", "phases": [], "execution": {}},
    "badtype": NEW | {"phases": {"a": 1}},
    "timeout": NEW | {"phases": [{"id": "A", "timeout": "soon"}]},
    "negative": NEW | {"phases": [{"id": "A", "timeout": -1}]},
    "side": NEW | {"execution": {"side": "UP", "sl": "low"}},
    "nostop": NEW | {"execution": {"side": "BUY"}},
    "selection": NEW | {"execution": NEW["execution"] | {"option_selection": "THE_BEST"}},
    "frame": NEW | {"timeframe": "7m"},
    "confirm": NEW | {"timeframe": "5m", "confirm_timeframe": "1m"},
    "window": NEW | {"time_windows": [["10:00", "09:00"]]},
    "clock": NEW | {"time_windows": [["9", "10:00"]]},
    "squareoff": NEW | {"exits": {"square_off": "late"}},
    "breakeven": NEW | {"exits": {"break_even_at": 2}},
    "capture": NEW | {"phases": [{"id": "A", "capture": {"a-b": "1"}}]},
    "deep": "[" * 5000,
    "conditions": NEW | {"phases": [{"id": "A", "conditions": ["close >"]}]},
    "mod": NEW | {"regime_config": {"BULLISH": {"tp_mult": -1}}},
    "legs": NEW | {"legs": [{"side": "BUY", "option_selection": "ATM_CALL"}]},
    "binary": "\x00\x01",
}


def test_a_file_with_the_mark_some_editors_begin_with_loads(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps(OLD), encoding="utf-8-sig")
    playbook = load_playbook([tmp_path])
    assert not playbook.errors
    assert len(playbook.strategies) == 1


def test_a_bad_file_never_stops_the_others(tmp_path):
    playbook = load(tmp_path, good=NEW, **BROKEN)
    assert [one.id for one in playbook.strategies] == ["NEW_STYLE"]
    assert sorted(Path(error.file).stem for error in playbook.errors) == sorted(BROKEN)
    for error in playbook.errors:
        assert "\n" not in str(error)
        assert str(error).startswith(error.file)
        assert "$" not in str(error).removeprefix(error.file)
    alone = load_playbook([tmp_path / "good.json"])
    assert playbook.studies == alone.studies  # what does not compile leaves no study behind


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=12),
    st.just([]),
    st.just({}),
    st.just([None]),
    st.just({"a": [1]}),
)


PLACES = [(file, path) for file in (NEW, OLD) for path in places(file) if path]


@given(st.sampled_from(PLACES), ODD)
@settings(max_examples=300, deadline=None)
def test_a_file_with_any_odd_value_anywhere_loads_or_is_a_strategy_error(chosen, odd):
    file, path = chosen
    changed = copy.deepcopy(file)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = odd
    try:
        definition, _ = parse_strategy(json.dumps(changed), "f.json")
    except StrategyError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    playbook = build_playbook([(definition, "f.json")])
    assert len(playbook.strategies) + len(playbook.errors) == 1


def test_missing_paths_and_twins_are_errors(tmp_path):
    playbook = load(tmp_path, a=NEW, b=NEW)
    assert len(playbook.strategies) == 1
    assert "is taken by" in str(playbook.errors[0])
    assert "no such file" in str(load_playbook([tmp_path / "none.json"]).errors[0])


def test_unknown_keys_are_named_with_the_one_meant(tmp_path):
    phases = [NEW["phases"][0] | {"timout": 3}]
    playbook = load(tmp_path, a=NEW | {"phases": phases, "regime_config": {"BULISH": {"size": 1}}})
    said = "\n".join(playbook.warnings)
    assert "unknown key 'phases[0].timout' is ignored; did you mean 'timeout'?" in said
    assert "unknown regime 'BULISH'" in said
    assert "regime_config.BULISH.size" in said
    assert playbook.ignored == playbook.warnings


@pytest.mark.parametrize("key", ["condition", "conditons", "Conditions"])
def test_conditions_under_a_misspelt_key_are_an_error(tmp_path, key):
    phases = [{"id": "A", key: ["close > open"]}]
    playbook = load(tmp_path, a=NEW | {"phases": phases})
    assert not playbook.strategies
    assert f"phase A: unknown key '{key}'; write 'conditions'" in str(playbook.errors[0])


def test_a_right_against_the_view_is_corrected_with_a_warning():
    playbook, warnings = compiled(execution={"side": "SELL", "sl": "close + 1", "option_selection": "ATM_CALL"})
    assert playbook.strategies[0].selections[Direction.SHORT] == "ATM_PUT"
    assert any("against a SHORT view" in one for one in warnings)


# --- docs


def test_docs_are_what_the_code_says():
    page = (ROOT / "docs/strategies.md").read_text(encoding="utf-8")
    assert rewrite(page) == page, "run: python -m sos_actors.playbook.reference docs/strategies.md"
    for name in BLOCKS:
        assert f"<!-- generated: {name} -->" in page
    assert "<!-- generated: refusals -->" in page


def test_the_docs_own_example_compiles(tmp_path):
    page = (ROOT / "docs/strategies.md").read_text(encoding="utf-8")
    playbook = load(tmp_path, example=page.split("```json")[1].split("```")[0])
    assert (playbook.errors, playbook.warnings) == ((), ())


# --- the benchmark's stance, and real bars


def flips_by_a_bare_loop(closes):
    fast = slow = closes[0]
    want, flips = 0, []
    for i, c in enumerate(closes):
        fast += 2 / 9 * (c - fast)
        slow += 2 / 22 * (c - slow)
        if i >= 20:
            now = 1 if fast > slow else -1
            if now != want:
                want = now
                flips.append((i, now))
    return flips


def flips_of_the_stance(some):
    runner = Runner(load_playbook([ROOT / "bench/ema_flip_underlying.json"]))
    told = []
    for at, bar in enumerate(some):
        if at and (bar.start - some[at - 1].start) > 120 * MINUTE:
            runner.book.new_day()
            runner.machine.new_day(dt.date(2026, 1, 1))
        outcome = runner.feed(bar)
        if outcome is not None:
            assert not isinstance(outcome, Leave)
            assert outcome.selection == "UNDERLYING"
            told.append((at, outcome.direction.sign))
    return told


def test_the_benchmarks_stance_flips_where_a_bare_loop_does():
    closes = (25_000 + np.cumsum(np.random.default_rng(3).normal(0, 5, 5000))).tolist()
    some = [Bar("I", OPEN + (i // 375 * 1440 + i % 375) * MINUTE, 0, c, c, c, c) for i, c in enumerate(closes)]
    assert flips_of_the_stance(some) == flips_by_a_bare_loop(closes)


def real_days():
    with gzip.open(INDEX, "rt") as file:
        rows = list(csv.DictReader(file))
    ist = dt.timezone(dt.timedelta(hours=5, minutes=30))
    days: dict[str, list[Bar]] = {}
    for row in rows:
        start = int(dt.datetime.fromisoformat(row["ts"]).replace(tzinfo=ist).timestamp()) * 1_000_000_000
        prices = [float(row[name]) for name in ("open", "high", "low", "close")]
        volume = 1000.0 + (start // MINUTE * 7919) % 3000  # an index has none; any deterministic stand-in will do here
        days.setdefault(row["ts"][:10], []).append(Bar("I", start, start + MINUTE, *prices, volume))
    return days


@pytest.mark.real_data
@pytest.mark.skipif(not INDEX.exists(), reason="no real market data")
def test_real_days_run_through_every_one_minute_strategy(playbook):
    days = list(real_days().items())[:6]
    book = StudyBook(playbook.studies[60])
    machines = [StrategyMachine(one, "NIFTY") for one in playbook.strategies if one.timeframe == 60]
    setups, previous, close = [], None, 21_700.0
    chains = [
        chain(trend, regime, pcr_velocity=speed, breadth_ratio=1.5, ce_oi_change=change, pe_oi_change=0.0)
        for trend, regime, speed, change in (
            ("Long Buildup", Regime.BULLISH, 0.05, -9.0),
            ("Short Buildup", Regime.BEARISH, -0.05, 9.0),
        )
    ]
    for day, some in days:
        book.new_day()
        for machine in machines:
            machine.new_day(dt.date.fromisoformat(day))
        low, high = some[0].low, some[0].high
        for at, bar in enumerate(some):
            low, high = min(low, bar.low), max(high, bar.high)
            studies = Studies("NIFTY", 60, bar.end, bar, previous or bar, book.update(bar))
            previous = bar
            structure = MarketStructure(
                "NIFTY", bar.end, swing_low=low, swing_high=high, prev_close=close, day_low=low, day_high=high
            )
            for machine in machines:
                outcome = machine.on_studies(studies, chains[at // 60 % 2], structure)
                if isinstance(outcome, Setup):
                    sign = outcome.direction.sign
                    assert (outcome.entry - outcome.stop) * sign > 0 or np.isnan(outcome.stop)
                    assert (outcome.target - outcome.entry) * sign > 0 or np.isnan(outcome.target)
                    setups.append(machine.strategy.id)
        close = some[-1].close
    assert len(set(setups) & set(GATES)) >= 12, set(setups)


@pytest.mark.real_data
@pytest.mark.skipif(not INDEX.exists(), reason="no real market data")
def test_real_closes_flip_as_the_bare_loop_does():
    some = [bar for day in list(real_days().values())[:20] for bar in day]
    assert flips_of_the_stance(some) == flips_by_a_bare_loop([bar.close for bar in some])
