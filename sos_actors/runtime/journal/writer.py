"""Writing a journal: records are gathered, packed in blocks, and made durable when that is asked for."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from sos_actors.errors import InputError
from sos_actors.runtime.journal.format import (
    BLOCK,
    END,
    FIRST,
    HEADER,
    MAGIC,
    VERSION,
    JournalError,
    SegmentHeader,
    SessionEnd,
    frame,
    segment_path,
    segments,
)


class JournalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a journal is written."""

    block_records: int = 4096
    """Records after which a block is written without being asked for."""
    segment_mb: int = 64
    """Size in megabytes at which a segment is closed and the next begun."""
    level: int = 3
    """Level of the zstd compression, 1 (quick) to 19 (small)."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.block_records < 1 or self.segment_mb < 1 or not 1 <= self.level <= 19:
            raise ValueError("journal: write block_records and segment_mb of 1 or more, level from 1 to 19")


class JournalWriter:
    """Appends records to a session's journal. `append` may be called from any thread.

    What was appended is on disk after the next `commit`, and survives a power cut after `commit(durable=True)`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        session: str,
        code: str,
        now: Callable[[], int],
        facts: Mapping[str, str] | None = None,
        settings: JournalSettings | None = None,
    ) -> None:
        """Begin a journal in `folder`, made if need be; raises InputError where there is one already.

        `now` gives UTC ns; `facts` are what a replay must know (hashes, options) and go into every segment.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if segments(folder):
            raise InputError(f"{folder}: holds a journal already: a session is written once")
        self._folder = folder
        self._session, self._code, self._facts = session, code, dict(facts or {})
        self._now = now
        self._settings = settings or JournalSettings()
        self._packer = zstandard.ZstdCompressor(level=self._settings.level)
        # Only ever appended to and taken from: a list that is exchanged could lose a record between two threads.
        self._waiting: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._written = 0
        self._number = 0
        self._size = 0
        self._failed = ""
        self._file: BinaryIO
        self._open_next()

    def append(self, record: bytes) -> None:
        """Take a record; a full block is written at once."""
        self._waiting.append(record)
        if len(self._waiting) >= self._settings.block_records:
            self.commit()

    def commit(self, *, durable: bool = False) -> None:
        """Write what waits; with `durable` return only when the disk has it. Raises JournalError when it cannot."""
        with self._lock:
            take = self._waiting.popleft
            records = [take() for _ in range(len(self._waiting))]
            try:
                if records:
                    packed = self._packer.compress(msgspec.msgpack.encode(records))
                    self._write(BLOCK, FIRST.pack(self._written) + packed)
                    self._written += len(records)
                self._file.flush()
                if durable:
                    os.fsync(self._file.fileno())
                if self._size >= self._settings.segment_mb * 1_000_000:
                    self._close_file()
                    self._open_next()
            except OSError as error:
                raise self._failure(error) from error

    def _failure(self, error: OSError) -> JournalError:
        """Give the error that ends the journal for good: frames after a half-written one could not be read."""
        self._failed = f"{segment_path(self._folder, self._number)}: cannot be written: {error.strerror}"
        return JournalError(self._failed)

    def close(self, reason: str = "") -> None:
        """Write what waits and the session's end. A journal that failed is left as it is.

        Raises JournalError when it cannot.
        """
        if self._failed:
            with contextlib.suppress(OSError):  # what is still in the file's buffer cannot be written either
                self._file.close()
            return
        self.commit()
        with self._lock:
            end = SessionEnd(records=self._written, closed=self._now(), reason=reason)
            try:
                self._write(END, msgspec.msgpack.encode(end))
                self._close_file()
            except OSError as error:
                with contextlib.suppress(OSError):
                    self._file.close()
                raise self._failure(error) from error

    @property
    def written(self) -> int:
        """Records on disk so far."""
        return self._written

    def _write(self, kind: int, payload: bytes) -> None:
        if self._failed:
            raise JournalError(self._failed)
        data = frame(kind, payload)
        self._file.write(data)
        self._size += len(data)

    def _open_next(self) -> None:
        self._number += 1
        path = segment_path(self._folder, self._number)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._file.write(MAGIC)
        self._size = len(MAGIC)
        header = SegmentHeader(
            version=VERSION,
            session=self._session,
            number=self._number,
            first=self._written,
            opened=self._now(),
            code=self._code,
            facts=self._facts,
        )
        self._write(HEADER, msgspec.msgpack.encode(header))
        self._file.flush()
        os.fsync(self._file.fileno())
        directory = os.open(self._folder, os.O_RDONLY)  # a new file is durable once its folder is
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _close_file(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
