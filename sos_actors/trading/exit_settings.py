"""Settings of `exits`: how open positions are managed."""

from __future__ import annotations

import msgspec

from sos_actors.market.clocktime import clock_ns


class ExitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How open positions are managed. None switches a rule off."""

    #: Fraction of the way to the target at which the stop moves to the entry price.
    break_even_at: float | None = 0.5
    #: Distance of the trailing stop behind the best price, as a fraction of the initial risk.
    trailing: float | None = None
    #: Minutes after the first fill at which the position is closed.
    time_stop_min: float | None = 30.0
    #: Time of day (HH:MM, Indian time) from which positions are closed.
    square_off: str | None = "15:15"

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ("break_even_at", "trailing", "time_stop_min"):
            value = getattr(self, name)
            if value is not None and value <= 0.0:
                raise ValueError(f"orders.exits.{name} is {value}: write a number above 0, or null for off")
        if self.square_off is not None:
            try:
                clock_ns(self.square_off)
            except ValueError as error:
                raise ValueError(f"orders.exits.square_off: {error}") from None
