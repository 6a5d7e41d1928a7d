"""Causes before consequences: what goes to several threads is there for all of them before any acts on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Spreading:
    """The moment in which messages are put into the mailboxes of several groups.

    Whoever publishes does it within `publishing_together`; a thread that has taken a message lets what is `under_way`
    come to its end before it handles it. So a message reaches everybody ahead of what follows from it, as on the
    simulated stage. Without that a signal overtook the chain it came from, and its option was chosen and priced by the
    minute before (one threaded day in thirty on a busy machine).
    """

    __slots__ = ("_lock", "under_way")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        #: How many publishers are at it, one within the other; read without the lock.
        self.under_way = 0

    @contextmanager
    def publishing_together(self) -> Iterator[None]:
        """Let nobody handle what is published within before all of it is. Nothing in it may wait for an actor."""
        with self._lock:
            self.under_way += 1
            try:
                yield
            finally:
                self.under_way -= 1

    def wait(self) -> None:
        """Return once what is under way is in all its mailboxes."""
        with self._lock:
            pass
