"""The daemon's end of the control socket: a thread of its own, and one a connection."""

from __future__ import annotations

import os
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from loguru import logger

from sos_actors.control.protocol import LONGEST_REQUEST, Reply, Request, plain
from sos_actors.decoding import from_json
from sos_actors.errors import InputError, SosError

#: A command: takes the request's arguments, gives plain data. Raises SosError to refuse, TypeError for bad arguments.
Command = Callable[..., Any]
#: Seconds an idle connection is kept.
_IDLE_S = 300.0


class ControlServer:
    """Answers requests with the commands it was given. They run on the server's threads, never on an actor's."""

    def __init__(self, path: Path, commands: Mapping[str, Command]) -> None:
        """`path` is where the socket will be. What lies there is removed: the caller holds the home's lock."""
        path.unlink(missing_ok=True)
        before = os.umask(0o177)  # the socket must never exist with a wider mode, not for an instant
        try:
            self._server = _Server(str(path), _Connection)
        finally:
            os.umask(before)
        self._server.commands = commands
        self._path = path
        self._thread = threading.Thread(target=self._server.serve_forever, name="sos-control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    commands: Mapping[str, Command] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away in the middle of a line is its own business."""
        del request, client_address
        logger.opt(exception=True).debug("control socket: a connection broke")


class _Connection(socketserver.StreamRequestHandler):
    server: _Server
    timeout = _IDLE_S

    def handle(self) -> None:
        """Answer request after request until the client leaves or is silent for too long."""
        while True:
            try:
                line = self.rfile.readline(LONGEST_REQUEST + 1)
            except TimeoutError:
                return
            if not line:
                return
            too_long = len(line) > LONGEST_REQUEST
            reply = Reply(error=f"request over {LONGEST_REQUEST} bytes") if too_long else self._answer(line)
            self.wfile.write(_encoded(reply) + b"\n")
            if too_long:
                return

    def _answer(self, line: bytes) -> Reply:
        try:
            request = from_json(line, Request)
        except msgspec.MsgspecError as error:
            return Reply(error=f"not a request: {error}")
        command = self.server.commands.get(request.do)
        if command is None:
            return Reply(error=f"unknown command '{request.do}'; known: {', '.join(sorted(self.server.commands))}")
        try:
            return Reply(command(**request.args))
        except SosError as error:
            return Reply(error=str(error), wrong=isinstance(error, InputError))
        except Exception as error:  # noqa: BLE001 - a faulty question must not take the control socket down
            logger.opt(exception=True).error("control command '{}' failed", request.do)
            return Reply(error=f"{request.do} failed: {error!r}; the log says more")


def _encoded(reply: Reply) -> bytes:
    """Encode a reply; what is no plain data in it is made so."""
    return msgspec.json.encode(reply, enc_hook=plain)
