"""Quotes as the market feed's protobuf, made once a tick and mode and joined to frames as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as pb

from sos_actors.market.clocktime import ist_date, midnight_ns
from sos_actors.market.instruments import Instrument
from sos_actors.sandbox.greeks import OptionGreeks
from sos_actors.sandbox.quote import OneMinute, Quote

_MS = 1_000_000
LTPC, FULL, OPTION_GREEKS, FULL_D30 = "ltpc", "full", "option_greeks", "full_d30"
MODES = (LTPC, FULL, OPTION_GREEKS, FULL_D30)
_LEVELS_D30 = 30


def snapshot_frame(entries: Iterable[bytes], now_ns: int) -> bytes:
    """One FeedResponse of type initial_feed."""
    return _frame(b"", entries, now_ns)


def live_frame(entries: Iterable[bytes], now_ns: int) -> bytes:
    """One FeedResponse of type live_feed."""
    return _frame(b"\x08\x01", entries, now_ns)


def info_frame(statuses: Mapping[str, str], now_ns: int) -> bytes:
    """One FeedResponse of type market_info: segment -> name of its status."""
    response = pb.FeedResponse(type=pb.Type.market_info, currentTs=now_ns // _MS)
    for segment, status in statuses.items():
        response.marketInfo.segmentStatus[segment] = pb.MarketStatus.Value(status)
    return bytes(response.SerializeToString())


def entry(quote: Quote, mode: str, greeks: Callable[[Instrument], OptionGreeks]) -> bytes:
    """One entry of a frame's map of feeds, kept with the quote until its next tick."""
    found = quote.encoded.get(mode)
    if found is None:
        key = quote.instrument.upstox_key.encode()
        feed = bytes(_feed(quote, mode, greeks(quote.instrument)).SerializeToString())
        body = b"\x0a" + _varint(len(key)) + key + b"\x12" + _varint(len(feed)) + feed
        found = quote.encoded[mode] = b"\x12" + _varint(len(body)) + body
    return found


def _frame(kind: bytes, entries: Iterable[bytes], now_ns: int) -> bytes:
    return b"".join((kind, *entries, b"\x18", _varint(now_ns // _MS)))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _feed(quote: Quote, mode: str, greeks: OptionGreeks) -> Any:
    ltpc = pb.LTPC(ltp=quote.ltp, ltt=quote.ltt // _MS, ltq=quote.ltq, cp=quote.previous_close)
    if mode == LTPC:
        return pb.Feed(ltpc=ltpc, requestMode=pb.RequestMode.ltpc)
    index = quote.instrument.kind == "INDEX"
    if mode == OPTION_GREEKS:
        return pb.Feed(firstLevelWithGreeks=_first_level(quote, ltpc, greeks), requestMode=pb.RequestMode.option_greeks)
    request = pb.RequestMode.full_d30 if mode == FULL_D30 else pb.RequestMode.full_d5
    if index:
        return pb.Feed(
            fullFeed=pb.FullFeed(indexFF=pb.IndexFullFeed(ltpc=ltpc, marketOHLC=_ohlc(quote))), requestMode=request
        )
    full = _full(quote, ltpc, greeks, _LEVELS_D30 if mode == FULL_D30 else 5)
    return pb.Feed(fullFeed=pb.FullFeed(marketFF=full), requestMode=request)


def _first_level(quote: Quote, ltpc: Any, greeks: OptionGreeks) -> Any:
    if quote.instrument.kind == "INDEX":
        return pb.FirstLevelWithGreeks(ltpc=ltpc)
    depth = quote.depth()
    return pb.FirstLevelWithGreeks(
        ltpc=ltpc,
        firstDepth=_level(*depth[0]) if depth else None,
        optionGreeks=_greeks(greeks),
        vtt=quote.volume,
        oi=quote.oi,
        iv=greeks.iv,
    )


def _full(quote: Quote, ltpc: Any, greeks: OptionGreeks, levels: int) -> Any:
    depth = quote.depth(levels)
    return pb.MarketFullFeed(
        ltpc=ltpc,
        marketLevel=pb.MarketLevel(bidAskQuote=[_level(*level) for level in depth]),
        optionGreeks=_greeks(greeks),
        marketOHLC=_ohlc(quote),
        atp=round(quote.average, 2),
        vtt=quote.volume,
        oi=quote.oi,
        iv=greeks.iv,
        tbq=float(sum(level.bid_quantity for level in depth)),
        tsq=float(sum(level.ask_quantity for level in depth)),
    )


def _level(bid_quantity: int, bid: float, ask_quantity: int, ask: float) -> Any:
    return pb.Quote(bidQ=bid_quantity, bidP=bid, askQ=ask_quantity, askP=ask)


def _greeks(g: OptionGreeks) -> Any:
    return pb.OptionGreeks(delta=g.delta, theta=g.theta, gamma=g.gamma, vega=g.vega, rho=g.rho)


def _ohlc(quote: Quote) -> Any:
    """The day, and the last completed minute; neither before the first trade."""
    if not quote.open:
        return pb.MarketOHLC()
    day = midnight_ns(ist_date(quote.ltt))
    rows = [OneMinute(day, quote.open, quote.high, quote.low, quote.ltp, quote.volume)]
    rows += [quote.previous] if quote.previous is not None else []
    return pb.MarketOHLC(
        ohlc=[
            pb.OHLC(
                interval=name, open=row.open, high=row.high, low=row.low, close=row.close, vol=row.volume,
                ts=row.start // _MS,
            )
            for name, row in zip(("1d", "I1"), rows, strict=False)
        ]
    )  # fmt: skip
