"""Actors that join together miss nothing of what each says at its start."""

from __future__ import annotations

from live_cast import QUICK, wait_for

from sos_actors.messages import AlertLevel, AlertRaised
from sos_actors.runtime import Actor, ClockSettings, LiveRuntime, WallTime, handles


class Caller(Actor):
    """Says one thing when it starts."""

    def on_start(self) -> None:
        self.publish(AlertRaised(0, AlertLevel.INFO, self.path, "here"))


class Listener(Actor):
    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self._heard = heard
        self.subscribe(AlertRaised)

    @handles(AlertRaised)
    def on_alert(self, message: AlertRaised) -> None:
        self._heard.append(message.source)


def test_what_is_said_at_the_start_reaches_those_made_later_in_the_same_breath():
    heard: list[str] = []
    runtime = LiveRuntime(QUICK)
    try:
        runtime.start_wall(WallTime.starting(ClockSettings()))
        with runtime.together():
            runtime.spawn(Caller, "caller", group="strategy/a")
            runtime.spawn(Listener, "listener", heard, group="strategy/b")
            assert heard == []
        wait_for(lambda: heard == ["caller"])
        runtime.spawn(Caller, "second", group="strategy/a")  # and afterwards each starts at once
        wait_for(lambda: heard == ["caller", "second"])
    finally:
        runtime.close()
