"""What every request passes before it is worked on, faults, rate limits, token, address, night, and on its way out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, clock_ns, ns_of_day
from sos_actors.messages.base import Word
from sos_actors.sandbox.exchange.agenda import Delays
from sos_actors.sandbox.exchange.answers import Answer, AnswerKind, Refusal, page
from sos_actors.sandbox.exchange.faults import FaultDice
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.stream import Stream

#: Failures of any request that are not carried out, by their fault.
_FAILURES: dict[str, Callable[[], Answer]] = {
    "too_many": lambda: Refusal("10005", status=429).answer(),
    "server_error": lambda: Refusal("100500", status=500).answer(),
    "bad_gateway": lambda: page(502, "502 Bad Gateway"),
    "forbidden": lambda: page(403, "Access denied"),
}
_WINDOWS = (SECOND_NS, MINUTE_NS, 30 * MINUTE_NS)
_MS = 1_000_000


class Token(Word):
    """What kind of access token a request carries; NONE is a missing, wrong or dead one."""

    DAILY = "DAILY"
    EXTENDED = "EXTENDED"
    ANALYTICS = "ANALYTICS"
    NONE = "NONE"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: from which address ('' passes for the registered one) and with what token."""

    ip: str = ""
    token: Token = Token.DAILY


#: The account's owner at the registered address.
OWNER = Caller()


class Class(Word):
    """Kinds of request. ORDER and BULK write; READ and FUNDS read the account, MARKET what everybody sees."""

    ORDER = "ORDER"
    BULK = "BULK"
    READ = "READ"
    FUNDS = "FUNDS"
    MARKET = "MARKET"


_WRITES = frozenset({Class.ORDER, Class.BULK})


class RateWindow:
    """Requests of the last second, minute and half hour against their limits; 0 is no limit."""

    def __init__(self, limits: tuple[int, int, int]) -> None:
        self._limits = limits
        self._seen: deque[int] = deque(maxlen=max(1, *limits))

    def allows(self, now: int) -> bool:
        """Count a request at `now`; False when it is one too many (those do not count)."""
        for limit, window in zip(self._limits, _WINDOWS, strict=True):
            if limit and len(self._seen) >= limit and self._seen[-limit] > now - window:
                return False
        self._seen.append(now)
        return True


class Gate:
    """The way in and out of the broker. `addresses` are the registered ones, looked at anew on every request."""

    def __init__(
        self,
        settings: ExchangeSettings,
        delays: Delays,
        faults: FaultDice,
        stream: Stream,
        addresses: Callable[[], tuple[str, ...]],
    ) -> None:
        rates = settings.rates
        self._settings = settings
        self._delays = delays
        self._faults = faults
        self._stream = stream
        self._addresses = addresses
        self._night = clock_ns(settings.day.night_until)
        self._orders, self._bulk = RateWindow(rates.orders), RateWindow(rates.bulk)
        self._reads: dict[str, RateWindow] = {}
        self._down_until = 0

    def restart(self, now: int, seconds: float) -> None:
        """Let the broker's front end restart: streams die, requests get 503 until it is back; the books survive."""
        self._down_until = now + int(seconds * SECOND_NS)
        self._stream.disconnect(now)

    def pass_through(self, kind: Class, name: str, now: int, caller: Caller, work: Callable[[int], Answer]) -> Answer:
        """Give the answer to a request; `work(latency_ms)` carries it out and raises Refusal to refuse it."""
        delay = self._delays.draw("answer_ms")
        answer = self._fault(kind, now)
        if answer is None:
            try:
                self._check(kind, name, now, caller)
                answer = work(delay // _MS)
            except Refusal as refusal:
                answer = refusal.answer()
                if refusal.status == 429 and self._settings.rates.retry_after_s:
                    answer = msgspec.structs.replace(
                        answer, headers={"Retry-After": str(self._settings.rates.retry_after_s)}
                    )
            else:
                answer = self._after(kind, answer)
        if self._faults.hit("slow_answer"):
            delay += int(self._faults.menu.slow_answer_s * SECOND_NS)
        return msgspec.structs.replace(answer, delay_ns=answer.delay_ns + delay)

    def _fault(self, kind: Class, now: int) -> Answer | None:
        """Something that stops a request before it is worked on; None when nothing does."""
        hit, menu = self._faults.hit, self._faults.menu
        if hit("restart"):
            self.restart(now, menu.restart_s)
        if now < self._down_until:
            return page(503, "503 Service Temporarily Unavailable")
        if kind in _WRITES and hit("drop_before_accept"):
            return Answer(kind=AnswerKind.DROP_BEFORE_ACCEPT)
        failure = next((name for name in _FAILURES if hit(name)), None)
        return _FAILURES[failure]() if failure else None

    def _after(self, kind: Class, answer: Answer) -> Answer:
        """Something that keeps the answer of a write that was carried out from its caller."""
        if kind in _WRITES:
            if self._faults.hit("drop_after_accept"):
                return msgspec.structs.replace(answer, kind=AnswerKind.DROP_AFTER_ACCEPT)
            if self._faults.hit("bad_gateway_after"):
                return page(502, "502 Bad Gateway")
        return answer

    def _check(self, kind: Class, name: str, now: int, caller: Caller) -> None:
        if not self._window(kind, name).allows(now):
            raise Refusal("10005", status=429)
        if caller.token is Token.NONE:
            raise Refusal("100050", status=401)
        night = ns_of_day(now) < self._night
        if kind is Class.FUNDS and night:
            raise Refusal("100072", status=423)
        if kind in _WRITES:
            if caller.token is not Token.DAILY:
                raise Refusal("100067", status=403)
            addresses = self._addresses()
            if caller.ip and addresses and caller.ip not in addresses:
                raise Refusal("1154", status=403)
            if night:
                raise Refusal("100074", status=423)

    def _window(self, kind: Class, name: str) -> RateWindow:
        if kind is Class.ORDER:
            return self._orders
        if kind is Class.BULK:
            return self._bulk
        return self._reads.setdefault(name, RateWindow(self._settings.rates.reads))
