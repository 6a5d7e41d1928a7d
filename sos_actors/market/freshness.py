"""Whether live data of one underlying can be trusted, by the age of what came."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from sos_actors.market.clocktime import SECOND_NS, clock_ns, ns_of_day


class FreshnessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How old live data may be while the market is open."""

    index_stale_s: float = 10.0
    """Seconds without a tick of the index after which nothing is entered on the underlying."""
    options_stale_s: float = 15.0
    """Seconds without a tick of any of its options that does the same."""
    least_real_s: float = 2.0
    """Where the clock is scaled: both are at least this many seconds of real time."""
    revive_s: float = 120.0
    """Seconds of real time after which connections that live but bring nothing of an underlying are made anew.

    An index that is silent for so long in the session is no quiet market: the broker has forgotten it. 0: never."""
    check_s: float = 1.0
    """Seconds between two judgements."""
    index_pause_from: str = "15:15"
    """From this time of day (IST) the index's own silence is not judged: the closing auction freezes its shares."""
    index_pause_to: str = "15:40"
    """Until this time of day."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        positive = (self.index_stale_s, self.options_stale_s, self.check_s)
        if min(positive) <= 0 or min(self.least_real_s, self.revive_s) < 0:
            raise ValueError("freshness: write more than 0 for the stale times and check_s, 0 or more for the others")
        if clock_ns(self.index_pause_from) > clock_ns(self.index_pause_to):
            raise ValueError("freshness: index_pause_from is after index_pause_to")


class Verdict(NamedTuple):
    """`live`: can be trusted. `since` (UTC ns): the last good data, where it cannot."""

    live: bool
    detail: str = ""
    since: int = 0


class FreshnessJudge:
    """Judges one underlying. All times in UTC ns of the cast's clock, 0: never."""

    def __init__(self, settings: FreshnessSettings, speed: float = 1.0) -> None:
        """`speed`: seconds of the clock in a second of real time."""
        least = settings.least_real_s * speed
        self._index_ns = round(max(settings.index_stale_s, least) * SECOND_NS)
        self._options_ns = round(max(settings.options_stale_s, least) * SECOND_NS)
        self._pause = (clock_ns(settings.index_pause_from), clock_ns(settings.index_pause_to))

    def judge(self, now: int, up_since: int, open_since: int, index_at: int, options_at: int | None) -> Verdict:
        """Judge at `now`.

        `up_since`: when the connection came up; `open_since`: when the session opened, 0 while it is closed;
        `index_at`, `options_at`: when the last tick arrived, of the index and of any option (None: none is followed).
        After a (re)connect nothing is trusted before something fresh has come. Ages count within the session only.
        """
        if index_at < up_since:
            return Verdict(False, "waiting for the index's first price since the connection came up", index_at)
        if options_at is not None and options_at < up_since:
            return Verdict(False, "waiting for the options' first prices since the connection came up", options_at)
        if not open_since:
            return Verdict(True)
        index_age = now - max(index_at, open_since)
        if index_age > self._index_ns and not self._pause[0] <= ns_of_day(now) < self._pause[1]:
            return Verdict(False, f"no tick of the index for {index_age / SECOND_NS:.0f} s", index_at)
        if options_at is not None:
            age = now - max(options_at, open_since)
            if age > self._options_ns:
                return Verdict(False, f"no tick of any option for {age / SECOND_NS:.0f} s", options_at)
        return Verdict(True)


#: How long the ticks of an index are looked at before it is said that they are late, and how many tell it at least.
_LATE_NS, _LATE_LEAST = 60 * SECOND_NS, 10


class Lateness:
    """How late an index's ticks come, by our own clock: the least of a minute's, over those that tell a new trade time.

    A minute is closed a grace after its end. What comes later than that is lost to its bar, as a rule because this
    machine's clock is ahead. `note` is called from one thread, `late` from another; a tick lost in between is no harm.
    """

    __slots__ = ("_at", "_count", "_grace", "_last", "_least")

    def __init__(self, grace_ns: int) -> None:
        self._grace = grace_ns
        self._at = self._last = self._count = 0
        self._least = 1 << 62

    def note(self, ts: int, received: int) -> None:
        """Take a tick's trade time and when it came (UTC ns)."""
        if ts > self._last:
            self._last = ts
            self._count += 1
            self._least = min(self._least, received - ts)

    def begin(self, now: int) -> None:
        """Look afresh from `now` on (UTC ns)."""
        self._at, self._count, self._least = now, 0, 1 << 62

    def late(self, now: int) -> float | None:
        """Give by how many seconds all ticks of a minute were late, 0 where not so; None before that is known."""
        if now - self._at < _LATE_NS:
            return None
        least, enough = self._least, self._count >= _LATE_LEAST
        self.begin(now)
        if not enough:
            return None
        return least / SECOND_NS if least > self._grace else 0.0
