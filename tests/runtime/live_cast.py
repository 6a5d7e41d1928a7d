"""Actors and waiting for the tests of the live stage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from sos_actors.messages import ActorBenched, FeedStatus, MinuteClosed, SessionPhase, Terminated
from sos_actors.runtime import Actor, RuntimeSettings, handles

QUICK = RuntimeSettings(scan_s=0.01, snapshot_s=0.05, budgets_s={"strategy": 0.3}, budget_s=0.6, stop_s=5)
MINUTE = 60_000_000_000
SECOND = 1_000_000_000


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until something holds; a slow machine may take long, a wrong one fails."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.002)
    return found


class Diary(Actor):
    """Writes down what it hears, and what the clock says then."""

    def __init__(self, lines: list, key: str = "") -> None:
        super().__init__()
        self.lines = lines
        for kind in (MinuteClosed, SessionPhase, ActorBenched):
            self.subscribe(kind, key)
        self.subscribe(FeedStatus, self.path)

    @handles(MinuteClosed, SessionPhase, ActorBenched, FeedStatus, Terminated)
    def on_any(self, message: Any) -> None:
        self.lines.append((self.clock.now, message))

    def inspect(self) -> dict[str, Any]:
        return {"lines": len(self.lines), "thread": threading.current_thread().name}


class Sleeper(Actor):
    """Told to sleep, it sleeps until it is let go; then it goes on with what it was doing."""

    def __init__(self, gate: threading.Event, lines: list) -> None:
        super().__init__()
        self.gate, self.lines = gate, lines
        self.subscribe(MinuteClosed, self.path)

    @handles(FeedStatus)
    def on_status(self, message: FeedStatus) -> None:
        if message.detail == "die":
            raise ValueError("told to die")
        if message.detail == "sleep":
            try:
                self.gate.wait(60)
            finally:
                self.publish(FeedStatus("from the grave", 0, False), "diary")
                self.lines.append(f"{self.path} woke")

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        self.lines.append(message.ts)


SLEEP = FeedStatus("u", 0, True, "sleep")
DIE = FeedStatus("u", 0, True, "die")
