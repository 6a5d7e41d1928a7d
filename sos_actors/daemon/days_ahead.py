"""The sessions a daemon's clock runs through: those played again, today's so far, and all that come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from loguru import logger

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import MINUTE_NS, ist_date
from sos_actors.messages import Phase, SessionPhase
from sos_actors.runtime import Session, sessions_of


def sessions_ahead(exchange: str, played: Sequence[dt.date], now: int) -> Iterator[Session]:
    """Give the sessions of the days that are played, then today's unless it is over, then all that come.

    `now` is UTC ns. It ends, with a warning, before a year whose holidays nobody knows yet.
    """
    today = ist_date(now)
    for day in [day for day in played if day < today]:
        yield from sessions_of(day, INDIA.sessions(exchange, day))
    day = today
    while True:
        sessions = list(sessions_of(day, INDIA.sessions(exchange, day)))
        if sessions and (day != today or sessions[-1].close > now or day in played):
            yield from sessions
        try:
            day = INDIA.next_trading_day(exchange, day)
        except InputError as error:
            logger.warning("no sessions after {}: {}", day, error)
            return


def phases_so_far(exchange: str, played: Sequence[dt.date], now: int) -> list[SessionPhase]:
    """Give the phases today's session has been through by `now` (UTC ns), oldest first.

    None of a day that is over and was not among those `played`. A day that has begun is told also where none of its
    minutes could be played: a start in the first of them.
    """
    day = ist_date(now)
    found: list[SessionPhase] = []
    sessions = INDIA.sessions(exchange, day)
    if not sessions or (day not in played and sessions[-1].close_ns <= now):
        return []
    for number, session in enumerate(sessions):
        first, last = number == 0, number == len(sessions) - 1
        if first and session.open_ns - MINUTE_NS <= now:
            found.append(SessionPhase(session.open_ns - MINUTE_NS, day, Phase.PRE_OPEN))
        if session.open_ns <= now:
            found.append(SessionPhase(session.open_ns, day, Phase.OPEN))
        if session.close_ns <= now:
            found.append(SessionPhase(session.close_ns, day, Phase.CLOSED if last else Phase.BREAK))
    return found
