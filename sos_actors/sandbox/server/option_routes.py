"""Routes of option contracts and of the option chain."""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiohttp import web

from sos_actors.market.ids import index_id
from sos_actors.market.instruments import INDEX_KEYS, Instrument
from sos_actors.sandbox.quote import Quote
from sos_actors.sandbox.server.instrument_routes import asked_expiry, asked_underlying, contract_row
from sos_actors.sandbox.server.service import Service


def add_routes(app: web.Application, service: Service) -> None:
    """Add both calls."""
    routes = OptionRoutes(service)
    app.router.add_get("/v2/option/contract", routes.contracts)
    app.router.add_get("/v2/option/chain", routes.chain)


class OptionRoutes:
    """Handlers of options."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def contracts(self, request: web.Request) -> web.StreamResponse:
        """Give the options of an underlying, of one expiry if asked."""

        def work() -> list[dict[str, Any]]:
            underlying = asked_underlying(request, self._service)
            table = self._service.world.market.table
            expiry = asked_expiry(request) if "expiry_date" in request.query else None
            days = (expiry,) if expiry is not None else table.expiries(underlying)
            return [contract_row(item) for day in days for item in table.options(underlying, day)]

        return await self._service.market(request, "option-contract", work)

    async def chain(self, request: web.Request) -> web.StreamResponse:
        """Give the chain of an expiry: a row a strike, volatilities in percent."""

        def work() -> list[dict[str, Any]]:
            underlying, expiry = asked_underlying(request, self._service), asked_expiry(request)
            table = self._service.world.market.table
            index = self._service.world.listed(INDEX_KEYS[underlying])
            assert index.instrument.id == index_id(underlying)
            pairs: dict[float, dict[str, Instrument]] = {}
            for item in table.options(underlying, expiry):
                if item.strike is not None and item.right is not None:
                    pairs.setdefault(item.strike, {})[item.right.value] = item
            return [self._row(expiry, strike, index, sides) for strike, sides in sorted(pairs.items())]

        return await self._service.market(request, "option-chain", work)

    def _row(self, expiry: dt.date, strike: float, index: Quote, sides: dict[str, Instrument]) -> dict[str, Any]:
        call, put = (self._service.world.listed(sides[right].upstox_key) for right in ("CE", "PE"))
        return {
            "expiry": expiry.isoformat(),
            "pcr": round(put.oi / call.oi, 4) if call.oi else 0.0,
            "strike_price": strike,
            "underlying_key": index.instrument.upstox_key,
            "underlying_spot_price": index.ltp,
            "call_options": self._side(call),
            "put_options": self._side(put),
        }

    def _side(self, quote: Quote) -> dict[str, Any]:
        best = next(iter(quote.depth()), None)
        greeks = self._service.world.greeks(quote.instrument)
        return {
            "instrument_key": quote.instrument.upstox_key,
            "market_data": {
                "ltp": quote.ltp,
                "volume": quote.volume,
                "oi": quote.oi,
                "close_price": quote.previous_close,
                "bid_price": quote.bid,
                "bid_qty": best.bid_quantity if best is not None else 0,
                "ask_price": quote.ask,
                "ask_qty": best.ask_quantity if best is not None else 0,
                "prev_oi": quote.previous_oi,
            },
            "option_greeks": {
                "vega": round(greeks.vega, 4),
                "theta": round(greeks.theta, 4),
                "gamma": round(greeks.gamma, 4),
                "delta": round(greeks.delta, 4),
                "iv": round(100.0 * greeks.iv, 2),
                "pop": round(100.0 * (1.0 - abs(greeks.delta)), 2) if greeks.iv else 0.0,
            },
        }
