"""What the daemon tells systemd: that it is ready, that it lives, what it does (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """The service manager that started us. Without one (a terminal, a container) nothing is sent."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        address = env.get("NOTIFY_SOCKET", "")
        #: An abstract socket is written with @ for its leading zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        #: Seconds within which systemd wants to hear from us, 0 where it does not; it kills us when we are late.
        self.watchdog_s = _watchdog(env)

    def ready(self, status: str) -> None:
        """Say that start-up is done."""
        self._send("READY=1", status)

    def alive(self, status: str = "") -> None:
        """Feed the watchdog; call it about twice in `watchdog_s`, and only while the order path answers."""
        self._send("WATCHDOG=1", status)

    def status(self, status: str) -> None:
        """Say in one line what is going on: `systemctl status` shows it."""
        self._send("", status)

    def stopping(self, status: str) -> None:
        """Say that we are on our way out."""
        self._send("STOPPING=1", status)

    def more_time(self, seconds: float) -> None:
        """Ask for so many seconds more to start or stop before systemd loses patience."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}", "")

    def _send(self, what: str, status: str) -> None:
        if not self._address:
            return
        line = f"STATUS={' '.join(status.split())}" if status else ""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            try:
                sender.sendto("\n".join(filter(None, (what, line))).encode(), self._address)
            except OSError:
                return  # a service manager that does not listen must not stop the trading


def _watchdog(env: Mapping[str, str]) -> float:
    """Read how often systemd wants to hear from this very process (sd_watchdog_enabled(3))."""
    if env.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(env.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return 0.0
