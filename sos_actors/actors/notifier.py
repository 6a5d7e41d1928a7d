"""NotifierActor: what a person should hear of, in one line each, to wherever it is told."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from sos_actors.market.clocktime import ist_plain
from sos_actors.market.rupees import rupees
from sos_actors.messages import (
    AccountDiffered,
    ActorBenched,
    ActorFailed,
    ActorReinstated,
    AlertLevel,
    AlertRaised,
    ClockStepped,
    FeedStatus,
    Fill,
    OrderStreamChanged,
    Phase,
    Refused,
    SessionPhase,
    SetTradingState,
    TradeClosed,
)
from sos_actors.runtime import Actor, handles

_KEPT = 50


class Event(NamedTuple):
    """One line worth hearing. `ts` UTC ns, `who` an actor's path or a part of the system.

    `kind` is 'trade' for a closed trade, 'refusal' for a signal that was not entered, 'summary' for what a day came to,
    else empty.
    """

    ts: int
    level: AlertLevel
    who: str
    text: str
    kind: str = ""


class NotifierActor(Actor):
    """Turns what happens into lines and gives each to `tell`; keeps the last ones for whoever asks.

    `tell` must be quick and must not raise: it belongs on a thread of its own where it is slow.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        super().__init__()
        self._tell = tell
        self._last: deque[Event] = deque(maxlen=_KEPT)
        self._feeds: dict[str, bool] = {}
        self._nets: list[int] = []
        #: By strategy, underlying and reason: how often it was refused today.
        self._refused: Counter[tuple[str, str, str]] = Counter()
        self._differed = False
        for kind in type(self).handler_names:
            self.subscribe(kind)

    def _say(self, ts: int, level: AlertLevel, who: str, text: str, kind: str = "") -> None:
        event = Event(ts, level, who, text, kind)
        self._last.append(event)
        self._tell(event)

    @handles(AlertRaised)
    def on_alert(self, message: AlertRaised) -> None:
        """Pass on what an actor wants heard."""
        self._say(message.ts, message.level, message.source, message.text)

    @handles(ActorFailed)
    def on_failed(self, message: ActorFailed) -> None:
        """Tell of a handler that raised."""
        self._say(message.ts, AlertLevel.WARNING, message.path, f"failed on {message.message_type}: {message.error}")

    @handles(ActorBenched)
    def on_benched(self, message: ActorBenched) -> None:
        """Tell of an actor that was taken out."""
        self._say(message.ts, AlertLevel.CRITICAL, message.path, f"taken out: {message.reason}")

    @handles(ActorReinstated)
    def on_reinstated(self, message: ActorReinstated) -> None:
        """Tell of an actor that was taken back."""
        self._say(message.ts, AlertLevel.INFO, message.path, f"at work again: {message.reason}")

    @handles(ClockStepped)
    def on_step(self, message: ClockStepped) -> None:
        """Tell that the system's clock was set."""
        seconds = message.by / 1e9
        text = f"was set by {seconds:+.3f} s; ours " + ("went with it" if message.followed else "did not go back")
        self._say(message.ts, AlertLevel.WARNING, "system clock", text)

    @handles(AccountDiffered)
    def on_differed(self, message: AccountDiffered) -> None:
        """Tell how our books and the broker's differ, or that they agree again."""
        found = message.differences[1:] if message.starting else message.differences
        for line in found:
            self._say(message.ts, AlertLevel.CRITICAL, "account", f"differs from the broker: {line}")
        if not message.differences:
            self._say(message.ts, AlertLevel.INFO, "account", "agrees with the broker" + " again" * self._differed)
        self._differed = bool(found) or (self._differed and message.starting)

    @handles(FeedStatus)
    def on_feed(self, message: FeedStatus) -> None:
        """Tell when an underlying's data goes stale, and when it is live again; not that it still is."""
        before = self._feeds.get(message.underlying)
        self._feeds[message.underlying] = message.live
        if before is not None and before != message.live:
            level = AlertLevel.INFO if message.live else AlertLevel.WARNING
            text = message.detail or f"market data is {'live' if message.live else 'stale'}"
            self._say(message.ts, level, message.underlying, text)

    @handles(OrderStreamChanged)
    def on_stream(self, message: OrderStreamChanged) -> None:
        """Tell of the order stream's coming and going."""
        level = AlertLevel.INFO if message.live else AlertLevel.WARNING
        self._say(message.ts, level, "order stream", message.detail or ("live" if message.live else "lost"))

    @handles(Fill)
    def on_fill(self, message: Fill) -> None:
        """Tell of an execution, and of which order: its id begins with the strategy's name, and `why` explains it."""
        price = f"at {message.price:.2f}" if message.price else "at a price nobody knows"
        text = f"{message.side} {message.quantity} {message.instrument} {price}, {message.order_id}"
        self._say(message.ts, AlertLevel.INFO, "fill", text)

    @handles(TradeClosed)
    def on_trade(self, message: TradeClosed) -> None:
        """Tell what a trade came to."""
        net = message.net_paise / 100
        text = f"{message.instrument} closed by {message.exit_reason}: net {rupees(net)} rupees"
        self._nets.append(message.net_paise)
        self._say(message.exit_ts, AlertLevel.INFO, message.strategy, text, "trade")

    @handles(Refused)
    def on_refused(self, message: Refused) -> None:
        """Tell the first time a day that a strategy was refused for a reason; the summary counts them all."""
        key = (message.strategy, message.underlying, message.reason.value)
        self._refused[key] += 1
        if self._refused[key] == 1:
            text = f"{message.underlying} not entered: {message.reason}: {message.detail}"
            self._say(message.ts, AlertLevel.INFO, message.strategy, text, "refusal")

    @handles(SetTradingState)
    def on_state(self, message: SetTradingState) -> None:
        """Tell what may be done from now on."""
        scope = " ".join(filter(None, (message.strategy, message.underlying))) or "account"
        self._say(self.clock.now, AlertLevel.WARNING, scope, f"{message.state}: {message.reason}")

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Tell the parts of the day, and at its end what it came to."""
        if message.phase is Phase.PRE_OPEN:
            self._nets.clear()
            self._refused.clear()
            return
        self._say(message.ts, AlertLevel.INFO, "session", f"{message.day} {message.phase}")
        if message.phase is Phase.CLOSED:
            nets = self._nets
            won = sum(net > 0 for net in nets)
            text = f"{message.day}: {len(nets)} trades, {won} won, net {rupees(sum(nets) / 100)} rupees"
            text += f"; {self._refused.total()} signals refused" if self._refused else ""
            self._say(message.ts, AlertLevel.INFO, "day", text, "summary")

    def inspect(self) -> dict[str, Any]:
        """Give the last lines, newest first."""
        return {
            "events": [
                {
                    "at": ist_plain(one.ts),
                    "who": one.who,
                    "what": one.text,
                    "level": one.level.value,
                }
                for one in reversed(self._last)
            ]
        }
