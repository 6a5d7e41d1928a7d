"""A session at a glance: its head and its end, without reading what lies between."""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zstandard

from sos_actors.decoding import from_msgpack
from sos_actors.runtime.journal.answers import Answer
from sos_actors.runtime.journal.deliveries import Batch
from sos_actors.runtime.journal.format import (
    BLOCK,
    END,
    FIRST,
    FRAME,
    HEADER,
    LARGEST,
    MAGIC,
    SegmentHeader,
    SessionEnd,
    checksum,
    segments,
)
from sos_actors.runtime.journal.reader import JournalReader

#: Bytes at the end of a session in which the frame of its end is looked for: it holds a reason of one line.
_TAIL = 4096
#: Blocks gone back through for a delivery: one may hold answers of the outside alone.
_BLOCKS = 16


@dataclass(frozen=True, slots=True)
class Glance:
    """`last` is when the session ended or, where it was cut off or still runs, its last delivery on disk (UTC ns)."""

    header: SegmentHeader
    end: SessionEnd | None
    last: int


def glance(folder: Path) -> Glance:
    """Look at a session's folder. Raises JournalError where its head cannot be read, OSError where it is gone."""
    header = JournalReader(folder).header
    path = segments(folder)[-1][1]
    end = _end(path)
    return Glance(header, end, max(header.opened, _last_delivery(path) if end is None else end.closed))


def _end(path: Path) -> SessionEnd | None:
    """Give the end of a session, where a whole frame of it closes the file."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    for at in range(len(tail) - FRAME.size - 1, -1, -1):
        length, crc, kind = FRAME.unpack_from(tail, at)
        start = at + FRAME.size
        if kind == END and start + length == len(tail) and checksum(kind, tail[start:]) == crc:
            with contextlib.suppress(msgspec.MsgspecError):
                return from_msgpack(tail[start:], SessionEnd)
    return None


def _last_delivery(path: Path) -> int:
    """Give the time of the last delivery in a segment; when it was opened, where it has none; 0 for neither.

    From frame to frame, of which only the lengths are read, to the last that is whole.
    """
    opened = 0
    blocks: deque[tuple[int, int]] = deque(maxlen=_BLOCKS)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        at = len(MAGIC)
        while at + FRAME.size <= size:
            file.seek(at)
            length, _, kind = FRAME.unpack(file.read(FRAME.size))
            end = at + FRAME.size + length
            if end > size or kind not in {HEADER, BLOCK, END}:
                break
            if kind == HEADER:
                with contextlib.suppress(msgspec.MsgspecError):
                    opened = from_msgpack(file.read(length), SegmentHeader).opened
            elif kind == BLOCK:
                blocks.append((at + FRAME.size, length))
            at = end
        while blocks:
            place, length = blocks.pop()
            file.seek(place)
            found = _last_of(file.read(length))
            if found:
                return max(opened, found)
    return opened


def _last_of(block: bytes) -> int:
    """Give the time of the last delivery in a block; 0 where it has none, or cannot be read."""
    with contextlib.suppress(zstandard.ZstdError, msgspec.DecodeError):
        unpacked = zstandard.ZstdDecompressor().decompress(block[FIRST.size :], max_output_size=LARGEST)
        for record in reversed(from_msgpack(unpacked, list[bytes])):
            found = from_msgpack(record, Batch | Answer)
            if isinstance(found, Batch):
                return found.nows[-1]
    return 0
