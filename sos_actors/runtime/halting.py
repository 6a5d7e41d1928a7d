"""Coming to rest: waiting until all is quiet, and stopping in order within a bounded time."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pykka
from loguru import logger
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

if TYPE_CHECKING:
    from sos_actors.runtime.actor import Actor
    from sos_actors.runtime.group import Group
    from sos_actors.runtime.live import LiveRuntime

#: How often whoever waits looks whether waiting has lost its sense, real seconds.
_LOOK_S = 0.5


def settle(groups: Sequence[Group], timeout_s: float | None, check: Callable[[], None]) -> bool:
    """Wait until nothing waits or is handled in these groups; false when that was not so within `timeout_s`.

    `check` is called now and then while waiting; what it raises ends it.
    """
    end = None if timeout_s is None else time.monotonic() + timeout_s
    before = -1
    while True:
        replies: queue.SimpleQueue[int] = queue.SimpleQueue()
        for group in groups:
            group.ask_report(replies)
        total = 0
        for _ in groups:
            reply = _next(replies, end, check)
            if reply is None:
                return False
            total += reply
        check()
        if total == before:
            return True
        before = total


def _next(replies: queue.SimpleQueue[int], end: float | None, check: Callable[[], None]) -> int | None:
    while True:
        left = _LOOK_S if end is None else min(_LOOK_S, end - time.monotonic())
        try:
            return replies.get(timeout=max(left, 0.0))
        except queue.Empty:
            if end is not None and time.monotonic() >= end:
                return None
            check()


class Halt:
    """One orderly stop."""

    def __init__(self, runtime: LiveRuntime, timeout_s: float) -> None:
        self._runtime = runtime
        self._end = time.monotonic() + timeout_s
        self._share = min(runtime.settings.group_stop_s, timeout_s)
        self._spent: dict[str, float] = {}
        self._left_behind: list[str] = []

    def run(self) -> tuple[str, ...]:
        """Stop everything; gives the paths of the actors and groups left behind."""
        runtime = self._runtime
        if runtime.driver is not None:
            runtime.driver.stop(min(1.0, self._left()))
        first = set(runtime.settings.stop_first)
        self._stop_actors(lambda group: group in first)
        if not settle(runtime.groups(), min(self._share, self._left()), lambda: None):
            logger.error("not everything under way was worked off before the stop")
        self._stop_actors(lambda _: True)
        self._end_threads()
        for path in self._left_behind:
            logger.error("{} did not stop in time and is left behind", path)
        return tuple(self._left_behind)

    def _left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def _stop_actors(self, chosen: Callable[[str], bool]) -> None:
        """Stop the actors of the groups chosen by name, the last spawned first, each in its own thread."""
        members = [member for _, member in self._runtime.members() if chosen(member.dispatcher.name)]
        cast = [member.actor for member in members if not member.actor.closed]
        self._runtime.keep_states(actor.path for actor in cast)
        for actor in reversed(cast):
            if not actor.closed and not self._stop(actor):
                actor.closed = True
                pykka.ActorRegistry.unregister(actor.actor_ref)
                self._left_behind.append(actor.path)

    def _stop(self, actor: Actor) -> bool:
        name = actor.dispatcher.name
        began = time.monotonic()
        patience = min(self._share - self._spent.get(name, 0.0), self._left())
        actor.actor_inbox.put(Envelope[Any](_ActorStop()))
        stopped = actor.actor_stopped.wait(max(patience, 0.0))
        self._spent[name] = self._spent.get(name, 0.0) + time.monotonic() - began
        return stopped

    def _end_threads(self) -> None:
        groups = self._runtime.groups()
        for group in groups:
            group.ask_leave()
        for group in groups:
            patience = min(max(self._share - self._spent.get(group.name, 0.0), 0.01), max(self._left(), 0.01))
            if not group.join(patience):
                self._left_behind.append(group.path)
