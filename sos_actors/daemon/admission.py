"""How a start gets in at the broker: a token it accepts, whose account that is, and patience with what passes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from loguru import logger

from sos_actors.daemon.token_watch import TokenWatch
from sos_actors.errors import DataError, InputError, SosError
from sos_actors.market.rupees import rupees
from sos_actors.upstox.account import UpstoxAccount
from sos_actors.upstox.errors import (
    BrokerDownError,
    ClosedError,
    NotFoundError,
    NotReachedError,
    RateLimitedError,
    TokenDeadError,
    UnansweredError,
    UnreadableAnswerError,
)
from sos_actors.upstox.tokens import Token

T = TypeVar("T")
#: What will pass by itself: a broker that is down, out of reach, busy, or closed for the night (00:00 to 05:30 IST).
PASSING = (
    BrokerDownError, NotReachedError, UnansweredError, UnreadableAnswerError, RateLimitedError, ClosedError, DataError,
)  # fmt: skip
#: Real seconds between the first two tries; they double up to the longest.
_FIRST_S, _LONGEST_S = 1.0, 10.0
#: Whose account it is where the broker does not tell and the token does not say.
_NAMELESS = "account"


class Admission:
    """One start's way in. Both calls block, and give None once `stop` is set. `trouble`: what keeps us out, or ''."""

    def __init__(self, tokens: TokenWatch, account: UpstoxAccount, stop: threading.Event) -> None:
        self._tokens, self._account, self._stop = tokens, account, stop
        self.trouble = ""

    def enter(self, wanted: str, patience_s: float) -> tuple[str, int] | None:
        """Wait for a token the broker accepts; gives whose account it is and its free money in paise.

        Raises InputError when the account is not the `wanted` one ('': any), or after `patience_s` without a log-in
        (0: never).
        """
        while (token := self._tokens.wait(self._stop, patience_s)) is not None:
            try:
                return self.patiently(partial(self._ask, token, wanted))
            except TokenDeadError as error:
                self._tokens.refuse(str(error))
        return None

    def patiently(self, ask: Callable[[], T]) -> T | None:
        """Give what `ask` gives, however often it has to be tried; what does not pass by itself is raised."""
        wait = _FIRST_S
        while not self._stop.is_set():
            try:
                found = ask()
            except PASSING as error:
                self._complain(error)
            else:
                self.trouble = ""
                return found
            self._stop.wait(wait)
            wait = min(wait * 2.0, _LONGEST_S)
        return None

    def _ask(self, token: Token, wanted: str) -> tuple[str, int]:
        try:
            owner = self._account.profile().user_id
        except NotFoundError:  # a stand-in need not tell
            owner = token.user_id or _NAMELESS
        if wanted and owner != wanted:
            raise InputError(f"--account {wanted}: the broker says the token is {owner}'s: log in as {wanted}")
        funds = self._account.funds()
        logger.info("account {}, {} rupees free", owner, rupees(funds.available))
        return owner, round(funds.available * 100)

    def _complain(self, error: SosError) -> None:
        """Say what keeps us out, once."""
        if str(error) != self.trouble:
            logger.warning("the start waits: {}", error)
        self.trouble = str(error)
