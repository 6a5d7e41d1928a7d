"""What the web server is told: where it listens, and how much it lets a client ask."""

from __future__ import annotations

import msgspec

#: Addresses only this machine can reach.
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The web server."""

    enabled: bool = False
    """Serve API and dashboard from the daemon."""
    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback demands the token for reading, too."""
    port: int = 8600
    """Port; 0: a free one."""
    names: tuple[str, ...] = ()
    """Host names, besides loopback and `host`, under which a browser may reach it."""
    stream_hz: float = 2.0
    """How often a second what changed is sent to the pages, at most 5."""
    clients: int = 32
    """Most streams open at once."""
    queue: int = 16
    """Messages a stream may be behind before it is closed."""
    reads_per_s: float = 40.0
    """Requests a second of one address that are answered, on the average; bursts of five times that."""
    orders_per_min: float = 30.0
    """Control requests a minute of one address; requests with a wrong token or none have as many of their own."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not self.host or not 0 <= self.port < 65536:
            raise ValueError(f"web: write a host and a port from 0 to 65535, not '{self.host}' and {self.port}")
        if not 0 < self.stream_hz <= 5:
            raise ValueError(f"web.stream_hz is {self.stream_hz}: write more than 0 and at most 5")
        if min(self.clients, self.queue, self.reads_per_s, self.orders_per_min) <= 0:
            raise ValueError("web: write clients, queue, reads_per_s and orders_per_min of more than 0")

    @property
    def local(self) -> bool:
        """Say whether only this machine can reach it."""
        return self.host in LOOPBACK
