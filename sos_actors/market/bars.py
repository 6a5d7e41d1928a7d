"""One-interval bars out of ticks, built as the ticks arrive.

The exchange's trade time decides the bar a price belongs to; the running day volume decides how much was traded. The
feed sends snapshots, not every trade: what traded between two snapshots is in the volume but its prices are not known,
so an open, a high or a low can miss a trade that the exchange's own bar holds, and never exceeds it.
"""

from __future__ import annotations

import msgspec

from sos_actors.errors import InputError
from sos_actors.market.clocktime import DAY_NS, SECOND_NS
from sos_actors.messages import NAN, Bar, Tick, VolumeSource

#: IST is 30 minutes off UTC's hours: intervals that divide half an hour start at the same instants in both.
_HALF_HOUR_S = 1800


class BarSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a bar counts as incomplete."""

    #: Seconds without any message of the instrument that make a hole; 0: only what the feed reports (`mark_hole`),
    #: which suits contracts that are rarely quoted.
    hole_s: float = 30.0

    def __post_init__(self) -> None:
        """Check the value; raises ValueError."""
        if self.hole_s < 0:
            raise ValueError(f"bars.hole_s is {self.hole_s}: write 0 or more")


class _Open:
    """A bar being built."""

    __slots__ = ("close", "high", "low", "open", "volume")

    def __init__(self, price: float) -> None:
        self.open = self.high = self.low = self.close = price
        self.volume = 0


class BarBuilder:
    """Bars of one instrument. Give it every tick in order of arrival, and `close` each interval when it is over.

    What it does with
    - ticks of the next interval before this one is closed (the clock waits a grace): both bars stay open;
    - late ticks, of an interval already closed: the price is dropped, its volume counts in the next bar, so that
      the bars of a day add up to the day's volume. `late` counts them;
    - messages overtaken by newer ones (an older trade, and the day volume falls): dropped, `stale` counts them; that
      the volume of a new day is less than that of a snapshot from the day before is no fall;
    - a day volume that falls though the trade is a newer one: the feed's counter began anew, or a value before was
      wrong; of this message the trade itself is counted, and the volume goes on from there;
    - repeated snapshots of one trade, also quote-only updates minutes later: they carry the old trade time and so
      touch no other bar than that trade's; only open interest and quotes are taken from them;
    - merged ticks (a mailbox was full): their extremes count; the mailbox merges none across a minute's end and none
      that begins a minute, so bars of whole minutes are what the single ticks would have made. Time in which they
      waited can look like silence, never the other way round;
    - silence: a bar that overlaps more than `hole_s` without any message of this instrument, or a hole the feed
      reported through `mark_hole` or `lose`, or the moment listening began, is marked `complete=False`.

    Times of arrival are by our own clock, which may be off; the largest (trade time - arrival) seen is what turns
    them into exchange time.
    """

    __slots__ = (
        "_ask", "_bid", "_closed", "_day_volume", "_has_volume", "_hole_ns", "_holes", "_instrument", "_interval",
        "_joined", "_last_recv", "_lost_since", "_oi", "_open", "_since", "_skew", "_volume_ts", "late", "stale",
    )  # fmt: skip

    def __init__(self, instrument: str, interval_s: int = 60, settings: BarSettings | None = None) -> None:
        if interval_s <= 0 or _HALF_HOUR_S % interval_s:
            raise InputError(f"bar interval {interval_s} s: it must divide 1800 s; use a Resampler for longer bars")
        self._instrument = instrument
        self._interval = interval_s * SECOND_NS
        self._hole_ns = round((settings or BarSettings()).hole_s * SECOND_NS)
        self.late = 0
        self.stale = 0
        self._has_volume = False
        self._lost_since: int | None = None
        self.start_day()

    def start_day(self, listening_since: int | None = None) -> None:
        """Forget the day before. `listening_since` (UTC ns), if before the first trade, makes the first bar whole.

        Messages about trades before it, such as the snapshot of yesterday's last trade, are then left out.
        """
        self._since = listening_since
        self._open: dict[int, _Open] = {}
        self._closed = 0
        self._oi = self._bid = self._ask = NAN
        self._skew: int | None = None
        self._last_recv = 0
        self._joined = 0
        # Before the first message the volume so far is unknown, unless we listened from the start: then it is 0.
        self._day_volume = -1 if listening_since is None else 0
        self._volume_ts = -1
        self._holes: list[tuple[int, int]] = [] if listening_since is None else [(0, listening_since)]

    def forming(self) -> tuple[int, float, float, float, float] | None:
        """Give the youngest bar being built as (start, open, high, low, price); None without one. For observers."""
        if not self._open:
            return None
        start = max(self._open)
        bar = self._open[start]
        return start, bar.open, bar.high, bar.low, bar.close

    def mark_hole(self, start: int, end: int) -> None:
        """Say that the feed was silent in [start, end), UTC ns by the exchange's clock."""
        self._holes.append((start, end))

    def lose(self, since: int) -> None:
        """Say that the feed cannot be trusted since then (UTC ns by our clock), and until `regain`."""
        if self._lost_since is None:
            self._lost_since = since

    def regain(self, at: int) -> None:
        """Say that the feed can be trusted again since then (UTC ns by our clock)."""
        if self._lost_since is not None:
            skew = self._skew or 0
            self.mark_hole(self._lost_since + skew, at + skew)
            self._lost_since = None

    def tick(self, tick: Tick) -> None:
        """Take one message. Nothing is said until the interval is closed."""
        self._arrived(tick)
        if tick.oi == tick.oi:  # not NaN, without a call
            self._oi = tick.oi
        self._bid, self._ask = tick.bid, tick.ask
        ts, day_volume = tick.ts, tick.day_volume
        if self._since is not None and ts < self._since:
            return
        if day_volume >= 0 and self._is_stale(ts, day_volume):
            self.stale += 1
            return
        if ts < self._closed:
            # A repeated snapshot of an old trade is no news; a trade that comes too late is.
            self.late += day_volume > self._day_volume >= 0
            return
        start = ts - ts % self._interval
        bar = self._open.get(start)
        price = tick.price
        if bar is None:
            bar = self._open[start] = _Open(price)
        elif price > bar.high:
            bar.high = price
        elif price < bar.low:
            bar.low = price
        if tick.merged:
            self._widen(bar, tick)
        bar.close = price
        if day_volume >= 0:
            bar.volume += day_volume - self._day_volume if self._day_volume >= 0 else tick.quantity
            self._day_volume = day_volume
            self._volume_ts = ts

    @staticmethod
    def _widen(bar: _Open, tick: Tick) -> None:
        """Take in the extremes of ticks that became one on their way; NaN counts for nothing."""
        bar.high = max(bar.high, tick.high)
        bar.low = min(bar.low, tick.low)

    def close(self, end: int) -> Bar | None:
        """Close the interval [end - interval, end) and give its bar; None when nothing traded in it."""
        start = end - self._interval
        self._closed = max(self._closed, end)
        bar = self._open.pop(start, None)
        for old in [key for key in self._open if key < start]:
            del self._open[old]
        complete = not self._in_hole(start, end)
        self._holes = [hole for hole in self._holes if hole[1] > end]
        if bar is None:
            return None
        return Bar(
            instrument=self._instrument,
            start=start,
            end=end,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            volume=float(bar.volume) if self._has_volume else NAN,
            oi=self._oi,
            volume_source=VolumeSource.EXCHANGE if self._has_volume else VolumeSource.NONE,
            complete=complete,
            bid=self._bid,
            ask=self._ask,
        )

    def _is_stale(self, ts: int, day_volume: int) -> bool:
        self._has_volume = True
        # Trading hours of one day lie within one UTC day.
        if self._volume_ts >= 0 and ts // DAY_NS > self._volume_ts // DAY_NS:
            # The last message was the snapshot of a trade on an earlier day: nothing had traded today.
            self._day_volume, self._volume_ts = 0, ts
        if day_volume >= self._day_volume:
            return ts // DAY_NS < self._volume_ts // DAY_NS
        if ts <= self._volume_ts:
            return True
        self._day_volume = -1
        return False

    def _arrived(self, tick: Tick) -> None:
        skew = tick.ts - tick.ts_recv
        if self._skew is None:
            self._skew = skew
            # What came before the first message is not known, unless we listened from the start.
            self._joined = tick.ts_recv if self._since is None else 0
        else:
            if self._hole_ns and tick.ts_recv - self._last_recv > self._hole_ns:
                self._holes.append((self._last_recv + self._skew, tick.ts_recv + self._skew))
            self._skew = max(self._skew, skew)
        self._last_recv = max(self._last_recv, tick.ts_recv)

    def _in_hole(self, start: int, end: int) -> bool:
        if any(hole_start < end and hole_end > start for hole_start, hole_end in self._holes):
            return True
        if self._lost_since is not None and self._lost_since + (self._skew or 0) < end:
            return True
        if self._skew is None:
            return False
        # Joined within it; or silent until now.
        silent = end - self._last_recv - self._skew
        return start < self._joined + self._skew or (self._hole_ns > 0 and silent > self._hole_ns)
