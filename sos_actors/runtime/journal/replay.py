"""Replay: a recorded session run again in one thread, each message it sends compared with the one recorded.

The deliveries are made one after the other by their serial numbers, which is an order the threads could have taken: a
message has a higher number than the delivery that sent it. What came from outside, timers among it, is taken from the
record; what the cast sent is taken from the replayed cast and must be what the record has, in the same order on every
way from one group to another.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from sos_actors.messages import Stage
from sos_actors.messages.codec import decode
from sos_actors.runtime.actor import Actor, Start
from sos_actors.runtime.base import Runtime
from sos_actors.runtime.clock import ClockActor
from sos_actors.runtime.journal.answers import UnansweredError
from sos_actors.runtime.journal.checkpoints import Checkpoint
from sos_actors.runtime.journal.deliveries import OPAQUE, START, STOP, Delivery, body_of, kind_of
from sos_actors.runtime.journal.divergence import DivergenceError, ToldEdges, differs
from sos_actors.runtime.journal.flight import WINDOW, Made, Outlook, Past, look_ahead
from sos_actors.runtime.journal.format import JournalError
from sos_actors.runtime.journal.state_check import StateCheck
from sos_actors.runtime.topics import Port, Put, Topic
from sos_actors.runtime.worker import OUTSIDE

#: Puts the cast, or its next part, into a runtime: with the groups and the order of the recorded session.
Build = Callable[["ReplayRuntime"], Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay came to: how many messages and states of actors were compared, none of which differed.

    `stopped` says why it ended before the record did, '' if it did not.
    """

    deliveries: int
    compared: int
    run_hash: str
    stopped: str = ""
    states: int = 0


class ReplayClock(ClockActor):
    """Time as recorded. Timers are set in vain: that they fired is in the record."""

    def schedule(self, at: int, stage: Stage, actor: Actor, message: Any) -> int:
        """Give the timer's number."""
        del at, stage, actor, message
        self._seq += 1
        return self._seq

    def play(self, *args: Any, **kwargs: Any) -> None:
        """Leave the series alone: what was played of it is in the record."""


class _Way:
    """The mailbox of a group, which sorts what is put into it by where it comes from."""

    def __init__(self, name: str, runtime: ReplayRuntime) -> None:
        self.name = name
        self.put = partial(runtime.sent, name)


class ReplayTopic(Topic):
    """A topic that tells the replay what is said on it, also to nobody, and whose subscriptions change."""

    __slots__ = ("_runtime",)

    def __init__(self, kind: type, key: str, runtime: ReplayRuntime) -> None:
        self._runtime = runtime
        super().__init__(kind, key)
        self._listen()

    def _listen(self) -> None:
        to_targets, said = self.publish, self._runtime.said

        def publish(message: Any) -> None:
            said(message)
            to_targets(message)

        self.publish = publish

    def add(self, put: Put, port: Port) -> None:
        """Subscribe a port."""
        before = self.targets
        super().add(put, port)
        if self.targets is not before:
            self._listen()
            self._runtime.note_change(port.actor.path)

    def remove(self, actor: object) -> None:
        """Take every port of this actor out."""
        before = self.targets
        super().remove(actor)
        if self.targets is not before:
            self._listen()
            self._runtime.note_change(getattr(actor, "path", ""))


