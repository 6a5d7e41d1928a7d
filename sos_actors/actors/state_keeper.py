"""StateKeeperActor: keeps the states of desk and limits where no gateway does, on paper."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sos_actors.actors.gateway import RecordStore
from sos_actors.messages import SessionPhase, StateChanged
from sos_actors.runtime import Actor, handles
from sos_actors.trading.gateway.records import DayBegun, StateSaved


class StateKeeperActor(Actor):
    """Writes each state down as it comes, so that a restart goes on with the same positions and limits."""

    def __init__(self, store: RecordStore, *, day: dt.date | None) -> None:
        """`day` is the one the store is at; None before its first, of which there is nothing to keep."""
        super().__init__()
        self._store = store
        self._day = day
        self._kept = 0
        self.subscribe(SessionPhase)
        self.subscribe(StateChanged)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Begin a day's file."""
        if message.day != self._day:
            self._store.append(DayBegun(message.day))
            self._day = message.day

    @handles(StateChanged)
    def on_state(self, message: StateChanged) -> None:
        """Keep a state. What the risk book says is safe at once: a halt must survive the power, on paper too."""
        self._store.append(StateSaved(message.ts, message.part, message.state, message.working, message.whole))
        self._kept += 1
        if message.part == "risk":
            self._store.sync()

    def on_stop(self) -> None:
        """Leave nothing unwritten."""
        self._store.sync()

    def inspect(self) -> dict[str, Any]:
        """Say how many states were kept."""
        return {"kept": self._kept}
