"""Runs that can be looked at: what each kind of them gives, and the results of backtests."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_date
from sos_actors.messages import AccountMarked, Direction, ExitReason, Regime, Side, TradeClosed
from sos_actors.reports.run import RunResult
from sos_actors.runtime.walltime import ns_of
from sos_actors.web.daybook import DayBook
from sos_actors.web.schema import SessionRow

#: Kinds of rows that name a run: the result of a backtest, a recorded day of the daemon.
RUNS = ("run", "recorded")


class Runs(Protocol):
    """Runs of one kind, by name. Methods raise a SosError for what is not there or cannot be read."""

    def rows(self) -> list[SessionRow]:
        """List them as they are offered: at once, without reading any."""

    def knows(self, run: str) -> bool:
        """Say whether this is a name of one, though perhaps of one that has gone."""

    def result(self, run: str) -> RunResult:
        """Give a run's result."""

    def days(self, run: str) -> list[dt.date]:
        """Give the days of a run that are worth opening, oldest first; the last is opened at first."""

    def book(self, run: str, day: dt.date) -> DayBook:
        """Give what a run tells of a day; what it has no prices of is taken from storage."""


class BacktestRuns:
    """Results of backtests, read from their files."""

    def __init__(self, results: Mapping[str, RunResult]) -> None:
        self._results = dict(results)
        self._trades = {name: [closed(row) for row in run.trades] for name, run in self._results.items()}

    def rows(self) -> list[SessionRow]:
        """List them as they were given."""
        return [
            SessionRow(kind="run", name=name, detail=f"{run.from_date} to {run.to_date}, {run.source}")
            for name, run in self._results.items()
        ]

    def knows(self, run: str) -> bool:
        """Say whether there is such a result."""
        return run in self._results

    def result(self, run: str) -> RunResult:
        """Give a run's result."""
        return self._results[run]

    def days(self, run: str) -> list[dt.date]:
        """Give the days on which it traded."""
        return sorted({ist_date(trade.entry_ts) for trade in self._trades[run]})

    def book(self, run: str, day: dt.date) -> DayBook:
        """Give the trades entered on a day, and the account after each that ended on it."""
        book = DayBook(day)
        book.trades = [trade for trade in self._trades[run] if ist_date(trade.entry_ts) == day]
        book.marks = _marks(self._results[run], self._trades[run], day)
        return book


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
    return ns_of(dt.datetime.fromisoformat(text))


def _paise(rupees: float | None) -> int:
    return round((rupees or 0.0) * 100)


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def owner_of(runs: Sequence[Runs], run: str) -> Runs:
    """Give whose a run is; raises InputError for one that is not there."""
    found = next((one for one in runs if one.knows(run)), None)
    if found is None:
        names = [row.name for one in runs for row in one.rows() if row.kind in RUNS]
        raise InputError(f"there is no run '{run}'; there are {', '.join(names) or 'none'}")
    return found
