"""Routes of the login: the dialogue, the exchange of its code, the semi-automatic request, logout."""

from __future__ import annotations

import asyncio
import html
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from sos_actors.sandbox.exchange.answers import Answer, Refusal, success
from sos_actors.sandbox.exchange.gate import Token
from sos_actors.sandbox.server.auth import death_of
from sos_actors.sandbox.server.service import Service

_MS = 1_000_000
_DIALOG = "/v2/login/authorization/dialog"
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Sandbox login</title></head>
<body style="font-family: sans-serif; max-width: 32em; margin: 4em auto">
<h1>Local exchange</h1>
<p>The app <b>{client}</b> asks to trade for <b>{user}</b>. Nothing here is real.</p>
<p><a href="{target}" id="allow">Allow and go back to {redirect}</a></p>
</body></html>
"""


def add_routes(app: web.Application, service: Service) -> None:
    """Add every call of the login."""
    routes = LoginRoutes(service)
    app.router.add_get(_DIALOG, routes.dialog)
    app.router.add_post("/v2/login/authorization/token", routes.token)
    app.router.add_post("/v3/login/auth/token/request/{client_id}", routes.request)
    app.router.add_delete("/v2/logout", routes.logout)


class LoginRoutes:
    """Handlers of the login."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def dialog(self, request: web.Request) -> web.StreamResponse:
        """Show a page whose one link goes back with a code; `auto=1` goes back at once."""
        query, service = request.query, self._service
        redirect, client = query.get("redirect_uri", ""), query.get("client_id", "")
        try:
            if query.get("response_type") != "code":
                raise Refusal("100036", "response_type must be code", path="response_type")
            answer = {"code": service.world.tokens.code(client, redirect)}
        except Refusal as refusal:
            return await service.give(request, refusal.answer())
        if "state" in query:
            answer["state"] = query["state"]
        target = f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(answer)}"
        if query.get("auto") == "1":
            return web.Response(status=302, headers={"Location": target})
        user = service.settings.exchange.account.user_id
        shown = {"client": client, "user": user, "target": target, "redirect": redirect}
        return web.Response(
            text=_PAGE.format(**{name: html.escape(text) for name, text in shown.items()}), content_type="text/html"
        )

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Give a token for a code, without the usual envelope."""
        service = self._service
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            token = service.world.tokens.exchange(form, service.clock.now_ns())
        except Refusal as refusal:
            return await service.give(request, refusal.answer())
        account = service.settings.exchange.account
        body = {
            "email": account.email,
            "exchanges": ["NSE", "NFO", "BSE", "BFO"],
            "products": ["D", "I"],
            "broker": "UPSTOX",
            "user_id": account.user_id,
            "user_name": account.user_name,
            "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
            "user_type": "individual",
            "poa": False,
            "is_active": True,
            "access_token": token,
            "extended_token": None,
        }
        return await service.give(request, Answer(body=body))

    async def request(self, request: web.Request) -> web.StreamResponse:
        """Take a semi-automatic request: after the approval the token is posted to the app's notifier."""
        service, app = self._service, self._service.settings.app
        body = await service.body(request)
        secret = body.get("client_secret") if isinstance(body, dict) else None
        try:
            service.world.tokens.check_app(request.match_info["client_id"], str(secret or ""))
            if not app.notifier_url:
                raise Refusal("1123", "No notifier address is configured for this app")
        except Refusal as refusal:
            return await service.give(request, refusal.answer())
        service.later(self._approve())
        expiry = death_of(service.clock.now_ns()) // _MS
        data = {"authorization_expiry": str(expiry), "notifier_url": app.notifier_url}
        return await service.give(request, success(data))

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """Let the bearer's token be dead."""
        service = self._service
        if service.token(request) is Token.NONE:
            return await service.give(request, Refusal("100050", status=401).answer())
        service.world.tokens.revoke(request.headers["Authorization"])
        return await service.give(request, success(True))

    async def _approve(self) -> None:
        """Post the token as the broker does: no signature, and no second try when nobody answers."""
        service, app = self._service, self._service.settings.app
        await asyncio.sleep(app.approval_s)
        now = service.clock.now_ns()
        body = {
            "client_id": app.client_id,
            "user_id": service.settings.exchange.account.user_id,
            "access_token": service.world.tokens.issue(now),
            "token_type": "Bearer",
            "expires_at": str(death_of(now) // _MS),
            "issued_at": str(now // _MS),
            "message_type": "access_token",
        }
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
                await session.post(app.notifier_url, json=body)
        except (aiohttp.ClientError, TimeoutError):
            service.notifications_lost += 1
        else:
            service.notifications_sent += 1
