"""What an observer sees of the threaded stage, and that the observed do not notice."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import msgspec
import pytest
from live_cast import QUICK, SLEEP, Diary, Sleeper, wait_for

from sos_actors.messages import FeedStatus, MinuteClosed, Tick
from sos_actors.runtime import Actor, ClockSettings, LiveRuntime, RuntimeSettings, WallTime, handles


@pytest.fixture
def runtime():
    made = LiveRuntime(QUICK)
    yield made
    made.close()


def start(runtime: LiveRuntime) -> None:
    runtime.start_wall(WallTime.starting(ClockSettings()))


def test_every_actor_says_what_it_holds_in_its_own_thread(runtime):
    runtime.spawn(Diary, "diary", [])
    runtime.spawn(Diary, "strategy/x", [], group="strategies")
    start(runtime)
    wait_for(lambda: {"diary", "strategy/x", "clock"} <= set(runtime.snapshots))
    assert runtime.snapshots["diary"] == {"lines": 0, "thread": "sos-core"}
    assert runtime.snapshots["strategy/x"]["thread"] == "sos-strategies"
    runtime.tell("diary", MinuteClosed(1))
    wait_for(lambda: runtime.snapshots["diary"]["lines"] == 1)


def test_a_snapshot_on_request_under_load(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    start(runtime)
    stopping = threading.Event()

    def load() -> None:
        while not stopping.is_set():
            for n in range(50):
                runtime.tell("diary", MinuteClosed(n))
            time.sleep(0.002)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        wait_for(lambda: len(lines) > 100)
        seen = [runtime.snapshot("diary", timeout=20)["lines"] for _ in range(20)]
        assert seen == sorted(seen)
        wait_for(lambda: runtime.snapshot("diary", timeout=20)["lines"] > seen[-1])
        assert runtime.snapshot("diary", timeout=20)["thread"] == "sos-core"
    finally:
        stopping.set()
        thread.join()


def test_a_snapshot_of_a_busy_actor_times_out_and_of_an_unknown_one_is_an_error(runtime):
    gate = threading.Event()
    runtime.spawn(Sleeper, "a", gate, [])
    runtime.tell("a", SLEEP)
    with pytest.raises(TimeoutError, match="'core' is busy"):
        runtime.snapshot("a", timeout=0.05)
    gate.set()
    with pytest.raises(KeyError):
        runtime.snapshot("nobody")


def test_a_mistake_in_inspect_harms_nobody(runtime):
    class Shy(Actor):
        def inspect(self) -> dict[str, Any]:
            raise ValueError("no")

    runtime.spawn(Shy, "shy")
    assert runtime.snapshot("shy", timeout=20) == {"inspect_failed": "ValueError('no')"}
    assert runtime.stats()[-1].failures == 0


def test_observing_is_no_message(runtime):
    recorded: list = []
    watched = LiveRuntime(QUICK, recorder=lambda heard: recorded.append((heard[2].actor.path, heard[3])))
    try:
        watched.spawn(Diary, "diary", [])
        watched.settle()
        recorded.clear()
        handled = {one.path: one.handled for one in watched.stats()}
        start(watched)
        for _ in range(20):
            watched.snapshot("diary", timeout=20)
        wait_for(lambda: "diary" in watched.snapshots)
        assert recorded == []
        assert {one.path: one.handled for one in watched.stats()} == handled
    finally:
        watched.close()


def test_the_recorder_hears_every_delivery_in_order_before_it_is_made():
    recorded: list = []
    lines: list = []
    runtime = LiveRuntime(
        QUICK,
        recorder=lambda heard: recorded.append(
            (heard[1], heard[0], heard[2].actor.path, type(heard[3]).__name__, heard[4], len(lines))
        ),
    )
    try:
        runtime.spawn(Diary, "diary", lines)
        start(runtime)
        for n in range(50):
            runtime.tell("diary", MinuteClosed(n))
        wait_for(lambda: len(lines) == 50)
        mine = [one for one in recorded if one[2:4] == ("diary", "MinuteClosed")]
        assert [one[5] for one in mine] == list(range(50))
        assert [one[4] for one in mine] == [now for now, _ in lines]  # the very time the handler saw
        numbers = [one[1] for one in mine]
        assert numbers == sorted(set(numbers))
    finally:
        runtime.close()


# -- figures ---------------------------------------------------------------------------------------------------


def test_the_tree_says_how_everybody_is(runtime):
    gate = threading.Event()
    runtime.spawn(Diary, "diary", [])
    runtime.spawn(Sleeper, "slow", gate, [], group="slow")
    start(runtime)
    for n in range(500):
        runtime.tell("diary", MinuteClosed(n))
    runtime.tell("slow", SLEEP)
    for _ in range(3):
        runtime.tell("slow", SLEEP)
    wait_for(lambda: any(one["handling_s"] > 0.1 for one in runtime.tree()["actors"]))
    tree = runtime.tree()
    gate.set()
    msgspec.json.encode(tree)  # plain data
    actors = {one["path"]: one for one in tree["actors"]}
    assert list(actors) == ["clock", "diary", "slow"]
    assert (actors["slow"]["state"], actors["diary"]["state"]) == ("handling", "waiting")
    assert actors["slow"]["depth"] >= 3
    assert actors["diary"]["handled"] == 501
    assert actors["diary"]["handle_p50_ns"] <= actors["diary"]["handle_p99_ns"] <= actors["diary"]["handle_max_ns"]
    assert 0 <= actors["diary"]["age_s"] < 60
    assert actors["diary"]["busy_s"] > 0
    groups = {one["group"]: one for one in tree["groups"]}
    assert groups["slow"]["handling"] == "slow"
    assert groups["slow"]["high_water"] >= 3
    wait_for(lambda: {a["path"]: a["rate"] for a in runtime.tree()["actors"]}["clock"] is not None)


def test_rates_are_of_the_last_second(runtime):
    runtime.spawn(Diary, "diary", [])
    start(runtime)
    for n in range(1_000):
        runtime.tell("diary", MinuteClosed(n))
    wait_for(lambda: runtime.driver.rates.get("diary", 0) > 0)
    wait_for(lambda: runtime.driver.rates["diary"] == 0)


def test_the_tree_answers_quickly_for_a_large_cast_under_load():
    runtime = LiveRuntime(RuntimeSettings(snapshot_s=0))
    try:
        for n in range(250):
            runtime.spawn(Diary, f"bar/{n}", [])
        start(runtime)
        stopping = threading.Event()

        def load() -> None:
            while not stopping.is_set():
                runtime.publish(MinuteClosed(1))
                time.sleep(0.02)

        thread = threading.Thread(target=load)
        thread.start()
        took = []
        for _ in range(10):
            began = time.thread_time()
            assert len(runtime.tree()["actors"]) == 251
            took.append(time.thread_time() - began)
        stopping.set()
        thread.join()
        assert min(took) < 0.1  # of processor time: the machine may be busy with other things
    finally:
        runtime.close()


class Decider(Actor):
    """Turns every second tick into what a later stage hears, in another group."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribe(Tick, "I")

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        if message.price > 1:
            time.sleep(0.02)
            self.publish(FeedStatus("u", 0, True), "orders")


