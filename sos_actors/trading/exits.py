"""When to leave a position: break-even, trailing stop, index levels, time stop, square-off; worst and best excursion.

Nothing here looks ahead: what a bar decides takes effect at prices after it. A stop only ever tightens.
"""

from __future__ import annotations

from math import isnan

import msgspec

from sos_actors.market.clocktime import SECOND_NS, clock_ns, ns_of_day
from sos_actors.messages import NAN, Bar, Direction, ExitReason, Side, TradePlan
from sos_actors.trading.exit_actions import ExitAction, ExitNow, MoveStop
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.ticks import tick_nearest

#: Reached through its class, a member of an enumeration costs ten times as much.
BUY, LONG = Side.BUY, Direction.LONG

_NEVER = 1 << 62


_NOTHING: tuple[ExitAction, ...] = ()


class ExitPlan(msgspec.Struct, array_like=True, eq=False, gc=False, kw_only=True):
    """The exit side of one open trade, from its first fill on.

    `sign` is +1 for units bought, -1 for units sold; `view` the sign of the underlying's direction. Prices are
    rupees; NaN: no such level. `highest` and `lowest` are what the price reached since the entry.
    `watch_stop` / `watch_target` say that no order rests at the broker for that level, so that it is watched
    here. `stop_reason` tells what a fill of the stop means: STOP, BREAK_EVEN or TRAILING.
    Checkpoints hold it as it stands here: the order of the fields is their layout.
    """

    #: Whether a new extreme may move the stop.
    _ruled: bool = False
    entry: float
    even_move: float = NAN
    highest: float
    index_stop: float
    index_target: float
    initial_risk: float = NAN
    leave_ts: int
    lowest: float
    opened_ts: int
    settings: ExitSettings
    sign: int
    square_off_ns: int
    stop: float
    stop_reason: ExitReason = ExitReason.STOP
    target: float
    tick: float
    trail_by: float = NAN
    view: int
    watch_stop: bool = False
    watch_target: bool = False

    @classmethod
    def of(cls, plan: TradePlan, opened_ts: int, entry: float, settings: ExitSettings, tick: float) -> ExitPlan:
        """Give the exits of a trade that was entered at a time (UTC ns) and price (rupees)."""
        minutes, square_off = settings.time_stop_min, settings.square_off
        exits = cls(
            entry=entry,
            highest=entry,
            index_stop=plan.index_stop,
            index_target=plan.index_target,
            leave_ts=_NEVER if minutes is None else opened_ts + round(minutes * 60 * SECOND_NS),
            lowest=entry,
            opened_ts=opened_ts,
            settings=settings,
            sign=1 if plan.side is BUY else -1,
            square_off_ns=_NEVER if square_off is None else clock_ns(square_off),
            stop=plan.stop,
            target=plan.target,
            tick=tick,
            view=1 if plan.direction is LONG else -1,
        )
        exits.set_entry(entry)
        return exits

    def set_entry(self, entry: float) -> None:
        """Take the average entry price, rupees; called again while the entry is still filling."""
        self.entry = entry
        settings, sign = self.settings, self.sign
        self.initial_risk = max((entry - self.stop) * sign, 0.0) if self.stop == self.stop else NAN
        reach = (self.target - entry) * sign
        fraction = settings.break_even_at
        self.even_move = NAN if fraction is None or not reach > 0.0 else fraction * reach
        self.trail_by = NAN if settings.trailing is None else settings.trailing * self.initial_risk
        self._ruled = self.even_move == self.even_move or self.trail_by > 0.0

    def on_bar(self, bar: Bar) -> tuple[ExitAction, ...]:
        """Take a closed bar of the instrument held. Of a bar that began before the entry only the close counts."""
        if bar.start < self.opened_ts:
            return self.on_price(bar.close, bar.close, bar.close)
        high, low = bar.high, bar.low
        if self._ruled or self.watch_stop or self.watch_target:
            return self.on_price(high, low, bar.close)
        if high > self.highest:  # noqa: PLR1730 - max() costs three times as much, and this is every bar held
            self.highest = high
        if low < self.lowest:  # noqa: PLR1730 - as above
            self.lowest = low
        return _NOTHING

    def on_price(self, high: float, low: float, last: float) -> tuple[ExitAction, ...]:
        """Take what the instrument held did since the last call (for a tick all three are its price)."""
        # Break-even and trailing depend on the best price so far: without a new extreme there is nothing to decide.
        if high <= self.highest and low >= self.lowest and not self.watch_stop and not self.watch_target:
            return _NOTHING
        self.highest = max(self.highest, high)
        self.lowest = min(self.lowest, low)
        adverse, favourable = (low, high) if self.sign > 0 else (high, low)
        # Comparisons with NaN (a level or rule that is off) are false.
        if self.watch_stop and (adverse - self.stop) * self.sign <= 0.0:
            return (ExitNow(self.stop_reason),)
        if self.watch_target and (favourable - self.target) * self.sign >= 0.0:
            return (ExitNow(ExitReason.TARGET),)
        if self.mfe >= self.even_move or self.trail_by > 0.0:
            return self._tighten(last)
        return _NOTHING

    @property
    def mae(self) -> float:
        """Worst excursion, rupees a unit, >= 0."""
        return max(self.entry - self.lowest if self.sign > 0 else self.highest - self.entry, 0.0)

    @property
    def mfe(self) -> float:
        """Best excursion, rupees a unit, >= 0."""
        return max(self.highest - self.entry if self.sign > 0 else self.entry - self.lowest, 0.0)

    def on_index_bar(self, bar: Bar) -> tuple[ExitAction, ...]:
        """Take a closed bar of the underlying: the index stop is looked at before the index target."""
        if bar.start < self.opened_ts:
            return self.on_index_price(bar.close, bar.close)
        return self.on_index_price(bar.high, bar.low)

    def on_index_price(self, high: float, low: float) -> tuple[ExitAction, ...]:
        """Take what the underlying did since the last call (for a tick both are its price)."""
        if self.view > 0:
            if low <= self.index_stop:
                return (ExitNow(ExitReason.INDEX_STOP),)
            if high >= self.index_target:
                return (ExitNow(ExitReason.INDEX_TARGET),)
        else:
            if high >= self.index_stop:
                return (ExitNow(ExitReason.INDEX_STOP),)
            if low <= self.index_target:
                return (ExitNow(ExitReason.INDEX_TARGET),)
        return _NOTHING

    def on_time(self, ts: int) -> tuple[ExitAction, ...]:
        """Take the time, UTC ns: square-off first, then the time stop."""
        if self.square_off_ns != _NEVER and ns_of_day(ts) >= self.square_off_ns:
            return (ExitNow(ExitReason.SQUARE_OFF),)
        if ts >= self.leave_ts:
            return (ExitNow(ExitReason.TIME_STOP),)
        return _NOTHING

    def note_exit(self, price: float) -> None:
        """Count an exit's price among the excursions."""
        if price > self.highest:
            self.highest = price
        elif price < self.lowest:
            self.lowest = price

    def _tighten(self, last: float) -> tuple[ExitAction, ...]:
        sign, stop, reason = self.sign, self.stop, self.stop_reason
        if self.mfe >= self.even_move:
            self.even_move = NAN
            level = tick_nearest(self.entry, self.tick)
            if not (level - stop) * sign <= 0.0:
                stop, reason = level, ExitReason.BREAK_EVEN
        if self.trail_by > 0.0:
            best = self.highest if sign > 0 else self.lowest
            level = tick_nearest(best - sign * self.trail_by, self.tick)
            if not (level - stop) * sign <= 0.0:
                stop, reason = level, ExitReason.TRAILING
        if stop == self.stop or isnan(stop):
            return _NOTHING
        self.stop, self.stop_reason = stop, reason
        # A stop the price has passed already would be refused by an exchange: leave at once instead.
        if (last - stop) * sign <= 0.0:
            return (ExitNow(reason),)
        return (MoveStop(stop, reason),)
