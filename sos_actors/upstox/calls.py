"""Requests that wait for a thread: exits before all else, those about one order one after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from loguru import logger

T = TypeVar("T")


class _Waiting(NamedTuple, Generic[T]):
    call: T
    urgent: bool


class CallQueue(Generic[T]):
    """What is to be done next. Pure; used under a lock.

    Calls of one key are handed out in the order they came, one at a time. A key with an urgent call among those that
    wait goes before every key without: what stands before the urgent call has to be done first.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[_Waiting[T]]] = {}
        self._running: dict[str, None] = {}
        self._urgent: deque[str] = deque()
        self._normal: deque[str] = deque()

    def __len__(self) -> int:
        return sum(len(chain) for chain in self._waiting.values())

    def put(self, key: str, call: T, *, urgent: bool = False) -> None:
        """Add a call."""
        chain = self._waiting.setdefault(key, deque())
        chain.append(_Waiting(call, urgent))
        if key in self._running or key in self._urgent:
            return
        if urgent and key in self._normal:
            self._normal.remove(key)
        if urgent:
            self._urgent.append(key)
        elif key not in self._normal:
            self._normal.append(key)

    def take(self, *, urgent_only: bool = False) -> tuple[str, T] | None:
        """Give the next call and its key, which is busy until `done`; None where there is nothing to do."""
        keys = self._urgent or (None if urgent_only else self._normal)
        if not keys:
            return None
        key = keys.popleft()
        chain = self._waiting[key]
        found = chain.popleft()
        if not chain:
            del self._waiting[key]
        self._running[key] = None
        return key, found.call

    def done(self, key: str) -> None:
        """Let the next call of a key go."""
        del self._running[key]
        chain = self._waiting.get(key)
        if chain is not None:
            (self._urgent if any(one.urgent for one in chain) else self._normal).append(key)

    def clear(self) -> list[T]:
        """Take out all that waits."""
        left = [one.call for chain in self._waiting.values() for one in chain]
        self._waiting.clear()
        self._urgent.clear()
        self._normal.clear()
        return left


class Workers(Generic[T]):
    """Threads that do the calls of one queue. With `reserved`, the first of them does urgent calls only."""

    def __init__(self, name: str, count: int, work: Callable[[T], None], *, reserved: bool = False) -> None:
        self._work = work
        self._queue: CallQueue[T] = CallQueue()
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._loop, args=(reserved and n == 0,), name=f"sos-{name}-{n}", daemon=True)
            for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        with self._changed:
            return len(self._queue)

    def put(self, key: str, call: T, *, urgent: bool = False) -> bool:
        """Add a call; False when the threads have been told to end, and nobody will do it."""
        with self._changed:
            if self._stopping:
                return False
            self._queue.put(key, call, urgent=urgent)
            self._changed.notify_all()
            return True

    def stop(self) -> list[T]:
        """Let the threads end, each after the call it is at. Gives the calls that nobody will do now."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            return self._queue.clear()

    def join(self, timeout: float) -> bool:
        """Wait for each thread to end, `timeout` seconds at most; False when one has not."""
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self, urgent_only: bool) -> None:
        while True:
            with self._changed:
                while (taken := self._queue.take(urgent_only=urgent_only)) is None:
                    if self._stopping:
                        return
                    self._changed.wait()
            key, call = taken
            try:
                self._work(call)
            except Exception as error:  # noqa: BLE001 - a thread of the pool outlives any call
                logger.error("{}: a call raised {!r}", threading.current_thread().name, error)
            with self._changed:
                self._queue.done(key)
                self._changed.notify_all()
