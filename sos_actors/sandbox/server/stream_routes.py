"""Routes of the market feed and the portfolio stream: authorisation, redirect to a one-time address, sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from aiohttp import web

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.sandbox.exchange.answers import Refusal, page
from sos_actors.sandbox.exchange.gate import Token
from sos_actors.sandbox.server.feed_client import CONNECTIONS, CONNECTIONS_PLUS, FeedClient
from sos_actors.sandbox.server.outlet import Outlet
from sos_actors.sandbox.server.service import Service

MARKET, ORDERS = "/v3/feed/market-data-feed", "/v2/feed/portfolio-stream-feed"
_MARKET_SOCKET = "/market-data-feeder/v3/upstox-developer-api/feeds"
_ORDERS_SOCKET = "/upstox-developer-api/order-updates/feed"
_UPDATES = ("order", "position", "holding", "gtt_order")


def add_routes(app: web.Application, service: Service) -> None:
    """Add both streams, their REST twins and the sockets behind them."""
    routes = StreamRoutes(service)
    app.router.add_get(MARKET, routes.market_entry)
    app.router.add_get(f"{MARKET}/authorize", routes.market_authorize)
    app.router.add_get(ORDERS, routes.orders_entry)
    app.router.add_get(f"{ORDERS}/authorize", routes.orders_authorize)
    app.router.add_get(_MARKET_SOCKET, routes.market_socket)
    app.router.add_get(_ORDERS_SOCKET, routes.orders_socket)


class StreamRoutes:
    """Handlers of the streams."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def market_entry(self, request: web.Request) -> web.StreamResponse:
        """Answer the public address of the market feed: a redirect for who may come in."""
        return await self._entry(request, len(self._service.feed.clients), self._market_address)

    async def orders_entry(self, request: web.Request) -> web.StreamResponse:
        """Answer the public address of the portfolio stream."""
        return await self._entry(request, len(self._service.order_streams), self._orders_address)

    async def market_authorize(self, request: web.Request) -> web.StreamResponse:
        """Give the one-time address of the market feed."""
        return await self._authorize(request, "feed-authorize", self._market_address)

    async def orders_authorize(self, request: web.Request) -> web.StreamResponse:
        """Give the one-time address of the portfolio stream."""
        return await self._authorize(request, "orders-authorize", self._orders_address)

    async def market_socket(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection of the market feed."""
        service = self._service
        client = FeedClient(plus=service.settings.app.plus)

        async def serve(outlet: Outlet) -> None:
            service.feed.join(client, outlet, service.clock.now_ns())
            try:
                await outlet.read(lambda raw: service.feed.take(client, raw, service.clock.now_ns()))
            finally:
                service.feed.leave(client)

        return await self._socket(request, "feed", len(service.feed.clients), lambda _, outlet: serve(outlet))

    async def orders_socket(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection of the portfolio stream."""
        service = self._service

        async def serve(ticket: dict[str, str], outlet: Outlet) -> None:
            service.order_streams[outlet] = frozenset(ticket["updates"].split(","))
            try:
                await outlet.read(lambda _: None)
            finally:
                service.order_streams.pop(outlet, None)

        return await self._socket(request, "orders", len(service.order_streams), serve)

    async def _entry(
        self, request: web.Request, open_now: int, address: Callable[[web.Request], str]
    ) -> web.StreamResponse:
        service = self._service
        if service.token(request) is Token.NONE:
            return await service.give(request, Refusal("100050", status=401).answer())
        if service.world.dice.hit("refuse_stream") or open_now >= self._allowed():
            return await service.give(request, page(403, "403 Forbidden"))
        return web.Response(status=302, headers={"Location": address(request)})

    async def _authorize(
        self, request: web.Request, name: str, address: Callable[[web.Request], str]
    ) -> web.StreamResponse:
        def data() -> dict[str, str]:
            where = address(request)
            return {"authorized_redirect_uri": where, "authorizedRedirectUri": where}

        return await self._service.market(request, name, data)

    async def _socket(
        self,
        request: web.Request,
        kind: str,
        open_now: int,
        serve: Callable[[dict[str, str], Outlet], Awaitable[None]],
    ) -> web.StreamResponse:
        service = self._service
        ticket = service.use_code(request.query.get("code", ""))
        if ticket is None or ticket["kind"] != kind or open_now >= self._allowed():
            return await service.give(request, page(403, "403 Forbidden"))
        ws = web.WebSocketResponse(autoping=False, autoclose=True, compress=False, max_msg_size=4 << 20)
        await ws.prepare(request)
        outlet = Outlet(request, ws, int(service.settings.slow_client_mb * 1e6), asyncio.get_running_loop().time)
        writer = asyncio.get_running_loop().create_task(outlet.run())
        if service.world.dice.hit("open_then_die"):
            outlet.snap()
        try:
            await serve(ticket, outlet)
        finally:
            service.cut_off += outlet.cut_off
            writer.cancel()
        return ws

    def _allowed(self) -> int:
        return CONNECTIONS_PLUS if self._service.settings.app.plus else CONNECTIONS

    def _market_address(self, request: web.Request) -> str:
        return self._address(request, _MARKET_SOCKET, kind="feed")

    def _orders_address(self, request: web.Request) -> str:
        wanted = [name for name in request.query.get("update_types", "order").split(",") if name in _UPDATES]
        return self._address(request, _ORDERS_SOCKET, kind="orders", updates=",".join(wanted))

    def _address(self, request: web.Request, path: str, **what: str) -> str:
        code = self._service.new_code(**what)
        query = urlencode({"requestId": self._service.new_code(kind="none"), "code": code})
        scheme = "wss" if request.secure else "ws"
        return f"{scheme}://{request.host}{path}?{query}"


def strike_streams(service: Service) -> None:
    """Let the faults of open streams strike; called ten times a real second."""
    dice, now = service.world.dice, service.clock.now_ns()
    feeds, orders = list(service.feed.clients.values()), list(service.order_streams)
    if feeds and dice.hit("feed_stale"):
        service.feed.stale_until = now + int(dice.menu.feed_stale_s * SECOND_NS)
    for name, outlets, seconds in (
        ("feed", feeds, dice.menu.feed_silence_s),
        ("orders", orders, dice.menu.orders_silence_s),
    ):
        for outlet in outlets:
            if dice.hit(f"{name}_close"):
                service.later(outlet.close(1000))
            if dice.hit(f"{name}_break"):
                outlet.snap()
            if dice.hit(f"{name}_silence"):
                service.later(_silence(outlet, service.clock.real_seconds(int(seconds * SECOND_NS))))


async def _silence(outlet: Outlet, seconds: float) -> None:
    outlet.silent = True
    await asyncio.sleep(seconds)
    outlet.silent = False
