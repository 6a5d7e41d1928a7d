"""What the clock of the day brings: night, intraday square-off, close, settlement of what expires, clean books."""

from __future__ import annotations

from sos_actors.market.clocktime import DAY_NS, SECOND_NS, date_of, ist_date, ist_day, ist_ns, midnight_ns
from sos_actors.market.ids import index_id
from sos_actors.sandbox.exchange.account import settlement_value
from sos_actors.sandbox.exchange.bulk import closing
from sos_actors.sandbox.exchange.desk import Desk
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.gtt import GttDesk
from sos_actors.sandbox.exchange.orders import Change
from sos_actors.sandbox.exchange.settings import DaySettings


class DayKeeper:
    """Puts the day's events on the agenda, one day ahead at a time."""

    def __init__(self, settings: DaySettings, floor: Floor, desk: Desk, gtt: GttDesk) -> None:
        self._settings = settings
        self._floor = floor
        self._desk = desk
        self._gtt = gtt
        self._started = False
        self._settled = 0

    def start(self, now: int) -> None:
        """Begin at the first instant the exchange hears of; later calls do nothing."""
        if not self._started:
            self._started = True
            self._plan(now)

    def _plan(self, now: int) -> None:
        """Put what is still to come today on the agenda, and the planning of tomorrow."""
        day = date_of(int(ist_day(now)))
        agenda, settings = self._floor.agenda, self._settings
        events = [(ist_ns(day, settings.night_until), self._morning)]
        sessions = {name: self._floor.calendar.sessions(name, day) for name in ("NSE", "BSE")}
        ends = sorted({found[-1].close_ns for found in sessions.values() if found})
        if ends and settings.square_off:
            events.append((ist_ns(day, settings.square_off), self._square_off))
        for end in ends:
            events.append((end, self._close))
            events.append((end + int(settings.settle_after_close_s * SECOND_NS), self._settle))
        for ts, task in events:
            if ts > now:
                agenda.at(ts, task)
        agenda.at(midnight_ns(day) + DAY_NS, self._plan)

    def _morning(self, now: int) -> None:
        """Clear the last day's orders and trades, carry positions, forget its prices."""
        floor = self._floor
        floor.expire(list(floor.live.values()), "The order's day is over", now)
        floor.orders.clear()
        floor.account.new_day()
        self._gtt.forget()
        for book in floor.books.values():
            book.new_day()

    def _square_off(self, now: int) -> None:
        """Cancel intraday orders and close intraday positions, again and again until the close."""
        floor = self._floor
        pending = [one for one in floor.live.values() if one.product == "I"]
        for order in pending:
            self._desk.ask(order, Change(None), now)
        held = [one for one in floor.account.positions.values() if one.product == "I" and one.net]
        for position in held:
            # An order of ours that is still open could make the closing one too much: those go first.
            waits = any(one.instrument is position.instrument for one in pending)
            if not waits and floor.is_open(position.instrument.exchange, now):
                self._desk.accept(closing(position), now, internal=True)
        if any(floor.is_open(exchange, now) for exchange in ("NSE", "BSE")):
            floor.agenda.at(now + int(self._settings.square_off_retry_s * SECOND_NS), self._square_off)

    def _close(self, now: int) -> None:
        """Let the day's orders of an exchange that has closed expire."""
        floor = self._floor
        closed = [one for one in floor.live.values() if not floor.is_open(one.instrument.exchange, now)]
        floor.expire(closed, "The order expired at the close", now)
        self._gtt.end_of_day(now)

    def _settle(self, now: int) -> None:
        """Settle what expires today against the index."""
        floor, day = self._floor, ist_date(now)
        for position in list(floor.account.positions.values()):
            instrument = position.instrument
            if not position.net or instrument.expiry is None or instrument.expiry > day:
                continue
            if floor.is_open(instrument.exchange, now):
                continue
            index = floor.books.get(index_id(instrument.underlying))
            # An index that was never quoted settles nothing: the contract's own last price stands in.
            known = index is not None and index.last > 0
            value = settlement_value(instrument, index.last) if index and known else floor.book(instrument).last
            self._settled += 1
            floor.account.settle(position, value, f"S{self._settled:07d}", now, day)
            floor.say_position(position, now)
