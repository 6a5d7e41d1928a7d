"""The broker's history on the command line: `ingest --source upstox`, and what `backtest` fetches by itself."""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sos_actors.cli import options
from sos_actors.errors import DataError, InputError, SosError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import ist_date
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.market.instruments import InstrumentTable

if TYPE_CHECKING:
    from sos_actors.config import Config
    from sos_actors.sources.fallback import Bringer, DayReport
    from sos_actors.sources.ingest import Progress
    from sos_actors.sources.upstox_source import UpstoxSource
    from sos_actors.storage.market_store import MarketStore
    from sos_actors.upstox.client import UpstoxClient
    from sos_actors.upstox.instruments import MasterFiles


def now_of(config: Config) -> int:
    """Time at which a command starts, UTC ns: the wall's, or what `clock.start` or $SOS_CLOCK puts in its place."""
    from sos_actors.runtime.walltime import CLOCK_VARIABLE, WallTime, with_clock  # noqa: PLC0415 - as below

    return WallTime.starting(with_clock(config.clock, os.environ.get(CLOCK_VARIABLE))).now()


def running_clock(config: Config) -> Callable[[], int]:
    """Give the clock that goes on from there at its real pace: a fetch takes as long as it takes."""
    start, began = now_of(config), time.monotonic_ns()
    return lambda: start + time.monotonic_ns() - began


def adopt_calendar(home: Path | None) -> None:
    """Use the holiday lists that were kept from the broker, where there are any."""
    from sos_actors.sources.calendar_file import CalendarFiles  # noqa: PLC0415

    CalendarFiles(options.home_folder(home)).adopt()


def client_of(config: Config, token: str = "") -> UpstoxClient:
    """Give a client of the broker at the configured address; `token` is empty before anybody has logged in."""
    from sos_actors.upstox.client import UpstoxClient  # noqa: PLC0415
    from sos_actors.upstox.limits import RateLimiter  # noqa: PLC0415
    from sos_actors.upstox.settings import with_environment  # noqa: PLC0415

    settings = with_environment(config.upstox)
    return UpstoxClient(settings, RateLimiter(settings.rates, time.monotonic), token)


def masters_of(folder: Path, config: Config) -> MasterFiles:
    """Give the instrument files of the home folder, and the way to today's."""
    from sos_actors.upstox.instruments import MasterFiles, downloader  # noqa: PLC0415
    from sos_actors.upstox.settings import with_environment  # noqa: PLC0415

    return MasterFiles(folder, downloader(with_environment(config.upstox)))


def upstox_source(folder: Path, config: Config, store: MarketStore, token: str) -> UpstoxSource:
    """Put the broker together as a source, and bring its calendar up to date first."""
    from sos_actors.sources.facts import market_facts  # noqa: PLC0415
    from sos_actors.sources.upstox_fetch import World  # noqa: PLC0415
    from sos_actors.sources.upstox_source import UpstoxSource  # noqa: PLC0415
    from sos_actors.upstox.instruments import file_day  # noqa: PLC0415

    client = client_of(config, token)
    refresh_calendar(folder, client, ist_date(now_of(config)))
    masters, now = masters_of(folder, config), running_clock(config)

    def table(today: dt.date) -> InstrumentTable:
        return masters.today(min(today, file_day(now()))).table

    return UpstoxSource(client, table, store, config.data, World(now, time.sleep, market_facts()))


def refresh_calendar(folder: Path, client: UpstoxClient, today: dt.date) -> None:
    """Fetch the year's holidays once a day, say where they differ from the built-in table, and use them."""
    from sos_actors.sources.calendar_file import CalendarFiles  # noqa: PLC0415
    from sos_actors.upstox.market_info import MarketInfo  # noqa: PLC0415

    files = CalendarFiles(folder)
    try:
        if files.kept_on(today.year) != today:
            for line in files.keep(MarketInfo(client).holidays()):
                typer.echo(f"calendar: {line}", err=True)
    except SosError as error:
        typer.echo(f"warning: the calendar was not refreshed: {error}", err=True)
    files.adopt()


def ingest_upstox(
    symbol: str, from_date: str, to_date: str, home: Path | None, config: Path | None, *, force: bool, every: bool
) -> None:
    """Fetch days from the broker into the database, one line a day."""
    from sos_actors.upstox.tokens import live_token  # noqa: PLC0415

    if not symbol or not from_date:
        raise InputError("--source upstox: say what: --symbol NIFTY --from-date YYYY-MM-DD [--to-date YYYY-MM-DD]")
    symbols, (first, last) = options.parse_symbols(symbol), options.parse_dates(from_date, to_date)
    folder, settings = options.home_folder(home), options.configuration(config)
    show_warnings()
    token = live_token(folder, now_of(settings))
    with options.open_store(home) as store:
        source = upstox_source(folder, settings, store, token.secret)
        wanted = {name: _trading_days(name, first, last) for name in symbols}
        if not any(wanted.values()):
            raise DataError(f"the exchange is closed from {first} to {last}: choose other dates")
        had = 0
        for name, days in wanted.items():
            with progress() as tell:
                reports = source.bring(name, days, force=force, every_option=every, tell=tell)
                had += sum(_told(report) for report in reports)
    if not had:
        raise DataError(f"nothing of {', '.join(symbols)} from {first} to {last} could be had from the broker")


