"""The stage of another process: its daemon's end is a command of the control socket, this end a client of it.

So pages and streams need not share an interpreter with the trading: the daemon answers a few short questions a second,
and gives each bar, chain and decision away once, however many look at them.
"""

from __future__ import annotations

import functools
import operator
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from sos_actors.control.client import ControlClient
from sos_actors.control.protocol import ControlError
from sos_actors.control.status import DaemonStatus
from sos_actors.errors import InputError
from sos_actors.messages import decode, encode
from sos_actors.web.daybook import WRITTEN, DayBook, Diary
from sos_actors.web.observer import Observed
from sos_actors.web.redact import HIDDEN
from sos_actors.web.stage import LocalStage

#: Name of the daemon's command.
COMMAND = "stage"
_ASKED = frozenset({"tree", "hearers", "letters", "snapshots", "tail", "find", "start_log"})
#: Messages of the day given away at once: some milliseconds of the daemon's time.
_MOST = 1_000
#: Seconds an answer is good for: many pages ask for the same.
_FRESH_S = {"status": 0.2, "book": 0.2, "snapshots": 0.2, "tree": 0.9, "hearers": 0.9}
#: Seconds between two helpings of a day that is fetched from its beginning.
_PAUSE_S = 0.01
_ANY_MESSAGE: Any = functools.reduce(operator.or_, WRITTEN)


class StageCommand:
    """The daemon's end: answers what a RemoteStage asks. Known secrets leave in no answer."""

    def __init__(self, stage: LocalStage, seen: Observed, secrets: Callable[[], Iterable[str]]) -> None:
        self._stage, self._seen, self._secrets = stage, seen, secrets

    def __call__(self, what: str, **args: Any) -> msgspec.Raw:
        """Answer one question. Raises InputError for one that is none."""
        if what == "since":
            return self._since(**args)
        if what not in _ASKED:
            raise InputError(f"stage: there is no question '{what}'")
        answer = msgspec.json.encode(getattr(self._stage, what)(**args), enc_hook=_plain)
        for secret in self._secrets():
            answer = answer.replace(secret.encode(), HIDDEN.encode())
        return msgspec.Raw(answer)

    def _since(self, number: int) -> msgspec.Raw:
        """Give what was seen of the day from a number on: [first number, [[UTC ns, message], ...]]."""
        first, heard = self._seen.since(number, _MOST)
        return msgspec.Raw(msgspec.json.encode((first, [(now, encode(message)) for now, message in heard])))


def _plain(value: Any) -> Any:
    listed = getattr(value, "tolist", None)
    return listed() if listed is not None else str(value)


class RemoteStage:
    """The other end. Safe on any thread; raises ControlError while no daemon answers, and goes on when one does."""

    def __init__(self, home: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._home, self._monotonic = home, monotonic
        self._lock = threading.RLock()
        self._client: ControlClient | None = None
        self._kept: dict[tuple[Any, ...], tuple[float, Any]] = {}
        self._diary = Diary()
        self._next = 0
        self._session = ""

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""
        found: DaemonStatus = self._fresh("status", lambda: msgspec.convert(self._ask("status"), DaemonStatus))
        return found

    def book(self) -> DayBook:
        """Give the day under way, all that was seen of it up to now."""
        found: DayBook = self._fresh("book", self._caught_up)
        return found

    def tree(self) -> dict[str, Any]:
        """Give what the runtime counts."""
        found: dict[str, Any] = self._stage("tree")
        return found

    def hearers(self) -> list[dict[str, Any]]:
        """Say who hears which message and who sends it."""
        found: list[dict[str, Any]] = self._stage("hearers")
        return found

    def letters(self, path: str = "") -> list[dict[str, Any]]:
        """Give the last dead letters."""
        found: list[dict[str, Any]] = self._stage("letters", path=path)
        return found

    def snapshots(self, beginning: str) -> dict[str, dict[str, Any]]:
        """Give what these actors last said."""
        found: dict[str, dict[str, Any]] = self._stage("snapshots", beginning=beginning)
        return found

    def tail(self, path: str) -> list[dict[str, Any]]:
        """Give an actor's last messages."""
        found: list[dict[str, Any]] = self._stage("tail", path=path)
        return found

    def find(self, text: str) -> list[dict[str, Any]]:
        """Give the instruments a text means."""
        found: list[dict[str, Any]] = self._stage("find", text=text)
        return found

    def start_log(self) -> list[str]:
        """Give what was logged at the start."""
        found: list[str] = self._stage("start_log")
        return found

    def order(self, name: str, **args: str) -> str:
        """Pass an order on."""
        return str(self._ask(name, **args))

    def _stage(self, what: str, **args: str) -> Any:
        return self._fresh(what, lambda: self._ask(COMMAND, what=what, **args), **args)

    def _fresh(self, what: str, ask: Callable[[], Any], **args: str) -> Any:
        """Ask, unless there is an answer that is fresh enough."""
        key = (what, *args.values())
        with self._lock:
            at, answer = self._kept.get(key, (0.0, None))
            now = self._monotonic()
            if answer is None or now - at > _FRESH_S.get(what, 0.0):
                answer = ask()
                if what in _FRESH_S:
                    self._kept[key] = self._monotonic(), answer
            return answer

    def _ask(self, command: str, **args: Any) -> Any:
        with self._lock:
            if self._client is None:
                self._client = ControlClient(self._home)
            try:
                return self._client.ask(command, **args)
            except ControlError as error:
                if error.of_the_line:
                    self._client.close()
                    self._client = None
                raise

    def _caught_up(self) -> DayBook:
        session = self.status().session
        if session != self._session:
            self._diary, self._next, self._session = Diary(), 0, session
        while True:
            first, heard = msgspec.convert(
                self._ask(COMMAND, what="since", number=self._next), tuple[int, list[tuple[int, bytes]]]
            )
            for now, raw in heard:
                self._diary.take(now, decode(raw, _ANY_MESSAGE))
            self._next = first + len(heard)
            if len(heard) < _MOST:
                return self._diary.book
            time.sleep(_PAUSE_S)
