"""dashboard: pages and API over stored days, backtests and the daemon's past days, or over a simulated day."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

import sos_actors
from sos_actors.cli import backfill, options
from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_date

if TYPE_CHECKING:
    from sos_actors.config import Config
    from sos_actors.market.instruments import Instrument
    from sos_actors.web.archive import Archive
    from sos_actors.web.live_source import Keeper
    from sos_actors.web.runs import Runs
    from sos_actors.web.source import Source


def dashboard(
    demo: Annotated[bool, typer.Option("--demo", help="Show a simulated day under way; needs no data")] = False,
    result: Annotated[
        list[Path] | None, typer.Option("--result", help="JSON of a backtest (`backtest --json F`); may be repeated")
    ] = None,
    symbol: Annotated[str, typer.Option("--symbol", help="Underlyings, comma-separated")] = "NIFTY",
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; else web.host")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one")] = None,
    speed: Annotated[float, typer.Option("--speed", help="With --demo: seconds of the day a real second")] = 10.0,
    until: Annotated[str, typer.Option("--from", help="With --demo: Indian time from which the clock runs")] = "11:00",
    home: options.HomeOption = None,
    config: options.ConfigOption = None,
) -> None:
    """Show the dashboard of past live days, stored days and backtests; the daemon serves its own with web.enabled."""
    from sos_actors.web.access import web_token  # noqa: PLC0415 - imports cost; each command pays for its own
    from sos_actors.web.server import WebServer, settings_with  # noqa: PLC0415

    settings = options.configuration(config)
    try:
        served = settings_with(settings.web, host=host, port=port)
    except ValueError as error:
        raise InputError(str(error)) from None
    with ExitStack() as stack:
        if demo:
            source = _demo(settings, stack, until, speed)
            folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sos-demo-")))
        else:
            source = _stored(settings, options.parse_symbols(symbol), home, result or [])
            folder = options.home_folder(home)
        server = stack.enter_context(WebServer(source, served, web_token(folder), sos_actors.__version__))
        print(f"dashboard at {server.address}   (orders need the token in {folder / 'tokens' / 'web'}; Ctrl-C ends it)")
        threading.Event().wait()


def _demo(config: Config, stack: ExitStack, until: str, speed: float) -> Source:
    from sos_actors.daemon.rehearsal import Rehearsal  # noqa: PLC0415
    from sos_actors.market.clocktime import clock_seconds  # noqa: PLC0415
    from sos_actors.web.live_source import LiveParts, LiveSource  # noqa: PLC0415
    from sos_actors.web.stage import LocalStage  # noqa: PLC0415

    try:
        clock_seconds(until)
    except ValueError as error:
        raise InputError(f"--from: {error}") from None
    if not 0 < speed <= 600:
        raise InputError(f"--speed {speed:g}: write more than 0 and at most 600")
    print("playing the morning of a simulated day ...")
    rehearsal = stack.enter_context(Rehearsal(config, options.strategies(None, ""), until))
    rehearsal.play(speed)
    return LiveSource(
        LiveParts(
            stage=LocalStage(rehearsal.runtime, rehearsal.operations, rehearsal.seen.book),
            underlyings=rehearsal.underlyings, config=msgspec.to_builtins(config), kind="demo",
            title="SOS Actors", version=sos_actors.__version__,
        )
    )  # fmt: skip


def _stored(config: Config, symbols: tuple[str, ...], home: Path | None, results: list[Path]) -> Source:
    from sos_actors.reports.run import from_json  # noqa: PLC0415
    from sos_actors.web.recorded import RecordedDays  # noqa: PLC0415
    from sos_actors.web.result_source import ResultSource  # noqa: PLC0415
    from sos_actors.web.runs import BacktestRuns  # noqa: PLC0415

    found = {}
    for path in results:
        try:
            found[path.stem] = from_json(path.read_bytes(), str(path))
        except OSError as error:
            raise InputError(f"--result {path}: {error.strerror}") from None
    recorded = RecordedDays(options.home_folder(home) / config.journal.folder)
    of_runs = [name for run in found.values() for name in run.symbols]
    names = tuple(dict.fromkeys([*of_runs, *recorded.symbols(), *symbols]))
    archive, keeper = _archive(config, names, home, [BacktestRuns(found), recorded], alone=bool(recorded.rows()))
    archive.last_day()  # with nothing to show the command says so now, not the page later
    return ResultSource(
        archive, names, msgspec.to_builtins(config), sos_actors.__version__, find=_kept_instruments(home, config),
        keeper=keeper,
    )  # fmt: skip


def _archive(
    config: Config, names: tuple[str, ...], home: Path | None, runs: list[Runs], *, alone: bool
) -> tuple[Archive, Keeper | None]:
    """Give stored days and runs; `alone`: there are recorded days, which can be shown without a market database."""
    from sos_actors.daemon.web_process import stored_days  # noqa: PLC0415
    from sos_actors.web.archive import Archive  # noqa: PLC0415

    if alone and not (options.home_folder(home) / "market.db").exists():
        return Archive(names, list, lambda *_: None, lambda *_: [], runs), None
    store = options.open_store(home, readonly=True)
    return stored_days(store, names, runs, config, lambda: ist_date(backfill.now_of(config)))


def _kept_instruments(home: Path | None, config: Config) -> Callable[[str], list[Instrument]]:
    """Give what finds instruments in the newest file that is kept; nothing is fetched."""
    from sos_actors.market.lookup import matching  # noqa: PLC0415

    def find(text: str) -> list[Instrument]:
        masters = backfill.masters_of(options.home_folder(home), config)
        return matching(masters.on(ist_date(backfill.now_of(config))).table, text)

    return find
