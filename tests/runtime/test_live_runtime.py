"""The threaded stage: isolation, quiet, orderly end."""

from __future__ import annotations

import threading
import time

import pytest

from sos_actors.messages import FeedStatus, MinuteClosed, Stage
from sos_actors.runtime import Actor, LiveRuntime, handles
from sos_actors.runtime.base import EscalatedError
from sos_actors.runtime.supervision import VITAL


class Ring(Actor):
    """Passes a number on to the next group until it is used up."""

    def __init__(self, key: str, following: str, seen: list) -> None:
        super().__init__()
        self.seen = seen
        self.next = self.topic(MinuteClosed, following)
        self.subscribe(MinuteClosed, key)

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        if message.ts < 0:
            raise ValueError("negative")
        self.seen.append((threading.current_thread().name, message.ts))
        if message.ts:
            self.next.publish(MinuteClosed(message.ts - 1))


@pytest.fixture
def runtime():
    made = LiveRuntime(stop_timeout_s=1)
    yield made
    made.close()


def test_settle_waits_for_work_that_wanders_between_groups(runtime):
    seen: list[tuple[str, int]] = []
    for n in range(4):
        runtime.spawn(Ring, f"ring{n}", str(n), str((n + 1) % 4), seen, group=f"g{n}")
    for _ in range(20):
        del seen[:]
        runtime.publish(MinuteClosed(200), "0")
        runtime.settle()
        assert len(seen) == 201
    assert {name for name, _ in seen} == {"sos-g0", "sos-g1", "sos-g2", "sos-g3"}


def test_one_group_is_one_ordered_thread(runtime):
    seen: list[tuple[str, int]] = []
    runtime.spawn(Ring, "a", "a", "nobody", seen, group="one")
    for n in range(1000):
        runtime.publish(MinuteClosed(n), "a")
    runtime.settle()
    assert [n for _, n in seen] == list(range(1000))


def test_a_failing_actor_is_restarted_and_its_mail_kept(runtime):
    seen: list[tuple[str, int]] = []
    runtime.spawn(Ring, "a", "a", "nobody", seen)
    for n in (1, -1, 2):
        runtime.publish(MinuteClosed(n), "a")
    runtime.settle()
    assert [n for _, n in seen] == [1, 2]
    assert runtime.dead_letters.counts["a", "MinuteClosed", "raised"] == 1


def test_system_exit_in_one_actor_does_not_end_its_neighbours(runtime):
    class Quitter(Actor):
        @handles(MinuteClosed)
        def on_minute(self, _message: MinuteClosed) -> None:
            raise SystemExit(3)

    seen: list[tuple[str, int]] = []
    runtime.spawn(Quitter, "q")
    runtime.spawn(Ring, "a", "a", "nobody", seen)
    runtime.tell("q", MinuteClosed(1))
    runtime.publish(MinuteClosed(1), "a")
    with pytest.raises(EscalatedError, match="q: SystemExit"):
        runtime.settle()
    assert [n for _, n in seen] == [1]


def test_vital_failure_reaches_the_main_thread(runtime):
    runtime.spawn(Ring, "orders", "a", "nobody", [], policy=VITAL)
    runtime.publish(MinuteClosed(-1), "a")
    with pytest.raises(EscalatedError, match="orders"):
        runtime.settle()


def test_simulated_time_on_threads_waits_for_quiet(runtime):
    seen: list[tuple[str, int]] = []
    for n in range(3):
        runtime.spawn(Ring, f"ring{n}", str(n), str((n + 1) % 3), seen, group=f"g{n}")

    class Starter(Actor):
        @handles(FeedStatus)
        def on_status(self, message: FeedStatus) -> None:
            seen.append(("mark", message.ts))
            self.publish(MinuteClosed(5), "0")

    runtime.spawn(Starter, "starter", group="edge")
    for at in (10, 20, 30):
        runtime.clock.schedule(at, Stage.TIMER, runtime.actor("starter"), FeedStatus("", at, True))
    runtime.run()
    numbers = [n if name != "mark" else f"at {n}" for name, n in seen]
    assert numbers == [x for at in (10, 20, 30) for x in (f"at {at}", 5, 4, 3, 2, 1, 0)]


def test_ask_and_stop_from_another_thread(runtime):
    ref = runtime.spawn(Ring, "a", "a", "nobody", [])
    assert ref.proxy().path.get(timeout=1) == "a"
    assert ref.stop(timeout=1)


def test_close_leaves_a_hanging_group_behind_and_returns():
    runtime = LiveRuntime(stop_timeout_s=0.05)
    release = threading.Event()

    class Hanging(Actor):
        @handles(MinuteClosed)
        def on_minute(self, _message: MinuteClosed) -> None:
            release.wait(5)

    runtime.spawn(Hanging, "h", group="slow")
    runtime.tell("h", MinuteClosed(1))
    began = time.monotonic()
    runtime.close()
    assert time.monotonic() - began < 2
    release.set()
