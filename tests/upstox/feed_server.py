"""A small market feed on a loopback port: the real handshake (302 to a one-time code), frames by the SDK's protobuf.

Its faults are attributes that a test sets; what clients did is recorded in attributes that a test reads.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web
from upstox_client.feeder.proto.MarketDataFeedV3_pb2 import FeedResponse, MarketStatus, Type

CERTIFICATE = Path(__file__).with_name("loopback_certificate.pem")


def wait_for(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Wait until a condition holds; gives its value. Generous, because the machine may be slow."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"not within {timeout} s: {condition}")


class FeedServer:
    """Serves both stream paths on a port of its own, in a thread. Use as a context manager."""

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        self.tokens = {"good"}
        self.forbid = False
        self.ping_every: float | None = None
        self.answers_pings = self.greets = True
        self.drop_at_open: int | None = None
        self.swallow_subs = 0
        self.deaf_keys: set[str] = set()
        self.index_price = 100.0
        self.trade_ms = 1_795_000_000_000
        self.handshakes: list[tuple[float, str, int]] = []
        self.most_open = 0
        self.requests: list[dict[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.queries: list[str] = []
        self.agents: list[str] = []
        self._codes: set[str] = set()
        self._count = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    # -- life --------------------------------------------------------------------------------------------------

    def __enter__(self) -> FeedServer:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self) -> None:
        app = web.Application()
        for path in ("/v3/feed/market-data-feed", "/v2/feed/portfolio-stream-feed"):
            app.router.add_get(path, self._front)
        app.router.add_get("/feeds", self._socket)
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
        self._runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.base = self.onward = f"{'wss' if self.tls else 'ws'}://localhost:{self.port}"

    # -- handshake ---------------------------------------------------------------------------------------------

    async def _front(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        status = 403 if self.forbid else 302 if token in self.tokens else 401
        self.handshakes.append((time.monotonic(), token, status))
        if status != 302:
            return web.Response(status=status, text="<html>no</html>")
        self._count += 1
        code = f"code-{self._count}"
        self._codes.add(code)
        self.agents.append(request.headers.get("User-Agent", ""))
        self.queries.append(request.rel_url.raw_query_string)
        return web.Response(status=302, headers={"Location": f"{self.onward}/feeds?requestId=r&code={code}"})

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        code = request.query.get("code", "")
        if code not in self._codes:
            return web.Response(status=401)
        self._codes.discard(code)
        socket = web.WebSocketResponse(autoping=self.answers_pings)
        await socket.prepare(request)
        self.sockets.append(socket)
        self.most_open = max(self.most_open, len(self.open))
        if self.drop_at_open is not None:
            await self._end(socket, self.drop_at_open)
            return socket
        pings = asyncio.ensure_future(self._ping(socket))
        if self.greets:
            await socket.send_bytes(market_info({"NSE_FO": "NORMAL_OPEN", "NSE_INDEX": "NORMAL_OPEN"}))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await self._take(socket, json.loads(message.data))
        finally:
            pings.cancel()
        return socket

    async def _ping(self, socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            await asyncio.sleep(self.ping_every or 0.02)
            if self.ping_every is not None:
                await socket.ping()

    async def _take(self, socket: web.WebSocketResponse, request: dict[str, Any]) -> None:
        self.requests.append(request)
        if request["method"] != "sub":
            return
        if self.swallow_subs:
            self.swallow_subs -= 1
            return
        keys = [key for key in request["data"]["instrumentKeys"] if key not in self.deaf_keys]
        await socket.send_bytes(snapshot([k for k in keys if "INDEX" in k], self.index_price, self.trade_ms))
        await socket.send_bytes(snapshot([k for k in keys if "INDEX" not in k], 100.0, self.trade_ms))

    async def _end(self, socket: web.WebSocketResponse, code: int) -> None:
        """Close with a code; 0: cut the TCP connection without a word."""
        if code:
            await socket.close(code=code)
        else:
            socket._req.transport.abort()

    # -- what a test does --------------------------------------------------------------------------------------

    @property
    def open(self) -> list[web.WebSocketResponse]:
        """Sockets that are open now."""
        return [s for s in self.sockets if not s.closed and s._req.transport is not None]

    def send(self, data: bytes | str) -> None:
        """Send a frame to every open socket; the client may know of one before this side does."""
        for socket in wait_for(lambda: self.open):
            sending = socket.send_bytes(data) if isinstance(data, bytes) else socket.send_str(data)
            asyncio.run_coroutine_threadsafe(sending, self._loop).result(20)

    def drop(self, code: int = 0) -> None:
        """Drop every open socket; the client may know of one before this side does."""
        for socket in wait_for(lambda: self.open):
            asyncio.run_coroutine_threadsafe(self._end(socket, code), self._loop).result(20)

    def asked(self, method: str = "sub") -> list[str]:
        """Keys of all requests of a method so far, in order."""
        return [key for r in self.requests if r["method"] == method for key in r["data"]["instrumentKeys"]]


def market_info(statuses: dict[str, str], ts: int = 1_795_000_000_000) -> bytes:
    """A market_info frame."""
    response = FeedResponse(type=Type.Value("market_info"), currentTs=ts)
    for segment, status in statuses.items():
        response.marketInfo.segmentStatus[segment] = MarketStatus.Value(status)
    return response.SerializeToString()


def snapshot(keys: list[str], price: float = 100.0, ltt: int = 1_795_000_000_000) -> bytes:
    """What comes after a `sub`: one record a key, indices as indexFF."""
    response = FeedResponse(currentTs=ltt)
    for key in keys:
        full = response.feeds[key].fullFeed
        record = full.indexFF if "INDEX" in key else full.marketFF
        record.ltpc.ltp, record.ltpc.ltt = price, ltt
        if "INDEX" not in key:
            record.vtt, record.oi, record.ltpc.ltq = 7_500, 1_500.0, 75
            record.marketLevel.bidAskQuote.add(bidQ=75, bidP=price - 0.5, askQ=75, askP=price + 0.5)
    return response.SerializeToString()
