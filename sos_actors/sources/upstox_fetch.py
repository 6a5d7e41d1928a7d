"""One fetch of days of one underlying from the broker: what each day is to have, and how it gets it.

The index's candles come first, for they say which strikes were near the money; then the near future's and the options'
of the front expiry (or of every expiry), one contract at a time over all its days. What came is kept as it came until
a day has everything; then the day is checked and stored in one transaction.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from sos_actors.errors import DataError
from sos_actors.market.calendar import INDIA, TradingCalendar
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_text
from sos_actors.market.day import DataQuality
from sos_actors.market.ids import EXCHANGE_OF, index_id
from sos_actors.market.instruments import INDEX_KEYS
from sos_actors.sources.candle_rows import Rows, by_day, store_day
from sos_actors.sources.data_settings import DataSettings
from sos_actors.sources.facts import MarketFacts
from sos_actors.sources.fallback import DayReport
from sos_actors.sources.ingest import Progress
from sos_actors.sources.listing import Contract, Listing, strikes_near
from sos_actors.storage.day_states import DayState, DayStates
from sos_actors.storage.market_store import MarketStore
from sos_actors.upstox.errors import (
    BadRequestError,
    BrokerDownError,
    NotAllowedError,
    NotFoundError,
    NotReachedError,
    RateLimitedError,
    UnansweredError,
    UnreadableAnswerError,
)
from sos_actors.upstox.expired import ExpiredContracts
from sos_actors.upstox.history import CandleHistory

log = logging.getLogger(__name__)
T = TypeVar("T")
#: Asking again may help.
_PASSING = (BrokerDownError, NotReachedError, UnansweredError, RateLimitedError, UnreadableAnswerError)
_PLUS = "UDAPI1149"


@dataclass(frozen=True, slots=True)
class World:
    """What a fetch must be given of the world: the time (UTC ns), a way to wait (seconds), the market's rules."""

    now: Callable[[], int]
    sleep: Callable[[float], None]
    facts: MarketFacts
    calendar: TradingCalendar = INDIA


@dataclass(frozen=True, slots=True)
class Tools:
    """What every fetch uses."""

    candles: CandleHistory
    expired: ExpiredContracts
    store: MarketStore
    states: DayStates
    settings: DataSettings
    world: World


@dataclass(slots=True)
class _Plan:
    """What one day is to have, and in words what it will lack. `expiry` None: no options."""

    day: dt.date
    contracts: list[Contract]
    expiry: dt.date | None = None
    lacks: list[str] = field(default_factory=list)


