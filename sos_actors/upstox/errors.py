"""What can go wrong with a request to the broker, in types: what is proved, and what to do.

The broker's codes are those of its documentation ("Error codes"); what is not listed there is told apart by the HTTP
status. For an order the question is always the same: did it reach the broker? `Certainty` answers it.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import msgspec

from sos_actors.decoding import from_json
from sos_actors.errors import SosError
from sos_actors.logs import redact

_LOGIN = "log in with `python run_actors.py login`"
NO_TOKEN = f"there is no access token: {_LOGIN}"
#: The broker's codes for a token it does not accept, and for too many requests.
DEAD_TOKEN, TOO_MANY = "UDAPI100050", "UDAPI10005"
#: The broker's code for an order it does not know, also for a tag under which nothing was placed.
NO_ORDER = "UDAPI100010"


class Certainty(enum.StrEnum):
    """What a failed request proves. NEVER_SENT: it did not leave us. REFUSED: the broker said no. UNKNOWN: nothing."""

    NEVER_SENT = "NEVER_SENT"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


class BrokerError(SosError):
    """A request to the broker failed. `code` is the broker's ('' without one), `status` HTTP's (0 without one)."""

    def __init__(
        self, text: str, *, certainty: Certainty, code: str = "", status: int = 0, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(redact(text))
        self.certainty = certainty
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class TokenDeadError(BrokerError):
    """The access token is not, or no longer, good."""


class RateLimitedError(BrokerError):
    """Too many requests, says the broker or our own limiter."""


class NotAllowedError(BrokerError):
    """The broker refuses us: our address, our plan, our kind of token, our app."""


class ClosedError(BrokerError):
    """The broker does not take such requests at this hour."""


class NotFoundError(BrokerError):
    """There is no such order, instrument or path."""


class AlreadyFinalError(BrokerError):
    """The order has ended: there is nothing to modify or cancel."""


class BadRequestError(BrokerError):
    """The request itself is wrong."""


class BrokerDownError(BrokerError):
    """The broker's own fault: 5xx, maintenance."""


class NotReachedError(BrokerError):
    """No connection: the request never left us."""


class UnansweredError(BrokerError):
    """The request left us, and no whole answer came."""


class UnreadableAnswerError(BrokerError):
    """An answer came that is not what the broker's documentation describes."""


class Rule(NamedTuple):
    """How one code is told."""

    kind: type[BrokerError]
    advice: str


