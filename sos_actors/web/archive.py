"""Stored days and runs: the market database and result files, made into the books the pages show."""

from __future__ import annotations

import datetime as dt
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sos_actors.errors import DataError, InputError
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_date
from sos_actors.market.day import BarColumns, ChainColumns, MarketDay
from sos_actors.market.ids import index_id, option_id
from sos_actors.messages import (
    CHAIN_FIELDS,
    AccountMarked,
    Bar,
    ChainSnapshot,
    Direction,
    ExitReason,
    Regime,
    Right,
    Side,
    TradeClosed,
)
from sos_actors.reports.run import RunResult
from sos_actors.web.daybook import DayBook

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
        results: Mapping[str, RunResult] | None = None,
        *,
        rate: float = 0.0,
    ) -> None:
        """`rate` (a year, continuously compounded) takes a chain's forward back to a spot on days without an index."""
        self._underlyings = tuple(underlyings)
        self._days, self._load_day, self._snapshots, self._rate = days, load_day, snapshots, rate
        self._results = dict(results or {})
        self._trades = {name: [closed(row) for row in run.trades] for name, run in self._results.items()}
        self._books: OrderedDict[dt.date, DayBook] = OrderedDict()
        self._lock = threading.Lock()

    def days(self) -> list[str]:
        """Give the stored days, oldest first."""
        return [day.isoformat() for day in sorted(self._days())]

    def runs(self) -> list[str]:
        """Give the names of the stored runs."""
        return list(self._results)

    def result(self, run: str) -> RunResult:
        """Give a run's result; raises InputError for one that is not there."""
        found = self._results.get(run)
        if found is None:
            raise InputError(f"there is no run '{run}'; there are {', '.join(self._results) or 'none'}")
        return found

    def last_day(self) -> dt.date:
        """Give the last day on which a run traded, else the last stored day; raises DataError where there is none."""
        traded = [ist_date(trade.entry_ts) for trades in self._trades.values() for trade in trades]
        played = [run.to_date for run in self._results.values()]
        stored = sorted(self._days())
        days = [max(traded)] if traded else [day for day in stored if not played or day <= max(played)] or stored
        if not days:
            raise DataError("there is no day to show: fill the market database with `python run_actors.py ingest`")
        return days[-1]

    def book(self, day: dt.date | None, run: str = "") -> DayBook:
        """Give the book of a day (the last when none is named) with the trades of a run, if one is named."""
        day = day or self.last_day()
        market = self._market(day)
        book = DayBook(day)
        book.bars, book.chains = market.bars, market.chains
        if run:
            result = self.result(run)
            book.trades = [trade for trade in self._trades[run] if ist_date(trade.entry_ts) == day]
            book.marks = _marks(result, self._trades[run], day)
        return book

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
                _add(book, index_bars(name, book.chains.get(name, []), self._rate))
        if not book.bars:
            raise InputError(f"{day}: nothing is stored of this day; `ingest` brings days")
        return book


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


def index_bars(underlying: str, chains: Iterable[ChainSnapshot], rate: float) -> list[Bar]:
    """Give the index's minutes out of its chain, as the chain actor makes them where no bars of it are stored."""
    bars: list[Bar] = []
    for one in chains:
        spot = round(one.forward * math.exp(-rate * one.years), 2)
        if math.isfinite(spot):
            opened = bars[-1].close if bars else spot
            high, low = max(opened, spot), min(opened, spot)
            bars.append(Bar(index_id(underlying), one.ts - MINUTE_NS, one.ts, opened, high, low, spot))
    return bars


def option_bars(chain: ChainColumns) -> Iterable[list[Bar]]:
    """Give the bars of every contract of a stored chain; minutes without a price are left out."""
    step = chain.interval_s * SECOND_NS
    fields = [CHAIN_FIELDS.index(name) for name in ("open", "high", "low", "close", "volume", "oi")]
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


def closed(row: Mapping[str, Any]) -> TradeClosed:
    """Read one trade of a result file back; see `trade_row` of reports/run.py."""
    return TradeClosed(
        row["trade_id"], row["intent_id"], row["strategy"], row["underlying"], row["instrument"],
        Direction(row["direction"]), Side(row["side"]), row["quantity"], _ns(row["entry_time"]), _ns(row["exit_time"]),
        row["entry_price"], row["exit_price"], _paise(row["gross"]), _paise(row["charges"]), _paise(row["net"]),
        ExitReason(row["exit_reason"]), Regime(row["regime"]), _float(row["initial_risk"]), _float(row["mae"]),
        _float(row["mfe"]),
    )  # fmt: skip


def _marks(result: RunResult, trades: Sequence[TradeClosed], day: dt.date) -> list[AccountMarked]:
    """Give the account after each trade of the day: a result keeps no other marks within a day."""
    equity = _paise(result.summary.get("starting_equity", 0.0) or 0.0)
    marks: list[AccountMarked] = []
    for trade in sorted(trades, key=lambda one: one.exit_ts):
        equity += trade.net_paise
        if ist_date(trade.exit_ts) == day:
            if not marks:
                marks.append(AccountMarked(trade.entry_ts, equity - trade.net_paise, equity - trade.net_paise, 0))
            marks.append(AccountMarked(trade.exit_ts, equity, equity, 0))
    return marks


def _ns(text: str) -> int:
    instant = dt.datetime.fromisoformat(text)
    since = instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000


def _paise(rupees: float | None) -> int:
    return round((rupees or 0.0) * 100)


def _float(value: float | None) -> float:
    return math.nan if value is None else value
