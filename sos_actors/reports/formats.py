"""How ratios and times are written, the same in every table and file. ASCII only: safe in any pipe."""

from __future__ import annotations

import math

from sos_actors.market.rupees import NOTHING


def decimal(value: float | None, digits: int = 2) -> str:
    """Write a ratio with fixed decimals; '-' where there is no figure."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(fraction: float | None, digits: int = 1) -> str:
    """Write a fraction as per cent, e.g. 0.512 -> '51.2%'; '-' where there is no figure."""
    return NOTHING if fraction is None or not math.isfinite(fraction) else f"{decimal(100 * fraction, digits)}%"


def span(minutes: float | None) -> str:
    """Write a length of time, e.g. '7.5 min', '3 h 05 min', '2 d 4 h'; '-' where there is no figure."""
    if minutes is None or not math.isfinite(minutes):
        return NOTHING
    if minutes < 60:
        return f"{decimal(minutes, 1)} min"
    whole = round(minutes)
    if whole < 24 * 60:
        return f"{whole // 60} h {whole % 60:02d} min"
    return f"{whole // 1440} d {whole % 1440 // 60} h"
