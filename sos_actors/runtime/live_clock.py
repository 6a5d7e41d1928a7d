"""The clock of the live stage: simulated time while history is played, then wall time, on the same timers."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from sos_actors.errors import InputError
from sos_actors.messages import MinuteClosed, Stage
from sos_actors.runtime.clock import MINUTE_NS, ClockActor, Session
from sos_actors.runtime.walltime import SECOND_NS, WallTime
from sos_actors.runtime.worker import OUTSIDE, TIMER

if TYPE_CHECKING:
    from sos_actors.runtime.live import LiveRuntime

#: Stage of the mark at which playing stops: after all that is due at the same instant.
_LAST = max(Stage) + 1


class LiveClock(ClockActor):
    """Timers may be set and taken back on any thread.

    On wall time `now` is one value for as long as a delivery lasts, in whatever group; other threads read the running
    clock. Timers fire when they are due, those of one instant by stage, then in the order they were set; unlike in
    simulated time nobody waits for what one of them brought before the next.
    """

    def __init__(self) -> None:
        self._wall: WallTime | None = None
        self._played = 0
        #: Held by whoever touches the timers; notified when an earlier one was set.
        self.changed = threading.Condition(threading.RLock())
        self._catch_up = False
        super().__init__()
        self._live = cast("LiveRuntime", self.runtime)
        self._here = self._live.here
        self._live.live_clock = self

    @property
    def wall(self) -> WallTime | None:
        """The wall time; None while simulated time is played."""
        return self._wall

    @property
    def now(self) -> int:
        """Clock time, UTC ns."""
        wall = self._wall
        if wall is None:
            return self._played
        worker = self._here.worker
        return wall.now() if worker is None else worker.now(wall)

    @now.setter
    def now(self, at: int) -> None:
        self._played = at

    def go_live(self, wall: WallTime, *, catch_up: bool) -> None:
        """Let wall time take over; raises InputError when it lies before what was played."""
        with self.changed:
            if wall.now() < self._played:
                raise InputError("the live clock starts before the end of the history played: give a later clock.start")
            self._wall = wall
            self._catch_up = catch_up

    def set_ahead(self, by: int) -> None:
        """Move wall time ahead by `by` ns."""
        with self.changed:
            if self._wall is not None:
                self._wall = self._wall.ahead(by)

    def schedule(self, at: int, stage: Stage, actor: Any, message: Any) -> int:
        """Deliver `message` to `actor` at `at` (UTC ns; never before now). Gives the timer's number for `cancel`."""
        with self.changed:
            number = super().schedule(at, stage, actor, message)
            if self.timers[0][2] == number:
                self.changed.notify_all()
            return number

    def play(self, *args: Any, **kwargs: Any) -> None:
        """Play a series of messages, in simulated time only; see ClockActor."""
        if self._wall is not None:
            raise RuntimeError("a series is played in simulated time only")
        super().play(*args, **kwargs)

    def cancel(self, number: int) -> None:
        """Take a timer back; one that has fired or is unknown is left alone."""
        with self.changed:
            super().cancel(number)

    def follow(self, sessions: Iterable[Session], grace: int = 0) -> None:
        """Play these sessions, oldest first; on wall time the past of one that is under way is told at once.

        Its phases are given, but of its past minutes none unless that was asked for (`catch_up`).
        """
        with self.changed:
            super().follow(sessions, grace)

    def advance(self) -> bool:
        """Move simulated time to the next timer and fire it. False when there is none left."""
        with self.changed:
            self._here.outside = TIMER
            try:
                return super().advance()
            finally:
                self._here.outside = OUTSIDE

    def mark(self, until: int, reached: Any) -> None:
        """Call `reached` when simulated time comes to `until` and all that is due there has fired."""
        with self.changed:
            self._seq += 1
            nobodys = self.ports[MinuteClosed]  # a timer has a port, and `reached` looks at none
            heapq.heappush(self.timers, (until, _LAST, self._seq, reached, nobodys, None))

    def fire_due(self) -> float:
        """Fire the timers that are due; gives the real seconds until the next one is, 1e9 without one."""
        with self.changed:
            wall = self._wall
            timers = self.timers
            if wall is None:
                return 1e9
            now = wall.now()
            self._here.outside = TIMER
            while timers and timers[0][0] <= now:
                _, _, _, put, port, message = heapq.heappop(timers)
                put((port, message))
            self._here.outside = OUTSIDE
            if not timers:
                return 1e9
            return (timers[0][0] - now) / wall.speed / SECOND_NS

    def _close_at(self, end: int) -> None:
        if self._wall is None:
            super()._close_at(end)
            return
        session = self._session
        if session is None:
            return
        if end == session.open + MINUTE_NS and not self._catch_up:
            behind = self.now - self._grace - end
            if behind > 0:
                end += -(-behind // MINUTE_NS) * MINUTE_NS
        if end <= session.close:  # even if nobody listens just now: subscribers come and go
            self.schedule(end + self._grace, Stage.MINUTE, self, MinuteClosed(end))
