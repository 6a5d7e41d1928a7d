"""The market database looked after on request: checked, and rid of what is older than is kept."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from sos_actors.errors import InputError
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.upkeep import Retention, delete_old, health
from sos_actors.web.schema import Maintenance


class DatabaseKeeper:
    """Looks after one database, one look at a time."""

    def __init__(self, path: Path, retention: Retention, today: Callable[[], dt.date]) -> None:
        self._path, self._retention, self._today = path, retention, today
        self._lock = threading.Lock()
        self._last: dict[str, Any] | None = None

    def state(self) -> Maintenance:
        """Say how long data is kept and what the last look found."""
        kept = self._retention
        return Maintenance(keep_days={"ticks": kept.ticks, "bars": kept.bars, "chains": kept.chains}, last=self._last)

    def run(self) -> str:
        """Check the database, and delete what is too old unless it is damaged. Raises StorageError, InputError."""
        if not self._lock.acquire(blocking=False):
            raise InputError("maintenance is under way; wait for its end")
        try:
            today = self._today()
            with MarketStore(self._path) as store:
                found = health(store, self._retention, today)
                deleted = delete_old(store, self._retention, today) if found.integrity == "ok" else {}
        finally:
            self._lock.release()
        self._last = {"day": today.isoformat(), "health": msgspec.to_builtins(found), "deleted": deleted}
        if found.integrity != "ok":
            return f"the database is damaged ({found.integrity}): restore a copy, or ingest again; nothing was deleted"
        gone = ", ".join(f"{count} {kind}" for kind, count in deleted.items() if count) or "nothing"
        return f"checked {found.size / 2**20:.1f} MiB, sound; {gone} deleted"