class Sender(Actor):
    def __init__(self) -> None:
        super().__init__()
        self.subscribe(FeedStatus, "orders")

    @handles(FeedStatus)
    def on_status(self, _message: FeedStatus) -> None:
        time.sleep(0.02)
        self.runtime.reached("written")


@pytest.mark.parametrize("speed", [1.0, 50.0])
def test_a_latency_counts_from_the_receipt_of_the_tick_that_caused_it(speed):
    runtime = LiveRuntime(RuntimeSettings(stages={"Tick": "taken", "FeedStatus": "order"}))
    try:
        runtime.spawn(Decider, "decider")
        runtime.spawn(Sender, "sender", group="edge")
        wall = WallTime.starting(ClockSettings(speed=speed))
        runtime.start_wall(wall)
        received = wall.at(time.monotonic_ns() - 30_000_000)
        runtime.publish(Tick("I", received, received, 1.0), "I")
        runtime.publish(Tick("I", received, received, 2.0), "I")
        wait_for(lambda: "written" in runtime.tree()["stages"])
        stages = runtime.tree()["stages"]
        assert [stages[name]["count"] for name in ("taken", "order", "written")] == [2, 1, 1]
        assert stages["taken"]["p50"] >= 30e6 * 0.98
        assert stages["taken"]["max"] + 20e6 <= stages["order"]["max"] + 1e6
        assert stages["order"]["max"] + 20e6 <= stages["written"]["max"]
    finally:
        runtime.close()


def test_nothing_is_measured_when_it_is_switched_off():
    runtime = LiveRuntime(RuntimeSettings(measure=False))
    try:
        runtime.spawn(Decider, "decider")
        start(runtime)
        runtime.publish(Tick("I", 1, 1, 1.0), "I")
        runtime.settle()
        (one,) = [a for a in runtime.tree()["actors"] if a["path"] == "decider"]
        assert (one["handled"], one["handle_p50_ns"], one["wait_p99_ns"]) == (2, None, None)
        assert runtime.tree()["stages"] == {}
    finally:
        runtime.close()


def test_the_counters_are_read_while_the_cast_grows():
    """A collection of garbage may begin at any new object, and let another thread spawn: here the collector does."""
    runtime = LiveRuntime(QUICK)
    for n in range(200):
        runtime.spawn(Diary, f"diary/{n}", [])
    before, left = gc.get_threshold(), list(range(3))

    def spawn(phase, _):
        if phase == "start" and left:
            runtime.spawn(Diary, f"late/{left.pop()}", [])

    gc.collect()
    gc.callbacks.append(spawn)
    gc.set_threshold(10)
    try:
        assert len(runtime.stats()) >= 201
        assert len(runtime.members()) >= 201
    finally:
        gc.callbacks.remove(spawn)
        gc.set_threshold(*before)
        runtime.stop()
    assert not left