_BAD = Rule(BadRequestError, "")
#: The documented codes that need more than the broker's own words. Every other one is told by its HTTP status.
RULES: dict[str, Rule] = {
    "UDAPI10000": Rule(NotFoundError, "the address is wrong: look at upstox.host and upstox.order_host"),
    TOO_MANY: Rule(RateLimitedError, "too many requests; they go on after a pause"),
    "UDAPI100015": Rule(BadRequestError, "the API version is missing"),
    "UDAPI100016": Rule(TokenDeadError, f"the credentials are wrong: {_LOGIN}"),
    "UDAPI100049": Rule(NotAllowedError, "this account's plan does not allow it"),
    DEAD_TOKEN: Rule(TokenDeadError, f"the access token is no longer good: {_LOGIN}"),
    "UDAPI100057": Rule(BadRequestError, "the code is wrong or was used already: begin the log-in again"),
    "UDAPI100058": Rule(NotAllowedError, "no segment of the account is active: ask the broker"),
    "UDAPI100060": Rule(NotFoundError, "there is no such address at the broker"),
    "UDAPI100067": Rule(NotAllowedError, "an extended token cannot do this: log in for a day's token"),
    "UDAPI100068": Rule(BadRequestError, "check the app's key and redirect_uri: both must be as registered"),
    "UDAPI100069": Rule(BadRequestError, "check the app's key and secret"),
    "UDAPI100070": Rule(BadRequestError, "login.redirect_uri must be letter by letter as registered with the app"),
    "UDAPI100072": Rule(ClosedError, "funds are not told from 00:00 to 05:30 IST"),
    "UDAPI100073": Rule(NotAllowedError, "the app is switched off: activate it on the broker's developer page"),
    "UDAPI100074": Rule(ClosedError, "orders are not taken from 00:00 to 05:30 IST"),
    "UDAPI100500": Rule(BrokerDownError, "a fault at the broker"),
    "UDAPI1113": Rule(ClosedError, "the market is closed"),
    "UDAPI1123": Rule(BadRequestError, "register a notifier address with the app first"),
    "UDAPI1124": Rule(NotAllowedError, "only an individual's account can request a token"),
    "UDAPI1149": Rule(NotAllowedError, "expired contracts need the plan Upstox Plus"),
    "UDAPI1154": Rule(NotAllowedError, "register this machine's address with the broker as a static IP"),
    "UDAPI1158": Rule(BadRequestError, "a market order needs market protection (gateway.protection)"),
    "UDAPI1159": Rule(BadRequestError, "market protection is 25 % at most (gateway.protection)"),
    "UDAPI1160": Rule(BadRequestError, "market protection is wrong (gateway.protection)"),
    "UDAPI1161": Rule(NotAllowedError, "orders of this exchange are not taken from an API"),
    NO_ORDER: Rule(NotFoundError, "there is no such order today"),
    "UDAPI100011": Rule(NotFoundError, "the broker does not know the instrument: refresh the instrument master"),
    "UDAPI1087": Rule(NotFoundError, "the broker does not know the instrument: refresh the instrument master"),
    "UDAPI100040": Rule(AlreadyFinalError, "the order has ended"),
    "UDAPI100041": Rule(AlreadyFinalError, "the order has ended"),
    "UDAPI1179": Rule(NotAllowedError, "register this machine's address with the broker as a static IP"),
}
_BY_STATUS: dict[int, Rule] = {
    400: _BAD,
    401: Rule(TokenDeadError, f"the access token is not accepted: {_LOGIN}"),
    403: Rule(NotAllowedError, "the broker refuses this machine or token: static IP registered? too many connections?"),
    404: Rule(NotFoundError, ""),
    405: _BAD,
    422: _BAD,
    423: Rule(NotAllowedError, "the account or the resource is locked"),
    429: Rule(RateLimitedError, "too many requests; they go on after a pause"),
}
#: The code that goes with a status where the answer names none, so that whoever judges codes need not know HTTP.
_CODES = {401: DEAD_TOKEN, 429: TOO_MANY}


class _Entry(msgspec.Struct):
    """One error of the broker's envelope. Both spellings occur, alone or together."""

    error_code: str | None = None
    errorCode: str | None = None  # noqa: N815 - the broker's name
    message: str | None = None


class _Envelope(msgspec.Struct):
    errors: list[_Entry] | None = None


def read_envelope(body: bytes | None) -> tuple[str, str] | None:
    """Give (code, message) of the broker's error envelope; None where the body is none (HTML, empty, cut)."""
    try:
        envelope = from_json(body or b"", _Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not envelope.errors:
        return None
    first = envelope.errors[0]
    return first.error_code or first.errorCode or "", first.message or ""


def error_of_answer(what: str, status: int, body: bytes | None, headers: Any = None) -> BrokerError:
    """Make the error of an HTTP answer outside 2xx. `what` names the request in words, e.g. 'place order'.

    A 4xx in the broker's own words is a proof. One without them (HTML of whatever stands before the broker) proves
    nothing about an order, except 401 and 429, which are answered before a request is looked at. 5xx proves nothing.
    """
    told = read_envelope(body)
    code, message = told if told is not None else ("", "")
    rule = RULES.get(code) or _BY_STATUS.get(status)
    if rule is None:
        rule = Rule(BrokerDownError, "a fault at the broker") if status >= 500 else _BAD
    refused = status in {401, 429} or (400 <= status < 500 and told is not None)
    words = message.rstrip(". ") or ("an answer that is not the broker's own" if told is None else "no reason given")
    text = f"{what}: {words} ({code or f'HTTP {status}'})" + (f": {rule.advice}" if rule.advice else "")
    return rule.kind(
        text,
        certainty=Certainty.REFUSED if refused else Certainty.UNKNOWN,
        code=code or _CODES.get(status, ""),
        status=status,
        retry_after_s=_retry_after(headers) if rule.kind is RateLimitedError else 0.0,
    )


def _retry_after(headers: Any) -> float:
    value = str(headers.get("Retry-After", "")) if hasattr(headers, "get") else ""
    return float(value) if value.isdecimal() else 0.0
