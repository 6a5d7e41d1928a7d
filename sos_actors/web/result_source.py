"""The API over finished work: stored days, backtests, the daemon's past days. Nothing runs, so nothing takes orders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sos_actors.control.status import DaemonStatus
from sos_actors.errors import InputError, SosError
from sos_actors.market.clocktime import ist_plain
from sos_actors.market.instruments import Instrument
from sos_actors.web.archive import Archive
from sos_actors.web.daybook import DayBook
from sos_actors.web.live_source import Keeper
from sos_actors.web.redact import redacted
from sos_actors.web.schema import About, ActorState, ActorTree, Edge, Maintenance, SessionRow, StrategyView
from sos_actors.web.stage import resolved


class ResultSource:
    """Shows an archive."""

    def __init__(
        self,
        archive: Archive,
        underlyings: Sequence[str],
        config: Mapping[str, Any],
        version: str = "",
        *,
        find: Callable[[str], Sequence[Instrument]] | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        """`find` gives what a text means among the instruments of the last file kept; `keeper` minds the database."""
        self._archive, self._underlyings, self._config = archive, tuple(underlyings), config
        self._version, self._find, self._keeper = version, find, keeper

    def about(self) -> About:
        """Say what is looked at."""
        runs = self._archive.runs()
        return About(
            kind="result", title="SOS Actors", mode="history", real=False, underlyings=list(self._underlyings),
            days=self._archive.days(), runs=runs, day=str(self._archive.last_day()), version=self._version,
        )  # fmt: skip

    def real(self) -> bool:
        """Nothing trades."""
        return False

    def status(self) -> DaemonStatus:
        """Say which day is shown and what its trading came to."""
        not_ready = ["nothing runs: this is what is stored"]
        try:
            book = self.book()
        except SosError as error:  # what cannot be read is said, and the pages stay
            book, not_ready = DayBook(), [str(error)]
        last = max((bars[-1].end for bars in book.bars.values() if bars), default=0)
        return DaemonStatus(
            session=self._archive.shown() or str(book.day or ""),
            mode="history",
            now=ist_plain(last) if last else "",
            started="",
            phase="CLOSED",
            ready=False,
            not_ready=not_ready,
            equity=book.marks[-1].equity_paise / 100 if book.marks else None,
            realised=sum(trade.net_paise for trade in book.trades) / 100,
        )

    def book(self, day: dt.date | None = None, run: str = "") -> DayBook:
        """Give a day with what was done on it, by the run that is shown unless another is named."""
        return self._archive.book(day, run or self._archive.shown(day))

    def forming(self, instrument: str) -> Any:
        """Nothing is being built."""
        del instrument

    def actors(self) -> ActorTree:
        """Nobody is on stage."""
        return ActorTree(now=0, groups=[], actors=[], stages={}, dead_letters=[], dead_letters_total=0)

    def actor(self, path: str) -> ActorState:
        """Nobody is on stage."""
        raise InputError(f"there is no actor '{path}': nothing runs here")

    def edges(self) -> list[Edge]:
        """Nobody is on stage."""
        return []

    def strategies(self) -> list[StrategyView]:
        """Give what every strategy of the run that is shown made of the day shown."""
        run = self._archive.shown()
        if not run:
            return []
        trades = self.book().trades
        names = self._archive.result(run).summary.get("strategies", [])
        return [
            StrategyView(
                path=f"strategy/{underlying}/{name}", strategy=name, underlying=underlying, state="history",
                trades=sum(1 for t in trades if t.strategy == name and t.underlying == underlying),
                net=sum(t.net_paise for t in trades if t.strategy == name and t.underlying == underlying) / 100,
            )
            for underlying in self._underlyings
            for name in names
        ]  # fmt: skip

    def config(self) -> Any:
        """Give the configuration without secrets."""
        return redacted(self._config)

    def runs(self) -> list[SessionRow]:
        """List the runs."""
        return self._archive.rows()

    def run_result(self, run: str) -> Any:
        """Give a run's result."""
        return self._archive.result(run)

    def find(self, text: str) -> list[dict[str, Any]]:
        """Give the instruments a text means."""
        return resolved(self._find, text)

    def start_log(self) -> list[str]:
        """Nothing was started."""
        return []

    def maintenance(self) -> Maintenance:
        """Say how long data is kept and how the database was found."""
        if self._keeper is None:
            raise InputError("the market database is not looked after here")
        return self._keeper.state()

    def order(self, name: str, **args: str) -> str:
        """Look after the database; take no other order."""
        del args
        if name == "maintenance" and self._keeper is not None:
            return self._keeper.run()
        raise InputError(f"{name}: nothing runs here: this shows what is stored")
