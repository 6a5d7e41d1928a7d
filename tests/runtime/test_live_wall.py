"""The live stage on wall time: timers, sessions under way, one time a delivery, the end."""

from __future__ import annotations

import datetime as dt
import threading
import time

import pytest
from live_cast import DIE, MINUTE, QUICK, SECOND, Diary, Sleeper, wait_for

from sos_actors.errors import InputError
from sos_actors.messages import ClockStepped, FeedStatus, MinuteClosed, Phase, SessionPhase, Stage
from sos_actors.runtime import Actor, EscalatedError, LiveRuntime, Session, WallTime, handles
from sos_actors.runtime.driver import Driver
from sos_actors.runtime.live import PLAIN
from sos_actors.runtime.supervision import VITAL

DAY = dt.date(2026, 11, 20)
OPEN = 1_795_146_300_000_000_000  # 09:15 IST
CLOSE = OPEN + 385 * MINUTE
TODAY = Session(DAY, OPEN, CLOSE)


@pytest.fixture
def runtime():
    made = LiveRuntime(QUICK)
    yield made
    made.close()


def wall_from(shown: int, speed: float = 1.0) -> WallTime:
    return WallTime(time.monotonic_ns(), shown, speed, True)


def told(lines: list) -> list[str]:
    return [m.phase.value if isinstance(m, SessionPhase) else str((m.ts - OPEN) // MINUTE) for _, m in lines]


def test_timers_fire_when_they_are_due_in_their_order(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    diary = runtime.actor("diary")
    runtime.start_wall(wall_from(OPEN, speed=10))
    now = runtime.clock.now
    for at, name in ((3, "c"), (1, "a"), (2, "b"), (2, "b2")):
        runtime.clock.schedule(now + at * SECOND, Stage.TIMER, diary, FeedStatus(name, at, True))
    gone = runtime.clock.schedule(now + SECOND, Stage.TIMER, diary, FeedStatus("never", 0, True))
    runtime.clock.cancel(gone)
    wait_for(lambda: len(lines) == 4)
    assert [m.underlying for _, m in lines] == ["a", "b", "b2", "c"]
    assert all(at >= now + m.ts * SECOND for at, m in lines)


def test_timers_may_be_set_and_taken_back_by_any_thread(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    diary = runtime.actor("diary")
    runtime.start_wall(wall_from(OPEN))

    def setter(n: int) -> None:
        for k in range(200):
            runtime.clock.schedule(runtime.clock.now + k * 1000, Stage.TIMER, diary, FeedStatus(f"{n}", k, True))
            runtime.clock.cancel(
                runtime.clock.schedule(runtime.clock.now + SECOND, Stage.TIMER, diary, FeedStatus("never", k, True))
            )

    threads = [threading.Thread(target=setter, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(lines) == 800)
    time.sleep(1.1)
    assert len(lines) == 800


def test_a_start_in_the_middle_of_a_session_tells_its_phases_and_no_past_minute(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    start = OPEN + 108 * MINUTE + 57 * SECOND
    runtime.start_wall(wall_from(start, speed=20))
    runtime.clock.follow([TODAY], SECOND)
    wait_for(lambda: len(lines) >= 4)
    assert told(lines)[:4] == ["PRE_OPEN", "OPEN", "109", "110"]
    for now, message in lines[2:4]:
        assert now >= message.ts + SECOND  # the grace is over


def test_a_start_within_the_grace_still_closes_the_minute_before(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    runtime.clock.follow([TODAY], 30 * SECOND)
    runtime.start_wall(wall_from(OPEN + 5 * MINUTE + 5 * SECOND, speed=60))
    # What was followed before wall time began is told just the same.
    wait_for(lambda: len(lines) >= 3)
    assert told(lines)[:3] == ["PRE_OPEN", "OPEN", "5"]


def test_past_minutes_are_told_when_that_is_asked_for(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    runtime.start_wall(wall_from(OPEN + 30 * MINUTE + 30 * SECOND), catch_up=True)
    runtime.clock.follow([TODAY], SECOND)
    wait_for(lambda: len(lines) >= 32)
    assert told(lines) == ["PRE_OPEN", "OPEN", *(str(n) for n in range(1, 31))]


def test_the_last_minute_then_the_close_then_the_next_session(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    later = Session(DAY, CLOSE + 2 * MINUTE, CLOSE + 3 * MINUTE, first=False)
    runtime.start_wall(wall_from(CLOSE - 30 * SECOND, speed=200))
    runtime.clock.follow([Session(DAY, OPEN, CLOSE, last=False), later], SECOND)
    wait_for(lambda: len(lines) >= 7)
    assert told(lines) == ["PRE_OPEN", "OPEN", "385", "BREAK", "OPEN", "388", "CLOSED"]


def test_a_session_that_is_over_is_told_in_its_phases_alone(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    runtime.start_wall(wall_from(CLOSE + MINUTE))
    runtime.clock.follow([TODAY], SECOND)
    wait_for(lambda: len(lines) >= 3)
    assert told(lines) == ["PRE_OPEN", "OPEN", "CLOSED"]


def test_minutes_come_though_nobody_listened_to_those_before(runtime):
    runtime.start_wall(wall_from(OPEN + 50 * SECOND, speed=300))
    runtime.clock.follow([TODAY], SECOND)
    wait_for(lambda: runtime.clock.now > OPEN + 5 * MINUTE)
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    wait_for(lines.__len__)
    assert int(told(lines)[0]) >= 5


def test_history_first_then_wall_time_goes_on_from_the_same_timers(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    yesterday = Session(DAY - dt.timedelta(days=1), OPEN - 1440 * MINUTE, OPEN - 1438 * MINUTE)
    runtime.clock.follow([yesterday, TODAY], SECOND)
    here = OPEN + 3 * MINUTE + 30 * SECOND
    runtime.run(until=here)
    assert told(lines)[:5] == ["PRE_OPEN", "OPEN", "-1439", "-1438", "CLOSED"]
    assert told(lines)[5:] == ["PRE_OPEN", "OPEN", "1", "2", "3"]
    assert runtime.clock.now == here
    runtime.start_wall(wall_from(here, speed=60))
    wait_for(lambda: len(lines) >= 12)
    assert told(lines)[10:12] == ["4", "5"]


def test_wall_time_before_the_end_of_the_history_is_refused(runtime):
    runtime.run(until=OPEN)
    with pytest.raises(InputError, match=r"clock\.start"):
        runtime.start_wall(wall_from(OPEN - MINUTE))


class TwoReadings(Actor):
    """Reads the clock twice with real time between."""

    def __init__(self, readings: list) -> None:
        super().__init__()
        self.readings = readings

    @handles(MinuteClosed)
    def on_minute(self, _message: MinuteClosed) -> None:
        first = self.clock.now
        time.sleep(0.01)
        self.readings.append((first, self.clock.now, self.runtime.clock.now))


@pytest.mark.parametrize("measure", [True, False])
def test_a_delivery_has_one_time(measure):
    runtime = LiveRuntime(QUICK if measure else PLAIN)
    readings: list = []
    try:
        runtime.spawn(TwoReadings, "b", readings)
        runtime.start_wall(wall_from(OPEN))
        for _ in range(5):
            runtime.tell("b", MinuteClosed(1))
        wait_for(lambda: len(readings) == 5)
        assert all(one == two == three for one, two, three in readings)
        starts = [one for one, _, _ in readings]
        assert starts == sorted(set(starts))
    finally:
        runtime.close()


def test_a_step_of_the_systems_clock_is_told_and_time_never_goes_back(runtime):
    told_of: list = []

    class Listener(Actor):
        def __init__(self) -> None:
            super().__init__()
            self.subscribe(ClockStepped)

        @handles(ClockStepped)
        def on_step(self, message: ClockStepped) -> None:
            told_of.append(message)

    runtime.spawn(Listener, "listener")
    system = [OPEN]
    wall = WallTime(time.monotonic_ns(), OPEN)
    runtime.live_clock.go_live(wall, catch_up=False)
    runtime.driver = Driver(runtime, SECOND, lambda: system[0] + time.monotonic_ns())
    runtime.driver.start()
    system[0] += 5 * SECOND
    wait_for(told_of.__len__)
    assert abs(told_of[0].by - 5 * SECOND) < SECOND
    assert told_of[0].followed
    assert runtime.clock.now >= wall.now() + 4 * SECOND
    before = runtime.clock.now
    system[0] -= 60 * SECOND
    wait_for(lambda: len(told_of) == 2)
    assert not told_of[1].followed
    assert runtime.clock.now > before


# -- serving ---------------------------------------------------------------------------------------------------


def test_serve_ends_when_it_is_asked_to(runtime):
    runtime.start_wall(wall_from(OPEN))
    until = threading.Event()
    threading.Timer(0.1, until.set).start()
    runtime.serve(until)


def test_the_crash_of_a_vital_actor_ends_serve(runtime):
    runtime.spawn(Sleeper, "orders", threading.Event(), [], policy=VITAL, group="g")
    runtime.start_wall(wall_from(OPEN))
    threading.Timer(0.05, runtime.tell, ("orders", DIE)).start()
    with pytest.raises(EscalatedError, match="orders failed on FeedStatus"):
        runtime.serve(threading.Event())


def test_the_end_of_the_clocks_own_thread_ends_serve(runtime):
    runtime.start_wall(wall_from(OPEN))

    def broken(_: object) -> None:
        raise RuntimeError("broken timer")

    runtime.live_clock.mark(OPEN, broken)
    with pytest.raises(EscalatedError, match="broken timer"):
        runtime.serve(threading.Event())


def test_a_session_opens_on_time(runtime):
    lines: list = []
    runtime.spawn(Diary, "diary", lines)
    runtime.start_wall(wall_from(OPEN - 2 * MINUTE, speed=240))
    runtime.clock.follow([TODAY], SECOND)
    wait_for(lambda: len(lines) >= 3)
    assert told(lines)[:3] == ["PRE_OPEN", "OPEN", "1"]
    assert [m.phase for _, m in lines[:2]] == [Phase.PRE_OPEN, Phase.OPEN]
    assert lines[0][0] >= OPEN - MINUTE
    assert lines[1][0] >= OPEN
