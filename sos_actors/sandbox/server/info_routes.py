"""Routes of the exchanges' status, timings and holidays."""

from __future__ import annotations

import datetime as dt
from typing import Any

from aiohttp import web

from sos_actors.errors import InputError
from sos_actors.market.calendar import TradingCalendar
from sos_actors.market.clocktime import ist_date
from sos_actors.market.tables import HOLIDAYS, SPECIAL_SESSIONS
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.server.service import Service
from sos_actors.sandbox.server.sessions import REST_CLOSED, REST_EXCHANGES, rest_status, timings

_MS = 1_000_000


def add_routes(app: web.Application, service: Service) -> None:
    """Add the four calls."""
    routes = InfoRoutes(service)
    app.router.add_get("/v2/market/status/{exchange}", routes.status)
    app.router.add_get("/v2/market/timings/{date}", routes.timings)
    app.router.add_get("/v2/market/holidays", routes.holidays)
    app.router.add_get("/v2/market/holidays/{date}", routes.holidays)


class InfoRoutes:
    """Handlers of the market's hours. Timings and holidays take no token, as the SDK sends none."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def _calendar(self) -> TradingCalendar:
        return self._service.world.days.schedule.calendar

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Say what an exchange is doing."""
        name = request.match_info["exchange"].upper()

        def work() -> dict[str, Any]:
            found = rest_status(self._calendar, name, self._service.clock.now_ns())
            if found is None:
                raise Refusal("1089", "Exchange is invalid", path="exchange", value=name)
            return {"exchange": name, "status": found[0], "last_updated": found[1] // _MS}

        return await self._service.market(request, "market-status", work)

    async def timings(self, request: web.Request) -> web.StreamResponse:
        """Give the sessions of a day."""

        def work() -> list[dict[str, object]]:
            return timings(self._calendar, _date(request))

        return await self._service.market(request, "timings", work, open_to_all=True)

    async def holidays(self, request: web.Request) -> web.StreamResponse:
        """Give the holidays and special sessions of this year, or what a day is."""

        def work() -> list[dict[str, Any]]:
            if "date" in request.match_info:
                day = _date(request)
                return [row for row in self._rows(day.year) if row["date"] == day.isoformat()]
            return self._rows(ist_date(self._service.clock.now_ns()).year)

        return await self._service.market(request, "holidays", work, open_to_all=True)

    def _rows(self, year: int) -> list[dict[str, Any]]:
        special = {day for day in SPECIAL_SESSIONS if day.year == year}
        return [self._row(day) for day in sorted({*HOLIDAYS.get(year, ()), *special})]

    def _row(self, day: dt.date) -> dict[str, Any]:
        opened = timings(self._calendar, day)
        names = {str(row["exchange"]) for row in opened}
        return {
            "date": day.isoformat(),
            "description": "Special session" if opened else "Exchange holiday",
            "holiday_type": "SPECIAL_TIMING" if opened else "TRADING_HOLIDAY",
            "closed_exchanges": [name for name in (*REST_EXCHANGES, *REST_CLOSED) if name not in names],
            "open_exchanges": opened,
        }


def _date(request: web.Request) -> dt.date:
    text = request.match_info["date"]
    try:
        found = dt.date.fromisoformat(text)
        if not 2000 <= found.year <= 2100:
            raise InputError("the calendar of that year is not known")
    except (ValueError, InputError):
        raise Refusal("1088", "date must be a date, YYYY-MM-DD", path="date", value=text) from None
    return found
