"""RiskActor: the account's limits. Nothing is entered that it has not let through; exits never ask it.

With `durable` what counts is kept before what follows from it, so that a restart forgets no limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from sos_actors.market.ids import parse_id
from sos_actors.messages import (
    CE,
    PE,
    AccountDiffered,
    AccountMarked,
    ActorBenched,
    ActorReinstated,
    ChainSnapshot,
    FeedStatus,
    Flatten,
    OrderIntent,
    Phase,
    PositionChanged,
    RefusalReason,
    Refused,
    Right,
    SessionPhase,
    SetTradingState,
    StateChanged,
    TradeClosed,
    TradePlan,
    TradingState,
)
from sos_actors.runtime import Actor, handles
from sos_actors.trading.limits import Breach, RiskBook


class RiskActor(Actor):
    """Asks the risk book about every plan, and tells the book what became of what it let through."""

    def __init__(self, book: RiskBook, underlyings: Iterable[str], *, durable: bool = False) -> None:
        super().__init__()
        self._durable = durable
        self._differences: tuple[str, ...] = ()
        self._book = book
        self._snapshots: dict[str, ChainSnapshot] = {}
        self._refusals: dict[str, dict[str, int]] = {}
        self._last_refusals: dict[str, str] = {}
        self._new_day = book.day is None
        self._phase = Phase.CLOSED  # what is shown until a session is told of: on a holiday none is
        self._intents = self.topic(OrderIntent)
        self._refused = self.topic(Refused)
        for underlying in underlyings:
            self.subscribe(ChainSnapshot, underlying)
        for kind in type(self).handler_names:
            if kind is not ChainSnapshot:
                self.subscribe(kind)

    @handles(TradePlan)
    def on_plan(self, message: TradePlan) -> None:
        """Let a plan through as an intent, or refuse it."""
        now = message.ts
        if self._snapshots:
            self._note_quote(message)
        breach = self._book.check(message, now) if not self._differences else self._differs()
        if breach is not None:
            refused = Refused(
                now, message.strategy, message.underlying, breach.reason, breach.detail, message.signal_id
            )
            self._refused.publish(refused)
            return
        intent = OrderIntent(message.plan_id, now, message)
        self._book.on_intent(intent)
        self._keep(now)
        self._intents.publish(intent)

    def _differs(self) -> Breach:
        return Breach(RefusalReason.ACCOUNT_DIFFERS, self._differences[0])

    def _keep(self, now: int) -> None:
        """Have what counts kept, where the session is to survive this process."""
        if self._durable:
            self.publish(StateChanged(now, "risk", msgspec.msgpack.encode(self._book.state())))

    @handles(AccountDiffered)
    def on_differed(self, message: AccountDiffered) -> None:
        """Enter nothing while our books and the broker's differ."""
        self._differences = message.differences

    def _note_quote(self, plan: TradePlan) -> None:
        """Tell the book the contract's price of the last snapshot: what the price band is measured from."""
        snapshot = self._snapshots.get(plan.underlying)
        if snapshot is None:
            return
        strike = parse_id(plan.instrument).strike
        if strike is None:
            return
        k = int(np.searchsorted(snapshot.strikes, strike))
        if k < len(snapshot.strikes) and snapshot.strikes[k] == strike:
            price = float(snapshot.price[CE if plan.right is Right.CE else PE, k])
            self._book.on_quote(plan.instrument, price, snapshot.ts)

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        """Keep the chain's prices, unless they are old ones."""
        if "stale" not in message.missing:
            self._snapshots[message.underlying] = message

    @handles(TradeClosed)
    def on_trade(self, message: TradeClosed) -> None:
        """Take a closed trade off the counts."""
        self._book.on_trade(message)
        self._keep(self.clock.now)

    @handles(Refused)
    def on_refused(self, message: Refused) -> None:
        """Take what was refused after it was let through off the counts, and note for observers what was refused."""
        self._book.on_refused(message)
        counts = self._refusals.setdefault(message.underlying, {})
        counts[message.reason.value] = counts.get(message.reason.value, 0) + 1
        self._last_refusals[message.underlying] = f"{message.strategy}: {message.reason.value}: {message.detail}"

    @handles(PositionChanged)
    def on_position(self, message: PositionChanged) -> None:
        """Count positions nobody here opened."""
        self._book.on_position(message)

    @handles(AccountMarked)
    def on_mark(self, message: AccountMarked) -> None:
        """Follow the account's value; leave the market when the day's loss is reached."""
        if self._new_day:
            self._new_day = False
            self._book.new_day(message.equity_paise)
            self._keep(message.ts)
        if self._book.on_mark(message):
            self._keep(message.ts)
            self.publish(Flatten(message.ts, "DAILY_LOSS"))

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Follow the session. The first mark of a day is its starting equity."""
        self._book.phase, self._phase = message.phase, message.phase
        if message.phase is Phase.PRE_OPEN and message.day != self._book.day:
            self._book.day = message.day
            self._new_day = True
            self._snapshots.clear()
        elif message.phase is Phase.OPEN and not self._new_day:
            self._close_again()

    def _close_again(self) -> None:
        """Close what may not be held: a halt is kept before it is said, and the process may have ended in between."""
        for strategy, underlying in self._book.banned():
            self.publish(Flatten(self.clock.now, "FLATTEN", strategy, underlying))

    @handles(FeedStatus)
    def on_feed(self, message: FeedStatus) -> None:
        """Note whether an underlying's data can be trusted."""
        self._book.on_feed(message)

    @handles(SetTradingState)
    def on_state(self, message: SetTradingState) -> None:
        """Change what may be done. HALTED and REDUCING stop entries; closing what is open is a Flatten."""
        self._book.on_state(message)
        self._keep(self.clock.now)

    @handles(ActorBenched)
    def on_benched(self, message: ActorBenched) -> None:
        """A benched strategy enters nothing more, in no later start either, until an operator resumes it.

        What it has open is closed.
        """
        kind, _, rest = message.path.partition("/")
        underlying, _, name = rest.partition("/")
        if kind == "strategy":
            self._book.on_state(SetTradingState(TradingState.REDUCING, message.reason, name, underlying))
            self._keep(message.ts)
            self.publish(Flatten(message.ts, "FLATTEN", name, underlying))

    @handles(ActorReinstated)
    def on_reinstated(self, message: ActorReinstated) -> None:
        """Lift what the bench laid on a strategy; a pause by the operator stays."""
        kind, _, rest = message.path.partition("/")
        underlying, _, name = rest.partition("/")
        if kind == "strategy":
            self._book.on_state(SetTradingState(TradingState.ACTIVE, message.reason, name, underlying))
            self._keep(message.ts)

    def inspect(self) -> dict[str, Any]:
        """Say what counts against the limits."""
        book = self._book
        return {
            "phase": self._phase.value,
            "state": book.trading_state().value,
            "restrictions": [(strategy, name, state.value) for strategy, name, state in book.restrictions()],
            "start_equity_paise": book.start_equity_paise,
            "equity_paise": book.equity_paise,
            "refusals": {name: dict(counts) for name, counts in self._refusals.items()},
            "last_refusals": dict(self._last_refusals),
        }
