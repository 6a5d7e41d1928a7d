"""The simulated stage: order, failure, timers, Pykka's own calls."""

from __future__ import annotations

import datetime as dt

import pykka
import pytest

from sos_actors.messages import ActorBenched, ActorFailed, FeedStatus, MinuteClosed, SessionPhase, Stage, Terminated
from sos_actors.runtime import Actor, RestartPolicy, Session, SimRuntime, handles
from sos_actors.runtime.actor import UnhandledMessageError
from sos_actors.runtime.base import EscalatedError
from sos_actors.runtime.supervision import VITAL

MINUTE = 60_000_000_000


class Log(Actor):
    """Remembers what it heard; dies of a minute whose time is negative."""

    def __init__(self, lines: list, mark: str = "", echo: str | None = None) -> None:
        super().__init__()
        self.lines, self.mark, self.echo = lines, mark, echo
        self.subscribe(MinuteClosed)

    def on_start(self) -> None:
        self.lines.append(f"{self.mark}start")

    def on_stop(self) -> None:
        self.lines.append(f"{self.mark}stop")

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        if message.ts < 0:
            raise ValueError(f"bad minute {message.ts}")
        self.lines.append(f"{self.mark}{message.ts}")
        if self.echo and message.ts < 100:
            self.publish(FeedStatus(self.echo, message.ts, True))

    @handles(Terminated)
    def on_terminated(self, message: Terminated) -> None:
        self.lines.append(f"{self.mark}{message.path} {message.reason}")

    def count(self) -> int:
        return len(self.lines)


@pytest.fixture
def runtime():
    made = SimRuntime()
    yield made
    made.close()


def test_messages_are_delivered_breadth_first_in_the_order_of_subscription(runtime):
    lines: list[str] = []

    class Second(Actor):
        def __init__(self) -> None:
            super().__init__()
            self.subscribe(FeedStatus)

        @handles(FeedStatus)
        def on_status(self, message: FeedStatus) -> None:
            lines.append(f"status of {message.underlying}")

    runtime.spawn(Log, "a", lines, "a", "from-a")
    runtime.spawn(Log, "b", lines, "b", "from-b")
    runtime.spawn(Second, "c")
    runtime.publish(MinuteClosed(1))
    runtime.publish(MinuteClosed(2))
    runtime.drain()
    assert lines == [
        "astart", "bstart", "a1", "b1", "a2", "b2",
        "status of from-a", "status of from-b", "status of from-a", "status of from-b",
    ]  # fmt: skip


def test_mail_behind_a_crash_goes_to_the_restarted_actor_and_the_poison_is_kept(runtime):
    lines: list[str] = []
    ref = runtime.spawn(Log, "a", lines)
    runtime.drain()
    for ts in (1, -7, 2, 3):
        runtime.publish(MinuteClosed(ts))
    ref.tell(MinuteClosed(4))
    runtime.drain()
    assert lines == ["start", "1", "start", "2", "3", "4"]
    assert ref.is_alive(), "a reference is to the path, not to one life"
    (letter,) = runtime.dead_letters
    assert letter.message == MinuteClosed(-7)
    assert letter.reason == "raised"
    assert "bad minute -7" in letter.traceback
    stats = {s.path: s for s in runtime.stats()}["a"]
    assert (stats.failures, stats.benched, stats.handled) == (1, False, 6)  # start, 1, the poison, 2, 3, 4
    ref.tell(MinuteClosed(5))
    runtime.drain()
    assert lines[-1] == "5"


def test_restart_keeps_the_place_among_subscribers(runtime):
    lines: list[str] = []
    runtime.spawn(Log, "a", lines, "a")
    runtime.spawn(Log, "b", lines, "b")
    runtime.drain()
    runtime.ref("a").tell(MinuteClosed(-1))
    runtime.drain()
    del lines[:]
    runtime.publish(MinuteClosed(5))
    runtime.drain()
    assert lines == ["a5", "b5"]


