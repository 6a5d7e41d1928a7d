"""Who hears what: a topic is a message type and a key, e.g. (Bar, 'NSE|INDEX|NIFTY')."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Handler = Callable[[Any], None]


class Port:
    """Where messages of one type enter the actor of one path: what queues, timers and topics hold.

    A port stays when its actor is restarted: it is pointed at the successor, so that what waits reaches it. Its
    attributes are slots of one class, whatever the actor's, which the receive loops read three times as quickly
    as attributes of the actors. `handled` counts the messages over all lives.
    """

    __slots__ = ("actor", "handle", "handled", "method")

    def __init__(self, actor: Any, method: str) -> None:
        self.method = method
        self.handled = 0
        self.point(actor)

    def point(self, actor: Any) -> None:
        """Let messages go to this instance from now on."""
        self.actor = actor
        self.handle: Handler = getattr(actor, self.method)

    def shut(self, refuse: Handler) -> None:
        """Give what still comes to `refuse`, and do not count it as handled."""

        def handle(message: Any) -> None:
            self.handled -= 1
            refuse(message)

        self.handle = handle


class ControlPort(Port):
    """Where the own business of a group of actors enters, which is no message of the cast."""

    __slots__ = ()


Put = Callable[[tuple[Port, Any]], None]
Targets = tuple[tuple[Put, Port], ...]


class Topic:
    """One topic and its subscribers, in the order they subscribed.

    `publish(message)` puts the message into the mailbox of every subscriber. It is a function made for the present
    subscribers, so look it up anew each time; an actor that publishes often keeps the topic object. `targets` and
    `publish` are replaced, never mutated, so a publish that is under way on another thread sees either the old
    subscribers or the new ones.
    """

    __slots__ = ("_before", "_made", "key", "kind", "publish", "targets")

    def __init__(self, kind: type, key: str) -> None:
        self.kind = kind
        self.key = key
        self._made = self._before = _made_for(())
        self.targets, self.publish = self._made

    def _aim(self, targets: Targets) -> None:
        # What was before is kept: of a subscriber that comes and goes with every order nothing is made anew.
        made = self._before if self._before[0] == targets else self._make(targets)
        self._before, self._made = self._made, made
        self.targets, self.publish = made

    def _make(self, targets: Targets) -> tuple[Targets, Handler]:
        """Make the `publish` for these subscribers."""
        return _made_for(targets)

    def add(self, put: Put, port: Port) -> None:
        """Subscribe a port; once only."""
        target = (put, port)
        if target not in self.targets:
            self._aim((*self.targets, target))

    def remove(self, actor: object) -> None:
        """Take every port of this actor out."""
        targets = self.targets
        if len(targets) == 1:  # a subscriber that comes and goes with every order
            if targets[0][1].actor is actor:
                self._aim(())
            return
        kept = [target for target in targets if target[1].actor is not actor]
        if len(kept) != len(targets):
            self._aim(tuple(kept))

    def __repr__(self) -> str:
        return f"<Topic {self.kind.__name__} {self.key!r} -> {len(self.targets)}>"


def _made_for(targets: Targets) -> tuple[Targets, Handler]:
    """Make the `publish` for these subscribers.

    One or two are the usual case, written out because a loop over them costs twice as much on every bar.
    """
    if len(targets) == 1:
        ((put_one, only),) = targets

        def publish(message: Any) -> None:
            put_one((only, message))

    elif len(targets) == 2:
        (put_one, one), (put_two, two) = targets

        def publish(message: Any) -> None:
            put_one((one, message))
            put_two((two, message))

    else:

        def publish(message: Any) -> None:
            for put, port in targets:
                put((port, message))

    return targets, publish
