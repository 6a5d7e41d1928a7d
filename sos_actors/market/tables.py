"""Dated facts of the exchanges' calendar: holidays, special sessions, hours. Equity derivatives of NSE and BSE.

Sources: the exchanges' yearly holiday circulars and their amendments. Both exchanges keep the same days. Live, the
broker's own list is laid over these tables (`TradingCalendar.with_holidays`).
"""

from __future__ import annotations

import datetime as dt


def _days(year: int, *month_days: str) -> frozenset[dt.date]:
    return frozenset(dt.date.fromisoformat(f"{year}-{month_day}") for month_day in month_days)


#: Closures that fall on weekdays, by year. A year that is not here is unknown.
HOLIDAYS: dict[int, frozenset[dt.date]] = {
    2023: _days(
        2023, "01-26", "03-07", "03-30", "04-04", "04-07", "04-14", "05-01", "06-29", "08-15", "09-19", "10-02",
        "10-24", "11-14", "11-27", "12-25",
    ),
    2024: _days(
        2024, "01-22", "01-26", "03-08", "03-25", "03-29", "04-11", "04-17", "05-01", "05-20", "06-17", "07-17",
        "08-15", "10-02", "11-01", "11-15", "11-20", "12-25",
    ),
    2025: _days(
        2025, "02-26", "03-14", "03-31", "04-10", "04-14", "04-18", "05-01", "08-15", "08-27", "10-02", "10-21",
        "10-22", "11-05", "12-25",
    ),
    2026: _days(
        2026, "01-15", "01-26", "03-03", "03-26", "03-31", "04-03", "04-14", "05-01", "05-28", "06-26", "09-14",
        "10-02", "10-20", "11-10", "11-24", "12-25",
    ),
}  # fmt: skip

_FULL = (("09:15", "15:30"),)
#: Morning at the primary site, noon at the disaster-recovery site.
_TWO_SITES = (("09:15", "10:00"), ("11:30", "12:30"))

#: Sessions (IST) on days that are otherwise closed. The Muhurat session of Sunday 8 November 2026 is not here
#: because its hours are not known to us: that day counts as closed unless the broker's list opens it.
SPECIAL_SESSIONS: dict[dt.date, tuple[tuple[str, str], ...]] = {
    dt.date(2023, 11, 12): (("18:15", "19:15"),),  # Muhurat, a Sunday
    dt.date(2024, 1, 20): _FULL,  # Saturday; two short sessions were planned, a full one was held before 22 January
    dt.date(2024, 3, 2): _TWO_SITES,  # Saturday
    dt.date(2024, 5, 18): _TWO_SITES,  # Saturday
    dt.date(2024, 11, 1): (("18:00", "19:00"),),  # Muhurat
    dt.date(2025, 2, 1): _FULL,  # Saturday, Union Budget
    dt.date(2025, 10, 21): (("13:45", "14:45"),),  # Muhurat
    dt.date(2026, 2, 1): _FULL,  # Sunday, Union Budget
}

OPENING = "09:15"

#: Close of the normal session by date of effect, newest first. 15:40 came with the closing auction of the cash market.
CLOSINGS: tuple[tuple[dt.date, str], ...] = ((dt.date(2026, 8, 3), "15:40"), (dt.date.min, "15:30"))
