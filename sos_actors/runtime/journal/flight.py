"""What a replay must know of other deliveries than the present one: a look through the record, and what is in flight.

A record of a day is too long to be held. Nearly everything that comes of a delivery comes soon after it, so the last
`WINDOW` deliveries are remembered; what comes later than that is found by reading the record once beforehand.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sos_actors.messages import ActorBenched
from sos_actors.messages.codec import decode
from sos_actors.runtime.journal.deliveries import Delivery
from sos_actors.runtime.journal.divergence import ToldEdges
from sos_actors.runtime.worker import OUTSIDE

#: Deliveries back for which everything is remembered; what is older only if something later still comes of it.
WINDOW = 16_384
#: Deliveries back for which the look beforehand knows the group; it judges no order that took longer to its edge.
_GROUPS_KNOWN = 1 << 20


class Made:
    """A delivery that was made. `group` is '' for an edge's; `said` is what it said on topics, to whomever.

    `end` is the last number before its group's next delivery, so the end of what it may have overlapped: sys.maxsize
    until that one comes.
    """

    __slots__ = ("end", "group", "path", "said", "serial")

    def __init__(self, serial: int, group: str, path: str) -> None:
        self.serial, self.group, self.path = serial, group, path
        self.end = sys.maxsize
        self.said: list[Any] = []

    def at_once_with(self, other: Made) -> bool:
        """Say whether two deliveries may have run at the same time, on two threads."""
        return self.group != other.group and self.serial <= other.end and other.serial <= self.end


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a record holds that a replay must know beforehand.

    The first `end` deliveries can be replayed; `stopped` says why not more. `late` is, of deliveries of which something
    came more than the window later, the last that did. `last_of`: the last delivery of each group.
    """

    end: int
    stopped: str
    late: Mapping[int, int]
    last_of: Mapping[str, int]
    told: ToldEdges


def look_ahead(record: Iterable[Delivery], kinds: Mapping[str, Collection[str]], window: int) -> Outlook:
    """Go through a record once. `kinds`: by path of an edge, kinds of messages it always hears."""
    told = ToldEdges(kinds)
    groups: deque[str] = deque(maxlen=_GROUPS_KNOWN)
    late: dict[int, int] = {}
    last_of: dict[str, int] = {}
    last_to: dict[str, int] = {}
    end, hung = -1, ""
    for one in record:
        if one.cause >= 0:
            back = one.serial - one.cause
            if back > window:
                late[one.cause] = one.serial
            told.heard(one, groups[-back] if 0 < back <= len(groups) else "")
        elif one.cause == OUTSIDE and one.kind == ActorBenched.__name__ and not hung:
            hung = decode(one.body, ActorBenched).path
            end = last_to.get(hung, one.serial)
        groups.append(one.group)
        last_of[one.group] = last_to[one.path] = one.serial
    if hung:
        why = f"{hung} hung in delivery {end} and its thread was given up: what follows cannot be replayed"
        return Outlook(end, why, late, last_of, told)
    return Outlook(max(last_of.values(), default=-1) + 1, "", late, last_of, told)


class Past:
    """The deliveries a replay has made, as long as something may still come of them."""

    def __init__(self, late: Mapping[int, int], window: int) -> None:
        """`late` and `window` as `look_ahead` has them."""
        self._late, self._window = late, window
        self._made: dict[int, Made] = {}
        self._last: dict[str, Made] = {}

    def __len__(self) -> int:
        return len(self._made)

    def get(self, serial: int) -> Made | None:
        """Give a delivery; None for one that was not made, or of which nothing comes any more."""
        return self._made.get(serial)

    def add(self, one: Delivery, group: str) -> Made:
        """Remember the next delivery, as one of `group` ('' for an edge's)."""
        before = self._last.get(one.group)
        if before is not None:
            before.end = one.serial - 1
        made = self._last[one.group] = self._made[one.serial] = Made(one.serial, group, one.path)
        old = one.serial - self._window - 1
        if old not in self._late:
            self._made.pop(old, None)
        return made

    def done(self, one: Delivery) -> None:
        """Forget what led to a delivery, if nothing else will come of it so late."""
        if self._late.get(one.cause) == one.serial:
            self._made.pop(one.cause, None)
