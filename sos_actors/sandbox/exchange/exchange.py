"""The simulated broker and exchange: one object with the broker's API as calls, and time as their argument.

Every call carries `now` (UTC ns); a time before one already given counts as that one. Calls answer at once with an
`Answer` that says when and how the server is to give it; what they cause later is collected by `advance`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sos_actors.errors import InputError
from sos_actors.market.calendar import TradingCalendar
from sos_actors.market.instruments import InstrumentTable
from sos_actors.sandbox.exchange.agenda import Agenda, Delays
from sos_actors.sandbox.exchange.answers import Answer
from sos_actors.sandbox.exchange.book import paise
from sos_actors.sandbox.exchange.books import Books
from sos_actors.sandbox.exchange.bulk import BulkApi
from sos_actors.sandbox.exchange.day import DayKeeper
from sos_actors.sandbox.exchange.desk import Desk
from sos_actors.sandbox.exchange.faults import FaultDice, FaultMenu
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.gate import OWNER, Caller, Class, Gate
from sos_actors.sandbox.exchange.gtt import GttDesk
from sos_actors.sandbox.exchange.orderapi import OrderApi
from sos_actors.sandbox.exchange.reads import Reads
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.stream import StreamEvent
from sos_actors.sandbox.exchange.user import User
from sos_actors.sandbox.schedule import CALENDAR


class Exchange:
    """The broker, the exchange behind it, and the one account. See the module for time."""

    def __init__(
        self,
        settings: ExchangeSettings,
        instruments: InstrumentTable,
        rng: np.random.Generator,
        faults: FaultMenu | None = None,
        calendar: TradingCalendar = CALENDAR,
    ) -> None:
        # Faults draw from a stream of their own, so that arming one changes nothing that came before it.
        dice, delays, cuts = (np.random.default_rng(int(rng.integers(2**62))) for _ in range(3))
        self.settings = settings
        self.faults = FaultDice(faults or FaultMenu(), dice)
        self._agenda = Agenda()
        self._delays = Delays(settings.delays, delays)
        self._floor = Floor(settings, instruments, calendar, self._agenda, self._delays, self.faults, cuts)
        self._desk = Desk(self._floor, self._delays)
        self._user = User(settings, self._floor, self._desk)
        self._gate = Gate(settings, self._delays, self.faults, self._floor.stream, self._user.addresses)
        self._orders = OrderApi(settings, self._floor, self._desk, self._user)
        self._bulk = BulkApi(self._floor, self._desk, self._orders)
        self._gtt = GttDesk(self._floor, self._desk, self._user)
        self._day = DayKeeper(settings.day, self._floor, self._desk, self._gtt)
        #: The exchange's own books: what a trader is judged by.
        self.books = Books(self._floor)
        self._reads = Reads(settings, self._floor)
        self._now = 0

    # --- time and market --------------------------------------------------------------------------------------

    def advance(self, now: int) -> tuple[StreamEvent, ...]:
        """Let time come to `now`: give what left the broker unasked since the last call, in order of time."""
        return self._floor.stream.drain(self._run(now))

    def next_due(self) -> int | None:
        """When `advance` has something to do next, UTC ns; None when nothing is due."""
        due = [ts for ts in (self._agenda.next_due(), self._floor.stream.next_due()) if ts is not None]
        return min(due) if due else None

    def on_quote(
        self, instrument: str, bid: float, bid_qty: int, ask: float, ask_qty: int, last: float, volume: float, now: int
    ) -> None:
        """Move the market of one instrument (our id or the broker's key). Rupees, units; `volume` is the day's.

        NaN or 0 stands for what is not there. Raises InputError for an instrument that is not listed.
        """
        now = self._run(now)
        book = self._floor.books.get(instrument)
        if book is None:
            known = self._floor.instruments
            found = known.by_id(instrument) or known.by_key(instrument)
            if found is None:
                raise InputError(f"quote of '{instrument}': the exchange does not list it")
            book = self._floor.book(found)
        figures = (paise(bid), int(bid_qty), paise(ask), int(ask_qty), paise(last))
        self._floor.quote(book, figures, volume, now)
        self._gtt.on_price(book, now)

    def relist(self, instruments: InstrumentTable, now: int) -> None:
        """Take the contracts of another day; what is held or was traded of others stays."""
        self._run(now)
        self._floor.instruments = instruments

    def halt(self, now: int, seconds: float) -> None:
        """Stop all executions for some seconds."""
        self._floor.halt(self._run(now), seconds)

    def restart(self, now: int, seconds: float = 0.0) -> None:
        """Let the broker restart: streams die, requests get 503 for `seconds`, the books survive."""
        self._gate.restart(self._run(now), seconds)

    # --- orders -----------------------------------------------------------------------------------------------

    def place(self, body: object, now: int, caller: Caller = OWNER, *, version: int = 3) -> Answer:
        """Answer `POST /v3/order/place` (`version` 2: `/v2/order/place`, no slices, one id)."""
        return self._pass(
            Class.ORDER, "place", now, caller, lambda ms: self._orders.place(body, self._now, ms, version)
        )

    def modify(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `PUT /v3/order/modify`."""
        return self._pass(Class.ORDER, "modify", now, caller, lambda ms: self._orders.modify(body, self._now, ms))

    def cancel(self, order_id: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `DELETE /v3/order/cancel?order_id=`."""
        return self._pass(Class.ORDER, "cancel", now, caller, lambda ms: self._orders.cancel(order_id, self._now, ms))

    def place_multi(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `POST /v2/order/multi/place`: 200, 207 partial_success, or 400."""
        return self._pass(Class.BULK, "multi-place", now, caller, lambda _: self._bulk.place(body, self._now))

    def cancel_multi(
        self, now: int, caller: Caller = OWNER, *, tag: str | None = None, segment: str | None = None
    ) -> Answer:
        """Answer `DELETE /v2/order/multi/cancel?tag=&segment=`."""
        return self._pass(Class.BULK, "multi-cancel", now, caller, lambda _: self._bulk.cancel(tag, segment, self._now))

    def exit_positions(
        self, now: int, caller: Caller = OWNER, *, tag: str | None = None, segment: str | None = None
    ) -> Answer:
        """Answer `POST /v2/order/positions/exit?tag=&segment=`."""
        return self._pass(Class.BULK, "exit", now, caller, lambda _: self._bulk.exit(tag, segment, self._now))

    def gtt_place(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `POST /v3/order/gtt/place`."""
        return self._pass(Class.ORDER, "gtt-place", now, caller, lambda ms: self._gtt.place(body, self._now, ms))

    def gtt_modify(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `PUT /v3/order/gtt/modify`."""
        return self._pass(Class.ORDER, "gtt-modify", now, caller, lambda ms: self._gtt.modify(body, self._now, ms))

    def gtt_cancel(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `DELETE /v3/order/gtt/cancel`, which carries a JSON body."""
        return self._pass(Class.ORDER, "gtt-cancel", now, caller, lambda ms: self._gtt.cancel(body, self._now, ms))

    # --- reads ------------------------------------------------------------------------------------------------

    def gtt_list(self, now: int, caller: Caller = OWNER, *, gtt_order_id: str | None = None) -> Answer:
        """Answer `GET /v3/order/gtt[?gtt_order_id=]`."""
        return self._pass(Class.READ, "gtt", now, caller, lambda _: self._gtt.list(gtt_order_id))

    def order_book(self, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/order/retrieve-all`."""
        return self._pass(Class.READ, "book", now, caller, lambda _: self._reads.order_book(self._now))

    def order_details(self, order_id: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/order/details?order_id=`."""
        return self._pass(Class.READ, "details", now, caller, lambda _: self._reads.order_details(order_id, self._now))

    def order_history(
        self, now: int, caller: Caller = OWNER, *, order_id: str | None = None, tag: str | None = None
    ) -> Answer:
        """Answer `GET /v2/order/history?order_id=&tag=`, oldest first."""
        return self._pass(Class.READ, "history", now, caller, lambda _: self._reads.history(order_id, tag, self._now))

    def trades(self, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/order/trades/get-trades-for-day`."""
        return self._pass(Class.READ, "trades", now, caller, lambda _: self._reads.trades(self._now))

    def order_trades(self, order_id: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/order/trades?order_id=`."""
        return self._pass(
            Class.READ, "order-trades", now, caller, lambda _: self._reads.order_trades(order_id, self._now)
        )

    def positions(self, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/portfolio/short-term-positions`."""
        return self._pass(Class.READ, "positions", now, caller, lambda _: self._reads.positions(self._now))

    def holdings(self, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/portfolio/long-term-holdings`: this account holds no shares."""
        return self._pass(Class.READ, "holdings", now, caller, lambda _: self._reads.holdings())

    def funds(self, now: int, caller: Caller = OWNER, *, version: int = 2, segment: str | None = None) -> Answer:
        """Answer `GET /v2/user/get-funds-and-margin` (`version` 3: `/v3/...`)."""
        return self._pass(Class.FUNDS, "funds", now, caller, lambda _: self._reads.funds(version, segment))

    def margin(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `POST /v2/charges/margin`."""
        return self._pass(Class.READ, "margin", now, caller, lambda _: self._reads.margin(body))

    def brokerage(self, query: Mapping[str, Any], now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/charges/brokerage`; `query` values are text, as they stand in the address."""
        return self._pass(Class.READ, "brokerage", now, caller, lambda _: self._reads.brokerage(query, self._now))

    # --- the account's owner ----------------------------------------------------------------------------------

    def profile(self, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/user/profile`."""
        return self._pass(Class.READ, "profile", now, caller, lambda _: self._user.profile())

    def kill_switch(self, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/user/kill-switch`."""
        return self._pass(Class.READ, "kill-switch", now, caller, lambda _: self._user.kill_switch())

    def set_kill_switch(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `POST /v2/user/kill-switch`."""
        return self._pass(
            Class.READ, "set-kill-switch", now, caller, lambda _: self._user.set_kill_switch(body, self._now)
        )

    def static_ip(self, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `GET /v2/user/ip`."""
        return self._pass(Class.READ, "ip", now, caller, lambda _: self._user.static_ip())

    def set_static_ip(self, body: object, now: int, caller: Caller = OWNER) -> Answer:
        """Answer `PUT /v2/user/ip`; the tokens die (an event says so)."""
        return self._pass(Class.READ, "set-ip", now, caller, lambda _: self._user.set_static_ip(body, self._now))

    # --- the market side --------------------------------------------------------------------------------------

    def market(self, name: str, now: int, caller: Caller, work: Callable[[], Answer]) -> Answer:
        """Answer a read of the market with `work`, which may raise Refusal, behind the same faults and limits."""
        return self._pass(Class.MARKET, name, now, caller, lambda _: work())

    # --- inside -----------------------------------------------------------------------------------------------

    def _pass(self, kind: Class, name: str, now: int, caller: Caller, work: Callable[[int], Answer]) -> Answer:
        """Let a request through the gate; `work` is called with its latency in ms, and finds the time in `_now`."""
        return self._gate.pass_through(kind, name, self._run(now), caller, work)

    def _run(self, now: int) -> int:
        """Let time come to `now`, never back; gives the time it is."""
        self._now = max(self._now, now)
        self._day.start(self._now)
        self._agenda.run(self._now)
        return self._now
