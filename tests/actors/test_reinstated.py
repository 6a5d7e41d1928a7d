"""A benched strategy taken back: what it remembers, what is forgiven, and who lets it enter again."""

from __future__ import annotations

import msgspec
import pytest
from actor_helpers import DAY, INDEX, MINUTE, PLAIN, Ear, ist, playbook_of, strategy

from sos_actors.actors.risk import RiskActor
from sos_actors.actors.strategy import StrategyActor
from sos_actors.messages import (
    ActorBenched,
    ActorReinstated,
    Bar,
    HistoryPlayed,
    Phase,
    Reinstate,
    SessionPhase,
    SetTradingState,
    Signal,
    StateChanged,
    Studies,
    TradingState,
)
from sos_actors.playbook.standing import Standing
from sos_actors.runtime import Directive, RestartPolicy, SimRuntime
from sos_actors.trading.limits import RiskBook

OPEN = ist("09:15")
PATH = "strategy/NIFTY/one"
ONCE = RestartPolicy(restarts=1, period_s=3600, exhausted=Directive.BENCH)
PATTERN = strategy(
    phases=[
        {"id": "UP", "conditions": ["close > open"], "capture": {"top": "close"}},
        {"id": "DOWN", "conditions": ["close < vars.top"]},
    ],
    max_trades_per_day=3,
)
POISON = HistoryPlayed(0, b"no standing")


class Stage:
    """One strategy, risk, and an ear."""

    def __init__(self, pattern=PATTERN):
        self.heard = []
        self.runtime = SimRuntime(strict=True)
        (compiled,) = playbook_of(pattern).strategies
        self.runtime.spawn(RiskActor, "risk", RiskBook(PLAIN.risk), ["NIFTY"], durable=True)
        self.runtime.spawn(StrategyActor, PATH, compiled, "NIFTY", policy=ONCE)
        kinds = (ActorBenched, ActorReinstated, StateChanged)
        self.runtime.spawn(Ear, "ear", self.heard, (Signal, "NIFTY"), *((kind, "") for kind in kinds))
        self.say(SessionPhase(OPEN - MINUTE, DAY, Phase.PRE_OPEN), HistoryPlayed(0))

    def say(self, *messages):
        for message in messages:
            self.runtime.publish(message)
        self.runtime.drain()

    def bar(self, number, up):
        start = OPEN + number * MINUTE
        bar = Bar(INDEX, start, start + MINUTE, 100.0, 103.0, 97.0, 100.0 + up)
        self.runtime.clock.now = start + MINUTE
        self.runtime.publish(Studies("NIFTY", 60, bar.end, bar, bar, ()), "NIFTY/60")
        self.runtime.drain()

    def bench(self):
        for _ in range(2):
            self.runtime.tell(PATH, POISON)
            self.runtime.drain()
        assert self.stats.benched

    def take_back(self, at=None):
        if at is not None:
            self.runtime.clock.now = at
        self.runtime.tell(PATH, Reinstate(self.runtime.clock.now, "by the operator"))
        self.runtime.drain()

    @property
    def stats(self):
        return next(one for one in self.runtime.stats() if one.path == PATH)

    @property
    def machine(self):
        return self.runtime.actor(PATH)._machine

    def signals(self):
        return [one.ts for one in self.heard if isinstance(one, Signal)]

    def may(self):
        return self.runtime.actor("risk")._book.trading_state("one", "NIFTY")


def test_it_trades_again_from_its_first_phase_and_the_day_still_counts():
    stage = Stage()
    stage.bar(0, 1), stage.bar(1, -1)
    assert len(stage.signals()) == 1
    stage.bar(2, 1)  # one phase passed
    assert stage.machine.explain()["phase"] == "DOWN"
    stage.bench()
    stage.bar(3, -1)  # would have completed the pattern
    assert len(stage.signals()) == 1
    assert stage.may() is TradingState.REDUCING
    stage.take_back()
    assert (stage.stats.benched, stage.stats.stopped, stage.stats.failures) == (False, False, 2)
    assert stage.may() is TradingState.ACTIVE
    told = stage.machine.explain()
    assert (told["phase"], told["signals_today"]) == ("UP", 1)
    stage.bar(4, -1)  # below the top of the pattern that was under way when it was benched
    assert len(stage.signals()) == 1
    stage.bar(5, 1), stage.bar(6, -1)
    assert stage.signals()[1:] == [OPEN + 7 * MINUTE]


def test_what_it_is_allowed_begins_anew():
    stage = Stage()
    stage.bench()
    stage.take_back()
    stage.runtime.tell(PATH, POISON)
    stage.runtime.drain()
    assert (stage.stats.benched, stage.stats.failures) == (False, 3)
    stage.runtime.tell(PATH, POISON)
    stage.runtime.drain()
    assert stage.stats.benched
    told = [type(one) for one in stage.heard if isinstance(one, (ActorBenched, ActorReinstated))]
    assert told == [ActorBenched, ActorReinstated, ActorBenched]


def test_a_stance_that_the_bench_closed_is_taken_anew():
    stage = Stage(strategy(phases=[], direction="", stance="1 if close > open else 0"))
    stage.bar(0, 1)
    assert stage.machine.standing().held == 1
    stage.bench()
    stage.take_back()
    assert stage.machine.standing().held == 0
    kept = [one for one in stage.heard if isinstance(one, StateChanged) and one.part == PATH]
    assert msgspec.msgpack.decode(kept[-1].state, type=Standing).held == 0
    stage.bar(1, 1)
    assert len(stage.signals()) == 2


def test_back_on_another_day_nothing_of_the_day_before_counts():
    stage = Stage()
    stage.bar(0, 1), stage.bar(1, -1)
    stage.bench()
    stage.take_back(OPEN + 24 * 60 * MINUTE)
    standing = stage.machine.standing()
    assert (standing.today, standing.day) == (0, DAY.replace(day=DAY.day + 1))


def test_a_pause_of_the_operator_outlasts_it():
    stage = Stage()
    stage.say(SetTradingState(TradingState.REDUCING, "paused by the operator", "one"))
    stage.bench()
    stage.take_back()
    assert stage.may() is TradingState.REDUCING
    stage.say(SetTradingState(TradingState.ACTIVE, "resumed by the operator", "one"))
    assert stage.may() is TradingState.ACTIVE


def test_one_at_work_takes_no_notice():
    stage = Stage()
    stage.bar(0, 1)
    before = stage.runtime.actor(PATH)
    stage.take_back()
    assert stage.runtime.actor(PATH) is before
    assert stage.machine.explain()["phase"] == "DOWN"
    assert not [one for one in stage.heard if isinstance(one, ActorReinstated)]


@pytest.mark.parametrize("hook", ["rejoin", "on_start"])
def test_one_that_fails_over_it_is_benched_again(monkeypatch, hook):
    stage = Stage()
    stage.bench()

    def fail(*_):
        raise LookupError("planted")

    monkeypatch.setattr(StrategyActor, hook, fail)
    stage.take_back()
    assert stage.stats.benched
    assert stage.may() is TradingState.REDUCING
    stage.bar(0, 1)
    monkeypatch.undo()
    stage.take_back()
    assert not stage.stats.benched
    assert stage.may() is TradingState.ACTIVE
