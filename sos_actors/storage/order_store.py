"""The order path's durable record: an append-only file a day, written before what follows from it is sent.

    file   = magic, version, then frames
    frame  = length (u32), CRC-32 of the payload (u32), payload: one record as MessagePack

What was written before a crash is read again; a frame the crash cut short is cut off and reported, for nothing that
followed from it can have left. A frame that is damaged in the middle, or a file of a newer version, is refused.

An append-only file and not a database: one `fdatasync` a send, nothing to check point, and a record is found torn or
whole by its own length and checksum.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from sos_actors.decoding import msgpack_decoder
from sos_actors.errors import StorageError
from sos_actors.trading.gateway.records import AnyRecord, DayBegun, Record, StateSaved

_MAGIC, _VERSION = b"SOSORDER", 1
_HEADER = struct.Struct("<8sI")
_FRAME = struct.Struct("<II")
_ADVICE = "restore a copy, or move it away and settle orders and positions at the broker by hand before starting"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgpack_decoder(AnyRecord)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a record file says: its records, the state of each part, what was cut off its end ('': nothing).

    A part's state is the last whole one and what was kept of its changes since.
    """

    records: tuple[Record, ...] = ()
    states: Mapping[str, Sequence[StateSaved]] = field(default_factory=dict)
    cut: str = ""


class OrderStore:
    """Records of the order path in `folder`, one file a day. Raises StorageError: what is wrong, and what to do.

    `append` puts a record into the system's hands (it survives kill -9), `sync` onto the disk (it survives the power).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self._path = folder
        self._dirty = False
        self._states: dict[str, list[StateSaved]] = {}
        self.recovery = Recovery()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = sorted(
                folder.glob("orders-*.log"), key=lambda path: path.stem
            )  # a day's second file after its first
            if found:
                self.recovery = self._open(found[-1])
                self._states.update({part: list(states) for part, states in self.recovery.states.items()})
        except OSError as error:
            raise StorageError(f"{self._path}: {error.strerror}: check the folder's rights and the disk") from None

    def append(self, record: Record) -> None:
        """Write one record; a DayBegun begins a new file, which takes over the last states.

        A state that comes before the first day is kept with it.
        """
        try:
            if isinstance(record, DayBegun):
                self._begin(record)
            elif isinstance(record, StateSaved):
                _add(self._states, record)
                if self._file < 0:
                    return
            elif self._file < 0:
                raise StorageError(f"{self._folder}: nothing can be kept before a day has begun")
            self._write(self._file, record)
            self._dirty = True
        except OSError as error:
            raise StorageError(
                f"{self._path}: {error.strerror}: no order may be sent that cannot be kept; make room or mend the disk"
            ) from None

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        if self._dirty:
            os.fdatasync(self._file)
            self._dirty = False

    def close(self) -> None:
        """Write everything out and let the file go."""
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1

    def _begin(self, record: DayBegun) -> None:
        self.close()
        self._path = self._folder / f"orders-{record.day.isoformat()}.log"
        number = 1
        while self._path.exists():  # the day began twice: a clock set back, or a store that was moved
            number += 1
            self._path = self._folder / f"orders-{record.day.isoformat()}-{number:02}.log"
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.write(file, _HEADER.pack(_MAGIC, _VERSION))
        for state in [state for states in self._states.values() for state in states]:
            self._write(file, state)
        os.fsync(file)
        fresh.rename(self._path)  # a file that is there has its header and the states
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self._file = file

    @staticmethod
    def _write(file: int, record: Record) -> None:
        payload = _encoder.encode(record)
        frame = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        if os.write(file, frame) != len(frame):
            raise OSError(28, "the disk is full")

    def _open(self, path: Path) -> Recovery:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND)
        raw = path.read_bytes()
        if len(raw) < _HEADER.size or not raw.startswith(_MAGIC):
            raise StorageError(f"{path}: not a record of orders; move it away, then check orders at the broker by hand")
        version = _HEADER.unpack_from(raw)[1]
        if version > _VERSION:
            raise StorageError(
                f"{path}: written by a newer version (format {version}, this program knows {_VERSION}): upgrade it"
            )
        records, end = _read(path, raw)
        cut = ""
        if end < len(raw):
            cut = f"{path}: the last {len(raw) - end} bytes were cut short by a crash and dropped"
            os.ftruncate(self._file, end)
            os.fsync(self._file)
        states: dict[str, list[StateSaved]] = {}
        for record in records:
            if isinstance(record, StateSaved):
                _add(states, record)
        kept = tuple(record for record in records if not isinstance(record, StateSaved))
        return Recovery(kept, states, cut)


def _add(states: dict[str, list[StateSaved]], state: StateSaved) -> None:
    """Note a part's state: a whole one takes the place of what was before."""
    if state.whole:
        states[state.part] = [state]
    else:
        states.setdefault(state.part, []).append(state)


def _read(path: Path, raw: bytes) -> tuple[list[Record], int]:
    """Read whole frames from the start; gives them and where they end. Raises StorageError for damage in the middle."""
    records: list[Record] = []
    at = _HEADER.size
    while (payload := _frame(raw, at)) is not None:
        try:
            records.append(_decoder.decode(payload))
        except msgspec.MsgspecError as error:
            raise StorageError(f"{path}: the record at byte {at} is of another version ({error}): {_ADVICE}") from None
        at += _FRAME.size + len(payload)
    # A crash leaves part of one frame, or nothing but zeros; a whole frame after what cannot be read is damage.
    if any(_frame(raw, later) is not None for later in range(at + 1, len(raw) - _FRAME.size)):
        raise StorageError(f"{path}: damaged at byte {at}: {_ADVICE}")
    return records, at


def _frame(raw: bytes, at: int) -> bytes | None:
    """Give the payload of the frame at a place; None where there is no whole and sound one."""
    if at + _FRAME.size > len(raw):
        return None
    length, crc = _FRAME.unpack_from(raw, at)
    start = at + _FRAME.size
    if not 0 < length <= len(raw) - start:
        return None
    payload = raw[start : start + length]
    return payload if zlib.crc32(payload) == crc else None