class Fetch:
    """A fetch of `days` (ascending, none after `today`) of one underlying."""

    def __init__(
        self,
        tools: Tools,
        listing: Listing,
        underlying: str,
        days: Sequence[dt.date],
        today: dt.date,
        *,
        force: bool,
        every_option: bool,
        tell: Progress,
    ) -> None:
        self._tools, self._listing, self._underlying, self._days, self._today = tools, listing, underlying, days, today
        self._force, self._every, self._tell = force, every_option, tell
        self._index = Contract(index_id(underlying), INDEX_KEYS[underlying])
        self._unknown: set[str] = set()
        self._done = 0

    def run(self) -> Iterator[DayReport]:
        """Fetch and store; gives each day's report as it is done. Raises BrokerError, DataError, StorageError."""
        if self._today in self._days:
            self._tools.states.drop_fetched(self._underlying, self._today)  # what was kept of it has grown since
        self._tell(0.0, f"{self._underlying}: index")
        self._get(self._index, self._days)
        plans = [self._plan(day) for day in self._days]
        for group in _groups(plans, every_option=self._every):
            self._get_all(group)
            for plan in group:
                yield self._finish(plan)
                self._done += 1

    # ------------------------------------------------------------------ what a day is to have

    def _plan(self, day: dt.date) -> _Plan:
        plan = _Plan(day, [self._index])
        rows = self._tools.states.fetched(self._underlying, day, self._index.id).get(self._index.id, [])
        if not rows or self._underlying == "INDIAVIX":
            return plan
        self._part(plan, "the future", lambda: self._plan_future(plan))
        self._part(plan, "the options", lambda: self._plan_options(plan, rows))
        return plan

    def _part(self, plan: _Plan, what: str, add: Callable[[], None]) -> None:
        """Plan a part; what the broker will not say of it is lacking, and the rest of the day goes on."""
        try:
            add()
        except NotAllowedError as error:
            if error.code != _PLUS:
                raise
            plan.lacks.append(f"{what}: {error}")
        except (NotFoundError, BadRequestError) as error:
            plan.lacks.append(f"{what}: {error}")

    def _plan_future(self, plan: _Plan) -> None:
        future = self._ask(lambda: self._listing.future(self._underlying, plan.day))
        if future is None:
            plan.lacks.append("the future: none of that day is known to the broker")
        else:
            plan.contracts.append(future)

    def _plan_options(self, plan: _Plan, rows: Rows) -> None:
        expiry = self._ask(lambda: self._listing.front_expiry(self._underlying, plan.day))
        if expiry is None:
            plan.lacks.append("the options: none of that day are known to the broker")
        else:
            plan.contracts += self._options(expiry, plan.day, rows)
            plan.expiry = expiry

    def _options(self, expiry: dt.date, day: dt.date, rows: Rows) -> list[Contract]:
        if self._every:
            expiries = self._ask(lambda: self._listing.expiries(self._underlying, day))
            chains = [self._ask(partial(self._listing.options, self._underlying, one)) for one in expiries]
            return [contract for chain in chains for _, contract in chain]
        low, high = _range_of(rows)
        chain = self._ask(lambda: self._listing.options(self._underlying, expiry))
        strikes = sorted({one.strike for one, _ in chain if one.strike is not None})
        near = set(strikes_near(strikes, low, high, self._tools.settings.strikes))
        return [contract for one, contract in chain if one.strike in near]

    # ------------------------------------------------------------------ fetching

    def _get_all(self, plans: Sequence[_Plan]) -> None:
        """Fetch every contract of the plans over all its days."""
        wanted: dict[Contract, list[dt.date]] = {}
        for plan in plans:
            for contract in plan.contracts:
                wanted.setdefault(contract, []).append(plan.day)
        for number, (contract, days) in enumerate(wanted.items()):
            done = (self._done + len(plans) * number / len(wanted)) / len(self._days)
            self._tell(done, f"{self._underlying} {days[0]}: {number + 1} of {len(wanted)} contracts")
            self._get(contract, days)

    def _get(self, contract: Contract, days: Sequence[dt.date]) -> None:
        """Fetch what is not kept yet of a contract's days, and keep it."""
        tools, underlying = self._tools, self._underlying
        past = [day for day in days if day < self._today and not tools.states.is_fetched(underlying, day, contract.id)]
        candles = tools.expired.candles if contract.expired else tools.candles.past
        try:
            if past:
                rows = self._ask(lambda: candles(contract.key, past[0], past[-1]))
                tools.states.keep_fetched(underlying, contract.id, by_day(rows, past))
            if self._today in days and not tools.states.is_fetched(underlying, self._today, contract.id):
                rows = self._ask(lambda: tools.candles.today(contract.key))
                tools.states.keep_fetched(underlying, contract.id, by_day(rows, [self._today]))
        except (NotFoundError, BadRequestError) as error:
            if contract is self._index:
                raise
            log.warning("%s", error)
            self._unknown.add(contract.id)

    def _ask(self, request: Callable[[], T]) -> T:
        """Make a request, and again after a pause when the network or the broker fails. Raises BrokerError."""
        pause = self._tools.settings.retry_pause_s
        for _ in range(self._tools.settings.retries):
            try:
                return request()
            except _PASSING as error:
                log.warning("%s; again in %g s", error, max(pause, error.retry_after_s))
                self._tools.world.sleep(max(pause, error.retry_after_s))
                pause *= 2
        return request()

    # ------------------------------------------------------------------ a day is done

    def _finish(self, plan: _Plan) -> DayReport:
        """Check and store the day; its state says whether anything is missing."""
        tools, underlying, day = self._tools, self._underlying, plan.day
        kept = tools.states.fetched(underlying, day)
        names = [contract.id for contract in plan.contracts]
        fetched = {name: kept[name] for name in names if name in kept}
        if not fetched.get(self._index.id):
            tools.states.drop_fetched(underlying, day)
            return DayReport(underlying, day, "nothing", note="the broker has no candles of that day")
        unknown = sum(name in self._unknown for name in names)
        if unknown:
            plan.lacks.append(f"{unknown} contract(s) unknown to the broker")
        if day == self._today and (open_note := self._unfinished(fetched[self._index.id])):
            plan.lacks.append(open_note)
        with tools.store.transaction():
            stored, refused = store_day(
                tools.store, underlying, day, fetched, "upstox", tools.world.facts, force=self._force
            )
            lacks = [*plan.lacks, *refused]
            if plan.expiry is not None and "options" not in stored and not refused:
                lacks.append("the options: the broker has no candles of them")
            if "index" not in stored:
                raise DataError("; ".join(refused) or f"{underlying} {day}: no candle of the index can be stored")
            tools.store.save_quality(underlying, day, "upstox", DataQuality(notes=tuple(lacks)))
            tools.states.put(
                underlying, day,
                DayState(
                    complete=not lacks, every_option=self._every, source="upstox", note="; ".join(lacks),
                    at=tools.world.now(),
                ),
            )  # fmt: skip
            tools.states.drop_fetched(underlying, day)
        files = stored.values()
        return DayReport(
            underlying, day, "incomplete" if lacks else "stored", rows=sum(one.stored for one in files),
            rejected=sum(sum(one.rejected.values()) for one in files), contracts=len(fetched),
            holes=sum(len(quality.holes) for one in files for quality in one.quality.values()), note="; ".join(lacks),
        )  # fmt: skip

    def _unfinished(self, index: Rows) -> str:
        """Say why today's candles are not the whole day yet; '' when they are."""
        world = self._tools.world
        close = world.calendar.sessions(EXCHANGE_OF[self._underlying], self._today)[-1].close_ns
        if world.now() < close + round(self._tools.settings.settle_s * SECOND_NS):
            return f"the session lasts until {ist_text(close)[11:16]}"
        last = str(index[-1][0])
        return "" if last[11:16] >= ist_text(close - 2 * MINUTE_NS)[11:16] else f"the candles end at {last[11:16]}"


def _groups(plans: Sequence[_Plan], *, every_option: bool) -> list[list[_Plan]]:
    """Put together the days whose contracts are mostly the same: of one front expiry, or of one month."""
    found: dict[object, list[_Plan]] = {}
    for plan in plans:
        found.setdefault((plan.day.year, plan.day.month) if every_option else plan.expiry, []).append(plan)
    return sorted(found.values(), key=lambda group: group[0].day)


def _range_of(rows: Rows) -> tuple[float, float]:
    """Lowest low and highest high of sound rows."""
    sound = [row for row in rows if len(row) >= 5 and all(isinstance(x, int | float) and x > 0 for x in row[1:5])]
    if not sound:
        return 0.0, 0.0
    return min(row[3] for row in sound), max(row[2] for row in sound)
