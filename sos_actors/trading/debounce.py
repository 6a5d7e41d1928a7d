"""Signals that repeat themselves within moments are one signal."""

from __future__ import annotations

import msgspec

from sos_actors.decoding import from_msgpack
from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages import RefusalReason, Signal
from sos_actors.trading.ranking import Mode
from sos_actors.trading.selection import Refusal


class DebounceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How close signals of one strategy and side may follow each other."""

    #: Which of the pair applies.
    mode: Mode = "scalp"
    #: Seconds between two signals: scalp, intraday; 0 = off.
    seconds: tuple[float, float] = (30.0, 60.0)

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if min(self.seconds) < 0:
            raise ValueError(f"debounce.seconds is {list(self.seconds)}: write two numbers of 0 or more")


class Debounce:
    """Lets the first of a burst of signals of one (strategy, underlying, direction) through."""

    def __init__(self, settings: DebounceSettings) -> None:
        self._gap = round(settings.seconds[0 if settings.mode == "scalp" else 1] * SECOND_NS)
        self._last: dict[tuple[str, str, str], int] = {}

    def state(self) -> bytes:
        """Give the last signal of each side, for a restart."""
        return msgspec.msgpack.encode([(*key, ts) for key, ts in self._last.items()])

    def take_up(self, state: bytes) -> None:
        """Go on, in a fresh one, from where `state` was given."""
        rows = from_msgpack(state, list[tuple[str, str, str, int]])
        self._last = {(strategy, underlying, direction): ts for strategy, underlying, direction, ts in rows}

    def check(self, signal: Signal) -> Refusal | None:
        """None lets the signal through and starts its gap; a refused signal does not prolong the gap."""
        if not self._gap:
            return None
        key = (signal.strategy, signal.underlying, signal.direction)
        last = self._last.get(key)
        if last is not None and signal.ts - last < self._gap:
            seconds = (signal.ts - last) / SECOND_NS
            detail = f"{seconds:.0f} s after the last of its side, {self._gap / SECOND_NS:.0f} s are asked"
            return Refusal(RefusalReason.DEBOUNCE, detail)
        self._last[key] = signal.ts
        return None
