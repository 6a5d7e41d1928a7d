"""The broker as a source of history: brings days into the database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from sos_actors.errors import DataError
from sos_actors.market.clocktime import MINUTE_NS, ist_date
from sos_actors.market.instruments import InstrumentTable
from sos_actors.sources.data_settings import DataSettings
from sos_actors.sources.fallback import DayReport
from sos_actors.sources.ingest import Progress
from sos_actors.sources.listing import Listing
from sos_actors.sources.upstox_fetch import Fetch, Tools, World
from sos_actors.storage.day_states import DayStates
from sos_actors.storage.market_store import MarketStore
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.expired import ExpiredContracts
from sos_actors.upstox.history import CandleHistory, Row

#: First day of which the broker has minute candles (Upstox, "Historical Candle Data V3").
FIRST_DAY = dt.date(2022, 1, 1)


def minutes_of(
    client: UpstoxClient, table: Callable[[dt.date], InstrumentTable], settings: DataSettings, now: Callable[[], int]
) -> Callable[[str, dt.date], list[Row]]:
    """Give the function (instrument id, day) -> its one-minute rows, for what is listed today: see `GapFiller`.

    It raises BrokerError, and DataError for an instrument that is not listed.
    """
    candles = CandleHistory(client, patience_s=settings.patience_s)

    def rows(instrument: str, day: dt.date) -> list[Row]:
        today = ist_date(now())
        listed = table(today).by_id(instrument)
        if listed is None:
            raise DataError(f"{instrument}: not in the instrument file of {today}")
        return candles.today(listed.upstox_key) if day == today else candles.past(listed.upstox_key, day, day)

    return rows


class UpstoxSource:
    """Days of an underlying from the broker. One at a time writes to a database."""

    name = "upstox"

    def __init__(
        self,
        client: UpstoxClient,
        table: Callable[[dt.date], InstrumentTable],
        store: MarketStore,
        settings: DataSettings,
        world: World,
    ) -> None:
        """`table` gives the instruments listed today; it is asked only when something is to be fetched."""
        self._tools = Tools(
            CandleHistory(client, patience_s=settings.patience_s),
            ExpiredContracts(client, patience_s=settings.patience_s),
            store, DayStates(store), settings, world,
        )  # fmt: skip
        self._table = table

    def bring(
        self,
        underlying: str,
        days: Sequence[dt.date],
        *,
        force: bool = False,
        every_option: bool = False,
        tell: Progress | None = None,
    ) -> Iterator[DayReport]:
        """Fetch and store those of the trading days (ascending) that the database lacks, or with `force` all.

        Gives each day's report as it is done, in no order. Raises BrokerError, DataError or StorageError when it cannot
        go on: days already done stay, and the next call goes on at the contract where this one stopped.
        """
        today = ist_date(self._tools.world.now())
        wanted = []
        for day in days:
            if not FIRST_DAY <= day <= today:
                note = "the broker's minutes begin in 2022" if day < FIRST_DAY else "is yet to come"
                yield DayReport(underlying, day, "nothing", note=note)
            elif force or self._lacking(underlying, day, today, every_option=every_option):
                wanted.append(day)
            else:
                yield DayReport(underlying, day, "kept")
        if not wanted:
            return
        listing = Listing(self._table(today), self._tools.expired, today, self._tools.world.calendar)
        yield from Fetch(
            self._tools, listing, underlying, wanted, today,
            force=force, every_option=every_option, tell=tell or (lambda *_: None),
        ).run()  # fmt: skip

    def _lacking(self, underlying: str, day: dt.date, today: dt.date, *, every_option: bool) -> bool:
        """Whether the database has less of a day than the broker may have."""
        state = self._tools.states.get(underlying, day)
        if state is None:
            return every_option or not self._tools.store.has_day(underlying, day)
        if every_option and not state.every_option:
            return True
        if state.complete:
            return False
        again = state.at + round(self._tools.settings.retry_after_min * MINUTE_NS)
        return day == today or state.source != self.name or self._tools.world.now() >= again
