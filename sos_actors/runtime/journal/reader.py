"""Reading a journal: every whole record in order, or one line that says where it breaks."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
import zstandard

from sos_actors.decoding import from_msgpack
from sos_actors.runtime.journal.format import (
    BLOCK,
    END,
    FIRST,
    FRAME,
    HEADER,
    LARGEST,
    MAGIC,
    VERSION,
    JournalError,
    SegmentHeader,
    SessionEnd,
    checksum,
    segments,
)

S = TypeVar("S", SegmentHeader, SessionEnd)


@dataclass(frozen=True, slots=True)
class Torn:
    """The last segment ends in the middle of a frame: where, and how many bytes after it were left out."""

    segment: str
    offset: int
    lost: int


class JournalReader:
    """The records of a session. Once they were all read, `end` and `torn` say how it ended.

    A session that was cut off (power, SIGKILL) has no `end`, and perhaps a `torn` tail: what was whole was read. Damage
    anywhere else raises JournalError: a part is never given out as the whole.
    """

    def __init__(self, folder: Path, since: int | None = None) -> None:
        """Open a session's folder; raises JournalError when there is no journal, or one of another version.

        With `since` (UTC ns) segments that were closed before are passed by: what they hold is not given.
        """
        self._segments = segments(folder)
        self._since = since
        if not self._segments:
            raise JournalError(f"{folder}: there is no journal; `python run_actors.py sessions` lists what there is")
        self.end: SessionEnd | None = None
        self.torn: Torn | None = None
        #: Header of the first segment: what a replay must know.
        self.header = self._first_header()

    def __iter__(self) -> Iterator[bytes]:
        """Give every record in order. Raises JournalError naming segment and offset."""
        first, count = self._begin()
        self.end = self.torn = None
        for place, (number, path) in enumerate(self._segments):
            if place < first:
                continue
            last = place == len(self._segments) - 1
            if number != place + 1:
                raise JournalError(f"{path.parent}: segment {place + 1:05d} is missing (the next is {path.name})")
            for kind, payload, offset in _frames(path, self, last=last):
                if self.end is not None:
                    raise JournalError(f"{path} at {offset}: goes on after the session's end")
                if kind == HEADER:
                    self._check_header(_decoded(payload, SegmentHeader, path, offset), number, count, path)
                elif kind == BLOCK:
                    records = _records(payload, count, path, offset)
                    count += len(records)
                    yield from records
                elif kind == END:
                    self.end = _decoded(payload, SessionEnd, path, offset)
                    if self.end.records != count or not last:
                        raise JournalError(
                            f"{path} at {offset}: the session ended with {self.end.records} records, read were "
                            f"{count}: a segment is missing or was exchanged"
                        )
                else:
                    raise JournalError(f"{path} at {offset}: a frame of unknown kind {kind}")

    def trouble(self, number: int, wrong: str) -> JournalError:
        """Give the error that says what is wrong with a record, counted from 0."""
        return JournalError(f"record {number} of session {self.header.session} {wrong}")

    def _begin(self) -> tuple[int, int]:
        """Give the place of the segment to begin with, and the number of its first record."""
        if self._since is not None:
            for place in range(len(self._segments) - 1, 0, -1):
                with contextlib.suppress(JournalError):  # what is damaged shows when it is read
                    header = self._header(place)
                    if header.opened <= self._since:
                        return place, header.first
        return 0, 0

    def _first_header(self) -> SegmentHeader:
        number, path = self._segments[0]
        if number != 1:
            raise JournalError(f"{path.parent}: segment 00001 is missing (the first is {path.name})")
        return self._header(0)

    def _header(self, place: int) -> SegmentHeader:
        """Read the header of a segment."""
        path, offset = self._segments[place][1], len(MAGIC)
        for kind, payload, offset in _frames(path, self, last=place == len(self._segments) - 1):
            if kind == HEADER:
                header = _decoded(payload, SegmentHeader, path, offset)
                _check_version(header, path)
                return header
            break
        raise JournalError(f"{path} at {len(MAGIC)}: has no header: the session was cut off before it began")

    def _check_header(self, header: SegmentHeader, number: int, count: int, path: Path) -> None:
        _check_version(header, path)
        if (header.session, header.number, header.first) != (self.header.session, number, count):
            raise JournalError(
                f"{path}: is segment {header.number} of session {header.session} from record {header.first}, "
                f"expected {number} of {self.header.session} from {count}: a segment is missing or was exchanged"
            )


def _check_version(header: SegmentHeader, path: Path) -> None:
    if header.version != VERSION:
        raise JournalError(
            f"{path}: written in version {header.version} of the journal, this program reads {VERSION}: "
            f"use the program that wrote it ({header.code})"
        )


def _frames(path: Path, reader: JournalReader, *, last: bool) -> Iterator[tuple[int, bytes, int]]:
    """Give (kind, payload, offset) of every frame; a torn tail of the last segment ends it, other damage raises."""
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            if last and MAGIC.startswith(magic):
                reader.torn = Torn(path.name, 0, len(magic))
                return
            raise JournalError(f"{path} at 0: is not a journal of this program")
        offset = len(MAGIC)
        while (found := _next_frame(file)) is not None:
            problem, kind, payload = found
            if problem:
                file.seek(offset)
                rest = file.read()
                if last and not _readable_later(rest):
                    reader.torn = Torn(path.name, offset, len(rest))
                    return
                raise JournalError(f"{path} at {offset}: {problem}")
            first = offset == len(MAGIC)
            if first and kind != HEADER:
                raise JournalError(f"{path} at {offset}: begins without a header")
            if not first and kind == HEADER:
                raise JournalError(f"{path} at {offset}: has a second header")
            yield kind, payload, offset
            offset += FRAME.size + len(payload)


def _next_frame(file: BinaryIO) -> tuple[str, int, bytes] | None:
    """Read a frame: what is wrong with it ('' if nothing is), its kind and its payload; None at the end of the file."""
    head = file.read(FRAME.size)
    if not head:
        return None
    if len(head) < FRAME.size:
        return "the frame is cut off", 0, b""
    length, crc, kind = FRAME.unpack(head)
    payload = file.read(length) if length <= LARGEST else b""
    if len(payload) < length:
        return "the frame is cut off, or its length was damaged", kind, b""
    right = checksum(kind, payload) == crc
    return "" if right else "the checksum is wrong: the file was damaged", kind, payload


def _readable_later(rest: bytes) -> bool:
    """Say whether whole frames follow the broken one that `rest` begins with: then it was damaged, and is no torn tail.

    Only the frame right behind can be looked for: where its predecessor's length is damaged, the search goes byte by
    byte through what is left, which is at most a few blocks.
    """
    for at in range(1, len(rest) - FRAME.size):
        length, crc, kind = FRAME.unpack_from(rest, at)
        start = at + FRAME.size
        fits = kind in {BLOCK, END} and 0 < length <= min(LARGEST, len(rest) - start)
        if fits and checksum(kind, rest[start : start + length]) == crc:
            return True
    return False


def _records(payload: bytes, count: int, path: Path, offset: int) -> list[bytes]:
    try:
        (first,) = FIRST.unpack_from(payload)
        unpacked = zstandard.ZstdDecompressor().decompress(payload[FIRST.size :], max_output_size=LARGEST)
        records = from_msgpack(unpacked, list[bytes])
    except (zstandard.ZstdError, msgspec.MsgspecError, struct.error) as error:
        raise JournalError(f"{path} at {offset}: a block that cannot be read: {error}") from None
    if first != count:
        raise JournalError(f"{path} at {offset}: begins with record {first}, expected {count}: a block is missing")
    return records


def _decoded(payload: bytes, kind: type[S], path: Path, offset: int) -> S:
    try:
        return from_msgpack(payload, kind)
    except msgspec.MsgspecError as error:
        raise JournalError(f"{path} at {offset}: a {kind.__name__} that cannot be read: {error}") from None
