"""demo and backtest."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec
import typer

from sos_actors.cli import options
from sos_actors.errors import InputError

if TYPE_CHECKING:
    from sos_actors.backtest import Request
    from sos_actors.config import Config
    from sos_actors.reports.run import RunRecord
    from sos_actors.runtime import Runtime
    from sos_actors.sources.source import HistorySource

StrategiesOption = Annotated[str, typer.Option("--strategies", help="Names, comma-separated; all when not given")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the whole result; '-' for stdout")]
TradesOption = Annotated[int, typer.Option("--trades", min=0, help="How many trades to list on the screen")]
TradesOutOption = Annotated[Path | None, typer.Option("--trades-out", help="Write all trades: F.csv or F.parquet")]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="Write a tear sheet: one page that needs nothing else")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the simulated market")]
StageOption = Annotated[
    Literal["sim", "live"], typer.Option("--stage", help="sim: one ordered thread; live: dispatch groups on threads")
]


def demo(
    days: Annotated[int, typer.Option("--days", min=1, max=250, help="How many trading days")] = 5,
    seed: SeedOption = None,
    config: options.ConfigOption = None,
    json: JsonOption = None,
    trades: TradesOption = 12,
    html: HtmlOption = None,
) -> None:
    """Backtest the playbook on a simulated market.

    Needs no data and no account.
    """
    from sos_actors.backtest import Request, days_with_data  # noqa: PLC0415 - imports cost; each command pays its own
    from sos_actors.market.calendar import INDIA  # noqa: PLC0415

    settings = options.configuration(config)
    first = dt.date(2025, 9, 1)
    known = dt.date(max(INDIA.years), 12, 31)
    request = Request(
        symbols=("NIFTY",),
        from_date=first,
        to_date=min(first + dt.timedelta(days=days * 2 + 14), known),
        config=settings,
        playbook=options.strategies(None, ""),
        history=history_from("simulated", None, settings, seed),
    )
    last = days_with_data(request)[days - 1]
    run_and_report(replace(request, to_date=last), seed, Outputs(json, trades, None, html))


def backtest(
    symbol: options.SymbolOption,
    from_date: options.FromOption,
    to_date: options.ToOption = "",
    strategies: StrategiesOption = "",
    playbook: options.PlaybookOption = None,
    timeframe: Annotated[str, typer.Option("--timeframe", help="Run every strategy on these bars, e.g. 5m")] = "",
    resolution: Annotated[Literal["minute", "tick"], typer.Option("--resolution", help="Grain of the data")] = "minute",
    source: Annotated[
        Literal["database", "simulated"], typer.Option("--source", help="Where history comes from")
    ] = "database",
    no_backfill: Annotated[
        bool, typer.Option("--no-backfill", help="Read the database alone; fetch nothing that it lacks")
    ] = False,
    stage: StageOption = "sim",
    seed: SeedOption = None,
    config: options.ConfigOption = None,
    home: options.HomeOption = None,
    json: JsonOption = None,
    trades: TradesOption = 0,
    trades_out: TradesOutOption = None,
    html: HtmlOption = None,
    actors: Annotated[bool, typer.Option("--actors", help="Show the cast on stderr when the run has ended")] = False,
    record: Annotated[bool, typer.Option("--record", help="Record the run for `replay`; with --stage live")] = False,
) -> None:
    """Run strategies over history and report."""
    from sos_actors.backtest import Request  # noqa: PLC0415 - imports cost; each command pays for its own

    symbols = options.parse_symbols(symbol)
    first, last = options.parse_dates(from_date, to_date)
    settings = options.configuration(config)
    chosen = options.strategies(playbook, strategies, timeframe)
    if source == "database":
        from sos_actors.cli import backfill  # noqa: PLC0415

        backfill.adopt_calendar(home)
        if resolution == "minute" and not no_backfill:
            backfill.prepare(symbols, first, last, home, settings)
    request = Request(
        symbols=symbols,
        from_date=first,
        to_date=last,
        config=settings,
        playbook=chosen,
        history=history_from(source, home, settings, seed),
        resolution=resolution,
        stage=stage,
        on_end=_show_cast if actors else None,
    )
    run = partial(_run_recorded, home=home, strategies=strategies, timeframe=timeframe, playbook=playbook,
                  source=source, config=config) if record else run_and_report  # fmt: skip
    run(request, seed, Outputs(json, trades, trades_out, html))


def _run_recorded(
    request: Request, seed: int | None, outputs: Outputs, *, home: Path | None, strategies: str, timeframe: str,
    playbook: list[Path] | None, source: str, config: Path | None,
) -> None:  # fmt: skip
    """Run on threads, with every delivery recorded for `replay`."""
    from sos_actors.cli.recorded import BacktestArguments, begin_backtest  # noqa: PLC0415

    if request.stage != "live":
        raise InputError("--record: add --stage live; one ordered thread gives the same run without a record")
    arguments = BacktestArguments(
        symbols=request.symbols, from_date=request.from_date, to_date=request.to_date, strategies=strategies,
        timeframe=timeframe, playbook=[str(one.absolute()) for one in playbook or ()], resolution=request.resolution,
        source=source, seed=seed, config=str(config.absolute()) if config is not None else "",
    )  # fmt: skip
    recording, name = begin_backtest(_seeded(request, seed), arguments, home)
    try:
        recorded = replace(request, recorder=recording.note, checkpoints=recording.checkpoints)
        run_and_report(recorded, seed, outputs)
    finally:
        recording.close("ended")
        print(f"session {name} is recorded{f', but {recording.failed}' if recording.failed else ''}", file=sys.stderr)


def _show_cast(runtime: Runtime) -> None:
    from sos_actors.reports.cast import print_cast  # noqa: PLC0415

    print_cast(runtime.stats(), runtime.snapshots, runtime.dead_letters, sys.stderr)


def history_from(source: str, home: Path | None, config: Config, seed: int | None) -> HistorySource:
    """Give the history of a run: the database of the home, or the simulated market."""
    if source == "simulated":
        from sos_actors.sandbox.market import SimulatedMarket  # noqa: PLC0415
        from sos_actors.sources.simulated import SimulatedHistory  # noqa: PLC0415

        number = config.backtest.seed if seed is None else seed
        return SimulatedHistory(SimulatedMarket(config.simulated_market, number))
    from sos_actors.sources.source import DatabaseSource  # noqa: PLC0415

    return DatabaseSource(options.open_store(home, readonly=True))


class Outputs(NamedTuple):
    """Where a result goes besides the screen, and how many trades the screen lists."""

    json: Path | None
    trades: int
    trades_out: Path | None
    html: Path | None


def run_and_report(request: Request, seed: int | None, outputs: Outputs) -> None:
    """Run a request, with this seed of the simulated market, and put its result where it is wanted."""
    from sos_actors.backtest import run  # noqa: PLC0415
    from sos_actors.runtime.tuning import tune_for_throughput  # noqa: PLC0415

    _check_outputs(outputs.json, outputs.trades_out, outputs.html)
    request = _seeded(request, seed)
    began = time.perf_counter()
    tune_for_throughput()
    with _progress(request) as on_day:
        record = run(replace(request, on_day=on_day))
    timings = {**record.timings, "total_s": time.perf_counter() - began}
    _write(msgspec.structs.replace(record, timings=timings), request, outputs)


def _seeded(request: Request, seed: int | None) -> Request:
    if seed is None:
        return request
    backtest_settings = msgspec.structs.replace(request.config.backtest, seed=seed)
    return replace(request, config=msgspec.structs.replace(request.config, backtest=backtest_settings))


def _write(record: RunRecord, request: Request, outputs: Outputs) -> None:
    from sos_actors.reports.run import run_result, to_json  # noqa: PLC0415
    from sos_actors.reports.terminal import print_run  # noqa: PLC0415

    if outputs.trades_out is not None:
        from sos_actors.reports.files import write_trades  # noqa: PLC0415

        write_trades(record.trades, outputs.trades_out)
    if outputs.html is not None:
        from sos_actors.market.charges import ChargeSchedule  # noqa: PLC0415
        from sos_actors.reports.html import write_tear_sheet  # noqa: PLC0415

        write_tear_sheet(record, request.charges or ChargeSchedule(request.config.charges), outputs.html)
    if outputs.json is not None and str(outputs.json) != "-":
        outputs.json.write_bytes(to_json(record))
    if outputs.json is not None and str(outputs.json) == "-":
        sys.stdout.buffer.write(to_json(record) + b"\n")
    else:
        print_run(run_result(record), sys.stdout, trades=outputs.trades)


def _check_outputs(*paths: Path | None) -> None:
    """Find out before the work, not after it, that a result has nowhere to go."""
    for path in paths:
        if path is None or str(path) == "-":
            continue
        if not path.absolute().parent.is_dir():
            raise InputError(f"{path}: there is no folder {path.absolute().parent}; make it first")
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the name of a file in it")


@contextmanager
def _progress(request: Request) -> Iterator[Callable[[dt.date], None] | None]:
    """Show the day being played on a terminal; stay quiet in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    span = (request.to_date - request.from_date).days + 1
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("playing", total=span)

        def on_day(day: dt.date) -> None:
            bar.update(task, completed=(day - request.from_date).days, description=f"playing {day}")

        yield on_day
