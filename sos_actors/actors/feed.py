"""FeedActor of history: gives out a day's bars and frames, minute by minute, as the clock says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from sos_actors.market.day import MarketDay
from sos_actors.market.ids import near_future
from sos_actors.market.tape import Tape
from sos_actors.messages import (
    Advance,
    Bar,
    BarOpening,
    BarRange,
    ChainFrame,
    Phase,
    SessionPhase,
    Stage,
    Subscribe,
    Unsubscribe,
)
from sos_actors.runtime import Actor, Topic, handles

LoadDay = Callable[[dt.date], Sequence[MarketDay]]


class FeedActor(Actor):
    """Plays history.

    Index and future bars and chain frames go to whoever hears them; a contract's own bars only while somebody has
    asked for them with `Subscribe`. The exchange (a paper broker with waiting orders) sees each interval's prices
    before anybody else: see `Stage`.
    """

    def __init__(self, load_day: LoadDay) -> None:
        """`load_day` brings the day of every underlying of the run; it is called at the day's start."""
        super().__init__()
        self._load_day = load_day
        self._tape = Tape(())
        self._next = 0
        self._followed: dict[str, Topic] = {}
        self._frames: dict[str, Topic] = {}
        self._bars: dict[str, Topic] = {}
        self._index_ids: set[str] = set()
        self._working: dict[str, tuple[Topic, Topic]] = {}
        self.subscribe(SessionPhase)
        self.subscribe(Subscribe)
        self.subscribe(Unsubscribe)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Load the new day, or drop the old one."""
        if message.phase is Phase.PRE_OPEN:
            self._tape = Tape(self._load_day(message.day))
            self._next = 0
            for content in self._tape.contents:
                self.publish(content, content.underlying)
                if content.future:
                    self._bars[content.future] = self.topic(Bar, near_future(content.underlying))
            self._wake()
        elif message.phase is Phase.CLOSED:
            self._tape = Tape(())

    @handles(Subscribe)
    def on_subscribe(self, message: Subscribe) -> None:
        """Give out this contract's bars from now on. Its next prices reach the exchange first."""
        name = message.instrument
        self._followed[name] = self.topic(Bar, name)
        self._working[name] = (self.topic(BarOpening, name), self.topic(BarRange, name))

    @handles(Unsubscribe)
    def on_unsubscribe(self, message: Unsubscribe) -> None:
        """Stop giving out this contract's bars."""
        self._followed.pop(message.instrument, None)
        self._working.pop(message.instrument, None)

    @handles(Advance)
    def on_advance(self, message: Advance) -> None:
        """Give out what is due: to the exchange first, then to everybody."""
        if message.stage is Stage.MATCH_OPEN and self._match(Stage.MATCH_OPEN):
            self._again(message.ts, Stage.MATCH_RANGE)
        elif message.stage is Stage.MATCH_RANGE:
            self._match(Stage.MATCH_RANGE)
            self._again(message.ts, Stage.MARKET_DATA)
        else:
            self._publish()
            self._next += 1
            self._wake()

    def _match(self, stage: Stage) -> bool:
        """Show the exchange the prices it waits for; False when it waits for none."""
        waiting = [name for name, (opening, _) in self._working.items() if opening.targets]
        for name in waiting:
            quote = self._tape.quote(name, self._next)
            if quote is not None:
                opening, rest = self._working[name]
                if stage is Stage.MATCH_OPEN:
                    opening.publish(BarOpening(quote.bar, quote.bid, quote.ask))
                else:
                    rest.publish(BarRange(quote.bar, quote.bid, quote.ask))
        return bool(waiting)

    def _publish(self) -> None:
        frames, bars = self._tape.at(self._next)
        for frame in frames:
            self._frames_of(frame.underlying).publish(frame)
        for bar in bars:
            self._bars_of(bar.instrument).publish(bar)
        for name, topic in self._followed.items():
            if topic.targets and name not in self._index_ids:
                quote = self._tape.quote(name, self._next)
                if quote is not None:
                    topic.publish(quote.bar)

    def _wake(self) -> None:
        if self._next < len(self._tape.times):
            self._again(self._tape.times[self._next], Stage.MATCH_OPEN)

    def _bars_of(self, instrument: str) -> Topic:
        """Give the topic of an index; a near future's is set when the day is loaded."""
        found = self._bars.get(instrument)
        if found is None:
            found = self._bars[instrument] = self.topic(Bar, instrument)
            self._index_ids.add(instrument)
        return found

    def _frames_of(self, underlying: str) -> Topic:
        found = self._frames.get(underlying)
        if found is None:
            found = self._frames[underlying] = self.topic(ChainFrame, underlying)
        return found

    def _again(self, at: int, stage: Stage) -> None:
        self.clock.schedule(at, stage, self, Advance(at, stage))

    def inspect(self) -> dict[str, Any]:
        """Say how far the day is played and which contracts are followed."""
        return {"played": self._next, "of": len(self._tape.times), "followed": sorted(self._followed)}
