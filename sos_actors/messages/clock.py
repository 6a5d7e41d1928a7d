"""What the clock says."""

from __future__ import annotations

import datetime as dt
import enum

from sos_actors.messages.base import Message, Word


class Phase(Word):
    """The parts of a trading day."""

    PRE_OPEN = "PRE_OPEN"
    OPEN = "OPEN"
    BREAK = "BREAK"
    CLOSED = "CLOSED"


class Stage(enum.IntEnum):
    """The order of work within one instant; the queue drains between two stages.

    At the end of each minute the exchange sees the minute's prices first (what waited there fills or not, and an
    exit sent after a fill still takes part in the rest of the bar), then the market data goes out, then the clock
    says that the minute is over, then timers fire, and last the day ends.
    """

    DAY_START = 0
    MATCH_OPEN = 1
    MATCH_RANGE = 2
    MARKET_DATA = 3
    MINUTE = 4
    TIMER = 5
    DAY_END = 6


class MinuteClosed(Message, frozen=True, gc=False):
    """The minute [ts - 60 s, ts) is over and its data is in. ClockActor -> bars, chain, risk."""

    ts: int


class SessionPhase(Message, frozen=True, gc=False):
    """A trading day entered a phase. ClockActor -> everybody who keeps something by the day."""

    ts: int
    day: dt.date
    phase: Phase


class HistoryPlayed(Message, frozen=True, gc=False):
    """What ended by `ts` was played from storage; what comes later is acted on. Daemon -> StrategyActor, SelectorActor.

    `state` is what the actor had kept (`StateChanged`) in an earlier life of the process, empty without one. From now
    on it keeps what it does.
    """

    ts: int
    state: bytes = b""


class Advance(Message, frozen=True, gc=False):
    """Give out the data due at `ts`: to the exchange or, at MARKET_DATA, to all.

    ClockActor -> FeedActor, simulated. In the storm, StormLinkActor -> itself: the world outside comes to `ts`.
    """

    ts: int
    stage: Stage


class Settle(Message, frozen=True, gc=False):
    """Everything of the minute that ended at `ts` is in. ChainActor -> itself.

    Sent on MinuteClosed, it queues behind the bars that the same MinuteClosed made the bar actors publish.
    """

    ts: int