def test_actor_that_fails_too_often_is_benched_alone(runtime):
    heard: list[object] = []

    class Observer(Actor):
        def __init__(self) -> None:
            super().__init__()
            self.subscribe(ActorFailed)
            self.subscribe(ActorBenched)

        @handles(ActorFailed, ActorBenched)
        def on_event(self, message: object) -> None:
            heard.append(message)

    lines: list[str] = []
    runtime.spawn(Log, "bad", lines, "x", policy=RestartPolicy(restarts=2, period_s=60))
    runtime.spawn(Log, "good", lines, "g")
    runtime.spawn(Observer, "observer")
    runtime.watch("good", "bad")
    for ts in (-1, -2, -3):
        runtime.tell("bad", MinuteClosed(ts))
    runtime.drain()
    runtime.tell("bad", MinuteClosed(9))
    runtime.publish(MinuteClosed(10))
    runtime.drain()
    assert "g10" in lines
    assert "x10" not in lines
    assert "gbad benched" in lines
    assert [type(m).__name__ for m in heard].count("ActorFailed") == 3
    assert [type(m).__name__ for m in heard].count("ActorBenched") == 1
    assert runtime.dead_letters.counts["bad", "MinuteClosed", "actor stopped"] == 1
    assert {s.path: s.benched for s in runtime.stats()}["bad"]


def test_failures_spread_over_time_are_forgiven(runtime):
    lines: list[str] = []
    runtime.spawn(Log, "a", lines, policy=RestartPolicy(restarts=1, period_s=60))
    for minute in range(5):
        runtime.clock.now = minute * 2 * MINUTE
        runtime.tell("a", MinuteClosed(-1))
        runtime.drain()
    assert {s.path: (s.failures, s.benched) for s in runtime.stats()}["a"] == (5, False)


def test_vital_actor_escalates(runtime):
    runtime.spawn(Log, "orders", [], policy=VITAL)
    runtime.tell("orders", MinuteClosed(-1))
    with pytest.raises(EscalatedError, match="orders failed on MinuteClosed"):
        runtime.drain()


def test_a_constructor_that_raises_on_restart_benches(runtime):
    lives: list[int] = []

    class Fragile(Log):
        def __init__(self) -> None:
            super().__init__([])
            lives.append(1)
            if len(lives) > 1:
                raise RuntimeError("no second life")

    runtime.spawn(Fragile, "a")
    runtime.tell("a", MinuteClosed(-1))
    runtime.tell("a", MinuteClosed(1))
    runtime.drain()
    assert {s.path: s.benched for s in runtime.stats()}["a"]


def test_unknown_message_raises_at_the_sender_when_strict_else_is_a_dead_letter(runtime):
    runtime.spawn(Log, "a", [])
    runtime.tell("a", FeedStatus("x", 1, True))
    assert runtime.dead_letters.counts["a", "FeedStatus", "no handler"] == 1
    strict = SimRuntime(strict=True)
    ref = strict.spawn(Log, "a", [])
    with pytest.raises(UnhandledMessageError, match="a does not handle FeedStatus"):
        ref.tell(FeedStatus("x", 1, True))
    with pytest.raises(UnhandledMessageError):
        strict.subscribe(strict.actor("a"), FeedStatus)
    strict.close()


def test_pykka_proxies_asks_and_registry_work(runtime):
    lines: list[str] = []
    ref = runtime.spawn(Log, "a", lines)
    assert ref.proxy().count().get() == 1
    assert ref.ask(MinuteClosed(1)) is None
    assert lines == ["start", "1"]
    with pytest.raises(ValueError, match="bad minute"):
        ref.ask(MinuteClosed(-1))
    assert ref.is_alive(), "an error in an ask goes to the asker"
    assert pykka.ActorRegistry.get_by_urn("a") is ref
    assert ref.stop()
    assert not ref.stop()
    assert pykka.ActorRegistry.get_by_urn("a") is None
    with pytest.raises(pykka.ActorDeadError):
        ref.ask(MinuteClosed(1))
    assert lines[-1] == "stop"


