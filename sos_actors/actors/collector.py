"""CollectorActor: keeps messages of one kind, for whoever started the run."""

from __future__ import annotations

from collections.abc import Callable

from sos_actors.messages import ChainSnapshot
from sos_actors.runtime import Actor, handles


class SnapshotCollectorActor(Actor):
    """Hands every snapshot of one underlying to a function outside, except those that only repeat an older one."""

    def __init__(self, underlying: str, take: Callable[[ChainSnapshot], None]) -> None:
        super().__init__()
        self._take = take
        self.subscribe(ChainSnapshot, underlying)

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        """Hand on a snapshot of a minute that had data."""
        if "stale" not in message.missing:
            self._take(message)
