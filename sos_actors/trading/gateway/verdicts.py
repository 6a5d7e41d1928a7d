"""What the broker's error codes mean for an order: its own fault, a passing trouble, or a closed door.

Source: the broker's published error codes, and what others report (1154: an unregistered address; 1158 to 1160: market
protection). A refusal whose code nobody knows stops entries, as an unregistered address does.
"""

from __future__ import annotations

import enum

_PREFIX = "UDAPI"

#: The order is final or unknown at the broker: its own word on it must be read.
_FINAL = frozenset({"100040", "100041", "100010"})
_TOKEN = frozenset({"100050", "100016"})
_RATE = frozenset({"10005"})
_NIGHT = frozenset({"100072", "100074", "1113"})
#: The request itself is at fault: asking once more would be no better.
_ORDER = frozenset(
    str(number)
    for number in (
        *(1003, 1004, 1006, 1007, 1008, 1010, 1023, 1026, 1029, 1030, 1031, 1032, 1036, 1037, 1038, 1039, 1040, 1041),
        *(1042, 1043, 1052, 1054, 1055, 1056, 1057, 1118, 1119, 1158, 1159, 1160, 1161),
        *(10000, 100011, 100015, 100036, 100038, 100039, 100059),
    )
)


class Verdict(enum.Enum):
    """What a refusal says."""

    ORDER = "the order is at fault"
    FINAL = "the order has ended, or is not known"
    TOKEN = "the token is not valid"
    RATE = "too many requests"
    NIGHT = "the broker takes no orders at this time"
    LOCAL = "it never left"
    CLOSED = "refused for a reason nobody knows"


def judge(code: str, *, left: bool) -> Verdict:
    """Say what an error code means. `left`: whether the request reached the broker at all."""
    number = code.upper().removeprefix(_PREFIX)
    for numbers, verdict in ((_FINAL, Verdict.FINAL), (_TOKEN, Verdict.TOKEN), (_RATE, Verdict.RATE),
                             (_NIGHT, Verdict.NIGHT), (_ORDER, Verdict.ORDER)):  # fmt: skip
        if number in numbers:
            return verdict
    return Verdict.CLOSED if left else Verdict.LOCAL
