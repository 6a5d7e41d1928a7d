"""Who hears what: a topic is a message type and a key, e.g. (Bar, 'NSE|INDEX|NIFTY')."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Handler = Callable[[Any], None]
Put = Callable[[tuple[Handler, Any]], None]


class Topic:
    """One topic and its subscribers, in the order they subscribed.

    `targets` is replaced, never mutated, so a publish that is under way on another thread sees either the old
    subscribers or the new ones. An actor that publishes often keeps the topic object and saves the look-up.
    """

    __slots__ = ("key", "kind", "targets")

    def __init__(self, kind: type, key: str) -> None:
        self.kind = kind
        self.key = key
        self.targets: tuple[tuple[Put, Handler], ...] = ()

    def publish(self, message: Any) -> None:
        """Put the message into the mailbox of every subscriber."""
        for put, handler in self.targets:
            put((handler, message))

    def add(self, put: Put, handler: Handler) -> None:
        """Subscribe a bound handler; once only."""
        if all(known != handler for _, known in self.targets):
            self.targets = (*self.targets, (put, handler))

    def remove(self, actor: object) -> None:
        """Take every handler of this actor out."""
        self.targets = tuple(target for target in self.targets if _owner(target[1]) is not actor)

    def replace(self, old: object, new: object) -> None:
        """Point the handlers of a restarted actor at its successor, in the same places."""
        kept: dict[Handler, Put] = {}
        for put, handler in self.targets:
            heir = getattr(new, handler.__name__) if _owner(handler) is old else handler
            kept.setdefault(heir, put)  # the successor may have subscribed already, in its constructor
        self.targets = tuple((put, handler) for handler, put in kept.items())

    def __repr__(self) -> str:
        return f"<Topic {self.kind.__name__} {self.key!r} -> {len(self.targets)}>"


def _owner(handler: Handler) -> object:
    return getattr(handler, "__self__", None)
