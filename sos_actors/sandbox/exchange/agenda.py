"""What is due when: the exchange's only clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from sos_actors.sandbox.exchange.settings import DelaySettings

_MS = 1_000_000


class Agenda:
    """Tasks by instant (UTC ns), in the order they were put where they are due together."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0

    def at(self, ts: int, task: Callable[[int], None]) -> None:
        """Have `task(ts)` called when the time comes."""
        self._count += 1
        heapq.heappush(self._heap, (ts, self._count, task))

    def next_due(self) -> int | None:
        """When the next task is due; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def run(self, now: int) -> None:
        """Run everything due up to and including `now`, and what that makes due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            ts, _, task = heapq.heappop(heap)
            task(ts)


class Delays:
    """Draws how long a step takes, ns."""

    def __init__(self, settings: DelaySettings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._rng = rng

    def draw(self, name: str) -> int:
        """One delay, e.g. `draw('risk_ms')`: the setting, stretched by chance up to `jitter` of itself."""
        base: float = getattr(self._settings, name)
        return int(base * (1.0 + self._settings.jitter * self._rng.random()) * _MS)
