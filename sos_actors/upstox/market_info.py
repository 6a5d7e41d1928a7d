"""What the broker says of the exchanges: holidays, hours of a day, whether a segment is open."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from upstox_client import MarketHolidaysAndTimingsApi

from sos_actors.market.calendar import Session
from sos_actors.upstox.client import UpstoxClient

_MS = 1_000_000


class _Holidays(msgspec.Struct):
    data: list[dict[str, Any]] | None = None


class _Timing(msgspec.Struct):
    exchange: str
    start_time: int
    end_time: int


class _Timings(msgspec.Struct):
    data: list[_Timing] | None = None


class _Status(msgspec.Struct):
    status: str = ""
    last_updated: int | str | None = None


class _StatusAnswer(msgspec.Struct):
    data: _Status | None = None


class MarketInfo:
    """The broker's market information. Every method raises BrokerError."""

    def __init__(self, client: UpstoxClient) -> None:
        self._client, self._api = client, MarketHolidaysAndTimingsApi(client.api)

    def holidays(self) -> list[dict[str, Any]]:
        """Give the current year's rows as they came: see `TradingCalendar.with_holidays` for what counts in them."""
        return self._client.call("market holidays", self._api.get_holidays, answer=_Holidays).data or []

    def sessions(self, segment: str, day: dt.date) -> tuple[Session, ...]:
        """Give the hours of a segment (NFO, BFO, ...) on a day; empty when it is closed."""
        answer = self._client.call(
            f"market timings of {day}", self._api.get_exchange_timings, day.isoformat(), answer=_Timings
        )
        hours = [row for row in answer.data or () if row.exchange == segment]
        return tuple(sorted(Session(row.start_time * _MS, row.end_time * _MS) for row in hours))

    def status(self, segment: str) -> str:
        """Give the broker's word for a segment's state, e.g. NORMAL_OPEN; '' when it says nothing."""
        answer = self._client.call(
            f"market status of {segment}", self._api.get_market_status, segment, answer=_StatusAnswer
        )
        return answer.data.status if answer.data is not None else ""
