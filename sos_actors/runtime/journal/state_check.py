"""Whether replayed actors hold what the recorded ones held: the checkpoints of a session, compared field by field."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec

from sos_actors.runtime.actor import Actor
from sos_actors.runtime.group import said_by
from sos_actors.runtime.journal.checkpoints import Checkpoint, body_of_state
from sos_actors.runtime.journal.divergence import DivergenceError

#: Stands for a field that one of two states does not have.
_NOTHING = "(nothing)"
#: Letters shown of a value in one line.
_SHOWN = 200


class StateCheck:
    """Compares each checkpoint when the delivery it follows has been made, and before the next of its group."""

    def __init__(self, find: Callable[[str], Actor | None]) -> None:
        """`find` gives the replayed actor of a path, None where there is none."""
        self._find = find
        self._waiting: defaultdict[int, list[Checkpoint]] = defaultdict(list)
        #: By path: the delivery after which what it held was last found equal.
        self._equal: dict[str, int] = {}
        self.compared = 0

    def take(self, one: Checkpoint, made: int) -> None:
        """Take the next checkpoint of the record; `made` deliveries have been. Raises DivergenceError."""
        if one.serial < made:
            self._compare(one)
        else:
            self._waiting[one.serial].append(one)

    def made(self, serial: int) -> None:
        """Compare what follows a delivery that was just made. Raises DivergenceError."""
        for one in self._waiting.pop(serial, ()):
            self._compare(one)

    def _compare(self, one: Checkpoint) -> None:
        actor = self._find(one.path)
        if actor is None or actor.closed:
            raise DivergenceError(one.serial, one.path, "was at work after it, and is not in the replay")
        body = body_of_state(said_by(actor))
        if body != one.state:
            unreplayed = type(actor).unreplayed
            fields = list(differences(_known(one.state, unreplayed), _known(body, unreplayed)))
            if fields:
                raise self._parted(one, fields)
        self.compared += 1
        self._equal[one.path] = one.serial

    def _parted(self, one: Checkpoint, fields: list[tuple[str, Any, Any]]) -> DivergenceError:
        name, recorded, replayed = fields[0]
        more = f" ({len(fields) - 1} more fields differ)" if len(fields) > 1 else ""
        since = self._equal.get(one.path)
        equal = "" if since is None else f"; it was equal after delivery {since}"
        text = f"its state differs in {name}: recorded {_short(recorded)}, replayed {_short(replayed)}{more}{equal}"
        return DivergenceError(one.serial, one.path, text, fields)


def differences(recorded: Any, replayed: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Give name, recorded and replayed value of each field in which two states differ, in depth; NaN equals NaN.

    A field has the name of those it stands in before it: `trades[0].stop`.
    """
    if isinstance(recorded, dict) and isinstance(replayed, dict):
        for key in recorded | replayed:
            where = f"{name}.{key}" if name else str(key)
            yield from differences(recorded.get(key, _NOTHING), replayed.get(key, _NOTHING), where)
    elif isinstance(recorded, list) and isinstance(replayed, list) and len(recorded) == len(replayed):
        for place, (old, new) in enumerate(zip(recorded, replayed, strict=True)):
            yield from differences(old, new, f"{name}[{place}]")
    elif not _same(recorded, replayed):
        yield name, recorded, replayed


def _same(recorded: Any, replayed: Any) -> bool:
    """Say whether two values are the same to the bit and of one type, or both not a number."""
    if isinstance(recorded, float) and isinstance(replayed, float) and math.isnan(recorded):
        return math.isnan(replayed)
    return msgspec.msgpack.encode(recorded) == msgspec.msgpack.encode(replayed)


def _known(state: bytes, unreplayed: Collection[str]) -> dict[str, Any]:
    """Read a state, and leave out what a replay cannot know."""
    fields: dict[str, Any] = msgspec.msgpack.decode(state)
    return {name: value for name, value in fields.items() if name not in unreplayed}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
