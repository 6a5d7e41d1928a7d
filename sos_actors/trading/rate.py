"""A token bucket on message time: how many orders may still go out."""

from __future__ import annotations

from sos_actors.market.clocktime import SECOND_NS


class TokenBucket:
    """`rate` tokens a second (0: no limit) up to `burst`. Times are UTC ns; time that runs backwards adds nothing."""

    __slots__ = ("_burst", "_tokens", "_ts", "rate")

    def __init__(self, rate: float, burst: int) -> None:
        self.rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._ts: int | None = None

    def level(self, now: int) -> float:
        """Tokens there are at `now`; below 0 when more was taken than there was."""
        if self._ts is None or now <= self._ts:
            return self._tokens
        return min(self._burst, self._tokens + (now - self._ts) / SECOND_NS * self.rate)

    def take(self, now: int, tokens: int) -> None:
        """Take tokens away, whether they are there or not."""
        self._tokens = self.level(now) - tokens
        self._ts = now if self._ts is None else max(now, self._ts)
