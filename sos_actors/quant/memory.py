"""What one chain was earlier in the day: the frames that changes are measured against, and the volume so far.

Frames may come at any interval and with strikes that come and go; contracts are matched by strike, and what is
not known at both ends of a window has no change.
"""

from __future__ import annotations

from collections import deque
from math import isnan
from typing import NamedTuple

import numpy as np

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.messages import CE, NAN, PE
from sos_actors.quant.chain import Floats, on_strikes, put_call_ratio, totals


class Past(NamedTuple):
    """One minute as it was: `price` and `oi` are [2, K] over `strikes`; `known` counts contracts with an OI."""

    ts: int
    strikes: Floats
    price: Floats
    oi: Floats
    spot: float
    forward: float
    pcr: float
    options_oi: float
    future_oi: float
    known: int

    def on(self, strikes: Floats) -> Past:
        """Give the same minute over other strikes; NaN where they were not in the frame."""
        if strikes is self.strikes:
            return self
        return self._replace(
            strikes=strikes,
            price=on_strikes(self.price, self.strikes, strikes),
            oi=on_strikes(self.oi, self.strikes, strikes),
        )


def known_count(values: Floats) -> int:
    """Count the elements that are not NaN."""
    return values.size - int(np.count_nonzero(np.isnan(values)))


class ChainMemory:
    """The last minutes of one chain, and the last open interest published for each contract."""

    def __init__(self, longest_minutes: int, gap_minutes: int, oi_carry_minutes: int) -> None:
        self._longest = longest_minutes * MINUTE_NS
        self._gap = gap_minutes * MINUTE_NS
        self._carry = float(oi_carry_minutes * MINUTE_NS)
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new day or another expiry."""
        self._past: deque[Past] = deque()
        self._strikes = np.empty(0)
        self._oi = np.empty((2, 0))
        self._oi_ts: Floats = np.empty((2, 0))

    def strikes(self, strikes: Floats) -> Floats:
        """Give the one array that stands for these strikes, so that equal chains share it, and move over to it."""
        if strikes is self._strikes or np.array_equal(strikes, self._strikes):
            return self._strikes
        if self._strikes.size:
            stamps = np.broadcast_to(self._oi_ts, self._oi.shape)
            self._oi_ts = on_strikes(stamps, self._strikes, strikes)
            self._oi = on_strikes(self._oi, self._strikes, strikes)
        else:
            self._oi = self._oi_ts = np.full((2, strikes.size), NAN)
        self._strikes = strikes
        return strikes

    def open_interest(self, ts: int, oi: Floats) -> Floats:
        """Open interest [2, K] at `ts` over the present strikes: as given, else the last published if young enough.

        Open interest is a level, not a flow: a contract that did not trade still has what it had.
        """
        if not isnan(np.add.reduce(oi, axis=None)):
            self._oi, self._oi_ts = oi, np.asarray(float(ts))
            return oi
        known = ~np.isnan(oi)
        young = self._oi_ts >= ts - self._carry
        self._oi = np.where(known, oi, np.where(young, self._oi, NAN))
        self._oi_ts = np.where(known, float(ts), self._oi_ts)
        return self._oi

    def add(self, past: Past) -> None:
        """Keep a minute; drop those that no window can reach any more."""
        kept = self._past
        kept.append(past)
        while len(kept) > 1 and kept[1].ts <= past.ts - self._longest:
            kept.popleft()

    def ago(self, ts: int, minutes: int) -> Past | None:
        """Give the latest minute at least `minutes` before `ts`; None when there is none, or a hole lies between."""
        latest = ts - minutes * MINUTE_NS
        for past in reversed(self._past):
            if past.ts <= latest:
                return past if latest - past.ts <= self._gap else None
        return None


class SessionVolume:
    """What was traded since the morning: calls and puts in units, and the VWAP of the underlying weighted by it.

    An index has no volume of its own; that of its options stands for it. Spot and forward have each their own VWAP,
    since they differ by the basis and a minute may lack the one or the other.
    """

    def __init__(self) -> None:
        self.traded = [NAN, NAN]
        self._value = [0.0, 0.0]
        self._weight = [0.0, 0.0]

    def add(self, traded: list[float], price: float, *, on_spot: bool) -> bool:
        """Add a minute's volume [calls, puts] at the underlying's `price`; give whether the volume was known."""
        units = 0.0
        for right, minute in enumerate(traded):
            if not isnan(minute):
                so_far = self.traded[right]
                self.traded[right] = minute if isnan(so_far) else so_far + minute
                units += minute
        if price > 0.0:
            self._value[on_spot] += price * units
            self._weight[on_spot] += units
        return not (isnan(traded[CE]) and isnan(traded[PE]))

    def vwap(self, *, on_spot: bool) -> float:
        """Volume-weighted average of the spot, or of the forward; NaN until something was traded at one."""
        return self._value[on_spot] / self._weight[on_spot] if self._weight[on_spot] > 0.0 else NAN


def pcr_velocity(pcr: float, oi: Floats, past: Past, strikes: Floats, ts: int) -> float:
    """Change of PCR by OI per minute since `past`, over the contracts known at both ends.

    A contract whose open interest becomes known is not open interest that was built.
    """
    before = past.pcr
    if past.strikes is not strikes or past.known != known_count(oi):
        old = past.on(strikes).oi
        unknown = np.isnan(old) | np.isnan(oi)
        pairs = put_call_ratio(totals(np.where(unknown, NAN, np.stack((oi, old)))))
        pcr, before = float(pairs[0]), float(pairs[1])
    return (pcr - before) * MINUTE_NS / (ts - past.ts)
