"""What the market says of one instrument at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.instruments import Instrument
from sos_actors.sandbox.tape import TickRow
from sos_actors.sandbox.ticks import Minutes

#: Levels of depth a full quote shows.
LEVELS = 5
#: Size of each level as a multiple of the one before it, in sixteenths, repeated.
_GROWTH = (16, 22, 31, 26, 40)


class OneMinute(NamedTuple):
    """One minute of trading: start (UTC ns), prices, units."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: int


class Level(NamedTuple):
    """One level of depth: units and price of the bid and of the ask; 0 where there is none."""

    bid_quantity: int
    bid: float
    ask_quantity: int
    ask: float


@dataclass(slots=True)
class Quote:
    """State of an instrument, tick by tick. Prices in rupees, quantities in units, times UTC ns; 0 where nothing is.

    `version` counts changes; `turnover` is price times units of the day, which the average price follows from.
    `previous` is the last completed minute, `forming` the one under way.
    """

    instrument: Instrument
    previous_close: float
    previous_oi: float = 0.0
    ltp: float = 0.0
    ltq: int = 0
    ltt: int = 0
    volume: int = 0
    turnover: float = 0.0
    oi: float = 0.0
    oi_high: float = 0.0
    oi_low: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    previous: OneMinute | None = None
    forming: OneMinute | None = None
    version: int = 0
    encoded: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Before the first trade last price and open interest are yesterday's."""
        self.ltp = self.ltp or self.previous_close
        self.oi = self.oi or self.previous_oi

    @property
    def average(self) -> float:
        """Average price of the day's trades; 0 before the first."""
        return self.turnover / self.volume if self.volume else 0.0

    def apply(self, row: TickRow) -> None:
        """Take in one tick."""
        _, ts, price, quantity, day_volume, oi, bid, ask = row
        self.ltp, self.ltq, self.ltt = price, quantity, ts
        self.volume = day_volume if day_volume >= 0 else self.volume + quantity
        self.turnover += price * quantity
        if not self.open:
            self.open = self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        if oi == oi:
            self.oi = oi
            self.oi_high = max(self.oi_high, oi)
            self.oi_low = min(self.oi_low or oi, oi)
        if bid == bid and ask == ask:
            self.bid, self.ask = bid, ask
        self._form(ts - ts % MINUTE_NS, price, quantity)
        self._changed()

    def _form(self, minute: int, price: float, quantity: int) -> None:
        old = self.forming
        if old is None or minute > old.start:
            self.previous, self.forming = old or self.previous, OneMinute(minute, price, price, price, price, quantity)
        else:  # a late tick counts to the minute under way
            high, low = max(old.high, price), min(old.low, price)
            self.forming = OneMinute(old.start, old.open, high, low, price, old.volume + quantity)

    def start_from(self, columns: Minutes, minutes: int) -> None:
        """Be as after the first `minutes` of the day's columns."""
        if minutes <= 0:
            return
        done = columns.cut(0, minutes)
        units = done.lots * done.lot
        last = minutes - 1
        self.ltp, self.ltt = float(done.close[last]), int(done.start[last]) + MINUTE_NS - 1_000_000
        self.volume = int(units.sum())
        self.turnover = float((units * (done.open + done.high + done.low + done.close)).sum()) / 4.0
        self.ltq = done.lot if self.volume else 0
        self.open = float(done.open[0])
        self.high, self.low = float(done.high.max()), float(done.low.min())
        if not np.isnan(done.oi).all():
            self.oi = float(done.oi[last])
            self.oi_high, self.oi_low = float(np.nanmax(done.oi)), float(np.nanmin(done.oi))
        bid, ask = float(done.bid[last]), float(done.ask[last])
        self.bid, self.ask = (bid, ask) if bid == bid and ask == ask else (0.0, 0.0)
        opening, high, low, close = (float(column[last]) for column in (done.open, done.high, done.low, done.close))
        self.forming = OneMinute(int(done.start[last]), opening, high, low, close, int(units[last]))
        self._changed()

    def close_minute(self, now_ns: int) -> None:
        """Let a minute that is over count as completed though no tick of the next has come."""
        if self.forming is not None and now_ns >= self.forming.start + MINUTE_NS:
            self.previous, self.forming = self.forming, None
            self._changed()

    def depth(self, levels: int = LEVELS) -> list[Level]:
        """Levels from the best outwards, a tick apart, in whole lots; empty for what is not quoted."""
        if not self.bid and not self.ask:
            return []
        lot, tick = self.instrument.lot_size, self.instrument.tick_size
        steps = round(1.0 / tick)
        size = lot * (1 + (self.version * 7 + len(self.instrument.id)) % 23)
        found = []
        for level in range(levels):
            bid = round(self.bid * steps - level) / steps if self.bid else 0.0
            ask = round(self.ask * steps + level) / steps if self.ask else 0.0
            bought = size * _GROWTH[(self.version + level) % 5] // 16 // lot * lot
            sold = size * _GROWTH[(self.version + 3 * level + 2) % 5] // 16 // lot * lot
            bids, asks = bid > 0.0, ask > 0.0
            found.append(Level(bought if bids else 0, bid if bids else 0.0, sold if asks else 0, ask if asks else 0.0))
        return found

    def _changed(self) -> None:
        self.version += 1
        self.encoded.clear()


def joined(columns: Minutes, first: int, end: int) -> OneMinute:
    """Join the minutes from `first` to `end` (excluded) to one candle, which bears the start of the first."""
    part = columns.cut(first, end)
    high, low = float(part.high.max()), float(part.low.min())
    volume = int(part.lots.sum()) * part.lot
    return OneMinute(int(part.start[0]), float(part.open[0]), high, low, float(part.close[-1]), volume)
