"""One daemon a home folder: two on one account would trade twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from sos_actors.errors import InputError


class HomeLock:
    """Holds a home folder for this process. The system lets go of it when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        """Take the lock; raises InputError naming the process that has it."""
        self._path = home / "daemon.lock"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise InputError(
                f"{home}: a daemon (process {holder}) runs on this folder already: stop it first, or use another --home"
            ) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the folder."""
        os.close(self._file)

    def __enter__(self) -> HomeLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()
