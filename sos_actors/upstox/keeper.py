"""When a WebSocket is connected, given up, and connected again: decisions only, no socket, no thread, no clock."""

from __future__ import annotations

import enum
import random

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.upstox.feed_settings import StreamSettings

_NEVER = 1 << 62
#: Connecting takes several steps with the connect time-out each: TCP, TLS and handshake, twice (a redirect).
_STEPS = 4
#: First wait after a 401 or 403, seconds; it triples with each further one up to the configured wait: one refusal may
#: pass with an old connection of ours or a firewall's mood, a standing one must not be hammered.
_FIRST_REFUSAL_S = 2.0
#: Parts of the longest silence after which, and between which, a server that says nothing is asked for a sign of life:
#: that it pings by itself is documented for one stream of the two, and for neither how often.
_ASKS = 3


class Drop(enum.StrEnum):
    """Why a connection ended, or never came to be."""

    LOST = "lost"
    CLOSED = "closed by the server"
    DEAD_TOKEN = "token refused"
    FORBIDDEN = "forbidden"
    HTTP = "handshake refused"
    TLS = "TLS failed"
    STALE = "silent"
    NO_ANSWER = "no answer"
    ASKED = "asked for"


class State(enum.StrEnum):
    """Where one connection stands."""

    WAITING = "waiting"
    CONNECTING = "connecting"
    OPEN = "open"


class Step(enum.Enum):
    """What is to be done now."""

    WAIT = "wait"
    CONNECT = "connect"
    DROP_STALE = "drop: silent"
    DROP_NO_ANSWER = "drop: no answer"


class Keeper:
    """One connection's life. Times are integer ns of one monotonic clock; tokens are compared, never shown.

    Waits grow exponentially up to a cap, each with jitter, and start afresh only after a connection has lived for
    `settled_s` and delivered something, if only a ping: a server that accepts and drops at once is not hammered.
    """

    def __init__(self, settings: StreamSettings, rng: random.Random) -> None:
        self._settings = settings
        self._rng = rng
        self.state = State.WAITING
        self.since = 0
        self.delay_s = 0.0
        self._due = self._asked = 0
        self._failures = 0
        self._refusals = 0
        self._token = ""
        self._refused: str | None = None

    def step(self, now: int, token: str, last_life: int, *, market_open: bool) -> Step:
        """Say what to do. `last_life` is when a frame, a ping or a pong last came; `token` may be '' (none yet)."""
        s = self._settings
        if self.state is State.WAITING:
            new = self._refused is not None and token != self._refused
            return Step.CONNECT if token and (new or now >= self._due) else Step.WAIT
        if self.state is State.CONNECTING:
            late = now - self.since > _STEPS * s.connect_timeout_s * SECOND_NS
            return Step.DROP_NO_ANSWER if late else Step.WAIT
        silent = now - max(last_life, self.since) > self._limit_s(market_open) * SECOND_NS
        return Step.DROP_STALE if silent else Step.WAIT

    def asks(self, now: int, last_life: int, *, market_open: bool) -> bool:
        """Whether the silent server of an open connection is to be pinged now; then that counts as done."""
        since = max(last_life, self.since, self._asked)
        if self.state is not State.OPEN or (now - since) * _ASKS <= self._limit_s(market_open) * SECOND_NS:
            return False
        self._asked = now
        return True

    def _limit_s(self, market_open: bool) -> float:
        return self._settings.stale_open_s if market_open else self._settings.stale_closed_s

    def connecting(self, now: int, token: str) -> None:
        """Note that an attempt with this token has begun."""
        self.state, self.since, self._token = State.CONNECTING, now, token

    def opened(self, now: int) -> None:
        """Note that the handshake is done."""
        self.state, self.since, self._refused = State.OPEN, now, None

    def ended(self, now: int, reason: Drop, *, delivered: bool) -> bool:
        """Note the end of an attempt or a connection and set the next try. False: the same refusal as before."""
        s = self._settings
        if self.state is State.OPEN and delivered and now - self.since >= s.settled_s * SECOND_NS:
            self._failures = self._refusals = 0
        delay = min(s.backoff_cap_s, s.backoff_first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        if reason is Drop.FORBIDDEN:
            delay = max(delay, self._refusal_wait(s.forbidden_retry_s))
        news = True
        if reason is Drop.DEAD_TOKEN:
            news = self._refused != self._token
            if news:
                self._refusals = 0
            self._refused = self._token
            delay = self._refusal_wait(s.dead_token_retry_s)
        self.delay_s = delay * (1.0 - s.backoff_jitter * self._rng.random())
        never = reason is Drop.DEAD_TOKEN and not s.dead_token_retry_s
        self._due = _NEVER if never else now + round(self.delay_s * SECOND_NS)
        self.state, self.since = State.WAITING, now
        return news

    def _refusal_wait(self, most_s: float) -> float:
        wait = min(most_s, _FIRST_REFUSAL_S * 3.0 ** min(self._refusals, 30))
        self._refusals += 1
        return wait
