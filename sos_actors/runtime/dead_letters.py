"""Messages nobody handled, and messages that killed their actor: kept, counted, visible."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that was not handled. `ts` is clock time, UTC ns; `traceback` is empty unless it raised."""

    path: str
    message: Any
    reason: str
    ts: int
    traceback: str = ""


class DeadLetters:
    """The last `keep` dead letters, and how many there were by (path, message type, reason)."""

    def __init__(self, keep: int = 1_000) -> None:
        self._kept: deque[DeadLetter] = deque(maxlen=keep)
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, letter: DeadLetter) -> None:
        """Keep one; on any thread."""
        with self._lock:
            self._kept.append(letter)
            self.counts[letter.path, type(letter.message).__name__, letter.reason] += 1

    def by_path(self) -> Counter[str]:
        """Give how many there were of each path."""
        found: Counter[str] = Counter()
        with self._lock:
            for (path, _, _), count in self.counts.items():
                found[path] += count
        return found

    def __iter__(self) -> Any:
        with self._lock:
            return iter(tuple(self._kept))

    def __len__(self) -> int:
        return self.counts.total()
