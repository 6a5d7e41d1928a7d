"""A believable market made from a seed: index, near future and option chains of any day, as bars or as ticks.

No figure of it is real. Everything is a function of settings, seed, underlying and day, whatever was asked before,
on one architecture and one numpy release series.
"""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import DataError, InputError
from sos_actors.market.calendar import TradingCalendar
from sos_actors.market.day import BarColumns, ChainColumns, DataQuality, MarketDay, TickColumns
from sos_actors.market.ids import index_id
from sos_actors.sandbox.bars import to_tick
from sos_actors.sandbox.chain import listed_strikes, simulate_chain
from sos_actors.sandbox.daily import DailyPath, DayState
from sos_actors.sandbox.future import simulate_future
from sos_actors.sandbox.schedule import CALENDAR, Schedule
from sos_actors.sandbox.session import Session, make_session
from sos_actors.sandbox.session_path import VIX, VIX_TICK, SessionPath, market_path, session_path, vix_path
from sos_actors.sandbox.settings import MarketSettings
from sos_actors.sandbox.ticks import default_instruments, simulate_ticks

SOURCE = "simulated"
_KEPT_DAYS = 4
#: Sessions are small: paths without chains.
_KEPT_SESSIONS = 64


class SimulatedMarket:
    """The whole simulated market of one seed. Holds nothing but what can be made again; days it returns are read-only.

    Sessions, expiries and lots are those of `calendar`; by default the tables of the real market, with every weekday a
    session in years they do not know. Another calendar must know every year from the anchor on. Raises InputError for
    a seed below zero.
    """

    def __init__(
        self, settings: MarketSettings | None = None, seed: int = 0, calendar: TradingCalendar = CALENDAR
    ) -> None:
        if seed < 0:
            raise InputError(f"simulated market: seed {seed} is negative; use 0 or more")
        self.settings = settings or MarketSettings()
        self.seed = seed
        self.schedule = Schedule(calendar)
        self._daily = DailyPath(self.settings, seed, self.schedule.session_share)
        self._kept: OrderedDict[tuple[str, dt.date], tuple[MarketDay, SessionPath | None]] = OrderedDict()
        self._sessions: OrderedDict[tuple[str, dt.date], Session] = OrderedDict()

    @property
    def underlyings(self) -> tuple[str, ...]:
        """What `day` can be asked for: the indices of the settings, and INDIAVIX (an index alone)."""
        return (*self.settings.indices, VIX)

    def day(self, underlying: str, day: dt.date) -> MarketDay:
        """One day at minute grain: index, near future, chains of the front expiry and of the next monthly one.

        Raises InputError for an unknown underlying, DataError for a day without a session or before the anchor.
        """
        return self._made(underlying, day)[0]

    def session_path(self, underlying: str, day: dt.date) -> SessionPath:
        """Path of the index within that day, which the times of the minutes' extremes follow. Raises as `day` does."""
        return self._session(underlying, day).path

    def strikes(self, underlying: str, day: dt.date) -> NDArray[np.float64]:
        """Strikes of every chain of that day, ascending. Raises as `day` does."""
        return listed_strikes(self._session(underlying, day))

    def index(self, underlying: str, day: dt.date) -> BarColumns:
        """Index bars of the day alone, which cost a fraction of the whole day. Raises as `day` does."""
        start, state = self._opened(underlying, day)
        shared = market_path(self.settings, self.seed, state, len(start))
        if underlying == VIX:
            return _index_bars(VIX, start, to_tick(100.0 * vix_path(self.settings, self.seed, state, shared), VIX_TICK))
        return _index_bars(underlying, start, session_path(self.settings, self.seed, state, shared, underlying).level)

    def future(self, underlying: str, day: dt.date) -> BarColumns:
        """Bars of the near future alone. Raises as `day` does."""
        return simulate_future(self._session(underlying, day))

    def chain(self, underlying: str, day: dt.date, expiry: dt.date) -> ChainColumns:
        """Chain of any expiry from `day` on, those of `day` itself included. Raises as `day` does."""
        session = self._session(underlying, day)
        return simulate_chain(session, expiry, front=expiry == session.listing.front)

    def ticks(
        self,
        underlying: str,
        day: dt.date,
        instruments: Sequence[str] | None = None,
        *,
        strikes: int = 10,
        rate: float = 20.0,
    ) -> TickColumns:
        """Give the same day as ticks, in order of arrival.

        Gathered by minute of `ts` they give the bars of `day` exactly.

        `instruments` are canonical ids; without them the index, the near future and the front expiry's calls and puts
        at the money and `strikes` to either side. `rate` is the mean number of ticks a minute of the busiest
        instruments. An instrument's ticks do not depend on which others are asked for. Raises InputError for an
        instrument that is not part of the day, or a rate that is not positive.
        """
        if not rate > 0.0:
            raise InputError(f"simulated market: {rate} ticks a minute; use more than 0")
        made, path = self._made(underlying, day)
        names = tuple(instruments) if instruments is not None else default_instruments(made, strikes)
        return simulate_ticks(
            made, path, names, seed=self.seed, schedule=self.schedule, rate=rate, latency_ms=self.settings.latency_ms
        )

    def _made(self, underlying: str, day: dt.date) -> tuple[MarketDay, SessionPath | None]:
        key = (underlying, day)
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = self._make(underlying, day)
            if len(self._kept) > _KEPT_DAYS:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _opened(self, underlying: str, day: dt.date) -> tuple[NDArray[np.int64], DayState]:
        """Minutes and state of the day; raises InputError, DataError where there is none."""
        if underlying not in self.underlyings:
            known = ", ".join(self.underlyings)
            raise InputError(f"simulated market: no underlying '{underlying}'; use one of {known}")
        state = self._daily.state(day)
        start = self.schedule.minute_starts(underlying, day)
        if not len(start):
            raise DataError(f"simulated market: {underlying} is closed on {day}; ask for a day with a session")
        return start, state

    def _session(self, underlying: str, day: dt.date) -> Session:
        key = (underlying, day)
        if key not in self._sessions:
            self._sessions[key] = self._make_session(underlying, day)
            if len(self._sessions) > _KEPT_SESSIONS:
                self._sessions.popitem(last=False)
        return self._sessions[key]

    def _make_session(self, underlying: str, day: dt.date) -> Session:
        start, state = self._opened(underlying, day)
        shared = market_path(self.settings, self.seed, state, len(start))
        path = session_path(self.settings, self.seed, state, shared, underlying)
        sigma = state.sigma * self.settings.indices[underlying].vol_ratio
        return make_session(
            underlying, day, path, seed=self.seed, settings=self.settings, schedule=self.schedule, sigma=sigma
        )

    def _make(self, underlying: str, day: dt.date) -> tuple[MarketDay, SessionPath | None]:
        if underlying == VIX:
            index = self.index(VIX, day)
            quality = DataQuality(rows=len(index.start))
            return _freeze(MarketDay(VIX, day, index, None, (), SOURCE, simulated=True, quality=quality)), None
        session = self._session(underlying, day)
        front = simulate_chain(session, session.listing.front, front=True)
        chains = (front, simulate_chain(session, session.listing.monthly, front=False))
        rows = session.minutes * (2 + sum(2 * len(chain.strikes) for chain in chains))
        made = MarketDay(
            underlying=underlying,
            day=day,
            index=_index_bars(underlying, session.start, session.path.level),
            future=simulate_future(session),
            chains=chains,
            source=SOURCE,
            simulated=True,
            quality=DataQuality(rows=rows),
        )
        return _freeze(made), session.path


def _index_bars(underlying: str, start: NDArray[np.int64], level: NDArray[np.float64]) -> BarColumns:
    unknown = np.full(len(start), np.nan)
    return BarColumns(
        instrument=index_id(underlying),
        interval_s=60,
        start=start,
        open=level[:, 0].copy(),
        high=level.max(axis=1),
        low=level.min(axis=1),
        close=level[:, -1].copy(),
        volume=unknown,
        oi=unknown,
    )


def _freeze(day: MarketDay) -> MarketDay:
    """Make every array read-only: days are kept and handed out more than once."""
    for bars in (day.index, day.future):
        if bars is not None:
            columns = (bars.start, bars.open, bars.high, bars.low, bars.close, bars.volume, bars.oi)
            for column in columns:
                column.flags.writeable = False
    for chain in day.chains:
        for array in (chain.start, chain.strikes, chain.values):
            array.flags.writeable = False
    return day
