"""The pieces that the feed's tests put together: an ApiClient with a token, quick settings, a small table."""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from typing import Any

import upstox_client

from sos_actors.market.ids import future_id, index_id, option_id
from sos_actors.market.instruments import INDEX_KEYS, Instrument, InstrumentTable
from sos_actors.messages import Right, StreamChanged, Tick
from sos_actors.upstox.feed_settings import FeedEndpoint, FeedSettings, StreamSettings
from sos_actors.upstox.market_feed import UpstoxMarketFeed
from sos_actors.upstox.sockets import portfolio_socket
from sos_actors.upstox.streams import SupervisedStream

EXPIRY = dt.date(2026, 11, 23)
NIFTY = index_id("NIFTY")
QUICK = {
    "connect_timeout_s": 5.0, "backoff_first_s": 0.05, "backoff_cap_s": 0.4, "settled_s": 0.0, "stale_open_s": 20.0,
    "stale_closed_s": 20.0, "forbidden_retry_s": 0.5, "dead_token_retry_s": 0.0,
}  # fmt: skip


def quick(**changes: Any) -> StreamSettings:
    """Stream settings that do not keep a test waiting."""
    return StreamSettings(**{**QUICK, **changes})


def api_client(token: str = "good") -> upstox_client.ApiClient:
    """An ApiClient with a token."""
    api = upstox_client.ApiClient(upstox_client.Configuration())
    api.configuration.access_token = token
    api.user_agent = "sos-actors/test"
    return api


def table(strikes: int = 5, *, step: float = 50.0, middle: float = 25_000.0, first_token: int = 1) -> InstrumentTable:
    """NIFTY, its future, India VIX, and a ladder of options of two expiries."""
    rows = [
        Instrument(
            id=index_id(n), upstox_key=INDEX_KEYS[n], exchange="NSE", kind="INDEX", underlying=n, trading_symbol=n
        )
        for n in ("NIFTY", "INDIAVIX")
    ]
    token = first_token
    rows.append(
        Instrument(
            id=future_id("NIFTY", EXPIRY), upstox_key="NSE_FO|9000", exchange="NSE", kind="FUT", underlying="NIFTY",
            trading_symbol="NIFTY FUT", expiry=EXPIRY, lot_size=75, tick_size=0.05,
        )
    )  # fmt: skip
    for expiry in (EXPIRY, EXPIRY + dt.timedelta(days=8)):
        for k in range(-strikes, strikes + 1):
            for right in Right:
                strike = middle + k * step
                rows.append(
                    Instrument(
                        id=option_id("NIFTY", expiry, strike, right), upstox_key=f"NSE_FO|{token}", exchange="NSE",
                        kind="OPT", underlying="NIFTY", trading_symbol=f"NIFTY {strike:g} {right}", expiry=expiry,
                        strike=strike, right=right, lot_size=75, tick_size=0.05,
                    )
                )  # fmt: skip
                token += 1
    return InstrumentTable(rows)


class Client:
    """A market feed against a server, and what it gave out."""

    def __init__(
        self, base: str, *, api: Any = None, listed: InstrumentTable | None = None, ca_file: str = "",
        stream: StreamSettings | None = None, **settings: Any,
    ) -> None:  # fmt: skip
        self.api = api or api_client()
        self.table = listed or table()
        self.ticks: list[Tick] = []
        self.changes: list[Any] = []
        self.on_tick = self.ticks.append
        chosen = FeedSettings(**{"market": stream or quick(), "silent_s": 30.0, **settings})
        self.feed = UpstoxMarketFeed(
            self.api, FeedEndpoint(base, ca_file), chosen,
            lambda: self.table, now=time.time_ns, rng=random.Random(7),
        )  # fmt: skip

    def __enter__(self) -> Client:
        self.feed.start(self._on_tick, self.changes.append)
        return self

    def _on_tick(self, tick: Tick) -> None:
        self.on_tick(tick)  # a test may replace it at any time

    def __exit__(self, *_: object) -> None:
        self.feed.stop()

    def link(self, n: int = 0) -> dict[str, Any]:
        """Status of one connection."""
        return self.feed.status()["connections"][n]

    def streams(self) -> list[StreamChanged]:
        """What was said of connections coming and going."""
        return [change for change in self.changes if isinstance(change, StreamChanged)]

    def connected(self) -> bool:
        """Whether the first connection is open."""
        return self.link()["state"] == "open"

    def heard(self) -> set[str]:
        """Instruments that had a tick."""
        return {tick.instrument for tick in self.ticks}


def order_stream(
    base: str,
    heard: list[str],
    changes: list[tuple[bool, str]],
    api: Any = None,
    settings: StreamSettings | None = None,
) -> SupervisedStream:
    """A portfolio stream as the order path keeps it."""
    api = api or api_client()
    return SupervisedStream(
        "orders", portfolio_socket(api, FeedEndpoint(base), 5.0, positions=True), settings or quick(),
        token=lambda: api.configuration.access_token, on_message=heard.append,
        on_change=lambda live, detail: changes.append((live, detail)), rng=random.Random(3),
    )  # fmt: skip


def feed_threads() -> list[str]:
    """Names of the threads our streams have at work."""
    return [t.name for t in threading.enumerate() if t.name.startswith(("upstox-", "keep-"))]
