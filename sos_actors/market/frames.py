"""Contracts' bars put together to a chain frame: how ticks become what the chain analytics read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import numpy as np

from sos_actors.errors import DataError
from sos_actors.market.ids import parse_id
from sos_actors.messages import CE, CHAIN_FIELDS, NAN, PE, Bar, ChainFrame, Right

_CLOSE, _OI = CHAIN_FIELDS.index("close"), CHAIN_FIELDS.index("oi")


class FrameBuilder:
    """Collects the bars of one expiry's contracts, minute by minute.

    A contract that did not trade in a minute keeps its last open interest and quotes, and has no prices: an old
    price is not a new one. Raises DataError when the contracts are not of one underlying and expiry.
    """

    def __init__(self, instruments: Iterable[str]) -> None:
        parts = {name: parse_id(name) for name in instruments}
        kinds = {(p.underlying, p.expiry) for p in parts.values()}
        if len(kinds) != 1:
            raise DataError(f"a chain needs the contracts of one underlying and expiry, not of {len(kinds)}")
        underlying, expiry = kinds.pop()
        assert isinstance(expiry, dt.date)
        self.underlying, self.expiry = underlying, expiry
        self.strikes = np.array(sorted({p.strike for p in parts.values() if p.strike is not None}), dtype=np.float64)
        self.strikes.setflags(write=False)
        place = {strike: k for k, strike in enumerate(self.strikes.tolist())}
        self._places = {
            name: (CE if p.right is Right.CE else PE, place[p.strike])
            for name, p in parts.items()
            if p.strike is not None
        }
        self._values = np.full((len(CHAIN_FIELDS), 2, len(self.strikes)), NAN)
        self._fresh = False

    @property
    def instruments(self) -> tuple[str, ...]:
        """The contracts of the chain."""
        return tuple(self._places)

    def successor(self, instruments: Iterable[str]) -> FrameBuilder:
        """Give the builder of another choice of contracts; what is known of those that stay goes along."""
        heir = FrameBuilder(instruments)
        for name, (right, k) in heir._places.items():
            old = self._places.get(name)
            if old is not None:
                heir._values[:, right, k] = self._values[:, old[0], old[1]]
                heir._fresh = heir._fresh or bool(heir._values[_CLOSE, right, k] == heir._values[_CLOSE, right, k])
        return heir

    def add(self, bar: Bar) -> bool:
        """Take one contract's bar of the current minute; False for an instrument that is not of this chain."""
        place = self._places.get(bar.instrument)
        if place is None:
            return False
        self._values[:, place[0], place[1]] = (
            bar.open, bar.high, bar.low, bar.close, bar.volume, bar.oi, bar.bid, bar.ask,
        )  # fmt: skip
        self._fresh = True
        return True

    def flush(self, start: int, end: int, spot: float, future: Bar | None) -> ChainFrame | None:
        """Give the minute's frame and start the next; None when no contract traded."""
        if not self._fresh:
            return None
        values = self._values.copy()
        values.setflags(write=False)
        self._values[:_OI] = NAN  # prices and volume, before it, belong to their minute; OI and quotes last
        self._fresh = False
        price, oi = (future.close, future.oi) if future is not None else (NAN, NAN)
        return ChainFrame(self.underlying, self.expiry, start, end, self.strikes, values, spot, price, oi)
