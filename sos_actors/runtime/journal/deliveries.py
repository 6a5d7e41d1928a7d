"""What a journal's records hold: deliveries, gathered in batches, each message whole and once a batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from sos_actors.decoding import from_msgpack
from sos_actors.messages import ActorFailed
from sos_actors.messages.base import Message
from sos_actors.messages.codec import packed
from sos_actors.runtime.actor import Start
from sos_actors.runtime.journal.answers import Answer
from sos_actors.runtime.journal.checkpoints import Checkpoint, States, checkpoints_in, is_states
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.worker import Heard

#: What stands for a message that is none of the cast's: an actor's start and stop; nothing else can be made again.
START, STOP, OPAQUE = "(start)", "(stop)", "(opaque)"


class Batch(msgspec.Struct, frozen=True, array_like=True, tag="deliveries"):
    """One record: deliveries `first`, `first` + 1, ... as columns. `which` are places in `bodies`, each a message.

    Where every delivery has a message of its own, `which` is empty.
    """

    first: int
    groups: list[str]
    paths: list[str]
    nows: list[int]
    causes: list[int]
    which: list[int]
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
    return packed(_kept(message))


def _kept(message: Any) -> Any:
    if isinstance(message, ActorFailed):  # its traceback names the lines of the stage it ran on
        return msgspec.structs.replace(message, traceback="")
    if isinstance(message, Message):
        return message
    kind = kind_of(message)
    inner = message.message if isinstance(message, Envelope) else message
    return (kind, repr(inner)[:200]) if kind == OPAQUE else (kind,)


@cache
def _is_plain(kind: type) -> bool:
    """Say whether messages of a type are kept just as they are."""
    return issubclass(kind, Message) and kind is not ActorFailed


def kind_in(body: bytes) -> str:
    """Read the first item of a body, which is its kind, and nothing else: a chain need not be read to be passed by.

    Raises ValueError for a body of another shape.
    """
    head = body[0] if body else 0
    at = 1 if 0x90 < head <= 0x9F else 3 if head == 0xDC else 0
    size = body[at] if at and at < len(body) else 0
    if 0xA0 < size <= 0xBF:
        return body[at + 1 : at + 1 + size - 0xA0].decode()
    raise ValueError("a message without its kind")


def pack(heard: Sequence[Heard]) -> bytes:
    """Make a record of deliveries whose serial numbers follow one another.

    Written for speed: all of it is done while the threads that trade wait for the interpreter.
    """
    serials, groups, ports, messages, nows, causes = zip(*heard, strict=True)
    numbers = list(map(id, messages))
    unique = dict(zip(numbers, messages, strict=True))
    which: list[int] = []
    if len(unique) < len(messages):
        places = dict(zip(unique, range(len(unique)), strict=True))
        which = list(map(places.__getitem__, numbers))
    bodies: Sequence[Any] = [*unique.values()]
    if not all(map(_is_plain, set(map(type, bodies)))):
        bodies = [_kept(message) for message in bodies]
    paths = [port.actor.path for port in ports]
    return packed((Batch.__struct_config__.tag, serials[0], groups, paths, nows, causes, which, bodies))


def contents(reader: JournalReader) -> Iterator[Delivery | Answer | Checkpoint]:
    """Give a session's deliveries in order, and between them its answers and checkpoints.

    Raises JournalError for senseless records.
    """
    expected = 0
    known: dict[str, str] = {}  # one object a name: a session has millions of deliveries and some hundred actors
    one_of = known.setdefault
    for number, record in enumerate(reader):
        try:
            batch = from_msgpack(record, Batch | Answer | States)
            if isinstance(batch, Answer):
                yield batch
                continue
            if isinstance(batch, States):
                yield from checkpoints_in(batch)
                continue
            bodies = [bytes(body) for body in batch.bodies]
            kinds = [one_of(kind, kind) for kind in map(kind_in, bodies)]
            which = batch.which or range(len(bodies))
            rows = zip(batch.groups, batch.paths, batch.nows, batch.causes, which, strict=True)
            found = [
                Delivery(serial, one_of(group, group), one_of(path, path), now, cause, kinds[place], bodies[place])
                for serial, (group, path, now, cause, place) in enumerate(rows, start=batch.first)
            ]
        except (msgspec.MsgspecError, ValueError, IndexError) as error:
            raise reader.trouble(number, f"cannot be read: {error}") from None
        if batch.first != expected:
            wrong = f"begins with delivery {batch.first}, expected {expected}: part of the session was not recorded"
            raise reader.trouble(number, wrong)
        expected += len(found)
        yield from found


class _Wanted(dict[str, Collection[str]]):
    """By path, the kinds that are wanted of what it heard; asked once a path."""

    def __init__(self, wanted: Callable[[str], Collection[str]]) -> None:
        super().__init__()
        self._wanted = wanted

    def __missing__(self, path: str) -> Collection[str]:
        found = self[path] = self._wanted(path)
        return found


def heard(reader: JournalReader, wanted: Callable[[str], Collection[str]]) -> Iterator[tuple[int, str, bytes]]:
    """Give what actors heard: (UTC ns, kind, message); `wanted` says of which actor (a path) which kinds.

    The rest is passed by quickly. Raises JournalError for damage; the end of a session that was cut off is none.
    """
    kinds_of = _Wanted(wanted)
    for number, record in enumerate(reader):
        if is_states(record):
            continue
        try:
            batch = from_msgpack(record, Batch | Answer)
            if isinstance(batch, Answer) or not any(map(kinds_of.__getitem__, set(batch.paths))):
                continue
            for place, path in enumerate(batch.paths):
                kinds = kinds_of[path]
                if kinds:
                    body = bytes(batch.bodies[batch.which[place] if batch.which else place])
                    kind = kind_in(body)
                    if kind in kinds:
                        yield batch.nows[place], kind, body
        except (msgspec.MsgspecError, ValueError, IndexError) as error:
            raise reader.trouble(number, f"cannot be read: {error}") from None


class Entries:
    """A session's deliveries and checkpoints in order, read from the disk anew each time: no more is held than a block.

    Each checkpoint comes before the next delivery of its group. No more deliveries are given than there were when the
    session was opened: one that still runs grows meanwhile.
    """

    def __init__(self, folder: Path, count: int) -> None:
        """`count`: how many deliveries there are."""
        self._folder, self._count = folder, count

    def __iter__(self) -> Iterator[Delivery | Checkpoint]:
        """Raises JournalError."""
        for one in contents(JournalReader(self._folder)):
            if isinstance(one, Delivery) and one.serial >= self._count:
                return
            if not isinstance(one, Answer):
                yield one


class Rows(Entries):
    """The deliveries alone."""

    def __iter__(self) -> Iterator[Delivery]:
        """Raises JournalError."""
        return islice((one for one in super().__iter__() if isinstance(one, Delivery)), self._count)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A session that was read through once; `reader` says how it ended. `rows` can be gone through again and again.

    `entries` are the rows with the checkpoints between them. `count` is how many deliveries there are, `last` when the
    last was made (UTC ns), `checkpoints` how many of those there are.
    """

    reader: JournalReader
    rows: Iterable[Delivery]
    answers: list[Answer]
    entries: Iterable[Delivery | Checkpoint]
    count: int = 0
    last: int = 0
    checkpoints: int = 0


def load(folder: Path) -> RecordedRun:
    """Read through a whole session and keep its answers; raises JournalError."""
    reader = JournalReader(folder)
    count = last = checkpoints = 0
    answers: list[Answer] = []
    for one in contents(reader):
        if isinstance(one, Answer):
            answers.append(one)
        elif isinstance(one, Checkpoint):
            checkpoints += 1
        else:
            count, last = count + 1, one.now
    return RecordedRun(reader, Rows(folder, count), answers, Entries(folder, count), count, last, checkpoints)
