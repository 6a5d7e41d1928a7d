"""The expression language: what it computes, what it refuses, and that no text gets past it."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook_helpers import Runner, bars, chain, compiled, evaluate

from sos_actors.errors import InputError
from sos_actors.messages import MarketStructure, Regime
from sos_actors.playbook import StrategyError
from sos_actors.playbook.lowering import lower
from sos_actors.playbook.names import NUMBER, TRUTH
from sos_actors.playbook.outcomes import NO_CHAIN, NO_STRUCTURE, NO_STUDIES
from sos_actors.playbook.references import Scope, Variable
from sos_actors.playbook.regimes import ANY
from sos_actors.playbook.sandbox import HELPERS, compile_text, reads
from sos_actors.quant.studies import StudyBook, StudyTable

ROWS = [(100.0 + k, 103.0 + k, 98.0 + k, 101.0 + k, 10.0 * (k + 1)) for k in range(30)]
SOME = bars(ROWS)
LAST = SOME[-1]


def scope() -> Scope:
    return Scope(StudyTable(), StudyTable(), {"level": Variable(0, NUMBER)})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("close", 130.0),
        ("candle.close", 130.0),
        ("candle.getClose()", 130.0),
        ("prev_candle.low", 126.0),
        ("prev_candle.getLow()", 126.0),
        ("history[-1].close", 130.0),
        ("history[-2].close", 129.0),
        ("history[-4].low", 124.0),
        ("round(close, -2)", 100.0),
        ("round(close / 7, 2)", 18.57),
        ("abs(open - close)", 1.0),
        ("max(open, close)", 130.0),
        ("min(open, close, low)", 127.0),
        ("2 ** 3 + 7 % 4 - 9 // 2", 7.0),
        ("-close + 1", -129.0),
        ("1 if close > open else 2", 1.0),
        ("sma(history, 5, 'close')", 128.0),
        ("moving_avg(history, 5, 'close')", 128.0),
        ("sma(5)", 128.0),
        ("highest(history, 5, 'high')", 132.0),
        ("lowest(history, 5, 'low')", 123.0),
        ("max(history, 5, 'high')", 132.0),
        ("min(history, 5, 'LOW')", 123.0),
        ("sum(history, 3, 'volume')", 870.0),
        ("lag(history, 2, 'close')", 128.0),
        ("change(history, 3)", 3.0),
        ("stdev(history, 3, 'close')", math.sqrt(2 / 3)),
        ("bb_upper(history, 3, 2)", 129 + 2 * math.sqrt(2 / 3)),
        ("bb_lower(history, 3, 2.0)", 129 - 2 * math.sqrt(2 / 3)),
        ("bb_mid(history, 3)", 129.0),
        ("rsi(history, 14)", 100.0),
        ("rsi_slope(history, 14, 3)", 0.0),
        ("atr", 5.0),
        ("atr(history, 14)", 5.0),
        ("candle.atr", 5.0),
        ("candle.getATR()", 5.0),
        ("prev_candle.atr", 5.0),
        ("history[-3].atr", 5.0),
        ("body_size()", 1.0),
        ("body_size(candle)", 1.0),
        ("candle_size(prev_candle)", 5.0),
        ("high_wick(history[-2])", 2.0),
        ("low_wick()", 2.0),
        ("screener.rvol", 300 / 205),
        ("vars.screener.rvol", 300 / 205),
        ("screener.change_from_open", 30.0),
        ("prev_day_close()", 99.0),
        ("structure.prev_close", 99.0),
        ("sentiment.pcr", 1.1),
        ("chain.pcr", 1.1),
        ("typical", 389 / 3),
        ("hl2", 129.5),
        ("candle.range", 5.0),
        ("close / (open - open) if close > 0 else 1", math.nan),
        ("close % 0 + 1", math.nan),
        ("sentiment.max_pain", math.nan),
        ("min(sentiment.max_pain, 1)", math.nan),
        ("max(1, sentiment.max_pain)", math.nan),
        ("round(sentiment.max_pain)", math.nan),
        ("history[-400].close", math.nan),
    ],
)
def test_value_of_an_expression(expression, expected):
    got = evaluate(expression, SOME, chain(pcr=1.1), MarketStructure("NIFTY", 0, prev_close=99.0))
    assert got == pytest.approx(expected, nan_ok=True)


CONDITIONS = [
    ("close > open and not low > high", True),
    ("close < open or volume == 300", True),
    ("100 < close < 131", True),
    ("close == highest(history, 5, 'close')", True),
    ("close != 130", False),
    ("close != 131", True),
    ("sentiment.smart_trend in ['Long Buildup', 'Neutral']", True),
    ("sentiment.smart_trend not in ['Neutral']", False),
    ("sentiment.smart_trend == 'Neutral'", True),
    ("'Neutral' == sentiment.smart_trend", True),
    ("sentiment.smart_trend != 'Long Buildup'", True),
    ("sentiment.regime == 'BULLISH'", True),
    ("regime.name in ('BULLISH', 'SIDEWAYS')", True),
    ("sentiment.max_pain > 0 or sentiment.max_pain <= 0", False),
    ("sentiment.max_pain != 5", False),
    ("structure.cpr_virgin", False),
    ("not structure.cpr_virgin", True),
    ("True", True),
    ("time_is_between(timestamp, '09:15', '09:45')", True),
    ("time_is_between(timestamp, '09:15', '09:44')", False),
    ("time_is_between('09:44', '09:45')", True),
    ("crosses_above(close, 129.5)", True),
    ("crosses_above(close, 100)", False),
    ("crosses_below(0 - close, -129.5)", True),
    ("crosses_above(sma(history, 3), 128.5)", True),
    ("crosses_above(close, highest(history, 3, 'close') - 1)", False),
    ("crosses_above(history[-2].close, 128.5)", True),
    ("crosses_above(vars.level, close)", False),
]


def holds(condition, some=SOME, snapshot=None):
    playbook, _ = compiled(
        phases=[
            {"id": "FIRST", "capture": {"level": "close"}},
            {"id": "ONE", "capture": {"x": f"1 if {condition} else 0"}},
        ]
    )
    runner = Runner(playbook)
    told = runner.run(some, snapshot or chain("Neutral", Regime.BULLISH))
    return dict(told[-1][1].captured)["x"] == 1.0


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_truth_of_a_condition(condition, expected):
    assert holds(condition) is expected


def test_what_is_unknown_neither_equals_nor_differs():
    nothing = NO_CHAIN
    for condition in (
        "sentiment.smart_trend == 'Neutral'",
        "sentiment.smart_trend != 'Neutral'",
        "sentiment.pcr > 0",
        "sentiment.smart_trend not in ['Neutral']",
        "sentiment.pcr <= 0",
        "sentiment.pcr != 1",
        "sentiment.smart_trend == regime.name",
        "sentiment.smart_trend in ['']",
    ):
        assert holds(condition, snapshot=nothing) is False, condition


HOSTILE = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "close.__class__",
    "candle.__class__",
    "candle.close.real",
    "vars.__dict__",
    "history.__class__",
    "history[0].close",
    "history[close].close",
    "history[-1:].close",
    "history[-1]",
    "history[-1].close.real",
    "history[-1].__class__ == 1",
    "history",
    "history > 1",
    "len(history)",
    "9 ** 9 ** 9",
    "close ** close",
    "2 ** 0.5",
    "close ** 100",
    "10 ** 13",
    "1e300",
    "1e999",
    "9" * 50,
    "1_000_000_000_000_000",
    "[x for x in (1, 2)]",
    "(lambda: 1)()",
    "(y := 1)",
    "f'{close}'",
    "'%s' % close",
    "'a' * 999999",
    "'{0}'.format(close)",
    "print(1)",
    "eval('1')",
    "exec",
    "open('x')",
    "open(close)",
    "getattr(candle, 'close')",
    "ema(history, 9, 'close')(1)",
    "ema(history, close, 'close')",
    "ema(history, 9 + 1)",
    "ema(history, -1)",
    "ema(history, 0)",
    "ema(history, 1.5)",
    "ema(history, 10**9)",
    "ema(history, 9, '__class__')",
    "ema(history, 9, close)",
    "ema(n=9)",
    "ema(*history)",
    "ema()",
    "ema(history, 9, 'close', 4)",
    "sma(prev_candle, 5)",
    "candle.getClose(1)",
    "candle.get()",
    "candle.getattr()",
    "close if open",
    "close and open",
    "not close",
    "close > 'a'",
    "'a' > 'b'",
    "'a' == 'b'",
    "'a' in 'abc'",
    "close in [1, 2]",
    "close == 'x'",
    "sentiment.smart_trend > 3",
    "sentiment.smart_trend + 'x'",
    "sentiment.smart_trend == 3",
    "sentiment.smart_trend in ['a', close]",
    "sentiment.smart_trend in []",
    "sentiment.nothing",
    "sentiment",
    "vars.unknown",
    "vars",
    "nothing",
    "candle",
    "candle()",
    "close()",
    "round(close, close)",
    "round(close, 100)",
    "round(1, 2, 3)",
    "abs()",
    "abs(1, 2)",
    "min(close)",
    "min(" + "close, " * 11 + "close)",
    "None",
    "...",
    "b'x'",
    "1j",
    "{1: 2}",
    "{1}",
    "close is open",
    "close is not None",
    "close @ open",
    "close << 2",
    "~close",
    "time_is_between(timestamp, '9:15', '10:00')",
    "time_is_between(timestamp, '10:00', '09:00')",
    "time_is_between(1, '09:00', '10:00')",
    "timestamp",
    "timestamp > 0",
    "crosses_above(close)",
    "crosses_above(sentiment.pcr, 1)",
    "crosses_above(close > 1, 1)",
    "confirm.close.x",
    "confirm.nothing",
    "confirm.getClose()",
    "entry",
    "sl",
    "risk",
    "await close",
    "yield",
    "close; open",
    "close = 3",
    "close\x00",
    "close > ５",
    "ｃlose > 1",
    "",
    "   ",
    "(" * 250 + "close" + ")" * 250,
    "-" * 500 + "close",
    "not " * 120 + "True",
    "close +" * 90 + "1",
    "close > open && open > 1",
    "if close: open",
    "import os",
    "\\",
    "'",
    "#",
    "candle.close.__class__",
    "structure.cpr_virgin > 1",
    "regime.__class__",
    "screener['rvol']",
    "vars.screener",
    "vars.screener.nothing",
    "body_size(close)",
    "body_size(1, 2)",
]


@pytest.mark.parametrize("expression", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_expressions_are_refused_as_conditions_and_as_captures(expression):
    for place in ({"conditions": [expression]}, {"capture": {"x": expression}}):
        with pytest.raises(StrategyError) as caught:
            compiled(phases=[{"id": "ONE", **place, "conditions": place.get("conditions", [])}])
        line = str(caught.value)
        assert isinstance(caught.value, InputError)
        assert line.startswith("test.json")
        assert "ONE" in line
        assert "\n" not in line


def test_an_error_names_file_place_expression_column_and_what_was_expected():
    with pytest.raises(StrategyError) as caught:
        compiled(phases=[{"id": "TRIGGER", "conditions": ["close > open", "close > opne + 1"]}])
    assert str(caught.value) == (
        "test.json, phase TRIGGER, condition 2, 'close > opne + 1', column 9: unknown name 'opne'; did you mean 'open'?"
    )
    assert (caught.value.file, caught.value.column) == ("test.json", 9)


def refuses_or_runs(text: str) -> None:
    """Lower a text; if it is accepted, run it on unknown and known inputs, and it must give a plain value."""
    try:
        lowered = lower(text, where := scope(), "")
    except StrategyError:
        return
    function = compile_text(lowered.text)
    assert set(function.__code__.co_names) <= {*HELPERS, *ALLOWED}, function.__code__.co_names
    assert not function.__code__.co_freevars
    book = StudyBook(where.studies.specs)
    confirm = NO_STUDIES
    for bar in SOME[:3]:
        values = book.update(bar)
        try:
            got = function(values, bar, bar, [1.0], NO_CHAIN, NO_STRUCTURE, ANY, confirm, 600)
        except ArithmeticError:
            continue
        assert isinstance(got, float | int | str), got


ALLOWED = {
    "open",
    "high",
    "low",
    "close",
    "volume",
    "oi",
    "values",
    "bar",
    "regime",
    "smart_trend",
    "allow_entry",
    "quantity_mod",
    "tp_mult",
    "buffer_atr",
    *NO_CHAIN.__struct_fields__,
    *NO_STRUCTURE.__struct_fields__,
}


@given(st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_random_text_raises_nothing_but_strategy_errors(text):
    refuses_or_runs(text)


WORDS = [
    "close",
    "candle",
    "vars",
    "level",
    "sentiment",
    "pcr",
    "smart_trend",
    "history",
    "-1",
    "9",
    "'close'",
    "ema",
    "round",
    "(",
    ")",
    "[",
    "]",
    ".",
    ",",
    " and ",
    " or ",
    " not ",
    " in ",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "<",
    "==",
    " if ",
    " else ",
    "__class__",
    "lambda",
    ":",
    "'Neutral'",
    "0",
    "1e9",
    "True",
    "confirm",
    "max",
    "crosses_above",
    "=",
    "{",
    "}",
]


@given(st.lists(st.sampled_from(WORDS), max_size=14).map("".join))
@settings(max_examples=400, deadline=None)
def test_random_words_of_the_language_raise_nothing_but_strategy_errors(text):
    refuses_or_runs(text)


NUMBERS = st.recursive(
    st.sampled_from(
        [
            "close",
            "open",
            "volume",
            "candle.atr",
            "prev_candle.high",
            "vars.level",
            "sentiment.pcr",
            "0",
            "2.5",
            "ema(history, 3, 'close')",
            "structure.pivot",
            "screener.rvol",
            "history[-3].low",
            "confirm.sma(4)",
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "%", "//"]), inner).map(lambda t: f"({' '.join(t)})"),
        inner.map(lambda a: f"round({a}, 1)"),
        inner.map(lambda a: f"-{a}"),
        inner.map(lambda a: f"({a}) ** 3"),
        st.tuples(inner, inner).map(lambda t: f"min({t[0]}, {t[1]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} < {t[2]} else {t[0]})"),
    ),
    max_leaves=12,
)


@given(NUMBERS)
@settings(max_examples=200, deadline=None)
def test_every_well_formed_expression_compiles_and_runs(text):
    try:
        lower(text, scope(), NUMBER)
    except StrategyError as error:
        assert "too long or too deeply" in str(error) or "longer than" in str(error), error  # noqa: PT017
    refuses_or_runs(text)


ATTRIBUTES = st.text(string.ascii_letters + "_", min_size=1, max_size=20)


@given(
    ATTRIBUTES, st.sampled_from(["candle", "vars", "sentiment", "structure", "regime", "history", "close", "confirm"])
)
@settings(max_examples=200, deadline=None)
def test_random_attributes_never_reach_an_object(word, root):
    refuses_or_runs(f"{root}.{word}")
    refuses_or_runs(f"{root}.{word}()")
    refuses_or_runs(f"{root}._{word}__")


def test_compiled_code_has_no_builtins():
    function = compile_text("1.0")
    assert function.__globals__["__builtins__"] == {}
    assert not {"eval", "exec", "open", "getattr", "__import__", "type"} & set(function.__globals__)


def test_warnings_name_a_text_nothing_ever_says():
    _, warnings = compiled(phases=[{"id": "A", "conditions": ["sentiment.smart_trend in ['Long Buildp']"]}])
    assert any("did you mean 'Long Buildup'" in one for one in warnings)


def test_one_study_used_many_times_has_one_slot():
    playbook, _ = compiled(
        phases=[
            {
                "id": "A",
                "conditions": ["ema(history, 9, 'close') > ema(9)", "crosses_above(ema(history, 9), sma(history, 9))"],
            },
            {"id": "B", "conditions": ["moving_avg(history, 9, 'close') < sma(9)"]},
        ]
    )
    kinds = [spec.kind for spec in playbook.studies[60]]
    assert sorted(kinds) == ["ema", "lag", "lag", "sma"]


def test_kinds_are_told_apart():
    with pytest.raises(StrategyError, match="expected a comparison, true or false, found a number"):
        lower("close", scope(), TRUTH)
    with pytest.raises(StrategyError, match="expected a number, found a truth"):
        lower("close > 1", scope(), NUMBER)


def test_what_lowered_text_reads_is_told_from_the_text():
    assert reads("None if s[0] != s[0] else abs(s[0])") == {"s"}
    assert reads("div(s[0], b.close) if c.pcr > v[1] else greatest(s[1], p.high)") == {"s", "b", "c", "v", "p"}
