"""What the live feed says of itself: its connections, the exchange's segments, and its own timer."""

from __future__ import annotations

from sos_actors.messages.base import Message


class StreamChanged(Message, frozen=True, gc=False):
    """A connection of the market feed came up or went down. Market stream -> LiveFeedActor, observers.

    `name` tells several connections apart; `detail` says why it is down and what happens next.
    """

    name: str
    ts: int
    live: bool
    detail: str = ""


class SegmentStatusChanged(Message, frozen=True, gc=False):
    """What the broker says of the exchange's segments. Market stream -> LiveFeedActor, observers.

    Pairs of (segment, status), e.g. ('NSE_FO', 'NORMAL_OPEN'), sorted; `closing_auction` and `pre_open` likewise,
    for the sessions that have a status of their own.
    """

    ts: int
    segments: tuple[tuple[str, str], ...]
    closing_auction: tuple[tuple[str, str], ...] = ()
    pre_open: tuple[tuple[str, str], ...] = ()


class CheckFeed(Message, frozen=True, gc=False):
    """Judge the age of what came. LiveFeedActor -> itself, by a timer."""

    ts: int
