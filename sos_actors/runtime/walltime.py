"""Wall time for the live stage: real, or shifted and scaled for a stand-in of the exchange.

It stands on the monotonic clock, so that it never goes back whatever is done to the system's clock.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from sos_actors.errors import InputError

SECOND_NS = 1_000_000_000
#: Environment variable that overrides `clock.start` and `clock.speed`: 'START@SPEED', 'START' or '@SPEED'.
CLOCK_VARIABLE = "SOS_CLOCK"
_HOW = "write e.g. 2026-11-20T10:00:00+05:30@30, 2026-11-20T10:00:00+05:30 or @30"
_MAX_SPEED = 10_000.0

Read = Callable[[], int]


class ClockSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The live clock: what time it is, how fast it runs, when a minute is over."""

    start: dt.datetime | None = None
    """Instant at which the live clock starts, with its zone; None: the real time."""
    speed: float = 1.0
    """Seconds of the live clock in one real second."""
    grace_s: float = 1.0
    """Seconds (of the live clock) after a minute before it is said to be closed, for late ticks."""
    step_s: float = 1.0
    """Seconds by which the system's clock must jump to be reported."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.start is not None and self.start.utcoffset() is None:
            raise ValueError("clock.start has no time zone: write it as in 2026-11-20T10:00:00+05:30")
        if not 0 < self.speed <= _MAX_SPEED:
            raise ValueError(f"clock.speed is {self.speed}: write more than 0 and at most {_MAX_SPEED:.0f}")
        if not 0 <= self.grace_s < 60:
            raise ValueError(f"clock.grace_s is {self.grace_s}: write 0 to 59")
        if not self.step_s > 0:
            raise ValueError(f"clock.step_s is {self.step_s}: write more than 0")

    @property
    def grace_ns(self) -> int:
        """Grace of a minute's close, in nanoseconds of the live clock."""
        return round(self.grace_s * SECOND_NS)


def with_clock(settings: ClockSettings, text: str | None) -> ClockSettings:
    """Put what the environment says ('START@SPEED') in the configuration's place; raises InputError."""
    if not text:
        return settings
    start, at, speed = text.strip().partition("@")
    changes: dict[str, object] = {}
    if start:
        changes["start"] = _instant(start)
    if at:
        try:
            changes["speed"] = float(speed)
        except ValueError:
            raise InputError(f"{CLOCK_VARIABLE}={text}: '{speed}' is no speed; {_HOW}") from None
    try:
        return msgspec.structs.replace(settings, **changes)
    except ValueError as error:
        raise InputError(f"{CLOCK_VARIABLE}={text}: {error}") from None


def _instant(text: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{CLOCK_VARIABLE}: '{text}' is no date and time; {_HOW}") from None
    if found.utcoffset() is None:
        raise InputError(f"{CLOCK_VARIABLE}: '{text}' has no time zone; {_HOW}")
    return found


def ns_of(instant: dt.datetime) -> int:
    """UTC ns of an instant with a zone, exactly."""
    since = instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


@dataclass(frozen=True, slots=True)
class WallTime:
    """A clock that runs: at `anchor` (monotonic ns) it shows `shown` (UTC ns), and it gains `speed` s a second."""

    anchor: int
    shown: int
    speed: float = 1.0
    shifted: bool = False
    monotonic: Read = time.monotonic_ns

    @classmethod
    def starting(
        cls, settings: ClockSettings, monotonic: Read = time.monotonic_ns, system: Read = time.time_ns
    ) -> WallTime:
        """Start a clock now, as the settings say."""
        start = settings.start
        shown = system() if start is None else ns_of(start)
        return cls(monotonic(), shown, settings.speed, start is not None, monotonic)

    @property
    def is_real(self) -> bool:
        """Say whether this is the time of the world: neither shifted nor scaled."""
        return not self.shifted and self.speed == 1.0

    def at(self, instant: int) -> int:
        """Give the time shown (UTC ns) at a monotonic instant (ns)."""
        passed = instant - self.anchor
        return self.shown + (passed if self.speed == 1.0 else int(passed * self.speed))

    def now(self) -> int:
        """Give the time shown now, UTC ns."""
        return self.at(self.monotonic())

    def instant_of(self, shown: int) -> int:
        """Give the monotonic instant (ns) at which the clock shows, or showed, `shown`."""
        passed = shown - self.shown
        return self.anchor + (passed if self.speed == 1.0 else int(passed / self.speed))

    def ahead(self, by: int) -> WallTime:
        """Give the clock that shows `by` ns more."""
        return replace(self, shown=self.shown + by)


class StepWatch:
    """Notices when the system's clock was set: it then moves otherwise than the monotonic clock."""

    def __init__(self, threshold_ns: int, monotonic: int, system: int) -> None:
        """`threshold_ns` is the least jump that is one; the two readings were taken at the same moment."""
        self._threshold = threshold_ns
        self._offset = system - monotonic

    def step(self, monotonic: int, system: int) -> int:
        """Give the ns by which the system's clock was set since the last step; 0: it was not, or by less."""
        by = system - monotonic - self._offset
        if abs(by) < self._threshold:
            return 0
        self._offset += by
        return by
