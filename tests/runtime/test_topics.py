"""Topics and ports: who is reached while subscribers come, go, are restarted or stop."""

from __future__ import annotations

import pytest

from sos_actors.messages import FeedStatus, MinuteClosed, Stage
from sos_actors.runtime import Actor, RestartPolicy, SimRuntime, handles


class Ear(Actor):
    """Writes down what it hears under its own name; dies of a negative minute."""

    def __init__(self, heard: list[tuple[str, int]]) -> None:
        super().__init__()
        self.heard = heard

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        if message.ts < 0:
            raise ValueError("negative")
        self.heard.append((self.path, message.ts))


@pytest.fixture
def runtime():
    made = SimRuntime()
    yield made
    made.close()


def test_whoever_comes_and_goes_is_reached_just_while_there(runtime):
    heard: list[tuple[str, int]] = []
    actors = {}
    for path in ("a", "b", "c"):
        runtime.spawn(Ear, path, heard)
        actors[path] = runtime.actor(path)
    topic = runtime.topic(MinuteClosed, "k")
    present: list[str] = []
    expected: list[tuple[str, int]] = []
    for ts, path in enumerate("aabbabacbcacabcbacbbca"):  # each name comes, or goes when it is there
        if path in present:
            present.remove(path)
            topic.remove(actors[path])
        else:
            present.append(path)
            actors[path].hear(topic)
            actors[path].hear(topic)  # twice is once
        topic.publish(MinuteClosed(ts))
        expected += [(name, ts) for name in present]
        assert len(topic.targets) == len(present)
    runtime.drain()
    assert heard == expected


def test_timers_and_topics_reach_the_successor(runtime):
    heard: list[tuple[str, int]] = []
    runtime.spawn(Ear, "a", heard)
    first = runtime.actor("a")
    topic = runtime.topic(MinuteClosed)
    runtime.subscribe(first, MinuteClosed)
    runtime.clock.schedule(10, Stage.TIMER, first, MinuteClosed(10))
    topic.publish(MinuteClosed(-1))
    topic.publish(MinuteClosed(1))
    runtime.run()
    assert runtime.actor("a") is not first
    assert heard == [("a", 1), ("a", 10)]


def test_mail_for_a_stopped_actor_is_a_dead_letter_and_not_counted_as_handled(runtime):
    heard: list[tuple[str, int]] = []
    runtime.spawn(Ear, "a", heard, policy=RestartPolicy(restarts=0))
    runtime.drain()
    timer = MinuteClosed(5)
    runtime.clock.schedule(5, Stage.TIMER, runtime.actor("a"), timer)
    runtime.tell("a", MinuteClosed(-1))
    runtime.tell("a", MinuteClosed(2))
    runtime.run()
    (stats,) = [s for s in runtime.stats() if s.path == "a"]
    assert stats.benched
    assert stats.handled == 2, "its start and the message that killed it"
    assert [letter.message for letter in runtime.dead_letters if letter.reason == "actor stopped"] == [
        MinuteClosed(2), timer,
    ]  # fmt: skip
    assert heard == []


def test_a_type_the_actor_does_not_handle_cannot_be_heard(runtime):
    runtime.spawn(Ear, "a", [])
    with pytest.raises(KeyError):
        runtime.actor("a").hear(runtime.topic(FeedStatus))
