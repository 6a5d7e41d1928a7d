"""The actor that looks on for the pages: it hears what is published, keeps the day, says nothing.

It runs in a group (thread) of its own, so that whatever it does costs the trading actors one more entry in a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sos_actors.market.clocktime import ist_date
from sos_actors.market.ids import index_id
from sos_actors.messages import (
    AccountMarked,
    ActorBenched,
    ActorFailed,
    AlertRaised,
    Bar,
    ChainSnapshot,
    ContractsChosen,
    MarketStructure,
    OrderIntent,
    Phase,
    Refused,
    SessionPhase,
    SetTradingState,
    Signal,
    TradeClosed,
)
from sos_actors.runtime import Actor, Runtime, handles
from sos_actors.web.daybook import DayBook

#: Group of the observer, whatever the configuration says of the rest.
GROUP = "observer"


class Observed:
    """Where the observer leaves the day under way: `book` is replaced when a new one begins."""

    def __init__(self) -> None:
        self.book = DayBook()


class ObserverActor(Actor):
    """Hears prices, decisions and failures, and writes them into the day's book, which outlives a restart of it."""

    def __init__(self, seen: Observed, underlyings: Iterable[str], contracts: Iterable[str] = ()) -> None:
        """`contracts` are heard from the start; what is chosen or traded later, from then on."""
        super().__init__()
        self._seen = seen
        self._options: set[str] = set()
        keyed: tuple[type, ...] = (ChainSnapshot, MarketStructure, Signal, ContractsChosen)
        for name in underlyings:
            self.subscribe(Bar, index_id(name))
            for kind in keyed:
                self.subscribe(kind, name)
        for kind in type(self).handler_names:
            if kind is not Bar and kind not in keyed:
                self.subscribe(kind)
        for instrument in contracts:
            self._hear(instrument)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Begin a new day's book."""
        if message.phase is Phase.PRE_OPEN and self._seen.book.day != message.day:
            self._seen.book = DayBook(message.day)
        self._note(message.ts, "session", message.phase.value.replace("_", " ").lower())

    @handles(Bar)
    def on_bar(self, message: Bar) -> None:
        """Keep a bar."""
        book = self._seen.book
        if book.day is None or ist_date(message.start) == book.day:
            book.add_bar(message)

    @handles(ChainSnapshot)
    def on_chain(self, message: ChainSnapshot) -> None:
        """Keep a minute of a chain."""
        self._seen.book.add_chain(message)

    @handles(MarketStructure)
    def on_structure(self, message: MarketStructure) -> None:
        """Keep the levels."""
        self._seen.book.structures[message.underlying] = message

    @handles(ContractsChosen)
    def on_chosen(self, message: ContractsChosen) -> None:
        """Hear the bars of the contracts that are followed."""
        for instrument in message.instruments:
            self._hear(instrument)

    @handles(OrderIntent)
    def on_intent(self, message: OrderIntent) -> None:
        """Keep the plan, and hear the contract's bars."""
        self._seen.book.add_intent(message)
        self._hear(message.plan.instrument)

    @handles(Signal)
    def on_signal(self, message: Signal) -> None:
        """Keep a signal."""
        self._seen.book.signals.append(message)

    @handles(Refused)
    def on_refused(self, message: Refused) -> None:
        """Keep a refusal."""
        self._seen.book.refusals.append(message)

    @handles(TradeClosed)
    def on_trade(self, message: TradeClosed) -> None:
        """Keep a round trip."""
        self._seen.book.trades.append(message)

    @handles(AccountMarked)
    def on_mark(self, message: AccountMarked) -> None:
        """Keep a mark of the account."""
        self._seen.book.marks.append(message)

    @handles(SetTradingState)
    def on_state(self, message: SetTradingState) -> None:
        """Note who may trade from now on."""
        what = f"{message.state.value}: {message.reason}"
        self._note(self.clock.now, message.strategy or message.underlying or "account", what)

    @handles(ActorFailed)
    def on_failed(self, message: ActorFailed) -> None:
        """Note a failure."""
        self._note(message.ts, message.path, f"failed on {message.message_type}: {message.error}")

    @handles(ActorBenched)
    def on_benched(self, message: ActorBenched) -> None:
        """Note who was taken out."""
        self._note(message.ts, message.path, f"benched: {message.reason}")

    @handles(AlertRaised)
    def on_alert(self, message: AlertRaised) -> None:
        """Note an alert."""
        self._note(message.ts, message.source, f"{message.level.value}: {message.text}")

    def _note(self, ts: int, who: str, what: str) -> None:
        self._seen.book.events.append((ts, who, what))

    def _hear(self, instrument: str) -> None:
        if instrument not in self._options:
            self._options.add(instrument)
            self.subscribe(Bar, instrument)

    def inspect(self) -> dict[str, Any]:
        """Say how much was seen today."""
        book = self._seen.book
        return {
            "day": str(book.day or ""),
            "bars": sum(map(len, book.bars.values())),
            "chains": sum(map(len, book.chains.values())),
            "signals": len(book.signals),
            "contracts": len(self._options),
        }


def spawn_observer(
    runtime: Runtime, underlyings: Iterable[str], contracts: Iterable[str] = ()
) -> Callable[[], DayBook]:
    """Spawn the observer as `observer`; gives what gives the book of the day under way."""
    seen = Observed()
    runtime.spawn(ObserverActor, "observer", seen, tuple(underlyings), tuple(contracts), group=GROUP)
    return lambda: seen.book
