"""A WebSocket that is kept: one supervising thread a stream, which connects, watches, drops and connects again.

The thread asks the `Keeper` what to do and does it; the socket's own thread only counts, notes the time and hands
frames on. An old socket is closed, and its thread waited for, before a new one is made: the broker counts them.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from loguru import logger

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.upstox.feed_settings import StreamSettings
from sos_actors.upstox.keeper import Drop, Keeper, State, Step
from sos_actors.upstox.sockets import OpenSocket, SocketEvents, StreamSocket, cause_of

#: Longest the supervising thread sleeps: how late it can notice silence, a new token, or work.
_ROUND_S = 0.25
#: Wait for an old socket's thread before a new socket is made.
_JOIN_S = 3.0
#: A listener that takes longer is said to be slow.
_SLOW_NS = SECOND_NS


class _Attempt:
    """One socket from its making to its end. Its reports count only while it is the stream's present one."""

    def __init__(self, stream: SupervisedStream) -> None:
        self.cause: tuple[Drop, str] | None = None
        self.delivered = False
        self.socket: StreamSocket | None = None
        self._stream = stream

    def events(self) -> SocketEvents:
        stream = self._stream
        return SocketEvents(
            lambda: stream.report(self, "opened"),
            lambda data: stream.received(self, data),
            lambda: stream.pinged(self),
            self._failed,
            lambda: stream.report(self, "ended"),
        )

    def _failed(self, error: Exception) -> None:
        if self.cause is None:  # what follows the first error is its echo
            self.cause = cause_of(error)

    def close(self) -> None:
        if self.socket is not None:
            self.socket.disconnect()


