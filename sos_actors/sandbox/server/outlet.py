"""The way out of one websocket: frames wait here for a slow reader, up to a limit; and what a fault does to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from aiohttp import WSMsgType, web

#: Frames given to the socket before others get a turn.
_BATCH = 64


class Outlet:
    """Frames on their way to one client. `silent` while the connection plays half open: what is sent is lost."""

    def __init__(self, request: web.Request, ws: web.WebSocketResponse, limit: int, clock: Callable[[], float]) -> None:
        self._request, self._ws, self._limit, self._clock = request, ws, limit, clock
        self._frames: deque[bytes | str] = deque()
        self._size = 0
        self._ready = asyncio.Event()
        self.silent = False
        self.cut_off = False
        self.sent = 0
        #: Real seconds at which something last went out.
        self.last = clock()

    @property
    def behind(self) -> int:
        """Bytes that wait."""
        return self._size

    def send(self, frame: bytes | str) -> None:
        """Queue a frame; a client too far behind is cut off."""
        if self.silent or self.cut_off:
            return
        self._frames.append(frame)
        self._size += len(frame)
        self._ready.set()
        if self._size > self._limit:
            self.cut_off = True
            self.snap()

    async def run(self) -> None:
        """Write what comes until the socket closes."""
        while not self._ws.closed:
            await self._ready.wait()
            self._ready.clear()
            while self._frames and not self._ws.closed:
                frame = self._frames.popleft()
                self._size -= len(frame)
                self.last = self._clock()
                self.sent += 1
                try:
                    await (self._ws.send_bytes(frame) if isinstance(frame, bytes) else self._ws.send_str(frame))
                except (ConnectionError, RuntimeError):  # the client has gone; its reader will notice
                    return
                if self.sent % _BATCH == 0:
                    await asyncio.sleep(0)

    async def ping(self) -> None:
        """Send a ping frame."""
        if not self.silent and not self._ws.closed:
            self.last = self._clock()
            with contextlib.suppress(ConnectionError, RuntimeError):  # the client has gone
                await self._ws.ping()

    async def close(self, code: int) -> None:
        """Close in good order."""
        if not self._ws.closed:
            await self._ws.close(code=code)

    def snap(self) -> None:
        """Break the connection without a word."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def read(self, take: Callable[[bytes], None]) -> None:
        """Hand on the client's binary frames, answer its pings, until the connection ends."""
        async for message in self._ws:
            if message.type is WSMsgType.BINARY:
                take(message.data)
            elif message.type is WSMsgType.PING and not self.silent:
                await self._ws.pong(message.data)
