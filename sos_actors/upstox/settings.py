"""Where the broker is: apart from the client, so that reading the configuration does not load the broker's SDK."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from sos_actors.errors import InputError
from sos_actors.upstox.limits import RateSettings


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the orders' and the books' requests share the connection to the broker. Times are seconds of real time."""

    order_workers: int = 4
    """Threads that send orders, changes and cancels; the first of them is kept for exits."""
    read_workers: int = 2
    """Threads that read books."""
    order_patience_s: float = 0.5
    """Longest wait of an entry for room in the rate limits, before it is refused."""
    exit_patience_s: float = 1.5
    """The same for exits."""
    read_patience_s: float = 5.0
    """The same for reads."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.order_workers < 2 or self.read_workers < 1:
            raise ValueError("upstox.link: write order_workers of 2 or more and read_workers of 1 or more")
        if min(self.order_patience_s, self.exit_patience_s, self.read_patience_s) < 0:
            raise ValueError("upstox.link: write patience of 0 or more")


class UpstoxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the broker is and how long it is waited for. The addresses may be any server that speaks as it does."""

    host: str = "https://api.upstox.com"
    """REST; $SOS_UPSTOX_HOST decides over it."""
    order_host: str = "https://api-hft.upstox.com"
    """Place, modify and cancel; $SOS_UPSTOX_ORDER_HOST."""
    feed_base: str = "wss://api.upstox.com"
    """Both WebSockets, ws:// or wss://; $SOS_UPSTOX_FEED_BASE."""
    assets_url: str = "https://assets.upstox.com"
    """Instrument master; $SOS_UPSTOX_ASSETS_URL."""
    ca_file: str = ""
    """Further certificate authorities (PEM), for a stand-in with a certificate of its own; empty: none."""
    local_address: str = ""
    """Address of this machine that requests leave from, for orders are taken from the registered ones alone: one of its
    own, 0.0.0.0 for whichever of IPv4, :: for whichever of IPv6; empty: as the system likes."""
    connect_timeout_s: float = 5.0
    """Seconds a connection may take."""
    read_timeout_s: float = 15.0
    """Seconds an answer may take."""
    order_timeout_s: float = 7.0
    """Seconds the answer to an order may take before its fate is asked for."""
    algo_name: str = ""
    """Name of the algo registered with the exchange, sent with every order; empty: none."""
    rates: RateSettings = RateSettings()
    link: LinkSettings = LinkSettings()

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name, schemes in _ADDRESSES.items():
            parts = urlsplit(getattr(self, name))
            if parts.scheme not in schemes or not parts.hostname:
                raise ValueError(
                    f"upstox.{name} is '{getattr(self, name)}': write {' or '.join(schemes)}://HOST[:PORT]"
                )
        if self.local_address:
            try:
                ip_address(self.local_address)
            except ValueError:
                raise ValueError(f"upstox.local_address is '{self.local_address}': write an IP address") from None
        if min(self.connect_timeout_s, self.read_timeout_s, self.order_timeout_s) <= 0:
            raise ValueError("upstox: write time-outs above 0")


_ADDRESSES = {
    "host": ("http", "https"),
    "order_host": ("http", "https"),
    "feed_base": ("ws", "wss"),
    "assets_url": ("http", "https"),
}


def with_environment(settings: UpstoxSettings, environ: Mapping[str, str] | None = None) -> UpstoxSettings:
    """Let $SOS_UPSTOX_HOST, _ORDER_HOST, _FEED_BASE and _ASSETS_URL decide; raises InputError for a bad address."""
    env = os.environ if environ is None else environ
    found = {name: env[key].rstrip("/") for name in _ADDRESSES if env.get(key := f"SOS_UPSTOX_{name.upper()}")}
    try:
        return msgspec.structs.replace(settings, **found)
    except ValueError as error:
        raise InputError(f"environment: {error}") from None
