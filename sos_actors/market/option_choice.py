"""`option_selection`: which instrument a signal trades.

ATM, OTM_1, ITM_2, DELTA_0.40 and RANKED name a call for a long view and a put for a short one; ATM_CALL, OTM_CALL_1,
ITM_PUT_2, DELTA_CALL_0.40 and RANKED_PUT write the right out; UNDERLYING and FUTURE are the instrument itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sos_actors.errors import InputError
from sos_actors.messages import Direction, Right

_PATTERN = re.compile(
    r"(?P<plain>ATM|RANKED)(_(?P<right1>CALL|PUT|CE|PE))?"
    r"|(?P<steps>OTM|ITM)(_(?P<right2>CALL|PUT|CE|PE))?(_(?P<n>[1-9]\d?))?"
    r"|DELTA(_(?P<right3>CALL|PUT|CE|PE))?_(?P<delta>0?\.\d+)"
    r"|(?P<itself>UNDERLYING|FUTURE)"
)
_RIGHTS = {"CALL": Right.CE, "CE": Right.CE, "PUT": Right.PE, "PE": Right.PE}


class Selection(NamedTuple):
    """A parsed `option_selection`: `kind` is ATM, OTM, ITM, DELTA, RANKED, UNDERLYING or FUTURE.

    `right` is None where the view decides, `steps` counts strikes from the money (OTM, ITM), `delta` is the
    absolute delta wanted.
    """

    kind: str
    right: Right | None = None
    steps: int = 0
    delta: float = 0.0

    def text(self, right: Right) -> str:
        """Write it out for a right, e.g. 'OTM_CALL_1'."""
        word = "CALL" if right is Right.CE else "PUT"
        match self.kind:
            case "UNDERLYING" | "FUTURE":
                return self.kind
            case "ATM" | "RANKED":
                return f"{self.kind}_{word}"
            case "DELTA":
                return f"DELTA_{word}_{self.delta:.2f}"
            case _:
                return f"{self.kind}_{word}_{self.steps}"

    def for_view(self, direction: Direction) -> str:
        """Say what a view of the underlying buys: a call when long, a put when short, whatever right was written."""
        return self.text(Right.CE if direction is Direction.LONG else Right.PE)


@lru_cache(maxsize=256)
def parse_selection(text: str) -> Selection:
    """Read an `option_selection`; raises InputError saying what may be written."""
    match = _PATTERN.fullmatch(text.strip().upper())
    if match is None:
        raise InputError(
            f"unknown option_selection '{text}'; expected ATM, OTM_1, ITM_2, DELTA_0.40 or RANKED, "
            "with CALL or PUT written out if you like (OTM_CALL_1), or UNDERLYING or FUTURE"
        )
    parts = match.groupdict()
    right = _RIGHTS.get(parts["right1"] or parts["right2"] or parts["right3"] or "")
    if parts["delta"]:
        delta = float(parts["delta"])
        if not 0.01 <= delta <= 0.99:
            raise InputError(f"option_selection '{text}': the delta must lie between 0.01 and 0.99")
        return Selection("DELTA", right, 0, delta)
    if parts["steps"]:
        return Selection(parts["steps"], right, int(parts["n"] or 1))
    return Selection(parts["plain"] or parts["itself"], right)
