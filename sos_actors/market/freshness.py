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
    check_s: float = 1.0
    """Seconds between two judgements."""
    index_pause_from: str = "15:15"
    """From this time of day (IST) the index's own silence is not judged: the closing auction freezes its shares."""
    index_pause_to: str = "15:40"
    """Until this time of day."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if min(self.index_stale_s, self.options_stale_s, self.check_s) <= 0 or self.least_real_s < 0:
            raise ValueError("freshness: write more than 0 for the stale times and check_s, 0 or more for least_real_s")
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
