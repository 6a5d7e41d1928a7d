"""The actor: a `pykka.Actor` whose mailbox belongs to a runtime, and its reference.

Pykka gives registry, references, proxies, futures and lifecycle hooks. What it lets an implementor replace is
replaced here, because its defaults cost: the inbox, `tell`, and the receive loop (see docs/architecture.md for
the figures). A message goes into the runtime's queue as `(port, message)`; Pykka's own envelopes (proxy calls, `ask`,
stop) travel in the same queue, so their order among other messages is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pykka
from pykka._envelope import Envelope

from sos_actors.messages import Reinstate
from sos_actors.runtime.topics import Port, Topic

if TYPE_CHECKING:
    from sos_actors.runtime.base import Dispatcher, Runtime
    from sos_actors.runtime.clock import ClockActor

H = TypeVar("H", bound=Callable[..., None])


def handles(*kinds: type) -> Callable[[H], H]:
    """Mark a method as the handler of these message types."""

    def mark(method: H) -> H:
        method.__dict__["handled_types"] = kinds
        return method

    return mark


class Start:
    """The first message of every actor: run the start hook."""


#: What every actor hears besides what its class says: its start, Pykka's own envelopes, and that it is taken back.
_PLUMBING: dict[type, str] = {Start: "run_on_start", Envelope: "receive_envelope", Reinstate: "hear_reinstate"}


class UnhandledMessageError(TypeError):
    """A message was sent to an actor that has no handler for its type: a mistake of the sender."""


class Inbox:
    """What Pykka calls an inbox: puts an envelope into the runtime's queue. Nothing is ever read from it."""

    __slots__ = ("actor",)

    def __init__(self, actor: Actor) -> None:
        self.actor = actor

    def put(self, envelope: Envelope[Any], /) -> None:
        """Queue an envelope (a proxy call, an ask, a stop)."""
        self.actor.dispatcher.put((self.actor.ports[Envelope], envelope))

    def get(self) -> Envelope[Any]:
        """Never called: the runtime delivers."""
        raise RuntimeError("the runtime delivers messages; an inbox is not read")

    def empty(self) -> bool:
        """Nothing waits here: what waits, waits in the runtime."""
        return True


