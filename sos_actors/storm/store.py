"""The order store on a disk that can be full, and that forgets at a power cut what was not synced."""

from __future__ import annotations

import os
import random
from pathlib import Path

from sos_actors.errors import StorageError
from sos_actors.messages import SubmitOrder
from sos_actors.storage.order_store import OrderStore
from sos_actors.trading.gateway.records import OrderTaken, PlaceSent, Record


class Disk:
    """A folder that outlives the process, and what of its last file is safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.full = False
        self._safe: dict[Path, int] = {}
        #: Tags of placing requests that are on the disk for good.
        self.kept: set[str] = set()
        #: What was ever written, for the judge: tag -> the order's id, and every order of the desk by its id.
        self.order_of: dict[str, str] = {}
        self.orders: dict[str, SubmitOrder] = {}

    def note(self, path: Path) -> None:
        """All of a file is safe now."""
        self._safe[path] = path.stat().st_size

    def cut_power(self, rng: random.Random) -> None:
        """Forget what was not synced, but for a part of it that may have got through."""
        for path in sorted(self.folder.glob("orders-*.log")):
            size, safe = path.stat().st_size, self._safe.get(path, 0)
            if safe < size:
                os.truncate(path, rng.randint(safe, size))


class StormStore(OrderStore):
    """The real store, whose writes fail while the disk is full, and which tells the disk what is safe."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._waiting: list[str] = []
        super().__init__(disk.folder)

    def append(self, record: Record) -> None:
        """Write one record; half of it where the disk is full."""
        if self._disk.full:
            if self._file >= 0:
                os.write(self._file, b"\x40\x00\x00\x00\x00\x00")  # what a write does that runs out of room
            raise StorageError(f"{self._path}: no space left: no order may be sent that cannot be kept")
        super().append(record)
        if isinstance(record, PlaceSent):
            self._waiting.append(record.send.tag)
            self._disk.order_of[record.send.tag] = record.order_id
        elif isinstance(record, OrderTaken):
            self._disk.orders[record.order.order_id] = record.order

    def sync(self) -> None:
        """Make what was written safe. A sync onto memory costs time and proves nothing: it is only noted."""
        if self._dirty:
            self._dirty = False
            self._disk.note(self._path)
            self._disk.kept.update(self._waiting)
            self._waiting.clear()
