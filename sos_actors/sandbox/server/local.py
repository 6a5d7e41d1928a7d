"""The sandbox in this process: built from settings, run in a thread of its own. What tests and embedders use."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from sos_actors.sandbox.days import MarketDays, SimulatedDays
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.server.app import SandboxServer
from sos_actors.sandbox.server.clock import SandboxClock, parse_instant
from sos_actors.sandbox.server.service import Service
from sos_actors.sandbox.server.settings import ServerSettings
from sos_actors.sandbox.settings import MarketSettings

T = TypeVar("T")
_START_S = 60.0


def simulated_days(settings: ServerSettings, market: MarketSettings | None = None) -> MarketDays:
    """Make the simulated market of the settings' seed and symbols."""
    return SimulatedDays(SimulatedMarket(market, settings.seed), settings.symbols, settings.ticks_per_minute)


def make_service(
    settings: ServerSettings,
    make_days: Callable[[], MarketDays],
    monotonic_ns: Callable[[], int] = time.monotonic_ns,
) -> Service:
    """Make everything but the sockets. `make_days` is called twice: the market played, and the one for history.

    The clock stands still until the server starts.
    """
    clock = SandboxClock(parse_instant(settings.start), 0.0, monotonic_ns)
    return Service(settings, clock, make_days(), make_days())


class LocalSandbox:
    """A sandbox on a free port in a thread, as a context manager.

    >>> with LocalSandbox(symbols=("NIFTY",), start="2026-11-20T10:00:00+05:30", speed=1.0) as sandbox:
    ...     sandbox.address.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, settings: ServerSettings | None = None, **changes: Any) -> None:
        """`changes` replace fields of the settings; the port is a free one unless given."""
        settings = settings or ServerSettings(port=0)
        self.settings = msgspec.structs.replace(settings, **{"port": 0, **changes})
        self._thread: threading.Thread | None = None
        self._loop = asyncio.new_event_loop()
        self._server: SandboxServer | None = None
        self._ready = threading.Event()
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        """Start and wait until it listens."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    @property
    def address(self) -> str:
        """Base address, 'http://127.0.0.1:PORT'."""
        return self._running.address

    @property
    def feed_base(self) -> str:
        """Base address of the streams, 'ws://127.0.0.1:PORT'."""
        return self.address.replace("http", "ws", 1)

    @property
    def service(self) -> Service:
        """The service, to be touched through `call` alone."""
        return self._running.service

    def token(self) -> str:
        """Give a fresh access token."""
        return self.call(lambda service: service.world.tokens.issue(service.clock.now_ns()))

    def call(self, work: Callable[[Service], T]) -> T:
        """Do something with the service on its own thread, the world brought to now first, and give the result."""

        async def do() -> T:
            self._running.service.pump()
            return work(self._running.service)

        return asyncio.run_coroutine_threadsafe(do(), self._loop).result(_START_S)

    def start(self) -> None:
        """Start the thread and wait until the server listens; raises what made it fail."""
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._thread.start()
        self._ready.wait(_START_S)
        if self._failed is not None:
            self.stop()
            raise self._failed

    def stop(self) -> None:
        """Stop the server and its thread."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_START_S)
            self._thread = None

    @property
    def _running(self) -> SandboxServer:
        assert self._server is not None, "the sandbox has not been started"
        return self._server

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._server = SandboxServer(make_service(self.settings, lambda: simulated_days(self.settings)))
            self._loop.run_until_complete(self._server.start())
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self._failed = error
        self._ready.set()
        self._loop.run_forever()
        if self._server is not None:
            self._loop.run_until_complete(self._server.stop())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
