"""A broker's REST server on a loopback port that can misbehave: slow, cut, closed, HTML, redirecting answers."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

HTML = b"<html><head><title>Attention Required! | Cloudflare</title></head></html>"


class Hit(NamedTuple):
    """One request as the server read it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Reply(NamedTuple):
    """What the server does with a request. `cut`: 'none', 'at once' (no answer at all), 'half' (part of the body)."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()
    cut: str = "none"
    hold: threading.Event | None = None


def data(value: Any, status: int = 200) -> Reply:
    """Answer as the broker does when all is well."""
    return Reply(status, json.dumps({"status": "success", "data": value}).encode())


def error(status: int, code: str, message: str = "No", *, casing: str = "both") -> Reply:
    """Answer with the broker's error envelope, its fields in one casing or both."""
    fields: dict[str, Any] = {"message": message}
    if casing in {"both", "camel"}:
        fields |= {"errorCode": code, "propertyPath": None}
    if casing in {"both", "snake"}:
        fields |= {"error_code": code, "property_path": None}
    return Reply(status, json.dumps({"status": "error", "errors": [fields]}).encode())


class BrokerServer:
    """Answers by (method, path); what it was asked is in `hits`. Use as a context manager."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.replies: dict[tuple[str, str], Reply | Callable[[Hit], Reply]] = {}
        self.hits: list[Hit] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            do_GET = do_POST = do_PUT = do_DELETE = lambda self: outer.serve(self)  # noqa: N815, PLW0108 - a bound method would not be given the handler

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                """A client that went away is no news here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> BrokerServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(20)

    def asked(self, method: str, path: str) -> list[Hit]:
        """Give the requests of one kind."""
        return [hit for hit in list(self.hits) if (hit.method, hit.path) == (method, path)]

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        hit = Hit(handler.command, parts.path, query, dict(handler.headers), json.loads(raw) if raw else None)
        self.hits.append(hit)
        found = self.replies.get((hit.method, hit.path), error(404, "UDAPI100060", "Resource not Found"))
        reply = found(hit) if callable(found) else found
        if reply.hold is not None:
            reply.hold.wait(30)
        if reply.cut == "at once":
            handler.close_connection = True
            return
        handler.send_response(reply.status)
        for name, value in reply.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        handler.wfile.write(reply.body if reply.cut == "none" else reply.body[: len(reply.body) // 2])
        if reply.cut == "half":
            handler.close_connection = True