class Ref(pykka.ActorRef["Actor"]):
    """Reference to a path of the cast: stays good when the actor there is restarted.

    `tell` goes straight to the handler's place in the runtime's queue.
    """

    def __init__(self, actor: Actor) -> None:
        super().__init__(actor)
        self._runtime = actor.runtime
        self._cast = actor.runtime._cast

    def tell(self, message: Any) -> None:
        """Send a message. Never blocks. Raises UnhandledMessageError for a type the actor does not handle.

        A stopped actor's mail goes to the dead letters, where it can be seen, rather than up the sender's stack.
        """
        actor = self._cast[self.actor_urn].actor
        port = actor.ports.get(type(message))
        if port is None:
            self._runtime.deliver(actor, message)
        else:  # what `deliver` does: written out, for two calls cost as much as all the rest
            actor.dispatcher.put((port, message))

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Send a message and get the answer: for edges and tests, never between actors (they would deadlock)."""
        runtime = self._runtime
        return runtime.ask(runtime.actor(self.actor_urn), message, block=block, timeout=timeout)

    def is_alive(self) -> bool:
        """Say whether an actor is at work under this path."""
        return not self._runtime.actor(self.actor_urn).closed


class Actor(pykka.Actor):
    """Base of the cast. Subclasses mark their handlers with `@handles(Message)` and are made by `Runtime.spawn`."""

    #: message type -> name of the method that handles it; built once a class.
    handler_names: ClassVar[dict[type, str]] = {}
    #: Fields of `inspect` that follow from something that is in no message (a wall clock, the timers that wait): a
    #: replay does not compare them. To be said with the reason, and not to be used for what could be sent.
    unreplayed: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        table = dict(cls.handler_names)
        for name, member in vars(cls).items():
            for kind in getattr(member, "handled_types", ()):
                table[kind] = name
        cls.handler_names = table

    def __init__(self) -> None:
        runtime, path, dispatcher, ports = _births[-1] if _births else (None, "", None, None)
        if runtime is None or dispatcher is None:
            raise RuntimeError(f"{type(self).__name__} is made by Runtime.spawn(), not by calling it")
        self.runtime: Runtime = runtime
        self.path: str = path
        self.dispatcher: Dispatcher = dispatcher
        self.clock: ClockActor = getattr(runtime, "clock", self)  # type: ignore[arg-type]  # only the clock has none yet
        super().__init__()
        self.actor_urn = path
        self.actor_inbox = Inbox(self)
        self._actor_ref = Ref(self)
        self.closed = False
        #: By message type. They belong to the path: a restarted actor takes over those of the life before.
        self.ports: dict[type, Port] = ports or {
            kind: Port(self, name) for kind, name in (_PLUMBING | type(self).handler_names).items()
        }

    def topic(self, kind: type, key: str = "") -> Topic:
        """Give the topic itself, for an actor that publishes to it often."""
        return self.runtime.topic(kind, key)

    def publish(self, message: Any, key: str = "") -> None:
        """Send to every subscriber of (type of the message, key)."""
        self.runtime.topic(type(message), key).publish(message)

    def subscribe(self, kind: type, key: str = "") -> None:
        """Hear (kind, key) from now on."""
        self.runtime.subscribe(self, kind, key)

    def hear(self, topic: Topic) -> None:
        """Hear a topic from now on whose object is at hand; `topic.remove(self)` ends it."""
        topic.add(self.dispatcher.put, self.ports[topic.kind])

    def unsubscribe(self, kind: type, key: str = "") -> None:
        """Stop hearing (kind, key)."""
        self.runtime.topic(kind, key).remove(self)

    def inspect(self) -> dict[str, Any]:
        """Say what the actor holds, as plain data for observers and for the record. Called between messages only.

        What is given is the caller's: the actor does not change it later. It is a function of the messages the actor
        has handled, for a replay compares it; what cannot be is named in `unreplayed`.
        """
        return {}

    def checkpoint(self) -> Any:
        """Give what a restart in place must not lose, asked after a handler raised; None where all comes anew."""
        return None

    def restore(self, state: Any) -> None:
        """Take up, in a fresh instance and before its start, what `checkpoint` gave (never None)."""

    def rejoin(self, state: Any) -> None:
        """Take up, in a fresh instance and before its start, what the life before held when it was benched.

        Unlike at a restart, messages were missed since: what they would have changed must not be gone on from.
        """
        self.restore(state)

    def hear_reinstate(self, _: Reinstate) -> None:
        """Take no notice, being at work: of one that was benched the runtime takes the message."""

    def receive_envelope(self, envelope: Envelope[Any]) -> None:
        """Handle one of Pykka's envelopes: stop, proxy call, ask. Errors of an ask go to the asker."""
        try:
            answer = self._handle_receive(envelope.message)
        except Exception:
            if envelope.reply_to is None:
                raise
            envelope.reply_to.set_exception()
        else:
            if envelope.reply_to is not None:
                envelope.reply_to.set(answer)

    def run_on_start(self, _: Start) -> None:
        """Run the start hook as the actor's first message."""
        self.on_start()

    def on_receive(self, message: Any) -> Any:
        """Handle a message that came by `ask` with the same method as any other."""
        name = self.handler_names.get(type(message))
        if name is None:
            raise UnhandledMessageError(f"{self.path} does not handle {type(message).__name__}")
        return getattr(self, name)(message)

    def _stop(self) -> None:
        """Stop at once: what still waits for this actor becomes dead letters, its watchers are told."""
        self.closed = True
        super()._stop()
        self.runtime.actor_stopped(self, "stopped")

    def fail(self) -> None:
        """Run Pykka's failure hook for the exception being handled and mark this instance as gone."""
        self.closed = True
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        self.on_failure(*sys.exc_info())

    def _start_actor_loop(self) -> None:
        self.dispatcher.put((self.ports[Start], Start()))

    @staticmethod
    def _create_actor_inbox() -> Any:
        return None  # __init__ sets the real one: it needs the instance

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def __str__(self) -> str:
        return f"{type(self).__name__} ({self.path})"


#: The runtime, path, dispatcher and ports (of an earlier life) of the actor being constructed, innermost last.
_births: list[tuple[Any, str, Any, dict[type, Port] | None]] = []


def construct(
    kind: type[Actor],
    runtime: Runtime,
    path: str,
    dispatcher: Dispatcher,
    args: Any,
    kwargs: Any,
    ports: dict[type, Port] | None = None,
) -> Actor:
    """Make an actor instance that belongs to `runtime`, without starting it.

    `ports` of an earlier life are taken over, and still lead there until they are pointed at the new instance.
    """
    _births.append((runtime, path, dispatcher, ports))
    try:
        return kind(*args, **kwargs)
    finally:
        _births.pop()
