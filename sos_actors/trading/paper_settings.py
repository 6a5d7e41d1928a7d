"""Settings of the paper exchange."""

from __future__ import annotations

import msgspec


class PaperSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How pessimistic paper fills are."""

    #: Ticks a market order or a triggered stop loses beyond the spread.
    slippage_ticks: float = 1.0
    #: Half the spread as a fraction of the price, where bid and ask are not known.
    half_spread: float = 0.001
    #: The same for an index or a future, whose spread is a far smaller part of the price.
    half_spread_linear: float = 0.00003
    #: Most of a bar's volume that our orders may take, as a fraction; 0 = no cap. Unknown volume is not capped.
    volume_cap: float = 0.1
    #: Ticks by which the price must pass a limit before it fills.
    limit_through_ticks: float = 1.0
    #: Price grid in rupees; 0 = no grid (prices of an index).
    tick: float = 0.05
    #: Milliseconds before the exchange has an order; ticks before that pass it by. Bars stand above it.
    latency_ms: float = 0.0
    #: Whether orders end with the day; false keeps them until they fill or are cancelled.
    day_orders: bool = True

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ("slippage_ticks", "half_spread", "half_spread_linear", "volume_cap", "limit_through_ticks", "tick",
                     "latency_ms"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"paper.{name} is {getattr(self, name)}: write 0 or more")
        for name in ("half_spread", "half_spread_linear", "volume_cap"):
            if getattr(self, name) > 1:
                raise ValueError(f"paper.{name} is {getattr(self, name)}: write a fraction, 0.1 for 10 %")
