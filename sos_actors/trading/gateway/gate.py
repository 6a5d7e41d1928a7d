"""What keeps entries out: each reason by itself, all of them together one answer. Exits do not pass here."""

from __future__ import annotations

from sos_actors.market.clocktime import DAY_NS, clock_ns, ist_text, ns_of_day
from sos_actors.messages import AlertLevel, CommandAnswered
from sos_actors.trading.gateway.table import OrderTable
from sos_actors.trading.gateway.verdicts import Verdict

#: Indian time of day from which the broker takes orders; from midnight until then it takes none.
_MORNING = clock_ns("05:30")


class EntryGate:
    """Why nothing may be entered now. `differences` are those between our books and the broker's."""

    def __init__(self, table: OrderTable) -> None:
        self._table = table
        self.differences: tuple[str, ...] = ()
        self.stopped = ""
        self.token_dead = False
        self.stream_live = False

    def reason(self) -> str:
        """Give the first reason that keeps entries out; '' where there is none."""
        if self.stopped:
            return f"stopped: {self.stopped}"
        if self.token_dead:
            return "the broker does not accept the token: log in again"
        if self.night():
            return "the broker takes no orders between 00:00 and 05:30"
        if self.differences:
            return f"our books and the broker's differ: {self.differences[0]}"
        if self._table.settings.need_stream and not self.stream_live:
            return "the order stream is down"
        return ""

    def night(self) -> bool:
        """Whether the broker takes no orders at this time of day."""
        return ns_of_day(self._table.now) < _MORNING

    def morning(self) -> int:
        """Give the time at which the broker next takes orders, UTC ns."""
        now = self._table.now
        since_midnight = ns_of_day(now)
        return now - since_midnight + _MORNING + (0 if since_midnight < _MORNING else DAY_NS)

    def refused(self, verdict: Verdict, answer: CommandAnswered) -> None:
        """Draw the consequences of a refusal for what comes after it; say so once."""
        if verdict is Verdict.TOKEN and not self.token_dead:
            self.token_dead = True
            self._table.alert(
                AlertLevel.CRITICAL,
                "the broker does not accept the token: no entries, exits are tried on; log in again",
            )
        elif verdict is Verdict.CLOSED and not self.stopped:
            words = " ".join(f"{answer.code} {answer.detail}".split()) or "a refusal without a code"
            self.stopped = f"the order host refused with {words}"
            self._table.alert(
                AlertLevel.CRITICAL,
                f"{self.stopped}: no entries any more; check that this machine's address is the one registered with"
                f" the broker for orders, then set the state to ACTIVE ({ist_text(self._table.now)})",
            )

    def proved(self) -> None:
        """Note that the broker took or answered something: the token lives."""
        if self.token_dead:
            self.token_dead = False
            self._table.alert(AlertLevel.INFO, "the broker accepts the token again")

    def resume(self) -> None:
        """Let entries pass again after a stop: the operator has seen to its cause."""
        self.stopped = ""
