"""The strategy actor: one minute's studies, chain and levels are joined, in whatever order they come."""

import itertools
import math

import msgspec
import pytest
from actor_helpers import DAY, INDEX, MINUTE, Ear, ist, playbook_of, strategy
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.actors.strategy import StrategyActor
from sos_actors.messages import (
    Bar,
    ChainSnapshot,
    DayLoaded,
    Flatten,
    HistoryPlayed,
    MarketStructure,
    Phase,
    RefusalReason,
    Refused,
    SessionPhase,
    Signal,
    Studies,
)
from sos_actors.playbook import StrategyMachine
from sos_actors.playbook.outcomes import NO_CHAIN, Declined, Leave, Setup
from sos_actors.runtime import SimRuntime

OPEN = ist("09:15")
#: What the actor says where the machine comes to this.
_TOLD = {Setup: Signal, Leave: Flatten, Declined: Refused}
READS_ALL = strategy(phases=[{"id": "P", "conditions": ["sentiment.pcr > 1", "close > structure.opening_high"]}])


def _stage(definition=READS_ALL, *, chain=True, **kwargs):
    heard = []
    runtime = SimRuntime(strict=True)
    (compiled,) = playbook_of(definition).strategies
    runtime.spawn(StrategyActor, "strategy/NIFTY/one", compiled, "NIFTY", **kwargs)
    runtime.spawn(Ear, "ear", heard, (Signal, "NIFTY"), (Refused, ""), (Flatten, ""))
    runtime.drain()
    runtime.publish(SessionPhase(OPEN - MINUTE, DAY, Phase.PRE_OPEN))
    runtime.publish(DayLoaded("NIFTY", DAY, True, False, "", chain, 60), "NIFTY")
    runtime.drain()
    return runtime, heard


def _minute(number, pcr, close, high):
    """What the three actors say of one minute, with the keys."""
    start = OPEN + number * MINUTE
    ts = start + MINUTE
    bar = Bar(INDEX, start, ts, close, close, close, close)
    return [
        (Studies("NIFTY", 60, ts, bar, bar, ()), "NIFTY/60"),
        (msgspec.structs.replace(NO_CHAIN, underlying="NIFTY", ts=ts, pcr=pcr), "NIFTY"),
        (MarketStructure("NIFTY", ts, opening_high=high), "NIFTY"),
    ]


def _say(runtime, messages):
    for message, key in messages:
        runtime.publish(message, key)
        runtime.drain()


minutes = st.lists(
    st.tuples(
        st.sampled_from([0.8, 1.2]), st.sampled_from([24_490.0, 24_510.0]), st.sampled_from([24_480.0, 24_500.0]),
        st.permutations(range(3)),
    ),
    min_size=1, max_size=12,
)  # fmt: skip


@given(minutes)
def test_the_order_of_arrival_within_a_minute_does_not_matter(drawn):
    runtime, heard = _stage()
    for number, (pcr, close, high, order) in enumerate(drawn):
        messages = _minute(number, pcr, close, high)
        _say(runtime, [messages[i] for i in order])
    expected = [
        OPEN + (number + 1) * MINUTE for number, (pcr, close, high, _) in enumerate(drawn) if pcr > 1 and close > high
    ]
    assert [signal.ts for signal in heard] == expected


@pytest.mark.parametrize("absent", [0, 1, 2])
def test_nothing_is_decided_before_all_of_the_minute_is_in(absent):
    for order in itertools.permutations(i for i in range(3) if i != absent):
        runtime, heard = _stage()
        _say(runtime, _minute(0, 0.8, 24_490, 24_500))
        messages = _minute(1, 1.2, 24_510, 24_500)
        _say(runtime, [messages[i] for i in order])
        assert heard == []
        _say(runtime, [messages[absent]])
        assert [type(message) for message in heard] == [Signal]


def test_two_minutes_are_never_mixed():
    """Last minute's chain would have allowed it, this minute's does not."""
    runtime, heard = _stage()
    _say(runtime, _minute(0, 1.2, 24_490, 24_500))
    studies, chain, structure = _minute(1, 0.8, 24_510, 24_500)
    _say(runtime, [studies, structure, chain])
    assert heard == []


def test_on_a_day_without_a_chain_what_is_read_of_it_is_unknown_and_nobody_waits():
    definition = strategy(phases=[{"id": "P", "conditions": ["sentiment.pcr > 1 or close > 24500"]}])
    runtime, heard = _stage(definition, chain=False)
    studies = [_minute(number, 0, close, 0)[0] for number, close in enumerate((24_490, 24_510))]
    _say(runtime, studies)
    assert [signal.ts for signal in heard] == [OPEN + 2 * MINUTE]


