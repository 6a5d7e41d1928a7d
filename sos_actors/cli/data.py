"""ingest, export and sql."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sos_actors.cli import options
from sos_actors.errors import DataError, InputError

if TYPE_CHECKING:
    from sos_actors.sources.ingest import FileReport


def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders: CSV, CSV.gz, Parquet, or an older SOS database")
    ] = None,
    symbol: Annotated[str, typer.Option("--symbol", help="Underlying, where the file does not say")] = "",
    from_date: Annotated[str, typer.Option("--from-date", help="Leave out days before this")] = "",
    to_date: Annotated[str, typer.Option("--to-date", help="Leave out days after this")] = "",
    layout: Annotated[
        str, typer.Option("--layout", help="Name or YAML of the layout; else told from the columns")
    ] = "",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Replace a key of the layout, e.g. --set lot=75")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace stored days instead of merging")] = False,
    source: Annotated[
        Literal["files", "upstox"], typer.Option("--source", help="The files given, or the broker's history")
    ] = "files",
    full_options: Annotated[
        bool, typer.Option("--full-options", help="--source upstox: every expiry and strike, not those near the money")
    ] = False,
    config: options.ConfigOption = None,
    home: options.HomeOption = None,
) -> None:
    """Bring history into the database. Running it again changes nothing."""
    from sos_actors.cli import backfill  # noqa: PLC0415 - imports cost; each command pays for its own
    from sos_actors.sources.facts import market_facts  # noqa: PLC0415
    from sos_actors.sources.ingest import Request  # noqa: PLC0415

    if source == "upstox":
        if paths:
            raise InputError("--source upstox: takes no files; leave the option out to ingest them")
        backfill.ingest_upstox(symbol, from_date, to_date, home, config, force=force, every=full_options)
        return
    backfill.adopt_calendar(home)
    if full_options:
        raise InputError("--full-options: goes with --source upstox")
    if not paths:
        raise InputError("nothing to ingest: give the paths of files, or --source upstox")

    request = Request(
        layout=layout or None,
        symbol=options.parse_symbol(symbol) if symbol else None,
        from_date=options.parse_date(from_date, "--from-date") if from_date else None,
        to_date=options.parse_date(to_date, "--to-date") if to_date else None,
        force=force,
        overrides=_overrides(set_ or []),
        facts=market_facts(),
    )
    with options.open_store(home) as store:
        _ingest_all(paths, store, request)


def _overrides(pairs: list[str]) -> dict[str, Any]:
    import yaml  # noqa: PLC0415

    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair}: write key=value, e.g. lot=75")
        try:
            found[key.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            raise InputError(f"--set {pair}: '{value}' is no value of YAML, or no date there is") from None
    return found


def _ingest_all(paths: list[Path], store: Any, request: Any) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from sos_actors.sources.ingest import ingest as ingest_files  # noqa: PLC0415
    from sos_actors.sources.sos_database import import_sos, is_sos_database  # noqa: PLC0415

    stored: list[FileReport] = []
    left_out: Counter[str] = Counter()
    quiet = not sys.stderr.isatty()
    try:
        with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
            task = bar.add_task("reading", total=1.0)

            def tell(done: float, text: str) -> None:
                bar.update(task, completed=done, description=text)

            old = [path for path in paths if path.is_file() and is_sos_database(path)]
            for path in old:
                imported = import_sos(path, store, request, tell)
                stored += imported.imported.files
                left_out.update(imported.left_out)
            files = [path for path in paths if path not in old]
            if files:
                ingest_files(
                    files, store, request.layout, request.symbol, request.from_date, request.to_date,
                    force=request.force, progress=tell, overrides=request.overrides, facts=request.facts,
                    on_file=stored.append,
                )  # fmt: skip
    finally:  # what is stored stays so where a later file is at fault
        for one in stored:
            _print_file(one)
        for table, count in left_out.items():
            typer.echo(f"left out: {count} rows of {table}")


def _print_file(one: FileReport) -> None:
    days = " to ".join(dict.fromkeys(f"{day}" for day in (*one.days[:1], *one.days[-1:])))
    what = f" as {one.layout} ({one.interval_s} s), {', '.join(one.underlyings)}, {len(one.days)} day(s), {days}"
    typer.echo(f"{one.path}: {one.stored} of {one.rows} rows stored{what if one.days else ''}")
    blocks = ", ".join(f"{count} {what}" for what, count in one.blocks.items() if count)
    if blocks:
        typer.echo(f"  blocks: {blocks}")
    for reason, count in one.rejected.items():
        typer.echo(f"  rejected: {count} {reason}")
    for what, count in (
        ("of other symbols or days than asked for", one.skipped),
        ("snapped to their minute", one.snapped),
        ("superseded by a later row of the same minute", one.superseded),
        ("out of order, sorted", one.unsorted),
    ):
        if count:
            typer.echo(f"  {what}: {count}")
    found = sum(len(quality.holes) for quality in one.quality.values())
    if found:
        typer.echo(f"  holes: {found}")


def export(
    what: Annotated[
        Literal["bars", "frames", "snapshots", "strikes", "trades"],
        typer.Option("--what", help="bars, frames: as stored; snapshots, strikes: as the chain actor computed them"),
    ],
    symbol: options.SymbolOption,
    from_date: options.FromOption,
    out: Annotated[Path, typer.Option("--out", help="F.parquet or F.csv")],
    to_date: options.ToOption = "",
    config: options.ConfigOption = None,
    home: options.HomeOption = None,
) -> None:
    """Write stored or computed data to a file."""
    from sos_actors.storage import export as files  # noqa: PLC0415

    name = options.parse_symbol(symbol)
    first, last = options.parse_dates(from_date, to_date)
    if what == "trades":
        raise InputError("--what trades: write the trades of a run with `backtest ... --trades-out F.parquet`")
    with options.open_store(home, readonly=True) as store:
        if what == "bars":
            rows = files.export_bars(store, name, first, last, out)
        elif what == "frames":
            rows = files.export_frames(store, name, first, last, out)
        else:
            from sos_actors.snapshots import chain_snapshots  # noqa: PLC0415
            from sos_actors.sources.source import DatabaseSource  # noqa: PLC0415

            days = [day for day in store.days(name) if first <= day <= last]
            if not days:
                raise DataError(f"no data of {name} from {first} to {last} in {store.path}")
            history = DatabaseSource(store)
            rows = files.export_rows(chain_snapshots(history, name, days, options.configuration(config)), what, out)
    typer.echo(f"{out}: {rows} rows")


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over the tables `bars` and `chain` (see docs/data.md)")],
    home: options.HomeOption = None,
) -> None:
    """Ask the market database in SQL.

    Prints tab-separated values under the names of the columns.
    """
    from sos_actors.storage.sql import query as ask  # noqa: PLC0415

    found = ask(options.stored_market(home), query)
    typer.echo("\t".join(found.columns))
    for row in found.rows:
        typer.echo("\t".join("" if value is None else str(value) for value in row))
