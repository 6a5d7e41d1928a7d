"""Where a replay parts from its record, in words; and what an edge was told, message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from sos_actors.runtime.journal.deliveries import Delivery, body_of, kind_of


class DivergenceError(Exception):
    """The replay did not do what the record says. `delivery` is the serial number of the first difference."""

    def __init__(self, delivery: int, path: str, text: str, fields: Sequence[tuple[str, Any, Any]] = ()) -> None:
        """`fields`: of two messages that differ, name, recorded and replayed value of each field."""
        super().__init__(f"delivery {delivery} ({path}): {text}")
        self.delivery, self.path, self.text, self.fields = delivery, path, text, fields


def differs(cause: int, path: str, recorded: bytes, replayed: Any) -> DivergenceError:
    """Make the error that says in which fields a recorded message and the replayed one differ."""
    before = msgspec.msgpack.decode(recorded)
    after = msgspec.msgpack.decode(body_of(replayed))
    kind = type(replayed)
    fields = list(zip(getattr(kind, "__struct_fields__", ()), before[1:], after[1:], strict=False))
    different = [
        f"{name}: recorded {old!r}, replayed {new!r}"
        for name, old, new in fields
        if msgspec.msgpack.encode(old) != msgspec.msgpack.encode(new)
    ]
    text = f"{kind.__name__} differs in {'; '.join(different) or 'its length'}"
    return DivergenceError(cause, path, text, fields)


class ToldEdges:
    """What edges were told in a session, to see that a replay tells them no more.

    A record may end before an edge got to what was sent to it: what was sent after the last that it got is not judged.
    """

    def __init__(self, kinds: Mapping[str, Collection[str]]) -> None:
        """`kinds`: by path of an edge, kinds of messages it always hears."""
        self._kinds = {path: frozenset(names) for path, names in kinds.items()}
        self._bodies: set[tuple[str, int, str, bytes]] = set()
        self._last: dict[tuple[str, str], int] = {}
        self._left: Counter[tuple[str, int, str]] = Counter()

    def heard(self, one: Delivery, group: str) -> None:
        """Take the next delivery of the record and the group that sent it; '' where that is not known."""
        if one.kind not in self._kinds.get(one.path, ()):
            return
        self._last[one.path, group] = one.cause
        told = one.path, one.cause, one.kind, one.body
        if told not in self._bodies:
            self._bodies.add(told)
            self._left[one.path, one.cause, one.kind] += 1

    def too_many(self, serial: int, group: str, message: Any) -> str:
        """Take a message that delivery `serial` of a group says; gives what is wrong with it, '' for nothing."""
        kind = kind_of(message)
        for path, kinds in self._kinds.items():
            if kind in kinds and serial <= self._last.get((path, group), -1):
                self._left[path, serial, kind] -= 1
                if self._left[path, serial, kind] < 0:
                    return f"sent a {kind} to {path}, which the record does not have"
        return ""
