"""FeedActor of history: gives out a day's bars and frames, minute by minute, as the clock says."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from sos_actors.market.day import MarketDay
from sos_actors.market.ids import near_future, parse_id
from sos_actors.market.tape import Tape
from sos_actors.messages import (
    Advance,
    Bar,
    ChainFrame,
    ExchangeBar,
    Phase,
    SessionPhase,
    Stage,
    SubmitOrder,
    Subscribe,
    Unsubscribe,
)
from sos_actors.runtime import Actor, Topic, handles
from sos_actors.runtime.clock import NEVER

_MATCH_OPEN, _MATCH_RANGE, _MARKET_DATA = Stage.MATCH_OPEN, Stage.MATCH_RANGE, Stage.MARKET_DATA

_NO_TAPE = Tape(())

LoadDay = Callable[[dt.date], Sequence[MarketDay]]


class FeedActor(Actor):
    """Plays history.

    Index and future bars and chain frames go to whoever hears them; a contract's own bars only while somebody has
    asked for them with `Subscribe`. The exchange (a paper broker with waiting orders) sees each interval's prices
    before anybody else: see `Stage`.
    """

    #: `played` is read off the clock, which has no series to play in a replay.
    unreplayed = frozenset({"played"})

    def __init__(self, load_day: LoadDay) -> None:
        """`load_day` brings the day of every underlying of the run; it is called at the day's start."""
        super().__init__()
        self._load_day = load_day
        self._tape = _NO_TAPE
        self._frames = False
        self._frame_topics: dict[str, Topic] = {}
        self._lanes: list[tuple[Topic, list[Bar | None]]] = []
        self._followed: dict[str, Topic] = {}
        self._exchange: list[tuple[str, Topic]] = []
        self._matching = False
        self._steps = self.topic(Advance)
        self.subscribe(SessionPhase)
        self.subscribe(Subscribe)
        self.subscribe(Unsubscribe)
        self.subscribe(SubmitOrder)
        self.subscribe(Advance)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Load the new day, or drop the old one."""
        if message.phase is Phase.PRE_OPEN:
            self._load(message.day)
        elif message.phase is Phase.CLOSED:
            self._tape = _NO_TAPE
            self._lanes = []
            self.clock.play(self._steps, (), (), _MARKET_DATA)  # what lies behind the close is not given out

    def _load(self, day: dt.date) -> None:
        tape = self._tape = Tape(self._load_day(day))
        futures = {}
        for content in tape.contents:
            self.publish(content, content.underlying)
            futures[content.future] = near_future(content.underlying)
            self._frame_topics[content.underlying] = self.topic(ChainFrame, content.underlying)
        self._frames = any(content.chain for content in tape.contents)
        lanes = self._lanes = [(self.topic(Bar, futures.get(name, name)), lane) for name, lane in tape.lanes]
        if len(lanes) == 1 and not self._frames:  # one instrument's bars are all there is: the clock gives them out
            topic, bars = lanes[0]
            self.clock.play(topic, tape.times, bars, _MARKET_DATA)
        else:
            self.clock.play(self._steps, tape.times, list(map(Advance, tape.times, repeat(_MARKET_DATA))), _MARKET_DATA)
        self._matching = False
        self._match_if_awaited()

    @handles(Subscribe)
    def on_subscribe(self, message: Subscribe) -> None:
        """Give out this contract's bars from now on. Its next prices reach the exchange first."""
        name = message.instrument
        if parse_id(name).kind != "INDEX":  # an index goes out to everybody anyway
            self._followed[name] = self.topic(Bar, name)
        self._exchange = [known for known in self._exchange if known[0] != name]
        self._exchange.append((name, self.topic(ExchangeBar, name)))
        self._match_if_awaited()

    @handles(Unsubscribe)
    def on_unsubscribe(self, message: Unsubscribe) -> None:
        """Stop giving out this contract's bars."""
        self._followed.pop(message.instrument, None)
        self._exchange = [known for known in self._exchange if known[0] != message.instrument]

    @handles(SubmitOrder)
    def on_order(self, _: SubmitOrder) -> None:
        """Expect the exchange to wait for the next prices."""
        if not self._matching:
            self._match_next()

    @handles(Advance)
    def on_advance(self, message: Advance) -> None:
        """Give out what is due: to everybody, or at the stages before that to the exchange."""
        if message.stage is not _MARKET_DATA and not self._awaited():
            self._matching = False
            return
        times = self._tape.times
        i = bisect_left(times, message.ts)
        if i == len(times) or times[i] != message.ts:
            return  # of a day that is over
        if message.stage is not _MARKET_DATA:
            self._match(i, message)
            return
        with self.runtime.publishing_together():
            self._give_out(i)

    def _give_out(self, i: int) -> None:
        """Give out a minute: chains, the bars of everybody, and those of contracts somebody has asked for."""
        if self._frames:
            for frame in self._tape.frames(i):
                self._frame_topics[frame.underlying].publish(frame)
        for topic, lane in self._lanes:
            bar = lane[i]
            if bar is not None:
                topic.publish(bar)
        for name, topic in self._followed.items():
            if topic.targets:
                quote = self._tape.quote(name, i)
                if quote is not None:
                    topic.publish(quote.bar)

    def _match_if_awaited(self) -> None:
        if not self._matching and self._awaited():
            self._match_next()

    def _awaited(self) -> bool:
        """Whether the exchange waits for prices of any instrument."""
        for _, topic in self._exchange:  # noqa: SIM110 - any() over a generator costs three times as much
            if topic.targets:
                return True
        return False

    def _match_next(self) -> None:
        """Come back when the next prices are due, before they go out."""
        due = self.clock.due
        if due != NEVER:
            self._matching = True
            self.clock.schedule(due, _MATCH_OPEN, self, Advance(due, _MATCH_OPEN))

    def _match(self, i: int, step: Advance) -> None:
        """Show the exchange the prices it waits for, and come again for as long as it waits."""
        stage = step.stage
        for name, topic in self._exchange:
            if topic.targets:
                quote = self._tape.quote(name, i)
                if quote is not None:
                    topic.publish(ExchangeBar(quote.bar, stage, quote.bid, quote.ask))
        if stage is _MATCH_OPEN:
            self.clock.schedule(step.ts, _MATCH_RANGE, self, Advance(step.ts, _MATCH_RANGE))
        elif i + 1 < len(self._tape.times):
            following = self._tape.times[i + 1]
            self.clock.schedule(following, _MATCH_OPEN, self, Advance(following, _MATCH_OPEN))

    def inspect(self) -> dict[str, Any]:
        """Say how far the day is played and which contracts are followed."""
        played = bisect_left(self._tape.times, self.clock.due)
        return {"played": played, "followed": ", ".join(sorted(self._followed))}
