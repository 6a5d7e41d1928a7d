"""What goes to several threads reaches all of them ahead of what follows from it."""

import time

import pytest

from sos_actors.messages import FeedStatus, MinuteClosed
from sos_actors.runtime import Actor, LiveRuntime, RuntimeSettings, handles
from sos_actors.runtime.actor import UnhandledMessageError


class Quick(Actor):
    """Draws a conclusion at once."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribe(MinuteClosed)

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        self.publish(FeedStatus("NIFTY", message.ts, True))


class Judge(Actor):
    """Hears the cause and the conclusion."""

    def __init__(self, heard: list) -> None:
        super().__init__()
        self.heard = heard
        self.subscribe(MinuteClosed)
        self.subscribe(FeedStatus)

    @handles(MinuteClosed, FeedStatus)
    def on_any(self, message: MinuteClosed | FeedStatus) -> None:
        self.heard.append(message)


class Sender(Actor):
    """Says two things, the second to another than the first, together or one by one."""

    @handles(FeedStatus)
    def on_status(self, message: FeedStatus) -> None:
        with self.runtime.publishing_together():
            self.publish(MinuteClosed(message.ts), "first")
            time.sleep(0.02)
            self.publish(MinuteClosed(message.ts))


class Slow:
    """A way into a mailbox that takes long: as if the thread that publishes were held up within."""

    def __init__(self, put) -> None:
        self.put = put

    def __call__(self, item) -> None:
        time.sleep(0.02)
        self.put(item)


@pytest.fixture(params=[False, True], ids=["plain", "measured"])
def runtime(request):
    made = LiveRuntime(RuntimeSettings(measure=request.param, conflate_above=0), strict=True, stop_timeout_s=1)
    yield made
    made.close()


def test_no_conclusion_overtakes_its_cause(runtime):
    heard = []
    runtime.spawn(Quick, "quick", group="one")
    judge = runtime.actor(runtime.spawn(Judge, "judge", heard, group="two").actor_urn)
    judge.dispatcher.put = Slow(judge.dispatcher.put)
    runtime.topic(MinuteClosed).remove(judge)
    judge.subscribe(MinuteClosed)
    for minute in range(1, 6):
        runtime.publish(MinuteClosed(minute))
        runtime.settle()
    assert heard == [m for n in range(1, 6) for m in (MinuteClosed(n), FeedStatus("NIFTY", n, True))]


class Early(Quick):
    """Hears what is said first."""

    def __init__(self) -> None:
        Actor.__init__(self)
        self.subscribe(MinuteClosed, "first")


def test_what_is_said_together_is_there_before_its_consequences(runtime):
    heard = []
    runtime.spawn(Sender, "sender", group="zero")
    runtime.spawn(Early, "early", group="one")
    runtime.spawn(Judge, "judge", heard, group="two")
    for minute in range(1, 4):
        runtime.tell("sender", FeedStatus("NIFTY", minute, True))
        runtime.settle()
    assert heard == [m for n in range(1, 4) for m in (MinuteClosed(n), FeedStatus("NIFTY", n, True))]


def test_a_publisher_that_fails_holds_nobody_up(runtime):
    heard = []
    runtime.spawn(Judge, "judge", heard, group="two")
    with pytest.raises(UnhandledMessageError), runtime.publishing_together():
        runtime.tell("judge", "what it does not understand")
    runtime.publish(MinuteClosed(1))
    runtime.publish(MinuteClosed(2))
    assert runtime.settle(5)
    assert heard == [MinuteClosed(1), MinuteClosed(2)]
