"""The limits of an account, and what of the risk book outlives the process."""

from __future__ import annotations

import datetime as dt

import msgspec

from sos_actors.market.clocktime import clock_ns
from sos_actors.messages import TradingState


class RiskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of the account. 0 (null for times) switches a limit off."""

    #: Fraction of the equity at the start of the day that may be lost before entries end.
    daily_loss: float = 0.03
    #: Trades open or in flight, in the whole account.
    open_positions: int = 5
    #: The same, per strategy.
    strategy_positions: int = 1
    #: The same, per underlying.
    underlying_positions: int = 3
    #: Seconds between an entry or its close and the next entry of the same strategy, underlying and side.
    cooldown_s: float = 300.0
    #: Trades a day, in the whole account.
    trades_per_day: int = 40
    #: Trades a day of one strategy, over all underlyings, however many its own file allows.
    strategy_trades_per_day: int = 10
    #: Orders a second, on the average of a burst's length.
    orders_per_s: float = 8.0
    #: Orders that may go out at once.
    order_burst: int = 10
    #: Part of the burst that entries leave for exits, as a fraction.
    exit_reserve: float = 0.3
    #: Most an entry price may differ from the last good quote, as a fraction.
    price_band: float = 0.10
    #: Age in seconds beyond which a plan or its instrument's last quote is stale.
    stale_after_s: float = 90.0
    #: Time of day (HH:MM, Indian time) before which nothing is entered.
    first_entry: str | None = "09:15"
    #: Time of day (HH:MM, Indian time) from which nothing is entered any more.
    last_entry: str | None = "15:00"

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str):
                try:
                    clock_ns(value)
                except ValueError as error:
                    raise ValueError(f"risk.{name}: {error}") from None
            elif value is not None and value < 0:
                raise ValueError(f"risk.{name} is {value}: write 0 or more")
        for name in ("daily_loss", "exit_reserve", "price_band"):
            if getattr(self, name) >= 1:
                raise ValueError(f"risk.{name} is {getattr(self, name)}: write a fraction below 1, 0.03 for 3 %")


class RiskState(msgspec.Struct, frozen=True, tag="risk-1", kw_only=True):
    """All that counts against the limits, for a restart. A later layout has another tag. Money in paise."""

    day: dt.date | None
    start_equity: int
    equity: int
    loss_hit: bool
    trades_today: int
    strategy_trades: dict[str, int]
    sides: list[tuple[str, str, str, int]]
    groups: list[tuple[str, str, str, str, int]]
    intents: list[tuple[str, str, str, str]]
    states: list[tuple[str, str, TradingState]]
