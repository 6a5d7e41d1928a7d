"""How the order desk enters and protects."""

from __future__ import annotations

import msgspec

from sos_actors.messages import OrderType
from sos_actors.trading.exit_settings import ExitSettings


class DeskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How entries are sent and positions protected."""

    #: How an entry is priced: MARKET, or LIMIT at the plan's entry price.
    entry_order: OrderType = OrderType.MARKET
    #: Seconds after which what is left of an entry is taken back; 0 = it stays.
    entry_patience_s: int = 60
    #: Whether the target rests at the broker beside the stop; otherwise it is watched here (half the margin).
    rest_target: bool = True
    #: Whether a trade whose stop rests at the broker is left by making that stop a market order: one order all the way,
    #: so the units are never without one. Otherwise the stop is taken back first and an exit sent after it.
    exit_by_stop: bool = False
    #: Seconds after which a stop or exit that was refused, lost or ended short is sent again; each time in a row twice
    #: as long, up to 30.
    stop_retry_s: float = 2.0
    #: Stops in a row that may come to nothing; then the position is closed at the market.
    stop_tries: int = 3
    #: Price grid in rupees to which stops and targets are rounded; 0 = none.
    tick: float = 0.05
    #: How positions are left, unless the strategy says otherwise.
    exits: ExitSettings = ExitSettings()

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.entry_order is OrderType.STOP:
            raise ValueError("orders.entry_order is STOP: write MARKET or LIMIT")
        if self.entry_patience_s < 0 or self.tick < 0:
            raise ValueError("orders.entry_patience_s and orders.tick: write 0 or more")
        if self.stop_retry_s <= 0 or self.stop_tries < 1:
            raise ValueError("orders.stop_retry_s and orders.stop_tries: write more than 0 seconds and at least 1 try")
