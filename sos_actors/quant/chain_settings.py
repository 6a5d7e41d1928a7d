"""How a chain is read: every choice the chain analyst makes, with its unit."""

from __future__ import annotations

from typing import Literal

import msgspec

from sos_actors.errors import InputError
from sos_actors.quant.matrix import MatrixSettings
from sos_actors.quant.regime import RegimeSettings


class ChainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a chain is read."""

    greeks: bool = True
    """Whether IV, Greeks and what follows from them are computed. Off, they are NaN, and where spot is known so is the
    forward; prices below intrinsic value are then not recognised. Eight times as fast."""
    rate: float = 0.065
    """Interest rate for discounting, fraction per year, continuously compounded."""
    spread_fraction: float = 0.10
    """Widest bid-ask spread whose middle is a price, as a fraction of the middle ..."""
    spread_points: float = 0.5
    """... or in rupees; the wider of the two counts."""
    wall_strikes: int = 10
    """Strikes on each side of the price among which the walls of open interest are looked for."""
    oi_change_minutes: int = 5
    """Minutes over which `oi_change`, `ce_oi_change`, `pe_oi_change` and PCR by change of OI are taken."""
    pcr_velocity_minutes: int = 5
    """Minutes over which PCR velocity is taken; it is stated per minute."""
    gap_minutes: int = 10
    """A window may be this much longer than asked for where frames are rare; beyond, there is no change."""
    oi_carry_minutes: int = 15
    """Minutes for which a contract's last published open interest stands when it is not published again."""
    skew_delta: float = 0.25
    """|delta| at which the skew is read."""
    iv_rank_basis: Literal["days", "session"] = "days"
    """What IV rank and percentile compare with: daily ATM IVs supplied at the start of day, or today's minutes.

    Nothing in the house supplies daily ones yet: 'days' leaves both unknown."""
    iv_rank_minimum: int = 20
    """Values of that history below which there is no rank."""
    flip_reach: float = 0.05
    """How far from the forward the gamma flip is looked for, as a fraction of it."""
    flip_steps: int = 41
    """Levels at which the gamma profile is taken within that reach."""
    matrix: MatrixSettings = msgspec.field(default_factory=MatrixSettings)
    """The Money Matrix and the smart trend."""
    regime: RegimeSettings = msgspec.field(default_factory=RegimeSettings)
    """The seven regimes."""

    def __post_init__(self) -> None:
        """Raise InputError where a value makes no sense."""
        for name in ("wall_strikes", "oi_change_minutes", "pcr_velocity_minutes", "iv_rank_minimum"):
            if getattr(self, name) < 1:
                raise InputError(f"chain.{name}: {getattr(self, name)} must be 1 or more")
        for name in ("spread_fraction", "spread_points", "gap_minutes", "oi_carry_minutes"):
            if getattr(self, name) < 0:
                raise InputError(f"chain.{name}: {getattr(self, name)} must be 0 or more")
        if self.flip_steps < 2 or not 0.0 < self.flip_reach < 1.0:
            raise InputError("chain: flip_steps must be 2 or more and flip_reach between 0 and 1")
        if not 0.0 < self.skew_delta < 0.5:
            raise InputError(f"chain.skew_delta: {self.skew_delta} is not between 0 and 0.5")
