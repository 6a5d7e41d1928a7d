"""Looking closer at a running stage, for as long as somebody looks: an actor's last messages, and who says what.

Nobody pays while nobody looks. What is put in the way of a message then is one append, or one count; it is taken away
again when the one who looked has not asked for some seconds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from sos_actors.runtime import LiveRuntime
from sos_actors.runtime.actor import Start
from sos_actors.runtime.topics import Handler, Port, Topic
from sos_actors.runtime.tree import give_way

#: Messages kept of an actor, and actors that are looked at at once: the one asked for last longest ago is let go.
KEPT = 40
_ACTORS = 8
#: Real seconds after the last question at which a look ends.
LEASE_S = 5.0
#: Publishes of a topic after which its senders are known: a busy topic is not counted for longer.
_ENOUGH = 200
#: Who sent what came from a thread that is no actor's: a socket, the clock's thread, the operator.
OUTSIDE = "outside"


class Lookout:
    """The looks under way. Safe on any thread."""

    def __init__(self, runtime: LiveRuntime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._runtime, self._monotonic = runtime, monotonic
        self._lock = threading.Lock()
        self._tails: dict[str, _Tail] = {}
        self._said: dict[Topic, _Senders] = {}
        self._said_until = 0.0
        self._sweeper: threading.Timer | None = None

    def tail(self, path: str) -> list[tuple[int, Any]]:
        """Give the last messages of an actor since somebody looks, (UTC ns, message), and go on looking."""
        with self._lock:
            tail = self._tails.pop(path, None) or _Tail(self._runtime)
            self._tails[path] = tail
            while len(self._tails) > _ACTORS:
                oldest = next(iter(self._tails))
                self._tails.pop(oldest).end(oldest)
            tail.until = self._monotonic() + LEASE_S
            self._runtime.with_ports(path, tail.tap)  # again at each question: a restarted actor's ports are bare
            self._sweep_later()
        return list(tail.heard)

    def senders(self, breathe: Callable[[], None] = give_way) -> dict[Topic, Counter[str]]:
        """Give who published on which topic and how often, since somebody looks and up to some 200 times."""
        with self._lock:
            if not self._said_until:
                self._said = {}
            self._said_until = self._monotonic() + LEASE_S
            for topic in self._runtime.topics():
                breathe()
                said = self._said.get(topic)
                if said is None:
                    said = self._said[topic] = _Senders(self._runtime, topic)
                said.listen()
            self._sweep_later()
            return {topic: Counter(said.counts) for topic, said in self._said.items()}

    def sweep(self) -> None:
        """End the looks nobody asked for lately."""
        with self._lock:
            now = self._monotonic()
            for path in [path for path, tail in self._tails.items() if tail.until <= now]:
                self._tails.pop(path).end(path)
            if self._said_until and self._said_until <= now:
                self._said_until = 0.0
                for said in self._said.values():
                    said.end()
            self._sweeper = None
            if self._tails or self._said_until:
                self._sweep_later()

    def close(self) -> None:
        """End every look."""
        with self._lock:
            if self._sweeper is not None:
                self._sweeper.cancel()
            for path, tail in self._tails.items():
                tail.end(path)
            for said in self._said.values():
                said.end()
            self._tails.clear()
            self._said_until = 0.0

    def _sweep_later(self) -> None:
        if self._sweeper is None:
            self._sweeper = threading.Timer(LEASE_S / 2, self.sweep)
            self._sweeper.daemon = True
            self._sweeper.start()


class _Tail:
    """One actor's last messages."""

    def __init__(self, runtime: LiveRuntime) -> None:
        self.heard: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self.until = 0.0
        self._runtime = runtime
        self._taps: dict[Port, Handler] = {}

    def tap(self, port: Port) -> None:
        """Stand before a port's handler, unless this is done or its actor is gone."""
        if port.handle is self._taps.get(port) or port.actor.closed:
            return
        handle, heard, clock = port.handle, self.heard, self._runtime.clock

        def tapped(message: Any) -> None:
            if type(message) is not Start:
                heard.append((clock.now, message))
            handle(message)

        self._taps[port] = tapped
        port.handle = tapped

    def end(self, path: str) -> None:
        """Go out of the way of the actor of this path, if it is still there."""

        def untap(port: Port) -> None:
            if port.handle is self._taps.get(port):
                port.point(port.actor)

        try:
            self._runtime.with_ports(path, untap)
        except KeyError:
            return


class _Senders:
    """Who publishes on one topic."""

    def __init__(self, runtime: LiveRuntime, topic: Topic) -> None:
        self.counts: Counter[str] = Counter()
        self._here = runtime.here
        self._topic = topic
        self._heard = 0

    def listen(self) -> None:
        """Count from now on, unless enough is known."""
        if self._heard < _ENOUGH:
            self._topic.overhear(self._note)  # type: ignore[attr-defined]  # a LiveRuntime's topics are LiveTopics

    def end(self) -> None:
        """Count no more."""
        self._topic.unhear()  # type: ignore[attr-defined]

    def _note(self) -> bool:
        worker = self._here.worker
        self.counts[OUTSIDE if worker is None else worker.entry[0].actor.path] += 1
        self._heard += 1
        return self._heard < _ENOUGH
