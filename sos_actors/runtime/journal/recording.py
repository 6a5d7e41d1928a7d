"""Recording a session on threads: deliveries are noted in the thread that makes them, and written by another one.

Noting is one append to a queue in memory. Nothing that trades ever waits for the disk: what the disk does not take is
lost to the record, loudly, and to nothing else.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from loguru import logger

import sos_actors
from sos_actors.messages.codec import packed
from sos_actors.runtime.checkpoints import Checkpoints, State
from sos_actors.runtime.journal.answers import Answer, Ask, noting
from sos_actors.runtime.journal.checkpoints import pack_states
from sos_actors.runtime.journal.deliveries import pack
from sos_actors.runtime.journal.format import JournalError
from sos_actors.runtime.journal.writer import JournalSettings, JournalWriter
from sos_actors.runtime.worker import Heard

if TYPE_CHECKING:
    from sos_actors.runtime.live import LiveRuntime

#: What the reason of a session's end begins with when its record stops before it.
INCOMPLETE = "incomplete"
#: Deliveries packed at once: the interpreter is held meanwhile, so that nothing else is done for about a millisecond.
_PACKED = 512
#: Real seconds between two looks at how much waits.
_LOOK_S = 0.1
#: Real seconds the last write may take.
_CLOSE_S = 10.0
#: Real seconds after which a delivery that was numbered but never noted counts as lost.
_LOST_S = 30.0


class RecordingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a session is recorded, and how long it is kept."""

    enabled: bool = True
    """Record what the daemon does, so that it can be replayed; a backtest is recorded with `--record`."""
    folder: str = "sessions"
    """Where the sessions lie, under the home folder."""
    flush_s: float = 0.5
    """Real seconds between two writes: what a crash may lose of the record. Order intents have a store of their own."""
    flush_many: int = 20_000
    """Deliveries that are written before their time when so many wait."""
    sync_s: float = 5.0
    """Real seconds between two syncs to the disk: what a power cut may lose of the record."""
    most_waiting: int = 1_000_000
    """Deliveries that may wait for the disk; above, the record ends with an alert, and the session goes on."""
    checkpoint_s: float = 60.0
    """Seconds of the clock's time from one checkpoint of every actor's state to the next; 0: at the stop only."""
    segment_mb: int = 64
    """Size in megabytes at which a segment is closed and the next begun."""
    keep_days: int = 30
    """Sessions that ended longer ago are deleted at a start and after a day's close; 0: none for its age."""
    keep_mb: int = 5_000
    """Megabytes all sessions may take together; the oldest go first; 0: no limit."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0.01 <= self.flush_s <= 60 or not 0.0 <= self.sync_s <= 3600 or self.segment_mb < 1:
            raise ValueError("journal: write flush_s from 0.01 to 60, sync_s from 0 to 3600, segment_mb of 1 or more")
        if not 0.0 <= self.checkpoint_s <= 86_400.0:
            raise ValueError("journal: write checkpoint_s from 0 to 86400")
        if min(self.flush_many, self.most_waiting) < 1 or min(self.keep_days, self.keep_mb) < 0:
            raise ValueError("journal: write flush_many and most_waiting of 1 or more, keep_* of 0 or more")
        if not self.folder or Path(self.folder).is_absolute() or ".." in Path(self.folder).parts:
            raise ValueError(f"journal.folder is '{self.folder}': write a folder under the home, such as sessions")


class Recording:
    """Give its `note` and `checkpoints` to a LiveRuntime; `close` it once the runtime is closed.

    A record that cannot be written (a full disk) ends the recording, not the session: `failed` says why, `on_failed`
    is called with it once, and what was written up to then can be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        session: str,
        facts: Mapping[str, str] | None = None,
        settings: RecordingSettings | None = None,
        now: Callable[[], int] = time.time_ns,
        on_failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Begin session `session` in `folder`. `now` gives UTC ns.

        Raises InputError where there is a session already, JournalError where none can be written.
        """
        self._settings = settings or RecordingSettings()
        try:
            self._writer = JournalWriter(
                folder, session=session, code=code_version(), now=now, facts=facts,
                settings=JournalSettings(block_records=1_000_000, segment_mb=self._settings.segment_mb, level=1),
            )  # fmt: skip
        except OSError as error:
            raise JournalError(f"{folder}: no session can be recorded: {error.strerror}") from None
        self.failed = ""
        self._on_failed = on_failed
        self._noted: list[Heard] = []
        #: Takes one delivery that is about to be made: an append in memory, from any thread, which only one thread
        #: takes from, and never by exchanging the list.
        self.note: Callable[[Heard], None] = self._noted.append
        self._answers: deque[Answer] = deque()
        self._states: deque[State] = deque()
        #: Where the runtime's actors say what they hold.
        self.checkpoints = Checkpoints(self._states.append, round(self._settings.checkpoint_s * 1e9))
        #: Noted, but an earlier one is still on its way from its thread.
        self._early: list[Heard] = []
        self._next = 0
        self._whole_at = self._synced_at = time.monotonic()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sos-journal", daemon=True)
        self._thread.start()

    def asker(self, runtime: LiveRuntime) -> Ask:
        """Give what lets the cast of a runtime ask the outside, and keeps the answers."""
        return noting(self._answers.append, lambda: runtime.serial)

    @property
    def written(self) -> int:
        """Deliveries handed to the file so far."""
        return self._next

    @property
    def waiting(self) -> int:
        """Deliveries noted that are not in the file yet: how far the record lags behind."""
        return len(self._noted) + len(self._early)

    def close(self, reason: str = "") -> None:
        """Write what is left and the session's end; a disk that does not answer is left behind after a while."""
        self._closing.set()
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            self._fail(f"the disk did not take the last of it within {_CLOSE_S:.0f} s")
            return
        if not self.failed:
            self._attempt(self._flush)
        if self._early and not self.failed:
            self._fail(f"{len(self._early)} deliveries after a gap were left out")
        self._attempt(lambda: self._writer.close(f"{INCOMPLETE}: {self.failed}" if self.failed else reason))

    def _work(self) -> None:
        done = False
        while not done:
            due = time.monotonic() + self._settings.flush_s
            done = False
            while not done and time.monotonic() < due and len(self._noted) < self._settings.flush_many:
                done = self._closing.wait(min(self._settings.flush_s, _LOOK_S))
            if self.failed:  # what still comes is not kept
                self._noted.clear()
                self._answers.clear()
                self._states.clear()
            else:
                self._attempt(self._flush)

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (JournalError, TypeError, ValueError, OverflowError) as error:
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self.failed = why
        logger.error("the session is recorded no further: {}", why)
        self._on_failed(f"the session is recorded no further, trading goes on: {why}")

    def _flush(self) -> None:
        noted = self._noted
        count = len(noted)
        if count > self._settings.most_waiting:
            raise JournalError(f"the disk is too slow: more than {self._settings.most_waiting} deliveries wait for it")
        found = self._early + noted[:count]
        del noted[:count]
        found.sort()  # by serial, which no two share: they come very nearly so
        # An answer belongs to a delivery noted before it: all that those now written were given are here.
        for _ in range(len(self._answers)):
            self._writer.append(packed(self._answers.popleft()))
        # A state was noted before the next delivery of its group: whichever of those are written now, it stands before.
        take = self._states.popleft
        for record in pack_states([take() for _ in range(len(self._states))]):
            self._writer.append(record)
        whole = _whole(found, self._next)
        self._early = found[whole:]
        self._write(found[:whole])
        now = time.monotonic()
        if not self._early or whole:
            self._whole_at = now
        elif now - self._whole_at > _LOST_S:
            raise JournalError(f"delivery {self._next} was lost with its thread")
        durable = now - self._synced_at >= self._settings.sync_s
        if durable:
            self._synced_at = now
        self._writer.commit(durable=durable)

    def _write(self, ready: Sequence[Heard]) -> None:
        for start in range(0, len(ready), _PACKED):
            self._writer.append(pack(ready[start : start + _PACKED]))
        self._next += len(ready)


def _whole(found: Sequence[Heard], first: int) -> int:
    """Say how many of these, sorted, follow one another from serial `first`."""
    if not found or found[-1][0] == first + len(found) - 1:
        return len(found)
    return next(place for place, one in enumerate(found) if one[0] != first + place)


@cache
def code_version() -> str:
    """Give the program's version and a hash of its source: a session is replayed by the code that made it."""
    root = Path(sos_actors.__file__).parent
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return f"{sos_actors.__version__}+{digest.hexdigest()}"
