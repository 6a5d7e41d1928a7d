"""What both runtimes share: the cast by path, topics, supervision, dead letters, watching, inspection."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import pykka
from loguru import logger
from pykka._envelope import Envelope
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

from sos_actors.messages import ActorBenched, ActorFailed, ActorReinstated, Reinstate, Terminated
from sos_actors.runtime.actor import Actor, Ref, Start, UnhandledMessageError, construct
from sos_actors.runtime.clock import ClockActor
from sos_actors.runtime.dead_letters import DeadLetter, DeadLetters
from sos_actors.runtime.supervision import RESTART, VITAL, Directive, FailureRecord, RestartPolicy
from sos_actors.runtime.topics import Port, Topic

#: What Pykka itself sends with `tell`: stop, and calls through a proxy that want no answer.
_PYKKA_MESSAGES = (_ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr)


class Dispatcher(Protocol):
    """Where an actor's messages wait: a queue that a loop drains."""

    name: str

    def put(self, item: tuple[Port, Any], /) -> None:
        """Append one delivery."""


class EscalatedError(Exception):
    """A vital actor failed: nothing may go on. Carries the failure; the process exits non-zero."""


@dataclass(slots=True)
class _Member:
    """One path of the cast: how to make the actor again, and who it is now."""

    kind: type[Actor]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    dispatcher: Dispatcher
    actor: Actor
    failures: FailureRecord
    benched: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class ActorStats:
    """Counters of one path over all its lives."""

    path: str
    kind: str
    group: str
    handled: int
    failures: int
    benched: bool
    stopped: bool
    restarts: int = 0


