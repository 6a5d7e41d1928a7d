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
_FRESH_S = {"status": 0.2, "book": 0.2, "snapshots": 0.2, "tree": 0.9, "hearers": 2.9}
#: Of an answer's working out so many nanoseconds at a time, then a pause of so many seconds.
_BREATH_NS, _PAUSE_S = 200_000, 0.002
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
        answer = _encoded(getattr(self._stage, what)(**args))
        for secret in self._secrets():
            answer = answer.replace(secret.encode(), HIDDEN.encode())
        return msgspec.Raw(answer)

    def _since(self, number: int) -> msgspec.Raw:
        """Give what was seen of the day from a number on: [first number, [[UTC ns, message], ...]]."""
        first, heard = self._seen.since(number, _MOST)
        rows = []
        for now, message in heard:
            rows.append(msgspec.Raw(msgspec.json.encode((now, encode(message)))))
            breathe()
        return msgspec.Raw(msgspec.json.encode((first, rows)))


class _Breath:
    """Lets the trading threads have the interpreter: a pause after each so many nanoseconds of a thread's work."""

    def __init__(self) -> None:
        self._here = threading.local()

    def __call__(self) -> None:
        """Pause, if it is time."""
        now = time.monotonic_ns()
        if now - getattr(self._here, "since", 0) > _BREATH_NS:
            time.sleep(_PAUSE_S)
            now = time.monotonic_ns()
            self._here.since = now


#: For the daemon's end: a tick waits for a slice of an answer, never for a whole one.
breathe = _Breath()


def _encoded(answer: Any) -> bytes:
    """Encode an answer a part at a time, each of them whole."""
    if isinstance(answer, dict) and "actors" in answer:
        return msgspec.json.encode(answer | {"actors": _rows(answer["actors"])}, enc_hook=_plain)
    if isinstance(answer, list):
        return msgspec.json.encode(_rows(answer))
    if isinstance(answer, dict):
        return msgspec.json.encode(dict(zip(answer, _rows(answer.values()), strict=True)))
    return msgspec.json.encode(answer, enc_hook=_plain)


def _rows(values: Iterable[Any]) -> list[msgspec.Raw]:
    found = []
    for value in values:
        found.append(msgspec.Raw(msgspec.json.encode(value, enc_hook=_plain)))
        breathe()
    return found


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

    def close(self) -> None:
        """Leave."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

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
                    self.close()
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