def test_a_confirming_frame_is_the_last_one_closed():
    definition = strategy(phases=[{"id": "P", "conditions": ["confirm.close > close"]}], confirm_timeframe="5m")
    runtime, heard = _stage(definition, chain=False)
    five = Bar(INDEX, OPEN, OPEN + 5 * MINUTE, 1, 1, 1, 24_520)
    _say(runtime, [_minute(3, 0, 24_500, 0)[0]])
    assert heard == []
    _say(runtime, [(Studies("NIFTY", 300, five.end, five, five, ()), "NIFTY/300"), _minute(4, 0, 24_500, 0)[0]])
    _say(runtime, [_minute(5, 0, 24_530, 0)[0]])
    assert [signal.ts for signal in heard] == [OPEN + 5 * MINUTE]


values = st.tuples(*[st.sampled_from([math.nan, 1.0, 2.0, 3.0])] * 2)


@given(
    st.lists(values, max_size=12),
    st.sampled_from(["1 if {} > {} else -1", "1 if {} > {} else 0", "{} - {}"]),
    st.sampled_from([[], [["09:15", "09:20"]]]),
)
def test_a_stance_of_studies_alone_is_acted_on_as_the_machine_says(drawn, stance, windows):
    """The glance that keeps most bars from the machine never keeps one from it that matters."""
    ema = [f"ema(history, {n}, 'close')" for n in (2, 3)]
    definition = strategy(phases=[], stance=stance.format(*ema), time_windows=windows)
    (compiled,) = playbook_of(definition).strategies
    assert compiled.glance is not None
    machine = StrategyMachine(compiled, "NIFTY")
    machine.new_day(DAY)
    runtime, heard = _stage(definition, chain=False)
    expected = []
    for number, known in enumerate(drawn):
        studies = msgspec.structs.replace(_minute(number, 0, 24_500, 0)[0][0], values=known)
        outcome = machine.on_studies(studies)
        if outcome is not None:
            expected.append((studies.ts, _TOLD[type(outcome)], getattr(outcome, "direction", None)))
        _say(runtime, [(studies, "NIFTY/60")])
    assert [(told.ts, type(told), getattr(told, "direction", None)) for told in heard] == expected


def test_while_warming_up_it_says_nothing():
    runtime, heard = _stage(trade_from=OPEN + 3 * MINUTE)
    for number in range(4):
        _say(runtime, _minute(number, 1.2, 24_510, 24_500))
    assert [signal.ts for signal in heard] == [OPEN + 3 * MINUTE, OPEN + 4 * MINUTE]


def test_what_was_half_in_at_the_days_end_is_forgotten():
    runtime, heard = _stage()
    studies, chain, structure = _minute(0, 1.2, 24_510, 24_500)
    _say(runtime, [studies, structure])
    runtime.publish(SessionPhase(OPEN, DAY, Phase.PRE_OPEN))
    runtime.drain()
    _say(runtime, [chain])
    assert heard == []


def test_a_stale_snapshot_ends_the_wait_too():
    """The chain actor repeats itself, marked, when nothing came: the minute is judged on what was known."""
    runtime, heard = _stage()
    studies, (chain, key), structure = _minute(0, 1.2, 24_510, 24_500)
    _say(runtime, [studies, structure, (msgspec.structs.replace(chain, missing=("stale",)), key)])
    assert isinstance(chain, ChainSnapshot)
    assert [type(message) for message in heard] == [Signal]


@pytest.mark.parametrize(("complete", "told"), [(False, Refused), (True, Signal)])
def test_nothing_is_entered_on_a_bar_that_was_under_way_at_the_start(complete, told):
    runtime, heard = _stage()
    runtime.publish(HistoryPlayed(OPEN + MINUTE + MINUTE // 2, b""))
    (studies, key), *rest = _minute(1, 1.2, 24_510, 24_500)
    torn = msgspec.structs.replace(studies, bar=msgspec.structs.replace(studies.bar, complete=complete))
    _say(runtime, [(torn, key), *rest])
    assert [type(one) for one in heard] == [told]
    assert complete or heard[0].reason is RefusalReason.STALE_DATA
    _say(runtime, _minute(2, 1.2, 24_510, 24_500))
    assert isinstance(heard[1], Signal)  # it has not counted: no cooldown, no setup of the day
