"""What the daemon stands on at its edges: the broker's client, today's instruments, history, the links."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from loguru import logger

from sos_actors.config import Config
from sos_actors.daemon.cast import LINK, seeded
from sos_actors.errors import DataError, SosError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import ist_date
from sos_actors.market.instruments import InstrumentTable
from sos_actors.runtime import LiveRuntime
from sos_actors.runtime.supervision import VITAL
from sos_actors.sources.calendar_file import CalendarFiles
from sos_actors.sources.facts import market_facts
from sos_actors.sources.gap_filler import GapFiller
from sos_actors.sources.upstox_fetch import World
from sos_actors.sources.upstox_source import UpstoxSource, minutes_of
from sos_actors.storage.market_store import MarketStore
from sos_actors.upstox.account import UpstoxAccount
from sos_actors.upstox.answers import Answerer
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.feed_settings import FeedEndpoint
from sos_actors.upstox.instruments import MasterFiles, downloader, file_day
from sos_actors.upstox.limits import RateLimiter
from sos_actors.upstox.link import BrokerLinkActor
from sos_actors.upstox.market_feed import UpstoxMarketFeed
from sos_actors.upstox.market_info import MarketInfo
from sos_actors.upstox.order_stream import UpdateReader, broker_stream
from sos_actors.upstox.orders import UpstoxOrders
from sos_actors.upstox.settings import UpstoxSettings

Now = Callable[[], int]


class TodaysTable:
    """The instruments listed today: one object all day long. Loading blocks; `table` never does.

    `now` gives UTC ns: before the broker's file of the day is out, the day before's is that of today.
    """

    def __init__(self, masters: MasterFiles, now: Now) -> None:
        self._masters = masters
        self._now = now
        self._lock = threading.Lock()
        self._day: dt.date | None = None
        self._table = InstrumentTable(())

    def table(self) -> InstrumentTable:
        """Give the last table that was loaded, an empty one before the first."""
        return self._table

    def of(self, day: dt.date) -> InstrumentTable:
        """Give the table of a day, loaded (and fetched) if it is another one. Raises DataError, InputError."""
        with self._lock:
            out = min(day, file_day(self._now()))
            if out != self._day:
                self._table = self._masters.today(out).table
                self._day = out
            return self._table

    def refresh(self) -> InstrumentTable:
        """Fetch today's file anew, whatever is kept of it. Raises DataError when there is none at all."""
        with self._lock:
            now = self._now()
            out = file_day(now)
            # Of a day that is over the file that was fetched on it is the better one.
            master = self._masters.today(out, refresh=out == ist_date(now))
            self._day, self._table = out, master.table
            return self._table


@dataclass(frozen=True, slots=True)
class Edges:
    """Everything that talks to the broker. `now` gives the daemon's clock, UTC ns."""

    config: Config
    settings: UpstoxSettings
    client: UpstoxClient
    account: UpstoxAccount
    listed: TodaysTable
    market_db: Path
    home: Path
    now: Now

    @classmethod
    def make(cls, config: Config, settings: UpstoxSettings, home: Path, now: Now, speed: float = 1.0) -> Edges:
        """Put the edges together; nothing is connected yet. `speed`: seconds of the clock in one of real time."""
        client = UpstoxClient(settings, RateLimiter(settings.rates, time.monotonic, max(speed, 1.0)))
        listed = TodaysTable(MasterFiles(home, downloader(settings)), now)
        account = UpstoxAccount(client, listed.table, patience_s=settings.link.read_patience_s)
        return cls(config, settings, client, account, listed, home / "market.db", home, now)

    def refresh_calendar(self) -> None:
        """Take the year's holidays and hours from the broker; the built-in table stands where that fails."""
        files = CalendarFiles(self.home)
        try:
            for line in files.keep(MarketInfo(self.client).holidays()):
                logger.warning("calendar: {}", line)
        except SosError as error:
            logger.warning("the calendar was not refreshed: {}", error)
        files.adopt()

    def open_calendar(self) -> tuple[int, ...]:
        """Have the broker's calendar; gives the years it knows. Raises DataError as long as this year is not one."""
        self.refresh_calendar()
        year = ist_date(self.now()).year
        if year not in INDIA.years:
            raise DataError(f"there is no list of the holidays of {year} yet: the broker's is waited for")
        return INDIA.years

    def bring_day(self, exchange: str, day: dt.date) -> None:
        """Bring the instruments of a day of trading. Raises InputError where the day's year is not known."""
        if INDIA.sessions(exchange, day):
            try:
                self.listed.of(day)
            except SosError as error:
                logger.error("today's instruments: {}", error)

    def history(self, store: MarketStore, patience_s: float) -> UpstoxSource:
        """Give the broker's history, writing into an open database; it waits so long for the rate limit at most."""
        settings = msgspec.structs.replace(self.config.data, patience_s=patience_s)
        return UpstoxSource(self.client, self.listed.of, store, settings, World(self.now, time.sleep, market_facts()))

    def gap_filler(self, patience_s: float | None = None) -> GapFiller:
        """Give what fills the gaps of a recorded day; it waits for the rate limit as configured, or so long at most."""
        own = self.config.data
        settings = own if patience_s is None else msgspec.structs.replace(own, patience_s=patience_s)
        return GapFiller(self.market_db, minutes_of(self.client, self.listed.of, settings, self.now), market_facts())

    def market_feed(self) -> UpstoxMarketFeed:
        """Give the market feed; it connects when it is started."""
        endpoint = FeedEndpoint(self.settings.feed_base, self.settings.ca_file)
        return UpstoxMarketFeed(
            self.client.api, endpoint, self.config.feed, self.listed.table, now=self.now, rng=seeded("market feed")
        )

    def spawn_link(self, runtime: LiveRuntime) -> None:
        """Put the connection to the broker's orders into the cast."""
        link = self.settings.link
        orders = UpstoxOrders(self.client, patience_s=link.order_patience_s, exit_patience_s=link.exit_patience_s)
        runtime.spawn(
            BrokerLinkActor, "link", Answerer(orders, self.account, self.listed.table, self.now),
            UpdateReader(self.account.reader), broker_stream(self.client, self.config.feed.orders, seeded("orders")),
            link, self.now, group=LINK, policy=VITAL,
        )  # fmt: skip

    def open_day(self) -> InstrumentTable:
        """Have today's instruments at hand, fetched anew. Raises DataError when there are none at all."""
        return self.listed.refresh()
