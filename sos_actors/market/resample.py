"""Longer bars out of shorter ones, counted from the open of the session."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS, clock_ns, ist_date, ns_of_day
from sos_actors.market.day import BarColumns, FloatColumn
from sos_actors.market.tables import OPENING
from sos_actors.messages import Bar

#: 09:15 IST in nanoseconds since midnight.
_OPEN_NS = clock_ns(OPENING)


def bucket_start(start: int, minutes: int, session_open: int | None = None) -> int:
    """Start (UTC ns) of the `minutes`-minute bar holding a bar that starts at `start`.

    Bars count from `session_open` (UTC ns), else from 09:15 IST of the day, also backwards for a pre-open.
    """
    span = minutes * MINUTE_NS
    if session_open is None:
        session_open = start - ns_of_day(start) + _OPEN_NS
    return start - (start - session_open) % span


class Resampler:
    """Bars of `minutes` minutes from bars of one instrument given in order of time.

    A bar is given out as soon as its last minute is in (or the clock says through `close` that it is over); a missing
    minute inside, in which nothing traded, is no fault. A bar that the session cut short ends (`end`) with
    its last minute, so `end - start` tells that it is partial. Volume adds up what is known (NaN: none is), OI is the
    last known, `complete` holds when all minutes are.
    """

    __slots__ = ("_bar", "_minutes", "_session_open", "_span")

    def __init__(self, minutes: int) -> None:
        _check(minutes)
        self._minutes = minutes
        self._span = minutes * MINUTE_NS
        self._session_open: int | None = None
        self._bar: Bar | None = None

    def start_session(self, session_open: int) -> Bar | None:
        """Count bars from `session_open` (UTC ns) on; gives the bar the last session left unfinished, if any."""
        left = self.flush()
        self._session_open = session_open
        return left

    def add(self, bar: Bar) -> tuple[Bar, ...]:
        """Take the next bar; gives the bars it completes, oldest first: none, one, or two after a gap."""
        done = []
        anchor = self._session_open
        if anchor is not None and ist_date(anchor) != ist_date(bar.start):
            anchor = None
        start = bucket_start(bar.start, self._minutes, anchor)
        current = self._bar
        if current is not None and current.start != start:
            over = ist_date(start) == ist_date(current.start)
            done.append(replace(current, end=current.start + self._span if over else current.end))
            current = None
        self._bar = replace(bar, start=start) if current is None else _joined(current, bar)
        if bar.end >= start + self._span:
            done.append(self._bar)
            self._bar = None
        return tuple(done)

    def close(self, now: int) -> Bar | None:
        """Say that every minute before `now` (UTC ns) is in: gives the bar that is over by then, if any."""
        current = self._bar
        if current is None or current.start + self._span > now:
            return None
        self._bar = None
        return replace(current, end=current.start + self._span)

    def flush(self) -> Bar | None:
        """End the session: gives the unfinished bar, if any, ending with its last minute."""
        left, self._bar = self._bar, None
        return left


def resample(columns: BarColumns, minutes: int, session_open: int | None = None) -> BarColumns:
    """Do the same for a whole column of bars in order of time, on any number of days.

    `session_open` (UTC ns) is for one day whose session does not count from 09:15 IST. The last bar of a session can
    be partial. Raises InputError when `minutes` is no positive whole multiple of the columns' interval.
    """
    _check(minutes)
    if minutes * 60 % columns.interval_s:
        raise InputError(f"bars of {columns.interval_s} s do not make bars of {minutes} minutes")
    if len(columns.start) == 0:
        return dataclasses.replace(columns, interval_s=minutes * 60)
    anchor = columns.start - ns_of_day(columns.start) + _OPEN_NS
    if session_open is not None:
        anchor = np.full_like(anchor, session_open)
    bucket = columns.start - (columns.start - anchor) % (minutes * MINUTE_NS)
    first = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
    last = np.append(first[1:], len(bucket)) - 1
    return BarColumns(
        instrument=columns.instrument,
        interval_s=minutes * 60,
        start=bucket[first],
        open=columns.open[first],
        high=np.maximum.reduceat(columns.high, first),
        low=np.minimum.reduceat(columns.low, first),
        close=columns.close[last],
        volume=_known_sum(columns.volume, first),
        oi=_last_known(columns.oi, first, last),
    )


def _known_sum(values: FloatColumn, first: NDArray[np.intp]) -> FloatColumn:
    known = ~np.isnan(values)
    total = np.add.reduceat(np.where(known, values, 0.0), first)
    return np.where(np.logical_or.reduceat(known, first), total, np.nan)


def _last_known(values: FloatColumn, first: NDArray[np.intp], last: NDArray[np.intp]) -> FloatColumn:
    seen = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))[last]
    return np.where(seen >= first, values[np.maximum(seen, 0)], np.nan)


def _check(minutes: int) -> None:
    if minutes < 1:
        raise InputError(f"bars of {minutes} minutes: give a whole number of minutes, 1 or more")


def _joined(bar: Bar, other: Bar) -> Bar:
    unknown, nothing_new = math.isnan(bar.volume), math.isnan(other.volume)
    return Bar(
        instrument=bar.instrument,
        start=bar.start,
        end=other.end,
        open=bar.open,
        high=max(bar.high, other.high),
        low=min(bar.low, other.low),
        close=other.close,
        volume=other.volume if unknown else bar.volume if nothing_new else bar.volume + other.volume,
        oi=bar.oi if math.isnan(other.oi) else other.oi,
        volume_source=other.volume_source,
        complete=bar.complete and other.complete,
    )
