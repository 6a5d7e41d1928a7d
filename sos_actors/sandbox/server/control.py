"""Routes under /sandbox/: the clock, the faults, and the exchange's own books, which tests judge by. No login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from sos_actors.decoding import from_json
from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_text
from sos_actors.sandbox.exchange.answers import Answer, Refusal, success
from sos_actors.sandbox.server.auth import death_of
from sos_actors.sandbox.server.clock import parse_instant
from sos_actors.sandbox.server.fault_requests import read_requests
from sos_actors.sandbox.server.service import Service


def add_routes(app: web.Application, service: Service) -> None:
    """Add the control side."""
    control = Control(service)
    add = app.router.add_route
    add("GET", "/sandbox/state", control.guarded(control.state))
    add("GET", "/sandbox/books", control.guarded(control.books))
    add("GET", "/sandbox/faults", control.guarded(control.faults))
    add("POST", "/sandbox/faults", control.guarded(control.set_faults))
    add("POST", "/sandbox/clock", control.guarded(control.set_clock))
    add("POST", "/sandbox/token", control.guarded(control.token))
    add("POST", "/sandbox/market/{key}", control.guarded(control.market))


class Control:
    """Handlers of the control side."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def guarded(
        self, work: Callable[[web.Request], Awaitable[Answer]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Turn what a user did wrong into one clear line."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                answer = await work(request)
            except (InputError, msgspec.DecodeError) as error:
                answer = Answer(status=400, body={"status": "error", "errors": [{"message": str(error)}]})
            except Refusal as refusal:
                answer = refusal.answer()
            return await self._service.give(request, answer)

        return handle

    async def state(self, _: web.Request) -> Answer:
        """Show clock, market and streams."""
        service, now = self._service, self._service.clock.now_ns()
        feed = service.feed
        return success(
            {
                "now": ist_text(now),
                "now_ns": now,
                "speed": service.clock.speed,
                "day": service.world.market.tape.day.isoformat(),
                "seed": service.settings.seed,
                "instruments": len(service.world.market.table),
                "quotes": len(service.world.market.quotes),
                "ticks": feed.ticks,
                "requests": service.requests,
                "feeds": [
                    {"keys": len(client.modes), "sent": outlet.sent, "behind": outlet.behind, "ignored": client.ignored}
                    for client, outlet in feed.clients.items()
                ],
                "order_streams": [
                    {"updates": sorted(kinds), "sent": outlet.sent, "behind": outlet.behind}
                    for outlet, kinds in service.order_streams.items()
                ],
                "cut_off": service.cut_off,
                "notifications": {"sent": service.notifications_sent, "lost": service.notifications_lost},
            }
        )

    async def books(self, _: web.Request) -> Answer:
        """Show the exchange's own books: orders by tag, positions, executions, cash, and what an audit finds."""
        service = self._service
        service.pump()
        books = service.world.exchange.books
        found = {
            "orders": {tag: list(rows) for tag, rows in books.orders_by_tag().items()},
            "live": books.live_by_tag(),
            "positions": books.net(),
            "executions": list(books.executions()),
            "cash_paise": books.cash,
            "charges_paise": books.charges,
            "audit": list(books.audit()),
        }
        return success(msgspec.to_builtins(found))

    async def faults(self, _: web.Request) -> Answer:
        """Show both menus and what has struck."""
        dice, feed = self._service.world.exchange.faults, self._service.world.dice
        return success(
            {
                "menu": {**msgspec.to_builtins(dice.menu), **msgspec.to_builtins(feed.menu)},
                "struck": {**dice.struck, **feed.struck},
                "waiting": [msgspec.to_builtins(one) for _, one in self._service.planned],
            }
        )

    async def set_faults(self, request: web.Request) -> Answer:
        """Change the menus, now or later."""
        for one in read_requests(await request.read()):
            self._service.plan(one)
        return await self.faults(request)

    async def set_clock(self, request: web.Request) -> Answer:
        """Change the speed, or jump forward."""
        wanted = from_json(await request.read() or b"{}", _ClockRequest)
        if wanted.speed is not None:
            self._service.clock.set_speed(wanted.speed)
        if wanted.now:
            self._service.jump(parse_instant(wanted.now))
        return await self.state(request)

    async def token(self, _: web.Request) -> Answer:
        """Give a fresh access token without a login."""
        now = self._service.clock.now_ns()
        token, expiry = self._service.world.tokens.issue(now), death_of(now)
        return success({"access_token": token, "expires_at": str(expiry // 1_000_000)})

    async def market(self, request: web.Request) -> Answer:
        """Show the quote of an instrument as the market itself has it."""
        quote = self._service.world.listed(request.match_info["key"])
        names = ("ltp", "ltq", "ltt", "volume", "oi", "bid", "ask", "open", "high", "low", "version")
        return success({name: getattr(quote, name) for name in names})


class _ClockRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    speed: float | None = None
    now: str = ""
