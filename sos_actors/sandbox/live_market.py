"""The market of a day as a clock plays it: quotes that change tick by tick, made only for who is asked about."""

from __future__ import annotations

import heapq
import math
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.sandbox.listing import future_instrument, index_instrument, option_instruments
from sos_actors.sandbox.quote import OneMinute, Quote, joined
from sos_actors.sandbox.session_path import VIX
from sos_actors.sandbox.tape import DayTape, TickRow
from sos_actors.sandbox.ticks import Minutes

#: Minutes of ticks made at a time for an instrument.
WINDOW = 15
HALF_HOUR = 30


def list_day(tape: DayTape) -> InstrumentTable:
    """Every instrument of the day: indices, near futures, calls and puts of all expiries."""
    rows = [index_instrument(name) for name in (*tape.underlyings, VIX)]
    for name in tape.underlyings:
        future = tape.future_expiry(name)
        if future is not None:
            rows.append(future_instrument(name, future, tape.day, tape.schedule))
        for expiry in tape.expiries(name):
            rows.extend(option_instruments(name, expiry, tape.strikes(name, expiry).tolist(), tape.day, tape.schedule))
    return InstrumentTable(rows)


class _Player:
    """Ticks of one instrument still to come, window by window, and the quote they change."""

    __slots__ = ("columns", "next_minute", "phase", "place", "quote", "rows")

    def __init__(self, quote: Quote, columns: Minutes) -> None:
        self.quote, self.columns = quote, columns
        #: Windows of instruments end at different minutes, so that they are not all made at once.
        self.phase = zlib.crc32(quote.instrument.id.encode()) % WINDOW
        self.rows: list[TickRow] = []
        self.place = 0
        self.next_minute = 0

    def load(self, tape: DayTape) -> bool:
        """Make the next window; False when the day has no more."""
        minutes = len(self.columns.start)
        while self.next_minute < minutes:
            first = self.next_minute
            self.next_minute = min(first + WINDOW - (first - self.phase) % WINDOW, minutes)
            self.rows, self.place = tape.ticks(self.quote.instrument, first, self.next_minute), 0
            if self.rows:
                return True
        return False

    def seek(self, minute: int) -> None:
        """Begin the window that holds `minute`, the quote standing as when the window began."""
        first = max(minute - (minute - self.phase) % WINDOW, 0)
        self.next_minute, self.rows, self.place = first, [], 0
        self.quote.start_from(self.columns, first)


class LiveMarket:
    """Quotes of a day at a moment that only moves on. Pure: the moment is handed in.

    `before` is the market of the trading day before, which previous closes come from; None where there is none.
    """

    def __init__(self, tape: DayTape, before: DayTape | None, now_ns: int) -> None:
        self.tape, self._before = tape, before
        self.table = list_day(tape)
        self.now_ns = now_ns
        self._players: list[_Player] = []
        self._quotes: dict[str, Quote] = {}
        self._due: list[tuple[int, int]] = []

    @property
    def quotes(self) -> Mapping[str, Quote]:
        """Quotes of all instruments anybody asked about, by the broker's key."""
        return self._quotes

    def quote(self, key: str) -> Quote | None:
        """Quote of an instrument by the broker's key, None when it is not listed; from now on it is kept up."""
        found = self._quotes.get(key)
        if found is None:
            instrument = self.table.by_key(key)
            columns = self.tape.minutes(instrument) if instrument is not None else None
            if instrument is None or columns is None:
                return None
            found = self._quotes[key] = Quote(instrument, *self._yesterday(instrument, columns))
            self._begin(_Player(found, columns))
        return found

    def advance(self, now_ns: int) -> Iterator[Quote]:
        """Move on to `now_ns`, giving each quote right after each of its ticks, in order of arrival."""
        due = self._due
        while due and due[0][0] <= now_ns:
            self.now_ns, slot = due[0]
            player = self._players[slot]
            player.quote.apply(player.rows[player.place])
            player.place += 1
            if player.place < len(player.rows) or player.load(self.tape):
                heapq.heapreplace(due, (player.rows[player.place][0], slot))
            else:
                heapq.heappop(due)
            yield player.quote
        self.now_ns = now_ns

    def jump(self, now_ns: int) -> None:
        """Move on at once, without the ticks between: every quote is as it stands at `now_ns`."""
        self.now_ns = now_ns
        old, self._players, self._due = self._players, [], []
        for player in old:
            fresh = Quote(player.quote.instrument, player.quote.previous_close, player.quote.previous_oi)
            self._quotes[fresh.instrument.upstox_key] = fresh
            self._begin(_Player(fresh, player.columns))

    def minutes_done(self, underlying: str) -> int:
        """How many minutes of the session are over."""
        return int(np.searchsorted(self.tape.starts(underlying) + MINUTE_NS, self.now_ns, side="right"))

    def half_hours(self, quote: Quote) -> tuple[OneMinute | None, OneMinute | None]:
        """The last completed half hour of the session and the one under way, from the minutes that are over."""
        columns = self.tape.minutes(quote.instrument)
        done = self.minutes_done(quote.instrument.underlying)
        if columns is None or not done:
            return None, None
        whole = done // HALF_HOUR * HALF_HOUR
        last = joined(columns, whole - HALF_HOUR, whole) if whole else None
        return last, joined(columns, whole, done) if done > whole else None

    def _begin(self, player: _Player) -> None:
        started = int(np.searchsorted(player.columns.start, self.now_ns, side="right")) - 1
        player.seek(max(started, 0))
        while player.place < len(player.rows) or player.load(self.tape):
            row = player.rows[player.place]
            if row[0] > self.now_ns:
                heapq.heappush(self._due, (row[0], len(self._players)))
                break
            player.quote.apply(row)
            player.place += 1
        self._players.append(player)

    def _yesterday(self, instrument: Instrument, columns: Minutes) -> tuple[float, float]:
        """Close and open interest of the day before; today's first price for what was not listed then."""
        old = self._before.minutes(instrument) if self._before is not None else None
        if old is None or not len(old.close):
            return float(columns.open[0]), 0.0
        oi = float(old.oi[-1])
        return float(old.close[-1]), 0.0 if math.isnan(oi) else oi
