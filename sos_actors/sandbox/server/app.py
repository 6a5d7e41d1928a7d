"""The application: every route, what holds for all of them, and the loop that lets the market run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from sos_actors.errors import StorageError
from sos_actors.market.clocktime import SECOND_NS
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.server import (
    account_routes,
    candle_routes,
    control,
    info_routes,
    instrument_routes,
    login_routes,
    option_routes,
    quote_routes,
    stream_routes,
)
from sos_actors.sandbox.server.service import Service
from sos_actors.sandbox.server.stream_routes import strike_streams

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Real seconds between points at which faults of open streams and of the house may strike.
_STRIKE_S = 0.1
_PARTS = (
    account_routes, candle_routes, control, info_routes, instrument_routes, login_routes, option_routes, quote_routes,
    stream_routes,
)  # fmt: skip


def make_app(service: Service) -> web.Application:
    """Make the application of both hosts."""

    @web.middleware
    async def everywhere(request: web.Request, handler: Handler) -> web.StreamResponse:
        service.requests += 1
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return await service.give(request, Refusal("100060", "Resource not Found", status=404).answer())
        except web.HTTPMethodNotAllowed:
            return await service.give(request, Refusal("10000", "Unsupported request", status=405).answer())

    app = web.Application(middlewares=[everywhere], client_max_size=4 << 20)
    for part in _PARTS:
        part.add_routes(app, service)
    return app


class SandboxServer:
    """The server on its port: starts, plays the market, has outages, stops."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._runner = web.AppRunner(make_app(service), access_log=None, shutdown_timeout=1.0)
        self._site: web.TCPSite | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = service.settings.port

    @property
    def address(self) -> str:
        """Base address of REST and, with ws for http, of the streams."""
        return f"http://{self.service.settings.host}:{self.port}"

    async def start(self) -> None:
        """Listen and let clock and market run; raises StorageError when the port is taken."""
        await self._runner.setup()
        await self._listen()
        self.service.clock.set_speed(self.service.settings.speed)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work) for work in (self._pump(), self._strike())]

    async def stop(self) -> None:
        """Stop listening, close what is open, end the loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for outlet in self.service.outlets():
            outlet.snap()
        for task in list(self.service.background):
            task.cancel()
        self.service.close()
        await self._runner.cleanup()

    async def wait(self) -> None:
        """Run until cancelled; raises what a loop died of."""
        await asyncio.gather(*self._tasks)

    async def _listen(self) -> None:
        settings = self.service.settings
        self._site = web.TCPSite(self._runner, settings.host, self.port, reuse_address=True)
        try:
            await self._site.start()
        except OSError as error:
            reason = error.strerror or str(error)
            raise StorageError(
                f"sandbox: port {self.port} of {settings.host}: {reason}; choose one with --port"
            ) from None
        self.port = self._runner.addresses[-1][1]

    async def _pump(self) -> None:
        while True:
            self.service.pump()
            await asyncio.sleep(self.service.settings.step_ms / 1000.0)

    async def _strike(self) -> None:
        """Let faults strike, and ping streams that have been quiet."""
        service, clock = self.service, asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_STRIKE_S)
            strike_streams(service)
            if service.world.dice.hit("token_death"):
                service.kill_tokens()
            if service.world.dice.hit("outage"):
                seconds = service.world.dice.menu.outage_s
                await self._outage(service.clock.real_seconds(int(seconds * SECOND_NS)))
            for outlet in service.outlets():
                if clock() - outlet.last > service.settings.ping_s:
                    service.later(outlet.ping())

    async def _outage(self, seconds: float) -> None:
        """Break every connection and refuse new ones for some real seconds."""
        if self._site is not None:
            await self._site.stop()
        server = self._runner.server
        for connection in list(server.connections) if server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(seconds)
        await self._listen()
