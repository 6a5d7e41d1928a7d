"""The stage of another process: its daemon's end is a command of the control socket, this end a client of it.

So pages and streams need not share an interpreter with the trading: the daemon answers a few short questions a second,
and gives each bar, chain and decision away once, however many look at them.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import operator
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from sos_actors.control.client import ControlClient
from sos_actors.control.protocol import ControlError, plain
from sos_actors.control.status import DaemonStatus
from sos_actors.decoding import converted
from sos_actors.errors import InputError, SosError
from sos_actors.messages import decode, encode
from sos_actors.web.daybook import WRITTEN, DayBook, Diary
from sos_actors.web.earlier import ReadEarlier
from sos_actors.web.observer import Observed
from sos_actors.web.redact import HIDDEN
from sos_actors.web.stage import LocalStage

#: Name of the daemon's command.
COMMAND = "stage"
_ASKED = frozenset({"status", "tree", "strategies", "hearers", "letters", "snapshots", "tail", "find", "start_log"})
#: Messages of the day given away at once: some milliseconds of the daemon's time.
_MOST = 1_000
#: Seconds an answer is good for, however many pages ask. Actors say once a second what they hold (`snapshot_s`), so
#: nothing is gained by asking more often; of what is dear, less often is enough for the eye.
_GOOD_S = {
    "status": 0.9,
    "since": 0.9,
    "snapshots": 0.9,
    "strategies": 0.9,
    "letters": 1.9,
    "tree": 1.9,
    "hearers": 4.9,
}
#: Part of the daemon's time one kind of question may take: the tree of many hundreds of actors is asked less often.
_SHARE = 0.004
#: Seconds for which a question that nobody has asked again is asked along with others.
_LEASE_S = 3.0
#: Seconds before its time at which a question goes along with others: one question a second, not one for each.
_EARLY_S = 0.5
#: Seconds for which the daemon's state waits for other questions, before it is asked on a line of its own.
_PATIENCE_S = 1.0
#: Of an answer's working out so many nanoseconds at a time, then a pause of so many seconds.
_BREATH_NS, _PAUSE_S = 200_000, 0.002
_ANY_MESSAGE: Any = functools.reduce(operator.or_, WRITTEN)


class StageCommand:
    """The daemon's end: answers what a RemoteStage asks. Known secrets leave in no answer."""

    def __init__(self, stage: LocalStage, seen: Observed, secrets: Callable[[], Iterable[str]]) -> None:
        self._stage, self._seen, self._secrets = stage, seen, secrets

    def __call__(self, what: str, **args: Any) -> msgspec.Raw:
        """Answer one question, or a round of them. Raises InputError for one that is none."""
        return self._round(**args) if what == "round" else self._one(what, **args)

    def _round(self, questions: list[tuple[str, dict[str, Any]]]) -> msgspec.Raw:
        """Answer several in turn: for each whether it could be, the answer or why not, seconds of processor it took."""
        answers = []
        for what, args in questions:
            began = time.thread_time()
            try:
                good, answer = True, self._one(what, **args)
            except SosError as error:
                good, answer = False, msgspec.Raw(msgspec.json.encode(str(error)))
            answers.append((good, answer, time.thread_time() - began))
        return msgspec.Raw(msgspec.json.encode(answers))

    def _one(self, what: str, **args: Any) -> msgspec.Raw:
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
        return msgspec.json.encode(answer | {"actors": _rows(answer["actors"])}, enc_hook=plain)
    if isinstance(answer, list):
        return msgspec.json.encode(_rows(answer))
    if isinstance(answer, dict):
        return msgspec.json.encode(dict(zip(answer, _rows(answer.values()), strict=True)))
    return msgspec.json.encode(answer, enc_hook=plain)


def _rows(values: Iterable[Any]) -> list[msgspec.Raw]:
    found = []
    for value in values:
        found.append(msgspec.Raw(msgspec.json.encode(value, enc_hook=plain)))
        breathe()
    return found


