"""Amounts as they are written in India, the same in every table, message and file. ASCII only: safe in any pipe."""

from __future__ import annotations

import math

#: What stands where there is no figure.
NOTHING = "-"


def grouped(whole: int) -> str:
    """Write a count in Indian digit groups: the last three digits, then pairs, e.g. 12,34,567."""
    digits = str(abs(whole))
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return ("-" if whole < 0 else "") + ",".join([*reversed(pairs), tail])


def rupees(amount: float | None) -> str:
    """Write rupees with two decimals in Indian digit groups, e.g. -1,23,456.70; '-' where there is no figure."""
    if amount is None or not math.isfinite(amount):
        return NOTHING
    paise = round(amount * 100)
    sign = "-" if paise < 0 else ""
    return f"{sign}{grouped(abs(paise) // 100)}.{abs(paise) % 100:02d}"
