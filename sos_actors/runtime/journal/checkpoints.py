"""What a journal's records hold of the state of actors: what each said of itself at an interval, and at the stop.

A checkpoint is what `inspect` gave between two messages, with the serial number of the last delivery that the actor's
group had handled. It stands in the record somewhere before the next delivery of that group, perhaps even before the
delivery it follows, so that a reader who goes through the record once can use it while the state is still that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from sos_actors.decoding import from_msgpack
from sos_actors.messages.codec import packed
from sos_actors.runtime.checkpoints import State
from sos_actors.runtime.journal.reader import JournalReader

#: States in one record: the interpreter is held while one is put together.
_AT_ONCE = 64


class States(msgspec.Struct, frozen=True, array_like=True, tag="checkpoints"):
    """One record: checkpoints as columns. `states` are MessagePack."""

    serials: list[int]
    paths: list[str]
    nows: list[int]
    states: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What an actor held once its group had handled delivery `serial`. `now` is UTC ns; `state` MessagePack."""

    serial: int
    path: str
    now: int
    state: bytes


#: What a record of this kind has behind its first byte, which says how many columns there are.
_TAG = packed(States.__struct_config__.tag)


def body_of_state(said: Any) -> bytes:
    """Give what an actor said of itself as a journal holds it; of what is not plain data only that it is not."""
    try:
        return packed(said)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        return packed({"not_plain": str(error)})


def pack_states(states: Iterable[State]) -> Iterator[bytes]:
    """Make records of what actors said."""
    rows = list(states)
    for start in range(0, len(rows), _AT_ONCE):
        serials, paths, nows, said = zip(*rows[start : start + _AT_ONCE], strict=True)
        bodies = [msgspec.Raw(body_of_state(one)) for one in said]
        yield packed(States(list(serials), list(paths), list(nows), bodies))


def is_states(record: bytes) -> bool:
    """Say whether a record holds checkpoints, without reading it."""
    return record[1 : 1 + len(_TAG)] == _TAG


def checkpoints_in(record: States) -> Iterator[Checkpoint]:
    """Give the checkpoints of a record. Raises ValueError for columns of different length."""
    for serial, path, now, state in zip(record.serials, record.paths, record.nows, record.states, strict=True):
        yield Checkpoint(serial, path, now, bytes(state))


def last_checkpoint(reader: JournalReader, path: str, at: int) -> Checkpoint | None:
    """Give an actor's last checkpoint at or before an instant (UTC ns), None without one. All else is passed by.

    Raises JournalError for damage; the end of a session that was cut off is none.
    """
    found = None
    for number, record in enumerate(reader):
        if not is_states(record):
            continue
        try:
            for one in checkpoints_in(from_msgpack(record, States)):
                if one.path == path and one.now <= at:
                    found = one
        except (msgspec.MsgspecError, ValueError) as error:
            raise reader.trouble(number, f"cannot be read: {error}") from None
    return found
