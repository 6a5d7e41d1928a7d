"""How a journal lies on disk.

A session's folder holds segments `00001.journal`, `00002.journal`, ... Each is the magic and then frames:

    u32 length of the payload | u32 CRC32C of kind and payload | u8 kind | payload          (little endian)

The first frame is a HEADER (msgpack of SegmentHeader), then come BLOCKs, and a session that was closed in order has
an END (msgpack of SessionEnd) as the last frame of its last segment. A BLOCK is the number of its first record in the
session (u64) and a zstd frame around a msgpack array of the records, each a byte string. Numbers run on through blocks
and segments, so that a frame or a file that is missing, doubled or exchanged is found.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import google_crc32c
import msgspec

from sos_actors.errors import SosError

MAGIC = b"SOSJRNL\x01"
#: Version of the records' meaning: another one cannot be read by this program.
VERSION = 1
HEADER, BLOCK, END = 1, 2, 3
FRAME = struct.Struct("<IIB")
#: Number of a block's first record.
FIRST = struct.Struct("<Q")
#: A frame is refused above this size, payload and unpacked: a flipped bit in a length must not eat the memory.
LARGEST = 256 * 1024 * 1024
_NAME = re.compile(r"^(\d{5,})\.journal$")


class JournalError(SosError):
    """A journal cannot be read as a whole: says which segment, at which offset, and what is wrong."""


class SegmentHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first frame of a segment. `first` is the number of the segment's first record; `opened` UTC ns."""

    version: int
    session: str
    number: int
    first: int
    opened: int
    code: str
    facts: dict[str, str] = {}


class SessionEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The last frame of a session that was closed in order. `records` is how many it has in all."""

    records: int
    closed: int
    reason: str = ""


def frame(kind: int, payload: bytes) -> bytes:
    """Wrap a payload as one frame."""
    return FRAME.pack(len(payload), checksum(kind, payload), kind) + payload


def checksum(kind: int, payload: bytes) -> int:
    """CRC32C (Castagnoli) of a frame's kind and payload."""
    return int(google_crc32c.extend(google_crc32c.value(bytes((kind,))), payload))


def segment_path(folder: Path, number: int) -> Path:
    """Where segment `number` (from 1) lies."""
    return folder / f"{number:05d}.journal"


def segments(folder: Path) -> list[tuple[int, Path]]:
    """Give the segments of a session's folder, by number."""
    found = ((_NAME.match(path.name), path) for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted((int(match.group(1)), path) for match, path in found if match)
