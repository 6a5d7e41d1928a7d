"""Recording a live session: deliveries are noted in the thread that makes them, and written by a thread of their own."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

import sos_actors
from sos_actors.runtime.journal.deliveries import Heard, pack
from sos_actors.runtime.journal.format import JournalError
from sos_actors.runtime.journal.writer import JournalSettings, JournalWriter
from sos_actors.runtime.topics import Port

#: What the reason of a session's end begins with when its record stops before it.
INCOMPLETE = "incomplete"
#: Messages noted but not yet packed above which the writing thread is woken before its time.
_MANY = 4_096


class RecordingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a session is recorded, and how long it is kept."""

    enabled: bool = True
    """Record live sessions, so that they can be replayed."""
    flush_s: float = 0.5
    """Real seconds between two writes: what a crash may lose of the record. Order intents have a store of their own."""
    segment_mb: int = 64
    """Size in megabytes at which a segment is closed and the next begun."""
    keep_days: int = 30
    """Sessions begun longer ago are deleted when a new one begins; 0: none for its age."""
    keep_mb: int = 5_000
    """Megabytes all sessions may take together; the oldest go first; 0: no limit."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0.01 <= self.flush_s <= 60 or self.segment_mb < 1 or self.keep_days < 0 or self.keep_mb < 0:
            raise ValueError("journal: write flush_s from 0.01 to 60, segment_mb of 1 or more, keep_* of 0 or more")


class Recording:
    """Give it to a LiveRuntime as `recorder`; `close` it once the runtime is closed.

    A record that cannot be written (a full disk) ends the recording, not the session: `failed` says why, and what was
    written up to then can be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        session: str,
        facts: Mapping[str, str] | None = None,
        settings: RecordingSettings | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        """Begin session `session` in `folder`; raises InputError where one is already. `now` gives UTC ns."""
        self._settings = settings or RecordingSettings()
        self._writer = JournalWriter(
            folder, session=session, code=code_version(), now=now, facts=facts,
            settings=JournalSettings(block_records=1_000_000, segment_mb=self._settings.segment_mb, level=1),
        )  # fmt: skip
        self.failed = ""
        self._noted: deque[Heard] = deque()
        self._note = self._noted.append
        #: Noted, but an earlier one is still on its way from its thread.
        self._early: list[Heard] = []
        self._next = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sos-journal", daemon=True)
        self._thread.start()

    def __call__(self, group: str, serial: int, port: Port, message: Any, now: int, cause: int) -> None:
        """Note a delivery that is about to be made."""
        self._note((serial, group, port, message, now, cause))

    @property
    def written(self) -> int:
        """Deliveries handed to the file so far."""
        return self._next

    def close(self, reason: str = "") -> None:
        """Write what is left and the session's end."""
        self._closing.set()
        self._thread.join()
        if not self.failed:
            self._attempt(self._flush)
        if self._early and not self.failed:
            self.failed = f"{len(self._early)} deliveries after a gap were left out"
        with contextlib.suppress(JournalError):
            self._writer.close(f"{INCOMPLETE}: {self.failed}" if self.failed else reason)

    def _work(self) -> None:
        while not self.failed:
            done = self._closing.wait(self._settings.flush_s if len(self._noted) < _MANY else 0)
            self._attempt(self._flush)
            if done:
                return
        self._noted = deque(maxlen=0)  # what still comes is not kept
        self._note = self._noted.append

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (JournalError, TypeError, ValueError, OverflowError) as error:
            self.failed = str(error)
            logger.error("the session is recorded no further: {}", error)

    def _flush(self) -> None:
        early, noted = self._early, self._noted
        for _ in range(len(noted)):
            heapq.heappush(early, noted.popleft())
        ready: list[Heard] = []
        while early and early[0][0] == self._next + len(ready):
            ready.append(heapq.heappop(early))
        for start in range(0, len(ready), _MANY):
            self._writer.append(pack(ready[start : start + _MANY]))
        self._next += len(ready)
        self._writer.commit()


@cache
def code_version() -> str:
    """Give the program's version and a hash of its source: a session is replayed by the code that made it."""
    root = Path(sos_actors.__file__).parent
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{sos_actors.__version__}+{digest.hexdigest()}"
