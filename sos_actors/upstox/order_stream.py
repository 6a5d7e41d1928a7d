"""The broker's order stream: its texts read, its connection kept by the streams' keeper."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from loguru import logger

from sos_actors.messages import BrokerOrder
from sos_actors.upstox.books import BookReader
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.errors import UnreadableAnswerError
from sos_actors.upstox.feed_settings import FeedEndpoint, StreamSettings
from sos_actors.upstox.sockets import portfolio_socket
from sos_actors.upstox.streams import SupervisedStream


class OrderStream(Protocol):
    """A stream of texts that is kept alive. `start` once, `stop` for good."""

    def start(self) -> None:
        """Start connecting. Returns at once."""

    def stop(self) -> bool:
        """Disconnect; False when it did not end in time."""

    def status(self) -> dict[str, Any]:
        """Say how it does, as plain data."""


#: Makes a stream that gives texts, and (live, detail) at each change of its connection, from threads of its own.
OpenStream = Callable[[Callable[[Any], None], Callable[[bool, str], None]], OrderStream]


class UpdateReader:
    """Reads the stream's texts, and counts them by kind. Used by one thread at a time."""

    def __init__(self, reader: BookReader) -> None:
        self._reader = reader
        self.counts: Counter[str] = Counter()

    def read(self, message: str | bytes) -> BrokerOrder | None:
        """Give the order a text speaks of; None for another kind of update (holdings, positions) or for nonsense."""
        try:
            found: Any = msgspec.json.decode(message)
        except (msgspec.MsgspecError, UnicodeError):
            self._odd("no JSON")
            return None
        if not isinstance(found, dict):
            self._odd("no object")
            return None
        kind = found.get("update_type")
        if not isinstance(kind, str) or (kind == "order" and not found.get("status")):
            self._odd("no kind, or an order without a status")
            return None
        if kind != "order":
            self.counts["other"] += 1
            return None
        try:
            order = self._reader.order("order stream", found)
        except UnreadableAnswerError as error:
            self._odd(str(error))
            return None
        self.counts["order"] += 1
        return order

    def _odd(self, why: str) -> None:
        self.counts["malformed"] += 1
        if self.counts["malformed"] % 100 == 1:
            logger.warning("order stream: {} messages could not be read so far; {}", self.counts["malformed"], why)


def broker_stream(client: UpstoxClient, settings: StreamSettings, rng: random.Random) -> OpenStream:
    """Give what opens the broker's own order stream, with the client's present token at each connect."""
    where, api = client.settings, client.api
    opened = portfolio_socket(
        api, FeedEndpoint(base=where.feed_base, ca_file=where.ca_file), settings.connect_timeout_s
    )

    def make(on_message: Callable[[Any], None], on_change: Callable[[bool, str], None]) -> OrderStream:
        return SupervisedStream(
            "orders", opened, settings, token=lambda: api.configuration.access_token or "", on_message=on_message,
            on_change=on_change, rng=rng,
        )  # fmt: skip

    return make
