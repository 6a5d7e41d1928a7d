"""The broker's market feed as the cast's `MarketStream`: instruments wanted in, ticks out, connections kept."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from loguru import logger
from upstox_client import ApiClient

from sos_actors.market.ids import parse_id
from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import SegmentStatusChanged, StreamChanged, Tick
from sos_actors.upstox.feed_settings import FeedEndpoint, FeedSettings
from sos_actors.upstox.key_ledger import allocate
from sos_actors.upstox.market_connection import MarketConnection
from sos_actors.upstox.sockets import market_socket


class UpstoxMarketFeed:
    """Market data of all wanted instruments, over as many connections as they need.

    `table()` gives today's instrument table (ids to the broker's keys); when it gives another one, every key is looked
    up anew. `now` is clock time (UTC ns), which stamps ticks; `clock` is monotonic real time (ns). Ticks are given out
    from the sockets' threads, changes from the supervising ones.
    """

    def __init__(
        self,
        api: ApiClient,
        endpoint: FeedEndpoint,
        settings: FeedSettings,
        table: Callable[[], InstrumentTable],
        *,
        now: Callable[[], int],
        rng: random.Random,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._api = api
        self._settings = settings
        self._open_socket = market_socket(api, endpoint, settings.market.connect_timeout_s)
        self._table = table
        self._now = now
        self._rng = rng
        self._clock = clock
        self._lock = threading.Lock()
        self._running = False
        self._links: list[MarketConnection] = []
        self._known: InstrumentTable | None = None
        self._instruments: dict[str, str] = {}
        self._market_open = False
        self._market: SegmentStatusChanged | None = None
        self._left: dict[str, str] = {}
        self._on_tick: Callable[[Tick], None] = _nobody
        self._on_change: Callable[[StreamChanged | SegmentStatusChanged], None] = _nobody

    def start(
        self, on_tick: Callable[[Tick], None], on_change: Callable[[StreamChanged | SegmentStatusChanged], None]
    ) -> None:
        """Connect, and give ticks and changes to these from now on."""
        self._on_tick, self._on_change = on_tick, on_change
        with self._lock:
            self._running = True
            self._grow(1)

    def stop(self) -> None:
        """Close every connection. Returns when they are closed, or after a few seconds."""
        with self._lock:
            self._running = False
            links, self._links = self._links, []
        for link in links:
            link.stream.stop()

    def want(self, instruments: Iterable[str]) -> dict[str, str]:
        """Follow exactly these instruments, most important first. Gives those that cannot be, and why.

        Does nothing before `start` and after `stop`.
        """
        with self._lock:
            if not self._running:
                return {}
            table = self._table()
            if table is not self._known:
                self._known, self._instruments = table, {}
            left: dict[str, str] = {}
            wanted: dict[str, str] = {}
            ids: dict[str, str] = {}
            for name in instruments:
                listed = table.by_id(name)
                if listed is None:
                    left[name] = "not in today's instrument file"
                else:
                    wanted[listed.upstox_key] = self._mode_of(name)
                    ids[listed.upstox_key] = name
            before = [link.wanted for link in self._links]
            most = self._settings.most_connections
            placed, unplaced = allocate(wanted.items(), before, most, plus=self._settings.plus)
            for key in unplaced:
                left[ids[key]] = f"{len(wanted)} instruments do not fit {most} connection(s): follow fewer strikes"
            self._instruments = {**self._instruments, **ids}  # what is on its way of a key just dropped is no stranger
            self._grow(len(placed))
            for link, keys in zip(self._links, placed, strict=True):
                link.want(keys, self._instruments)
            if left != self._left:
                for name, why in left.items():
                    logger.error("market feed: {} is not followed: {}", name, why)
            self._left = left
            return left

    def session(self, *, market_open: bool) -> None:
        """Say whether the market is open: silence is judged more strictly then."""
        with self._lock:
            self._market_open = market_open
            for link in self._links:
                link.stream.market_open = market_open

    def status(self) -> dict[str, Any]:
        """Say how every connection does, as plain data."""
        market = self._market
        with self._lock:
            return {
                "connections": [link.status() for link in self._links],
                "segments": dict(market.segments) if market is not None else {},
                "left_out": dict(self._left),
            }

    def _mode_of(self, instrument: str) -> str:
        s = self._settings
        return {"INDEX": s.index_mode, "FUT": s.future_mode, "OPT": s.option_mode}[parse_id(instrument).kind]

    def _token(self) -> str:
        return self._api.configuration.access_token or ""

    def _grow(self, count: int) -> None:
        """Have at least `count` connections."""
        while len(self._links) < count:
            link = MarketConnection(
                f"market-{len(self._links) + 1}", self._open_socket, self._settings, token=self._token, now=self._now,
                clock=self._clock, rng=random.Random(self._rng.getrandbits(64)), on_tick=self._on_tick,
                on_market=self._on_market, on_change=self._on_change,
            )  # fmt: skip
            link.stream.market_open = self._market_open
            self._links.append(link)
            link.stream.start()

    def _on_market(self, market: SegmentStatusChanged) -> None:
        """Keep what the broker says of the segments, and say it where it is news."""
        before, self._market = self._market, market
        news = (market.segments, market.closing_auction, market.pre_open)
        if before is None or (before.segments, before.closing_auction, before.pre_open) != news:
            self._on_change(market)


def _nobody(_: Any) -> None:
    """Take what comes before anybody listens."""
