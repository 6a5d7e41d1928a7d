"""One client of the market feed: what it subscribed to, in which mode, within the documented limits. No I/O."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sos_actors.decoding import from_json
from sos_actors.sandbox.server.codec import FULL, FULL_D30, LTPC, MODES, OPTION_GREEKS

#: Keys a connection may hold in a mode: alone, and when modes are mixed.
LIMITS = {LTPC: (5000, 2000), OPTION_GREEKS: (3000, 2000), FULL: (2000, 1500), FULL_D30: (50, 50)}
#: Connections a user may have, without and with the Plus plan.
CONNECTIONS, CONNECTIONS_PLUS = 2, 5


class _Data(msgspec.Struct, frozen=True):
    instrumentKeys: list[str] = []  # noqa: N815 - the broker's name
    mode: str = LTPC


class _Request(msgspec.Struct, frozen=True):
    method: str = ""
    data: _Data = _Data()


class FeedClient:
    """Subscriptions of one connection."""

    def __init__(self, *, plus: bool) -> None:
        self._plus = plus
        self.modes: dict[str, str] = {}
        self.ignored = 0
        self._held = dict.fromkeys(MODES, 0)
        self._entries: list[bytes] = []
        self._keys: set[str] = set()

    def take(self, raw: bytes, listed: Callable[[str], bool]) -> list[str]:
        """Carry out a request and give the keys that need a snapshot; what makes no sense is ignored in silence."""
        try:
            request = from_json(raw, _Request)
        except msgspec.DecodeError:
            self.ignored += 1
            return []
        if request.method == "unsub":
            for key in request.data.instrumentKeys:
                self._drop(key)
            return []
        if request.method not in {"sub", "change_mode"} or request.data.mode not in MODES:
            self.ignored += 1
            return []
        return [key for key in request.data.instrumentKeys if self._add(key, request.data.mode, listed)]

    def collect(self, key: str, entry: bytes) -> bytes | None:
        """Put a tick into the frame under way; gives the frame's entries when it is full: a key comes once a frame."""
        full = self.flush() if key in self._keys else None
        self._keys.add(key)
        self._entries.append(entry)
        return full

    def flush(self) -> bytes | None:
        """Entries of the frame under way; None when there are none."""
        if not self._entries:
            return None
        joined = b"".join(self._entries)
        self._entries.clear()
        self._keys.clear()
        return joined

    def _add(self, key: str, mode: str, listed: Callable[[str], bool]) -> bool:
        if not listed(key) or not self._room(key, mode):
            self.ignored += 1
            return False
        self._drop(key)
        self.modes[key] = mode
        self._held[mode] += 1
        return True

    def _drop(self, key: str) -> None:
        mode = self.modes.pop(key, None)
        if mode is not None:
            self._held[mode] -= 1

    def _room(self, key: str, mode: str) -> bool:
        if self.modes.get(key) == mode:
            return True
        if mode == FULL_D30 and not self._plus:
            return False
        others = dict(self._held)
        if key in self.modes:
            others[self.modes[key]] -= 1
        alone, together = LIMITS[mode]
        mixed = any(count for name, count in others.items() if name != mode)
        return others[mode] < (together if mixed else alone)
