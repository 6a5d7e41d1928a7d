"""One underlying's session with everything that futures and options are derived from."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sos_actors.sandbox.schedule import Listing, Schedule
from sos_actors.sandbox.session_path import CLOSE, POINT_NS, POINTS, SessionPath, day_shape, decaying_sum
from sos_actors.sandbox.settings import IndexSettings, MarketSettings

Array = NDArray[np.float64]
DAYS_A_YEAR = 365.0
_NS_A_YEAR = DAYS_A_YEAR * 86_400e9
#: Half-life in minutes of the price pressure that open interest answers to.
PRESSURE_HALF_LIFE = 8.0


@dataclass(frozen=True, slots=True)
class Session:
    """One underlying on one day. `shape` and `activity` [minutes] have mean about one; `pressure` lies in (-1, 1).

    `spot` and `vix` are [4, minutes]: the open, high, low and close instant of each minute.
    """

    underlying: str
    day: dt.date
    seed: int
    settings: MarketSettings
    index: IndexSettings
    schedule: Schedule
    listing: Listing
    start: NDArray[np.int64]
    path: SessionPath
    spot: Array
    vix: Array
    shape: Array
    activity: Array
    pressure: Array

    @property
    def minutes(self) -> int:
        """Length of the session, minutes."""
        return len(self.start)

    def days_to(self, expiry: dt.date) -> int:
        """Trading days after this one up to the expiry; 0 on the expiry day."""
        return self.schedule.sessions_between(self.underlying, self.day, expiry)

    def lot(self, expiry: dt.date) -> int:
        """Units in a lot of contracts of that expiry."""
        return self.schedule.lot_size(self.underlying, expiry, self.day)

    def gone(self) -> Array:
        """Share of the session gone by at each instant, [4, minutes], below one."""
        points = np.arange(self.minutes) * POINTS + self.path.instants
        return np.asarray(points / (self.minutes * POINTS))

    def calendar_years(self, expiry: dt.date) -> Array:
        """Calendar years from each instant to the close of the expiry day, [4, minutes]; carries interest."""
        now = self.start + self.path.instants * POINT_NS
        return np.asarray((self.schedule.expiry_ns(self.underlying, expiry) - now) / _NS_A_YEAR)

    def trading_years(self, expiry: dt.date, sessions_a_year: float) -> Array:
        """Years to expiry in the market's own variance clock, [4, minutes]: sessions count, and nights a little."""
        today = (1.0 - self.gone()) * (1.0 - self.settings.overnight_share)
        return np.asarray((today + self.days_to(expiry)) / sessions_a_year)

    def carry(self, expiry: dt.date) -> Array:
        """Fair forward over spot at each instant, [4, minutes]."""
        s = self.settings
        return np.asarray(np.exp((s.rate - s.dividend_yield) * self.calendar_years(expiry)))


def make_session(
    underlying: str,
    day: dt.date,
    path: SessionPath,
    *,
    seed: int,
    settings: MarketSettings,
    schedule: Schedule,
    sigma: float,
) -> Session:
    """Derive from a path what volume and open interest answer to. `sigma` is the day's own standard deviation."""
    spot = path.at_instants(path.level)
    minutes = spot.shape[1]
    moves = np.diff(np.log(spot[CLOSE]), prepend=math.log(float(spot[0, 0])))
    typical = sigma / math.sqrt(minutes)
    keep = 0.5 ** (1.0 / PRESSURE_HALF_LIFE)
    drift = decaying_sum(moves, keep) / (typical * math.sqrt(1.0 / (1.0 - keep * keep)))
    shape = day_shape(minutes)
    return Session(
        underlying=underlying,
        day=day,
        seed=seed,
        settings=settings,
        index=settings.indices[underlying],
        schedule=schedule,
        listing=schedule.listing(underlying, day),
        start=schedule.minute_starts(underlying, day),
        path=path,
        spot=spot,
        vix=path.at_instants(path.vix),
        shape=shape,
        activity=shape * (0.7 + 0.3 * np.minimum(np.abs(moves) / typical, 6.0)),
        pressure=np.tanh(drift),
    )
