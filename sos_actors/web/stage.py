"""What a running daemon shows of itself, as plain data: in its own process, or over its control socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from sos_actors.control.status import DaemonStatus
from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_plain
from sos_actors.market.instruments import Instrument
from sos_actors.runtime import LiveRuntime
from sos_actors.runtime.tree import give_way, hearers
from sos_actors.web.daybook import DayBook
from sos_actors.web.letters import letters_of
from sos_actors.web.lookout import Lookout

#: Dead letters listed, of all and of one actor.
_LETTERS = 50
#: Fields that hold a moment, UTC ns.
_MOMENTS = frozenset({"ts", "ts_recv", "ts_event", "start", "end", "since", "entry_ts", "exit_ts"})
#: Senders of one kind of message to one actor that are named one by one.
_SENDERS = 6
#: Signs of one value of a message that are shown.
_LONG = 160
#: Instruments listed for one text.
_FOUND = 50


class Operations(Protocol):
    """What may be asked of the daemon and what it may be told; see daemon/operations.py."""

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""


class Stage(Protocol):
    """What the live source reads. Nothing here waits for an actor or enters a mailbox, but `order`."""

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""

    def book(self) -> DayBook:
        """Give the day under way."""

    def tree(self) -> dict[str, Any]:
        """Give what the runtime counts; see runtime/tree.py."""

    def strategies(self) -> Sequence[tuple[str, str]]:
        """Give path and state ('on', 'benched', 'stopped') of every strategy."""

    def hearers(self) -> list[dict[str, Any]]:
        """Say who hears which message, how many came, and who sent them; `senders` maps paths to counts."""

    def letters(self, path: str = "") -> list[dict[str, Any]]:
        """Give the last dead letters, of all or one actor, newest first."""

    def snapshots(self, beginning: str) -> dict[str, dict[str, Any]]:
        """Give what the actors whose path begins so last published of themselves."""

    def tail(self, path: str) -> list[dict[str, Any]]:
        """Give an actor's last messages, newest first, kept from the first question on while somebody asks."""

    def find(self, text: str) -> list[dict[str, Any]]:
        """Give the instruments a text means."""

    def start_log(self) -> list[str]:
        """Give what was logged from the start until the daemon was live."""

    def order(self, name: str, **args: str) -> str:
        """Pass an order on."""


class LocalStage:
    """The stage of this very process."""

    def __init__(
        self,
        runtime: LiveRuntime,
        operations: Operations,
        book: Callable[[], DayBook],
        *,
        find: Callable[[str], Sequence[Instrument]] | None = None,
        start_log: Callable[[], list[str]] = list,
        breathe: Callable[[], None] = give_way,
        secrets: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """`find` looks a text up among today's instruments; `breathe` is called within long answers.

        `secrets` gives what no dead letter may show.
        """
        self._runtime, self._operations, self._book = runtime, operations, book
        self._find, self.start_log, self._breathe, self._secrets = find, start_log, breathe, secrets
        self.lookout = Lookout(runtime)

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""
        return self._operations.status()

    def book(self) -> DayBook:
        """Give the day under way."""
        return self._book()

    def tree(self) -> dict[str, Any]:
        """Give what the runtime counts."""
        return self._runtime.tree(self._breathe, messages=False)  # `hearers` tells them, and better

    def strategies(self) -> list[tuple[str, str]]:
        """Give path and state of every strategy."""
        return [
            (path, "benched" if member.benched else "stopped" if member.actor.closed else "on")
            for path, member in self._runtime.members()
            if path.startswith("strategy/")
        ]

    def hearers(self) -> list[dict[str, Any]]:
        """Say who hears which message and who sends it."""
        senders: dict[tuple[str, str], dict[str, int]] = {}
        for topic, counts in self.lookout.senders(self._breathe).items():
            for _, port in topic.targets if counts else ():
                said = senders.setdefault((topic.kind.__name__, port.actor.path), {})
                for path, count in counts.items():
                    said[path] = said.get(path, 0) + count
        return [
            one | {"senders": _gathered(senders.get((one["message"], one["actor"]), {}))}
            for one in hearers(self._runtime, self._breathe)
        ]

    def letters(self, path: str = "") -> list[dict[str, Any]]:
        """Give the last dead letters."""
        return letters_of(self._runtime.dead_letters, self._secrets(), path=path, most=_LETTERS)

    def snapshots(self, beginning: str) -> dict[str, dict[str, Any]]:
        """Give what these actors last said."""
        seen = self._runtime.snapshots
        return {path: seen[path] for path in list(seen) if path.startswith(beginning)}

    def tail(self, path: str) -> list[dict[str, Any]]:
        """Give an actor's last messages."""
        try:
            heard = self.lookout.tail(path)
        except KeyError:
            raise InputError(f"there is no actor '{path}'") from None
        return [
            {"at": ist_plain(ts), "message": type(message).__name__, "values": _values(message)}
            for ts, message in reversed(heard)
        ]

    def find(self, text: str) -> list[dict[str, Any]]:
        """Give the instruments a text means."""
        return resolved(self._find, text)

    def order(self, name: str, **args: str) -> str:
        """Pass an order on."""
        done: str = getattr(self._operations, name)(**args)
        return done


def resolved(find: Callable[[str], Sequence[Instrument]] | None, text: str) -> list[dict[str, Any]]:
    """Give the instruments a text means as plain data; raises InputError where there are none, or no list of them."""
    if find is None:
        raise InputError("no instrument file is kept here: `python run_actors.py instruments --refresh` fetches one")
    found = find(text)
    if not found:
        raise InputError(f"'{text}': no instrument of that name is listed")
    return [msgspec.to_builtins(one) for one in found[:_FOUND]]


def _gathered(senders: dict[str, int]) -> dict[str, int]:
    """Give many senders by their kind (`bar/*`), few by their names."""
    if len(senders) <= _SENDERS:
        return senders
    kinds: dict[str, int] = {}
    for path, count in senders.items():
        kind, slash, _ = path.partition("/")
        kinds[kind + slash + "*" * bool(slash)] = kinds.get(kind + slash + "*" * bool(slash), 0) + count
    return kinds


def _values(message: Any) -> dict[str, str]:
    """Give a message's fields in words; arrays by their shape."""
    names = getattr(message, "__struct_fields__", ())
    return {name: _word(getattr(message, name), name) for name in names if name != "ts"}


def _word(value: Any, name: str) -> str:
    if type(value) is int and name in _MOMENTS and value:
        return ist_plain(value)
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONG else text[:_LONG] + "…"
