"""The pages a login waits on: where the browser brings the code, and where the broker posts a token."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from aiohttp import web

from sos_actors.errors import InputError

T = TypeVar("T")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_PAGE = (
    "<!doctype html><meta charset=utf-8><title>SOS Actors</title>"
    "<body style='font:18px sans-serif;margin:4em;color:#222;background:#fff'>{}</body>"
)


def is_local(redirect_uri: str) -> bool:
    """Say whether the browser comes back to this machine, so that `login` can answer it."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.port is not None


async def wait_for_redirect(redirect_uri: str, read: Callable[[str], T], wait_s: float) -> T:
    """Answer the browser at `redirect_uri` and give what `read` makes of the address it came with.

    What `read` refuses (InputError) is shown to the browser, and the wait goes on. Raises InputError when the port is
    taken or nobody came in time.
    """
    parts = urlsplit(redirect_uri)

    async def answer(request: web.Request) -> tuple[T | None, web.Response]:
        try:
            got = read(str(request.rel_url))
        except InputError as error:
            return None, _page(f"Not logged in: {html.escape(str(error))}", 400)
        return got, _page("Logged in. You can close this page.")

    return await _serve_until("GET", parts.hostname or "", parts.port or 80, parts.path or "/", answer, wait_s)


async def wait_for_post(host: str, port: int, path: str, read: Callable[[bytes], Awaitable[T]], wait_s: float) -> T:
    """Answer posts to a path and give what `read` makes of the first it accepts; others are answered 400."""

    async def answer(request: web.Request) -> tuple[T | None, web.Response]:
        try:
            got = await read(await request.read())
        except InputError as error:
            return None, web.json_response({"status": "error", "message": str(error)}, status=400)
        return got, web.json_response({"status": "success"})

    return await _serve_until("POST", host, port, path, answer, wait_s)


def _page(text: str, status: int = 200) -> web.Response:
    # The address the page was reached by holds the code: it must not travel on in a Referer.
    headers = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return web.Response(text=_PAGE.format(text), content_type="text/html", status=status, headers=headers)


async def _serve_until(
    method: str,
    host: str,
    port: int,
    path: str,
    answer: Callable[[web.Request], Awaitable[tuple[T | None, web.Response]]],
    wait_s: float,
) -> T:
    done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def handle(request: web.Request) -> web.Response:
        got, response = await answer(request)
        if got is not None and not done.done():
            done.set_result(got)
        return response

    app = web.Application(client_max_size=64 * 1024)
    app.router.add_route(method, path, handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        return await asyncio.wait_for(done, wait_s)
    except TimeoutError:
        raise InputError(f"nobody came within {wait_s:g} s: begin the log-in again") from None
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}: free the port or set another") from None
    finally:
        await runner.cleanup()  # lets the last answer out first
