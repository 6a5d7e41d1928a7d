"""The market feed's frames read field by field: protobuf to ticks without a dict in between.

The SDK's way (`MessageToDict`) turns 64-bit integers into text and leaves out what is zero; here every field is what
the message says, and a zero that means "none" is said so: no price, no trade time -> no tick; best bid or ask 0 -> NaN.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from loguru import logger
from upstox_client.feeder.proto.MarketDataFeedV3_pb2 import FeedResponse, MarketStatus, Type

from sos_actors.messages import NAN, SegmentStatusChanged, Tick

_MS = 1_000_000
_INF = float("inf")
_MARKET_INFO = Type.Value("market_info")
#: Unknown keys kept by name; beyond it they are only counted.
_NAMED_KEYS = 1_000


class FeedDecoder:
    """Reads the frames of one connection and gives out their ticks as it reads.

    `instruments` maps the broker's keys to our ids and may be replaced at any time. `now` (UTC ns) stamps the ticks;
    `heard` says when each key last came, by `clock`, also without a tick. What cannot be read is counted and skipped:
    `malformed` frames, `unknown` keys, `priceless` records (no trade yet).
    """

    def __init__(
        self,
        now: Callable[[], int],
        clock: Callable[[], int],
        on_tick: Callable[[Tick], None],
        on_market: Callable[[SegmentStatusChanged], None],
    ) -> None:
        self._now = now
        self._clock = clock
        self._on_tick = on_tick
        self._on_market = on_market
        self.instruments: Mapping[str, str] = {}
        self.heard: dict[str, int] = {}
        self.ticks = 0
        self.malformed = 0
        self.priceless = 0
        self.unknown: Counter[str] = Counter()

    def decode(self, data: Any) -> None:
        """Read one frame. Never raises on what a server may send."""
        now = self._now()  # before it is read: reading it is part of what a tick waits for
        try:
            response = FeedResponse.FromString(data)
        except Exception as error:  # noqa: BLE001 - protobuf raises DecodeError, text frames a TypeError
            self.malformed += 1
            if self.malformed % 1_000 == 1:
                logger.warning("market feed: a frame of {} bytes cannot be read ({})", len(data), type(error).__name__)
            return
        if response.type == _MARKET_INFO:
            self._on_market(market_info(response, now))
        feeds = response.feeds
        if not feeds:
            return
        instruments, heard, publish, stamp = self.instruments, self.heard, self._on_tick, self._clock()
        for key in feeds:
            name = instruments.get(key)
            if name is None:
                self._note_unknown(key)
                continue
            heard[key] = stamp
            tick = tick_of(name, feeds[key], now)
            if tick is None:
                self.priceless += 1
            else:
                self.ticks += 1
                publish(tick)

    def _note_unknown(self, key: str) -> None:
        if key in self.unknown or len(self.unknown) < _NAMED_KEYS:
            self.unknown[key] += 1
        else:
            self.unknown["..."] += 1


def tick_of(instrument: str, feed: Any, now: int) -> Tick | None:
    """Turn one key's record, of any mode, into a tick; None when nothing has traded (no price or no trade time).

    Times are ms in the feed and ns here; an index and mode ltpc have no volume (-1) and no open interest (NaN).
    """
    union = feed.WhichOneof("FeedUnion")
    if union == "fullFeed":
        full = feed.fullFeed
        if full.WhichOneof("FullFeedUnion") == "marketFF":
            record = full.marketFF
            levels = record.marketLevel.bidAskQuote
            best = levels[0] if levels else None
        else:
            return _traded(instrument, full.indexFF.ltpc, now)
    elif union == "firstLevelWithGreeks":
        record = feed.firstLevelWithGreeks
        best = record.firstDepth
    else:
        return _traded(instrument, feed.ltpc, now)
    ltpc = record.ltpc
    price = ltpc.ltp
    ltt = ltpc.ltt
    if not 0.0 < price < _INF or ltt <= 0:  # also NaN
        return None
    bid = ask = NAN
    if best is not None:
        bid = best.bidP or NAN
        ask = best.askP or NAN
    return Tick(instrument, ltt * _MS, now, price, ltpc.ltq, record.vtt, record.oi, bid, ask)


def _traded(instrument: str, ltpc: Any, now: int) -> Tick | None:
    """Make a tick of price and time alone."""
    price = ltpc.ltp
    ltt = ltpc.ltt
    if not 0.0 < price < _INF or ltt <= 0:
        return None
    return Tick(instrument, ltt * _MS, now, price, ltpc.ltq)


def market_info(response: Any, now: int) -> SegmentStatusChanged:
    """Read a market_info frame. `ts` is the server's time, ours where it has none."""
    info = response.marketInfo
    return SegmentStatusChanged(
        response.currentTs * _MS or now,
        tuple(sorted((segment, _status_name(status)) for segment, status in info.segmentStatus.items())),
        tuple(sorted((segment, status.status) for segment, status in info.casMarketStatus.items())),
        tuple(sorted((segment, status.status) for segment, status in info.preOpenSessionStatus.items())),
    )


def _status_name(status: int) -> str:
    """Name of a status; a number that this SDK does not know stays one."""
    try:
        return str(MarketStatus.Name(status))
    except ValueError:
        return str(status)
