"""The clock actor: owns time, timers and the sessions of the calendar."""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

from sos_actors.messages import MinuteClosed, Phase, SessionPhase, Stage
from sos_actors.runtime.actor import Actor, handles
from sos_actors.runtime.topics import Port, Put, Targets, Topic

MINUTE_NS = 60_000_000_000
#: Time of the next message of a series that has come to its end: later than any timer.
NEVER = 1 << 62
#: One message of a series: when, at which stage, 0 (before any timer of that stage, whose numbers begin at 1), what.
Coming = tuple[int, int, int, Any]
#: What a series that has come to its end gives.
END: Coming = (NEVER, 0, 0, None)
#: What the clock brings when it moves on: who gets it, in order, and the message.
Step = tuple[Targets, Any]


@dataclass(frozen=True, slots=True)
class Session:
    """One stretch of trading: `first` and `last` say whether it opens and ends its day. Times UTC ns."""

    day: dt.date
    open: int
    close: int
    first: bool = True
    last: bool = True


def sessions_of(day: dt.date, hours: Sequence[tuple[int, int]]) -> Iterator[Session]:
    """Give the stretches of trading of a day from their hours, [open, close) in UTC ns, in order."""
    for number, (opened, closed) in enumerate(hours):
        yield Session(day, opened, closed, first=number == 0, last=number == len(hours) - 1)


class ClockActor(Actor):
    """Time for the whole cast: `now`, timers, minute closes and session phases.

    Simulated: the runtime calls `advance` whenever the queue is empty; time then jumps to the next timer. Timers
    of one instant fire by stage, then in the order they were set, and the queue drains between any two of them.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Clock time, UTC ns.
        self.now = 0
        #: What of the series played comes next, what comes after it, and where they are published.
        self.upcoming = END
        self.series: Iterator[Coming] = iter(())
        self.series_topic: Topic
        #: A heap, and the one object for good.
        self.timers: list[tuple[int, int, int, Put, Port, Any]] = []
        self._seq = 0
        self._sessions: Iterator[Session] = iter(())
        self._session: Session | None = None
        self._grace = 0
        self._minutes = self.topic(MinuteClosed)
        self._phases = self.topic(SessionPhase)

    def schedule(self, at: int, stage: Stage, actor: Actor, message: Any) -> int:
        """Deliver `message` to `actor` at `at` (UTC ns; never before now). Gives the timer's number for `cancel`."""
        self._seq += 1
        if at < self.now:  # noqa: PLR1730 - max() costs three times as much, and this is twice an order
            at = self.now
        heapq.heappush(self.timers, (at, stage, self._seq, actor.dispatcher.put, actor.ports[type(message)], message))
        return self._seq

    def play(self, topic: Topic, times: Sequence[int], messages: Sequence[Any], stage: Stage) -> None:
        """Publish each message on the topic at its time (UTC ns, ascending): a day without a heap.

        One series at a time: what is left of an earlier one is dropped.
        """
        if len(times) != len(messages):
            raise ValueError(f"{len(messages)} messages for {len(times)} times")
        self.series = zip(times, repeat(stage), repeat(0), messages, strict=False)
        self.series_topic = topic
        self.upcoming = next(self.series, END)

    def cancel(self, number: int) -> None:
        """Take a timer back; one that has fired or is unknown is left alone."""
        kept = [timer for timer in self.timers if timer[2] != number]
        if len(kept) != len(self.timers):
            heapq.heapify(kept)
            self.timers[:] = kept

    def follow(self, sessions: Iterable[Session], grace: int = 0) -> None:
        """Play these sessions, oldest first: phases, and a MinuteClosed for every minute.

        A minute is said to be closed `grace` ns after its end, so that what comes late is still in it.
        """
        self._sessions = iter(sessions)
        self._grace = grace
        self._next_session()

    @property
    def due(self) -> int:
        """When the next message of the series played goes out, UTC ns; NEVER when none is left."""
        return self.upcoming[0]

    def next_at(self) -> int:
        """Say when the clock will move on to, UTC ns; NEVER when there is nothing left."""
        return min(self.due, self.timers[0][0]) if self.timers else self.due

    def advance(self) -> bool:
        """Move time to the next timer and fire it. False when there is none left."""
        step = self.step()
        if step is None:
            return False
        targets, message = step
        for put, port in targets:
            put((port, message))
        return True

    def step(self) -> Step | None:
        """Move time to the next timer and give its message and whom it is for. None when there is none left."""
        timers, upcoming = self.timers, self.upcoming
        if timers and timers[0] < upcoming:
            self.now, _, _, put, port, message = heapq.heappop(timers)
            return ((put, port),), message
        if upcoming is END:
            return None
        self.now, _, _, message = upcoming
        self.upcoming = next(self.series, END)
        return self.series_topic.targets, message

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        """Say that a minute is over and set the timer of the next."""
        self._minutes.publish(message)
        session = self._session
        if session is not None and message.ts < session.close:
            self._close_at(message.ts + MINUTE_NS)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Say that the day entered a phase."""
        self._phases.publish(message)
        if message.phase in {Phase.CLOSED, Phase.BREAK}:
            self._next_session()
        elif message.phase is Phase.OPEN:
            self._close_at(message.ts + MINUTE_NS)

    def _close_at(self, end: int) -> None:
        if self._minutes.targets:  # else nobody wants to know
            self.schedule(end + self._grace, Stage.MINUTE, self, MinuteClosed(end))

    def _next_session(self) -> None:
        session = self._session = next(self._sessions, None)
        if session is None:
            return
        day = session.day
        if session.first:
            before = session.open - MINUTE_NS
            self.schedule(before, Stage.DAY_START, self, SessionPhase(before, day, Phase.PRE_OPEN))
        self.schedule(session.open, Stage.DAY_START, self, SessionPhase(session.open, day, Phase.OPEN))
        closed = SessionPhase(session.close, day, Phase.CLOSED if session.last else Phase.BREAK)
        self.schedule(session.close + self._grace, Stage.DAY_END, self, closed)
