"""Everything the server serves: the market of the day, the exchange, who may come in, what goes wrong. No I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from sos_actors.errors import DataError
from sos_actors.market.clocktime import MINUTE_NS, ist_date
from sos_actors.market.instruments import Instrument
from sos_actors.sandbox.days import MarketDays
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.exchange.exchange import Exchange
from sos_actors.sandbox.greeks import GreekBook, OptionGreeks
from sos_actors.sandbox.live_market import LiveMarket
from sos_actors.sandbox.quote import Quote
from sos_actors.sandbox.seeding import stream
from sos_actors.sandbox.server.auth import Tokens
from sos_actors.sandbox.server.feed_faults import FeedDice
from sos_actors.sandbox.server.settings import ServerSettings

#: Interest rate a year with which the broker's Greeks are computed.
RATE = 0.065
_ONE_DAY = dt.timedelta(days=1)


class World:
    """The market and the broker at a moment that is handed in and never goes back.

    Raises DataError when there is no market up to the day of `now_ns`.
    """

    def __init__(self, settings: ServerSettings, days: MarketDays, now_ns: int) -> None:
        self.settings, self.days, self.now_ns = settings, days, now_ns
        day = days.latest(ist_date(now_ns))
        if day is None:
            raise DataError(f"sandbox: there is no market on or before {ist_date(now_ns)}; start on a later day")
        self.market = self._open(day)
        self.greek_book = GreekBook(RATE)
        self.exchange = Exchange(
            settings.exchange,
            self.market.table,
            stream(settings.seed, "exchange"),
            settings.order_faults,
            days.schedule.calendar,
        )
        self.dice = FeedDice(settings.feed_faults, stream(settings.seed, "feed faults"))
        user = settings.exchange.account.user_id
        self.tokens = Tokens(settings.app, user, settings.seed, stream(settings.seed, "codes"))
        for item in self.market.table:
            if item.kind != "OPT":
                self.quote(item.upstox_key)

    def step(self, now_ns: int) -> Iterator[Quote]:
        """Move on to `now_ns`, giving each quote right after each of its ticks; a new trading day begins by itself."""
        today = self.days.latest(ist_date(now_ns))
        if today is not None and today != self.market.tape.day:
            yield from self._play(min(now_ns, self._end()))
            self._begin(today, now_ns)
        yield from self._play(now_ns)

    def jump(self, now_ns: int) -> None:
        """Move on at once, leaving out the ticks between.

        What falls due meanwhile meets the prices from before the jump, what still waits then those at its end.
        """
        today = self.days.latest(ist_date(now_ns))
        if today is not None and today != self.market.tape.day:
            self._begin(today, now_ns)
        else:
            self.market.jump(now_ns)
            self._tell_all(now_ns)
        self.now_ns = now_ns

    def quote(self, key: str) -> Quote | None:
        """Quote of an instrument, None when it is not listed; the exchange hears of it from now on."""
        known = key in self.market.quotes
        found = self.market.quote(key)
        if found is not None and not known:
            self._tell(found, self.now_ns)
        return found

    def listed(self, key: str) -> Quote:
        """Quote of an instrument; raises Refusal 100011 when it is not listed."""
        found = self.quote(key)
        if found is None:
            raise Refusal("100011", "Invalid Instrument key", path="instrument_key", value=key)
        return found

    def greeks(self, instrument: Instrument) -> OptionGreeks:
        """Greeks as of the last completed minute."""
        return self.greek_book.of(self.market, instrument)

    def _open(self, day: dt.date) -> LiveMarket:
        before = self.days.latest(day - _ONE_DAY)
        return LiveMarket(self.days.tape(day), self.days.tape(before) if before is not None else None, self.now_ns)

    def _end(self) -> int:
        """Just after the last tick of the day being played."""
        return max(int(self.market.tape.starts(name)[-1]) for name in self.market.tape.underlyings) + 2 * MINUTE_NS

    def _begin(self, day: dt.date, now_ns: int) -> None:
        keys = tuple(self.market.quotes)
        self.now_ns = now_ns
        self.market = self._open(day)
        self.exchange.relist(self.market.table, now_ns)
        for key in keys:
            self.quote(key)

    def _play(self, now_ns: int) -> Iterator[Quote]:
        for quote in self.market.advance(now_ns):
            self.now_ns = self.market.now_ns
            self._tell(quote, self.now_ns)
            yield quote
        self.now_ns = now_ns

    def _tell_all(self, now_ns: int) -> None:
        for quote in self.market.quotes.values():
            self._tell(quote, now_ns)

    def _tell(self, quote: Quote, now_ns: int) -> None:
        best = next(iter(quote.depth()), None)
        bid_qty, ask_qty = (best.bid_quantity, best.ask_quantity) if best is not None else (0, 0)
        self.exchange.on_quote(
            quote.instrument.id, quote.bid, bid_qty, quote.ask, ask_qty, quote.ltp, quote.volume, now_ns
        )
