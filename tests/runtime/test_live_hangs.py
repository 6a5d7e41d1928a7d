"""Hanging, crashing, coming and going on the threaded stage."""

from __future__ import annotations

import threading
import time

import pytest
from live_cast import DIE, QUICK, SLEEP, Diary, Sleeper, wait_for

from sos_actors.messages import ActorBenched, FeedStatus, MinuteClosed, Reinstate, Tick
from sos_actors.runtime import (
    Actor,
    ClockSettings,
    EscalatedError,
    LiveRuntime,
    RuntimeSettings,
    WallTime,
    group_of,
    handles,
)
from sos_actors.runtime.supervision import VITAL

PLAIN_QUICK = RuntimeSettings(
    scan_s=0.01, snapshot_s=0, budgets_s={"strategy": 0.3}, budget_s=0.6, stop_s=5, measure=False
)


def start(runtime: LiveRuntime) -> None:
    runtime.start_wall(WallTime.starting(ClockSettings()))


@pytest.fixture(params=[QUICK, PLAIN_QUICK], ids=["measured", "plain"])
def runtime(request):
    made = LiveRuntime(request.param)
    yield made
    made.close()


def test_a_hanging_strategy_is_benched_and_its_neighbours_go_on(runtime):
    gate, lines, diary = threading.Event(), [], []
    runtime.spawn(Diary, "diary", diary)
    runtime.spawn(Sleeper, "strategy/a", gate, lines, group="strategies")
    runtime.spawn(Sleeper, "strategy/b", gate, lines, group="strategies")
    given_up = runtime.dispatcher_for("strategies").worker.thread
    start(runtime)
    runtime.tell("strategy/a", SLEEP)
    for n in range(100):
        runtime.publish(MinuteClosed(n), "strategy/b")
    runtime.tell("strategy/a", FeedStatus("waits", 0, True))
    wait_for(lambda: len(lines) == 100)
    assert lines == list(range(100))
    benched = wait_for(lambda: [m for _, m in diary if isinstance(m, ActorBenched)])
    assert [m.path for m in benched] == ["strategy/a"]
    assert "strategy/a has been handling FeedStatus for" in benched[0].reason
    assert runtime.dead_letters.counts["strategy/a", "FeedStatus", "hung"] == 1
    wait_for(lambda: runtime.dead_letters.counts["strategy/a", "FeedStatus", "actor stopped"] == 1)
    stats = {one.path: one for one in runtime.stats()}
    assert stats["strategy/a"].benched
    assert not stats["strategy/b"].benched
    assert runtime.escalated is None
    # It wakes up: its thread ends, nothing it hears or had waiting is handled, and in its group all goes on.
    assert given_up.is_alive()
    gate.set()
    wait_for(lambda: not given_up.is_alive())
    runtime.publish(MinuteClosed(100), "strategy/b")
    wait_for(lambda: len([x for x in lines if isinstance(x, int)]) == 101)


def test_what_a_benched_actor_still_sends_reaches_nobody():
    runtime = LiveRuntime(QUICK)
    gate, lines, diary = threading.Event(), [], []
    try:
        runtime.spawn(Diary, "diary", diary)
        runtime.spawn(Sleeper, "strategy/a", gate, lines, group="strategies")
        start(runtime)
        runtime.tell("strategy/a", SLEEP)
        wait_for(lambda: any(isinstance(m, ActorBenched) for _, m in diary))
        gate.set()
        wait_for(lambda: runtime.dead_letters.counts["strategy/a", "FeedStatus", "sender was given up"] == 1)
        assert not any(isinstance(m, FeedStatus) for _, m in diary)
    finally:
        gate.set()
        runtime.close()


