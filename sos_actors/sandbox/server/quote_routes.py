"""Routes of market quotes, V2 and V3. Maps are keyed by segment, colon and symbol; the key stands inside."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from sos_actors.market.clocktime import SECOND_NS, ist_date, ist_text, midnight_ns
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.exchange.orders import short_symbol
from sos_actors.sandbox.quote import OneMinute, Quote
from sos_actors.sandbox.server.service import Service

_KEY = re.compile(r"[A-Z]+_[A-Z]+\|[\w ]+")
_MS = 1_000_000
#: Widest band around yesterday's close that quotes show as circuit limits.
_CIRCUIT = 5.0
Row = dict[str, Any]


def add_routes(app: web.Application, service: Service) -> None:
    """Add the quotes of both versions."""
    routes = QuoteRoutes(service)
    add = app.router.add_get
    add("/v3/market-quote/ltp", routes.ltp_v3)
    add("/v3/market-quote/ohlc", routes.ohlc_v3)
    add("/v3/market-quote/option-greek", routes.greeks_v3)
    add("/v3/market-quote/quotes", routes.full_v3)
    add("/v2/market-quote/ltp", routes.ltp_v2)
    add("/v2/market-quote/ohlc", routes.ohlc_v2)
    add("/v2/market-quote/quotes", routes.full_v2)


class QuoteRoutes:
    """Handlers of quotes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ltp_v3(self, request: web.Request) -> web.StreamResponse:
        """Last price, last quantity, volume, yesterday's close."""
        return await self._map(request, "ltp", _ltp, limit=500, too_many="100043")

    async def ohlc_v3(self, request: web.Request) -> web.StreamResponse:
        """The day or the last and the running minute or half hour."""
        return await self._map(request, "ohlc", self._ohlc_v3(request), limit=500, too_many="100043")

    async def greeks_v3(self, request: web.Request) -> web.StreamResponse:
        """Greeks; volatility as a fraction."""
        return await self._map(request, "option-greek", self._greeks, limit=50, too_many="100076")

    async def full_v3(self, request: web.Request) -> web.StreamResponse:
        """Everything, with the fields of the closing auction, which derivatives leave empty."""
        return await self._map(request, "quotes", lambda quote: _more(quote, self._full(quote)), 500, "100043")

    async def ltp_v2(self, request: web.Request) -> web.StreamResponse:
        """Last price."""
        return await self._map(request, "ltp-v2", _ltp_v2, limit=500, too_many="100042")

    async def ohlc_v2(self, request: web.Request) -> web.StreamResponse:
        """The day, or the last minute or half hour."""
        return await self._map(request, "ohlc-v2", self._ohlc_v2(request), limit=500, too_many="100042")

    async def full_v2(self, request: web.Request) -> web.StreamResponse:
        """Everything."""
        return await self._map(request, "quotes-v2", self._full, limit=500, too_many="100042")

    async def _map(
        self, request: web.Request, name: str, row: Callable[[Quote], Row], limit: int, too_many: str
    ) -> web.StreamResponse:
        def work() -> dict[str, Row]:
            world = self._service.world
            found = [world.quote(key) for key in _keys(request, limit, too_many)]
            if not any(quote is not None for quote in found):
                raise Refusal("1087", "None of the instrument keys is known", path="instrument_key")
            return {_map_key(quote): row(quote) for quote in found if quote is not None}

        return await self._service.market(request, name, work)

    def _greeks(self, quote: Quote) -> Row:
        g = self._service.world.greeks(quote.instrument)
        return {
            **_ltp(quote),
            "iv": g.iv,
            "vega": round(g.vega, 4),
            "gamma": round(g.gamma, 6),
            "theta": round(g.theta, 4),
            "delta": round(g.delta, 4),
            "oi": quote.oi,
        }

    def _ohlc_v3(self, request: web.Request) -> Callable[[Quote], Row]:
        def row(quote: Quote) -> Row:
            previous, live = self._pair(quote, request.query.get("interval", ""))
            return {
                "last_price": quote.ltp,
                "instrument_token": quote.instrument.upstox_key,
                "prev_ohlc": _candle(previous),
                "live_ohlc": _candle(live),
            }

        return row

    def _ohlc_v2(self, request: web.Request) -> Callable[[Quote], Row]:
        def row(quote: Quote) -> Row:
            interval = request.query.get("interval", "")
            previous, live = self._pair(quote, interval)
            shown = live if interval == "1d" else previous
            prices = {name: getattr(shown, name) for name in ("open", "high", "low", "close")} if shown else None
            return {"ohlc": prices, "last_price": quote.ltp, "instrument_token": quote.instrument.upstox_key}

        return row

    def _pair(self, quote: Quote, interval: str) -> tuple[OneMinute | None, OneMinute | None]:
        """The completed and the running candle of an interval; raises Refusal 1027, 1028."""
        if not interval:
            raise Refusal("1027", "Interval is required", path="interval")
        if interval == "1d":
            return None, _day(quote)
        if interval == "I1":
            quote.close_minute(self._service.clock.now_ns())
            return quote.previous, quote.forming
        if interval == "I30":
            return self._service.world.market.half_hours(quote)
        raise Refusal("1028", "Interval is invalid: 1d, I1 or I30", path="interval", value=interval)

    def _full(self, quote: Quote) -> Row:
        now, instrument = self._service.clock.now_ns(), quote.instrument
        depth = quote.depth()
        tick, index = instrument.tick_size, instrument.kind == "INDEX"
        return {
            "ohlc": {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.ltp},
            "depth": {
                "buy": [{"quantity": x.bid_quantity, "price": x.bid, "orders": _orders(x.bid_quantity)} for x in depth],
                "sell": [
                    {"quantity": x.ask_quantity, "price": x.ask, "orders": _orders(x.ask_quantity)} for x in depth
                ],
            },
            "timestamp": ist_text(now // _MS * _MS),
            "instrument_token": instrument.upstox_key,
            "symbol": short_symbol(instrument) if not index else "NA",
            "last_price": quote.ltp,
            "volume": quote.volume,
            "average_price": round(quote.average, 2),
            "oi": quote.oi,
            "net_change": round(quote.ltp - quote.previous_close, 2),
            "total_buy_quantity": sum(level.bid_quantity for level in depth),
            "total_sell_quantity": sum(level.ask_quantity for level in depth),
            "lower_circuit_limit": 0.0 if index else tick,
            "upper_circuit_limit": 0.0 if index else round(quote.previous_close * _CIRCUIT + 100.0, 2),
            "last_trade_time": str(quote.ltt // _MS),
            "oi_day_high": quote.oi_high,
            "oi_day_low": quote.oi_low,
        }


def _keys(request: web.Request, limit: int, too_many: str) -> list[str]:
    text = request.query.get("instrument_key") or request.query.get("symbol") or ""
    keys = [key for key in text.split(",") if key]
    if not keys:
        raise Refusal("1009", "Instrument key is required", path="instrument_key")
    if not all(_KEY.fullmatch(key) for key in keys):
        raise Refusal("1011", "Instrument key is of invalid format", path="instrument_key", value=text[:80])
    if len(keys) > limit:
        raise Refusal(too_many, f"At most {limit} instrument keys a call", path="instrument_key")
    return keys


def _map_key(quote: Quote) -> str:
    segment, _, name = quote.instrument.upstox_key.partition("|")
    return f"{segment}:{name if quote.instrument.kind == 'INDEX' else short_symbol(quote.instrument)}"


def _ltp(quote: Quote) -> Row:
    return {**_ltp_v2(quote), "ltq": quote.ltq, "volume": quote.volume, "cp": quote.previous_close}


def _ltp_v2(quote: Quote) -> Row:
    return {"last_price": quote.ltp, "instrument_token": quote.instrument.upstox_key}


def _day(quote: Quote) -> OneMinute | None:
    if not quote.open:
        return None
    day = midnight_ns(ist_date(quote.ltt))
    return OneMinute(day, quote.open, quote.high, quote.low, quote.ltp, quote.volume)


def _candle(one: OneMinute | None) -> Row | None:
    if one is None:
        return None
    prices = {"open": one.open, "high": one.high, "low": one.low, "close": one.close}
    return {**prices, "volume": one.volume, "ts": one.start // _MS}


def _more(quote: Quote, row: Row) -> Row:
    day = midnight_ns(ist_date(quote.ltt)) // _MS if quote.ltt >= SECOND_NS else 0
    return {
        **row,
        "ohlc": {**row["ohlc"], "volume": quote.volume, "ts": day},
        "prev_close_price": quote.previous_close,
        "year_high": None,
        "year_low": None,
        "previous_oi": quote.previous_oi,
        "indicative_equilibrium_price": 0.0,
        "reference_price": 0.0,
        "indicative_equilibrium_quantity": 0,
        "indicative_imbalance_quantity_total": 0,
        "indicative_imbalance_quantity_market": 0,
        "cas_eligible": False,
    }


def _orders(quantity: int) -> int:
    """How many orders a level seems to hold."""
    return quantity and 1 + quantity % 17
