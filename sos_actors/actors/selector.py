"""SelectorActor: from a signal on the underlying to a contract, a size and prices of that contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from sos_actors.market.ids import near_future
from sos_actors.messages import (
    AccountMarked,
    Bar,
    ChainSnapshot,
    HistoryPlayed,
    Phase,
    PositionChanged,
    RefusalReason,
    Refused,
    SessionPhase,
    Signal,
    StateChanged,
    TradePlan,
)
from sos_actors.runtime import Actor, handles
from sos_actors.trading.debounce import Debounce, DebounceSettings
from sos_actors.trading.selection import Choice, SelectionSettings, plan, select
from sos_actors.trading.sizing import SizingSettings, size


class Lots(msgspec.Struct, frozen=True, gc=False):
    """Units of one lot and the most units of one order (0: unknown)."""

    lot_size: int
    freeze_quantity: int


#: (instrument, day) -> its lot and freeze quantity.
LotsOf = Callable[[str, dt.date], Lots]


class SelectorActor(Actor):
    """Chooses, prices and sizes; refuses with a reason where it cannot."""

    def __init__(
        self,
        underlying: str,
        selection: SelectionSettings,
        sizing: SizingSettings,
        debounce: DebounceSettings,
        lots_of: LotsOf,
    ) -> None:
        super().__init__()
        self._selection = selection
        self._sizing = sizing
        self._debounce = Debounce(debounce)
        self._keeps = False
        self._lots_of = lots_of
        self._future: Bar | None = None
        self._snapshot: ChainSnapshot | None = None
        self._equity_paise = 0
        self._cash_paise = 0
        self._day = dt.date.min
        self._plans = self.topic(TradePlan)
        self._refused = self.topic(Refused)
        self.subscribe(SessionPhase)
        self.subscribe(HistoryPlayed)
        self.subscribe(Signal, underlying)
        self.subscribe(ChainSnapshot, underlying)
        self.subscribe(AccountMarked)
        self.subscribe(PositionChanged)
        self.subscribe(Bar, near_future(underlying))

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Forget yesterday's chain."""
        if message.phase is Phase.PRE_OPEN:
            self._day = message.day
            self._snapshot = None
            self._future = None

    @handles(HistoryPlayed)
    def on_played(self, message: HistoryPlayed) -> None:
        """Remember the last signals of an earlier life of the process, and keep those to come."""
        self._keeps = True
        if message.state:
            self._debounce.take_up(message.state)

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        """Take the minute's chain."""
        self._snapshot = message

    @handles(Bar)
    def on_bar(self, message: Bar) -> None:
        """Take the future's price."""
        self._future = message

    @handles(AccountMarked)
    def on_mark(self, message: AccountMarked) -> None:
        """Take the account's value: sizes follow it."""
        self._equity_paise = message.equity_paise
        self._cash_paise = message.cash_paise

    @handles(PositionChanged)
    def on_position(self, message: PositionChanged) -> None:
        """Take the cash that is left after a fill."""
        self._cash_paise = message.cash_paise

    @handles(Signal)
    def on_signal(self, message: Signal) -> None:
        """Make a plan of a signal, or say why not."""
        refusal = self._debounce.check(message)
        if refusal is not None:
            self._refuse(message, refusal.reason, refusal.detail)
            return
        if self._keeps:
            self.publish(StateChanged(self.clock.now, self.path, self._debounce.state()))
        future = None if self._future is None else (self._future.instrument, self._future.close)
        choice = select(message, self._snapshot, self._selection, future=future)
        if isinstance(choice, Choice):
            self._plan(message, choice)
        else:
            self._refuse(message, choice.reason, choice.detail)

    def _plan(self, signal: Signal, choice: Choice) -> None:
        lots = self._lots_of(choice.instrument, self._day)
        found = size(
            kind=choice.kind,
            side=choice.side,
            entry=choice.entry,
            stop=choice.stop,
            spot=signal.entry,
            lot_size=lots.lot_size,
            freeze_quantity=lots.freeze_quantity,
            quantity_mod=signal.quantity_mod,
            equity=self._equity_paise / 100,
            free_cash=self._cash_paise / 100,
            settings=self._sizing,
        )
        if found.reason is not None:
            self._refuse(signal, found.reason, found.detail)
            return
        self._plans.publish(plan(signal, choice, quantity=found.quantity, lot_size=lots.lot_size))

    def _refuse(self, signal: Signal, reason: RefusalReason, detail: str) -> None:
        self._refused.publish(Refused(signal.ts, signal.strategy, signal.underlying, reason, detail, signal.signal_id))

    def inspect(self) -> dict[str, Any]:
        """Say which chain plans are made from."""
        snapshot = self._snapshot
        return {"day": self._day.isoformat(), "chain_ts": 0 if snapshot is None else snapshot.ts}