def test_a_thread_that_ends_as_it_is_given_up_does_its_successor_no_harm(runtime):
    gate, lines, successors = threading.Event(), [], []
    runtime.spawn(Sleeper, "strategy/a", gate, lines, group="strategies")
    runtime.spawn(Sleeper, "strategy/b", gate, lines, group="strategies")
    group = runtime.dispatcher_for("strategies")
    hanging, keep = group.worker.thread, runtime.dead_letters.add

    def end_first(letter):
        if letter.reason == "hung":
            gate.set()
            hanging.join(5.0)  # the system gives the number of a thread that has ended to the next one
        keep(letter)

    def replace(worker):
        type(group).replace(group, worker)
        successors.append(group.worker)

    runtime.dead_letters.add, group.replace = end_first, replace
    start(runtime)
    runtime.tell("strategy/a", SLEEP)
    wait_for(lambda: successors)
    runtime.publish(MinuteClosed(1), "strategy/b")
    wait_for(lambda: 1 in lines)
    time.sleep(0.1)
    assert runtime.escalated is None
    assert [group.worker] == successors
    assert successors[0].thread.is_alive()


def test_a_thread_that_never_leaves_python_is_given_up_too(runtime):
    class Spinner(Actor):
        @handles(MinuteClosed)
        def on_minute(self, _message: MinuteClosed) -> None:
            while True:
                pass

    lines: list = []
    runtime.spawn(Spinner, "strategy/spin", group="strategies")
    runtime.spawn(Sleeper, "strategy/b", threading.Event(), lines, group="strategies")
    start(runtime)
    spinning = runtime.dispatcher_for("strategies").worker.thread
    runtime.tell("strategy/spin", MinuteClosed(1))
    runtime.publish(MinuteClosed(2), "strategy/b")
    wait_for(lambda: lines == [2])
    wait_for(lambda: not spinning.is_alive())


def test_a_hanging_vital_actor_ends_serve(runtime):
    gate = threading.Event()
    runtime.spawn(Sleeper, "orders", gate, [], policy=VITAL)
    start(runtime)
    runtime.tell("orders", SLEEP)
    try:
        with pytest.raises(EscalatedError, match="orders has been handling FeedStatus for"):
            runtime.serve(threading.Event())
    finally:
        gate.set()


def test_many_quick_messages_are_no_hang(runtime):
    lines: list = []
    runtime.spawn(Sleeper, "strategy/a", threading.Event(), lines, group="strategies")
    start(runtime)
    end = time.monotonic() + 1.0
    sent = 0
    while time.monotonic() < end:
        for _ in range(100):
            runtime.publish(MinuteClosed(sent), "strategy/a")
            sent += 1
        time.sleep(0.001)
    wait_for(lambda: len(lines) == sent)
    assert not any(one.benched for one in runtime.stats())


def test_an_idle_group_is_no_hang(runtime):
    runtime.spawn(Sleeper, "strategy/a", threading.Event(), [], group="strategies")
    start(runtime)
    time.sleep(1.0)
    assert not any(one.benched for one in runtime.stats())
    assert runtime.escalated is None


def test_settle_works_across_a_given_up_thread(runtime):
    gate, lines = threading.Event(), []
    runtime.spawn(Sleeper, "strategy/a", gate, lines, group="strategies")
    start(runtime)
    runtime.tell("strategy/a", SLEEP)
    wait_for(lambda: runtime.stats()[-1].benched)
    for _ in range(3):
        assert runtime.settle(timeout_s=10)
    gate.set()
    assert runtime.settle(timeout_s=10)


def test_settle_gives_up_on_a_busy_group(runtime):
    gate = threading.Event()
    runtime.spawn(Sleeper, "a", gate, [])
    runtime.tell("a", SLEEP)
    assert not runtime.settle(timeout_s=0.1)
    gate.set()
    assert runtime.settle(timeout_s=10)


# -- supervision from any thread -------------------------------------------------------------------------------


class Comer(Actor):
    """Stands for a bar actor: hears the ticks of its instrument."""

    heard = 0

    def __init__(self, instrument: str) -> None:
        super().__init__()
        self.subscribe(Tick, instrument)

    @handles(Tick)
    def on_tick(self, _message: Tick) -> None:
        Comer.heard += 1


