"""What holds for every request (host, origin, rate, token) and every answer (headers that keep pages to themselves)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware
from loguru import logger

from sos_actors.errors import InputError, SosError
from sos_actors.web.access import Hosts, Limits, same
from sos_actors.web.schema import Fault
from sos_actors.web.settings import WebSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
API = "/api/v1"
#: Header a control request must carry: no form and no plain link of another page can.
CONTROL_HEADER = "X-SOS-Control"
#: Subprotocols of the stream: ours, and the one that carries the token, as a browser can set no other header there.
PROTOCOL, TOKEN_PROTOCOL = "sos.v1", "sos.token."
#: The two inline sheets of the chart library, by their hashes: an empty one it fills by script, and that of its maps,
#: which no page uses. A version of it with other sheets works without them.
_SHEETS = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
#: Nothing from elsewhere, nothing inline but style attributes, which the chart library writes into its drawings; it
#: makes heat maps into pictures itself (data:).
POLICY = (
    f"default-src 'self'; style-src 'self' {_SHEETS}; style-src-attr 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def answer(value: object, status: int = 200) -> web.Response:
    """Give plain data or Structs as JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )  # fmt: skip


class Guard:
    """The middleware."""

    def __init__(self, settings: WebSettings, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._token, self._clock = settings, token, clock
        self._hosts = Hosts(settings)
        self._reads = Limits(settings.reads_per_s, settings.reads_per_s * 5)
        self._orders = Limits(settings.orders_per_min / 60, settings.orders_per_min)
        #: What comes without the token is counted apart, as is reading: neither may use up the operator's orders,
        #: though all of it comes from one address, as behind a proxy.
        self._wrong = Limits(settings.orders_per_min / 60, settings.orders_per_min)

    @property
    def token_needed(self) -> bool:
        """Say whether reading, too, demands the token."""
        return not self._settings.local

    def middleware(self) -> Middleware:
        """Give what aiohttp calls."""

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            refusal = self._refusal(request)
            response = await self._answered(request, handler) if refusal is None else refusal
            if not response.prepared:
                response.headers.update(HEADERS)
            return response

        return guarded

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return answer(Fault(error=error.reason), error.status)
        except InputError as error:
            return answer(Fault(error=str(error)), 400)
        except SosError as error:  # the daemon, too, says of what it is asked that it is wrong
            wrong = error.exit_status == InputError.exit_status
            return answer(Fault(error=str(error)), 400 if wrong else 503)
        except Exception:  # noqa: BLE001 - a fault of ours must neither end the server nor show its inside
            logger.exception("web: {} {}", request.method, request.path)
            return answer(Fault(error="a fault of the program; its log says which"), 500)

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Say why a request is not let in; None when it is."""
        if not self._hosts.good(request.host):
            return answer(Fault(error="this server does not go by that name: add it to web.names"), 421)
        api = request.path.startswith(API)
        if not api or request.path == f"{API}/health":
            return None
        now, address = self._clock(), request.remote or ""
        stream = request.path == f"{API}/stream"
        control = request.method not in {"GET", "HEAD"}
        if not control and not self._reads.take(address, now):
            return answer(Fault(error="too many requests; slow down"), 429)
        if (stream or control) and not self._hosts.same_page(request.headers.get("Origin"), request.host):
            return answer(Fault(error="asked for by a page of another origin"), 403)
        return self._control_refusal(request, address, now) if control else self._read_refusal(request, address, now)

    def _read_refusal(self, request: web.Request, address: str, now: float) -> web.Response | None:
        if not self.token_needed or self._knows(request):
            return None
        if not self._wrong.take(address, now):
            return answer(Fault(error="too many wrong tokens; wait a minute"), 429)
        return answer(Fault(error="the token is needed: it stands in <home>/tokens/web"), 401)

    def _control_refusal(self, request: web.Request, address: str, now: float) -> web.Response | None:
        known = self._knows(request)
        if not (self._orders if known else self._wrong).take(address, now):
            return answer(Fault(error=f"too many {'orders' if known else 'wrong tokens'}; wait a minute"), 429)
        if request.headers.get(CONTROL_HEADER) != "1":
            return answer(Fault(error=f"orders carry the header {CONTROL_HEADER}: 1"), 403)
        if not known:
            return answer(Fault(error="orders need the token: it stands in <home>/tokens/web"), 401)
        return None

    def _knows(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        if given.startswith("Bearer "):
            return same(given[7:].strip(), self._token)
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        words = [word.strip() for word in offered.split(",")]
        return any(same(word.removeprefix(TOKEN_PROTOCOL), self._token) for word in words if TOKEN_PROTOCOL in word)