def test_stop_in_on_start_stops_and_tells_watchers(runtime):
    class Suicidal(Log):
        def on_start(self) -> None:
            self.stop()

    lines: list[str] = []
    runtime.spawn(Log, "watcher", lines)
    runtime.watch("watcher", "s")
    runtime.spawn(Suicidal, "s", [])
    runtime.tell("s", MinuteClosed(1))
    runtime.tell("s", MinuteClosed(2))
    runtime.drain()
    assert "s stopped" in lines
    assert not runtime.actor("s").actor_ref.is_alive()


def test_waiting_inside_a_handler_is_refused_and_not_a_deadlock(runtime):
    class Impatient(Log):
        @handles(MinuteClosed)
        def on_minute(self, message: MinuteClosed) -> None:
            self.runtime.ref("other").ask(message)

    runtime.spawn(Log, "other", [])
    runtime.spawn(Impatient, "a", [])
    runtime.tell("a", MinuteClosed(1))
    runtime.drain()
    assert any("may not wait" in letter.traceback for letter in runtime.dead_letters)


def test_an_actor_is_only_made_by_the_runtime(runtime):
    with pytest.raises(RuntimeError, match="spawn"):
        Log([])
    runtime.spawn(Log, "a", [])
    with pytest.raises(ValueError, match="there is an actor 'a' already"):
        runtime.spawn(Log, "a", [])


def test_timers_fire_by_time_stage_and_order_and_the_queue_drains_between(runtime):
    seen: list[tuple[int, int]] = []

    class Timed(Actor):
        @handles(MinuteClosed)
        def on_minute(self, message: MinuteClosed) -> None:
            seen.append((self.clock.now, message.ts))
            if message.ts == 1:
                self.actor_ref.tell(MinuteClosed(100))

    runtime.spawn(Timed, "t")
    actor = runtime.actor("t")
    schedule = runtime.clock.schedule
    schedule(20, Stage.TIMER, actor, MinuteClosed(4))
    schedule(10, Stage.MINUTE, actor, MinuteClosed(3))
    schedule(10, Stage.MATCH_OPEN, actor, MinuteClosed(1))
    schedule(10, Stage.MATCH_OPEN, actor, MinuteClosed(2))
    cancelled = schedule(15, Stage.TIMER, actor, MinuteClosed(99))
    runtime.clock.cancel(cancelled)
    runtime.clock.cancel(12345)
    runtime.run()
    assert seen == [(10, 1), (10, 100), (10, 2), (10, 3), (20, 4)]


def test_sessions_give_phases_and_minutes():
    runtime = SimRuntime()
    seen: list[str] = []

    class Diary(Actor):
        def __init__(self) -> None:
            super().__init__()
            self.subscribe(SessionPhase)
            self.subscribe(MinuteClosed)

        @handles(SessionPhase)
        def on_phase(self, message: SessionPhase) -> None:
            seen.append(f"{message.day.day} {message.phase} {message.ts // MINUTE}")

        @handles(MinuteClosed)
        def on_minute(self, message: MinuteClosed) -> None:
            seen.append(str(message.ts // MINUTE))

    runtime.spawn(Diary, "d")
    day = dt.date(2025, 1, 1)
    runtime.clock.follow(
        [
            Session(day, 10 * MINUTE, 12 * MINUTE, last=False),
            Session(day, 20 * MINUTE, 21 * MINUTE, first=False),
            Session(day + dt.timedelta(1), 30 * MINUTE, 31 * MINUTE),
        ]
    )
    runtime.run()
    assert seen == [
        "1 PRE_OPEN 9", "1 OPEN 10", "11", "12", "1 BREAK 12", "1 OPEN 20", "21", "1 CLOSED 21",
        "2 PRE_OPEN 29", "2 OPEN 30", "31", "2 CLOSED 31",
    ]  # fmt: skip
    runtime.close()


def test_snapshots_are_published_for_every_path(runtime):
    runtime.spawn(Log, "a", [])
    runtime.publish_snapshots()
    assert set(runtime.snapshots) == {"clock", "a"} == set(runtime)
