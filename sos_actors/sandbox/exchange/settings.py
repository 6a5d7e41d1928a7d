"""Settings of the simulated exchange and broker. Times are IST wall-clock, delays milliseconds, money rupees."""

from __future__ import annotations

import msgspec

from sos_actors.market.charges import ChargeSettings
from sos_actors.market.clocktime import clock_ns


def _not_negative(settings: msgspec.Struct, where: str) -> None:
    for name in settings.__struct_fields__:
        if not getattr(settings, name) >= 0:
            raise ValueError(f"sandbox.exchange.{where}.{name} is {getattr(settings, name)}: write 0 or more")


class DelaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long each step takes, ms. Each is stretched by up to `jitter` of itself, drawn anew every time."""

    answer_ms: float = 25.0
    """From a request's arrival to its answer; shown as `metadata.latency`."""
    validation_ms: float = 4.0
    """From 'put order req received' to 'validation pending'."""
    risk_ms: float = 8.0
    """The broker's risk checks: to 'open pending', or 'rejected'."""
    exchange_ms: float = 15.0
    """From the broker to the exchange and back: to 'open' or 'trigger pending'; modify and cancel take the same."""
    stream_ms: float = 10.0
    """From a change to its message on the order stream."""
    jitter: float = 0.5
    """Largest stretch of a delay, a fraction of it."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        _not_negative(self, "delays")


class DepthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The book beyond the best bid and ask, which quotes do not show, and how executions are cut."""

    levels: int = 5
    """Price levels a marketable order can walk, the best one included."""
    step_ticks: int = 1
    """Ticks between two levels."""
    growth: float = 1.5
    """Size of each level as a multiple of the one before it."""
    split_probability: float = 0.2
    """Chance that an execution of several lots is made in two pieces, with two trade ids."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.levels < 1 or self.step_ticks < 1 or not self.growth > 0:
            raise ValueError("sandbox.exchange.depth: levels and step_ticks are at least 1, growth is above 0")
        if not 0 <= self.split_probability <= 1:
            raise ValueError(f"sandbox.exchange.depth.split_probability is {self.split_probability}: write 0 to 1")


class RiskSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the broker's risk checks and the exchange's price bands refuse."""

    lpp_reference_s: float = 30.0
    """Window of the reference price (mean of the last prices) of the limit price protection, seconds."""
    lpp_percent: float = 40.0
    """Furthest a limit may lie from the reference, percent of it, where the reference is above `lpp_split`."""
    lpp_split: float = 50.0
    """Rupees up to which `lpp_rupees` holds instead of `lpp_percent`."""
    lpp_rupees: float = 20.0
    """Furthest a limit may lie from a low reference, rupees."""
    circuit_multiple: float = 5.0
    """Upper circuit as a multiple of the day's first price, plus Rs 100; the lower one is a tick. An assumption: the
    exchanges set options' bands from their model price."""
    span_percent: float = 12.0
    """Margin of short options and of futures, percent of the underlying's value; stands for SPAN and exposure."""
    exposure_share: float = 0.2
    """Share of that margin shown as exposure margin."""
    unprotected_market: str = "reject"
    """A MARKET or SL-M order with market_protection 0: `reject` (UDAPI1158) or `protect` (as if it were -1)."""
    automatic_protection: tuple[tuple[float, float], ...] = ((5.0, 15.0), (10.0, 10.0), (100.0, 5.0), (0.0, 3.0))
    """market_protection -1: (last price below, percent) in order; 0 stands for any. The first two rows are the
    broker's for index options, the others our assumption (it says only that they are smaller)."""
    future_protection: float = 1.0
    """market_protection -1 of futures, percent."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.unprotected_market not in {"reject", "protect"}:
            raise ValueError(
                f"sandbox.exchange.risk.unprotected_market is '{self.unprotected_market}': reject or protect"
            )
        if not self.automatic_protection or self.automatic_protection[-1][0] != 0.0:
            raise ValueError(
                "sandbox.exchange.risk.automatic_protection: the last row holds for any price, write [0, percent]"
            )
        if self.span_percent < 0 or not 0 <= self.exposure_share <= 1:
            raise ValueError("sandbox.exchange.risk: span_percent is 0 or more, exposure_share 0 to 1")


class DaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The broker's day, IST 'HH:MM' or 'HH:MM:SS'; when the market is open says the calendar."""

    night_until: str = "05:30"
    """Orders and funds are refused from midnight until then; the last day's books are cleared at this time."""
    square_off: str = "15:20"
    """Intraday orders are cancelled and intraday positions closed at market; '' leaves them."""
    square_off_retry_s: float = 30.0
    """It is looked at again after this many seconds, until the close."""
    settle_after_close_s: float = 300.0
    """Expiring contracts settle against the index so long after the close, seconds."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        clock_ns(self.night_until)
        if self.square_off:
            clock_ns(self.square_off)
        if self.square_off_retry_s <= 0 or self.settle_after_close_s < 0:
            raise ValueError("sandbox.exchange.day: square_off_retry_s is above 0, settle_after_close_s 0 or more")


class RateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Requests allowed in a second, a minute and half an hour; 0 is no limit."""

    orders: tuple[int, int, int] = (10, 500, 2000)
    """Placing, modifying, cancelling, GTT."""
    bulk: tuple[int, int, int] = (4, 40, 160)
    """Multi place, multi cancel, exit all."""
    reads: tuple[int, int, int] = (50, 500, 2000)
    """Each other API."""
    retry_after_s: int = 0
    """Seconds a 429 names in a Retry-After header, which the real one does not send; 0 sends none."""


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The one account of the simulated broker."""

    user_id: str = "SB1234"
    """Client code, shown in profile and orders."""
    user_name: str = "Sandbox Trader"
    """Shown in the profile."""
    email: str = "trader@example.com"
    """Shown in the profile."""
    cash: float = 1_000_000.0
    """Rupees at the start."""
    primary_ip: str = "127.0.0.1"
    """Registered static address; orders from any other are refused. '' registers none and refuses nobody."""
    secondary_ip: str = ""
    """Second registered static address."""


class ExchangeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything of the simulated broker and exchange but its faults."""

    account: AccountSettings = AccountSettings()
    """Whose account it is, its cash, its registered addresses."""
    delays: DelaySettings = DelaySettings()
    """How long each step takes."""
    depth: DepthSettings = DepthSettings()
    """The book beyond the best bid and ask."""
    risk: RiskSettings = RiskSettings()
    """Risk checks, price bands, margins, protection of market orders."""
    day: DaySettings = DaySettings()
    """Night, square-off, settlement."""
    rates: RateSettings = RateSettings()
    """Requests allowed in a time."""
    charges: ChargeSettings = ChargeSettings()
    """What the broker takes of an order."""