class RemoteStage:
    """The other end. Safe on any thread; raises ControlError while no daemon answers, and goes on when one does.

    What pages ask for again and again is asked of the daemon together, in one round a second, whatever the number of
    pages: each question is a moment in which a thread of the daemon wants the interpreter. Nothing is asked that no
    page wants. An order has a line of its own: neither a question under way nor a long day being read holds it up.
    """

    def __init__(
        self, home: Path, monotonic: Callable[[], float] = time.monotonic, *, earlier: ReadEarlier | None = None
    ) -> None:
        """`earlier` reads what was done on the day before the daemon was started: on a thread of its own."""
        self._earlier = earlier
        self._completed: tuple[str, dt.date | None] = "", None
        self._home, self._monotonic = home, monotonic
        self._lock = threading.RLock()
        self._client: ControlClient | None = None
        #: What was answered before the last order is out of date.
        self._ordered_at = -math.inf
        #: By question: when it was answered, and how; when somebody last wanted to know.
        self._answers: dict[_Question, tuple[float, Any]] = {}
        self._wanted: dict[_Question, float] = {}
        #: By kind of question: seconds of the daemon's processor the last answer took.
        self._cost: dict[str, float] = {}
        self._diary = Diary()
        self._next = 0
        self._session = ""

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""
        if not self._lock.acquire(timeout=_PATIENCE_S):  # a question that takes long is under way
            return converted(self._alone(COMMAND, what="status"), DaemonStatus)
        try:
            found: DaemonStatus = self._now(_STATUS)
            return found
        finally:
            self._lock.release()

    def book(self) -> DayBook:
        """Give the day under way, all that was seen of it up to now."""
        with self._lock:
            self._now(_SINCE)
            return self._diary.book

    def tree(self) -> dict[str, Any]:
        """Give what the runtime counts."""
        found: dict[str, Any] = self._now(("tree", ()))
        return found

    def strategies(self) -> list[tuple[str, str]]:
        """Give path and state of every strategy."""
        return [(path, state) for path, state in self._now(("strategies", ()))]

    def hearers(self) -> list[dict[str, Any]]:
        """Say who hears which message and who sends it."""
        found: list[dict[str, Any]] = self._now(("hearers", ()))
        return found

    def letters(self, path: str = "") -> list[dict[str, Any]]:
        """Give the last dead letters."""
        found: list[dict[str, Any]] = self._now(("letters", (("path", path),)))
        return found

    def snapshots(self, beginning: str) -> dict[str, dict[str, Any]]:
        """Give what these actors last said."""
        found: dict[str, dict[str, Any]] = self._now(("snapshots", (("beginning", beginning),)))
        return found

    def tail(self, path: str) -> list[dict[str, Any]]:
        """Give an actor's last messages."""
        found: list[dict[str, Any]] = self._ask(COMMAND, what="tail", path=path)
        return found

    def find(self, text: str) -> list[dict[str, Any]]:
        """Give the instruments a text means."""
        found: list[dict[str, Any]] = self._ask(COMMAND, what="find", text=text)
        return found

    def start_log(self) -> list[str]:
        """Give what was logged at the start."""
        found: list[str] = self._ask(COMMAND, what="start_log")
        return found

    def order(self, name: str, **args: str) -> str:
        """Pass an order on. What was answered before it is out of date."""
        try:
            return str(self._alone(name, **args))
        finally:
            self._ordered_at = self._monotonic()

    def close(self) -> None:
        """Leave."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _now(self, question: _Question) -> Any:
        """Give an answer that is fresh enough."""
        with self._lock:
            now = self._monotonic()
            self._wanted[question] = now
            if self._age(question, now) > 0.0:
                self._ask_round(question, now)
            return self._answers[question][1]

    def _age(self, question: _Question, now: float) -> float:
        """Say by how many seconds an answer is too old; below 0 it is good for so long."""
        found, what = self._answers.get(question), question[0]
        if found is None or found[0] <= self._ordered_at:
            return 1e9
        return now - found[0] - max(_GOOD_S[what], self._cost.get(what, 0.0) / _SHARE)

    def _ask_round(self, first: _Question, now: float) -> None:
        """Ask the daemon a question, and with it what others wanted lately and will want anew."""
        self._wanted = {question: at for question, at in self._wanted.items() if now - at < _LEASE_S}
        others = [one for one in self._wanted if one not in {first, _STATUS} and self._age(one, now) > -_EARLY_S]
        questions = [_STATUS, *([] if first == _STATUS else [first]), *others]
        asked = [(what, dict(args) | ({"number": self._next} if what == "since" else {})) for what, args in questions]
        session = self._session
        said = self._ask(COMMAND, what="round", questions=asked)
        at = self._monotonic()
        for question, (good, answer, cost) in zip(questions, said, strict=True):
            self._cost[question[0]] = cost
            if good and question == _SINCE and session not in {"", self._session}:
                # the number asked from was another session's
                self._write(self._ask(COMMAND, what="since", number=0))
                self._answers[question] = at, None
            elif good:
                self._answers[question] = at, self._taken(question, answer)
            else:
                self._answers.pop(question, None)
                if question == first:
                    raise ControlError(answer, of_the_line=False)

    def _taken(self, question: _Question, answer: Any) -> Any:
        if question == _STATUS:
            status = converted(answer, DaemonStatus)
            if status.session != self._session:  # what is told since is another session's
                self._diary, self._next, self._session = Diary(), 0, status.session
            return status
        if question == _SINCE:
            self._write(answer)
            return None
        return answer

    def _write(self, answer: Any) -> None:
        """Write what was seen of the day into the diary, all there is up to now."""
        while True:
            first, heard = converted(answer, tuple[int, list[tuple[int, bytes]]])
            for now, raw in heard:
                self._diary.take(now, decode(raw, _ANY_MESSAGE))
            self._next = first + len(heard)
            if len(heard) < _MOST:
                self._complete()
                return
            time.sleep(_PAUSE_S)
            answer = self._ask(COMMAND, what="since", number=self._next)

    def _complete(self) -> None:
        """Have what was done on a new book's day before this session read, once."""
        book, key = self._diary.book, (self._session, self._diary.book.day)
        if self._earlier is None or book.day is None or key == self._completed:
            return
        self._completed = key
        threading.Thread(target=self._read_earlier, args=(book, *key), name="sos-earlier", daemon=True).start()

    def _read_earlier(self, book: DayBook, session: str, day: dt.date) -> None:
        assert self._earlier is not None
        earlier = self._earlier(day, session)
        with self._lock:
            book.go_before(earlier)

    def _ask(self, command: str, **args: Any) -> Any:
        """Ask on the line that is kept. One the daemon has closed, idle or started again, is replaced once."""
        with self._lock:
            kept = self._client is not None
            if self._client is None:
                self._client = ControlClient(self._home)
            try:
                return self._client.ask(command, **args)
            except ControlError as error:
                if not error.of_the_line:
                    raise
                self.close()
                if not kept or error.late:
                    raise
            return self._ask(command, **args)

    def _alone(self, command: str, **args: Any) -> Any:
        """Ask on a line of its own, which waits for no other question."""
        with ControlClient(self._home) as client:
            return client.ask(command, **args)


#: A question and what it is asked with.
_Question = tuple[str, tuple[tuple[str, str], ...]]
_STATUS: _Question = ("status", ())
_SINCE: _Question = ("since", ())
