"""The web server on a thread of its own: API, stream and pages. It waits for no actor, and no actor waits for it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.resources
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web
from loguru import logger

from sos_actors.errors import StorageError
from sos_actors.web.api import Api, Endpoints
from sos_actors.web.guard import API, Guard, Handler, answer
from sos_actors.web.openapi import document
from sos_actors.web.settings import WebSettings
from sos_actors.web.source import Source
from sos_actors.web.stream import Hub
from sos_actors.web.topics import Topics

_START_S = 30.0
_STOP_S = 5.0
#: Longest body of a request.
_LONGEST = 16 * 1024
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
#: Threads that answer: reading a day of the past keeps one for seconds. Orders have some of their own.
_WORKERS, _ORDER_WORKERS = 4, 2


class WebServer:
    """Serves a source. `start` raises StorageError when the address cannot be had."""

    def __init__(self, source: Source, settings: WebSettings, token: str, version: str = "") -> None:
        self._source, self._settings, self._token, self._version = source, settings, token, version
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="sos-web", daemon=True)
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="sos-web")
        self._order_workers = ThreadPoolExecutor(_ORDER_WORKERS, thread_name_prefix="sos-web-orders")
        self.hub = Hub(Topics(source).read, settings, self._workers)
        self.port = settings.port

    @property
    def address(self) -> str:
        """Where the dashboard is."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start the thread and wait until it listens."""
        self._thread.start()
        if not self._ready.wait(_START_S):
            raise StorageError("web: the server did not start in time")
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """Stop; what does not end in time is left behind."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_STOP_S)
        for workers in (self._workers, self._order_workers):
            workers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        try:
            self._loop.run_until_complete(self._listen(runner))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self._failed = error
            self._ready.set()
            self._loop.close()
            return
        poller = self._loop.create_task(self.hub.run())
        self._ready.set()
        logger.info("dashboard at {}", self.address)
        self._loop.run_forever()
        poller.cancel()
        self._loop.run_until_complete(asyncio.gather(poller, return_exceptions=True))
        self._loop.run_until_complete(self.hub.close())
        self._loop.run_until_complete(runner.cleanup())
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _listen(self, runner: web.AppRunner) -> None:
        await runner.setup()
        settings = self._settings
        try:
            await web.TCPSite(runner, settings.host, settings.port, reuse_address=True).start()
        except OSError as error:
            await runner.cleanup()
            where = f"{settings.host}:{settings.port}"
            raise StorageError(f"web: {where}: {error.strerror or error}; choose another web.port or --port") from None
        self.port = runner.addresses[0][1]

    def _app(self) -> web.Application:
        guard = Guard(self._settings, self._token)
        api = Api(self._source, token_needed=guard.token_needed)
        app = web.Application(middlewares=[guard.middleware()], client_max_size=_LONGEST)
        Endpoints(self._source, api, self._workers, self._order_workers).add_to(app)
        app.router.add_get(f"{API}/stream", self.hub.serve)
        described = document(api.routes(), self._version)

        async def openapi(request: web.Request) -> web.StreamResponse:
            del request
            return answer(described)

        app.router.add_get("/openapi.json", openapi)
        for path, body, kind in _files():
            app.router.add_get(path, _given(body, kind))
        return app


def _files() -> list[tuple[str, bytes, str]]:
    """Give path, content and kind of every page and script: ours, and the chart library's out of its package."""
    pages = importlib.resources.files("sos_actors.web") / "pages"
    shell, docs = ((pages / name).read_bytes() for name in ("index.html", "docs.html"))
    found = [(path, shell, "html") for path in ("/", "/now", "/chain", "/strategies", "/actors", "/history")]
    found.append(("/docs", docs, "html"))
    for folder in (pages, pages / "js"):
        for one in folder.iterdir():
            ending = one.name.rpartition(".")[2]
            if one.is_file() and ending in {"css", "js", "svg"}:
                found.append((f"/static/{one.name}", one.read_bytes(), ending))
    script = importlib.resources.files("plotly") / "package_data" / "plotly.min.js"
    found.append(("/static/plotly.min.js", script.read_bytes(), "js"))
    return found


def _given(body: bytes, kind: str) -> Handler:
    """Give the handler of a file that does not change: compressed once, known again by its hash."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    packed = gzip.compress(body, 6, mtime=0)
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}

    async def give(request: web.Request) -> web.StreamResponse:
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            zipped = headers | {"Content-Encoding": "gzip"}
            return web.Response(body=packed, headers=zipped, content_type=_KINDS[kind], charset="utf-8")
        return web.Response(body=body, headers=headers, content_type=_KINDS[kind], charset="utf-8")

    return give


def settings_with(settings: WebSettings, **changes: object) -> WebSettings:
    """Give settings with some replaced (None: as it was); raises ValueError for a bad value."""
    found = msgspec.structs.replace(settings, **{name: value for name, value in changes.items() if value is not None})
    found.__post_init__()
    return found
