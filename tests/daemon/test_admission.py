"""The way in at the broker: what passes is waited for, what does not is said, and whose account it is is made sure."""

import threading
import time

import pytest
from loguru import logger

from sos_actors.daemon import admission
from sos_actors.daemon.admission import Admission
from sos_actors.errors import DataError, InputError
from sos_actors.upstox.account import Funds, Profile
from sos_actors.upstox.errors import (
    BrokerDownError,
    Certainty,
    ClosedError,
    NotAllowedError,
    NotFoundError,
    NotReachedError,
    TokenDeadError,
)
from sos_actors.upstox.tokens import Token

MINE = Profile("AB1234", "A", ("NFO",), True)
MONEY = Funds(1234.56, 0.0)


def error(kind, text="no"):
    return kind(text, certainty=Certainty.UNKNOWN)


class Account:
    """Says one thing after the other, the last of them for ever."""

    def __init__(self, profiles=(MINE,), funds=(MONEY,)):
        self._profiles, self._funds = list(profiles), list(funds)

    def profile(self):
        return self._next(self._profiles)

    def funds(self):
        return self._next(self._funds)

    @staticmethod
    def _next(said):
        one = said.pop(0) if len(said) > 1 else said[0]
        if isinstance(one, Exception):
            raise one
        return one


class Tokens:
    """A login that gives another token after each that was refused, and none after the last."""

    def __init__(self, *secrets):
        self.left, self.refused = list(secrets or ("first",)), []

    def wait(self, stop, patience_s):
        return Token(secret=self.left[0], user_id="OF-TOKEN", expires_at=1) if self.left else None

    def refuse(self, why):
        self.refused.append((self.left.pop(0), why))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(admission, "_FIRST_S", 0.001)
    monkeypatch.setattr(admission, "_LONGEST_S", 0.002)


@pytest.fixture
def said():
    lines = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


def admit(account, tokens=None, wanted="", stop=None):
    one = Admission(tokens or Tokens(), account, stop or threading.Event())
    return one.enter(wanted, 0.0), one


@pytest.mark.parametrize("kind", [BrokerDownError, NotReachedError, ClosedError])
def test_what_passes_is_waited_for_and_said_once(kind, said):
    troubles = [error(kind, "the broker sleeps")] * 4
    found, one = admit(Account([*troubles, MINE], [*troubles, Funds(10.0, 0.0)]))
    assert found == ("AB1234", 1000)
    assert one.trouble == ""
    assert [line.strip() for line in said] == ["the start waits: the broker sleeps"]


def test_what_does_not_pass_is_raised():
    with pytest.raises(NotAllowedError):
        admit(Account([error(NotAllowedError)]))


def test_a_token_the_broker_refuses_makes_way_for_the_next():
    tokens = Tokens("dead", "alive")
    found, _ = admit(Account([error(TokenDeadError, "dead"), MINE]), tokens)
    assert found == ("AB1234", 123456)
    assert tokens.refused == [("dead", "dead")]


def test_another_account_than_the_one_typed_is_refused():
    with pytest.raises(InputError, match="the token is AB1234's"):
        admit(Account(), wanted="XX0000")
    assert admit(Account(), wanted="AB1234")[0] == ("AB1234", 123456)


def test_where_the_broker_does_not_tell_the_token_says_whose_it_is():
    nobody = Account([error(NotFoundError)])
    assert admit(nobody)[0] == ("OF-TOKEN", 123456)
    with pytest.raises(InputError, match="OF-TOKEN"):
        admit(nobody, wanted="AB1234")


def test_a_stop_ends_the_waiting():
    stop = threading.Event()
    one = Admission(Tokens(), Account([error(BrokerDownError)]), stop)
    found = []
    waiting = threading.Thread(target=lambda: found.append(one.enter("", 0.0)))
    waiting.start()
    while not one.trouble:
        time.sleep(0.01)
    stop.set()
    waiting.join(20.0)
    assert found == [None]


def test_instruments_that_cannot_be_had_yet_are_waited_for():
    one, tries = Admission(Tokens(), Account(), threading.Event()), []

    def fetch():
        tries.append(1)
        if len(tries) < 3:
            raise DataError("the server answered HTTP 503")
        return "table"

    assert one.patiently(fetch) == "table"
    assert len(tries) == 3
