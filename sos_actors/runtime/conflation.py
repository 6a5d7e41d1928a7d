"""Ticks that wait too long become one per instrument, such that the bars made of them stay what they were.

A `Heap` of ticks is one entry of a mailbox. It holds the first tick as it came, so that a bar that begins with it keeps
its open, and everything later of the same minute in one merged tick: last price, quotes and day volume, the latest
open interest, and the extremes of all.
"""

from __future__ import annotations

from msgspec.structs import replace

from sos_actors.messages import Tick

_MINUTE_NS = 60_000_000_000


def merged(earlier: Tick, later: Tick) -> Tick:
    """Make one tick of two of the same instrument; either may be a merged one."""
    highs = (earlier.price, later.price, earlier.high, later.high)
    lows = (earlier.price, later.price, earlier.low, later.low)
    return replace(
        later,
        oi=earlier.oi if later.oi != later.oi else later.oi,  # NaN: this one did not say
        high=max(price for price in highs if price == price),
        low=min(price for price in lows if price == price),
        merged=earlier.merged + later.merged + 1,
    )


class Heap:
    """Ticks of one instrument, of one minute of the exchange, for one port, in order of arrival."""

    __slots__ = ("_last", "_minute", "first", "rest")

    def __init__(self, first: Tick) -> None:
        self.first = first
        self.rest: Tick | None = None
        self._last = first
        self._minute = first.ts // _MINUTE_NS

    def takes(self, tick: Tick) -> bool:
        """Say whether a tick can be added without a bar coming out otherwise than from the single ticks.

        Not of another minute, and not one that was overtaken on its way: bars drop the price of such a tick.
        """
        last = self._last
        return tick.ts >= last.ts and tick.ts // _MINUTE_NS == self._minute and tick.day_volume >= last.day_volume

    def add(self, tick: Tick) -> bool:
        """Add a tick; true when it vanished in another."""
        self._last = tick
        if self.rest is None:
            self.rest = tick
            return False
        self.rest = merged(self.rest, tick)
        return True
