"""Settings of the streaming edge: how connections are kept, what is asked of the market feed, and where it is."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from sos_actors.errors import InputError

#: Where the broker's SDK has both of its WebSockets, written into its source.
SDK_BASE = "wss://api.upstox.com"
MODES = ("ltpc", "option_greeks", "full", "full_d30")


class StreamSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one WebSocket is kept alive. All times are seconds of real time, also where the clock is scaled."""

    connect_timeout_s: float = 10.0
    """Longest wait for one step of connecting (TCP, TLS, the answer to the handshake), and for a send."""
    backoff_first_s: float = 0.5
    """Wait after the first failure; it doubles with each further one."""
    backoff_cap_s: float = 15.0
    """Longest such wait."""
    backoff_jitter: float = 0.5
    """Share of each wait that is left to chance, so that many clients do not come back at one instant."""
    settled_s: float = 30.0
    """A connection that has lived this long and delivered something starts the waits afresh when it is lost."""
    stale_open_s: float = 30.0
    """While the market is open: without a frame, a ping or an answer to ours for this long a connection is dead."""
    stale_closed_s: float = 180.0
    """The same while the market is closed."""
    forbidden_retry_s: float = 60.0
    """Longest wait after a 403 (too many connections, a network the broker dislikes); the first are shorter."""
    dead_token_retry_s: float = 300.0
    """Longest wait after a 401 before the same token is tried again; a new one is tried at once. 0: never."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        positive = (
            self.connect_timeout_s, self.backoff_first_s, self.backoff_cap_s, self.stale_open_s, self.stale_closed_s,
        )  # fmt: skip
        if min(positive) <= 0:
            raise ValueError("stream: write more than 0 for connect_timeout_s, the back-off times and the stale times")
        if min(self.settled_s, self.forbidden_retry_s, self.dead_token_retry_s) < 0:
            raise ValueError("stream: write 0 or more for settled_s, forbidden_retry_s and dead_token_retry_s")
        if not 0 <= self.backoff_jitter < 1:
            raise ValueError(f"stream: backoff_jitter is {self.backoff_jitter}: write a share from 0 to below 1")


class OrderStreamSettings(StreamSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same for the order stream, on which nothing but pings and answers to ours may come for hours."""

    stale_open_s: float = 90.0
    """While the market is open: without a frame, a ping or an answer to ours for this long a connection is dead."""


class FeedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked of the broker's market feed, and how both of its streams are kept."""

    plus: bool = False
    """The account has Upstox Plus: five connections in place of two, and mode full_d30."""
    connections: int = 0
    """Most connections of the market feed; 0: as many as the account may have. One is opened while one is enough."""
    index_mode: str = "ltpc"
    """Mode of indices: ltpc, or full (which adds nothing that is read here)."""
    future_mode: str = "full"
    """Mode of futures: ltpc, option_greeks, full, or full_d30 (Plus)."""
    option_mode: str = "full"
    """Mode of options. ltpc has neither volume nor open interest nor quotes."""
    chunk: int = 100
    """Most keys in one request."""
    silent_s: float = 5.0
    """Seconds after which a key that was asked for and stays silent is asked for again (then 10, 20, ...)."""
    market: StreamSettings = StreamSettings()
    """How the connections of market data are kept."""
    orders: OrderStreamSettings = OrderStreamSettings()
    """How the order stream is kept."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in ("index_mode", "future_mode", "option_mode"):
            mode = getattr(self, name)
            if mode not in MODES or (mode == "full_d30" and not self.plus):
                raise ValueError(f"feed.{name} is '{mode}': write {', '.join(MODES[:3])}, or full_d30 with plus: true")
        if self.index_mode not in {"ltpc", "full"}:
            raise ValueError(f"feed.index_mode is '{self.index_mode}': an index has ltpc and full")
        if self.chunk < 1 or self.silent_s <= 0:
            raise ValueError("feed: write a chunk of 1 or more and silent_s above 0")
        if not 0 <= self.connections <= self.allowed_connections:
            raise ValueError(f"feed.connections is {self.connections}: the account may have {self.allowed_connections}")

    @property
    def allowed_connections(self) -> int:
        """Market data connections the broker allows one user (its documentation of February 2026)."""
        return 5 if self.plus else 2

    @property
    def most_connections(self) -> int:
        """Connections the feed may open."""
        return self.connections or self.allowed_connections


@dataclass(frozen=True, slots=True)
class FeedEndpoint:
    """Where the WebSockets are. `base` takes the place of the SDK's own address; `ca_file` holds further authorities.

    Certificates are always verified: against certifi's authorities and those of `ca_file` (PEM), which a stand-in
    with a certificate of its own needs. Raises InputError when `base` is no ws:// or wss:// address.
    """

    base: str = SDK_BASE
    ca_file: str = ""

    def __post_init__(self) -> None:
        """Check the address."""
        scheme, _, host = self.base.partition("://")
        if scheme not in {"ws", "wss"} or not host.strip("/"):
            raise InputError(f"feed address '{self.base}': write ws://HOST:PORT or wss://HOST[:PORT]")

    def url(self, sdk_url: str) -> str:
        """Give the address that takes the place of one the SDK would connect to."""
        return self.base.rstrip("/") + sdk_url.removeprefix(SDK_BASE)
