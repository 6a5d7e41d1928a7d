"""The sandbox's own time: a start, a speed, and jumps forward."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from sos_actors.errors import InputError
from sos_actors.market.clocktime import IST, SECOND_NS, ist_text


class SandboxClock:
    """Maps a monotonic counter to sandbox time. Time never goes back. Raises InputError for a speed of 0 or less."""

    def __init__(self, start_ns: int, speed: float, monotonic_ns: Callable[[], int]) -> None:
        self._monotonic = monotonic_ns
        self._from, self._start = monotonic_ns(), start_ns
        self.speed = 1.0
        self.set_speed(speed)

    def now_ns(self) -> int:
        """UTC ns of the sandbox."""
        return self._start + int((self._monotonic() - self._from) * self.speed)

    def set_speed(self, speed: float) -> None:
        """Run at `speed` sandbox seconds a real second from now on; 0 stands still."""
        if not 0.0 <= speed <= 10_000.0:
            raise InputError(f"clock speed {speed}: write 0 (stand still) to 10000")
        now = self.now_ns()
        self._from, self._start, self.speed = self._monotonic(), now, speed

    def jump(self, now_ns: int) -> None:
        """Move forward to `now_ns`; raises InputError for a moment that is past."""
        now = self.now_ns()
        if now_ns < now:
            raise InputError(f"clock: {ist_text(now_ns)} is past, it is {ist_text(now)}; the sandbox goes forward only")
        self._from, self._start = self._monotonic(), now_ns

    def real_seconds(self, ns: int) -> float:
        """How long `ns` of sandbox time take in reality; what stands still is taken to run at speed 1."""
        return ns / SECOND_NS / (self.speed or 1.0)


def parse_instant(text: str) -> int:
    """UTC ns of ISO 8601 text, in IST where no zone is given; raises InputError."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"time '{text}': write it like 2026-11-20T09:10:00+05:30") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=IST)
    whole = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (moment - whole) // dt.timedelta(microseconds=1) * 1000
