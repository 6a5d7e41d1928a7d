"""The command line's end of the control socket."""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from sos_actors.control.protocol import ControlError, Reply, Request, socket_path
from sos_actors.decoding import from_json


class ControlClient:
    """One connection to the daemon of a home folder. Raises ControlError where none runs or it does not answer."""

    def __init__(self, home: Path, timeout_s: float = 10.0) -> None:
        path = socket_path(home)
        self._timeout_s = timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            self._socket.close()
            raise ControlError(
                f"no daemon runs on {home}: start one with `python run_actors.py live`, or name its folder with --home"
            ) from None
        except PermissionError:
            self._socket.close()
            raise ControlError(f"{path}: belongs to another user: run this command as the daemon's user") from None
        self._lines = self._socket.makefile("rb")

    def ask(self, command: str, **args: Any) -> Any:
        """Send one request and give its data; raises ControlError with the daemon's own line when it refuses."""
        try:
            self._socket.sendall(msgspec.json.encode(Request(command, args)) + b"\n")
            line = self._lines.readline()
        except TimeoutError:
            text = f"the daemon did not answer '{command}' within {self._timeout_s:g} s"
            raise ControlError(text, late=True) from None
        except OSError as error:
            raise ControlError(f"the connection to the daemon broke: {error.strerror or error}") from None
        if not line:
            raise ControlError("the daemon closed the connection: it is stopping, or has stopped")
        reply = from_json(line, Reply)
        if reply.error:
            raise ControlError(reply.error, of_the_line=False, wrong=reply.wrong)
        return reply.data

    def close(self) -> None:
        """Leave."""
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
