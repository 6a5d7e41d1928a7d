"""Settings of the simulated market. Every default is chosen to look like the Indian index market of 2024-26."""

from __future__ import annotations

import datetime as dt

import msgspec

from sos_actors.market.ids import EXCHANGE_OF


class IndexSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What sets one index apart from the others."""

    level: float = 24_000.0
    """Index points the long-run trend passes through on `MarketSettings.reference_day`."""
    vol_ratio: float = 1.0
    """Volatility of this index as a multiple of the market's."""
    loading: float = 0.97
    """Share of this index's variance that is the market's, 0 to 1; two indices correlate by sqrt(a * b)."""
    round_step: float = 500.0
    """Index points between the round strikes at which open interest piles up."""
    option_volume: float = 500_000.0
    """Units an at-the-money option of the front expiry trades in a minute, on average."""
    option_oi: float = 6_000_000.0
    """Units of open interest of a busy out-of-the-money strike of the front expiry."""
    future_volume: float = 12_000.0
    """Units the near future trades in a minute, on average."""
    future_oi: float = 14_000_000.0
    """Units of open interest of the near future."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in self.__struct_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: write more than 0")
        if self.loading > 1:
            raise ValueError(f"loading is {self.loading}: write a share, 0 to 1")


def _indices() -> dict[str, IndexSettings]:
    return {
        "NIFTY": IndexSettings(),
        "BANKNIFTY": IndexSettings(
            level=51_000.0,
            vol_ratio=1.18,
            loading=0.75,
            round_step=1000.0,
            option_volume=45_000.0,
            option_oi=900_000.0,
            future_volume=4_500.0,
            future_oi=2_400_000.0,
        ),
        "SENSEX": IndexSettings(
            level=79_000.0,
            loading=0.96,
            round_step=1000.0,
            option_volume=90_000.0,
            option_oi=800_000.0,
            future_volume=400.0,
            future_oi=90_000.0,
        ),
    }


class MarketSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The simulated market: levels, volatility, smile and activity. Volatilities are fractions a year."""

    anchor: dt.date = dt.date(2015, 1, 1)
    """First day that can be asked for: the daily path starts here."""
    reference_day: dt.date = dt.date(2025, 1, 1)
    """Day on which the long-run trend passes through each index's `level`."""
    growth: float = 0.10
    """Growth of the trend, continuously compounded, a year."""
    pull: float = 1.0
    """Speed a year at which an index comes back to its trend."""
    indices: dict[str, IndexSettings] = msgspec.field(default_factory=_indices)
    """The indices of this market by canonical name."""

    vix_mean: float = 0.138
    """Level to which India VIX comes back."""
    vix_speed: float = 0.05
    """Share of VIX's (log) distance from its mean that is made up in a session."""
    vix_vol: float = 0.05
    """Standard deviation of VIX's (log) change in a session."""
    leverage: float = 0.75
    """Correlation, with the sign turned, between the market's return and VIX's change."""
    variance_premium: float = 0.87
    """Realised volatility of the index as a share of VIX."""
    overnight_share: float = 0.2
    """Share of a trading day's variance that happens between close and open."""
    trend_days: float = 0.18
    """Probability of a session that runs one way."""
    range_days: float = 0.32
    """Probability of a session that goes nowhere."""
    minute_vol: float = 0.4
    """Standard deviation of the (log) volatility factor within a session."""
    minute_vol_half_life: float = 25.0
    """Half-life of that factor, minutes."""
    jumps_per_day: float = 0.4
    """Jumps of the whole market a session, on average."""
    jump_size: float = 0.12
    """Standard deviation of a jump as a share of the session's own standard deviation."""

    rate: float = 0.065
    """Interest rate, continuously compounded, a year."""
    dividend_yield: float = 0.012
    """Dividend yield of the indices, a year."""
    basis_noise: float = 0.0001
    """Standard deviation of the future about its fair value, share of the price."""
    skew: float = -0.055
    """Relative slope of the smile at the money, per standard deviation of moneyness."""
    curvature: float = 0.028
    """Relative curvature of the smile, per standard deviation of moneyness squared."""
    short_end: float = 0.35
    """How much harder than VIX the volatility of an expiring option moves, as an extra exponent."""
    short_end_days: float = 10.0
    """Trading days to expiry at which that extra has fallen to 1/e."""
    half_spread: float = 0.0008
    """Half the bid-ask spread at the money in mid-session, share of the premium; a tick at least."""

    strikes_each_side: int = 40
    """Strikes listed below and above the money at the open of the day."""
    latency_ms: float = 60.0
    """Median delay between a tick's exchange time and its arrival, milliseconds."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        unknown = sorted(set(self.indices) - set(EXCHANGE_OF))
        if unknown or not self.indices:
            raise ValueError(f"simulated_market.indices {unknown}: write one or more of {', '.join(EXCHANGE_OF)}")
        for name in ("vix_mean", "variance_premium", "minute_vol_half_life", "short_end_days", "strikes_each_side"):
            if not getattr(self, name) > 0:
                raise ValueError(f"simulated_market.{name} is {getattr(self, name)}: write more than 0")
        for name in ("pull", "vix_vol", "minute_vol", "jumps_per_day", "jump_size", "basis_noise", "half_spread",
                     "latency_ms"):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"simulated_market.{name} is {getattr(self, name)}: write 0 or more")
        for name in ("vix_speed", "leverage", "overnight_share", "trend_days", "range_days"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"simulated_market.{name} is {getattr(self, name)}: write 0 to 1")
        if self.trend_days + self.range_days > 1:
            raise ValueError("simulated_market: trend_days and range_days are probabilities: at most 1 together")
