"""StudyActor: the indicators of one underlying, each computed once a bar for all strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sos_actors.market.ids import index_id, near_future
from sos_actors.market.resample import Resampler
from sos_actors.messages import NAN, Bar, ChainSnapshot, DayLoaded, Phase, SessionPhase, Studies, VolumeSource
from sos_actors.quant.studies import StudyBook
from sos_actors.runtime import Actor, Topic, handles

MINUTE_S = 60


class _Frame:
    """One time frame: its indicators, and what makes its bars out of shorter ones (nothing, for one minute)."""

    __slots__ = ("last", "previous", "resampler", "seconds", "seen", "take", "topic", "underlying", "update", "warmup")

    def __init__(self, underlying: str, seconds: int, book: StudyBook, topic: Topic) -> None:
        self.underlying = underlying
        self.seconds = seconds
        self.update = book.update
        self.warmup = book.warmup
        self.resampler = Resampler(seconds // MINUTE_S) if seconds > MINUTE_S else None
        #: What a closed minute's bar is given to.
        self.take: Callable[[Bar], None] = self.study if self.resampler is None else self.resample
        self.topic = topic
        self.previous: Bar | None = None
        self.last: Studies | None = None
        self.seen = 0

    def resample(self, bar: Bar) -> None:
        """Take a closed bar of a shorter frame."""
        assert self.resampler is not None
        for whole in self.resampler.add(bar):
            self.study(whole)

    def study(self, bar: Bar) -> None:
        """Take a closed bar of this frame and publish its studies."""
        seen = self.seen = self.seen + 1
        previous = self.previous or bar
        self.previous = bar
        update, publish = self.update, self.topic.publish  # variables: half the price of calling attributes
        self.last = studies = Studies(
            self.underlying, self.seconds, bar.end, bar, previous, update(bar), seen > self.warmup
        )
        publish(studies)


class StudyActor(Actor):
    """Turns the index's bars into `Studies`, one message a time frame, the longest first.

    An index has no volume. Where a study wants one, the bar gets the near future's of the same minute, else the sum
    over the options of the chain, as the day's data has it; the bar waits until that is known. `volume_source` of
    the bar says which it was.
    """

    def __init__(self, underlying: str, books: Mapping[int, StudyBook], *, with_volume: bool) -> None:
        """`books` by time frame in seconds; without `with_volume` no bar waits for a volume nobody reads."""
        super().__init__()
        self._underlying = underlying
        self._waits_for_volume = with_volume
        self._source = VolumeSource.NONE
        self._books = dict(books)
        self._study: Callable[[Bar], None]
        self._take: Callable[[Bar], None]
        self._frames = [
            _Frame(underlying, seconds, book, self.topic(Studies, f"{underlying}/{seconds}"))
            for seconds, book in sorted(books.items(), reverse=True)
        ]
        self._choose(self._frames)
        self._waiting: Bar | None = None
        self._volume: tuple[int, float] = (0, NAN)
        #: What all options had traded by the last snapshot of the day; unknown to an actor that did not see it begin.
        self._options_total = NAN
        self._index = index_id(underlying)
        self.subscribe(SessionPhase)
        self.subscribe(Bar, self._index)
        self.subscribe(DayLoaded, underlying)
        if with_volume:
            self.subscribe(Bar, near_future(underlying))
            self.subscribe(ChainSnapshot, underlying)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Start what is kept by the day (VWAP, the day's open) afresh, and drop half-made longer bars."""
        if message.phase is Phase.PRE_OPEN:
            self._waiting = None
            self._options_total = 0.0
            for book in self._books.values():
                book.new_day()
        elif message.phase is Phase.OPEN:
            for frame in self._frames:
                if frame.resampler is not None:
                    frame.resampler.start_session(message.ts)

    @handles(DayLoaded)
    def on_day(self, message: DayLoaded) -> None:
        """Choose where today's volume comes from, and which time frames today's bars are fine enough for."""
        # Five-minute bars say nothing of one minute.
        self._choose([frame for frame in self._frames if frame.seconds >= message.interval_s])
        if not self._waits_for_volume:
            return
        if message.index_volume:
            self._source = VolumeSource.EXCHANGE
        elif message.future:
            self._source = VolumeSource.FUTURE
        else:
            self._source = VolumeSource.OPTIONS if message.chain else VolumeSource.NONE

    @handles(Bar)
    def on_bar(self, message: Bar) -> None:
        """Take the index's bar, or the future's volume."""
        take = self._take
        take(message)

    def _choose(self, frames: list[_Frame]) -> None:
        """Let these frames see the bars. What a bar is given to is settled here, for it comes every minute."""
        self._running = frames
        self._study = frames[0].take if len(frames) == 1 else self._study_all
        self._take = self._await_volume if self._waits_for_volume else self._study

    def _await_volume(self, message: Bar) -> None:
        """Study the index's bar once its volume is known."""
        if message.instrument != self._index:
            if self._source is VolumeSource.FUTURE:
                self._on_volume(message.end, message.volume)
            return
        late = self._waiting
        if late is not None:  # its volume never came
            self._waiting = None
            self._study(late)
        if self._source is VolumeSource.NONE or self._source is VolumeSource.EXCHANGE:
            self._study(message)
        elif self._volume[0] == message.end:
            self._study(self._filled(message))
        else:
            self._waiting = message

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        """Take what all options traded since the last snapshot."""
        if self._source is VolumeSource.OPTIONS:
            total = message.ce_volume + message.pe_volume
            self._on_volume(message.ts, total - self._options_total)
            if total == total:  # else nothing is known to have been traded yet
                self._options_total = total

    def _on_volume(self, end: int, volume: float) -> None:
        self._volume = (end, volume)
        waiting = self._waiting
        if waiting is not None and waiting.end <= end:
            self._waiting = None
            self._study(self._filled(waiting) if waiting.end == end else waiting)

    def _filled(self, bar: Bar) -> Bar:
        return msgspec.structs.replace(bar, volume=self._volume[1], volume_source=self._source)

    def _study_all(self, bar: Bar) -> None:
        for frame in self._running:
            frame.take(bar)

    def inspect(self) -> dict[str, Any]:
        """Say how many bars each time frame has seen, where volume comes from, and the last bar's studies."""
        frames: dict[int, dict[str, Any]] = {}
        for frame in self._frames:
            if frame.last is not None:
                specs = map(str, self._books[frame.seconds].specs)
                frames[frame.seconds] = {"ts": frame.last.ts, **dict(zip(specs, frame.last.values, strict=True))}
        bars = {frame.seconds: frame.seen for frame in self._frames}
        return {"underlying": self._underlying, "bars": bars, "volume": self._source.value, "studies": frames}
