"""Settings of history and of the data a daemon keeps: where it comes from, how much, for how long."""

from __future__ import annotations

from typing import Literal

import msgspec

SourceName = Literal["upstox", "files"]


class DataSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """History and the market database."""

    sources: tuple[SourceName, ...] = ("upstox", "files")
    """Who is asked for a day the database lacks, in this order."""
    files: tuple[str, ...] = ()
    """Files and folders that the source `files` looks in."""
    strikes: int = 15
    """Strikes each side of the day's range that are fetched of the front expiry, unless --full-options."""
    patience_s: float = 1_900.0
    """Seconds a fetch waits for the broker's rate limit before it gives up; its longest window is half an hour."""
    retries: int = 3
    """Times a request is made again when the network or the broker fails."""
    retry_pause_s: float = 2.0
    """Seconds before the first of them; doubled with each."""
    retry_after_min: float = 15.0
    """Minutes until a past day that could not be had whole is asked for again, unless --force."""
    settle_s: float = 120.0
    """Seconds after the close from which a day's candles count as final."""
    warmup_days: int = 3
    """Trading days played before a daemon goes live, so that indicators are warm."""
    flush_s: float = 60.0
    """Seconds of recorded minutes that a crash may lose at most; what was lost is filled from history."""
    keep_tick_days: int = 60
    """Days for which ticks are kept; 0: for ever."""
    keep_bar_days: int = 0
    """Days for which bars are kept; 0: for ever."""
    keep_chain_days: int = 0
    """Days for which chains are kept; 0: for ever."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        counts = ("strikes", "retries", "warmup_days", "keep_tick_days", "keep_bar_days", "keep_chain_days")
        for name in counts:
            if getattr(self, name) < 0:
                raise ValueError(f"data.{name} is {getattr(self, name)}: write 0 or more")
        for name in ("patience_s", "retry_pause_s", "retry_after_min", "settle_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"data.{name} is {getattr(self, name)}: write 0 or more")
        if not self.flush_s >= 1:
            raise ValueError(f"data.flush_s is {self.flush_s}: write 1 or more")
