"""Watches the places a token may come from, so that a new log-in reaches the running daemon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_text
from sos_actors.upstox.tokens import Token, TokenStore, find_token

#: Real seconds between two looks.
_LOOK_S = 2.0


class TokenWatch:
    """Gives every new token to `use`, from a thread of its own, and warns once when the present one has died.

    One that a log-in stores while this runs goes before what comes from anywhere else: the broker may have revoked
    that, which the token itself does not show.
    """

    def __init__(self, home: Path, now: Callable[[], int], use: Callable[[Token], None]) -> None:
        """`now` gives the daemon's time, UTC ns: a stand-in's tokens live in the stand-in's time."""
        self._home = home
        self._now = now
        self._use = use
        self._token: Token | None = None
        self._trouble = ""
        self._refused: set[str] = set()
        self._owner = ""
        #: What the store had at the first look, '' for nothing; None before it.
        self._stored: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="sos-token", daemon=True)

    def start(self) -> Token | None:
        """Look once now, then go on looking; gives the living token there is, if any."""
        self.look()
        self._thread.start()
        return self.token

    @property
    def token(self) -> Token | None:
        """The token in use, None without a living one."""
        token = self._token
        good = token is not None and token.secret not in self._refused and token.alive(self._now())
        return token if good else None

    def refuse(self, why: str) -> None:
        """Take the present token for dead: the broker said so. Another one is waited for."""
        if self._token is not None:
            self._refused.add(self._token.secret)
        self._complain(why)

    def belong(self, owner: str) -> None:
        """From now on take no token that is said to be another user's: whoever trades has positions in one account."""
        self._owner = owner

    @property
    def trouble(self) -> str:
        """Why there is no living token, one line; '' when there is."""
        return self._trouble

    def look(self) -> None:
        """Look for a token, and take one that is new and alive."""
        now = self._now()
        try:
            token = self._logged_in(now) or find_token(self._home, now, refused=self._refused)
        except InputError as error:
            self._complain(str(error))
            return
        if token is None or not token.alive(now):
            died = "nobody is logged in" if token is None else f"the access token died at {ist_text(token.expires_at)}"
            self._complain(f"{died}: log in with `python run_actors.py login`")
            return
        if token.secret in self._refused:
            return
        if self._owner and token.user_id not in {"", self._owner}:
            self._complain(f"the new access token is {token.user_id}'s, not taken: log in as {self._owner}")
            return
        self._trouble = ""
        if self._token is None or token.secret != self._token.secret:
            self._token = token
            logger.info("access token of {} until {}", token.user_id or "unknown", ist_text(token.expires_at))
            self._use(token)

    def wait(self, stop: threading.Event, patience_s: float = 0.0) -> Token | None:
        """Wait until there is a living token or `stop` is set; raises InputError after `patience_s` (0: never)."""
        deadline = time.monotonic() + patience_s if patience_s else float("inf")
        while self.token is None and not stop.wait(0.2):
            if time.monotonic() > deadline:
                raise InputError(f"no log-in within {patience_s:g} s (live.login_wait_s): {self._trouble}")
        return self.token

    def stop(self) -> None:
        """Stop looking."""
        self._stopped.set()

    def _logged_in(self, now: int) -> Token | None:
        """Give the living token of a log-in since the first look."""
        try:
            stored = TokenStore(self._home).load()
        except InputError:  # told where no other place has a token
            return None
        secret = "" if stored is None else stored.secret
        if self._stored is None:
            self._stored = secret
        good = stored is not None and stored.alive(now) and secret not in self._refused
        return stored if good and secret != self._stored else None

    def _complain(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            logger.warning("{}", text)

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_S):
            self.look()
