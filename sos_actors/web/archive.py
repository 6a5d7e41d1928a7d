"""Stored days and runs, made into the books the pages show: what a run did, at the prices it saw or storage has."""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from sos_actors.errors import DataError, InputError
from sos_actors.market.clocktime import SECOND_NS
from sos_actors.market.day import BAR_FIELDS, BarColumns, ChainColumns, MarketDay
from sos_actors.market.ids import index_id, option_id
from sos_actors.messages import CHAIN_FIELDS, NAN, Bar, ChainSnapshot, Right
from sos_actors.quant.forward import index_bar
from sos_actors.reports.run import RunResult
from sos_actors.web.daybook import DayBook
from sos_actors.web.runs import RUNS, Runs, owner_of
from sos_actors.web.schema import SessionRow

#: Days kept ready; one is some ten megabytes.
_KEPT = 3

#: (underlying, day) -> what is stored of it.
LoadDay = Callable[[str, dt.date], MarketDay | None]
#: (underlying, day) -> the chain of every minute, as the chain actor saw it or would have.
Snapshots = Callable[[str, dt.date], Iterable[ChainSnapshot]]


class Archive:
    """Days by date, runs by name. Safe on any thread; a day is worked out once and the last few are kept."""

    def __init__(
        self,
        underlyings: Sequence[str],
        days: Callable[[], Iterable[dt.date]],
        load_day: LoadDay,
        snapshots: Snapshots,
        runs: Sequence[Runs] = (),
        *,
        rate: float = 0.0,
    ) -> None:
        """`rate` (a year, continuously compounded) takes a chain's forward back to a spot on days without an index."""
        self._underlyings = tuple(underlyings)
        self._days, self._load_day, self._snapshots, self._rate = days, load_day, snapshots, rate
        self._runs = tuple(runs)
        self._books: OrderedDict[dt.date, DayBook] = OrderedDict()
        self._lock = threading.Lock()

    def days(self) -> list[str]:
        """Give the days whose prices are stored or recorded, oldest first."""
        return sorted({day.isoformat() for day in self._days()} | {row.day for row in self.rows() if row.day})

    def rows(self) -> list[SessionRow]:
        """List what can be looked at besides stored days."""
        return [row for runs in self._runs for row in runs.rows()]

    def runs(self) -> list[str]:
        """Give the names of the runs."""
        return [row.name for row in self.rows() if row.kind in RUNS]

    def shown(self, day: dt.date | None = None) -> str:
        """Give the run that is shown where none is named, '' without one.

        That is the first backtest; where there is none, the newest recorded day, or the recorded run of `day`.
        """
        rows = self.rows()
        backtests = [row.name for row in rows if row.kind == "run"]
        recorded = [row.name for row in rows if row.kind == "recorded" and not row.problem]
        if day is not None:
            recorded = [row.name for row in rows if row.kind == "recorded" and row.day == day.isoformat()]
        return next(iter(backtests or recorded), "")

    def result(self, run: str) -> RunResult:
        """Give a run's result; raises a SosError for one that is not there or cannot be read."""
        return owner_of(self._runs, run).result(run)

    def last_day(self, run: str = "") -> dt.date:
        """Give the last day on which a run traded (any backtest where none is named), else the last there is.

        Raises DataError where there is none.
        """
        rows = [row for row in self.rows() if row.kind == "run" and run in {"", row.name}]
        names = [run] if run else [row.name for row in rows] or [name for name in (self.shown(),) if name]
        traded = [day for name in names for day in owner_of(self._runs, name).days(name)]
        if traded:
            return max(traded)
        played = [self.result(row.name).to_date for row in rows]
        stored = [dt.date.fromisoformat(day) for day in self.days()]
        days = [day for day in stored if not played or day <= max(played)] or stored
        if not days:
            raise DataError("there is no day to show: fill the market database with `python run_actors.py ingest`")
        return days[-1]

    def book(self, day: dt.date | None, run: str = "") -> DayBook:
        """Give the book of a day (the last when none is named) with what a run did, if one is named."""
        day = day or self.last_day(run)
        if not run:
            market = self._market(day)
            book = DayBook(day)
            book.bars, book.chains, book.structures = market.bars, market.chains, market.structures
            return book
        book = owner_of(self._runs, run).book(run, day)
        if self._lacks(book):
            self._complete(book, day)
        return book

    def _lacks(self, book: DayBook) -> bool:
        """Say whether prices are missing that a page shows."""
        names = [name for name in self._underlyings if index_id(name) not in book.bars or name not in book.chains]
        return bool(names) or any(trade.instrument not in book.bars for trade in book.trades)

    def _complete(self, book: DayBook, day: dt.date) -> None:
        """Take from storage what a run has no prices of. Raises InputError where nobody has any."""
        try:
            market = self._market(day)
        except InputError:
            if not book.bars:
                raise
            return
        for name, bars in market.bars.items():
            book.bars.setdefault(name, bars)
        for name, chains in market.chains.items():
            book.chains.setdefault(name, chains)

    def _market(self, day: dt.date) -> DayBook:
        with self._lock:
            book = self._books.get(day)
            if book is None:
                book = self._books[day] = self._read(day)
                while len(self._books) > _KEPT:
                    self._books.popitem(last=False)
            self._books.move_to_end(day)
            return book

    def _read(self, day: dt.date) -> DayBook:
        book = DayBook(day)
        for name in self._underlyings:
            stored = self._load_day(name, day)
            if stored is None:
                continue
            if stored.index is not None:
                _add(book, bars_of(stored.index))
            for chain in stored.chains[:1]:
                for bars in option_bars(chain):
                    _add(book, bars)
            for snapshot in self._snapshots(name, day):
                book.add_chain(snapshot)
            if index_id(name) not in book.bars:
                _add(book, index_bars(book.chains.get(name, []), self._rate))
        if not book.bars:
            book = self._recorded(day)
        if not book.bars:
            raise InputError(f"{day}: nothing is stored of this day; `ingest` brings days")
        return book

    def _recorded(self, day: dt.date) -> DayBook:
        """Give a day as the daemon saw it; an empty book where it did not."""
        for runs in self._runs:
            for row in runs.rows():
                if row.kind == "recorded" and row.day == day.isoformat():
                    return runs.book(row.name, day)
        return DayBook(day)


