"""One connection of the market feed: its stream, the keys asked for on it, and what reads its frames."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from loguru import logger

from sos_actors.messages import SegmentStatusChanged, StreamChanged, Tick
from sos_actors.upstox.decode import FeedDecoder
from sos_actors.upstox.feed_settings import FeedSettings
from sos_actors.upstox.key_ledger import KeyLedger, Request
from sos_actors.upstox.sockets import OpenSocket
from sos_actors.upstox.streams import SupervisedStream

#: Silent keys named in the status.
_NAMED = 20


class MarketConnection:
    """Keeps what is asked for on one connection equal to what is wanted of it."""

    def __init__(
        self,
        name: str,
        open_socket: OpenSocket,
        settings: FeedSettings,
        *,
        token: Callable[[], str],
        now: Callable[[], int],
        clock: Callable[[], int],
        rng: random.Random,
        on_tick: Callable[[Tick], None],
        on_market: Callable[[SegmentStatusChanged], None],
        on_change: Callable[[StreamChanged], None],
    ) -> None:
        self._name = name
        self._now = now
        self._clock = clock
        self._on_change = on_change
        self._ledger = KeyLedger(settings.chunk, settings.silent_s)
        self._decoder = FeedDecoder(now, clock, on_tick, on_market)
        self._send_errors = 0
        self._overdue: list[str] = []
        self.stream = SupervisedStream(
            name, open_socket, settings.market, token=token, on_message=self._decoder.decode, on_change=self._changed,
            on_round=self._reconcile, rng=rng, clock=clock,
        )  # fmt: skip

    @property
    def wanted(self) -> Mapping[str, str]:
        """Key -> mode of what is wanted here."""
        return self._ledger.wanted

    def want(self, keys: Mapping[str, str], instruments: Mapping[str, str]) -> None:
        """Replace what is wanted (key -> mode). `instruments`: key -> our id, of all that may come."""
        self._decoder.instruments = instruments
        self._ledger.want(keys)
        self.stream.wake()

    def _changed(self, live: bool, detail: str) -> None:
        if live:
            self._ledger.connected()
        self._on_change(StreamChanged(self._name, self._now(), live, detail))

    def _reconcile(self, feeder: Any) -> None:
        """Send what is missing, take back what is wanted no longer, ask again for what stays silent."""
        heard = self._decoder.heard
        now = self._clock()
        for request in self._ledger.due(now, heard):
            try:
                _send(feeder, request)
            except Exception as error:  # noqa: BLE001 - the SDK raises a bare Exception; the next round tries again
                self._send_errors += 1
                logger.warning("{}: a request could not be sent ({})", self._name, type(error).__name__)
                return
            self._ledger.sent(request, now)
        overdue = self._ledger.overdue(now, heard)
        if len(overdue) > len(self._overdue):
            logger.warning("{}: {} key(s) asked for stay silent, e.g. {}", self._name, len(overdue), overdue[0])
        self._overdue = overdue

    def status(self) -> dict[str, Any]:
        """Say how the connection does, as plain data."""
        decoder = self._decoder
        return {
            **self.stream.status(),
            "wanted": len(self._ledger.wanted),
            "silent": self._overdue[:_NAMED],
            "silent_keys": len(self._overdue),
            "asked_again": self._ledger.repeated,
            "send_errors": self._send_errors,
            "ticks": decoder.ticks,
            "malformed": decoder.malformed,
            "priceless": decoder.priceless,
            "unknown_keys": dict(sorted(dict(decoder.unknown).items(), key=lambda item: -item[1])[:_NAMED]),
        }


def _send(feeder: Any, request: Request) -> None:
    """Send a request through the SDK's feeder, which writes the frame. Raises what the SDK raises."""
    keys = list(request.keys)
    if request.method == "unsub":
        feeder.unsubscribe(keys)
    else:
        feeder.subscribe(keys, request.mode)
