"""A day as an observer saw it: what the pages show, of a live day and of a stored one alike.

One thread writes, any number read: lists are only ever appended to and messages are immutable, so a reader that takes
a list's copy has a whole picture of a moment.
"""

from __future__ import annotations

import datetime as dt

from sos_actors.messages import (
    AccountMarked,
    Bar,
    ChainSnapshot,
    MarketStructure,
    OrderIntent,
    Refused,
    Signal,
    TradeClosed,
    TradePlan,
)


class DayBook:
    """One day: prices, chains, decisions and what came of them, oldest first."""

    def __init__(self, day: dt.date | None = None) -> None:
        self.day = day
        self.bars: dict[str, list[Bar]] = {}
        self.chains: dict[str, list[ChainSnapshot]] = {}
        self.structures: dict[str, MarketStructure] = {}
        self.plans: dict[str, TradePlan] = {}
        self.signals: list[Signal] = []
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

    def chain_at(self, underlying: str, ts: int | None = None) -> ChainSnapshot | None:
        """Give the last chain at or before `ts` (UTC ns); the newest without one."""
        chains = self.chains.get(underlying, [])
        if ts is None:
            return chains[-1] if chains else None
        return next((one for one in reversed(chains) if one.ts <= ts), None)

    def entered(self) -> set[str]:
        """Give the ids of the signals that led to an entry."""
        return {plan.signal_id for plan in list(self.plans.values())}
