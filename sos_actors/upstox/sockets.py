"""The SDK's two streamers, with their connecting put right.

What is redirected and how: the SDK writes `wss://api.upstox.com` and `CERT_NONE` into the `connect` of its two Feeder
classes. Here both are subclassed and `connect` is theirs no longer: the same `WebSocketApp` goes to
`FeedEndpoint.base`, with the same token (read from the ApiClient's configuration at each connect) and the ApiClient's
User-Agent; certificates and host names are verified, ping and pong frames are reported (the SDK cannot see them),
and the thread is a daemon, so that no socket keeps the process alive. The two Streamer classes are subclassed only to
make these feeders and to hand every frame on as it came (`MarketDataStreamerV3` would turn it into a dict, twenty times
as slow). Their own reconnecting is off.

A redirect of the handshake is followed by websocket-client where it names a whole WebSocket address; one that names
only a path, or an http(s) address, the library refuses: it is resolved and followed here. It must keep the scheme.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
from urllib.parse import urljoin

import certifi
import websocket
from upstox_client import ApiClient
from upstox_client.feeder.market_data_feeder_v3 import MarketDataFeederV3
from upstox_client.feeder.market_data_streamer_v3 import MarketDataStreamerV3
from upstox_client.feeder.portfolio_data_feeder import PortfolioDataFeeder
from upstox_client.feeder.portfolio_data_streamer import PortfolioDataStreamer

from sos_actors.upstox.feed_settings import SDK_BASE, FeedEndpoint
from sos_actors.upstox.keeper import Drop

# What the library logs is reported here already, in words of our own: its own lines call a normal end an error, and
# name a redirect it cannot follow with the code in it that opens the stream.
logging.getLogger("websocket").setLevel(logging.CRITICAL + 1)

#: Longest wait for our own goodbye to go out.
_CLOSE_TIMEOUT_S = 1
#: Most redirects of one attempt that are followed here, as many as the library follows.
_MOST_REDIRECTS = 3


class SocketEvents(NamedTuple):
    """What a socket reports, from its own thread. `ended` comes once, whatever happened before."""

    opened: Callable[[], None]
    message: Callable[[Any], None]
    pinged: Callable[[], None]
    failed: Callable[[Exception], None]
    ended: Callable[[], None]


class StreamSocket(Protocol):
    """One attempt at one connection. `connect` returns at once; `disconnect` may take a second."""

    feeder: Any

    def connect(self) -> None:
        """Start connecting in a thread of its own."""

    def ping(self) -> None:
        """Ask the server for a sign of life. Raises what the socket raises."""

    def disconnect(self) -> None:
        """Close, whatever state it is in. Never raises."""

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; False when it has not within `timeout` seconds."""


OpenSocket = Callable[[SocketEvents], StreamSocket]


