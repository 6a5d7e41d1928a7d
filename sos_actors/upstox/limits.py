"""The broker's rate limits, kept before it has to: so many requests in a second, a minute and half an hour.

The broker counts by class of request and by user, answers 429 without saying for how long, and may suspend who goes on
(Upstox, "Rate limits"). A share of each window is left unused, and another is kept for what protects a position.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable

import msgspec

_SECONDS = (1.0, 60.0, 1800.0)
#: Longest silence after a 429 that an exit keeps, in seconds, unless the broker names a longer one.
_MOST_EXIT_PAUSE_S = 8.0


class RequestClass(enum.StrEnum):
    """How the broker counts a request."""

    ORDER = "ORDER"
    MULTI = "MULTI"
    STANDARD = "STANDARD"


class RateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The broker's limits and how much of them is used. Triples: requests in a second, a minute, 30 minutes."""

    order: tuple[int, int, int] = (10, 500, 2000)
    """Place, modify, cancel: what an app without a registered algo may send."""
    multi: tuple[int, int, int] = (4, 40, 160)
    """Several orders in one request, cancel-all, exit-all (the older, safer figure)."""
    standard: tuple[int, int, int] = (50, 500, 2000)
    """Everything else."""
    share: float = 0.8
    """Part of each limit that is used at most, fraction."""
    exit_reserve: float = 0.3
    """Part of that which is kept for exits, and of the reads for the account's books, fraction."""
    pause_s: float = 2.0
    """Seconds of silence after a 429; doubled with each that follows within a minute, with nothing taken between."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ("order", "multi", "standard"):
            if min(getattr(self, name)) < 1:
                raise ValueError(f"rates.{name}: write three limits of 1 or more")
        if not 0 < self.share <= 1 or not 0 <= self.exit_reserve < 1 or not self.pause_s > 0:
            raise ValueError("rates: write a share above 0 up to 1, an exit_reserve below 1, pause_s above 0")

    def of(self, kind: RequestClass) -> tuple[int, int, int]:
        """Give the broker's three limits of a class."""
        limits: tuple[int, int, int] = getattr(self, kind.value.lower())
        return limits


class RateWindows:
    """What one class of requests has used. Pure: times are monotonic seconds, handed in, never going back."""

    def __init__(self, limits: tuple[int, int, int], settings: RateSettings) -> None:
        self._settings = settings
        self._most = [max(1, int(limit * settings.share)) for limit in limits]
        self._entries = [max(1, int(most * (1 - settings.exit_reserve))) for most in self._most]
        self._sent: deque[float] = deque()
        self._paused_until = self._exits_until = 0.0
        self._pause_s = 0.0
        self._refused_at = 0.0

    def wait(self, now: float, *, exits: bool = False, books: bool = False) -> float:
        """Seconds until one more may be sent: 0 for now. Changes nothing but what is too old to count.

        `exits` has the reserve and the shorter silence after a 429, `books` the reserve alone.
        """
        while self._sent and self._sent[0] <= now - _SECONDS[-1]:
            self._sent.popleft()
        longest = max((self._exits_until if exits else self._paused_until) - now, 0.0)
        for most, seconds in zip(self._most if exits or books else self._entries, _SECONDS, strict=True):
            if len(self._sent) >= most:
                # The one that has to leave the window before another may enter it.
                longest = max(longest, self._sent[-most] + seconds - now)
        return longest

    def sent(self, now: float) -> None:
        """Count one."""
        self._sent.append(now)

    def taken(self, now: float) -> None:
        """Take note that one was not too many: the next 429 is a first one again."""
        if now >= self._paused_until:  # what is taken meanwhile had left before
            self._pause_s = 0.0

    def refused(self, now: float, retry_after_s: float = 0.0, *, exits: bool = False) -> float:
        """Take note of a 429; gives the seconds of silence that follow, for an exit those that an exit keeps."""
        if now >= self._paused_until:  # else it had left together with the one that made the silence
            again = self._pause_s > 0.0 and now - self._refused_at < _SECONDS[1]
            self._pause_s = min(self._pause_s * 2 if again else self._settings.pause_s, _SECONDS[1])
            self._refused_at = now
            self._paused_until = now + self._pause_s
            self._exits_until = now + min(self._pause_s, _MOST_EXIT_PAUSE_S)
        told = now + min(retry_after_s, _SECONDS[1])
        self._paused_until, self._exits_until = max(self._paused_until, told), max(self._exits_until, told)
        return (self._exits_until if exits else self._paused_until) - now


class RateLimiter:
    """All classes of one account, for many threads."""

    def __init__(self, settings: RateSettings, monotonic: Callable[[], float], speed: float = 1.0) -> None:
        """`monotonic` gives seconds of real time, in which all here is told; `speed`: the broker's seconds in one.

        A local exchange whose clock is scaled counts by that clock, and what is asked of it follows the clock too.
        """
        self._windows = {kind: RateWindows(settings.of(kind), settings) for kind in RequestClass}
        self._monotonic, self._speed = monotonic, speed
        self._changed = threading.Condition()
        self._closed = False

    def acquire(
        self, kind: RequestClass, *, exits: bool = False, books: bool = False, patience_s: float = 0.0
    ) -> float:
        """Wait at most `patience_s` for leave to send one. Gives 0 with leave, else the seconds still to wait.

        `exits` and `books` may have of the reserve. Once closed, nobody waits any more.
        """
        with self._changed:
            deadline = self._monotonic() + patience_s
            while True:
                now = self._monotonic()
                wait = self._windows[kind].wait(now * self._speed, exits=exits, books=books) / self._speed
                if wait <= 0:
                    self._windows[kind].sent(now * self._speed)
                    return 0.0
                if now + wait > deadline or self._closed:
                    return wait
                self._changed.wait(wait)

    def close(self) -> None:
        """Let nobody wait from now on: the program ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def taken(self, kind: RequestClass) -> None:
        """Take note that one of this class was not too many."""
        with self._changed:
            self._windows[kind].taken(self._monotonic() * self._speed)

    def refused(self, kind: RequestClass, retry_after_s: float = 0.0, *, exits: bool = False) -> float:
        """Take note of a 429 of this class; gives the seconds of silence that follow, for an exit those it keeps."""
        with self._changed:
            now = self._monotonic() * self._speed
            return self._windows[kind].refused(now, retry_after_s, exits=exits) / self._speed
