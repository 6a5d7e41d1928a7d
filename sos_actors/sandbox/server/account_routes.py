"""Routes of orders, positions, funds and the account: each hands on to the exchange."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from sos_actors.sandbox.exchange.answers import Answer
from sos_actors.sandbox.exchange.exchange import Exchange
from sos_actors.sandbox.exchange.gate import Caller
from sos_actors.sandbox.server.service import Service

#: What a route asks of the exchange: the exchange, the moment, the caller, the query, the JSON body.
Ask = Callable[[Exchange, int, Caller, Any, object], Answer]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ROUTES: tuple[tuple[str, str, Ask], ...] = (
    ("POST", "/v3/order/place", lambda x, now, who, _, body: x.place(body, now, who)),
    ("POST", "/v2/order/place", lambda x, now, who, _, body: x.place(body, now, who, version=2)),
    ("PUT", "/v3/order/modify", lambda x, now, who, _, body: x.modify(body, now, who)),
    ("PUT", "/v2/order/modify", lambda x, now, who, _, body: x.modify(body, now, who)),
    ("DELETE", "/v3/order/cancel", lambda x, now, who, q, _: x.cancel(q.get("order_id"), now, who)),
    ("DELETE", "/v2/order/cancel", lambda x, now, who, q, _: x.cancel(q.get("order_id"), now, who)),
    ("POST", "/v2/order/multi/place", lambda x, now, who, _, body: x.place_multi(body, now, who)),
    ("DELETE", "/v2/order/multi/cancel", lambda x, now, who, q, _: x.cancel_multi(now, who, **_narrow(q))),
    ("POST", "/v2/order/positions/exit", lambda x, now, who, q, _: x.exit_positions(now, who, **_narrow(q))),
    ("POST", "/v3/order/gtt/place", lambda x, now, who, _, body: x.gtt_place(body, now, who)),
    ("PUT", "/v3/order/gtt/modify", lambda x, now, who, _, body: x.gtt_modify(body, now, who)),
    ("DELETE", "/v3/order/gtt/cancel", lambda x, now, who, _, body: x.gtt_cancel(body, now, who)),
    ("GET", "/v3/order/gtt", lambda x, now, who, q, _: x.gtt_list(now, who, gtt_order_id=q.get("gtt_order_id"))),
    ("GET", "/v2/order/retrieve-all", lambda x, now, who, *_: x.order_book(now, who)),
    ("GET", "/v2/order/details", lambda x, now, who, q, _: x.order_details(q.get("order_id"), now, who)),
    (
        "GET",
        "/v2/order/history",
        lambda x, now, who, q, _: x.order_history(now, who, order_id=q.get("order_id"), tag=q.get("tag")),
    ),
    ("GET", "/v2/order/trades/get-trades-for-day", lambda x, now, who, *_: x.trades(now, who)),
    ("GET", "/v2/order/trades", lambda x, now, who, q, _: x.order_trades(q.get("order_id"), now, who)),
    ("GET", "/v2/portfolio/short-term-positions", lambda x, now, who, *_: x.positions(now, who)),
    ("GET", "/v2/portfolio/long-term-holdings", lambda x, now, who, *_: x.holdings(now, who)),
    (
        "GET",
        "/v2/user/get-funds-and-margin",
        lambda x, now, who, q, _: x.funds(now, who, segment=q.get("segment")),
    ),
    ("GET", "/v3/user/get-funds-and-margin", lambda x, now, who, *_: x.funds(now, who, version=3)),
    ("POST", "/v2/charges/margin", lambda x, now, who, _, body: x.margin(body, now, who)),
    ("GET", "/v2/charges/brokerage", lambda x, now, who, q, _: x.brokerage(q, now, who)),
    ("GET", "/v2/user/profile", lambda x, now, who, *_: x.profile(now, who)),
    ("GET", "/v2/user/kill-switch", lambda x, now, who, *_: x.kill_switch(now, who)),
    ("POST", "/v2/user/kill-switch", lambda x, now, who, _, body: x.set_kill_switch(body, now, who)),
    ("GET", "/v2/user/ip", lambda x, now, who, *_: x.static_ip(now, who)),
    ("PUT", "/v2/user/ip", lambda x, now, who, _, body: x.set_static_ip(body, now, who)),
)


def add_routes(app: web.Application, service: Service) -> None:
    """Add every call of the account."""
    for method, path, ask in ROUTES:
        app.router.add_route(method, path, _handler(service, ask))


def _handler(service: Service, ask: Ask) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await service.body(request)
        _price(service, body)
        answer = ask(service.world.exchange, service.clock.now_ns(), service.caller(request), request.query, body)
        return await service.give(request, answer)

    return handle


def _price(service: Service, body: object) -> None:
    """Let the market of whatever a body names be kept up, so that the exchange has a price for it."""
    rows: list[Any] = body if isinstance(body, list) else [body]
    for row in rows:
        if isinstance(row, dict):
            _price(service, row.get("instruments") or [])
            key = row.get("instrument_token") or row.get("instrument_key")
            if isinstance(key, str):
                service.world.quote(key)


def _narrow(query: Any) -> dict[str, str | None]:
    return {"tag": query.get("tag"), "segment": query.get("segment")}
