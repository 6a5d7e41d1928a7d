"""The days a daemon plays before it goes live: some to warm the indicators up, and today so far."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import InputError, SosError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.clocktime import SECOND_NS, ist_date
from sos_actors.market.day import BarColumns, ChainColumns, MarketDay
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.messages import GapsFilled, GapsSuspected
from sos_actors.sources.fallback import Bringer, fill
from sos_actors.storage.day_states import DayStates
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.minute_shelf import LIVE

log = logging.getLogger(__name__)


class WarmStart:
    """What to play before going live at `now` (UTC ns): `days`, and `load_day` as the FeedActor of history takes it.

    Missing days are brought first; what cannot be had is left out, with a warning. Today is cut where it must be: of
    what had not ended by `now` nothing is given.
    """

    def __init__(
        self,
        store: MarketStore,
        symbols: Sequence[str],
        now: int,
        warmup_days: int,
        *,
        bringers: Sequence[Bringer] = (),
        fill_gaps: Callable[[GapsSuspected], GapsFilled] | None = None,
        calendar: TradingCalendar = INDIA,
    ) -> None:
        """`fill_gaps` fills what a daemon that died recorded of today; `bringers` fetch whole days."""
        self._store, self._symbols, self._now, self._calendar = store, tuple(symbols), now, calendar
        wanted = {symbol: self._wanted(symbol, warmup_days) for symbol in symbols}
        for symbol, days in wanted.items():
            self._bring(symbol, days, bringers, fill_gaps)
        have = {symbol: [day for day in days if store.has_day(symbol, day)] for symbol, days in wanted.items()}
        #: The days to play, oldest first.
        self.days: tuple[dt.date, ...] = tuple(sorted({day for days in have.values() for day in days}))

    def load_day(self, day: dt.date, *, since: int = 0) -> list[MarketDay]:
        """Give what is known of a day, of each underlying that has anything; only what ended after `since` (UTC ns)."""
        found = (self._store.load_day(symbol, day, "front") for symbol in self._symbols)
        return [cut for one in found if one is not None and (cut := between(one, since, self._now)) is not None]

    def _wanted(self, symbol: str, count: int) -> list[dt.date]:
        """Give the last trading days before today, and today once its session has begun; oldest first."""
        exchange, today = EXCHANGE_OF[symbol], ist_date(self._now)
        sessions = self._calendar.sessions(exchange, today)
        found = [today] if sessions and sessions[0].open_ns < self._now else []
        day = today
        try:
            for _ in range(count):
                day = self._calendar.previous_trading_day(exchange, day)
                found.append(day)
        except InputError:  # the calendar ends there
            pass
        return found[::-1]

    def _bring(
        self,
        symbol: str,
        days: list[dt.date],
        bringers: Sequence[Bringer],
        fill_gaps: Callable[[GapsSuspected], GapsFilled] | None,
    ) -> None:
        today = ist_date(self._now)
        state = DayStates(self._store).get(symbol, today)
        recorded = state is not None and state.source == LIVE and self._store.has_day(symbol, today)
        try:
            if recorded and today in days and fill_gaps is not None:
                fill_gaps(GapsSuspected(symbol, today, self._now))
            rest = [day for day in days if not (recorded and day == today)]
            for report in fill(self._store, bringers, symbol, rest):
                if report.did in {"incomplete", "nothing"} and report.day != today:
                    log.warning("warm-up: %s %s: %s", symbol, report.day, report.note or report.did)
        except SosError as error:
            log.warning("warm-up of %s goes on with what is stored: %s", symbol, error)


def between(day: MarketDay, since: int, now: int) -> MarketDay | None:
    """Give of a day what ended after `since` and by `now` (UTC ns); None when nothing did."""
    index, future = _bars(day.index, since, now), _bars(day.future, since, now)
    chains = tuple(_chain(chain, since, now) for chain in day.chains)
    kept = tuple(chain for chain in chains if len(chain.start))
    return replace(day, index=index, future=future, chains=kept) if index or future or kept else None


def _bars(bars: BarColumns | None, since: int, now: int) -> BarColumns | None:
    if bars is None:
        return None
    kept = bars.rows(_ended(bars.start, bars.interval_s, since, now))
    return kept if len(kept.start) else None


def _chain(chain: ChainColumns, since: int, now: int) -> ChainColumns:
    kept = _ended(chain.start, chain.interval_s, since, now)
    return replace(chain, start=chain.start[kept], values=chain.values[kept])


def _ended(starts: NDArray[np.int64], interval_s: int, since: int, now: int) -> slice:
    """Give the places of the intervals that ended after `since` and by `now`."""
    first, end = np.searchsorted(starts, [since - interval_s * SECOND_NS, now - interval_s * SECOND_NS], side="right")
    return slice(int(first), int(end))
