"""Which contracts of an underlying are followed: those around the price, moved with hysteresis."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from dataclasses import dataclass

import msgspec

from sos_actors.errors import DataError
from sos_actors.market.clocktime import SECOND_NS
from sos_actors.market.ids import index_id
from sos_actors.market.instruments import Instrument, InstrumentTable


class FollowSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of one underlying's chain is followed live."""

    strikes: int = 20
    """Listed strikes on each side of the one at the money, of the nearest expiry."""
    expiries: int = 1
    """Nearest expiries that are followed; the chain's analytics are of the first."""
    later_strikes: int = 5
    """Strikes on each side, of every further expiry."""
    recentre_steps: int = 2
    """Strikes the price must have moved from the centre before the contracts are chosen anew."""
    recentre_s: float = 60.0
    """Least seconds between two choices of one day."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if min(self.strikes, self.expiries, self.recentre_steps) < 1 or self.later_strikes < 0 or self.recentre_s < 0:
            raise ValueError("follow: write 1 or more for strikes, expiries and recentre_steps, 0 or more for the rest")


@dataclass(frozen=True, slots=True)
class Choice:
    """What to follow. `chain` are the options of `expiry`; `others` the index, the near future and later expiries."""

    expiry: dt.date
    chain: tuple[str, ...]
    others: tuple[str, ...]
    future: str


class ContractWindow:
    """One underlying's window over its listed strikes: today's, and around a centre that moves by hysteresis."""

    def __init__(self, underlying: str, settings: FollowSettings) -> None:
        self._underlying = underlying
        self._settings = settings
        self._expiries: tuple[dt.date, ...] = ()
        self._strikes: list[float] = []
        self._table = InstrumentTable(())
        self._future = ""
        self._centre: int | None = None
        self._chosen_at = 0

    def start_day(self, table: InstrumentTable, day: dt.date) -> None:
        """Take the instruments listed on `day`. An expiry is followed until its own day is over.

        Raises DataError when the table lists no option of the underlying that is still alive.
        """
        alive = [expiry for expiry in table.expiries(self._underlying) if expiry >= day]
        if not alive:
            raise DataError(f"{self._underlying}: today's instrument file lists no option; fetch it with `instruments`")
        self._table = table
        self._expiries = tuple(alive[: self._settings.expiries])
        self._strikes = _strikes(table.options(self._underlying, alive[0]))
        futures = (item.id for item in table.futures(self._underlying) if item.expiry is None or item.expiry >= day)
        self._future = next(futures, "")
        self._centre = None

    def unpriced(self) -> Choice:
        """What is followed before any price is known: no option yet."""
        return Choice(self._expiries[0], (), self._base(), self._future)

    def on_price(self, price: float, now: int) -> Choice | None:
        """Choose around `price`, if it has moved far enough since the last choice; None: what was chosen holds.

        `now` in UTC ns. The first price of a day always chooses. Nothing is chosen before `start_day`.
        """
        if not self._strikes or not price > 0:
            return None
        at = _nearest(self._strikes, price)
        s = self._settings
        if self._centre is not None and (
            abs(at - self._centre) < s.recentre_steps or now - self._chosen_at < s.recentre_s * SECOND_NS
        ):
            return None
        self._centre, self._chosen_at = at, now
        front, *later = self._expiries
        chain = self._around(front, price, s.strikes)
        rest = tuple(name for expiry in later for name in self._around(expiry, price, s.later_strikes))
        return Choice(front, chain, self._base() + rest, self._future)

    def _base(self) -> tuple[str, ...]:
        return (index_id(self._underlying), *([self._future] if self._future else []))

    def _around(self, expiry: dt.date, price: float, each_side: int) -> tuple[str, ...]:
        options = self._table.options(self._underlying, expiry)
        strikes = _strikes(options)
        at = _nearest(strikes, price)
        low, high = strikes[max(at - each_side, 0)], strikes[min(at + each_side, len(strikes) - 1)]
        return tuple(item.id for item in options if item.strike is not None and low <= item.strike <= high)


def _strikes(options: tuple[Instrument, ...]) -> list[float]:
    return sorted({item.strike for item in options if item.strike is not None})


def _nearest(strikes: list[float], price: float) -> int:
    """Place of the strike nearest to the price; the lower of two equally near."""
    at = bisect_left(strikes, price)
    if at == len(strikes) or (at and price - strikes[at - 1] <= strikes[at] - price):
        return at - 1
    return at
