"""The threaded stage: dispatch groups, one thread and one ordered queue each.

Which actors share a thread is configuration: the decision core on one, each edge on its own, strategies on
theirs, so that one that hangs or crashes harms no other. Simulated time runs here too (`run`): the clock moves on
only when every group is quiet, which makes a threaded backtest decide exactly what a simulated one decides.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

import pykka
from loguru import logger

from sos_actors.runtime.base import EscalatedError, Runtime
from sos_actors.runtime.topics import Port


class Group:
    """One thread and the queue it drains. Its own control messages (`report`, `leave`) pass through the same queue."""

    def __init__(self, name: str, runtime: LiveRuntime) -> None:
        self.name = name
        self.path = f"group {name}"
        self._runtime = runtime
        self._queue: queue.SimpleQueue[tuple[Port, Any]] = queue.SimpleQueue()
        self.put = self._queue.put
        self._delivered = 0
        self._running = True
        self.reports = Port(self, "report")
        self.leaving = Port(self, "leave")
        self._thread = threading.Thread(target=self._loop, name=f"sos-{name}", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        take = self._queue.get
        runtime = self._runtime
        while self._running:
            port, message = take()
            port.handled += 1
            handle = port.handle
            try:
                handle(message)
            except Exception as error:  # noqa: BLE001 - supervision is the business of this very line
                runtime.failed(port.actor, message, error)
            except BaseException as error:  # noqa: BLE001 - SystemExit in a handler must not end its neighbours
                runtime.escalated = EscalatedError(f"{port.actor.path}: {error!r}")
                logger.error("{} asked the process to end: {!r}", port.actor.path, error)
            self._delivered += 1

    def report(self, replies: queue.SimpleQueue[int]) -> None:
        """Answer how many messages were handled before this one, control messages apart."""
        self._delivered -= 1
        replies.put(self._delivered + 1)

    def leave(self, _: None) -> None:
        """End the thread."""
        self._running = False

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; False when it has not within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()


class LiveRuntime(Runtime):
    """Runtime on threads. Call `close` when done; a group that does not end in time is reported, never waited for."""

    def __init__(self, *, strict: bool = False, stop_timeout_s: float = 5.0) -> None:
        super().__init__(strict=strict)
        self._groups: dict[str, Group] = {}
        self._stop_timeout_s = stop_timeout_s
        self.start_clock()

    def dispatcher_for(self, group: str) -> Group:
        """Give the group's queue, starting its thread if need be."""
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = Group(group, self)
        return found

    def run(self) -> None:
        """Play simulated time: let the clock move on whenever all is quiet. Raises EscalatedError."""
        self.settle()
        while self.clock.advance():
            self.settle()

    def settle(self) -> None:
        """Wait until no message waits or is being handled in any group. Raises EscalatedError.

        Every group is asked how many messages it has handled; when two rounds of asking agree, nothing was under
        way between them, because questions queue behind messages.
        """
        replies: queue.SimpleQueue[int] = queue.SimpleQueue()
        before = -1
        while True:
            groups = list(self._groups.values())
            for group in groups:
                group.put((group.reports, replies))
            total = sum(replies.get() for _ in groups)
            if self.escalated is not None:
                raise self.escalated
            if total == before:
                return
            before = total

    def future(self) -> pykka.Future[Any]:
        """Give a future other threads can wait for."""
        return pykka.ThreadingFuture()

    def close(self) -> None:
        """Stop the actors and end the threads."""
        super().close()
        for group in self._groups.values():
            group.put((group.leaving, None))
        for group in self._groups.values():
            if not group.join(self._stop_timeout_s):
                logger.error("group '{}' did not stop within {} s and is left behind", group.name, self._stop_timeout_s)
