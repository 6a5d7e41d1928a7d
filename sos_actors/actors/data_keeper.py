"""DataKeeperActor and GapFillerActor: the day's minutes into storage as they close, and history into their gaps.

Each belongs into a dispatch group (thread) of its own: one waits for the disk, the other for the broker.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from sos_actors.errors import SosError, StorageError
from sos_actors.market.clocktime import MINUTE_NS, ist_date
from sos_actors.market.ids import index_id, near_future, parse_id
from sos_actors.market.minute_book import MinuteBook, RecordedMinutes
from sos_actors.messages import (
    Bar,
    ChainFrame,
    ContractsChosen,
    FeedStatus,
    GapsFilled,
    GapsSuspected,
    MinuteClosed,
    Phase,
    SessionPhase,
)
from sos_actors.runtime import Actor, handles

log = logging.getLogger(__name__)
#: From the end of a hole until history is asked: the minute in which it ended must be over and have its candle.
FILL_DELAY_NS = 2 * MINUTE_NS


class Shelf(Protocol):
    """Where the minutes go."""

    def begin(self, underlying: str, day: dt.date, now: int) -> None:
        """Note that a day is being recorded from now (UTC ns) on. Raises StorageError."""

    def keep(self, underlying: str, day: dt.date, minutes: RecordedMinutes) -> None:
        """Store minutes, all of them or none. Raises StorageError."""


class DataKeeperActor(Actor):
    """Hears bars and frames of its underlyings and stores them every `flush_s` seconds, and when the day ends.

    What cannot be stored is kept and tried again with the next minute: a full disk stops no trading.
    """

    def __init__(self, underlyings: Iterable[str], shelf: Shelf, flush_s: float) -> None:
        """`flush_s`: seconds of minutes a crash may lose at most."""
        super().__init__()
        self._shelf, self._flush_ns = shelf, round(flush_s * 1e9)
        self._books = {name: MinuteBook(name) for name in underlyings}
        self._day: dt.date | None = None
        self._flushed = 0
        self._down: set[str] = set()
        self._fill_at: dict[str, int] = {}
        self._options: dict[str, set[str]] = {name: set() for name in self._books}
        self._failures, self._last_error, self._stored = 0, "", 0
        for name in self._books:
            self.subscribe(Bar, index_id(name))
            self.subscribe(Bar, near_future(name))
            self.subscribe(ChainFrame, name)
            self.subscribe(ContractsChosen, name)
            self.subscribe(FeedStatus, name)
        self.subscribe(MinuteClosed)
        self.subscribe(SessionPhase)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """Begin a day, or store its last minutes and have its gaps filled."""
        if message.phase is Phase.PRE_OPEN:
            self._begin(message.day, message.ts)
        elif message.phase is Phase.CLOSED and self._day is not None:
            self._flush(message.ts)
            for name, book in self._books.items():
                book.clear()  # what could not be stored until now is left to history, as the day's state says
                self.publish(GapsSuspected(name, message.day, message.ts, final=True))
            self._fill_at.clear()
            self._day = None

    def _begin(self, day: dt.date, now: int) -> None:
        self._day, self._flushed = day, now
        for name in self._books:
            try:
                self._shelf.begin(name, day, now)
            except StorageError as error:
                self._fail(error)

    @handles(ContractsChosen)
    def on_contracts(self, message: ContractsChosen) -> None:
        """Hear every option that is followed; what was followed before stays heard."""
        heard = self._options[message.underlying]
        for instrument in (*message.instruments, *message.others):
            if instrument not in heard and parse_id(instrument).kind == "OPT":
                heard.add(instrument)
                self.subscribe(Bar, instrument)

    @handles(Bar)
    def on_bar(self, message: Bar) -> None:
        """Take a minute of an instrument."""
        self._books[parse_id(message.instrument).underlying].take_bar(message)

    @handles(ChainFrame)
    def on_frame(self, message: ChainFrame) -> None:
        """Take a minute of a chain."""
        self._books[message.underlying].take_frame(message)

    @handles(FeedStatus)
    def on_status(self, message: FeedStatus) -> None:
        """Note a hole in the feed; when it ends, history is asked a little later."""
        if not message.live:
            self._down.add(message.underlying)
        elif message.underlying in self._down:
            self._down.discard(message.underlying)
            self._fill_at[message.underlying] = message.ts + FILL_DELAY_NS

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        """Store when it is time to, and have gaps filled whose time has come."""
        if self._day is None:  # started in the middle of a day
            self._begin(ist_date(message.ts), message.ts)
        due = [name for name, at in self._fill_at.items() if at <= message.ts]
        if due or self._failures or message.ts - self._flushed >= self._flush_ns:
            self._flush(message.ts)
        for name in due:
            del self._fill_at[name]
            self.publish(GapsSuspected(name, self._today(), message.ts))

    def _today(self) -> dt.date:
        assert self._day is not None
        return self._day

    def _flush(self, now: int) -> None:
        for name, book in self._books.items():
            minutes = book.minutes()
            if not minutes:
                continue
            try:
                self._shelf.keep(name, self._today(), minutes)
            except StorageError as error:
                self._fail(error)
                return
            if minutes.doubtful and name not in self._down:
                self._fill_at.setdefault(name, now + FILL_DELAY_NS)
            self._stored += sum(len(one.start) for one in minutes.bars) + sum(len(one.start) for one in minutes.chains)
            book.clear()
        self._flushed, self._failures = now, 0

    def _fail(self, error: StorageError) -> None:
        self._failures += 1
        self._last_error = str(error)
        if self._failures == 1:
            log.warning("market data is not stored, and kept until it can be: %s", error)

    def inspect(self) -> dict[str, Any]:
        """Say what was stored and what stands in the way."""
        return {
            "day": str(self._day or ""),
            "stored_rows": self._stored,
            "options": sum(map(len, self._options.values())),
            "failures": self._failures,
            "last_error": self._last_error,
            "fill_due": ", ".join(sorted(self._fill_at)),
        }


class GapFillerActor(Actor):
    """Has the gaps of a recorded day filled from history. It waits for the broker, so it needs its own group."""

    def __init__(self, fill: Callable[[GapsSuspected], GapsFilled]) -> None:
        """`fill` does the work and raises SosError when it cannot."""
        super().__init__()
        self._fill = fill
        self._last: GapsFilled | None = None
        self.subscribe(GapsSuspected)

    @handles(GapsSuspected)
    def on_gaps(self, message: GapsSuspected) -> None:
        """Fill, and say how far that went."""
        try:
            self._last = self._fill(message)
        except SosError as error:
            log.warning("gaps of %s %s were not filled: %s", message.underlying, message.day, error)
            self._last = GapsFilled(message.underlying, message.day, error=str(error))
        self.publish(self._last)

    def inspect(self) -> dict[str, Any]:
        """Say what was filled last."""
        last = self._last
        if last is None:
            return {}
        return {"day": str(last.day), "cells": last.cells, "left": last.left, "error": last.error}
