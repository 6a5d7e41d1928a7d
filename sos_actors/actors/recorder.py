"""RecorderActor: keeps what was decided and done, and the hash of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from sos_actors.messages import (
    AccountMarked,
    ActorBenched,
    ActorFailed,
    CancelOrder,
    Fill,
    Message,
    ModifyOrder,
    Phase,
    Refused,
    SessionPhase,
    Signal,
    SignalExplained,
    SubmitOrder,
    TradeClosed,
    TradePlan,
    encode_all,
)
from sos_actors.runtime import Actor, handles


class RecorderActor(Actor):
    """Listens to decisions and executions. `run_hash` is BLAKE2b over all of them, in order of delivery.

    Equal inputs, configuration, strategies and seed give the equal hash, on any machine of one architecture.
    """

    def __init__(self, underlyings: Iterable[str], on_trade: Callable[[TradeClosed], None] | None = None) -> None:
        """`on_trade` is told of every closed trade as it happens (progress on a terminal)."""
        super().__init__()
        self._hash = hashlib.blake2b(digest_size=16)
        self._on_trade = on_trade
        self._heard: list[Message] = []
        self.signals: list[Signal] = []
        #: What is not decided or done but said of it stays out of the hash.
        self.explained: list[SignalExplained] = []
        self.plans: list[TradePlan] = []
        self.orders: list[SubmitOrder] = []
        self.refusals: list[Refused] = []
        self.fills: list[Fill] = []
        self.trades: list[TradeClosed] = []
        self.marks: list[AccountMarked] = []
        self.failures: list[ActorFailed] = []
        self.benched: list[ActorBenched] = []
        for underlying in underlyings:
            self.subscribe(Signal, underlying)
            self.subscribe(SignalExplained, underlying)
        for kind in type(self).handler_names:
            if kind not in {Signal, SignalExplained}:
                self.subscribe(kind)

    @property
    def run_hash(self) -> str:
        """The hash so far, 32 hexadecimal digits."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        """Hash what was heard since the last time: many at once cost less than each by itself."""
        self._hash.update(encode_all(self._heard))
        self._heard.clear()

    @handles(ModifyOrder, CancelOrder)
    def on_step(self, message: Message) -> None:
        """Hash a step between signal and fill."""
        self._heard.append(message)

    @handles(SignalExplained)
    def on_explained(self, message: SignalExplained) -> None:
        """Keep what a signal was made of."""
        self.explained.append(message)

    @handles(TradePlan)
    def on_plan(self, message: TradePlan) -> None:
        """Keep a plan."""
        self._heard.append(message)
        self.plans.append(message)

    @handles(SubmitOrder)
    def on_order(self, message: SubmitOrder) -> None:
        """Keep an order."""
        self._heard.append(message)
        self.orders.append(message)

    @handles(Signal)
    def on_signal(self, message: Signal) -> None:
        """Keep a signal."""
        self._heard.append(message)
        self.signals.append(message)

    @handles(Refused)
    def on_refused(self, message: Refused) -> None:
        """Keep a refusal."""
        self._heard.append(message)
        self.refusals.append(message)

    @handles(Fill)
    def on_fill(self, message: Fill) -> None:
        """Keep a fill."""
        self._heard.append(message)
        self.fills.append(message)

    @handles(TradeClosed)
    def on_trade(self, message: TradeClosed) -> None:
        """Keep a round trip."""
        self._heard.append(message)
        self.trades.append(message)
        if self._on_trade is not None:
            self._on_trade(message)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Hash the day that ended."""
        if message.phase is Phase.CLOSED:
            self._flush()

    @handles(AccountMarked)
    def on_mark(self, message: AccountMarked) -> None:
        """Keep a mark of the account."""
        self.marks.append(message)

    @handles(ActorFailed)
    def on_failed(self, message: ActorFailed) -> None:
        """Keep a failure."""
        self.failures.append(message)

    @handles(ActorBenched)
    def on_benched(self, message: ActorBenched) -> None:
        """Keep a benching."""
        self.benched.append(message)

    def inspect(self) -> dict[str, Any]:
        """Say how much was recorded."""
        return {
            "run_hash": self.run_hash,
            "signals": len(self.signals),
            "refusals": len(self.refusals),
            "fills": len(self.fills),
            "trades": len(self.trades),
        }
