"""Our books against the broker's: a difference that lasts stops entries and says what differs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages import AccountDiffered, AlertLevel, BrokerPosition
from sos_actors.trading.gateway.gate import EntryGate
from sos_actors.trading.gateway.reading import Book, Reader
from sos_actors.trading.gateway.records import PositionFound
from sos_actors.trading.gateway.table import NEVER, OrderTable
from sos_actors.trading.gateway.telling import Teller

#: What has to be read, once it has begun, before anything is entered.
_FIRST = (Book.ORDERS, Book.TRADES, Book.POSITIONS)


class _Difference(NamedTuple):
    """What we hold and what the broker says, in units.

    `since` is when a read first showed just this, `read` when the latest one that did began (UTC ns): a read shows a
    moment, and only one that began later tells a lasting difference from one that was on its way.
    """

    since: int
    read: int
    ours: int
    theirs: int


class Account:
    """What differs between us and the broker, and since when."""

    def __init__(self, table: OrderTable, gate: EntryGate, reader: Reader, teller: Teller) -> None:
        self._table = table
        self._gate = gate
        self._reader = reader
        self._teller = teller
        self._differing: dict[str, _Difference] = {}
        self._adopted = False
        self._started = 0
        self._starting = True
        #: Whether the market is open: before that the broker's positions may not be those of the day yet.
        self.open = False
        self._said: tuple[str, ...] | None = None
        gate.differences = (self._unread(),)

    @property
    def unsettled(self) -> bool:
        """Whether the books have to be read soon: something differs, or nothing is known yet."""
        return bool(self._differing) or self._starting

    def start(self) -> None:
        """Hold entries until the broker's books have been read."""
        self._started = self._table.now
        self._starting, self._adopted = True, False
        self._differing.clear()

    def compare(self, positions: Iterable[BrokerPosition], began: int) -> None:
        """Compare what the broker says is held (read from `began` on) with what our fills come to."""
        table = self._table
        theirs: dict[str, int] = {}
        for position in positions:
            theirs[position.instrument] = theirs.get(position.instrument, 0) + position.quantity
        ours = table.positions()
        found: dict[str, _Difference] = {}
        for instrument in dict.fromkeys((*ours, *theirs)):
            pair = (ours.get(instrument, 0), theirs.get(instrument, 0))
            if pair[0] != pair[1]:
                before = self._differing.get(instrument)
                since = before.since if before is not None and (before.ours, before.theirs) == pair else table.now
                found[instrument] = _Difference(since, began, *pair)
        if not self._adopted and self._reader.done.get(Book.ORDERS, -1) >= self._started:
            self._adopt(found, began)
        for instrument in [name for name, until in table.unproved.items() if until == NEVER]:
            self._prove(instrument, found)
        self._differing = found

    def _prove(self, instrument: str, found: dict[str, _Difference]) -> None:
        """Find out what became of units held over night: the desk is told of ours that are gone.

        The broker's order book tells of today alone, so this rests on positions: on reads that differ for as long as a
        difference may stand, and on an order book read in the meantime that does not explain it. What the desk sent
        before it heard must not leave: for a while more everything that would close them waits.
        """
        table, one = self._table, found.get(instrument)
        if one is None:
            del table.unproved[instrument]
            return
        lasting = one.since + round(table.settings.settle_s * SECOND_NS)
        explained = table.doubts() or self._reader.done.get(Book.ORDERS, -1) <= one.since  # or may be yet
        if self.open and one.read >= lasting and not explained:
            self._teller.tell_moved(instrument, one.theirs - one.ours)
            table.unproved[instrument] = table.after(max(table.settings.settle_s, 1.0))
            del found[instrument]

    def _adopt(self, found: dict[str, _Difference], began: int) -> None:
        """Count as not ours what is held of instruments we have had nothing to do with: it was there before us.

        Only what an order book read since the difference was first seen does not explain: an order made by hand
        meanwhile explains itself.
        """
        table = self._table
        touched = {child.instrument for child in table.children.values() if child.owner is not None}
        strange = [name for name in found if name not in touched and name not in table.base]
        for instrument in strange:
            one = found[instrument]
            if min(began, self._reader.done[Book.ORDERS]) <= one.since:
                continue
            del found[instrument]
            strangers = table.base[instrument] = one.theirs - one.ours
            table.out.append(PositionFound(instrument, strangers))
            text = f"{strangers} units of {instrument} are held that are not ours: left alone"
            table.alert(AlertLevel.WARNING, text)
        self._adopted = not any(name in found for name in strange)

    def refresh(self) -> None:
        """Say what differs, whenever that has changed."""
        if self._starting and not self._table.doubts():
            done = self._reader.done
            self._starting = not self._adopted or any(done.get(book, -1) < self._started for book in _FIRST)
        lines = tuple(self._lines())
        self._gate.differences = lines
        if lines != self._said:
            if self._said or lines:
                self._table.out.append(AccountDiffered(self._table.now, lines, self._starting))
            self._said = lines

    def _unread(self) -> str:
        trouble = self._reader.trouble
        why = next((f" ({book.value}: {trouble[book]})" for book in _FIRST if book in trouble), "")
        return f"start-up: the broker's books have not been read yet{why}"

    def _lines(self) -> list[str]:
        table = self._table
        lines = [self._unread()] if self._starting else []
        settle = round(table.settings.settle_s * SECOND_NS)
        lines += [
            f"position of {instrument}: ours {one.ours}, the broker's {one.theirs}"
            for instrument, one in self._differing.items()
            if one.read - one.since >= settle
        ]
        limit = round(table.settings.absent_s * SECOND_NS)
        lines += [
            f"order {child.broker_id} ({order.submit.order_id}): works here, is not in the broker's book"
            for order in table.active.values()
            for child in order.live
            if child.missing_since and table.now - child.missing_since >= limit
        ]
        return lines
