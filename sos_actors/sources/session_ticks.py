"""A recorded session's market as a source: its ticks, played to other strategies ("what if")."""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

from sos_actors.decoding import from_msgpack
from sos_actors.market.clocktime import ist_date
from sos_actors.market.day import DataQuality, DayStats, MarketDay, TickColumns
from sos_actors.market.ids import parse_id
from sos_actors.messages import Tick
from sos_actors.messages.codec import decode
from sos_actors.runtime.journal.answers import Answer
from sos_actors.runtime.journal.deliveries import Delivery

#: Messages back for which a tick is known to be the one another actor heard.
_RECENT = 1 << 17


class _Day:
    """The ticks of one underlying and day, a column each: 68 bytes a tick."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.which = array("i")
        self.whole = {name: array("q") for name in ("ts", "ts_recv", "quantity", "day_volume")}
        self.broken = {name: array("d") for name in ("price", "oi", "bid", "ask")}

    def add(self, tick: Tick) -> None:
        """Append a tick."""
        self.which.append(self.places.setdefault(tick.instrument, len(self.places)))
        for columns in (self.whole, self.broken):
            for name, column in columns.items():
                column.append(getattr(tick, name))

    def columns(self, underlying: str) -> TickColumns:
        """Give them in the order in which they reached us."""
        order = np.argsort(np.frombuffer(self.whole["ts_recv"], np.int64), kind="stable")
        whole = {name: np.frombuffer(column, np.int64)[order] for name, column in self.whole.items()}
        broken = {name: np.frombuffer(column, np.float64)[order] for name, column in self.broken.items()}
        which = np.frombuffer(self.which, np.int32)[order]
        return TickColumns(
            underlying, tuple(self.places), which, whole["ts"], whole["ts_recv"], broken["price"], whole["quantity"],
            whole["day_volume"], broken["oi"], broken["bid"], broken["ask"],
        )  # fmt: skip


class SessionTicks:
    """The ticks that reached a recorded session from outside, each once, by day and underlying."""

    name = "session"

    def __init__(self, rows: Iterable[Delivery], answers: Iterable[Answer] = ()) -> None:
        """`answers` to `previous day` are the figures of the days before; where there are none they are unknown."""
        self._days: dict[tuple[str, dt.date], _Day] = {}
        recent: dict[bytes, None] = {}
        for one in rows:
            if one.kind != Tick.__name__ or one.cause >= 0 or one.body in recent:
                continue  # heard by several, it is recorded as often
            recent[one.body] = None
            if len(recent) > _RECENT:
                del recent[next(iter(recent))]
            tick = decode(one.body, Tick)
            key = (parse_id(tick.instrument).underlying, ist_date(tick.ts_recv))
            self._days.setdefault(key, _Day()).add(tick)
        self._stats: dict[tuple[str, dt.date], DayStats | None] = {}
        for answer in answers:
            if answer.name == "previous day" and not answer.failed:
                name, day = from_msgpack(answer.asked, tuple[str, dt.date])
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
        found = self._days.get((underlying, day))
        return None if found is None else found.columns(underlying)

    def quality(self, underlying: str, day: dt.date) -> DataQuality:
        """Say how many ticks there are."""
        found = self._days.get((underlying, day))
        return DataQuality(rows=0 if found is None else len(found.which))

    def day_stats(self, underlying: str, before: dt.date) -> DayStats | None:
        """Give what the session knew of the day before."""
        return self._stats.get((underlying, before))
