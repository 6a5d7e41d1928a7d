"""StrategyActor: one strategy on one underlying."""

from __future__ import annotations

from typing import Any

import msgspec

from sos_actors.decoding import from_msgpack
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_date
from sos_actors.messages import (
    Bar,
    ChainSnapshot,
    DayLoaded,
    Flatten,
    HistoryPlayed,
    MarketStructure,
    Phase,
    RefusalReason,
    Refused,
    SessionPhase,
    Signal,
    SignalExplained,
    StateChanged,
    Studies,
)
from sos_actors.playbook.compiler import CompiledStrategy
from sos_actors.playbook.machine import StrategyMachine
from sos_actors.playbook.outcomes import NO_CHAIN, NO_STRUCTURE, NO_STUDIES, Declined, Leave, Outcome, Setup
from sos_actors.playbook.standing import Standing
from sos_actors.runtime import Actor, handles

#: From the end of history until ticks come, at most: a bar that begins later is not torn by the start.
_TORN_NS = 2 * MINUTE_NS


class StrategyActor(Actor):
    """Feeds one strategy machine, and turns its setups into signals.

    It waits until everything the strategy reads of one minute is in, so that the order in which studies, snapshot and
    levels arrive does not matter; on a day without a chain, what it reads of the chain is unknown to it. Before
    `trade_from` (UTC ns) it only warms up: what it comes to is neither sent nor counted.

    Live, phases come from the day's bars, played again after a restart; what the strategy *did* (setups of the day,
    cooldown, stance) from what it had kept, which was on record before the signal left.
    """

    def __init__(self, strategy: CompiledStrategy, underlying: str, *, trade_from: int = 0) -> None:
        super().__init__()
        reads = strategy.required
        self._machine = StrategyMachine(strategy, underlying)
        self._name = strategy.id
        self._underlying = underlying
        self._trade_from = trade_from
        #: What was kept last; None before there is anything to keep.
        self._kept: Standing | None = None
        self._timeframe = strategy.timeframe
        self._reads_chain = "chain" in reads
        #: Whether it reads more than the studies of its own time frame.
        self._reads_more = bool(reads & {"chain", "structure", "confirm"})
        self._glance = None if self._reads_more else strategy.glance
        self._chain_awaited = False
        self._structure_awaited = "structure" in reads
        self._studies: Studies | None = None
        self._snapshot = NO_CHAIN
        self._structure = NO_STRUCTURE
        self._confirm = NO_STUDIES
        self._signals = self.topic(Signal, underlying)
        self._explained = self.topic(SignalExplained, underlying)
        self._flatten = self.topic(Flatten)
        self._refused = self.topic(Refused)
        self.subscribe(SessionPhase)
        self.subscribe(HistoryPlayed)
        if self._reads_chain:
            self.subscribe(DayLoaded, underlying)
            self.subscribe(ChainSnapshot, underlying)
        if self._structure_awaited:
            self.subscribe(MarketStructure, underlying)
        if "confirm" in reads:
            self.subscribe(Studies, f"{underlying}/{strategy.confirm_timeframe}")
        self.subscribe(Studies, f"{underlying}/{strategy.timeframe}")

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Start a new day."""
        if message.phase is Phase.PRE_OPEN:
            self._studies, self._snapshot, self._structure = None, NO_CHAIN, NO_STRUCTURE
            self._machine.new_day(message.day)

    @handles(HistoryPlayed)
    def on_played(self, message: HistoryPlayed) -> None:
        """Act from now on, and go on from what was done in an earlier life of the process."""
        self._trade_from = message.ts
        if message.state:
            self._machine.take_up(from_msgpack(message.state, Standing))
        self._kept = self._machine.standing()

    @handles(DayLoaded)
    def on_day(self, message: DayLoaded) -> None:
        """Note whether there is a chain to wait for today."""
        self._chain_awaited = message.chain

    @handles(Studies)
    def on_studies(self, message: Studies) -> None:
        """Take a closed bar with its studies."""
        glance = self._glance
        if glance is not None and glance(message.values) == self._machine.held:
            return  # on most bars nothing changes, and this is the quickest way to know
        if self._reads_more:
            if message.timeframe != self._timeframe:
                self._confirm = message
                return
            if self._chain_awaited or self._structure_awaited:
                self._studies = message
                self._decide()
                return
        outcome = self._machine.on_studies(message, self._snapshot, self._structure, self._confirm)
        if outcome is not None:
            self._conclude(outcome, message.ts, message.bar)

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        """Take the minute's chain."""
        self._snapshot = message
        self._decide()

    @handles(MarketStructure)
    def on_structure(self, message: MarketStructure) -> None:
        """Take the minute's levels."""
        self._structure = message
        self._decide()

    def _decide(self) -> None:
        studies = self._studies
        if studies is None:
            return
        ts = studies.ts
        snapshot, structure = self._snapshot, self._structure
        if self._chain_awaited and snapshot.ts < ts:
            return
        if self._structure_awaited and structure.ts < ts:
            return
        self._studies = None
        outcome = self._machine.on_studies(studies, snapshot, structure, self._confirm)
        if outcome is not None:
            self._conclude(outcome, ts, studies.bar)

    def _conclude(self, setup: Outcome, ts: int, bar: Bar) -> None:
        """Send what the machine came to, once that is kept; of history nobody acts on it.

        A bar that ended just when history did was played with it.
        """
        if ts < self._trade_from or (self._kept is not None and ts == self._trade_from):
            self._machine.disown()
            return
        if isinstance(setup, Setup) and self._is_torn(bar):
            self._machine.disown()
            setup = Declined(RefusalReason.STALE_DATA, "its bar lacks what traded before this start")
        if self._kept is not None and self._kept != (standing := self._machine.standing()):
            self._keep(standing)
        name, underlying = self._name, self._underlying
        if isinstance(setup, Setup):
            signal = Signal(
                f"{name}/{underlying}/{ts // SECOND_NS}",
                name,
                underlying,
                ts,
                setup.direction,
                setup.entry,
                setup.stop,
                setup.target,
                setup.regime,
                setup.quantity_mod,
                setup.selection,
                setup.flip,
                setup.captured,
            )
            self._signals.publish(signal)
            if self._explained.targets:
                self._explained.publish(SignalExplained(signal.signal_id, name, underlying, ts, self._machine.story()))
        elif isinstance(setup, Leave):
            self._flatten.publish(Flatten(ts, setup.reason, name, underlying))
        else:
            self._refused.publish(Refused(ts, name, underlying, setup.reason, setup.detail))

    def _is_torn(self, bar: Bar) -> bool:
        """Say whether a bar was under way when the process went live: its open, high and low are those since then."""
        return self._kept is not None and not bar.complete and bar.start < self._trade_from + _TORN_NS

    def _keep(self, standing: Standing) -> None:
        self._kept = standing
        self.publish(StateChanged(self.clock.now, self.path, msgspec.msgpack.encode(standing)))

    def checkpoint(self) -> dict[str, Any]:
        """Give all it holds; the message that failed has left no trace in the machine."""
        return {
            "machine": self._machine.state(),
            "trade_from": self._trade_from,
            "kept": self._kept,
            "chain_awaited": self._chain_awaited,
            "studies": self._studies,
            "snapshot": self._snapshot,
            "structure": self._structure,
            "confirm": self._confirm,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where the life before failed, but for the message it failed on."""
        self._machine.restore(state["machine"])
        self._trade_from, self._kept = state["trade_from"], state["kept"]
        self._chain_awaited = state["chain_awaited"]
        self._studies, self._confirm = state["studies"], state["confirm"]
        self._snapshot, self._structure = state["snapshot"], state["structure"]

    def rejoin(self, state: dict[str, Any]) -> None:
        """Begin the pattern anew: bars were missed on the bench, and what it held was closed. The day's count stays."""
        self.restore(state)
        self._studies, self._snapshot, self._structure, self._confirm = None, NO_CHAIN, NO_STRUCTURE, NO_STUDIES
        self._machine.rejoin(ist_date(self.clock.now))
        if self._kept is not None:
            self._keep(self._machine.standing())

    def inspect(self) -> dict[str, Any]:
        """Say which phase the strategy is in and what it waits for."""
        return self._machine.explain()
