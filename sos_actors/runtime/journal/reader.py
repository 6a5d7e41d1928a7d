"""Reading a journal: every whole record in order, or one line that says where it breaks."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import zstandard

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

    def __init__(self, folder: Path) -> None:
        """Open a session's folder; raises JournalError when there is no journal, or one of another version."""
        self._segments = segments(folder)
        if not self._segments:
            raise JournalError(f"{folder}: there is no journal; `python run_actors.py sessions` lists what there is")
        self.end: SessionEnd | None = None
        self.torn: Torn | None = None
        #: Header of the first segment: what a replay must know.
        self.header = self._first_header()

    def __iter__(self) -> Iterator[bytes]:
        """Give every record in order. Raises JournalError naming segment and offset."""
        count = 0
        self.end = self.torn = None
        for place, (number, path) in enumerate(self._segments):
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

    def _first_header(self) -> SegmentHeader:
        number, path = self._segments[0]
        if number != 1:
            raise JournalError(f"{path.parent}: segment 00001 is missing (the first is {path.name})")
        for kind, payload, offset in _frames(path, self, last=len(self._segments) == 1):
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
    data = path.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        if last and MAGIC.startswith(data):
            reader.torn = Torn(path.name, 0, len(data))
            return
        raise JournalError(f"{path} at 0: is not a journal of this program")
    offset = len(MAGIC)
    first = True
    while offset < len(data):
        problem = _problem(data, offset)
        if problem:
            if last and not _readable_later(data, offset):
                reader.torn = Torn(path.name, offset, len(data) - offset)
                return
            raise JournalError(f"{path} at {offset}: {problem}")
        length, _, kind = FRAME.unpack_from(data, offset)
        if first and kind != HEADER:
            raise JournalError(f"{path} at {offset}: begins without a header")
        if not first and kind == HEADER:
            raise JournalError(f"{path} at {offset}: has a second header")
        first = False
        start = offset + FRAME.size
        yield kind, data[start : start + length], offset
        offset = start + length


def _problem(data: bytes, offset: int) -> str:
    """Say what is wrong with the frame at `offset`, '' if nothing is."""
    if offset + FRAME.size > len(data):
        return "the frame is cut off"
    length, crc, kind = FRAME.unpack_from(data, offset)
    start = offset + FRAME.size
    if length > LARGEST or start + length > len(data):
        return "the frame is cut off, or its length was damaged"
    return "" if checksum(kind, data[start : start + length]) == crc else "the checksum is wrong: the file was damaged"


def _readable_later(data: bytes, offset: int) -> bool:
    """Say whether whole frames follow the broken one: then it was damaged, and is no torn tail.

    Only the frame right behind can be looked for: where its predecessor's length is damaged, the search goes byte by
    byte through what is left, which is at most a few blocks.
    """
    for at in range(offset + 1, len(data) - FRAME.size):
        length, _, kind = FRAME.unpack_from(data, at)
        if kind in {BLOCK, END} and 0 < length <= len(data) - at - FRAME.size and not _problem(data, at):
            return True
    return False


def _records(payload: bytes, count: int, path: Path, offset: int) -> list[bytes]:
    try:
        (first,) = FIRST.unpack_from(payload)
        unpacked = zstandard.ZstdDecompressor().decompress(payload[FIRST.size :], max_output_size=LARGEST)
        records = msgspec.msgpack.decode(unpacked, type=list[bytes])
    except (zstandard.ZstdError, msgspec.MsgspecError, struct.error) as error:
        raise JournalError(f"{path} at {offset}: a block that cannot be read: {error}") from None
    if first != count:
        raise JournalError(f"{path} at {offset}: begins with record {first}, expected {count}: a block is missing")
    return records


def _decoded(payload: bytes, kind: type[S], path: Path, offset: int) -> S:
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        raise JournalError(f"{path} at {offset}: a {kind.__name__} that cannot be read: {error}") from None
