"""StructureActor: levels of one underlying."""

from __future__ import annotations

from typing import Any

import msgspec

from sos_actors.market.day import PreviousDay
from sos_actors.market.ids import index_id
from sos_actors.messages import Bar, ChainSnapshot, DayLoaded, MarketStructure, Phase, SessionPhase
from sos_actors.quant.structure import StructureTracker
from sos_actors.runtime import Actor, handles


class StructureActor(Actor):
    """Follows pivots, hurdles, the opening range and the central pivot range of one underlying.

    On a day with a chain, levels come out with each snapshot (which ends the minute); without, with each bar.
    """

    def __init__(self, underlying: str, tracker: StructureTracker, previous_day: PreviousDay) -> None:
        super().__init__()
        self._tracker = tracker
        self._previous_day = previous_day
        self._with_chain = False
        self._levels = self.topic(MarketStructure, underlying)
        self._last: MarketStructure | None = None
        self.subscribe(SessionPhase)
        self.subscribe(Bar, index_id(underlying))
        self.subscribe(DayLoaded, underlying)
        self.subscribe(ChainSnapshot, underlying)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Start a day from what the day before left."""
        if message.phase is Phase.PRE_OPEN:
            self._tracker.new_day(message.day, self._previous_day(message.day))

    @handles(DayLoaded)
    def on_day(self, message: DayLoaded) -> None:
        """Note whether snapshots will come today."""
        self._with_chain = message.chain

    @handles(Bar)
    def on_bar(self, message: Bar) -> None:
        """Take the index's bar."""
        self._tracker.on_bar(message)
        if not self._with_chain:
            self._publish(message.end)

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        """Take the walls of the chain and publish the minute's levels."""
        self._tracker.on_chain(message)
        self._publish(message.ts)

    def _publish(self, ts: int) -> None:
        self._last = self._tracker.at(ts)
        self._levels.publish(self._last)

    def inspect(self) -> dict[str, Any]:
        """Say the last levels published."""
        return {} if self._last is None else msgspec.structs.asdict(self._last)