class SupervisedStream:
    """One stream that is always connected, or on its way there.

    `on_message(data)` is called from the socket's thread; `on_change(live, detail)` and `on_round(feeder)`, the latter
    every round while connected and at once after `wake`, from the supervising thread. What they raise is logged and
    counted, and harms nothing. `token()` gives the present token or ''. `market_open` (default false) decides how long
    silence is taken for life. `clock` is monotonic real time in ns.
    """

    def __init__(
        self,
        name: str,
        open_socket: OpenSocket,
        settings: StreamSettings,
        *,
        token: Callable[[], str],
        on_message: Callable[[Any], None],
        on_change: Callable[[bool, str], None],
        rng: random.Random,
        on_round: Callable[[Any], None] | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name = name
        self.market_open = False
        self._open_socket = open_socket
        self._token = token
        self._on_message = on_message
        self._on_change = on_change
        self._on_round = on_round
        self._clock = clock
        self._keeper = Keeper(settings, rng)
        self._events: queue.SimpleQueue[tuple[_Attempt | None, str]] = queue.SimpleQueue()
        self._attempt: _Attempt | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._last_life = 0
        self._busy = False
        self._detail = "not started"
        self._drops: Counter[str] = Counter()
        self._connects = self._attempts = self._frames = self._bytes = self._pings = 0
        self._listener_errors = self._slow = 0

    # -- from anywhere -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start connecting. Returns at once."""
        if self._thread is None:
            self._detail = "starting"
            self._thread = threading.Thread(target=self._run, name=f"keep-{self.name}", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Close the connection and end the thread; False when it did not end within `timeout` seconds."""
        self._stopping = True
        self.wake()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Let the supervising thread have a round now."""
        self._events.put((None, ""))

    def reconnect(self, detail: str) -> None:
        """Drop the connection, if there is one, and make a new one after the usual wait."""
        self._events.put((None, detail))

    def status(self) -> dict[str, Any]:
        """Say how the stream does, as plain data. Ages and waits in seconds."""
        now, keeper = self._clock(), self._keeper
        return {
            "name": self.name,
            "state": keeper.state.value,
            "detail": self._detail,
            "attempts": self._attempts,
            "connects": self._connects,
            "drops": dict(self._drops),
            "back_off_s": round(keeper.delay_s, 3) if keeper.state is State.WAITING else 0.0,
            "frames": self._frames,
            "bytes": self._bytes,
            "pings": self._pings,
            "silent_s": round((now - max(self._last_life, keeper.since)) / SECOND_NS, 3),
            "listener_errors": self._listener_errors,
            "slow_listener": self._slow,
        }

    # -- from the socket's thread ------------------------------------------------------------------------------

    def report(self, attempt: _Attempt, what: str) -> None:
        """Take what an attempt says of itself."""
        self._events.put((attempt, what))

    def pinged(self, attempt: _Attempt) -> None:
        """Count a ping, or an answer to ours: the server lives, though the market be quiet."""
        if attempt is self._attempt:
            attempt.delivered = True  # on the order stream that may be all there is for hours
            self._pings += 1
            self._last_life = self._clock()

    def received(self, attempt: _Attempt, data: Any) -> None:
        """Hand a frame on."""
        if attempt is not self._attempt:
            return
        attempt.delivered = True
        self._frames += 1
        self._bytes += len(data)
        self._busy = True
        began = self._last_life = self._clock()
        try:
            self._on_message(data)
        except Exception as error:  # noqa: BLE001 - a listener's mistake must not end the stream
            self._complain("message", error)
        ended = self._last_life = self._clock()  # what waits to be read now has not been silent
        self._busy = False
        if ended - began > _SLOW_NS:
            self._slow += 1
            logger.warning("{}: a frame took {:.1f} s to handle", self.name, (ended - began) / SECOND_NS)

    # -- the supervising thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._round()
            except Exception as error:  # noqa: BLE001 - the supervisor itself must outlive anything
                self._complain("round", error)
        if self._attempt is not None:
            self._attempt.close()
            self._attempt = None
        self._detail = "stopped"

    def _round(self) -> None:
        """Take what was reported since the last round, then do what is due."""
        wait = _ROUND_S
        while True:
            try:
                attempt, what = self._events.get(timeout=wait)
            except queue.Empty:
                break
            self._take(attempt, what)
            wait = 0.0
        if self._stopping:
            return
        now, keeper = self._clock(), self._keeper
        # While a listener is at work nothing can be read: that silence is ours, not the server's.
        life = now if self._busy else self._last_life
        token = self._token()
        step = keeper.step(now, token, life, market_open=self.market_open)
        if step is Step.CONNECT:
            self._connect(now, token)
        elif step is Step.DROP_STALE:
            silent_s = (now - max(life, keeper.since)) / SECOND_NS
            self._drop(Drop.STALE, f"neither frame nor ping nor pong for {silent_s:.1f} s")
        elif step is Step.DROP_NO_ANSWER:
            self._drop(Drop.NO_ANSWER, "the handshake was never answered")
        elif keeper.state is State.OPEN and self._attempt is not None and self._attempt.socket is not None:
            self._tend(self._attempt.socket, now, life)
        elif not token:
            self._detail = "waiting for a token: log in"

    def _tend(self, socket: StreamSocket, now: int, life: int) -> None:
        """See to the open connection: ask a silent server for a sign of life, and let its owner have its round."""
        if self._keeper.asks(now, life, market_open=self.market_open):
            with contextlib.suppress(Exception):  # what cannot be written to stays silent, and is dropped for it
                socket.ping()
        if self._on_round is not None:
            self._guarded("round", self._on_round, socket.feeder)

    def _take(self, attempt: _Attempt | None, what: str) -> None:
        if attempt is None:
            if what:  # else only a call to wake up
                self._drop(Drop.ASKED, what)
            return
        if attempt is not self._attempt:
            if what == "opened":  # given up long ago, and connected after all
                attempt.close()
        elif what == "opened":
            self._connects += 1
            self._last_life = self._clock()
            self._keeper.opened(self._last_life)
            self._say(live=True, detail="connected")
        else:
            self._ended(attempt)

    def _connect(self, now: int, token: str) -> None:
        attempt = _Attempt(self)
        self._keeper.connecting(now, token)
        self._attempts += 1
        self._detail = "connecting"
        self._attempt = attempt
        try:
            attempt.socket = self._open_socket(attempt.events())
            attempt.socket.connect()
        except Exception as error:  # noqa: BLE001 - the SDK raises what it likes; each is a failed attempt
            attempt.cause = cause_of(error)
            self._ended(attempt)

    def _drop(self, reason: Drop, detail: str) -> None:
        """Give the present connection up: closed, its thread waited for, then counted as ended."""
        attempt = self._attempt
        if attempt is None:
            return
        attempt.cause = (reason, detail)
        self._ended(attempt)

    def _ended(self, attempt: _Attempt) -> None:
        self._attempt = None
        reason, detail = attempt.cause or (Drop.LOST, "connection lost")
        self._drops[reason.value] += 1
        news = self._keeper.ended(self._clock(), reason, delivered=attempt.delivered)
        if reason is not Drop.DEAD_TOKEN:
            detail = f"{detail}; next try in {self._keeper.delay_s:.1f} s"
        if news:
            self._say(live=False, detail=detail)
        attempt.close()
        if attempt.socket is not None and not attempt.socket.join(_JOIN_S):
            logger.warning("{}: the old connection's thread still hangs; it is left behind", self.name)

    def _say(self, *, live: bool, detail: str) -> None:
        self._detail = detail
        (logger.info if live else logger.warning)("{}: {}", self.name, detail)
        self._guarded("change", self._on_change, live, detail)

    def _guarded(self, what: str, call: Callable[..., None], *args: Any) -> None:
        try:
            call(*args)
        except Exception as error:  # noqa: BLE001 - a listener's mistake must not end the stream
            self._complain(what, error)

    def _complain(self, what: str, error: Exception) -> None:
        """Count a listener's exception; log the first and then every hundredth."""
        self._listener_errors += 1
        if self._listener_errors % 100 == 1:
            with contextlib.suppress(Exception):
                logger.error("{}: the listener of '{}' raised {!r}", self.name, what, error)
