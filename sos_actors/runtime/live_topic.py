"""Topics of the live stage: whoever publishes and whoever hears may be on any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sos_actors.runtime.topics import Handler, Port, Put, Targets, Topic


class LiveTopic(Topic):
    """A topic whose subscribers may come and go on any thread. Publishing to a single group takes no lock."""

    __slots__ = ("_lock",)

    def __init__(self, kind: type, key: str) -> None:
        super().__init__(kind, key)
        self._lock = threading.Lock()

    def _make(self, targets: Targets) -> tuple[Targets, Handler]:
        made = super()._make(targets)
        if len({port.actor.dispatcher for _, port in targets}) < 2:
            return made
        together, put_all = targets[0][1].actor.runtime.publishing_together, made[1]

        def publish(message: Any) -> None:
            with together():
                put_all(message)

        return targets, publish

    def add(self, put: Put, port: Port) -> None:
        """Subscribe a port by the way its group has for messages of this type."""
        del put
        with self._lock:
            super().add(port.actor.dispatcher.put_of(self.kind), port)

    def remove(self, actor: object) -> None:
        """Take every port of this actor out."""
        with self._lock:
            super().remove(actor)

    def overhear(self, note: Callable[[], bool]) -> None:
        """Call `note()` at each publish from now on, until it says False or the subscribers change.

        It must be quick and must not raise. What is published reaches who hears it as before.
        """

        def publish(message: Any) -> None:
            if not note():
                self.unhear()
            self._made[1](message)

        with self._lock:
            self.publish = publish

    def unhear(self) -> None:
        """Publish as if nobody had overheard."""
        with self._lock:
            self.publish = self._made[1]
