"""The days of a market as they come: which there are, and a tape of each."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from typing import Protocol

from sos_actors.market.day import BAR_FIELDS, BarColumns, ChainColumns
from sos_actors.market.expiries import expiries
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Right
from sos_actors.messages.market import CE, CHAIN_FIELDS, PE
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.schedule import Schedule
from sos_actors.sandbox.session_path import VIX
from sos_actors.sandbox.tape import DayTape, SimulatedTape, strike_place

_ONE_DAY = dt.timedelta(days=1)
#: Chains kept for history, about two megabytes each.
_KEPT_CHAINS = 24


class MarketDays(Protocol):
    """A market of many days."""

    @property
    def schedule(self) -> Schedule:
        """Sessions and terms of contracts."""

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings with contracts."""

    def tape(self, day: dt.date) -> DayTape:
        """Give a trading day to play; raises DataError where there is none."""

    def latest(self, day: dt.date) -> dt.date | None:
        """Last day with a market up to and including `day`; None where there is none."""

    def expiries(self, underlying: str, first: dt.date, last: dt.date) -> tuple[dt.date, ...]:
        """Days from `first` to `last` on which options expire, ascending."""

    def bars(self, instrument: Instrument, day: dt.date) -> BarColumns | None:
        """Minute bars of an instrument on any day; None where nothing is known."""


class SimulatedDays:
    """Every trading day of the simulated market. Not for use from two threads at once."""

    def __init__(self, market: SimulatedMarket, underlyings: tuple[str, ...], ticks_per_minute: float) -> None:
        self._market, self._underlyings, self._rate = market, underlyings, ticks_per_minute
        self._chains: OrderedDict[tuple[str, dt.date, dt.date], ChainColumns] = OrderedDict()

    @property
    def schedule(self) -> Schedule:
        """Sessions and terms of contracts."""
        return self._market.schedule

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings with contracts."""
        return self._underlyings

    def tape(self, day: dt.date) -> DayTape:
        """Give the day; raises DataError where the market is closed."""
        return SimulatedTape(self._market, day, self._underlyings, self._rate)

    def latest(self, day: dt.date) -> dt.date | None:
        """Last trading day up to `day`."""
        calendar = self.schedule.calendar
        found = day if calendar.is_trading_day("NSE", day) else calendar.previous_trading_day("NSE", day)
        return found if found >= self._market.settings.anchor else None

    def expiries(self, underlying: str, first: dt.date, last: dt.date) -> tuple[dt.date, ...]:
        """Weekly and monthly expiries."""
        return expiries(underlying, first, last, self.schedule.calendar)

    def bars(self, instrument: Instrument, day: dt.date) -> BarColumns | None:
        """Minute bars; None on a day without a session, or on which the contract had no market."""
        name = instrument.underlying
        known = (*self._underlyings, VIX)
        if name not in known or not self.schedule.calendar.is_trading_day(EXCHANGE_OF[name], day):
            return None
        if day < self._market.settings.anchor:
            return None
        if instrument.kind == "INDEX":
            return self._market.index(name, day)
        if instrument.kind == "FUT":
            found = self._market.future(name, day)
            return found if found.instrument == instrument.id else None
        return self._option(instrument, day)

    def _option(self, instrument: Instrument, day: dt.date) -> BarColumns | None:
        assert instrument.expiry is not None  # options have one
        if instrument.expiry < day:
            return None
        key = (instrument.underlying, day, instrument.expiry)
        if key not in self._chains:
            self._chains[key] = self._market.chain(*key)
            if len(self._chains) > _KEPT_CHAINS:
                self._chains.popitem(last=False)
        return chain_bars(self._chains[key], instrument)


def chain_bars(chain: ChainColumns, instrument: Instrument) -> BarColumns | None:
    """Bars of one option of a chain; None when its strike is not in it."""
    at = strike_place(chain, instrument.strike)
    if at is None:
        return None
    right = CE if instrument.right is Right.CE else PE
    column = {name: chain.values[:, row, right, at] for row, name in enumerate(CHAIN_FIELDS)}
    return BarColumns(
        instrument=instrument.id,
        interval_s=chain.interval_s,
        start=chain.start,
        **{name: column[name] for name in BAR_FIELDS},
    )
