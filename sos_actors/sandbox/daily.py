"""The market day by day: opens, closes and India VIX, which the paths within a session then join up."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sos_actors.errors import DataError
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.settings import IndexSettings, MarketSettings

SESSIONS_A_YEAR = 252.0
#: Size of a session's move on a trend day, a range day and any other; their mean square is about one.
TREND_MOVE, RANGE_MOVE, USUAL_MOVE = 1.7, 0.45, 0.9
#: How restless the path itself is on such days: a range day is quieter, a trend day a little busier.
TREND_NOISE, RANGE_NOISE, USUAL_NOISE = 1.05, 0.85, 1.0
GAP_TAIL = 0.35


@dataclass(frozen=True, slots=True)
class DayState:
    """One session of the whole market. Levels in points by underlying; VIX and sigma as fractions a year / a session.

    `sigma` is the standard deviation of the market's return between open and close; `noise` scales the path
    between those two points, not the points.
    """

    day: dt.date
    vix_open: float
    vix_close: float
    sigma: float
    noise: float
    opens: Mapping[str, float]
    closes: Mapping[str, float]


class DailyPath:
    """The daily path from the anchor on: made a calendar year at a time when first asked for, then kept."""

    def __init__(self, settings: MarketSettings, seed: int, session_share: Callable[[dt.date], float]) -> None:
        self._settings = settings
        self._seed = seed
        self._session_share = session_share
        self._days: dict[dt.date, DayState] = {}
        self._next_year = settings.anchor.year
        self._vix = settings.vix_mean
        self._deviation = dict.fromkeys(settings.indices, 0.0)

    def state(self, day: dt.date) -> DayState:
        """State of `day`; raises DataError where the market is closed or the path has not begun."""
        if day < self._settings.anchor:
            first = self._settings.anchor
            raise DataError(f"simulated market: {day} is before its first day {first}; ask for a later day")
        while self._next_year <= day.year:
            self._make_year(self._next_year)
            self._next_year += 1
        if day not in self._days:
            raise DataError(f"simulated market: {day} is not a trading day; ask for a day with a session")
        return self._days[day]

    def _make_year(self, year: int) -> None:
        market = stream(self._seed, "daily", year).standard_normal((366, 5))
        uniform = stream(self._seed, "day type", year).random(366)
        names = self._settings.indices
        own = {name: stream(self._seed, "daily", name, year).standard_normal((366, 2)) for name in names}
        first = max(dt.date(year, 1, 1), self._settings.anchor)
        for ordinal in range(first.toordinal(), dt.date(year + 1, 1, 1).toordinal()):
            day = dt.date.fromordinal(ordinal)
            share = self._session_share(day)
            if share > 0.0:
                row = day.timetuple().tm_yday - 1
                own_row = {name: (float(draws[row, 0]), float(draws[row, 1])) for name, draws in own.items()}
                shocks = [float(z) for z in market[row]]
                self._days[day] = self._step(day, share, shocks, float(uniform[row]), own_row)

    def _step(
        self, day: dt.date, share: float, z: list[float], kind: float, own: Mapping[str, tuple[float, float]]
    ) -> DayState:
        """Move the market through the night before `day` and its session, `share` of a full one."""
        s = self._settings
        move, noise = _day_type(kind, s)
        sigma = s.variance_premium * self._vix / math.sqrt(SESSIONS_A_YEAR)
        # A lognormal mixture of unit variance: most nights are quiet, some are not.
        tail = math.exp(GAP_TAIL * z[3] - GAP_TAIL * GAP_TAIL)
        night, session = math.sqrt(s.overnight_share), math.sqrt((1.0 - s.overnight_share) * share)
        opens: dict[str, float] = {}
        closes: dict[str, float] = {}
        for name, index in s.indices.items():
            shared, alone = math.sqrt(index.loading), math.sqrt(1.0 - index.loading)
            size = sigma * index.vol_ratio
            at_open = self._deviation[name] * (1.0 - s.pull / SESSIONS_A_YEAR)
            at_open += size * night * tail * (shared * z[1] + alone * own[name][1])
            at_close = at_open + size * session * move * (shared * z[0] + alone * own[name][0])
            self._deviation[name] = at_close
            trend = self._trend(index, day)
            opens[name], closes[name] = trend * math.exp(at_open), trend * math.exp(at_close)
        before = math.log(self._vix)
        overnight = -s.vix_vol * s.leverage * night * tail * z[1]
        in_session = -s.vix_vol * s.leverage * session * move * z[0]
        free = s.vix_vol * math.sqrt(1.0 - s.leverage**2) * z[2]
        self._vix = math.exp(before + s.vix_speed * (math.log(s.vix_mean) - before) + overnight + in_session + free)
        return DayState(day, math.exp(before + overnight), self._vix, sigma * session, noise, opens, closes)

    def _trend(self, index: IndexSettings, day: dt.date) -> float:
        years = (day - self._settings.reference_day).days / 365.0
        return index.level * math.exp(self._settings.growth * years)


def _day_type(kind: float, settings: MarketSettings) -> tuple[float, float]:
    """Size of the session's move and of the path's own noise, for a uniform draw."""
    if kind < settings.trend_days:
        return TREND_MOVE, TREND_NOISE
    if kind < settings.trend_days + settings.range_days:
        return RANGE_MOVE, RANGE_NOISE
    return USUAL_MOVE, USUAL_NOISE
