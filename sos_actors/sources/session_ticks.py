"""A recorded session's market as a source: its ticks, played to other strategies ("what if")."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from sos_actors.market.clocktime import ist_date
from sos_actors.market.day import DataQuality, DayStats, FloatColumn, IntColumn, MarketDay, TickColumns
from sos_actors.market.ids import parse_id
from sos_actors.messages import Tick
from sos_actors.messages.codec import decode
from sos_actors.runtime.journal.answers import Answer
from sos_actors.runtime.journal.deliveries import Delivery


class SessionTicks:
    """The ticks that reached a recorded session from outside, each once, by day and underlying."""

    name = "session"

    def __init__(self, rows: Iterable[Delivery], answers: Iterable[Answer] = ()) -> None:
        """`answers` to `previous day` are the figures of the days before; where there are none they are unknown."""
        seen: dict[bytes, None] = {}
        for one in rows:
            if one.kind == Tick.__name__ and one.cause < 0:  # heard by several, it is recorded as often
                seen.setdefault(one.body)
        ticks = sorted((decode(body, Tick) for body in seen), key=lambda tick: tick.ts_recv)
        self._days: dict[tuple[str, dt.date], list[Tick]] = {}
        for tick in ticks:
            key = (parse_id(tick.instrument).underlying, ist_date(tick.ts_recv))
            self._days.setdefault(key, []).append(tick)
        self._stats: dict[tuple[str, dt.date], DayStats | None] = {}
        for answer in answers:
            if answer.name == "previous day" and not answer.failed:
                name, day = msgspec.msgpack.decode(answer.asked, type=tuple[str, dt.date])
                self._stats[name, day] = decode(answer.said, DayStats | None)

    def days(self, underlying: str, candidates: Sequence[dt.date]) -> list[dt.date]:
        """Give the candidates there are ticks of."""
        return [day for day in candidates if (underlying, day) in self._days]

    @property
    def span(self) -> tuple[dt.date, dt.date] | None:
        """First and last day there are ticks of; None without any."""
        days = sorted(day for _, day in self._days)
        return (days[0], days[-1]) if days else None

    def load_day(self, underlying: str, day: dt.date) -> MarketDay | None:
        """Give nothing: a session has ticks."""
        del underlying, day
        return None

    def load_ticks(self, underlying: str, day: dt.date) -> TickColumns | None:
        """Give the day's ticks."""
        ticks = self._days.get((underlying, day))
        if not ticks:
            return None
        places = {name: place for place, name in enumerate(dict.fromkeys(tick.instrument for tick in ticks))}
        which = np.array([places[tick.instrument] for tick in ticks], np.int32)
        return TickColumns(
            underlying, tuple(places), which, _whole(ticks, "ts"), _whole(ticks, "ts_recv"), _broken(ticks, "price"),
            _whole(ticks, "quantity"), _whole(ticks, "day_volume"), _broken(ticks, "oi"), _broken(ticks, "bid"),
            _broken(ticks, "ask"),
        )  # fmt: skip

    def quality(self, underlying: str, day: dt.date) -> DataQuality:
        """Say how many ticks there are."""
        return DataQuality(rows=len(self._days.get((underlying, day), ())))

    def day_stats(self, underlying: str, before: dt.date) -> DayStats | None:
        """Give what the session knew of the day before."""
        return self._stats.get((underlying, before))


def _whole(ticks: Sequence[Tick], field: str) -> IntColumn:
    return np.array([getattr(tick, field) for tick in ticks], np.int64)


def _broken(ticks: Sequence[Tick], field: str) -> FloatColumn:
    return np.array([getattr(tick, field) for tick in ticks], np.float64)
