"""instruments: what is listed today, and what a name or key means."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sos_actors.cli import backfill, options
from sos_actors.errors import DataError, InputError
from sos_actors.market.clocktime import ist_date
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.market.lookup import matching


def instruments(
    find: Annotated[str, typer.Option("--find", help="A name, a key or a part: 'NIFTY 25550 PE 20 JAN 26'")] = "",
    underlying: Annotated[str, typer.Option("--underlying", help="The contracts of an underlying")] = "",
    expiry: Annotated[str, typer.Option("--expiry", help="Of one expiry, YYYY-MM-DD")] = "",
    refresh: Annotated[bool, typer.Option("--refresh", help="Fetch today's file again")] = False,
    on: Annotated[str, typer.Option("--on", help="As they were listed on this day, from the files kept")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rows shown")] = 50,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout")] = False,
    config: options.ConfigOption = None,
    home: options.HomeOption = None,
) -> None:
    """Look into the broker's instrument file, fetched once a day and kept for ever."""
    import msgspec  # noqa: PLC0415 - each command pays for its own imports

    from sos_actors.upstox.instruments import file_day  # noqa: PLC0415

    backfill.show_warnings()
    settings = options.configuration(config)
    masters = backfill.masters_of(options.home_folder(home), settings)
    now = backfill.now_of(settings)
    today = file_day(now)
    refresh = refresh and today == ist_date(now)  # until today's file is out there is nothing newer than yesterday's
    master = masters.on(options.parse_date(on, "--on")) if on else masters.today(today, refresh=refresh)
    if expiry and not underlying:
        raise InputError("--expiry: say of which underlying: --underlying NIFTY")
    if find:
        found = matching(master.table, find)
        if not found:
            raise DataError(f"--find '{find}': nothing of that name is in {master.path}")
    elif underlying:
        found = _of(master.table, underlying, expiry)
    else:
        summary = _summary(master.table) | {"day": master.day.isoformat(), "age_days": master.age_days}
        if json:
            typer.echo(msgspec.json.encode(summary).decode())
        else:
            _print_summary(summary)
        return
    shown = found[:limit]
    if json:
        typer.echo(msgspec.json.encode(shown).decode())
        return
    typer.echo("id\tkey\tsymbol\tlot\tfreeze\ttick")
    for one in shown:
        typer.echo(
            f"{one.id}\t{one.upstox_key}\t{one.trading_symbol}\t{one.lot_size}\t{one.freeze_quantity}\t{one.tick_size:g}"
        )
    if len(found) > len(shown):
        typer.echo(f"{len(found) - len(shown)} more; --limit shows them", err=True)


def _of(table: InstrumentTable, underlying: str, expiry: str) -> list[Instrument]:
    (name,) = options.parse_symbols(underlying)[:1]
    listed = table.expiries(name)
    if not expiry:
        return [*table.futures(name), *(one for day in listed for one in table.options(name, day))]
    day = options.parse_date(expiry, "--expiry")
    found = list(table.options(name, day))
    if not found:
        near = ", ".join(str(one) for one in listed[:6]) or "none"
        raise DataError(f"{name}: no options expire on {day}; listed: {near}")
    return found


def _summary(table: InstrumentTable) -> dict[str, Any]:
    names = dict.fromkeys(one.underlying for one in table)
    return {
        "instruments": len(table),
        "underlyings": {
            name: {
                "expiries": [str(day) for day in table.expiries(name)],
                "options": sum(len(table.options(name, day)) for day in table.expiries(name)),
                "futures": [one.id for one in table.futures(name)],
            }
            for name in sorted(names)
        },
    }


def _print_summary(summary: dict[str, Any]) -> None:
    age = f", {summary['age_days']} day(s) old" if summary["age_days"] else ""
    typer.echo(f"instruments of {summary['day']}{age}: {summary['instruments']}")
    for name, told in summary["underlyings"].items():
        near = ", ".join(told["expiries"][:3]) or "no options"
        typer.echo(
            f"  {name}: {told['options']} options, {len(told['expiries'])} expiries ({near}), "
            f"{len(told['futures'])} futures"
        )
