"""The machine: phases bar by bar, timeouts, regimes, windows, levels, stances, explanations, checkpoints."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math

import pytest
from playbook_helpers import MINUTE, OPEN, Runner, bars, chain, compiled

from sos_actors.messages import NAN, Bar, Direction, MarketStructure, RefusalReason, Regime, Studies
from sos_actors.playbook import Declined, Leave, Setup, StrategyError
from sos_actors.playbook.regimes import rules_by_regime
from sos_actors.playbook.schema import RegimeRule
from sos_actors.playbook.standing import Standing

UP, DOWN = (100.0, 103.0, 97.0, 102.0, 10.0), (102.0, 103.0, 97.0, 100.0, 10.0)
EXECUTION = {"side": "BUY", "entry": "close", "sl": "close - 10", "tp": "close + 20"}


def told(rows, snapshot=None, structure=None, start=OPEN, **changes):
    playbook, _ = compiled(**changes)
    return Runner(playbook).run(bars(rows, start), snapshot, structure)


TWO = [
    {"id": "A", "conditions": ["close > open"], "capture": {"a": "close"}},
    {"id": "B", "conditions": ["close < vars.a"], "timeout": 3},
]


def test_one_phase_a_bar_and_the_pattern_starts_over_after_it():
    rows = [UP, DOWN, DOWN, UP, DOWN]
    assert [at for at, _ in told(rows, phases=TWO)] == [1, 4]
    both = [{"id": "A", "conditions": ["close > open"]}, {"id": "B", "conditions": ["close > open"]}]
    assert [at for at, _ in told([UP, UP, UP, UP], phases=both)] == [1, 3]


@pytest.mark.parametrize(("waiting", "fires"), [(2, True), (3, False)])
def test_timeout_counts_the_bars_that_failed(waiting, fires):
    rows = [UP] + [UP] * waiting + [DOWN]
    at_end = [at for at, _ in told(rows, phases=TWO) if at == len(rows) - 1]
    assert bool(at_end) is fires


def test_a_phase_without_conditions_passes_and_zero_timeout_waits_for_ever():
    phases = [{"id": "A"}, {"id": "B", "conditions": "close < open"}]
    assert [at for at, _ in told([UP] * 50 + [DOWN], phases=phases)] == [50]


def test_captures_are_forgotten_when_the_pattern_starts_over():
    playbook, _ = compiled(phases=TWO)
    runner = Runner(playbook)
    runner.run(bars([UP]))
    assert runner.machine.explain()["captured"] == {"a": 102.0}
    runner.run(bars([UP] * 3))
    assert runner.machine.explain()["captured"] == {}
    assert runner.machine.explain()["phase"] == "A"


def test_setup_has_levels_scaled_and_widened_by_the_regime():
    config = {"BULLISH": {"quantity_mod": 1.5, "tp_mult": 2.0, "buffer_atr": 0.5}}
    (at, setup), *_ = told(
        [UP] * 14, chain(regime=Regime.BULLISH), regime_config=config, phases=[{"id": "A", "conditions": ["atr > 0"]}]
    )
    assert at == 13  # the ATR is known from the fourteenth bar
    assert setup == Setup(Direction.LONG, 102.0, 92.0 - 0.5 * 6, 102.0 + 2 * 20, Regime.BULLISH, 1.5, 2.0, "ATM_CALL")


def test_a_strategys_weight_is_a_factor_on_its_size_in_every_regime():
    config = {"BULLISH": {"quantity_mod": 1.5}, "SIDEWAYS": {}}
    sizes = [
        told([UP], chain(regime=regime), regime_config=config, weight=weight)[0][1].quantity_mod
        for regime in (Regime.BULLISH, Regime.SIDEWAYS)
        for weight in (1, 0.5, 2)
    ]
    assert sizes == [1.5, 0.75, 3.0, 1.0, 0.5, 2.0]
    assert told([UP], weight=0.25)[0][1].quantity_mod == 0.25  # and where no regimes are listed


def test_levels_that_use_the_regimes_figures_are_not_changed_once_more():
    config = {"BULLISH": {"tp_mult": 2.0, "buffer_atr": 0.5}}
    execution = EXECUTION | {"sl": "close - 10 - regime.buffer_atr", "tp": "entry + risk * tp_mult"}
    setup = told([UP], chain(regime=Regime.BULLISH), regime_config=config, execution=execution)[0][1]
    assert (setup.stop, setup.target) == (91.5, 102 + 10.5 * 2)


def test_levels_may_refer_to_one_another_in_any_order_that_ends():
    execution = EXECUTION | {"entry": "sl + 5", "sl": "low", "tp": "sl + (entry - sl) * 3"}
    setup = told([UP], execution=execution)[0][1]
    assert (setup.entry, setup.stop, setup.target) == (102.0, 97.0, 112.0)
    with pytest.raises(StrategyError, match="refer to one another"):
        compiled(execution=EXECUTION | {"entry": "sl + 1", "sl": "entry - 1"})


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"sl": "close + 1"}, "stop 103.00 is on the wrong side"),
        ({"sl": "structure.swing_low"}, "stop is unknown"),
        ({"entry": "sentiment.max_pain"}, "entry is unknown"),
        ({"tp": "close - 1"}, "target 101.00 is on the wrong side"),
        ({"tp": "structure.pivot"}, "target is unknown"),
        ({"entry": "close - 200", "sl": "close - 300"}, "is no price"),
        ({"sl": "close / (open - open)"}, "stop is unknown"),
        ({"tp": "(close * 1e12) ** 4 ** 1"}, None),
    ],
)
def test_unknown_or_wrong_levels_are_declined_with_the_reason(changes, detail):
    if detail is None:
        with pytest.raises(StrategyError):
            compiled(execution=EXECUTION | changes)
        return
    ((_, one),) = told([UP], execution=EXECUTION | changes)
    assert isinstance(one, Declined)
    assert one.reason is RefusalReason.BAD_LEVELS
    assert detail in one.detail


def test_overflow_is_a_counted_refusal_and_the_pattern_starts_over():
    huge = "(((close * 1e12) ** 4) ** 4) ** 4"
    for changes in ({"execution": EXECUTION | {"sl": huge}}, {"phases": [{"id": "A", "conditions": [f"{huge} > 1"]}]}):
        outcomes = told([UP] * 3, **changes)
        assert [at for at, _ in outcomes] == [0, 1, 2]
        assert {one.reason for _, one in outcomes} == {RefusalReason.BAD_LEVELS}
        assert all("arithmetic" in one.detail for _, one in outcomes)


def test_a_stance_whose_levels_overflow_keeps_what_it_holds():
    huge = "1 if close < 102.5 else (((close * 1e12) ** 4) ** 4) ** 4"
    playbook, _ = compiled(STANCE | {"execution": {"sl": f"close - ({huge})"}})
    runner = Runner(playbook)
    got = [runner.feed(bar) for bar in closes(102, 100, 105, 102)]
    assert [type(one) for one in got] == [Setup, Leave, Declined, Setup]


def test_windows_cooldown_and_daily_count_go_by_the_bars_own_time():
    assert [
        at
        for at, one in told([UP] * 6, time_windows=[["09:16", "09:18"], ["09:20", "15:00"]])
        if isinstance(one, Setup)
    ] == [1, 2, 5]
    assert [at for at, one in told([UP] * 9, cooldown=3) if isinstance(one, Setup)] == [0, 3, 6]
    playbook, _ = compiled(max_trades_per_day=2)
    runner = Runner(playbook)
    outcomes = [one for _, one in runner.run(bars([UP] * 4))]
    assert [isinstance(one, Setup) for one in outcomes] == [True, True, False, False]
    assert runner.machine.declined == {RefusalReason.STRATEGY_TRADES_PER_DAY: 2}
    runner.machine.new_day(dt.date(2026, 1, 6))
    assert isinstance(runner.feed(bars([UP])[0]), Setup)


LISTED = {
    "BULLISH": RegimeRule(quantity_mod=3),
    "SIDEWAYS": RegimeRule(quantity_mod=1),
    "BEARISH": RegimeRule(allow_entry=False),
}


@pytest.mark.parametrize(
    ("regime", "expected"),
    [
        ("COMPLETE_BULLISH", "BULLISH"),
        ("BULLISH", "BULLISH"),
        ("SIDEWAYS_BULLISH", "SIDEWAYS"),
        ("SIDEWAYS", "SIDEWAYS"),
        ("SIDEWAYS_BEARISH", "BEARISH"),
        ("COMPLETE_BEARISH", "BEARISH"),
    ],
)
def test_a_regime_not_listed_follows_its_nearest_neighbour_the_cautious_one_when_equal(regime, expected):
    assert rules_by_regime(LISTED)[Regime(regime)] is LISTED[expected]


def test_unknown_regime_gives_no_entry_unless_listed_or_nothing_is():
    assert not rules_by_regime(LISTED)[Regime.UNKNOWN].allow_entry
    assert rules_by_regime(LISTED | {"UNKNOWN": RegimeRule()})[Regime.UNKNOWN].allow_entry
    assert all(rule.allow_entry for rule in rules_by_regime({}).values())
    assert not any(rule.allow_entry for rule in rules_by_regime({"NONSENSE": RegimeRule()}).values())


STANCE = {
    "pattern_id": "s",
    "stance": "1 if close > 101 else -1 if close < 99 else 0",
    "execution": {"option_selection": "ATM"},
}


def closes(*values):
    return bars([(v, v, v, v, 1.0) for v in values])


def stance(*values, snapshot=None, **changes):
    playbook, _ = compiled(STANCE | changes)
    return Runner(playbook).run(closes(*values), snapshot)


def test_a_stance_signals_each_change_once_as_a_flip():
    got = stance(100, 102, 103, 98, 97, 100, 100, 105)
    assert [(at, type(one)) for at, one in got] == [(1, Setup), (3, Setup), (5, Leave), (7, Setup)]
    assert [one.direction for _, one in got if isinstance(one, Setup)] == [
        Direction.LONG,
        Direction.SHORT,
        Direction.LONG,
    ]
    assert all(one.flip for _, one in got if isinstance(one, Setup))
    assert [one.selection for _, one in got if isinstance(one, Setup)] == ["ATM_CALL", "ATM_PUT", "ATM_CALL"]
    assert math.isnan(got[0][1].stop)
    assert math.isnan(got[0][1].target)


def test_a_stance_of_studies_alone_is_told_by_a_glance_at_them():
    def glance(text):
        playbook, _ = compiled(STANCE | {"stance": text})
        (strategy,) = playbook.strategies
        return strategy.glance

    of_studies = glance("1 if ema(history, 2, 'close') > ema(history, 3, 'close') else -1")
    assert of_studies((2.0, 1.0)) == 1
    assert of_studies((1.0, 2.0)) == -1
    assert of_studies((NAN, 2.0)) is None
    assert glance("1 if ema(history, 2, 'close') > close else -1") is None
    assert glance("1 if ema(history, 2, 'close') > sentiment.spot else -1") is None
    divided = glance("1 if ema(history, 2, 'close') / 2 > ema(history, 3, 'close') else -1")
    assert divided((1.0, math.inf)) == -1
    assert glance("1 if ema(history, 2, 'close') ** 2 > 4 else -1") is None  # may overflow
    assert glance("1 if round(ema(history, 2, 'close')) > 4 else -1") is None  # cannot round what is infinite


def test_a_stance_with_an_unknown_input_stays_as_it_is():
    got = stance(*[100.0] * 5, stance="1 if sma(history, 3, 'close') > 99 else -1")
    assert [at for at, _ in got] == [2]
    assert stance(105, 95, stance="1 if sentiment.pcr > 1 else -1") == []


def test_a_stance_that_may_not_enter_leaves_and_says_so_once():
    playbook, _ = compiled(STANCE | {"regime_config": {"BULLISH": {}, "BEARISH": {"allow_entry": False}}})
    runner = Runner(playbook)
    bull, bear = chain(regime=Regime.BULLISH), chain(regime=Regime.BEARISH)
    got = [
        runner.feed(bar, snapshot)
        for bar, snapshot in zip(closes(102, 103, 98, 97, 96, 95), [bull, bear, bear, bear, bear, bull], strict=True)
    ]
    assert [type(one) for one in got] == [Setup, type(None), Leave, type(None), type(None), Setup]
    refused = Runner(playbook)
    assert [type(one) for one in (refused.feed(bar, bear) for bar in closes(102, 102, 102))] == [
        Declined,
        type(None),
        type(None),
    ]


@pytest.mark.parametrize(("square_off", "expected"), [("off", type(None)), ("15:15", Setup), (None, Setup)])
def test_a_stance_is_announced_anew_each_day_unless_it_is_carried_over_night(square_off, expected):
    playbook, _ = compiled(STANCE | {"exits": {"square_off": square_off}})
    runner = Runner(playbook)
    runner.run(closes(102))
    runner.machine.new_day(dt.date(2026, 1, 6))
    assert type(runner.feed(closes(103)[0])) is expected


def test_a_disowned_stance_is_announced_anew():
    runner = Runner(compiled(STANCE)[0])
    for _ in range(3):
        assert type(runner.feed(closes(102)[0])) is Setup
        runner.machine.disown()
    assert runner.machine.standing() == Standing()
    assert type(runner.feed(closes(102)[0])) is Setup
    assert runner.feed(closes(103)[0]) is None


def test_what_a_disowned_setup_counted_is_taken_back_and_the_pattern_starts_over():
    playbook, _ = compiled(phases=TWO, cooldown=30, max_trades_per_day=1)
    runner = Runner(playbook)
    assert [type(one) for _, one in runner.run(bars([UP, DOWN]))] == [Setup]
    runner.machine.disown()
    assert runner.machine.standing() == Standing()
    assert runner.machine.explain()["phase"] == "A"
    assert [type(one) for _, one in runner.run(bars([UP, DOWN, UP, DOWN]))] == [Setup, Declined]


def _fails(*_):
    raise LookupError("planted")


@pytest.mark.parametrize("where", ["test", "capture", "level"])
def test_what_raises_leaves_the_machine_as_it_was_before_the_bar(where):
    """The expression is checked, so only a mistake of ours can raise: it must not leave half a bar behind."""
    captured = [TWO[0], TWO[1] | {"capture": {"low_": "low"}}]
    runner = Runner(compiled(phases=captured)[0])
    up, down = bars([UP, DOWN])
    runner.feed(up)
    machine = runner.machine
    before = machine.state()
    strategy, phases = machine.strategy, machine._phases
    phase = phases[1]
    if where == "level":
        machine.strategy = dataclasses.replace(strategy, levels=((strategy.levels[0][0], _fails),))
    elif where == "test":
        machine._phases = (phases[0], dataclasses.replace(phase, test=_fails))
    else:
        machine._phases = (phases[0], dataclasses.replace(phase, captures=(*phase.captures, (0, _fails))))
    with pytest.raises(LookupError):
        runner.feed(down)
    machine.strategy, machine._phases = strategy, phases
    assert repr(machine.state()) == repr(before)
    assert type(runner.feed(down)) is Setup


def test_a_pattern_does_not_outlive_the_night():
    playbook, _ = compiled(phases=TWO)
    runner = Runner(playbook)
    runner.run(bars([UP]))
    runner.machine.new_day(dt.date(2026, 1, 6))
    assert runner.feed(bars([DOWN])[0]) is None
    assert runner.machine.explain()["phase"] == "A"


def test_explain_says_which_condition_it_waits_for_and_what_it_saw():
    playbook, _ = compiled(
        phases=[{"id": "A", "conditions": ["close > open", "sentiment.pcr > 1.2", "volume > sma(3, 'volume')"]}]
    )
    runner = Runner(playbook)
    assert runner.machine.explain()["waiting_for"] is None
    runner.run(bars([UP]), chain(pcr=1.1))
    assert runner.machine.explain()["waiting_for"] == {
        "condition": "sentiment.pcr > 1.2",
        "values": {"sentiment.pcr": 1.1},
    }
    runner.run(bars([UP]), chain(pcr=1.3))
    told_now = runner.machine.explain()["waiting_for"]
    assert told_now["condition"] == "volume > sma(3, 'volume')"
    assert told_now["values"]["volume"] == 10.0
    assert math.isnan(told_now["values"]["sma(3, 'volume')"])


def test_a_restored_machine_goes_on_where_the_other_stopped():
    rows = [UP, UP, DOWN, UP, DOWN, DOWN, UP, DOWN] * 3
    playbook, _ = compiled(phases=TWO, cooldown=4, max_trades_per_day=3)
    whole = Runner(playbook).run(bars(rows))
    for cut in range(len(rows)):
        one, two = Runner(playbook), Runner(playbook)
        first = one.run(bars(rows)[:cut])
        two.machine.restore(one.machine.state())
        two.previous = one.previous
        second = [
            (at, outcome) for at, bar in enumerate(bars(rows)[cut:], cut) if (outcome := two.feed(bar)) is not None
        ]
        assert first + second == whole
    assert two.machine.declined


def test_confirming_time_frame_is_read_and_unknown_without():
    phases = [
        {"id": "A", "conditions": ["confirm.ema(history, 2, 'close') > 50", "confirm.close > 60", "confirm.atr > 0"]}
    ]
    playbook, _ = compiled(phases=phases, confirm_timeframe="5m")
    strategy = playbook.strategies[0]
    assert "confirm" in strategy.required
    assert [spec.kind for spec in playbook.studies[300]] == ["ema", "atr"]
    bar = Bar("I", OPEN, OPEN + 5 * MINUTE, 61, 61, 61, 61.0)
    runner = Runner(playbook)
    assert runner.feed(bars([UP])[0]) is None
    assert isinstance(runner.feed(bars([UP])[0], confirm=Studies("NIFTY", 300, 0, bar, bar, (55.0, 1.0))), Setup)
    assert runner.feed(bars([UP])[0], confirm=Studies("NIFTY", 300, 0, bar, bar, (NAN, 1.0))) is None
    with pytest.raises(StrategyError, match="no confirm_timeframe"):
        compiled(phases=phases)


@pytest.mark.parametrize(
    ("condition", "required"),
    [
        ("close > open", set()),
        ("sentiment.pcr > 1", {"chain"}),
        ("structure.pivot > 1", {"structure"}),
        ("prev_day_close() > 1", {"structure"}),
        ("volume > 1", {"volume"}),
        ("close > vwap(history)", {"volume"}),
        ("screener.rvol > 1", {"volume"}),
        ("regime.name == 'BULLISH'", {"chain"}),
        ("sma(history, 5, 'volume') > 1", {"volume"}),
        ("prev_candle.volume > 1", {"volume"}),
    ],
)
def test_required_says_what_must_be_wired(condition, required):
    playbook, _ = compiled(phases=[{"id": "A", "conditions": [condition]}])
    assert playbook.strategies[0].required == required


def test_captured_values_travel_with_the_setup():
    phases = [{"id": "A", "conditions": ["close > open"], "capture": {"top": "high", "trend": "sentiment.smart_trend"}}]
    setup = told([UP], chain("Neutral"), phases=phases)[0][1]
    assert setup.captured == (("top", 103.0), ("trend", "Neutral"))


def test_structure_is_read():
    assert (
        told([UP], None, MarketStructure("N", 0, swing_low=90.0), execution=EXECUTION | {"sl": "structure.swing_low"})[
            0
        ][1].stop
        == 90.0
    )
