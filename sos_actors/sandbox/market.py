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
from sos_actors.market.day import BarColumns, DataQuality, MarketDay, TickColumns
from sos_actors.market.ids import index_id
from sos_actors.sandbox.bars import to_tick
from sos_actors.sandbox.chain import simulate_chain
from sos_actors.sandbox.daily import DailyPath
from sos_actors.sandbox.future import simulate_future
from sos_actors.sandbox.schedule import CALENDAR, Schedule
from sos_actors.sandbox.session import make_session
from sos_actors.sandbox.session_path import VIX, VIX_TICK, SessionPath, market_path, session_path, vix_path
from sos_actors.sandbox.settings import MarketSettings
from sos_actors.sandbox.ticks import default_instruments, simulate_ticks

SOURCE = "simulated"
_KEPT_DAYS = 4


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

    @property
    def underlyings(self) -> tuple[str, ...]:
        """What `day` can be asked for: the indices of the settings, and INDIAVIX (an index alone)."""
        return (*self.settings.indices, VIX)

    def day(self, underlying: str, day: dt.date) -> MarketDay:
        """One day at minute grain: index, near future, chains of the front expiry and of the next monthly one.

        Raises InputError for an unknown underlying, DataError for a day without a session or before the anchor.
        """
        return self._made(underlying, day)[0]

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

    def _make(self, underlying: str, day: dt.date) -> tuple[MarketDay, SessionPath | None]:
        if underlying not in self.underlyings:
            known = ", ".join(self.underlyings)
            raise InputError(f"simulated market: no underlying '{underlying}'; use one of {known}")
        state = self._daily.state(day)
        start = self.schedule.minute_starts(underlying, day)
        if not len(start):
            raise DataError(f"simulated market: {underlying} is closed on {day}; ask for a day with a session")
        shared = market_path(self.settings, self.seed, state, len(start))
        if underlying == VIX:
            levels = to_tick(100.0 * vix_path(self.settings, self.seed, state, shared), VIX_TICK)
            index = _index_bars(VIX, start, levels)
            quality = DataQuality(rows=len(start))
            return _freeze(MarketDay(VIX, day, index, None, (), SOURCE, simulated=True, quality=quality)), None
        path = session_path(self.settings, self.seed, state, shared, underlying)
        sigma = state.sigma * self.settings.indices[underlying].vol_ratio
        session = make_session(
            underlying, day, path, seed=self.seed, settings=self.settings, schedule=self.schedule, sigma=sigma
        )
        front = simulate_chain(session, session.listing.front, front=True)
        chains = (front, simulate_chain(session, session.listing.monthly, front=False))
        rows = session.minutes * (2 + sum(2 * len(chain.strikes) for chain in chains))
        made = MarketDay(
            underlying=underlying,
            day=day,
            index=_index_bars(underlying, start, path.level),
            future=simulate_future(session),
            chains=chains,
            source=SOURCE,
            simulated=True,
            quality=DataQuality(rows=rows),
        )
        return _freeze(made), path


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
