"""Candles from the broker: past days (V3), today (intraday), in as many requests as the longest range asks for.

A candle is `[start, open, high, low, close, volume, open interest]`, prices in rupees, counts in units; the rows come
newest first, and past days never include today. Here they are left as the broker gave them: whoever stores them checks
them as a file's rows are checked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from upstox_client import HistoryV3Api

from sos_actors.upstox.client import UpstoxClient

#: One row as it came: seven items when it is sound.
Row = Sequence[Any]
#: Longest range of one request for minute candles: a month (Upstox, "Historical Candle Data V3"). February's length
#: is a month whatever the calendar says.
LONGEST_DAYS = 28
_ONE_DAY = dt.timedelta(days=1)


class Candles(msgspec.Struct):
    """The part of the answer that matters."""

    candles: list[Any] | None = None


class CandleAnswer(msgspec.Struct):
    """The envelope; `data` is null where there is nothing."""

    data: Candles | None = None

    def rows(self) -> list[Row]:
        """Give the rows oldest first; what is no row at all is given as an empty one, to be counted."""
        found: list[Row] = [row if isinstance(row, list) else [] for row in self._raw()]
        found.sort(key=lambda row: str(row[0]) if row else "")
        return found

    def _raw(self) -> list[Any]:
        return (self.data.candles if self.data is not None else None) or []


def chunks(first: dt.date, last: dt.date, longest: int = LONGEST_DAYS) -> list[tuple[dt.date, dt.date]]:
    """Part [first, last] into ranges of at most `longest` days, both ends included, oldest first, none overlapping."""
    found = []
    while first <= last:
        end = min(last, first + (longest - 1) * _ONE_DAY)
        found.append((first, end))
        first = end + _ONE_DAY
    return found


class CandleHistory:
    """One-minute candles of what is listed today."""

    def __init__(self, client: UpstoxClient, *, patience_s: float) -> None:
        """`patience_s`: seconds a request may wait for the rate limit."""
        self._client, self._api, self._patience_s = client, HistoryV3Api(client.api), patience_s

    def past(self, key: str, first: dt.date, last: dt.date) -> list[Row]:
        """Give the rows from `first` to `last`, both included, oldest first; both before today.

        Raises BrokerError.
        """
        rows: list[Row] = []
        for start, end in chunks(first, last):
            rows += self._client.call(
                f"candles of {key} from {start} to {end}",
                self._api.get_historical_candle_data1,
                key, "minutes", 1, end.isoformat(), start.isoformat(),
                answer=CandleAnswer, patience_s=self._patience_s,
            ).rows()  # fmt: skip
        return rows

    def today(self, key: str) -> list[Row]:
        """Give the rows of today so far, oldest first. Raises BrokerError."""
        return self._client.call(
            f"today's candles of {key}",
            self._api.get_intra_day_candle_data,
            key, "minutes", 1, answer=CandleAnswer, patience_s=self._patience_s,
        ).rows()  # fmt: skip
