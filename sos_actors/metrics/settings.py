"""Settings of the metrics."""

from __future__ import annotations

import msgspec


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where Prometheus may ask."""

    port: int = 0
    """Port of the endpoint /metrics; 0: none."""
    host: str = "127.0.0.1"
    """Address it listens on. It shows money and positions' number, and takes no token: keep it at home."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 <= self.port < 65536:
            raise ValueError(f"metrics.port is {self.port}: write 0 (off) to 65535")