def _add(book: DayBook, bars: list[Bar]) -> None:
    if bars:
        book.bars[bars[0].instrument] = bars


def bars_of(columns: BarColumns) -> list[Bar]:
    """Give stored bars as messages."""
    step = columns.interval_s * SECOND_NS
    rows = zip(
        columns.start.tolist(), columns.open.tolist(), columns.high.tolist(), columns.low.tolist(),
        columns.close.tolist(), columns.volume.tolist(), columns.oi.tolist(), strict=True,
    )  # fmt: skip
    return [Bar(columns.instrument, start, start + step, o, h, lo, c, v, oi) for start, o, h, lo, c, v, oi in rows]


def index_bars(chains: Iterable[ChainSnapshot], rate: float) -> list[Bar]:
    """Give the index's minutes out of its chain, as the chain actor makes them where no bars of it are stored."""
    bars: list[Bar] = []
    for one in chains:
        bar = index_bar(one, rate, bars[-1].close if bars else NAN)
        if bar is not None:
            bars.append(bar)
    return bars


def option_bars(chain: ChainColumns) -> Iterable[list[Bar]]:
    """Give the bars of every contract of a stored chain; minutes without a price are left out."""
    step = chain.interval_s * SECOND_NS
    fields = [CHAIN_FIELDS.index(name) for name in BAR_FIELDS]
    starts = chain.start.tolist()
    for side, right in enumerate((Right.CE, Right.PE)):
        for k, strike in enumerate(chain.strikes.tolist()):
            name = option_id(chain.underlying, chain.expiry, strike, right)
            rows = chain.values[:, fields, side, k]
            there = [all(map(math.isfinite, row[:4])) for row in rows.tolist()]
            yield [
                Bar(name, start, start + step, *row)
                for start, row, known in zip(starts, rows.tolist(), there, strict=True)
                if known
            ]
