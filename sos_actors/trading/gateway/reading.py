"""Which of the broker's books is read when. Reads are few: the broker allows little more than one a second, over all.

A read proves something only about what was sent before it *began*, so its time is kept until it is answered.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages import ReadFunds, ReadOrders, ReadPositions, ReadTrades
from sos_actors.trading.gateway.table import NEVER, OrderTable

#: Least seconds between two reads of one book, and the most that failed reads are spaced.
_SPACING_S, _SLOWEST_S = 0.5, 30.0


class Book(enum.Enum):
    """What can be read."""

    ORDERS = "orders"
    TAG = "orders of one tag"
    TRADES = "trades"
    POSITIONS = "positions"
    FUNDS = "funds"


class Reading(NamedTuple):
    """A read under way."""

    book: Book
    began: int
    tag: str


class Reader:
    """Sends reads when they are due, one of each book at a time. `done` is when the last good read of each began.

    `trouble` is why the last read of each failed, of those whose last read failed.
    """

    def __init__(self, table: OrderTable) -> None:
        self._table = table
        self.due: dict[Book, int] = dict.fromkeys(Book, NEVER)
        self.done: dict[Book, int] = {}
        self.trouble: dict[Book, str] = {}
        self._flying: dict[str, Reading] = {}
        self._busy: dict[Book, str] = {}
        self._last: dict[Book, int] = {}
        self._failures: dict[Book, int] = {}

    def want(self, *books: Book, at: int = 0) -> None:
        """Ask for a read of each of these books at `at` (UTC ns) or before."""
        for book in books:
            self.due[book] = min(self.due[book], at)

    def every(self, seconds: float, *books: Book) -> None:
        """Ask for a read of each of these books so long after the last one."""
        wait = round(seconds * SECOND_NS)
        for book in books:
            self.due[book] = min(self.due[book], self._last.get(book, 0) + wait)

    def send(self, tag: str) -> None:
        """Send the reads that are due; `tag` is the one to look for, '' for none."""
        table = self._table
        self._drop_late()
        for book in Book:
            at = max(self.due[book], self._last.get(book, -NEVER) + round(_SPACING_S * SECOND_NS))
            if book in self._busy or at > table.now:
                continue
            self.due[book] = NEVER
            if book is Book.TAG and not tag:
                continue
            request_id = table.request_id()
            self._flying[request_id] = Reading(book, table.now, tag if book is Book.TAG else "")
            self._busy[book] = request_id
            self._last[book] = table.now
            if book is Book.ORDERS:
                table.out.append(ReadOrders(request_id))
            elif book is Book.TAG:
                table.out.append(ReadOrders(request_id, tag))
            elif book is Book.TRADES:
                table.out.append(ReadTrades(request_id))
            elif book is Book.POSITIONS:
                table.out.append(ReadPositions(request_id))
            else:
                table.out.append(ReadFunds(request_id))

    def answered(self, request_id: str, *, ok: bool, detail: str = "") -> Reading | None:
        """Take an answer: what was read and from when on; None where it failed (`detail`: why), or is none of ours."""
        reading = self._flying.pop(request_id, None)
        if reading is None:
            return None
        book = reading.book
        if self._busy.get(book) == request_id:
            del self._busy[book]
        if ok:
            self._failures[book] = 0
            self.trouble.pop(book, None)
            self.done[book] = max(self.done.get(book, 0), reading.began)
            return reading
        self._fail(book, " ".join(detail.split()) or "the read failed")
        return None

    def next_due(self) -> int:
        """Give the time at which `send` has something to do, UTC ns."""
        spacing, late = round(_SPACING_S * SECOND_NS), round(self._table.settings.read_s * SECOND_NS)
        idle = [max(at, self._last.get(book, -NEVER) + spacing) for book, at in self.due.items()
                if book not in self._busy and at < NEVER]  # fmt: skip
        return min(
            [*idle, *(self._flying[request_id].began + late for request_id in self._busy.values())], default=NEVER
        )

    def _fail(self, book: Book, why: str) -> None:
        self.trouble[book] = why
        failures = self._failures[book] = self._failures.get(book, 0) + 1
        self.want(book, at=self._table.after(min(2.0 ** min(failures - 1, 10), _SLOWEST_S)))

    def _drop_late(self) -> None:
        limit = round(self._table.settings.read_s * SECOND_NS)
        for book, request_id in tuple(self._busy.items()):
            if self._table.now - self._flying[request_id].began >= limit:
                del self._busy[book]
                self._fail(book, f"no answer within {self._table.settings.read_s:g} s")