class Runtime:
    """A cast of actors and the queues between them. Use SimRuntime or LiveRuntime."""

    #: What a stage makes its clock and its topics of.
    clock_class: ClassVar[type[ClockActor]] = ClockActor
    topic_class: ClassVar[type[Topic]] = Topic

    def __init__(self, *, strict: bool = False) -> None:
        """With `strict`, a message nobody handles raises at its sender (tests); else it is a dead letter."""
        self.strict = strict
        self.clock: ClockActor
        self.dead_letters = DeadLetters()
        self.snapshots: dict[str, dict[str, Any]] = {}
        self._cast: dict[str, _Member] = {}
        self._topics: dict[tuple[type, str], Topic] = {}
        self._watchers: dict[str, list[str]] = {}
        #: What actors counted whose path another one has now, by kind: (handled, failures, restarts).
        self.former: dict[str, tuple[int, int, int]] = {}
        self.escalated: EscalatedError | None = None

    def start_clock(self) -> None:
        """Spawn the clock: the first of every cast, and vital."""
        self.spawn(self.clock_class, "clock", policy=VITAL)
        clock = self._cast["clock"].actor
        assert isinstance(clock, ClockActor)
        self.clock = clock

    # -- the cast ----------------------------------------------------------------------------------------------

    def dispatcher_for(self, group: str) -> Dispatcher:
        """Give the queue of a dispatch group."""
        raise NotImplementedError

    def spawn(
        self,
        kind: type[Actor],
        path: str,
        *args: Any,
        group: str = "core",
        policy: RestartPolicy = RESTART,
        **kwargs: Any,
    ) -> Ref:
        """Make and start an actor under a path; raises ValueError if it is taken.

        A path is free again when its actor has stopped for good, benched or not: whoever spawns decides.
        """
        former = self._cast.get(path)
        if former is not None:
            if not former.actor.closed:
                raise ValueError(f"there is an actor '{path}' already")
            self._forget(path)
        dispatcher = self.dispatcher_for(group)
        actor = construct(kind, self, path, dispatcher, args, kwargs)
        self._cast[path] = _Member(kind, args, kwargs, dispatcher, actor, FailureRecord(policy))
        self._start(actor)
        return self.ref(path)

    def _forget(self, path: str) -> None:
        """Free a path; what was counted under it goes on to count for its kind."""
        member = self._cast[path]
        kind = member.kind.__name__
        handled, failures, restarts = self.former.get(kind, (0, 0, 0))
        handled += sum(port.handled for port in member.actor.ports.values())
        self.former[kind] = handled, failures + member.failures.total, restarts + member.restarts
        del self._cast[path]

    def _start(self, actor: Actor) -> None:
        pykka.ActorRegistry.register(actor.actor_ref)
        actor._start_actor_loop()

    def ref(self, path: str) -> Ref:
        """Give the reference of a path; raises KeyError if there is none."""
        ref = self._cast[path].actor.actor_ref
        assert isinstance(ref, Ref)
        return ref

    def actor(self, path: str) -> Actor:
        """Give the actor object itself: for tests and for the runtime's own use between messages."""
        return self._cast[path].actor

    def member_at(self, path: str) -> Actor | None:
        """Give the actor object of a path, None without one."""
        member = self._cast.get(path)
        return None if member is None else member.actor

    def stats(self) -> list[ActorStats]:
        """Counters of every path, in the order of spawning."""
        return [
            ActorStats(
                path=path,
                kind=member.kind.__name__,
                group=member.dispatcher.name,
                handled=sum(port.handled for port in member.actor.ports.values()),
                failures=member.failures.total,
                benched=member.benched,
                stopped=member.actor.closed,
                restarts=member.restarts,
            )
            for path, member in self.members()
        ]

    def members(self) -> list[tuple[str, _Member]]:
        """Give path and entry of the whole cast, in the order of spawning; others may spawn meanwhile.

        Not a list of the dict's items: each is made anew, which can start a collection of garbage, and with it another
        thread, in the midst of the dict.
        """
        return [(member.actor.path, member) for member in list(self._cast.values())]

    # -- messages ----------------------------------------------------------------------------------------------

    def topic(self, kind: type, key: str = "") -> Topic:
        """Give the topic of (message type, key), making it if need be."""
        found = self._topics.get((kind, key))
        if found is None:
            found = self._topics.setdefault((kind, key), self.topic_class(kind, key))
        return found

    def subscribe(self, actor: Actor, kind: type, key: str = "") -> None:
        """Let an actor hear (kind, key); raises UnhandledMessageError if it has no handler for the type."""
        port = actor.ports.get(kind)
        if port is None:
            raise UnhandledMessageError(f"{actor.path} does not handle {kind.__name__}")
        self.topic(kind, key).add(actor.dispatcher.put, port)

    def tell(self, path: str, message: Any) -> None:
        """Send to the actor of a path."""
        self.deliver(self._cast[path].actor, message)

    def publish(self, message: Any, key: str = "") -> None:
        """Send to every subscriber of (type of the message, key)."""
        self.topic(type(message), key).publish(message)

    def publishing_together(self) -> AbstractContextManager[None]:
        """Let what is published within reach everybody ahead of what follows from it; on one thread it does anyhow."""
        return nullcontext()

    def deliver(self, actor: Actor, message: Any) -> None:
        """Queue a message for one actor."""
        port = actor.ports.get(type(message))
        if port is None:
            if isinstance(message, _PYKKA_MESSAGES):
                actor.actor_inbox.put(Envelope(message))
            else:
                self._unhandled(actor, message)
            return
        actor.dispatcher.put((port, message))

    def ask(self, actor: Actor, message: Any, *, block: bool, timeout: float | None) -> Any:
        """Queue an envelope and give its answer or, with block=False, a future."""
        future = self.future()
        if actor.closed:
            try:
                raise pykka.ActorDeadError(f"{actor} not found")
            except pykka.ActorDeadError:
                future.set_exception()
        else:
            actor.actor_inbox.put(Envelope(message, reply_to=future))
        return future.get(timeout=timeout) if block else future

    def run(self) -> None:
        """Play simulated time to its end. Raises EscalatedError when a vital actor failed."""
        raise NotImplementedError

    def future(self) -> pykka.Future[Any]:
        """Give a future whose `get` works on this runtime."""
        raise NotImplementedError

    def watch(self, watcher: str, target: str) -> None:
        """Tell `watcher` with a Terminated message when `target` has stopped for good."""
        self._watchers.setdefault(target, []).append(watcher)

    def _unhandled(self, actor: Actor, message: Any) -> None:
        if self.strict:
            raise UnhandledMessageError(f"{actor.path} does not handle {type(message).__name__}")
        self.dead_letters.add(DeadLetter(actor.path, message, "no handler", self.clock.now))

    # -- failures ----------------------------------------------------------------------------------------------

    def _refuse(self, actor: Actor, message: Any) -> None:
        """Take what still comes for a stopped actor: into the dead letters, but for word that it is taken back."""
        if isinstance(message, Reinstate) and self._cast[actor.path].benched:
            self.reinstate(actor, message)
        elif isinstance(message, Envelope):
            _answer_dead(actor, message)
        elif not isinstance(message, Start):
            self.dead_letters.add(DeadLetter(actor.path, message, "actor stopped", self.clock.now))

    def failed(self, actor: Actor, message: Any, error: Exception) -> None:
        """Judge a handler's exception: keep the letter, then restart, bench or escalate."""
        now = self.clock.now
        text = "".join(traceback.format_exception(error))
        self.dead_letters.add(DeadLetter(actor.path, message, "raised", now, text))
        member = self._cast[actor.path]
        verdict = member.failures.judge(now)
        logger.error("{} raised on {}: {!r} ({})", actor.path, type(message).__name__, error, verdict.value)
        try:
            actor.fail()
        except Exception as hook_error:  # noqa: BLE001 - a hook must not turn one failure into two
            logger.error("{}: on_failure raised {!r}", actor.path, hook_error)
        name = type(message).__name__
        if verdict is Directive.RESTART:
            self._succeed(member, actor)
        elif verdict is Directive.BENCH:
            self._bench(member, actor, f"{name}: {error!r}")
        else:
            self.escalated = EscalatedError(f"{actor.path} failed on {name}: {error!r}\n{text}")
        self.publish(ActorFailed(actor.path, now, name, repr(error), text))

    def reinstate(self, benched: Actor, message: Reinstate) -> None:
        """Put a fresh instance in a benched one's place, its failures forgiven; called where its messages are handled.

        What it counts up (failures, restarts) goes on; what is allowed begins anew. The bench was told, so this is.
        """
        member, now = self._cast[benched.path], self.clock.now
        member.benched = False
        member.failures.forgive()
        logger.info("{} is taken back: {}", benched.path, message.reason)
        if self._succeed(member, benched, late=True):
            self.publish(ActorReinstated(benched.path, now, message.reason))

    def _succeed(self, member: _Member, old: Actor, *, late: bool = False) -> bool:
        """Put a fresh instance in the old one's place: same path, same mailbox, same subscriptions.

        It takes up what the old one held (`late`: a while ago), and starts at once, before the mail that waits. Where
        that raises the path is benched, and the answer is False.
        """
        try:
            fresh = construct(member.kind, self, old.path, member.dispatcher, member.args, member.kwargs, old.ports)
            state = old.checkpoint()
            if state is not None:
                (fresh.rejoin if late else fresh.restore)(state)
        except Exception as error:  # noqa: BLE001 - the cast's own code
            self._bench(member, old, f"it could not be made again: {error!r}")
            return False
        member.actor = fresh
        member.restarts += 1
        for port in fresh.ports.values():
            port.point(fresh)
        pykka.ActorRegistry.register(fresh.actor_ref)
        try:
            fresh.on_start()
        except Exception as error:  # noqa: BLE001 - the cast's own code
            self.failed(fresh, None, error)
        return not member.benched

    def _bench(self, member: _Member, actor: Actor, reason: str) -> None:
        member.benched = True
        self.actor_stopped(actor, "benched")
        self.publish(ActorBenched(actor.path, self.clock.now, reason))

    def actor_stopped(self, actor: Actor, reason: str) -> None:
        """Forget a stopped actor's subscriptions, refuse its mail and tell its watchers."""
        for topic in list(self._topics.values()):
            topic.remove(actor)
        for port in actor.ports.values():
            port.shut(partial(self._refuse, actor))
        for watcher in self._watchers.pop(actor.path, ()):
            member = self._cast.get(watcher)
            if member is not None and not member.actor.closed:
                self.deliver(member.actor, Terminated(actor.path, reason))

    def close(self) -> None:
        """Stop every actor, the last spawned first, running its on_stop hook here and now."""
        for member in reversed(self._cast.values()):
            if not member.actor.closed:
                member.actor._stop()

    # -- observers ---------------------------------------------------------------------------------------------

    def reached(self, stage: str) -> None:
        """Count, where times are measured, how long ago that came in from outside which led here: a latency."""

    def publish_snapshots(self) -> None:
        """Let every actor say what it holds. Only called where no handler is running."""
        for path, member in self._cast.items():
            self.snapshots[path] = member.actor.inspect()

    def __iter__(self) -> Iterator[str]:
        """Give the paths of the cast, in the order of spawning."""
        return iter(self._cast)


def _answer_dead(actor: Actor, envelope: Envelope[Any]) -> None:
    """Give an asker whose actor is gone an ActorDeadError; a stop that comes twice is simply done."""
    if envelope.reply_to is None:
        return
    try:
        raise pykka.ActorDeadError(f"{actor} stopped before handling the message")
    except pykka.ActorDeadError:
        envelope.reply_to.set_exception()
