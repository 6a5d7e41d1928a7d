"""What is left of an actor that failed: its state to the exact message, or its place on the bench."""

from __future__ import annotations

import msgspec
import pytest
from actor_helpers import DAY, INDEX, MINUTE, PLAIN, Ear, ist, playbook_of, replaced, strategy

from sos_actors import assembly
from sos_actors.actors.risk import RiskActor
from sos_actors.actors.strategy import StrategyActor
from sos_actors.messages import (
    ActorBenched,
    Bar,
    Flatten,
    HistoryPlayed,
    Phase,
    SessionPhase,
    SetTradingState,
    Signal,
    StateChanged,
    Studies,
    TradingState,
)
from sos_actors.playbook.machine import StrategyMachine
from sos_actors.playbook.standing import Standing
from sos_actors.runtime import SimRuntime
from sos_actors.runtime.supervision import RESTART, VITAL, Directive
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskState

OPEN = ist("09:15")
PATH = "strategy/NIFTY/one"
#: Up, then down from there within four bars; at most three a day, five minutes apart.
PATTERN = strategy(
    phases=[
        {"id": "UP", "conditions": ["close > open"], "capture": {"top": "close"}},
        {"id": "DOWN", "conditions": ["close < vars.top"], "timeout": 4},
    ],
    cooldown=5,
    max_trades_per_day=3,
)
ROWS = [1, -1, 1, 1, -1, -1, 1, -1, 1, 1, 1, 1, 1, -1, 1, -1, 1, -1, -1, 1, 1, -1, 1, -1]


def _session(*, missing=None, since=0):
    """Play the rows but one; what ended by `since` is history."""
    heard = []
    runtime = SimRuntime(strict=True)
    (compiled,) = playbook_of(PATTERN).strategies
    runtime.spawn(StrategyActor, PATH, compiled, "NIFTY", policy=assembly.STRATEGY_POLICY)
    runtime.spawn(Ear, "ear", heard, (Signal, "NIFTY"), (StateChanged, ""))
    runtime.drain()
    runtime.publish(SessionPhase(OPEN - MINUTE, DAY, Phase.PRE_OPEN))
    runtime.publish(HistoryPlayed(since))
    runtime.drain()
    for number, up in enumerate(ROWS):
        if number == missing:
            continue
        start = OPEN + number * MINUTE
        bar = Bar(INDEX, start, start + MINUTE, 100.0, 103.0, 97.0, 100.0 + up)
        runtime.clock.now = start + MINUTE
        runtime.publish(Studies("NIFTY", 60, bar.end, bar, bar, ()), "NIFTY/60")
        runtime.drain()
    return runtime, heard


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_strategy_that_raised_goes_on_as_if_that_minute_had_not_been(number, monkeypatch):
    expected, expected_heard = _session(missing=number)
    original, poison = StrategyMachine._mark, OPEN + (number + 1) * MINUTE
    plain = StrategyMachine.on_studies

    def on_studies(self, studies, *given):
        if studies.ts == poison:  # whatever the bar would have led to: raise after it
            before = original(self)
            self._before = before
            try:
                plain(self, studies, *given)
                raise LookupError("planted")
            except LookupError:
                self._before = before
                self._take_back()
                raise
        return plain(self, studies, *given)

    monkeypatch.setattr(StrategyMachine, "on_studies", on_studies)
    runtime, heard = _session()
    (stats,) = [one for one in runtime.stats() if one.path == PATH]
    assert (stats.failures, stats.restarts, stats.benched) == (1, 1, False)
    (letter,) = runtime.dead_letters
    assert letter.message.ts == poison
    assert "LookupError: planted" in letter.traceback
    assert heard == expected_heard
    one, two = runtime.actor(PATH).checkpoint(), expected.actor(PATH).checkpoint()
    one["machine"].pop("declined"), two["machine"].pop("declined")
    assert repr(one) == repr(two)


def test_what_is_done_is_kept_before_it_is_said():
    _, heard = _session()
    assert len(heard) >= 2 * 2
    for kept, signal in zip(heard[::2], heard[1::2], strict=True):
        assert (kept.part, type(signal)) == (PATH, Signal)
        assert msgspec.msgpack.decode(kept.state, type=Standing).last_setup == signal.ts


def test_history_is_neither_signalled_nor_counted_nor_kept():
    played = OPEN + 8 * MINUTE
    runtime, heard = _session(since=played)
    signals = [one.ts for one in heard if isinstance(one, Signal)]
    assert min(signals) > played
    assert runtime.actor(PATH)._machine.standing().today == len(signals) == len(heard) / 2


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (Standing(day=DAY, today=3, last_setup=OPEN), Standing(day=DAY, today=3, last_setup=OPEN)),
        (Standing(day=DAY.replace(day=2), today=3, last_setup=7, held=1), Standing(day=DAY, last_setup=7)),
    ],
)
def test_a_strategy_takes_up_what_it_had_kept_of_the_same_day(kept, expected):
    runtime, _ = _session(since=1 << 62)
    runtime.publish(HistoryPlayed(OPEN + MINUTE, msgspec.msgpack.encode(kept)))
    runtime.drain()
    assert runtime.actor(PATH)._machine.standing() == expected


def test_a_benched_strategy_stays_so_in_later_starts_until_it_is_resumed():
    heard = []
    runtime = SimRuntime(strict=True)
    runtime.spawn(RiskActor, "risk", RiskBook(PLAIN.risk), ["NIFTY"], durable=True)
    runtime.spawn(Ear, "ear", heard, (StateChanged, ""), (Flatten, ""))
    runtime.publish(ActorBenched(PATH, OPEN, "it raised"))
    runtime.drain()
    kept, flatten = heard
    assert isinstance(flatten, Flatten)

    def book():
        fresh = RiskBook(PLAIN.risk)
        fresh.take_up(msgspec.msgpack.decode(kept.state, type=RiskState))
        fresh.new_day(1)
        return fresh

    assert book().trading_state("one", "NIFTY") is TradingState.REDUCING
    assert book().trading_state("two", "NIFTY") is TradingState.ACTIVE
    resumed = book()
    resumed.on_state(SetTradingState(TradingState.ACTIVE, "resumed by the operator", "two"))
    assert resumed.trading_state("one", "NIFTY") is TradingState.REDUCING
    resumed.on_state(SetTradingState(TradingState.ACTIVE, "resumed by the operator", "one"))
    assert resumed.trading_state("one", "NIFTY") is TradingState.ACTIVE


def test_what_a_failure_leads_to_is_what_the_table_says():
    """docs/architecture.md, "What a failure leads to": all but strategies end the run."""
    runtime = SimRuntime(strict=True)
    cast = assembly.Cast(
        config=replaced(PLAIN), playbook=playbook_of(PATTERN), underlyings=[assembly.Underlying("NIFTY", chain=True)],
        charges=None, previous_day=lambda *_: None, load_day=lambda _: [],
    )  # fmt: skip
    assembly.build(runtime, cast)
    policies = {path: member.failures.policy for path, member in runtime._cast.items()}
    assert policies.pop(PATH) == assembly.STRATEGY_POLICY
    assert assembly.STRATEGY_POLICY.exhausted is RESTART.exhausted is Directive.BENCH
    assert set(policies) >= {"clock", "feed", "broker", "chain/NIFTY", "study/NIFTY", "risk", "orders", "recorder"}
    assert all(policy == VITAL for policy in policies.values())
