"""Looking closer: what is seen is what came, nobody misses a message, and nothing is left behind."""

import threading

import pytest

from sos_actors.messages import Flatten, SetTradingState, TradingState
from sos_actors.runtime import Actor, LiveRuntime, handles
from sos_actors.web.lookout import KEPT, LEASE_S, OUTSIDE, Lookout


class Teller(Actor):
    """Says a Flatten for each SetTradingState."""

    def __init__(self):
        super().__init__()
        self.subscribe(SetTradingState)

    @handles(SetTradingState)
    def on_state(self, message):
        if message.reason == "raise":
            raise ValueError("as asked")
        self.publish(Flatten(1, message.reason))


class Hearer(Actor):
    """Keeps what it hears."""

    def __init__(self, heard):
        super().__init__()
        self.heard = heard
        self.subscribe(Flatten)

    @handles(Flatten)
    def on_flatten(self, message):
        self.heard.append(message.reason)


@pytest.fixture
def stage():
    runtime = LiveRuntime()
    heard = []
    runtime.spawn(Teller, "teller", group="one")
    runtime.spawn(Hearer, "hearer", heard, group="two")
    runtime.settle(10)
    yield runtime, heard
    runtime.close()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def say(runtime, reason):
    runtime.publish(SetTradingState(TradingState.ACTIVE, reason))
    runtime.settle(10)


def handlers(runtime, path):
    return {kind: port.handle for kind, port in runtime.member_at(path).ports.items()}


def test_the_last_messages_are_kept_while_somebody_looks(stage):
    runtime, heard = stage
    clock = Clock()
    lookout = Lookout(runtime, clock)
    before = handlers(runtime, "hearer")
    say(runtime, "unseen")
    assert lookout.tail("hearer") == []
    for number in range(KEPT + 5):
        say(runtime, str(number))
    seen = [message.reason for _, message in lookout.tail("hearer")]
    assert seen == [str(number) for number in range(5, KEPT + 5)]
    assert heard == ["unseen", *(str(number) for number in range(KEPT + 5))]
    clock.now += LEASE_S - 0.1
    lookout.sweep()
    assert handlers(runtime, "hearer") != before
    clock.now += 0.2
    lookout.sweep()
    assert handlers(runtime, "hearer") == before
    lookout.close()


def test_a_restarted_actor_hears_on_and_is_looked_at_again(stage):
    runtime, heard = stage
    lookout = Lookout(runtime)
    lookout.tail("teller")
    say(runtime, "raise")
    say(runtime, "after")
    assert heard == ["after"]
    assert runtime.stats()[1].restarts == 1
    lookout.tail("teller")
    say(runtime, "again")
    assert [message.reason for _, message in lookout.tail("teller")] == ["raise", "again"]
    lookout.close()
    say(runtime, "last")
    assert heard == ["after", "again", "last"]


def test_senders_are_counted(stage):
    runtime, _ = stage
    lookout = Lookout(runtime)
    assert not any(lookout.senders().values())
    say(runtime, "a")
    say(runtime, "b")
    said = {topic.kind.__name__: dict(counts) for topic, counts in lookout.senders().items() if counts}
    assert said == {"SetTradingState": {OUTSIDE: 2}, "Flatten": {"teller": 2}}
    lookout.close()
    say(runtime, "c")
    assert lookout.senders()[runtime.topic(Flatten)] == {}
    lookout.close()


def test_who_subscribes_while_it_is_overheard_misses_nothing(stage):
    runtime, heard = stage
    lookout = Lookout(runtime)
    stop = threading.Event()

    def look():
        while not stop.is_set():
            lookout.senders()
            lookout.close()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        late = []
        for number in range(60):
            runtime.spawn(Hearer, f"late{number}", late, group="two")
            runtime.settle(10)
            say(runtime, f"n{number}")
            assert late.count(f"n{number}") == number + 1
    finally:
        stop.set()
        looking.join(10)
    assert heard == [f"n{number}" for number in range(60)]


def test_a_busy_topic_is_counted_only_until_its_senders_are_known(stage):
    runtime, heard = stage
    lookout = Lookout(runtime)
    lookout.senders()
    for number in range(230):
        runtime.publish(Flatten(1, str(number)))
    runtime.settle(10)
    assert lookout.senders()[runtime.topic(Flatten)] == {OUTSIDE: 200}
    assert len(heard) == 230
    lookout.close()


def test_there_is_no_looking_at_nobody(stage):
    runtime, _ = stage
    with pytest.raises(KeyError):
        Lookout(runtime).tail("nobody")
