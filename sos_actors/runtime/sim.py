"""The simulated stage: one thread, one queue, simulated time. Same messages in, same messages out."""

from __future__ import annotations

from collections import deque
from typing import Any

import pykka

from sos_actors.runtime.base import Runtime
from sos_actors.runtime.clock import END
from sos_actors.runtime.topics import Port


class SimFuture(pykka.ThreadingFuture[Any]):
    """A future whose `get` drains the runtime's queue first, for there is no other thread to do it."""

    runtime: SimRuntime | None = None

    def get(self, *, timeout: float | None = None) -> Any:
        """Give the answer; raises pykka.Timeout if draining the queue brought none."""
        if self.runtime is not None:
            self.runtime.drain()
            timeout = 0
        return super().get(timeout=timeout)


class SimQueue:
    """The one queue all groups share on this stage."""

    name = "sim"

    def __init__(self) -> None:
        self.items: deque[tuple[Port, Any]] = deque()
        self.put = self.items.append


class SimRuntime(Runtime):
    """Deterministic runtime. `run()` drains the queue and lets the clock move on, until neither has anything left."""

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._queue = SimQueue()
        self._draining = False
        self.start_clock()

    def dispatcher_for(self, group: str) -> SimQueue:
        """Give the one queue, whatever the group."""
        del group
        return self._queue

    def run(self) -> None:
        """Work until no message waits and the clock has nothing more to come.

        Raises EscalatedError when a vital actor failed.
        """
        self._work(moving=True)

    def drain(self) -> None:
        """Deliver what waits, in order, and what that brings, until nothing waits."""
        self._work(moving=False)

    def _work(self, *, moving: bool) -> None:
        """Deliver until nothing waits; then, if it is `moving`, let time go on until that brings nothing either.

        The loop every message of a backtest goes through: written out in one place, because a call costs more than
        what it would name. What time brings comes when nothing waits, so it need not go through the queue.
        """
        if self._draining:
            raise RuntimeError("a handler may not wait for another actor: it would wait for itself (use messages)")
        self._draining = True
        items, clock = self._queue.items, self.clock
        take, timers = items.popleft, clock.timers
        try:
            while True:
                while items:
                    port, message = take()
                    port.handled += 1
                    handle = port.handle
                    try:
                        handle(message)
                    except Exception as error:  # noqa: BLE001 - supervision is the business of this very line
                        self._failed_in_loop(port, message, error)
                if not moving:
                    return
                upcoming = clock.upcoming
                if timers and upcoming < timers[0]:  # what `step` does then
                    clock.now, _, _, message = upcoming
                    clock.upcoming = next(clock.series, END)
                    targets = clock.series_topic.targets
                else:
                    step = clock.step()
                    if step is None:
                        return
                    targets, message = step
                for _, port in targets:
                    port.handled += 1
                    handle = port.handle
                    try:
                        handle(message)
                    except Exception as error:  # noqa: BLE001 - supervision is the business of this very line
                        self._failed_in_loop(port, message, error)
        finally:
            self._draining = False

    def _failed_in_loop(self, port: Port, message: Any, error: Exception) -> None:
        """Have a failure judged; raises EscalatedError where nothing may go on."""
        self.failed(port.actor, message, error)
        if self.escalated is not None:
            raise self.escalated from error

    def future(self) -> pykka.Future[Any]:
        """Give a future that drains this runtime."""
        future = SimFuture()
        future.runtime = self
        return future
