"""What a strategy can say after a bar, and what stands in for inputs that are missing."""

from __future__ import annotations

import datetime as dt
import math
from typing import SupportsIndex

import msgspec
import numpy as np

from sos_actors.messages import (
    NAN,
    Bar,
    ChainSnapshot,
    Direction,
    MarketStructure,
    RefusalReason,
    Regime,
    Studies,
)


class Setup(msgspec.Struct, frozen=True, gc=False):
    """Enter. `entry`, `stop`, `target` are prices of the underlying; a NaN stop or target is not used.

    `stop` is already widened by the regime's buffer, `target` already scaled by its `tp_mult`; `quantity_mod` is the
    regime's times the strategy's weight. `flip` asks that an opposite position of this strategy be closed by the same
    order. `captured` is what the phases captured.
    """

    direction: Direction
    entry: float
    stop: float
    target: float
    regime: Regime
    quantity_mod: float
    tp_mult: float
    selection: str
    flip: bool = False
    captured: tuple[tuple[str, float | str], ...] = ()


class Leave(msgspec.Struct, frozen=True, gc=False):
    """Close this strategy's own position: its stance went to 0, or to a side that may not be entered now."""

    reason: str


class Declined(msgspec.Struct, frozen=True, gc=False):
    """The pattern was complete, but nothing may come of it."""

    reason: RefusalReason
    detail: str


Outcome = Setup | Leave | Declined


def level_fault(sign: int, entry: float, stop: float | None, target: float | None) -> str:
    """Say what is wrong with the levels, '' if nothing. None: the strategy has no such level."""
    if not math.isfinite(entry):
        return "the entry is unknown"
    for name, value in (("stop", stop), ("target", target)):
        if value is not None and not math.isfinite(value):
            return f"the {name} is unknown"
    if entry <= 0:
        return f"the entry {entry:g} is no price"
    if stop is not None and (entry - stop) * sign <= 0:
        return f"the stop {stop:.2f} is on the wrong side of the entry {entry:.2f}"
    if target is not None and (target - entry) * sign <= 0:
        return f"the target {target:.2f} is on the wrong side of the entry {entry:.2f}"
    return ""


class _Unknown(tuple[float, ...]):
    """Values of studies nobody has computed: NaN at every slot."""

    __slots__ = ()

    def __getitem__(self, slot: SupportsIndex | slice) -> float:  # type: ignore[override]  # one slot at a time
        return NAN


def _no_chain() -> ChainSnapshot:
    """Build a snapshot in which nothing is known."""
    empty = np.empty((2, 0))
    known = {
        "underlying": "",
        "expiry": dt.date.min,
        "ts": 0,
        "smart_trend": "",
        "regime": Regime.UNKNOWN,
        "missing": ("chain",),
        "strikes": np.empty(0),
        "buildup": np.empty((2, 0), np.int8),
    }
    arrays = ("price", "bid", "ask", "iv", "delta", "gamma", "theta", "vega", "rho", "oi", "oi_change")
    values = {name: empty if name in arrays else NAN for name in ChainSnapshot.__struct_fields__}
    return ChainSnapshot(**(values | known))  # type: ignore[arg-type]  # names and kinds are those of the message


NO_CHAIN = _no_chain()
NO_STRUCTURE = MarketStructure("", 0)
_NO_BAR = Bar("", 0, 0, NAN, NAN, NAN, NAN)
NO_STUDIES = Studies("", 0, 0, _NO_BAR, _NO_BAR, _Unknown(), False)
