"""What the keepers of the day's data tell each other."""

from __future__ import annotations

import datetime as dt

from sos_actors.messages.base import Message


class GapsSuspected(Message, frozen=True, gc=False):
    """Minutes of a recorded day may be missing or in doubt up to `until` (UTC ns). DataKeeperActor -> GapFillerActor.

    `final`: the day is over, what cannot be filled now never will be.
    """

    underlying: str
    day: dt.date
    until: int
    final: bool = False


class GapsFilled(Message, frozen=True, gc=False):
    """How far the gaps of a day were filled. GapFillerActor -> observers.

    `minutes` had a gap, `cells` bars of instruments were added, `left` minutes still have a gap; `error` says why
    nothing could be done ('' otherwise).
    """

    underlying: str
    day: dt.date
    minutes: int = 0
    cells: int = 0
    left: int = 0
    error: str = ""
