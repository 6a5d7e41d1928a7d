"""The actor that looks on for the pages: it hears what is published, keeps the day, says nothing.

It runs in a group (thread) of its own, so that whatever it does costs the trading actors one more entry in a queue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sos_actors.market.ids import index_id
from sos_actors.messages import (
    Bar,
    ChainSnapshot,
    ContractsChosen,
    MarketStructure,
    OrderIntent,
    Signal,
    SignalExplained,
)
from sos_actors.runtime import Actor, Runtime, handles
from sos_actors.web.daybook import WRITTEN, DayBook, Diary

#: Group of the observer, whatever the configuration says of the rest.
GROUP = "observer"


class Observed:
    """What the observer heard on the day under way, in order, and the day's book; both outlive a restart of it.

    What is heard is numbered for ever: `since` gives what came from a number on.
    """

    def __init__(self) -> None:
        self._diary = Diary()
        #: Number of the day's first message, and the messages: one value, so that a reader has both of one day.
        self._kept: tuple[int, list[tuple[int, Any]]] = (0, [])

    def book(self) -> DayBook:
        """Give the book of the day under way."""
        return self._diary.book

    def take(self, now: int, message: Any) -> None:
        """Keep a message heard at `now` (UTC ns)."""
        before = self._diary.book
        self._diary.take(now, message)
        if self._diary.book is not before:
            self._kept = self._kept[0] + len(self._kept[1]), []
        self._kept[1].append((now, message))

    def since(self, number: int, most: int) -> tuple[int, list[tuple[int, Any]]]:
        """Give at most so many messages from a number on, and the first one's number; the day's first at the least."""
        first, heard = self._kept
        begin = max(0, number - first)
        return first + begin, heard[begin : begin + most]


class ObserverActor(Actor):
    """Hears prices, decisions and failures, and keeps them."""

    def __init__(self, seen: Observed, underlyings: Iterable[str], contracts: Iterable[str] = ()) -> None:
        """`contracts` are heard from the start; what is chosen or traded later, from then on."""
        super().__init__()
        self._seen = seen
        self._options: set[str] = set()
        keyed: tuple[type, ...] = (ChainSnapshot, MarketStructure, Signal, SignalExplained, ContractsChosen)
        for name in underlyings:
            self.subscribe(Bar, index_id(name))
            for kind in keyed:
                self.subscribe(kind, name)
        for kind in type(self).handler_names:
            if kind is not Bar and kind not in keyed:
                self.subscribe(kind)
        for instrument in contracts:
            self._hear(instrument)

    @handles(*(kind for kind in WRITTEN if kind is not OrderIntent))
    def on_message(self, message: Any) -> None:
        """Keep it."""
        self._seen.take(self.clock.now, message)

    @handles(ContractsChosen)
    def on_chosen(self, message: ContractsChosen) -> None:
        """Hear the bars of the contracts that are followed."""
        for instrument in message.instruments:
            self._hear(instrument)

    @handles(OrderIntent)
    def on_intent(self, message: OrderIntent) -> None:
        """Keep the plan, and hear the contract's bars."""
        self._seen.take(self.clock.now, message)
        self._hear(message.plan.instrument)

    def _hear(self, instrument: str) -> None:
        if instrument not in self._options:
            self._options.add(instrument)
            self.subscribe(Bar, instrument)

    def inspect(self) -> dict[str, Any]:
        """Say how much was seen today."""
        book = self._seen.book()
        return {
            "day": str(book.day or ""),
            "bars": sum(map(len, list(book.bars.values()))),
            "chains": sum(map(len, list(book.chains.values()))),
            "signals": len(book.signals),
            "contracts": len(self._options),
        }


def spawn_observer(runtime: Runtime, underlyings: Iterable[str], contracts: Iterable[str] = ()) -> Observed:
    """Spawn the observer as `observer`; gives what it sees."""
    seen = Observed()
    runtime.spawn(ObserverActor, "observer", seen, tuple(underlyings), tuple(contracts), group=GROUP)
    return seen
