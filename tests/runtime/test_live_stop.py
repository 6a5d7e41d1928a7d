"""An orderly stop: who goes first, what is still worked off, and that it ends in time."""

from __future__ import annotations

import threading
import time

from live_cast import QUICK, SLEEP, Diary, Sleeper, wait_for
from msgspec.structs import replace

from sos_actors.messages import FeedStatus, MinuteClosed, Stage
from sos_actors.runtime import Actor, ClockSettings, LiveRuntime, WallTime, handles


class Stopper(Actor):
    """Says when it stops, and on which thread; an edge also sends something as it goes."""

    def __init__(self, lines: list, farewell: str = "") -> None:
        super().__init__()
        self.lines, self.farewell = lines, farewell

    @handles(FeedStatus)
    def on_status(self, message: FeedStatus) -> None:
        self.lines.append(message.underlying)

    def on_stop(self) -> None:
        self.lines.append((self.path, threading.current_thread().name))
        if self.farewell:
            self.runtime.tell(self.farewell, FeedStatus(f"last word of {self.path}", 0, False))


def test_edges_stop_first_their_last_words_are_heard_then_the_rest_backwards():
    runtime = LiveRuntime(QUICK)
    lines: list = []
    runtime.spawn(Stopper, "feed", lines, "orders", group="feed")
    runtime.spawn(Stopper, "bars", lines)
    runtime.spawn(Stopper, "strategy/x", lines, group="strategies")
    runtime.spawn(Stopper, "orders", lines)
    runtime.start_wall(WallTime.starting(ClockSettings()))
    assert runtime.stop() == ()
    assert lines == [
        ("feed", "sos-feed"),
        "last word of feed",
        ("orders", "sos-core"),
        ("strategy/x", "sos-strategies"),
        ("bars", "sos-core"),
    ]
    assert all(not group.worker.thread.is_alive() for group in runtime.groups())


def test_no_timer_fires_after_the_stop_began():
    runtime = LiveRuntime(QUICK)
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    runtime.start_wall(WallTime.starting(ClockSettings()))
    runtime.clock.schedule(
        runtime.clock.now + 300_000_000, Stage.TIMER, runtime.actor("diary"), FeedStatus("u", 0, True)
    )
    runtime.stop()
    time.sleep(0.5)
    assert lines == []


def test_what_is_under_way_is_worked_off():
    runtime = LiveRuntime(QUICK)
    lines: list = []
    runtime.spawn(Sleeper, "a", threading.Event(), lines)
    for n in range(20_000):
        runtime.publish(MinuteClosed(n), "a")
    assert runtime.stop() == ()
    assert lines == list(range(20_000))


def test_a_stuck_actor_is_named_and_left_behind_in_time():
    runtime = LiveRuntime(replace(QUICK, group_stop_s=0.3, stop_s=3))
    gate, lines = threading.Event(), []
    runtime.spawn(Stopper, "before", lines, group="good")
    runtime.spawn(Sleeper, "stuck/1", gate, [], group="bad")
    runtime.spawn(Sleeper, "stuck/2", gate, [], group="bad")
    runtime.spawn(Stopper, "after", lines, group="good")
    bad = runtime.dispatcher_for("bad")
    runtime.tell("stuck/1", SLEEP)
    wait_for(lambda: bad.worker.entry is not None and bad.depth() == 0)
    began = time.monotonic()
    left = runtime.stop()
    took = time.monotonic() - began
    gate.set()
    assert left == ("stuck/2", "stuck/1", "group bad")
    assert [path for path, _ in lines] == ["after", "before"]
    assert took < 3 + 2  # the bound, and what a slow machine adds
    assert runtime.stop() is not None  # a second stop does no harm


def test_a_crashed_process_is_not_kept_alive_by_a_thread():
    runtime = LiveRuntime(QUICK)
    runtime.start_wall(WallTime.starting(ClockSettings()))
    assert all(group.worker.thread.daemon for group in runtime.groups())
    assert runtime.driver is not None
    assert runtime.driver.thread.daemon
    runtime.close()