class ReplayRuntime(Runtime):
    """A cast that is handed recorded deliveries. What it is sent from outside a delivery is in the record already."""

    clock_class = ReplayClock

    def __init__(
        self, parts: Sequence[Build], edges: Iterable[str] = (), orders: Mapping[str, Collection[str]] | None = None,
        window: int = WINDOW,
    ) -> None:  # fmt: skip
        """`parts` build the cast: the first at once, each other when the record starts an actor not there yet.

        `edges`: first parts of the paths of actors that touch the world. They are not replayed, and what they sent
        is taken from the record. `orders`: by path of an edge, kinds of messages it always hears: none may be said that
        the record does not have there. (That what it has is said, is looked after for every edge and kind.)
        `window`: deliveries back for which everything is remembered.
        """
        self._edges = frozenset(edges)
        self._orders = dict(orders or {})
        self._told = ToldEdges({})
        self._too_many: DivergenceError | None = None
        self._ways: dict[str, _Way] = {}
        self._sent: defaultdict[tuple[str, str], deque[tuple[Made, Port, Any]]] = defaultdict(deque)
        self._starts: dict[str, tuple[Port, Any]] = {}
        self._window = window
        self._past = Past({}, window)
        #: The delivery that is made; None while the cast is put together.
        self._present: Made | None = None
        self.compared = 0
        #: By path: the deliveries that changed what it hears.
        self._changes: defaultdict[str, list[Made]] = defaultdict(list)
        #: By way from group to group: the last delivery of which something came on it.
        self._latest: dict[tuple[str, str], int] = {}
        super().__init__()
        self.start_clock()
        self._parts = deque(parts)
        if self._parts:
            self._parts.popleft()(self)

    @property
    def serial(self) -> int:
        """Number of the delivery that is made; OUTSIDE while the cast is put together."""
        return OUTSIDE if self._present is None else self._present.serial

    def dispatcher_for(self, group: str) -> _Way:
        """Give the group's mailbox."""
        return self._ways.setdefault(group, _Way(group, self))

    def sent(self, group: str, item: tuple[Port, Any]) -> None:
        """Take what the delivery now made sends to a group."""
        port, message = item
        if self._present is not None:
            if not self.is_edge(port.actor.path):
                self._sent[self._present.group, group].append((self._present, port, message))
        elif isinstance(message, Start):
            self._starts[port.actor.path] = item

    def topic(self, kind: type, key: str = "") -> Topic:
        """Give the topic of (message type, key), making it if need be."""
        found = self._topics.get((kind, key))
        if found is None:
            found = self._topics[kind, key] = ReplayTopic(kind, key, self)
        return found

    def said(self, message: Any) -> None:
        """Remember what the present delivery said on a topic."""
        present = self._present
        if present is None:
            return
        present.said.append(message)
        wrong = self._told.too_many(present.serial, present.group, message)
        if wrong and self._too_many is None:
            self._too_many = _parted(present, wrong)

    def note_change(self, path: str) -> None:
        """Remember that the present delivery changed what an actor hears."""
        if self._present is not None:
            self._changes[path].append(self._present)

    def expect(self, record: Iterable[Delivery]) -> Outlook:
        """Learn from the record what is to come, reading it through once."""
        outlook = look_ahead(record, self._orders, self._window)
        self._told, self._past = outlook.told, Past(outlook.late, self._window)
        return outlook

    def _at_once(self, path: str, cause: Made) -> bool:
        """Say whether what an actor hears was changed while, on another thread, delivery `cause` was being handled.

        Only then whether it heard what `cause` said was for the threads to settle, and the record knows.
        """
        return any(change.at_once_with(cause) for change in self._changes.get(path, ()))

    def future(self) -> pykka.Future[Any]:
        """Give a future; nobody waits for it."""
        return pykka.ThreadingFuture()

    def run(self) -> None:
        """Never called: time is in the record."""
        raise RuntimeError("a replay is driven by its record")

    def is_edge(self, path: str) -> bool:
        """Say whether an actor is left out."""
        return path.partition("/")[0] in self._edges

    def deliver_recorded(self, one: Delivery) -> None:
        """Make one delivery. Raises DivergenceError, JournalError."""
        self._deliver(one)
        self._past.done(one)
        if self._too_many is not None:
            raise self._too_many

    def _deliver(self, one: Delivery) -> None:
        edge = self.is_edge(one.path)
        cause = self._past.get(one.cause)
        if cause is None and one.cause >= 0:
            raise JournalError(f"delivery {one.serial} to {one.path} comes of delivery {one.cause}, which was not made")
        made = self._past.add(one, "" if edge else one.group)
        if cause is not None:
            self._latest[cause.group, one.group] = cause.serial
        own = cause if cause is not None and cause.group else None
        if edge:
            if own is not None:
                self._check_edge(one, own)
            return
        port, message = self._from_record(one) if own is None else self._own(one, own)
        self.clock.now = one.now
        self._present = made
        port.handled += 1
        try:
            port.handle(message)
        except UnansweredError:
            raise
        except Exception as error:  # noqa: BLE001 - supervision decides, as it did
            self.failed(port.actor, message, error)
        finally:
            self._present = None

    def _check_edge(self, one: Delivery, cause: Made) -> None:
        """See that what the replayed cast said to an edge is what was recorded: the orders it sent, above all."""
        if one.kind in {START, STOP}:
            return
        likely: Any = None
        for message in cause.said:
            if kind_of(message) == one.kind:
                if body_of(message) == one.body:
                    self.compared += 1
                    return
                likely = message
        if likely is not None:
            raise differs(cause.serial, cause.path, one.body, likely)
        raise _parted(cause, f"did not send the {one.kind} to {one.path} that was recorded")

    def _own(self, one: Delivery, cause: Made) -> tuple[Port, Any]:
        """Give what the replayed cast sent; it must be what was recorded."""
        way = self._sent[cause.group, one.group]
        while way and way[0][0].serial <= one.cause and not self._is_next(way[0], one):
            sender, port, message = way[0]
            kind, path = kind_of(message), port.actor.path
            if not self._at_once(path, sender):
                if sender is cause and not self._at_once(one.path, cause):
                    raise _parted(cause, f"sent a {kind} to {path}, recorded is {one.kind} to {one.path}")
                if sender is not cause:
                    raise _parted(sender, f"sent a {kind} to {path}, which the record does not have")
                break
            way.popleft()
        if way and self._is_next(way[0], one):
            _, port, message = way.popleft()
        else:
            port, message = self._overheard(one, cause)
        if body_of(message) != one.body:
            raise differs(cause.serial, cause.path, one.body, message)
        self.compared += 1
        return port, message

    def _is_next(self, sent: tuple[Made, Port, Any], one: Delivery) -> bool:
        cause, port, message = sent
        return (cause.serial, port.actor.path, kind_of(message)) == (one.cause, one.path, one.kind)

    def _overheard(self, one: Delivery, cause: Made) -> tuple[Port, Any]:
        """Find what a delivery said while the one who heard it was just subscribing on another thread."""
        if self._at_once(one.path, cause):
            for message in cause.said:
                if kind_of(message) == one.kind and body_of(message) == one.body:
                    return self._cast[one.path].actor.ports[type(message)], message
        raise _parted(cause, f"did not send the {one.kind} to {one.path} that was recorded")

    def _from_record(self, one: Delivery) -> tuple[Port, Any]:
        """Give what came from outside."""
        if one.kind == START:
            if one.path not in self._starts and self._parts:
                self._parts.popleft()(self)
            found = self._starts.pop(one.path, None)
            if found is None:
                raise DivergenceError(
                    one.serial, one.path, "was started, and is not in the cast that was built for the replay"
                )
            return found
        member = self._cast.get(one.path)
        if member is None:
            raise DivergenceError(one.serial, one.path, f"was given a {one.kind}, and is not in the cast of the replay")
        ports = member.actor.ports
        if one.kind == STOP:
            return ports[Envelope], Envelope(_ActorStop())
        if one.kind == OPAQUE:
            what = msgspec.msgpack.decode(one.body)[1]
            raise JournalError(f"delivery {one.serial} to {one.path}: {what} cannot be made again from a record")
        for kind, port in ports.items():
            if kind.__name__ == one.kind:
                return port, _read(one, kind)
        raise DivergenceError(one.serial, one.path, f"was given a {one.kind}, which it does not handle")

    def check_rest(self) -> None:
        """See that nothing was sent which the record should have: of each way what lies before its last cause."""
        for way, waiting in self._sent.items():
            for cause, port, message in waiting:
                path = port.actor.path
                if cause.serial < self._latest.get(way, -1) and not self._at_once(path, cause):
                    raise _parted(cause, f"sent a {kind_of(message)} to {path}, which the record does not have")


