"""ChainActor: one underlying's option chain, minute by minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.day import PreviousDay
from sos_actors.market.frames import FrameBuilder
from sos_actors.market.ids import index_id, near_future, parse_id
from sos_actors.messages import (
    NAN,
    Bar,
    ChainFrame,
    ChainSnapshot,
    ContractsChosen,
    DayLoaded,
    MinuteClosed,
    Phase,
    SessionPhase,
    Settle,
)
from sos_actors.quant.analyst import ChainAnalyst
from sos_actors.quant.forward import index_bar
from sos_actors.runtime import Actor, handles

#: (expiry, now) -> years to expiry, by the configured convention.
YearsToExpiry = Callable[[dt.date, int], float]


class ChainActor(Actor):
    """Turns frames into snapshots: Greeks, sentiment, regime; one snapshot a minute, also when nothing came.

    Frames come whole from history, or are put together here from the bars of the contracts, which may change while
    the day goes on (`ContractsChosen`). On a day whose data has no index its bars are made from the chain's parity
    forward, one price a minute, and published under its id.
    """

    def __init__(
        self,
        analyst: ChainAnalyst,
        years_to_expiry: YearsToExpiry,
        previous_day: PreviousDay,
        *,
        rate: float,
        contracts: FrameBuilder | None = None,
    ) -> None:
        """`contracts` collects the bars of the chain's contracts, where the feed brings ticks.

        `rate` (a year, continuously compounded) takes the forward back to a spot where the data has no index.
        """
        super().__init__()
        self._analyst = analyst
        self._underlying = analyst.underlying
        self._years = years_to_expiry
        self._previous_day = previous_day
        self._rate = rate
        self._contracts = contracts
        self._younger_bars = False
        self._settled_once = False
        self._derive_index = False
        self._index = index_id(self._underlying)
        self._future: Bar | None = None
        self._index_bar: Bar | None = None
        self._pending: dict[dt.date, ChainFrame] = {}
        self._previous_spot = NAN
        self._last: ChainSnapshot | None = None
        self._snapshots = self.topic(ChainSnapshot, self._underlying)
        self._index_bars = self.topic(Bar, self._index)
        self.subscribe(ChainFrame, self._underlying)
        self.subscribe(MinuteClosed)
        self.subscribe(SessionPhase)
        self.subscribe(DayLoaded, self._underlying)
        self.subscribe(ContractsChosen, self._underlying)
        if contracts is not None:
            self._hear_bars(contracts.instruments)

    def _hear_bars(self, instruments: Iterable[str]) -> None:
        self.subscribe(Bar, self._index)
        self.subscribe(Bar, near_future(self._underlying))
        for instrument in instruments:
            self.subscribe(Bar, instrument)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Start the analytics of a new day."""
        if message.phase is Phase.PRE_OPEN:
            before = self._previous_day(message.day)
            self._analyst.new_day(message.day, NAN if before is None else before.close)
            self._pending.clear()
            self._future = self._index_bar = None
            self._previous_spot = NAN

    @handles(DayLoaded)
    def on_day(self, message: DayLoaded) -> None:
        """Note whether the index has prices of its own today."""
        self._derive_index = not message.index

    @handles(ContractsChosen)
    def on_chosen(self, message: ContractsChosen) -> None:
        """Follow these contracts from now on; of those that stay, what is known stays too."""
        if not message.instruments:
            return
        self._younger_bars = True
        before = self._contracts
        old = () if before is None else before.instruments
        chosen = message.instruments
        self._contracts = FrameBuilder(chosen) if before is None else before.successor(chosen)
        kept = dict.fromkeys(self._contracts.instruments)
        for instrument in old:
            if instrument not in kept:
                self.unsubscribe(Bar, instrument)
        self._hear_bars(kept)

    @handles(ChainFrame)
    def on_frame(self, message: ChainFrame) -> None:
        """Keep the minute's frame until the minute is over."""
        self._pending[message.expiry] = message

    @handles(Bar)
    def on_bar(self, message: Bar) -> None:
        """Take a contract's bar into the frame being built, or note the index's and the future's price."""
        if message.instrument == self._index:
            self._index_bar = message
        elif self._contracts is None or self._contracts.add(message):
            return
        elif parse_id(message.instrument).kind == "FUT":  # else a contract that was given up a moment ago
            self._future = message

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        """Wait until every bar of the minute is in."""
        self.actor_ref.tell(Settle(message.ts))

    @handles(Settle)
    def on_settled(self, message: Settle) -> None:
        """Publish what the chain says of the minute; what it said before, marked stale, if nothing came.

        Bar actors that were started after this one hear of the minute's end after it: their bars are a round later.
        """
        if self._younger_bars and not self._settled_once:
            self._settled_once = True
            self.actor_ref.tell(message)
            return
        self._settled_once = False
        if self._contracts is not None:
            self._build_frame(self._contracts, message.ts)
        snapshot = self._snapshot(message.ts)
        if snapshot is None:
            return
        if self._derive_index and "stale" not in snapshot.missing:
            self._publish_index(snapshot)
        self._last = snapshot
        self._snapshots.publish(snapshot)

    def _build_frame(self, contracts: FrameBuilder, ts: int) -> None:
        index = self._index_bar
        spot = index.close if index is not None and index.end == ts else NAN
        frame = contracts.flush(ts - MINUTE_NS, ts, spot, self._future)
        if frame is not None:
            self._pending[frame.expiry] = frame

    def _snapshot(self, ts: int) -> ChainSnapshot | None:
        """Analyse the front expiry's frame; a later expiry's is not used for the day's sentiment."""
        if not self._pending:
            return self._analyst.stale(ts)
        frame = self._pending[min(self._pending)]
        self._pending.clear()
        return self._analyst.on_frame(frame, self._years(frame.expiry, frame.end))

    def _publish_index(self, snapshot: ChainSnapshot) -> None:
        bar = index_bar(snapshot, self._rate, self._previous_spot)
        if bar is not None:
            self._previous_spot = bar.close
            self._index_bars.publish(bar)

    def inspect(self) -> dict[str, Any]:
        """Say what the last snapshot said, arrays apart."""
        last = self._last
        if last is None:
            return {"underlying": self._underlying}
        return {name: value for name in last.__struct_fields__ if not hasattr(value := getattr(last, name), "shape")}
