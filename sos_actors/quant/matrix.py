"""The Money Matrix: what a change of price together with a change of open interest says.

=========  ==============  ===============  =======================
price      open interest   code             what it means
=========  ==============  ===============  =======================
up         up              Long Buildup     buyers open positions
up         down            Short Covering   sellers close positions
down       up              Short Buildup    sellers open positions
down       down            Long Unwinding   buyers close positions
=========  ==============  ===============  =======================

Neutral where a change is not above its threshold; unknown (label '') where a change is not known.
"""

from __future__ import annotations

from collections import Counter
from math import isnan
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from sos_actors.errors import InputError
from sos_actors.messages import CE, PE, Buildup
from sos_actors.quant.chain import Floats

_UNKNOWN = int(Buildup.UNKNOWN)  # putmask is slow on an enumeration

#: What strategies read: 'Long Buildup' ... 'Neutral', '' for UNKNOWN.
LABELS = {code: "" if code is Buildup.UNKNOWN else code.label for code in Buildup}

#: What a put's code says of the index: its price goes the other way, its open interest the same way.
_OF_INDEX = {
    Buildup.LONG_BUILDUP: Buildup.SHORT_BUILDUP,
    Buildup.SHORT_BUILDUP: Buildup.LONG_BUILDUP,
    Buildup.SHORT_COVERING: Buildup.LONG_UNWINDING,
    Buildup.LONG_UNWINDING: Buildup.SHORT_COVERING,
    Buildup.NEUTRAL: Buildup.NEUTRAL,
}


class MatrixSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Windows and thresholds of the Money Matrix and of the smart trend."""

    window_minutes: int = 1
    """Minutes over which premium, index and open interest are compared."""
    premium_threshold: float = 0.005
    """Change of a contract's premium that counts, as a fraction of the premium before."""
    contract_oi_threshold: float = 0.001
    """Change of a contract's open interest that counts, as a fraction of the open interest before."""
    smart_trend_rule: Literal["index", "majority"] = "index"
    """'index': the index's price x proxy OI. 'majority': most frequent code of the contracts near the money."""
    index_threshold: float = 0.0001
    """Change of the index that counts, as a fraction of its price before."""
    proxy_oi_threshold: float = 0.0002
    """Change of proxy open interest that counts, as a fraction of it before."""
    hold: float = 0.5
    """'index': a trend is held while both changes keep their direction and exceed this fraction of the thresholds."""
    majority_points: float = 100.0
    """'majority' counts contracts at most this many points from the strike at the money."""

    def __post_init__(self) -> None:
        """Raise InputError where a value makes no sense."""
        if self.window_minutes < 1:
            raise InputError(f"chain.matrix.window_minutes: {self.window_minutes} is less than 1 minute")
        if not 0.0 <= self.hold <= 1.0:
            raise InputError(f"chain.matrix.hold: {self.hold} is not between 0 and 1")


def buildup(
    price_change: Floats, oi_change: Floats, price_threshold: Floats | float, oi_threshold: Floats | float
) -> NDArray[np.int8]:
    """Code of each contract (`Buildup` as int8), elementwise over arrays of one shape.

    A change counts when its size is **above** its threshold, both in the same units; UNKNOWN (-1) where either
    change is NaN.
    """
    counts = (np.abs(price_change) > price_threshold) & (np.abs(oi_change) > oi_threshold)
    falling, closing = (price_change < 0.0).view(np.int8), (oi_change < 0.0).view(np.int8)
    # LONG_BUILDUP 1, SHORT_COVERING 2, SHORT_BUILDUP 3, LONG_UNWINDING 4: open interest turns one bit, price the other.
    codes: NDArray[np.int8] = (1 + closing + falling + falling) * counts.view(np.int8)
    np.putmask(codes, np.isnan(price_change + oi_change), _UNKNOWN)
    return codes


def classify(price_change: float, oi_change: float, price_threshold: float, oi_threshold: float) -> Buildup:
    """Give the code of one pair of changes: `buildup` for single numbers."""
    if isnan(price_change) or isnan(oi_change):
        return Buildup.UNKNOWN
    if abs(price_change) <= price_threshold or abs(oi_change) <= oi_threshold:
        return Buildup.NEUTRAL
    if price_change > 0.0:
        return Buildup.LONG_BUILDUP if oi_change > 0.0 else Buildup.SHORT_COVERING
    return Buildup.SHORT_BUILDUP if oi_change > 0.0 else Buildup.LONG_UNWINDING


def majority(codes: NDArray[np.int8], near: NDArray[np.bool_]) -> Buildup:
    """Most frequent code, said of the index, among the contracts of strikes marked in `near` [K]; codes [2, K].

    A put's code is read the other way round in price (puts being sold short while they fall is the index's Long
    Buildup). A tie is NEUTRAL; UNKNOWN when no contract near the money has a code.
    """
    votes: Counter[Buildup] = Counter(Buildup(code) for code in codes[CE, near].tolist())
    for code in codes[PE, near].tolist():
        votes[_OF_INDEX.get(Buildup(code), Buildup.UNKNOWN)] += 1
    del votes[Buildup.UNKNOWN]
    ranked = votes.most_common(2)
    if not ranked:
        return Buildup.UNKNOWN
    tied = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
    return Buildup.NEUTRAL if tied else ranked[0][0]


class SmartTrend:
    """The smart trend of a whole chain with hysteresis; holds nothing but the present trend."""

    def __init__(self, settings: MatrixSettings) -> None:
        self._settings = settings
        self.trend = Buildup.UNKNOWN

    def reset(self) -> None:
        """Forget the trend: a new day or another expiry."""
        self.trend = Buildup.UNKNOWN

    def update(self, price_change: float, oi_change: float) -> Buildup:
        """Take relative changes (fractions) of index and proxy OI over the window; NaN: not known now."""
        settings = self._settings
        trend = classify(price_change, oi_change, settings.index_threshold, settings.proxy_oi_threshold)
        if trend is Buildup.NEUTRAL and self.trend > Buildup.NEUTRAL:
            hold = settings.hold
            weak = classify(
                price_change, oi_change, hold * settings.index_threshold, hold * settings.proxy_oi_threshold
            )
            trend = weak if weak is self.trend else trend
        self.trend = trend
        return trend
