"""The promises hold in every storm, and the storm finds bugs that break them."""

from collections import Counter

import pytest
from loguru import logger
from storm_mutations import BEGIN, MUTATIONS

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.messages import ExitReason
from sos_actors.storm import runner
from sos_actors.storm.faults import Fault
from sos_actors.storm.session import REAL_EVERY, span
from sos_actors.trading.flow import TradeFlow

HOURS, RATE = 0.75, 60.0
SEEDS = 200
#: Seeds of one test, so that several processes share them.
PART = 25


@pytest.fixture(autouse=True)
def quiet():
    logger.disable("sos_actors")
    yield
    logger.enable("sos_actors")


def test_the_same_seed_is_the_same_session():
    first, second = (list(runner.run([5], HOURS, RATE)) for _ in range(2))
    assert first == second
    assert first[0].executions > 10


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_promises_hold_in_every_storm(first):
    figures = runner.Figures()
    for result in runner.run(range(first, first + PART), HOURS, RATE):
        figures.add(result, HOURS)
        assert not result.violations, runner.shrink(result.seed, HOURS, RATE, result)
    assert figures.executions > 10 * PART
    assert figures.deaths > PART


def test_real_strategies_trade_and_turn_from_side_to_side_in_the_storm(monkeypatch):
    closed = Counter()
    real = TradeFlow.finish

    def finish(self, trade, ts, *detail):
        if trade.opened and trade.intent_id in self.live:
            closed[trade.plan.strategy, trade.closed_by] += 1
        return real(self, trade, ts, *detail)

    monkeypatch.setattr(TradeFlow, "finish", finish)
    seeds = range(REAL_EVERY - 1, 6 * REAL_EVERY, REAL_EVERY)
    results = list(runner.run(seeds, HOURS, RATE))
    assert not [result.violations for result in results if result.violations]
    assert sum(result.struck.get("strategy_crash", 0) for result in results) > 5
    assert sum(result.deaths for result in results) > 5
    assert {strategy for strategy, _ in closed} == {"turning", "strong", "weak"}
    assert closed["turning", ExitReason.FLIP]


def test_a_broker_that_refuses_every_stop_gets_the_position_closed():
    start, _ = span(HOURS)
    for seed in range(6):
        result = runner.play(seed, HOURS, (Fault(start, "stops_refused", 1_800.0),))
        assert not result.violations
        assert result.executions > 4


@pytest.mark.parametrize(("seed", "first"), [(1, 80), (3, 75)])
def test_it_may_die_between_any_two_messages_of_an_entry(seed, first):
    """What was kept and not yet said is said again: the wish for a larger stop, the end of what limits count."""
    start, _ = span(0.35)
    for number in range(first, first + 30):
        result = runner.play(seed, 0.35, (Fault(start + MINUTE_NS, "vital_crash", 10.0, number),))
        assert not result.violations, number
        assert result.deaths == 1


def test_a_halt_survives_the_power():
    start, _ = span(HOURS)
    halt, cut = start + 12 * MINUTE_NS, start + 12 * MINUTE_NS + 1_000_000_000
    for seed in range(12):
        faults = (Fault(halt, "account_halted"), Fault(cut, "power_lost", 20.0, 1))
        result = runner.play(seed, HOURS, faults)
        assert not result.violations
        assert result.deaths == 1


def test_each_slice_of_an_order_costs_brokerage():
    for result in runner.run(range(6), HOURS, 0.0):
        assert "money_equal" not in runner.kinds(result)
        assert result.executions


@pytest.mark.soak
def test_promises_hold_in_two_hundred_storms_of_a_whole_session():
    for result in runner.run(range(200), 6.0):
        assert not result.violations, runner.shrink(result.seed, 6.0, runner.PER_HOUR, result)


@pytest.mark.parametrize("bug", MUTATIONS, ids=lambda bug: bug.__name__)
def test_the_storm_finds(bug, monkeypatch):
    bug(monkeypatch)
    begin = BEGIN.get(bug, 0)
    for result in runner.run([*range(begin, 200), *range(begin)], HOURS, RATE):
        if result.violations:
            print(f"{bug.__name__}: {result.seed + 1} seed(s), {', '.join(sorted(runner.kinds(result)))}")
            return
    pytest.fail("200 storms did not find it")


def test_a_failing_storm_is_cut_down(monkeypatch):
    next(bug for bug in MUTATIONS if bug.__name__ == "lose_saved_states")(monkeypatch)
    result = next(one for one in runner.run(range(200), HOURS, RATE) if one.violations)
    failure = runner.shrink(result.seed, HOURS, RATE, result)
    assert 0 < len(failure.faults) < len(runner.faults_of(result.seed, HOURS, RATE))
    numbers = [number for number, _ in failure.faults]
    again = runner.faults_of(result.seed, HOURS, RATE, numbers)
    replayed = runner.play(result.seed, HOURS, tuple(again.values()))
    assert replayed.violations == failure.violations
    assert f"--seed {result.seed} " in failure.command
