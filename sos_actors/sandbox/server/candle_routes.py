"""Routes of historical, intraday and expired candles, and of contracts that have expired."""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiohttp import web

from sos_actors.market.clocktime import ist_date
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.listing import future_instrument, option_instruments
from sos_actors.sandbox.server import candles
from sos_actors.sandbox.server.instrument_routes import asked_expiry, asked_underlying, contract_row
from sos_actors.sandbox.server.service import Service

_HALF_YEAR = dt.timedelta(days=183)
_ONE_DAY = dt.timedelta(days=1)


def add_routes(app: web.Application, service: Service) -> None:
    """Add V3, V2 and expired candles."""
    routes = CandleRoutes(service)
    add = app.router.add_get
    add("/v3/historical-candle/intraday/{key}/{unit}/{interval}", routes.intraday_v3)
    add("/v3/historical-candle/{key}/{unit}/{interval}/{to}", routes.history_v3)
    add("/v3/historical-candle/{key}/{unit}/{interval}/{to}/{from}", routes.history_v3)
    add("/v2/historical-candle/intraday/{key}/{interval}", routes.intraday_v2)
    add("/v2/historical-candle/{key}/{interval}/{to}", routes.history_v2)
    add("/v2/historical-candle/{key}/{interval}/{to}/{from}", routes.history_v2)
    add("/v2/expired-instruments/expiries", routes.expiries)
    add("/v2/expired-instruments/option/contract", routes.expired_options)
    add("/v2/expired-instruments/future/contract", routes.expired_futures)
    add("/v2/expired-instruments/historical-candle/{key}/{interval}/{to}/{from}", routes.expired_candles)


class CandleRoutes:
    """Handlers of candles. Those of listed instruments take no token, as the SDK sends none."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def history_v3(self, request: web.Request) -> web.StreamResponse:
        """Give past days' candles of any unit and interval."""
        path = request.match_info
        return await self._history(request, lambda: candles.parse_v3(path["unit"], path["interval"]))

    async def history_v2(self, request: web.Request) -> web.StreamResponse:
        """Give past days' candles of V2's intervals."""
        return await self._history(request, lambda: _named(request.match_info["interval"], candles.V2_INTERVALS))

    async def intraday_v3(self, request: web.Request) -> web.StreamResponse:
        """Give today's candles of any interval of minutes, hours or the day."""
        path = request.match_info
        return await self._intraday(request, lambda: candles.parse_v3(path["unit"], path["interval"]))

    async def intraday_v2(self, request: web.Request) -> web.StreamResponse:
        """Give today's candles of one or thirty minutes."""
        short = {name: candles.V2_INTERVALS[name] for name in ("1minute", "30minute")}
        return await self._intraday(request, lambda: _named(request.match_info["interval"], short))

    async def expired_candles(self, request: web.Request) -> web.StreamResponse:
        """Give candles of a contract that has expired."""
        path, service = request.match_info, self._service

        def work() -> dict[str, Any]:
            self._check_plus()
            unit, interval = _named(path["interval"], candles.EXPIRED_INTERVALS)
            last, first = candles.parse_day(path["to"], "to_date"), candles.parse_day(path["from"], "from_date")
            first = candles.check_range(unit, interval, first, last)
            instrument = candles.find_expired(path["key"], service.world.days)
            return {"candles": service.candles.expired(instrument, unit, interval, first, last)}

        return await service.slow(request, "expired-candles", work)

    async def expiries(self, request: web.Request) -> web.StreamResponse:
        """Give expiries of the last half year, ascending."""

        def work() -> list[str]:
            self._check_plus()
            underlying = self._underlying(request)
            return [day.isoformat() for day in self._past_expiries(underlying)]

        return await self._service.slow(request, "expired-expiries", work)

    async def expired_options(self, request: web.Request) -> web.StreamResponse:
        """Give calls and puts of an expiry that is past, by the keys they have now."""

        def work() -> list[dict[str, Any]]:
            underlying, expiry = self._underlying(request), self._expiry(request)
            tape = self._service.history_tape(expiry)
            strikes = tape.strikes(underlying, expiry).tolist()
            rows = option_instruments(underlying, expiry, strikes, expiry, self._service.world.days.schedule)
            return [contract_row(item, key=_expired_key(item.upstox_key, expiry)) for item in rows]

        return await self._service.slow(request, "expired-options", work)

    async def expired_futures(self, request: web.Request) -> web.StreamResponse:
        """Give the future of an expiry that is past; none where only options expired."""

        def work() -> list[dict[str, Any]]:
            underlying, expiry = self._underlying(request), self._expiry(request)
            if self._service.history_tape(expiry).future_expiry(underlying) != expiry:
                return []
            item = future_instrument(underlying, expiry, expiry, self._service.world.days.schedule)
            return [contract_row(item, key=_expired_key(item.upstox_key, expiry))]

        return await self._service.slow(request, "expired-futures", work)

    async def _history(self, request: web.Request, parse: Any) -> web.StreamResponse:
        path, service = request.match_info, self._service
        table, today = service.world.market.table, ist_date(service.clock.now_ns())

        def work() -> dict[str, Any]:
            instrument = candles.find_instrument(path["key"], table)
            unit, interval = parse()
            last = candles.parse_day(path["to"], "to_date")
            first = candles.parse_day(path["from"], "from_date") if "from" in path else None
            first = candles.check_range(unit, interval, first, last)
            return {"candles": service.candles.history(instrument, unit, interval, first, last, today)}

        return await service.slow(request, "history", work, open_to_all=True)

    async def _intraday(self, request: web.Request, parse: Any) -> web.StreamResponse:
        path, service = request.match_info, self._service
        table, now = service.world.market.table, service.clock.now_ns()

        def work() -> dict[str, Any]:
            instrument = candles.find_instrument(path["key"], table)
            unit, interval = parse()
            if unit not in {"minutes", "hours", "days"}:
                raise Refusal("1146", "Unit is invalid: minutes, hours or days", path="unit", value=unit)
            return {"candles": service.candles.intraday(instrument, unit, interval, now)}

        return await service.slow(request, "intraday", work, open_to_all=True)

    def _check_plus(self) -> None:
        if not self._service.settings.app.plus:
            raise Refusal("1149", "This API is for users of the Plus plan only", status=403)

    def _underlying(self, request: web.Request) -> str:
        self._check_plus()
        return asked_underlying(request, self._service)

    def _expiry(self, request: web.Request) -> dt.date:
        expiry = asked_expiry(request)
        if expiry not in self._past_expiries(self._underlying(request)):
            raise Refusal(
                "1088",
                "Nothing expired that day in the last six months",
                path="expiry_date",
                value=request.query["expiry_date"],
            )
        return expiry

    def _past_expiries(self, underlying: str) -> tuple[dt.date, ...]:
        today = ist_date(self._service.clock.now_ns())
        return self._service.world.days.expiries(underlying, today - _HALF_YEAR, today - _ONE_DAY)


def _named(name: str, table: dict[str, tuple[str, int]]) -> tuple[str, int]:
    found = table.get(name)
    if found is None:
        raise Refusal("1020", f"Interval is invalid: {', '.join(table)}", path="interval", value=name)
    return found


def _expired_key(key: str, expiry: dt.date) -> str:
    return f"{key}|{expiry:%d-%m-%Y}"
