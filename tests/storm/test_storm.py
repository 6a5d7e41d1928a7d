"""The promises hold in every storm, and the storm finds bugs that break them."""

import pytest
from loguru import logger
from storm_mutations import MUTATIONS

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.storm import runner
from sos_actors.storm.faults import Fault
from sos_actors.storm.session import span

HOURS, RATE = 0.75, 60.0
SEEDS = 60


@pytest.fixture(autouse=True)
def quiet():
    logger.disable("sos_actors")
    yield
    logger.enable("sos_actors")


def test_the_same_seed_is_the_same_session():
    first, second = (list(runner.run([5], HOURS, RATE)) for _ in range(2))
    assert first == second
    assert first[0].executions > 10


def test_promises_hold_in_every_storm():
    figures = runner.Figures()
    for result in runner.run(range(SEEDS), HOURS, RATE):
        figures.add(result, HOURS)
        assert not result.violations, runner.shrink(result.seed, HOURS, RATE, result)
    assert figures.executions > 10 * SEEDS
    assert figures.deaths > SEEDS


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
    for result in runner.run(range(200), HOURS, RATE):
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
