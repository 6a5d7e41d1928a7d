"""The sessions a daemon's clock runs through: those played again, today's, and all that come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from loguru import logger

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import ist_date
from sos_actors.runtime import Session


def sessions_ahead(exchange: str, played: Sequence[dt.date], now: int) -> Iterator[Session]:
    """Give the sessions of the days that are played, then today's unless it is over, then all that come.

    `now` is UTC ns. It ends, with a warning, before a year whose holidays nobody knows yet.
    """
    today = ist_date(now)
    for day in [day for day in played if day < today]:
        yield from _sessions_of(exchange, day)
    day = today
    while True:
        sessions = list(_sessions_of(exchange, day))
        if sessions and (day != today or sessions[-1].close > now or day in played):
            yield from sessions
        try:
            day = INDIA.next_trading_day(exchange, day)
        except InputError as error:
            logger.warning("no sessions after {}: {}", day, error)
            return


def _sessions_of(exchange: str, day: dt.date) -> Iterator[Session]:
    spans = INDIA.sessions(exchange, day)
    for number, span in enumerate(spans):
        yield Session(day, span.open_ns, span.close_ns, first=number == 0, last=number == len(spans) - 1)
