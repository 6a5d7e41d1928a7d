"""When the simulated market is open and what it lists, by the calendar and contract rules of the real one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sos_actors.market.calendar import TradingCalendar
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.contracts import ContractRules, strike_step, tick_size
from sos_actors.market.expiries import expiry_instant, is_monthly, monthly_expiries, next_expiry
from sos_actors.market.ids import EXCHANGE_OF

#: The calendar simulated days follow: in years whose holidays are not known, every weekday is a session.
CALENDAR = TradingCalendar(extra_years=frozenset(range(2000, 2101)))
#: Minutes of the session a full day's variance belongs to; shorter sessions move less.
FULL_SESSION = 375
_FURTHEST = dt.timedelta(days=70)
_ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Listing:
    """The contracts of one underlying on one day: expiry in front, the first monthly one after it, near future."""

    front: dt.date
    monthly: dt.date
    future: dt.date
    strike_step: float
    future_tick: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Sessions and listings by underlying, from a calendar."""

    calendar: TradingCalendar = CALENDAR
    rules: ContractRules = field(init=False)

    def __post_init__(self) -> None:
        """Make the contract rules of the same calendar."""
        object.__setattr__(self, "rules", ContractRules(self.calendar))

    def minute_starts(self, underlying: str, day: dt.date) -> NDArray[np.int64]:
        """Start of every minute of the day's sessions, UTC ns; empty when closed. Raises InputError: unknown year."""
        found = self.calendar.sessions(EXCHANGE_OF[underlying], day)
        parts = [np.arange(s.open_ns, s.close_ns, MINUTE_NS, dtype=np.int64) for s in found]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def session_share(self, day: dt.date) -> float:
        """How much of a full session NSE holds on `day`: 0 closed, 1 a full one (or longer)."""
        minutes = sum(s.close_ns - s.open_ns for s in self.calendar.sessions("NSE", day)) / MINUTE_NS
        return min(minutes / FULL_SESSION, 1.0)

    def sessions_between(self, underlying: str, day: dt.date, expiry: dt.date) -> int:
        """Trading days after `day` up to and including `expiry`."""
        return len(self.calendar.trading_days(EXCHANGE_OF[underlying], day + _ONE_DAY, expiry))

    def listing(self, underlying: str, day: dt.date) -> Listing:
        """Find what is listed on `day`; an expiry on the day itself is the one in front."""
        front = next_expiry(underlying, day, self.calendar)
        monthly = monthly_expiries(underlying, front + _ONE_DAY, front + _FURTHEST, self.calendar)[0]
        future = front if is_monthly(underlying, front, self.calendar) else monthly
        return Listing(front, monthly, future, strike_step(underlying, day), tick_size(underlying, "FUT", day))

    def expiry_ns(self, underlying: str, expiry: dt.date) -> int:
        """Instant at which contracts stop trading, UTC ns."""
        return expiry_instant(EXCHANGE_OF[underlying], expiry, self.calendar)

    def lot_size(self, underlying: str, expiry: dt.date, day: dt.date) -> int:
        """Units in a lot of contracts of that expiry on `day`."""
        return self.rules.lot_size(underlying, expiry, day)
