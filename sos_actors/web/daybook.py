"""A day as an observer saw it: what the pages show, of a live day and of a stored one alike.

One thread writes, any number read: lists are only ever appended to and messages are immutable, so a reader that takes
a list's copy has a whole picture of a moment. What was done before a restart is put before the rest, once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sos_actors.market.clocktime import ist_date
from sos_actors.messages import (
    AccountMarked,
    ActorBenched,
    ActorFailed,
    ActorReinstated,
    AlertRaised,
    Bar,
    ChainSnapshot,
    Fill,
    MarketStructure,
    OrderIntent,
    Phase,
    Refused,
    SessionPhase,
    SetTradingState,
    Signal,
    SignalExplained,
    SubmitOrder,
    TradeClosed,
    TradePlan,
)

T = TypeVar("T")


class DayBook:
    """One day: prices, chains, decisions and what came of them, oldest first."""

    def __init__(self, day: dt.date | None = None) -> None:
        self.day = day
        self.bars: dict[str, list[Bar]] = {}
        self.chains: dict[str, list[ChainSnapshot]] = {}
        self.structures: dict[str, MarketStructure] = {}
        self.plans: dict[str, TradePlan] = {}
        self.signals: list[Signal] = []
        self.explained: list[SignalExplained] = []
        self.orders: list[SubmitOrder] = []
        self.fills: list[Fill] = []
        self.refusals: list[Refused] = []
        self.trades: list[TradeClosed] = []
        self.marks: list[AccountMarked] = []
        self.events: list[tuple[int, str, str]] = []

    def add_bar(self, bar: Bar) -> None:
        """Keep a bar of the day; of a minute told twice the last is right."""
        bars = self.bars.setdefault(bar.instrument, [])
        if bars and bars[-1].start == bar.start:
            bars[-1] = bar
        else:
            bars.append(bar)

    def add_chain(self, snapshot: ChainSnapshot) -> None:
        """Keep a minute of a chain, unless nothing new came in it."""
        if "stale" not in snapshot.missing:
            self.chains.setdefault(snapshot.underlying, []).append(snapshot)

    def add_intent(self, intent: OrderIntent) -> None:
        """Keep the plan risk agreed to: where its stop and target were."""
        self.plans[intent.intent_id] = intent.plan

    def go_before(self, earlier: DayBook) -> None:
        """Put what happened earlier on this day before what is here; what was told twice stands once."""
        for name, bars in earlier.bars.items():
            self.bars[name] = _once(bars, self.bars.get(name, []), lambda bar: bar.start)
        for name, chains in earlier.chains.items():
            self.chains[name] = _once(chains, self.chains.get(name, []), lambda one: one.ts)
        self.structures = earlier.structures | self.structures
        self.plans = earlier.plans | self.plans
        trades = {trade.trade_id for trade in self.trades}
        self.trades[:0] = [trade for trade in earlier.trades if trade.trade_id not in trades]
        for name in ("signals", "explained", "orders", "fills", "refusals", "marks", "events"):
            getattr(self, name)[:0] = getattr(earlier, name)

    def chain_at(self, underlying: str, ts: int | None = None) -> ChainSnapshot | None:
        """Give the last chain at or before `ts` (UTC ns); the newest without one."""
        chains = self.chains.get(underlying, [])
        if ts is None:
            return chains[-1] if chains else None
        return next((one for one in reversed(chains) if one.ts <= ts), None)

    def entered(self) -> set[str]:
        """Give the ids of the signals that led to an entry."""
        return {plan.signal_id for plan in list(self.plans.values())}


def _once(earlier: Iterable[T], later: Iterable[T], moment: Callable[[T], int]) -> list[T]:
    """Give both in order of time; of two of one moment the later is right."""
    return [one for _, one in sorted({moment(one): one for one in [*earlier, *later]}.items())]


class Diary:
    """Writes what is heard into the book of the day; `book` is another one when a new day begins."""

    def __init__(self) -> None:
        self.book = DayBook()

    def take(self, now: int, message: Any) -> None:
        """Write a message heard at `now` (UTC ns) into the book; what it has no place for is left out."""
        write = _PLACES.get(type(message))
        if write is not None:
            write(self, now, message)

    def _on_phase(self, now: int, message: SessionPhase) -> None:
        del now
        if message.phase is Phase.PRE_OPEN and self.book.day != message.day:
            self.book = DayBook(message.day)
        self._note(message.ts, "session", message.phase.value.replace("_", " ").lower())

    def _on_bar(self, now: int, message: Bar) -> None:
        del now
        if self.book.day is None or ist_date(message.start) == self.book.day:
            self.book.add_bar(message)

    def _on_state(self, now: int, message: SetTradingState) -> None:
        what = f"{message.state.value}: {message.reason}"
        self._note(now, message.strategy or message.underlying or "account", what)

    def _note(self, ts: int, who: str, what: str) -> None:
        self.book.events.append((ts, who, what))

    def _on_structure(self, now: int, message: MarketStructure) -> None:
        del now
        self.book.structures[message.underlying] = message


_PLACES: dict[type, Callable[[Diary, int, Any], None]] = {
    SessionPhase: Diary._on_phase,
    Bar: Diary._on_bar,
    MarketStructure: Diary._on_structure,
    SetTradingState: Diary._on_state,
    ChainSnapshot: lambda diary, _, one: diary.book.add_chain(one),
    OrderIntent: lambda diary, _, one: diary.book.add_intent(one),
    Signal: lambda diary, _, one: diary.book.signals.append(one),
    SignalExplained: lambda diary, _, one: diary.book.explained.append(one),
    SubmitOrder: lambda diary, _, one: diary.book.orders.append(one),
    Fill: lambda diary, _, one: diary.book.fills.append(one),
    Refused: lambda diary, _, one: diary.book.refusals.append(one),
    TradeClosed: lambda diary, _, one: diary.book.trades.append(one),
    AccountMarked: lambda diary, _, one: diary.book.marks.append(one),
    ActorFailed: lambda diary, _, one: diary._note(one.ts, one.path, f"failed on {one.message_type}: {one.error}"),
    ActorBenched: lambda diary, _, one: diary._note(one.ts, one.path, f"benched: {one.reason}"),
    ActorReinstated: lambda diary, _, one: diary._note(one.ts, one.path, f"at work again: {one.reason}"),
    AlertRaised: lambda diary, _, one: diary._note(one.ts, one.source, f"{one.level.value}: {one.text}"),
}
#: What a diary has a place for.
WRITTEN = tuple(_PLACES)