def _parted(made: Made, text: str) -> DivergenceError:
    return DivergenceError(made.serial, made.path, text)


def _read(one: Delivery, kind: type) -> Any:
    try:
        return decode(one.body, kind)
    except msgspec.MsgspecError as error:
        raise JournalError(f"delivery {one.serial} to {one.path}: a {one.kind} that cannot be read: {error}") from None


def replay(
    record: Iterable[Delivery | Checkpoint],
    runtime: ReplayRuntime,
    before: Callable[[Delivery], bool] = lambda _: True,
) -> Outcome:
    """Run a record again. Raises DivergenceError at the first difference, JournalError for what cannot be replayed.

    The record is gone through twice, and never held: once to learn what is to come, once to do it. `before` is called
    before each delivery; when it gives False the replay ends there. A record in which a thread was given up is replayed
    up to the message that hung. Of checkpoints among the deliveries, each is compared while its group stands there.
    """
    digest = hashlib.blake2b(digest_size=16)
    states = StateCheck(runtime.member_at)
    outlook = runtime.expect(one for one in record if isinstance(one, Delivery))
    made = 0

    def ended(why: str) -> Outcome:
        return Outcome(made, runtime.compared, digest.hexdigest(), why, states.compared)

    for one in record:
        if isinstance(one, Checkpoint):
            if not runtime.is_edge(one.path):
                states.take(one, made)
            continue
        if made == outlook.end:
            break
        if not before(one):
            return ended("stopped where that was asked for")
        try:
            runtime.deliver_recorded(one)
        except UnansweredError as error:
            if outlook.last_of[one.group] > one.serial:
                raise DivergenceError(one.serial, one.path, str(error)) from None
            return ended(
                f"the record ends within delivery {one.serial} ({one.path}): what it was answered is not in it"
            )
        made += 1
        states.made(one.serial)
        digest.update(f"{one.path} {one.kind} {one.now} {len(one.body)} ".encode() + one.body)
    runtime.check_rest()
    return ended(outlook.stopped)
