"""maintenance: how the market database is, and what old data goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sos_actors.cli import backfill, options
from sos_actors.errors import StorageError
from sos_actors.market.clocktime import ist_date, ist_plain

if TYPE_CHECKING:
    from sos_actors.storage.upkeep import Health


def maintenance(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report only; delete nothing")] = False,
    vacuum: Annotated[bool, typer.Option("--vacuum", help="Give free pages back to the disk")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout")] = False,
    config: options.ConfigOption = None,
    home: options.HomeOption = None,
) -> None:
    """Check the market database, report its holes, and delete what is older than `data.keep_*_days`."""
    import msgspec  # noqa: PLC0415 - each command pays for its own imports

    from sos_actors.storage import upkeep  # noqa: PLC0415

    settings = options.configuration(config)
    data = settings.data
    retention = upkeep.Retention(data.keep_tick_days, data.keep_bar_days, data.keep_chain_days)
    today = ist_date(backfill.now_of(settings))
    options.open_store(home, readonly=True).close()  # says so when there is none
    with options.open_store(home, readonly=dry_run) as store:
        found = upkeep.health(store, retention, today)
        deleted: dict[str, int] = {}
        if not dry_run and found.integrity == "ok":
            deleted = upkeep.delete_old(store, retention, today)
            if vacuum:
                upkeep.vacuum(store)
    if json:
        typer.echo(msgspec.json.encode({"health": found, "deleted": deleted}).decode())
    else:
        _print(found, deleted, dry_run=dry_run)
    if found.integrity != "ok":
        raise StorageError(f"{found.path}: damaged ({found.integrity}): restore a copy, or ingest again")


def _print(found: Health, deleted: dict[str, int], *, dry_run: bool) -> None:
    typer.echo(
        f"{found.path}: {found.size / 2**20:.1f} MiB, {found.free / 2**20:.1f} MiB of it free; {found.integrity}"
    )
    fetched = ist_plain(found.last_fetch)[:16] if found.last_fetch else "never"
    typer.echo(f"last fetched from the broker: {fetched}")
    for name, one in found.symbols.items():
        typer.echo(f"{name}: {one.days} days, {one.first} to {one.last}, {len(one.missing)} trading day(s) missing")
        if one.missing:
            more = f" and {len(one.missing) - 8} more" if len(one.missing) > 8 else ""
            typer.echo(f"  missing: {', '.join(map(str, one.missing[:8]))}{more}")
        for day, note in one.incomplete.items():
            typer.echo(f"  incomplete: {day}: {note}")
    if found.half_fetched:
        typer.echo(f"half fetched: {found.half_fetched} contract-days; run the same ingest again and it goes on")
    for kind, count in (found.old if dry_run else deleted).items():
        typer.echo(f"{kind}: {count} day block(s) {'would be' if dry_run else 'were'} deleted")
