"""Settings of the local exchange."""

from __future__ import annotations

import msgspec

from sos_actors.sandbox.exchange.faults import FaultMenu
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.server.feed_faults import FeedFaultMenu


class AppSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The app that may log in, and how."""

    client_id: str = "sandbox-client"
    """API key."""
    client_secret: str = "sandbox-secret"
    """API secret."""
    redirect_uri: str = ""
    """The only redirect address that is taken; '' takes any."""
    notifier_url: str = ""
    """Where the semi-automatic token request sends the token; '' answers UDAPI1123."""
    approval_s: float = 2.0
    """Real seconds until that request is approved."""
    plus: bool = True
    """Whether the user has the Plus plan: 5 feed connections instead of 2, 30 levels, expired instruments."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not self.client_id or not self.client_secret:
            raise ValueError("sandbox.app: client_id and client_secret cannot be empty")
        if self.approval_s < 0:
            raise ValueError(f"sandbox.app.approval_s is {self.approval_s}: write 0 or more")


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The local exchange's server, clock and market."""

    host: str = "127.0.0.1"
    """Address it listens on; anything but loopback lets others trade in it."""
    port: int = 8900
    """Port it listens on; 0 takes a free one."""
    start: str = "2026-11-20T09:10:00+05:30"
    """Sandbox time at which it starts."""
    speed: float = 30.0
    """Sandbox seconds a real second."""
    seed: int = 7
    """Seed of market, queues and faults."""
    symbols: tuple[str, ...] = ("NIFTY", "BANKNIFTY", "SENSEX")
    """Underlyings with contracts; India VIX is always there."""
    ticks_per_minute: float = 20.0
    """Mean ticks a sandbox minute of the busiest instruments."""
    step_ms: float = 20.0
    """Real milliseconds between looks at the clock: ticks due in between go out together."""
    ping_s: float = 10.0
    """Real seconds without a frame after which a stream is pinged."""
    slow_client_mb: float = 16.0
    """Megabytes a stream may be behind before it is cut off."""
    app: AppSettings = AppSettings()
    """Who may log in."""
    exchange: ExchangeSettings = ExchangeSettings()
    """Account, delays, depth, risk checks, rate limits."""
    order_faults: FaultMenu = FaultMenu()
    """Faults of requests, orders and the portfolio stream's messages."""
    feed_faults: FeedFaultMenu = FeedFaultMenu()
    """Faults of the streams' connections and of market data."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"sandbox.port is {self.port}: write 0 to 65535")
        if self.seed < 0 or not self.symbols or not 0 < self.speed <= 10_000:
            raise ValueError("sandbox: seed is 0 or more, symbols names one at least, speed is above 0 up to 10000")
        for name in ("ticks_per_minute", "step_ms", "ping_s", "slow_client_mb"):
            if not getattr(self, name) > 0:
                raise ValueError(f"sandbox.{name} is {getattr(self, name)}: write more than 0")
