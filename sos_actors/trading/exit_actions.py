"""What an exit plan decides: to tighten the stop, or to leave."""

from __future__ import annotations

import msgspec

from sos_actors.messages import ExitReason


class MoveStop(msgspec.Struct, frozen=True, gc=False):
    """Tighten the stop to `price`."""

    price: float
    reason: ExitReason


class ExitNow(msgspec.Struct, frozen=True, gc=False):
    """Close the position at the next price."""

    reason: ExitReason


ExitAction = MoveStop | ExitNow
