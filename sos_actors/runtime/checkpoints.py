"""When the state of the cast is kept: who takes it, and at which instants of the clock's time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: What an actor holds, as a recorder hears of it: the serial number of the last delivery its group has handled, path,
#: the clock's time (UTC ns) at which it was asked, and what `inspect` gave, which nobody changes any more.
State = tuple[int, str, int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where the states of actors go.

    `keep` is called in the thread of an actor's group: it must be quick and must not raise.
    `every_ns`: ns of the clock's time from one to the next, counted from the epoch, so that a minute's is on the
    minute; 0: at the stop only.
    """

    keep: Callable[[State], None]
    every_ns: int

    def number(self, now: int) -> int:
        """Say in which interval an instant (UTC ns) lies: in each, what is held is kept once; 0 where it never is."""
        return now // self.every_ns if self.every_ns else 0
