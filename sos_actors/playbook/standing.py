"""What a strategy has done: kept for a restart."""

from __future__ import annotations

import datetime as dt

import msgspec


class Standing(msgspec.Struct, frozen=True, tag="standing-1", kw_only=True):
    """What a strategy has done, and no bar can tell: for a restart. A later layout has another tag.

    `today` counts the setups of `day`, `last_setup` is the end of the last one's bar (UTC ns, 0: none), `held` the
    stance taken (1, 0, -1), `refused` the one whose refusal was told.
    """

    day: dt.date | None = None
    today: int = 0
    last_setup: int = 0
    held: int = 0
    refused: int = 0