def test_actors_come_and_go_on_several_threads_while_others_publish(runtime):
    start(runtime)
    failures: list = []
    stopping = threading.Event()

    def come_and_go(mine: int) -> None:
        try:
            for n in range(60):
                ref = runtime.spawn(Comer, f"bar/{mine}/{n % 7}", f"I{n % 7}", group=f"g{n % 3}")
                ref.stop(block=True, timeout=20)
        except BaseException as error:  # noqa: BLE001 - to be seen in the main thread
            failures.append(error)

    def publish() -> None:
        n = 0
        while not stopping.is_set():
            runtime.publish(Tick(f"I{n % 7}", n, n, 1.0), f"I{n % 7}")
            n += 1
            time.sleep(0.0002)

    threads = [threading.Thread(target=come_and_go, args=(n,)) for n in range(3)]
    publisher = threading.Thread(target=publish)
    publisher.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stopping.set()
    publisher.join(10)
    assert not failures
    assert all(one.stopped for one in runtime.stats() if one.path.startswith("bar/"))
    assert all(not runtime.topic(Tick, f"I{n}").targets for n in range(7))


def test_subscribers_of_one_topic_on_many_threads_are_all_kept(runtime):
    def come(mine: int) -> None:
        for n in range(50):
            runtime.spawn(Comer, f"bar/{mine}/{n}", "I", group=f"g{mine}")

    threads = [threading.Thread(target=come, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(runtime.topic(Tick, "I").targets) == 200


def test_a_path_is_free_again_after_a_stop_or_a_bench(runtime):
    lines: list = []
    ref = runtime.spawn(Sleeper, "bar/x", threading.Event(), lines)
    with pytest.raises(ValueError, match="already"):
        runtime.spawn(Sleeper, "bar/x", threading.Event(), lines)
    ref.stop(block=True, timeout=10)
    again = runtime.spawn(Sleeper, "bar/x", threading.Event(), lines)
    again.tell(MinuteClosed(5))
    ref.tell(MinuteClosed(6))  # a reference is to the path
    runtime.settle()
    assert lines == [5, 6]
    for _ in range(4):
        again.tell(DIE)
    runtime.settle()
    assert not again.is_alive()
    runtime.spawn(Sleeper, "bar/x", threading.Event(), lines).tell(MinuteClosed(7))
    runtime.settle()
    assert lines == [5, 6, 7]


def test_the_first_escalation_is_the_one_that_is_told(runtime):
    for name in ("a", "b"):
        runtime.spawn(Sleeper, name, threading.Event(), [], policy=VITAL)
        runtime.tell(name, DIE)
    with pytest.raises(EscalatedError, match=r"^a failed"):
        runtime.settle()


def test_groups_by_configuration():
    groups = {"strategy": "own", "feed": "feed"}
    assert group_of(groups, "strategy/NIFTY/x") == "strategy/NIFTY/x"
    assert group_of(groups, "feed/1") == "feed"
    assert group_of(groups, "risk") == "core"
    settings = RuntimeSettings(budgets_s={"strategy": 2.0}, budget_s=9.0)
    assert (settings.budget_of("strategy/NIFTY/x"), settings.budget_of("risk")) == (2.0, 9.0)


@pytest.mark.parametrize("bad", [{"conflate_above": -1}, {"budget_s": -1.0}, {"scan_s": 0.0}, {"stop_s": 0.0}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match="runtime: write"):
        RuntimeSettings(**bad)


def test_one_that_hung_is_taken_back_and_what_came_meanwhile_is_gone(runtime):
    gate, lines, diary = threading.Event(), [], []
    runtime.spawn(Diary, "diary", diary)
    runtime.spawn(Sleeper, "strategy/a", gate, lines, group="strategies")
    start(runtime)
    runtime.tell("strategy/a", SLEEP)
    wait_for(lambda: [m for _, m in diary if isinstance(m, ActorBenched)])
    runtime.publish(MinuteClosed(1), "strategy/a")
    runtime.tell("strategy/a", Reinstate(0, "a test"))
    wait_for(lambda: not next(one for one in runtime.stats() if one.path == "strategy/a").benched)
    runtime.publish(MinuteClosed(2), "strategy/a")
    wait_for(lambda: 2 in lines)
    gate.set()
    wait_for(lambda: "strategy/a woke" in lines)
    assert [one for one in lines if isinstance(one, int)] == [2]
    runtime.tell("strategy/a", DIE)  # its failures count from none
    runtime.publish(MinuteClosed(3), "strategy/a")
    wait_for(lambda: 3 in lines)
    assert len([m for _, m in diary if isinstance(m, ActorBenched)]) == 1
