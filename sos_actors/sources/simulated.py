"""The simulated market as a source of history: always there, never real."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA
from sos_actors.market.day import DataQuality, DayStats, MarketDay, TickColumns
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.sandbox.market import SimulatedMarket


class SimulatedHistory:
    """Days of a seeded `SimulatedMarket`; every trading day of the calendar has one."""

    name = "simulated"

    def __init__(self, market: SimulatedMarket) -> None:
        self._market = market

    def days(self, underlying: str, candidates: Sequence[dt.date]) -> list[dt.date]:
        """Give those of the candidates that have data: all."""
        del underlying
        return list(candidates)

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Give a day at minute grain."""
        return self._market.day(underlying, day)

    def load_ticks(self, underlying: str, day: dt.date) -> TickColumns | None:
        """Give the same day as ticks."""
        return self._market.ticks(underlying, day)

    def quality(self, underlying: str, day: dt.date) -> DataQuality:
        """Give the day's quality: nothing is ever missing."""
        return self._market.day(underlying, day).quality

    def day_stats(self, underlying: str, before: dt.date) -> DayStats | None:
        """Give the index's open, high, low and close of the last trading day before `before`."""
        try:
            day = INDIA.previous_trading_day(EXCHANGE_OF[underlying], before)
        except InputError:  # a year the calendar does not know
            return None
        index = self._market.day(underlying, day).index
        if index is None:
            return None
        return DayStats(
            underlying,
            day,
            float(index.open[0]),
            float(index.high.max()),
            float(index.low.min()),
            float(index.close[-1]),
        )