class _Link:
    """Mixed into the SDK's feeders: connects to the endpoint, verified, in a daemon thread."""

    api_client: Any
    ws: Any
    on_open: Any
    on_message: Any
    on_error: Any
    on_close: Any
    endpoint: FeedEndpoint
    events: SocketEvents
    timeout_s: float
    thread: threading.Thread | None = None
    _opened_link: Any = None
    _onward = ""
    _hops = 0
    _cut = False

    def _connect_to(self, sdk_url: str) -> None:
        if self.thread is not None:
            raise RuntimeError("a feeder connects once: make a new one")
        # The library has no time-out of one connection's own; all its users in this process are these two streams.
        websocket.setdefaulttimeout(self.timeout_s)
        self.ws = websocket.WebSocketApp(
            self.endpoint.url(sdk_url),
            header={
                "Authorization": self.api_client.configuration.auth_settings()["OAUTH2"]["value"],
                "User-Agent": self.api_client.user_agent,  # the library sends none, which the broker's front may refuse
            },
            on_open=self._opened,
            on_message=self.on_message,
            on_error=self._erred,
            on_close=self.on_close,
            on_ping=lambda _ws, _data: self.events.pinged(),
            on_pong=lambda _ws, _data: self.events.pinged(),
        )
        name = "upstox-" + sdk_url.rsplit("/", 1)[-1].partition("?")[0]
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def _opened(self, ws: Any) -> None:
        self._opened_link = ws.sock  # the library forgets it, unclosed, when the server closes first
        if self._cut:  # asked for between two steps of the handshake, when there was no socket to cut
            self.disconnect()
        else:
            self.on_open(ws)

    def _erred(self, ws: Any, error: Any) -> None:
        if isinstance(error, websocket.WebSocketException) and not self._cut and self._hops < _MOST_REDIRECTS:
            answer = getattr(ws.sock, "handshake_response", None)
            self._onward = onward(ws.url, (answer.headers.get("location") or "") if answer is not None else "")
        if not self._onward:
            self.on_error(ws, error)

    def _run(self) -> None:
        try:
            context = tls_context(self.endpoint.ca_file)
            self.ws.run_forever(sslopt={"context": context})
            while self._onward and not self._cut:
                self.ws.url, self._onward = self._onward, ""
                self._hops += 1
                self.ws.run_forever(sslopt={"context": context})
        except Exception as error:  # noqa: BLE001 - whatever ends the thread is reported, and the keeper reconnects
            self.events.failed(error)
        finally:
            if self._opened_link is not None:
                self._opened_link.shutdown()
            self.events.ended()

    def ping(self) -> None:
        """Send a ping, which every server has to answer (RFC 6455). Raises what the socket raises."""
        if self._opened_link is not None:
            self._opened_link.ping()

    def disconnect(self) -> None:
        """Say goodbye and cut the connection; also a handshake that hangs. The thread that reads sees it and ends.

        The library's own `close` would free the file descriptor under the reading thread, which then may sleep on.
        """
        self._cut = True
        link = self._opened_link or getattr(self.ws, "sock", None)
        if link is None:
            return
        self.ws.keep_running = False
        with contextlib.suppress(Exception):
            if link.connected:
                link.sock.settimeout(_CLOSE_TIMEOUT_S)
                link.send_close(1000)
        with contextlib.suppress(OSError, TypeError):
            socket.socket.shutdown(link.sock, socket.SHUT_RDWR)


class _MarketFeeder(_Link, MarketDataFeederV3):  # type: ignore[misc]  # the SDK has no types
    def connect(self) -> None:
        self._connect_to(f"{SDK_BASE}/v3/feed/market-data-feed")


class _PortfolioFeeder(_Link, PortfolioDataFeeder):  # type: ignore[misc]  # the SDK has no types
    def connect(self) -> None:
        self._connect_to(self.get_websocket_url())


class _Reports:
    """Mixed into the SDK's streamers: every frame as it came, and what happens, to `SocketEvents`."""

    feeder: Any
    on: Any
    auto_reconnect: Any

    def _report_to(self, events: SocketEvents) -> None:
        self._events = events
        self.auto_reconnect(enable=False)
        self.on("open", events.opened)
        self.on("error", self._failed)

    def _failed(self, error: Any) -> None:
        self._events.failed(error if isinstance(error, Exception) else RuntimeError(str(error)))

    def _link(self, feeder: _Link, endpoint: FeedEndpoint, timeout_s: float) -> None:
        feeder.endpoint, feeder.events, feeder.timeout_s = endpoint, self._events, timeout_s
        self.feeder = feeder

    def handle_message(self, _ws: Any, message: Any) -> None:
        self._events.message(message)

    def ping(self) -> None:
        if self.feeder is not None:
            self.feeder.ping()

    def disconnect(self) -> None:
        if self.feeder is not None:
            self.feeder.disconnect()

    def join(self, timeout: float) -> bool:
        thread = None if self.feeder is None else self.feeder.thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        return not thread.is_alive()


