"""The sessions that were recorded: what there is, and which are old enough to go."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sos_actors.errors import InputError
from sos_actors.runtime.journal.format import JournalError, SegmentHeader, SessionEnd, segments
from sos_actors.runtime.journal.reader import JournalReader

_DAY_NS = 86_400_000_000_000
#: A session's files, by number.
Segments = Sequence[tuple[int, Path]]
#: Length of a daemon's session's name, YYYY-MM-DD-HHMMSS, without the number that may follow.
_STEM = 17


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """One session as its folder has it. `problem` says why it cannot be read, '' when it can."""

    name: str
    folder: Path
    bytes: int
    segments: int
    header: SegmentHeader | None = None
    end: SessionEnd | None = None
    problem: str = ""


def listed(folder: Path) -> list[RecordedSession]:
    """Give the sessions under a folder, by name. Every record is read, so that damage shows here."""
    return [_session(one, files) for one, files in sorted(_found(folder).items())]


def _found(folder: Path) -> dict[Path, Segments]:
    """Give the sessions' folders with their segments, in no order; none where there is no such folder."""
    return {one: files for one in folder.iterdir() if (files := segments(one))} if folder.is_dir() else {}


def _written(files: Segments) -> int:
    """Say when a session was last written, UTC ns."""
    return max(path.stat().st_mtime_ns for _, path in files)


def _session(folder: Path, files: Segments) -> RecordedSession:
    count, size = len(files), _size(files)
    try:
        reader = JournalReader(folder)
        for _ in reader:
            pass
    except JournalError as error:
        return RecordedSession(folder.name, folder, size, count, problem=str(error))
    return RecordedSession(folder.name, folder, size, count, reader.header, reader.end)


def _size(files: Segments) -> int:
    return sum(path.stat().st_size for _, path in files)


def session_folder(folder: Path, name: str) -> Path:
    """Give the folder of a session; raises InputError naming those there are."""
    found = folder / name
    if name and found.parent == folder and segments(found):
        return found
    there = ", ".join([one.name for one in sorted(_found(folder))][-10:])
    if not name:
        raise InputError(f"no session is recorded in {folder}" + (f"; name one: {there}" if there else ""))
    raise InputError(f"no session '{name}' in {folder}; there are {there or 'none'}")


def latest(folder: Path) -> str:
    """Give the name of the session written last; '' without one."""
    found = _found(folder)
    return max(found, key=lambda one: _written(found[one])).name if found else ""


def in_order(folder: Path) -> list[Path]:
    """Give the folders of the sessions, in the order they were begun."""
    return sorted(_found(folder), key=lambda one: _begun(one.name))


def _begun(session: str) -> tuple[str, int]:
    """Sort a name that was taken (`-2` behind it, see free_name) behind the one that took it."""
    stem, number = session[:_STEM], session[_STEM + 1 :]
    return stem, int(number) if number.isdigit() else 1


def free_name(folder: Path, name: str) -> str:
    """Give a name no session has: this one, or with a number behind it."""
    number, found = 1, name
    while (folder / found).exists():
        number += 1
        found = f"{name}-{number}"
    return found


def retire(folder: Path, now: int, keep_days: int, keep_mb: int, spare: str = "") -> Sequence[str]:
    """Delete sessions last written more than `keep_days` before `now` (UTC ns), then the oldest until `keep_mb` hold.

    0 is no limit; `spare` is never deleted. Gives the names of those deleted. Ages are those of the files, so that a
    damaged session goes too.
    """
    found = _found(folder)
    sizes = {one: _size(files) for one, files in found.items()}
    total, gone = sum(sizes.values()), []
    for at, one in sorted((_written(files), one) for one, files in found.items()):
        if one.name == spare:
            continue
        too_old = keep_days > 0 and now - at > keep_days * _DAY_NS
        if too_old or (keep_mb > 0 and total > keep_mb * 1_000_000):
            shutil.rmtree(one)
            total -= sizes[one]
            gone.append(one.name)
    return gone
