"""What a journal's records hold: deliveries, gathered in batches, each message whole and once a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from sos_actors.messages import ActorFailed
from sos_actors.messages.base import Message
from sos_actors.messages.codec import encode, packed
from sos_actors.runtime.actor import Start
from sos_actors.runtime.journal.answers import Answer
from sos_actors.runtime.journal.format import JournalError
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.worker import Heard

#: What stands for a message that is none of the cast's: an actor's start and stop; nothing else can be made again.
START, STOP, OPAQUE = "(start)", "(stop)", "(opaque)"


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="deliveries"):
    """One record: deliveries `first`, `first` + 1, ... as columns. `which` are places in `bodies`, each a message."""

    first: int
    groups: list[str]
    paths: list[str]
    nows: list[int]
    causes: list[int]
    which: list[int]
    kinds: list[str]
    bodies: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a session. `now` is UTC ns; `cause` the serial that sent it, or OUTSIDE or TIMER."""

    serial: int
    group: str
    path: str
    now: int
    cause: int
    kind: str
    body: bytes


def kind_of(message: Any) -> str:
    """Give the name a message's type has in a journal."""
    if isinstance(message, Message):
        return type(message).__name__
    if isinstance(message, Start):
        return START
    return STOP if isinstance(message, Envelope) and isinstance(message.message, _ActorStop) else OPAQUE


def body_of(message: Any) -> bytes:
    """Give a message as a journal holds it; what belongs to the program's text rather than the run is left out."""
    return bytes(encode(_kept(message)))


def _kept(message: Any) -> Any:
    if isinstance(message, ActorFailed):  # its traceback names the lines of the stage it ran on
        return msgspec.structs.replace(message, traceback="")
    if isinstance(message, Message):
        return message
    return repr(message.message if isinstance(message, Envelope) else message)[:200] if _is_opaque(message) else None


def _is_opaque(message: Any) -> bool:
    return kind_of(message) == OPAQUE


def pack(heard: Sequence[Heard]) -> bytes:
    """Make a record of deliveries whose serial numbers follow one another."""
    serials, groups, ports, messages, nows, causes = zip(*heard, strict=True)
    unique = {id(message): message for message in messages}
    places = {key: place for place, key in enumerate(unique)}
    return packed(
        (
            Batch.__struct_config__.tag,
            serials[0],
            groups,
            [port.actor.path for port in ports],
            nows,
            causes,
            [places[id(message)] for message in messages],
            [kind_of(message) for message in unique.values()],
            [_kept(message) for message in unique.values()],
        )
    )


def contents(reader: JournalReader) -> Iterator[Delivery | Answer]:
    """Give a session's deliveries in order, and between them its answers. Raises JournalError for senseless records."""
    expected = 0
    for number, record in enumerate(reader):
        try:
            batch = msgspec.msgpack.decode(record, type=Batch | Answer)
            if isinstance(batch, Answer):
                yield batch
                continue
            bodies = [bytes(body) for body in batch.bodies]
            rows = zip(batch.groups, batch.paths, batch.nows, batch.causes, batch.which, strict=True)
            found = [
                Delivery(serial, group, path, now, cause, batch.kinds[which], bodies[which])
                for serial, (group, path, now, cause, which) in enumerate(rows, start=batch.first)
            ]
        except (msgspec.MsgspecError, ValueError, IndexError) as error:
            raise JournalError(f"record {number} of session {reader.header.session} cannot be read: {error}") from None
        if batch.first != expected:
            raise JournalError(
                f"record {number} of session {reader.header.session} begins with delivery {batch.first}, "
                f"expected {expected}: part of the session was not recorded"
            )
        expected += len(found)
        yield from found


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A session, read whole. `reader` says how it ended."""

    reader: JournalReader
    rows: list[Delivery]
    answers: list[Answer]


def load(folder: Path) -> RecordedRun:
    """Read a whole session; raises JournalError."""
    reader = JournalReader(folder)
    rows: list[Delivery] = []
    answers: list[Answer] = []
    for one in contents(reader):
        if isinstance(one, Answer):
            answers.append(one)
        else:
            rows.append(one)
    return RecordedRun(reader, rows, answers)