def _told(report: DayReport) -> bool:
    """Print what became of a day; whether there is anything of it."""
    line = f"{report.underlying} {report.day}: "
    if report.did == "kept":
        line += "stored already; --force fetches it again"
    elif report.did == "nothing":
        line += f"nothing: {report.note}"
    else:
        line += f"{report.rows} rows of {report.contracts} instruments stored"
        line += f", {report.rejected} rejected" if report.rejected else ""
        line += f", {report.holes} hole(s)" if report.holes else ""
        line += f"; incomplete: {report.note}" if report.did == "incomplete" else ""
    typer.echo(line)
    return report.did != "nothing"


def prepare(symbols: Sequence[str], first: dt.date, last: dt.date, home: Path | None, config: Config) -> None:
    """Before a backtest: fetch the days it needs and the database lacks. What cannot be had is one warning each."""
    from sos_actors.sources.fallback import missing_days  # noqa: PLC0415
    from sos_actors.upstox.tokens import find_token  # noqa: PLC0415

    folder, now = options.home_folder(home), now_of(config)
    token = find_token(folder, now) if "upstox" in config.data.sources else None
    alive = token is not None and token.alive(now)
    if not alive and not config.data.files and not (folder / "market.db").exists():
        return  # whoever opens the database says that there is none
    show_warnings()
    with options.open_store(home) as store:
        bringers: list[Bringer] | None = None
        for name in symbols:
            wanted = _trading_days(name, first, min(last, ist_date(now)))
            days = sorted({*_before(name, first, config.backtest.warmup_days), *wanted})
            if missing_days(store, name, days):
                if bringers is None:
                    bringers = _bringers(folder, config, store, token.secret if token is not None and alive else "")
                _fill(store, bringers, name, days)
            _warn(name, [day for day in missing_days(store, name, wanted) if not store.has_day(name, day)], alive)


def _fill(store: MarketStore, bringers: Sequence[Bringer], name: str, days: Sequence[dt.date]) -> None:
    from sos_actors.sources.fallback import fill  # noqa: PLC0415

    try:
        with progress() as tell:
            for report in fill(store, bringers, name, days, tell):
                if report.did == "incomplete":
                    typer.echo(f"warning: {name} {report.day} is incomplete: {report.note}", err=True)
    except SosError as error:
        typer.echo(f"warning: {name}: not all missing days were fetched: {error}", err=True)


def _bringers(folder: Path, config: Config, store: MarketStore, token: str) -> list[Bringer]:
    from sos_actors.sources.facts import market_facts  # noqa: PLC0415
    from sos_actors.sources.fallback import FileSource  # noqa: PLC0415

    found: list[Bringer] = []
    for name in config.data.sources:
        if name == "upstox" and token:
            found.append(upstox_source(folder, config, store, token))
        elif name == "files" and config.data.files:
            found.append(FileSource([Path(path) for path in config.data.files], store, market_facts()))
    return found


def _warn(name: str, missing: Sequence[dt.date], alive: bool) -> None:
    if not missing:
        return
    span = f"{missing[0]}" if len(missing) == 1 else f"{len(missing)} trading days from {missing[0]} to {missing[-1]}"
    how = (
        "the broker has nothing of it" if alive
        else "log in with `python run_actors.py login` and they are fetched, or `python run_actors.py ingest` files"
    )  # fmt: skip
    typer.echo(f"warning: {name}: {span} not in the database: {how}", err=True)


def _trading_days(name: str, first: dt.date, last: dt.date) -> list[dt.date]:
    return list(INDIA.trading_days(EXCHANGE_OF[name], first, last)) if first <= last else []


def _before(name: str, first: dt.date, count: int) -> list[dt.date]:
    """Give the trading days before `first`; fewer where the calendar ends."""
    found, day = [], first
    try:
        for _ in range(count):
            day = INDIA.previous_trading_day(EXCHANGE_OF[name], day)
            found.append(day)
    except InputError:  # a year the calendar does not know
        pass
    return found


def show_warnings() -> None:
    """Show warnings of the edges as plain lines on stderr."""
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s", stream=sys.stderr)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each retry in its own words: what came of it is told anyway


@contextmanager
def progress() -> Iterator[Progress | None]:
    """Show a bar on a terminal; stay quiet in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fetching", total=1.0)

        def tell(done: float, text: str) -> None:
            bar.update(task, completed=done, description=text)

        yield tell
