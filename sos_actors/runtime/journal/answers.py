"""What the world answered when an actor asked it: kept with the session, and given again when the session is replayed.

The cast asks the outside very little: yesterday's prices, today's contracts, what the order store had. Each such
function is handed in, and goes through `Ask`: while a session is recorded its answers are noted, with the delivery
in which they were asked for; a replay gives them out again and looks nothing up.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import msgspec

from sos_actors import errors
from sos_actors.decoding import from_msgpack
from sos_actors.messages.codec import decode, packed
from sos_actors.runtime.journal.format import JournalError

T = TypeVar("T")


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """One answer: the delivery in which it was asked for (OUTSIDE: none), who was asked, what, and what was said.

    `said` is MessagePack; of a call that failed it is (name of the error in sos_actors.errors, text), and `failed`.
    """

    serial: int
    name: str
    asked: bytes
    said: bytes
    failed: bool = False


class Ask(Protocol):
    """Gives a function of the outside in the form in which actors may have it. `kind` is the type of its results."""

    def __call__(self, name: str, kind: Any, function: Callable[..., T], /) -> Callable[..., T]:
        """Wrap one function; `name` says which it is among all of a session."""


def plainly(name: str, kind: Any, function: Callable[..., T], /) -> Callable[..., T]:
    """Leave a function as it is: for a session that is not recorded."""
    del name, kind
    return function


def noting(note: Callable[[Answer], None], serial: Callable[[], int]) -> Ask:
    """Have every answer noted. `serial` gives the delivery under way on the present thread."""

    def ask(name: str, kind: Any, function: Callable[..., T], /) -> Callable[..., T]:
        del kind

        def asked(*args: Any) -> T:
            try:
                said = function(*args)
            except errors.SosError as error:
                told = packed((type(error).__name__, str(error)))
                note(Answer(serial(), name, packed(args), told, True))
                raise
            note(Answer(serial(), name, packed(args), packed(said)))
            return said

        return asked

    return ask


class UnansweredError(JournalError):
    """An actor asked what the record has no answer to. `serial`: in which delivery."""

    def __init__(self, serial: int, text: str) -> None:
        super().__init__(text)
        self.serial = serial


def replaying(answers: Iterable[Answer], serial: Callable[[], int]) -> Ask:
    """Have every answer given from a record. `serial` gives the delivery that is replayed.

    The functions raise UnansweredError where the record has no answer, or one to another question.
    """
    kept: defaultdict[tuple[int, str], deque[Answer]] = defaultdict(deque)
    for one in answers:
        kept[one.serial, one.name].append(one)

    def ask(name: str, kind: Any, function: Callable[..., T], /) -> Callable[..., T]:
        del function

        def answered(*args: Any) -> T:
            at, question = serial(), packed(args)
            waiting = kept[at, name]
            if not waiting or waiting[0].asked != question:
                had = msgspec.msgpack.decode(waiting[0].asked) if waiting else "nothing"
                raise UnansweredError(at, f"asked for {name} of {args}, recorded is {had}")
            found = waiting.popleft()
            if found.failed:
                error, text = from_msgpack(found.said, tuple[str, str])
                raise getattr(errors, error, errors.SosError)(text)
            said: T = decode(found.said, kind)
            return said

        return answered

    return ask