class _MarketStreamer(_Reports, MarketDataStreamerV3):  # type: ignore[misc]  # the SDK has no types
    def __init__(self, api: ApiClient, endpoint: FeedEndpoint, timeout_s: float, events: SocketEvents) -> None:
        super().__init__(api)
        self._endpoint, self._timeout_s = endpoint, timeout_s
        self._report_to(events)

    def connect(self) -> None:
        feeder = _MarketFeeder(
            api_client=self.api_client, instrumentKeys=[], mode=self.mode, on_open=self.handle_open,
            on_message=self.handle_message, on_error=self.handle_error, on_close=self.handle_close,
        )  # fmt: skip
        self._link(feeder, self._endpoint, self._timeout_s)
        feeder.connect()


class _PortfolioStreamer(_Reports, PortfolioDataStreamer):  # type: ignore[misc]  # the SDK has no types
    def __init__(
        self, api: ApiClient, endpoint: FeedEndpoint, timeout_s: float, events: SocketEvents, *, positions: bool
    ) -> None:
        super().__init__(api, order_update=True, position_update=positions)
        self._endpoint, self._timeout_s = endpoint, timeout_s
        self._report_to(events)

    def connect(self) -> None:
        feeder = _PortfolioFeeder(
            api_client=self.api_client, on_open=self.handle_open, on_message=self.handle_message,
            on_error=self.handle_error, on_close=self.handle_close, order_update=self.order_update,
            position_update=self.position_update,
        )  # fmt: skip
        self._link(feeder, self._endpoint, self._timeout_s)
        feeder.connect()


def market_socket(api: ApiClient, endpoint: FeedEndpoint, timeout_s: float) -> OpenSocket:
    """Give what opens a socket of the market feed (V3). `timeout_s`: longest wait of one step of connecting."""
    return lambda events: _MarketStreamer(api, endpoint, timeout_s, events)


def portfolio_socket(
    api: ApiClient, endpoint: FeedEndpoint, timeout_s: float, *, positions: bool = False
) -> OpenSocket:
    """Give what opens a socket of the portfolio stream: order updates, with `positions` also those of positions."""
    return lambda events: _PortfolioStreamer(api, endpoint, timeout_s, events, positions=positions)


def onward(url: str, location: str) -> str:
    """Give the WebSocket address a redirect of `url` means; '' where the library reads it itself, or it must not be."""
    if not location or location.startswith(("ws://", "wss://")):
        return ""
    target = urljoin(url, location)
    if target.startswith(("http://", "https://")):
        target = "ws" + target.removeprefix("http")
    return target if target.partition("://")[0] == url.partition("://")[0] else ""


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Give the context that verifies certificate and host name, by certifi's authorities and those of `ca_file`."""
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def cause_of(error: Exception) -> tuple[Drop, str]:
    """Classify what a socket reported. The text is one line, without headers, addresses or tokens."""
    status = getattr(error, "status_code", None)
    if isinstance(error, websocket.WebSocketBadStatusException):
        return _refusal(status)
    if isinstance(error, ssl.SSLError):
        why = getattr(error, "verify_message", "") or error.reason or type(error).__name__
        return Drop.TLS, f"TLS failed: {why}; a stand-in's own authority is named by ca_file"
    if isinstance(error, websocket.WebSocketConnectionClosedException) and status is not None:
        return Drop.CLOSED, f"the server closed the connection (code {status})"
    text = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return Drop.LOST, f"connection lost ({text})"


def _refusal(status: int | None) -> tuple[Drop, str]:
    if status == 401:
        return Drop.DEAD_TOKEN, "the broker refuses the token (401): log in again"
    if status == 403:
        advice = "too many connections of this user, or the broker refuses this network or kind of token"
        return Drop.FORBIDDEN, f"the broker refuses the connection (403): {advice}"
    return Drop.HTTP, f"the handshake was answered with HTTP {status}"
