"""The stream: one poller asks the source a few times a second, and tells every client what changed since.

A client subscribes to topics (`status`, `now NIFTY`, `chain NIFTY`, `actors`, `strategies`, `edges`): it first gets a
topic whole, then only those parts of it that changed, each message with the topic's number. What only some want is only
worked out while they do. A client that does not take its messages is cut off; it costs nobody else anything.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from aiohttp import WSMsgType, web
from loguru import logger

from sos_actors.decoding import from_json
from sos_actors.errors import SosError
from sos_actors.web.guard import PROTOCOL, answer
from sos_actors.web.schema import Fault
from sos_actors.web.settings import WebSettings

#: (topic) -> its parts by name. Raises InputError for a topic that is not there.
Read = Callable[[str], dict[str, Any]]
_MOST_TOPICS = 8
#: Longest message a client may send: it only says what it wants.
_LONGEST = 4096
_SEND_S = 5.0
_CLOSE_S = 0.5


class _Topic:
    """A topic somebody wants: its parts, encoded, and how often it has changed."""

    __slots__ = ("number", "parts")

    def __init__(self) -> None:
        self.number = 0
        self.parts: dict[str, bytes] = {}

    def whole(self, name: str) -> bytes:
        """Give the message that holds all of it."""
        return _message(name, self.number, self.parts, whole=True)

    def change(self, name: str, parts: dict[str, bytes]) -> bytes | None:
        """Take new parts; gives the message that tells the difference, None when there is none."""
        changed = {part: body for part, body in parts.items() if self.parts.get(part) != body}
        if not changed and len(parts) == len(self.parts):
            return None
        fresh = not self.number or len(parts) != len(self.parts) or any(part not in self.parts for part in parts)
        self.parts = parts
        self.number += 1
        return self.whole(name) if fresh else _message(name, self.number, changed, whole=False)


def _message(topic: str, number: int, parts: dict[str, bytes], *, whole: bool) -> bytes:
    raw = {part: msgspec.Raw(body) for part, body in parts.items()}
    return msgspec.json.encode({"topic": topic, "number": number, "whole": whole, "parts": raw})


class _Client:
    """One open stream."""

    __slots__ = ("queue", "socket", "topics")

    def __init__(self, socket: web.WebSocketResponse, depth: int) -> None:
        self.socket = socket
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(depth)
        self.topics: dict[str, None] = {}


class Hub:
    """The poller and its clients, on one event loop."""

    def __init__(self, read: Read, settings: WebSettings, workers: ThreadPoolExecutor) -> None:
        self._read, self._settings, self._workers = read, settings, workers
        self._clients: dict[_Client, None] = {}
        self._topics: dict[str, _Topic] = {}
        self.dropped = 0

    @property
    def clients(self) -> int:
        """How many streams are open."""
        return len(self._clients)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one stream to its end."""
        if len(self._clients) >= self._settings.clients:
            return answer(Fault(error="too many streams are open"), 503)
        socket = web.WebSocketResponse(
            protocols=(PROTOCOL,), heartbeat=20.0, max_msg_size=_LONGEST, timeout=_SEND_S,
            compress=not self._settings.local,  # within a machine it costs more than it saves
        )  # fmt: skip
        await socket.prepare(request)
        client = _Client(socket, self._settings.queue)
        self._clients[client] = None
        writer = asyncio.create_task(self._write(client))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._want(client, message.data)
        finally:
            self._clients.pop(client, None)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return socket

    async def _want(self, client: _Client, text: str) -> None:
        """Take what a client wants to hear of; it replaces what it wanted before."""
        try:
            wanted = from_json(text, dict[str, list[str]])["topics"][:_MOST_TOPICS]
        except (msgspec.DecodeError, KeyError):
            self._put(client, msgspec.json.encode(Fault(error='write {"topics": ["status"]}')))
            return
        known = client.topics
        client.topics = dict.fromkeys(wanted)
        for name in client.topics:
            topic = self._topics.setdefault(name, _Topic())
            if name not in known and topic.number:
                self._put(client, topic.whole(name))

    async def run(self) -> None:
        """Poll for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            for name in self._wanted():
                await self._poll(name)
            await asyncio.sleep(max(0.05, 1.0 / self._settings.stream_hz - (loop.time() - began)))

    def _wanted(self) -> list[str]:
        wanted = dict.fromkeys(name for client in self._clients for name in client.topics)
        for name in [name for name in self._topics if name not in wanted]:
            del self._topics[name]
        return list(wanted)

    async def _poll(self, name: str) -> None:
        try:
            parts = await asyncio.get_running_loop().run_in_executor(self._workers, self._encoded, name)
        except SosError as error:
            parts = {"error": msgspec.json.encode(str(error))}
        except Exception:  # noqa: BLE001 - one topic's fault must not silence the others
            logger.exception("web: topic {}", name)
            parts = {"error": b'"a fault of the program; its log says which"'}
        topic = self._topics.setdefault(name, _Topic())
        message = topic.change(name, parts)
        if message is not None:
            for client in [client for client in self._clients if name in client.topics]:
                self._put(client, message)

    def _encoded(self, name: str) -> dict[str, bytes]:
        return {part: msgspec.json.encode(value) for part, value in self._read(name).items()}

    def _put(self, client: _Client, message: bytes) -> None:
        try:
            client.queue.put_nowait(message)
        except asyncio.QueueFull:
            self._cut(client)

    def _cut(self, client: _Client) -> None:
        """Let a client go that does not keep up: its connection is broken off, nothing is waited for."""
        if client in self._clients:
            del self._clients[client]
            self.dropped += 1
            logger.info("web: a stream that did not keep up was closed")
        transport = client.socket._req.transport if client.socket._req is not None else None
        if transport is not None:
            transport.abort()

    async def _write(self, client: _Client) -> None:
        while True:
            message = await client.queue.get()
            if message is None:
                return
            try:
                await asyncio.wait_for(client.socket.send_frame(message, WSMsgType.TEXT), _SEND_S)
            except (TimeoutError, ConnectionError, RuntimeError):
                self._cut(client)
                return

    async def close(self) -> None:
        """Close every stream."""
        for client in list(self._clients):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.socket.close(code=1001, message=b"the server ends"), _CLOSE_S)
