"""One day of the market as columns that a clock can play: by minute what was, within a minute tick by tick."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import DataError
from sos_actors.market.day import BarColumns, ChainColumns
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Right
from sos_actors.messages.market import CE, PE
from sos_actors.sandbox.bars import TICK
from sos_actors.sandbox.listing import listed_expiries
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.schedule import Schedule
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.session_path import VIX, VIX_TICK, day_shape
from sos_actors.sandbox.ticks import Minutes, extremes, instrument_ticks, of_bars, of_chain

#: Arrival and exchange time (UTC ns), price, units, the day's units (-1 unknown), open interest, bid, ask.
TickRow = tuple[int, int, float, int, int, float, float, float]


class DayTape(Protocol):
    """A day of some underlyings. What it gives of an instrument does not depend on what else was asked."""

    @property
    def day(self) -> dt.date:
        """The trading day."""

    @property
    def schedule(self) -> Schedule:
        """Sessions and terms of contracts."""

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings with contracts; India VIX, an index alone, is not among them."""

    def starts(self, underlying: str) -> NDArray[np.int64]:
        """Start of every minute of the session, UTC ns."""

    def expiries(self, underlying: str) -> tuple[dt.date, ...]:
        """Expiries with options, ascending."""

    def strikes(self, underlying: str, expiry: dt.date) -> NDArray[np.float64]:
        """Strikes of an expiry, ascending."""

    def future_expiry(self, underlying: str) -> dt.date | None:
        """Expiry of the near future; None where it is not known."""

    def bars(self, instrument: Instrument) -> BarColumns | None:
        """Minute bars; None where nothing is known."""

    def chain(self, underlying: str, expiry: dt.date) -> ChainColumns | None:
        """Chain of an expiry; None where nothing is known."""

    def minutes(self, instrument: Instrument) -> Minutes | None:
        """Everything by minute, a row for each of `starts`; None where nothing is known."""

    def ticks(self, instrument: Instrument, first: int, end: int) -> list[TickRow]:
        """Ticks of the minutes from `first` to `end` (excluded), in order of arrival."""


class SimulatedTape:
    """A day of the simulated market. Holds the chains that were asked for. Raises DataError: no session that day."""

    def __init__(self, market: SimulatedMarket, day: dt.date, underlyings: tuple[str, ...], rate: float) -> None:
        self._market, self._day, self._underlyings, self._rate = market, day, underlyings, rate
        self._chains: dict[tuple[str, dt.date], ChainColumns] = {}
        self._expiries = {name: listed_expiries(name, day, market.schedule) for name in underlyings}
        self._paths = {name: market.session_path(name, day) for name in underlyings}
        self._indices = {name: market.index(name, day) for name in (*underlyings, VIX)}
        self._futures = {name: market.future(name, day) for name in underlyings}
        self._shape = day_shape(len(self._indices[VIX].start))

    @property
    def day(self) -> dt.date:
        """The trading day."""
        return self._day

    @property
    def schedule(self) -> Schedule:
        """Sessions and terms of contracts."""
        return self._market.schedule

    @property
    def underlyings(self) -> tuple[str, ...]:
        """Underlyings with contracts."""
        return self._underlyings

    def starts(self, underlying: str) -> NDArray[np.int64]:
        """Start of every minute of the session, UTC ns."""
        return self._indices[underlying].start

    def expiries(self, underlying: str) -> tuple[dt.date, ...]:
        """Every listed expiry, ascending."""
        return self._expiries.get(underlying, ())

    def strikes(self, underlying: str, expiry: dt.date) -> NDArray[np.float64]:
        """Strikes: the same for every expiry of a day."""
        del expiry
        return self._market.strikes(underlying, self._day)

    def future_expiry(self, underlying: str) -> dt.date | None:
        """Expiry of the near future."""
        return self._market.schedule.listing(underlying, self._day).future

    def bars(self, instrument: Instrument) -> BarColumns | None:
        """Minute bars, with volume and open interest of zero for an index."""
        found = self.minutes(instrument)
        if found is None:
            return None
        traded = instrument.kind != "INDEX"
        none = np.zeros(len(found.start))
        return BarColumns(
            instrument=instrument.id,
            interval_s=60,
            start=found.start,
            open=found.open,
            high=found.high,
            low=found.low,
            close=found.close,
            volume=np.asarray(found.lots * float(found.lot)) if traded else none,
            oi=found.oi if traded else none,
        )

    def chain(self, underlying: str, expiry: dt.date) -> ChainColumns | None:
        """Chain of a listed expiry, made when first asked for."""
        key = (underlying, expiry)
        if key not in self._chains:
            if expiry not in self.expiries(underlying):
                return None
            self._chains[key] = self._market.chain(underlying, self._day, expiry)
        return self._chains[key]

    def minutes(self, instrument: Instrument) -> Minutes | None:
        """Columns of an instrument of this day; None when it is not listed."""
        name = instrument.underlying
        if name not in self._indices:
            return None
        path = self._paths.get(name)
        if instrument.kind == "INDEX":
            bars = self._indices[name]
            return of_bars(bars, 1, VIX_TICK if name == VIX else TICK, *extremes(path, len(bars.start)))
        if instrument.expiry is None or name not in self._futures:
            return None
        lot = instrument.lot_size
        if instrument.kind == "FUT":
            bars = self._futures[name]
            mine = bars.instrument == instrument.id
            return of_bars(bars, lot, instrument.tick_size, *extremes(path, len(bars.start))) if mine else None
        chain = self.chain(name, instrument.expiry)
        at = strike_place(chain, instrument.strike)
        if chain is None or at is None:
            return None
        return of_chain(chain, CE if instrument.right is Right.CE else PE, at, lot, path)

    def ticks(self, instrument: Instrument, first: int, end: int) -> list[TickRow]:
        """Ticks that make up the minutes exactly; the same whenever and for whomever they are made."""
        found = self.minutes(instrument)
        if found is None:
            raise DataError(f"{instrument.id}: not listed on {self._day}")
        before = int(found.lots[:first].sum()) * found.lot
        rng = stream(self._market.seed, "live ticks", instrument.id, self._day.toordinal(), first)
        part = found.cut(first, end)
        columns = instrument_ticks(rng, part, self._rate * self._shape[first:end], self._market.settings.latency_ms)
        day_volume = columns["day_volume"] + before if part.lots[0] else columns["day_volume"]
        order = ("ts_recv", "ts", "price", "quantity", None, "oi", "bid", "ask")
        lists = [(day_volume if name is None else columns[name]).tolist() for name in order]
        return list(zip(*lists, strict=True))


def strike_place(chain: ChainColumns | None, strike: float | None) -> int | None:
    """Which column of a chain a strike is; None where it is not in it."""
    if chain is None or strike is None:
        return None
    at = int(np.searchsorted(chain.strikes, strike))
    return at if at < len(chain.strikes) and chain.strikes[at] == strike else None
