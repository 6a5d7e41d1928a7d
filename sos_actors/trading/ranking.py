"""Which strike: a score over the strikes near the money.

score = 0.20 OI rank + 0.10 distance + 0.20 IV quality + 0.15 spread + 0.15 OI change + 0.20 delta fit, each part in
[0, 1]. A part the data cannot give (no open interest, no quotes) is left out for every strike alike and the other
weights are scaled up, so that scores stay comparable within one chain.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from sos_actors.messages import ChainSnapshot

Floats = NDArray[np.float64]
Mode = Literal["scalp", "intraday"]


class RankingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights and limits of the strike ranking. Pairs of limits: scalp, intraday."""

    #: Which of the pairs applies.
    mode: Mode = "scalp"
    #: Most strike steps from the money: scalp, intraday.
    steps: tuple[int, int] = (2, 3)
    #: Widest spread as a fraction of its mid: scalp, intraday.
    max_spread: tuple[float, float] = (0.015, 0.025)
    #: Least percentile (0-100) of open interest among the strikes of the same right.
    min_oi_percentile: float = 60.0
    #: Absolute delta that fits best.
    target_delta: float = 0.5
    #: Weight of the open interest's rank.
    weight_oi: float = 0.20
    #: Weight of the nearness to the money.
    weight_distance: float = 0.10
    #: Weight of the implied volatility's nearness to the chain's median.
    weight_iv: float = 0.20
    #: Weight of the narrowness of the spread.
    weight_spread: float = 0.15
    #: Weight of the rank of the change of open interest.
    weight_oi_change: float = 0.15
    #: Weight of the delta's fit.
    weight_delta: float = 0.20

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name != "mode" and min(value if isinstance(value, tuple) else (value,)) < 0:
                raise ValueError(f"selection.ranking.{name} is {value}: write 0 or more")

    @property
    def which(self) -> int:
        """Index into the pairs."""
        return 0 if self.mode == "scalp" else 1


class Ranked(msgspec.Struct, frozen=True, gc=False):
    """One strike's place: `column` is its index in the snapshot's arrays, `score` in [0, 1]."""

    column: int
    strike: float
    score: float


def rank(snapshot: ChainSnapshot, right: int, settings: RankingSettings) -> list[Ranked]:
    """Strikes worth trading, best first; ties go to the strike nearer the money, then to the lower one.

    `right` is CE or PE (0 or 1). Left out: no price, further than `steps` from the money, open interest under the
    percentile, spread over the limit. What is unknown for the whole side (open interest, quotes) filters nothing.
    """
    strikes = snapshot.strikes
    if not len(strikes) or np.isnan(snapshot.atm_strike):
        return []
    atm = int(np.argmin(np.abs(strikes - snapshot.atm_strike)))
    steps = np.abs(np.arange(len(strikes)) - atm)
    most = settings.steps[settings.which]
    widest = settings.max_spread[settings.which]
    oi_rank = percentile_rank(snapshot.oi[right])
    spread = spread_fraction(snapshot.bid[right], snapshot.ask[right])
    with np.errstate(invalid="ignore"):
        usable = (snapshot.price[right] > 0.0) & (steps <= most)
        if not np.isnan(oi_rank).all():
            usable &= oi_rank * 100.0 >= settings.min_oi_percentile
        if not np.isnan(spread).all():
            usable &= spread <= widest
    score = _score(snapshot, right, settings, distance=steps / (most + 1.0), oi_rank=oi_rank, width=spread / widest)
    columns = np.flatnonzero(usable & ~np.isnan(score))
    order = sorted(columns.tolist(), key=lambda column: (-float(score[column]), int(steps[column]), column))
    return [Ranked(column, float(strikes[column]), float(score[column])) for column in order]


def _score(
    snapshot: ChainSnapshot,
    right: int,
    settings: RankingSettings,
    *,
    distance: Floats,
    oi_rank: Floats,
    width: Floats,
) -> Floats:
    iv = snapshot.iv[right]
    known = iv[~np.isnan(iv)]
    median = float(np.median(known)) if len(known) else np.nan
    parts = (
        (settings.weight_oi, oi_rank),
        (settings.weight_distance, 1.0 - np.clip(distance, 0.0, 1.0)),
        (settings.weight_iv, 1.0 - np.clip(np.abs(iv / median - 1.0), 0.0, 1.0)),
        (settings.weight_spread, 1.0 - np.clip(width, 0.0, 1.0)),
        (settings.weight_oi_change, percentile_rank(snapshot.oi_change[right])),
        (settings.weight_delta, 1.0 - np.clip(np.abs(np.abs(snapshot.delta[right]) - settings.target_delta) * 2, 0, 1)),
    )
    total = np.zeros(len(iv))
    weights = 0.0
    for weight, part in parts:
        if weight > 0.0 and not np.isnan(part).all():
            # Known for the side but not for this strike: the worst mark, so that a hole never looks good.
            total += weight * np.nan_to_num(part, nan=0.0)
            weights += weight
    return total / weights if weights else np.full(len(iv), np.nan)


def percentile_rank(values: Floats) -> Floats:
    """Fraction of the known values that are not above each; NaN where unknown, all NaN when nothing is known."""
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return np.full(len(values), np.nan)
    ranks = np.searchsorted(known, values, side="right") / len(known)
    return np.where(np.isnan(values), np.nan, ranks)


def spread_fraction(bid: Floats, ask: Floats) -> Floats:
    """(ask - bid) / mid; NaN where there is no proper quote (missing, zero or crossed)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        proper = (bid > 0.0) & (ask >= bid)
        return np.where(proper, (ask - bid) / ((ask + bid) / 2.0), np.nan)
