"""What the exchanges' segments are doing at a moment: pre-open, open, closed."""

from __future__ import annotations

import datetime as dt

from sos_actors.market.calendar import TradingCalendar
from sos_actors.market.clocktime import MINUTE_NS, ist_date

#: Segments and the exchange whose sessions they keep.
SEGMENTS = {
    "NSE_EQ": "NSE",
    "NSE_INDEX": "NSE",
    "NSE_FO": "NSE",
    "BSE_EQ": "BSE",
    "BSE_INDEX": "BSE",
    "BSE_FO": "BSE",
}
#: What the REST calls name an exchange's segments.
REST_EXCHANGES = {"NSE": "NSE_EQ", "NFO": "NSE_FO", "BSE": "BSE_EQ", "BFO": "BSE_FO"}
#: Exchanges the sandbox has nothing of: always closed.
REST_CLOSED = ("CDS", "BCD", "MCX", "NSCOM")
#: Pre-open collects orders from 15 minutes before the open to 3 minutes before it.
_PRE_OPEN_NS, _PRE_OPEN_END_NS = 15 * MINUTE_NS, 3 * MINUTE_NS


def status_of(calendar: TradingCalendar, exchange: str, now_ns: int) -> tuple[str, int]:
    """Status of an exchange's index derivatives and since when (UTC ns); the cash market is shown alike."""
    day = ist_date(now_ns)
    changes: list[tuple[int, str]] = []
    for session in calendar.sessions(exchange, day):
        changes += [
            (session.open_ns - _PRE_OPEN_NS, "PRE_OPEN_START"),
            (session.open_ns - _PRE_OPEN_END_NS, "PRE_OPEN_END"),
            (session.open_ns, "NORMAL_OPEN"),
            (session.close_ns, "NORMAL_CLOSE"),
        ]
    past = [(status, ns) for ns, status in changes if ns <= now_ns]
    if past:
        return past[-1]
    previous = calendar.previous_trading_day(exchange, day)
    return "NORMAL_CLOSE", calendar.sessions(exchange, previous)[-1].close_ns


def segment_statuses(calendar: TradingCalendar, now_ns: int) -> dict[str, str]:
    """Status of every segment, as the feed's market_info says it."""
    by_exchange = {name: status_of(calendar, name, now_ns)[0] for name in ("NSE", "BSE")}
    return {segment: by_exchange[exchange] for segment, exchange in SEGMENTS.items()}


def rest_status(calendar: TradingCalendar, name: str, now_ns: int) -> tuple[str, int] | None:
    """Status of what REST calls an exchange; None for an unknown name. What the sandbox has not is always closed."""
    if name in REST_CLOSED:
        return "NORMAL_CLOSE", now_ns
    segment = REST_EXCHANGES.get(name)
    return status_of(calendar, SEGMENTS[segment], now_ns) if segment is not None else None


def timings(calendar: TradingCalendar, day: dt.date) -> list[dict[str, object]]:
    """Sessions of a day by what REST calls an exchange; times in ms."""
    return [
        {"exchange": name, "start_time": session.open_ns // 1_000_000, "end_time": session.close_ns // 1_000_000}
        for name, segment in REST_EXCHANGES.items()
        for session in calendar.sessions(SEGMENTS[segment], day)
    ]
