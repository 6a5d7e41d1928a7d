"""What the clock says."""

from __future__ import annotations

import datetime as dt
import enum

from sos_actors.messages.base import Message


class Phase(enum.StrEnum):
    """The parts of a trading day."""

    PRE_OPEN = "PRE_OPEN"
    OPEN = "OPEN"
    CLOSED = "CLOSED"


class MinuteClosed(Message, frozen=True, gc=False):
    """The minute [ts - 60 s, ts) is over and its data is in. ClockActor -> bars, chain, risk."""

    ts: int


class SessionPhase(Message, frozen=True, gc=False):
    """A trading day entered a phase. ClockActor -> everybody who keeps something by the day."""

    ts: int
    day: dt.date
    phase: Phase


class Advance(Message, frozen=True, gc=False):
    """Give out the data due at `ts`. ClockActor -> FeedActor, in simulated time only."""

    ts: int
