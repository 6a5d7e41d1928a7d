"""BarActor: ticks of one instrument to bars of one minute."""

from __future__ import annotations

from typing import Any

from sos_actors.market.bars import BarBuilder
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.market.ids import parse_id
from sos_actors.messages import Bar, DayLoaded, FeedStatus, MinuteClosed, Phase, SessionPhase, Tick
from sos_actors.runtime import Actor, handles


class BarActor(Actor):
    """One instrument's bars, by exchange time; each is published when the clock says its minute is over."""

    def __init__(self, instrument: str, builder: BarBuilder, keys: tuple[str, ...]) -> None:
        """`keys` are those under which the bars go out: the instrument's id, for a near future also that role."""
        super().__init__()
        self._instrument = instrument
        self._builder = builder
        self._first_bar_end = 0
        self._bars = [self.topic(Bar, key) for key in keys]
        self.subscribe(Tick, instrument)
        self.subscribe(MinuteClosed)
        self.subscribe(SessionPhase)
        self.subscribe(DayLoaded, parse_id(instrument).underlying)
        self.subscribe(FeedStatus, parse_id(instrument).underlying)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Start a day: we listen from before the open, so the first bar is whole."""
        if message.phase is Phase.PRE_OPEN:
            self._builder.start_day(message.ts)
            self._first_bar_end = message.ts + 2 * MINUTE_NS  # the day begins a minute before its session

    @handles(DayLoaded)
    def on_day(self, message: DayLoaded) -> None:
        """Of a recording that begins later, what traded before it is not known: it is no part of the first bar."""
        if message.since >= self._first_bar_end:
            self._builder.start_day()

    @handles(FeedStatus)
    def on_feed(self, message: FeedStatus) -> None:
        """Mark what is built while the feed cannot be trusted as incomplete."""
        if message.live:
            self._builder.regain(message.ts)
        else:
            self._builder.lose(message.since or message.ts)

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        """Take a tick into the bar being built."""
        self._builder.tick(message)

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        """Publish the minute's bar, if the instrument traded."""
        bar = self._builder.close(message.ts)
        if bar is not None:
            for topic in self._bars:
                topic.publish(bar)

    def inspect(self) -> dict[str, Any]:
        """Say which instrument this is, and the bar being built: start, open, high, low, price."""
        return {"instrument": self._instrument, "forming": self._builder.forming()}
