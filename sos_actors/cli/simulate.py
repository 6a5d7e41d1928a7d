"""simulate: whole sessions of the order path under a storm of faults, checked against its promises."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from sos_actors.errors import InputError


def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="How many sessions, each with a storm of its own")] = 20,
    seed: Annotated[int | None, typer.Option(min=0, help="Play this one seed")] = None,
    first: Annotated[int, typer.Option(min=0, help="The first seed of several")] = 0,
    hours: Annotated[float, typer.Option(min=0.5, max=6.0, help="Length of a session, hours")] = 1.0,
    rate: Annotated[float, typer.Option(min=0.0, help="Faults an hour, on the average")] = 40.0,
    faults: Annotated[str | None, typer.Option(help="Only these faults of the seed: 3,7,12 or none")] = None,
    for_s: Annotated[
        float, typer.Option("--for", min=0.0, help="Begin no session after so many seconds; 0: play all")
    ] = 0,
    report: Annotated[Path | None, typer.Option(help="Append the figures as one line of JSON to this file")] = None,
) -> None:
    """Play sessions of the order path against the simulated exchange under storms; exits 1 if a promise broke."""
    import msgspec  # noqa: PLC0415 - each command pays for its own imports
    from loguru import logger  # noqa: PLC0415

    from sos_actors.storm import runner, session  # noqa: PLC0415

    logger.disable("sos_actors")  # thousands of crashes on purpose
    if faults is not None and seed is None:
        raise InputError("--faults goes with --seed: the numbers are those of one seed's faults")
    only = None if faults is None else _numbers(faults)
    figures, began = runner.Figures(), time.monotonic()
    for one in [seed] if seed is not None else range(first, first + seeds):
        if for_s and time.monotonic() - began > for_s:
            break
        chosen = runner.faults_of(one, hours, rate, only)
        result = session.play(one, hours, tuple(chosen.values()))
        figures.add(result, hours)
        if result.violations:
            _tell(one, result.violations)
            if only is None:
                failure = runner.shrink(one, hours, rate, result)
                for number, words in failure.faults:
                    typer.echo(f"  fault {number}: {words}")
                typer.echo(f"  again: {failure.command}")
    took = time.monotonic() - began
    typer.echo(
        f"{figures.seeds} sessions, {figures.hours:g} hours, {figures.executions} executions of"
        f" {figures.orders} orders, {sum(figures.struck.values())} faults,"
        f" {figures.deaths} deaths, {figures.checks} checks in {took:.1f} s"
        f" ({1000 * took / figures.hours:.0f} ms an hour); {len(figures.failed)} failed"
    )
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.open("ab") as file:
            file.write(msgspec.json.encode({"took_s": round(took, 1), "figures": figures}) + b"\n")
    if figures.failed:
        raise typer.Exit(1)


def _numbers(text: str) -> list[int]:
    if text == "none":
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--faults {text}: write numbers with commas between them, or none") from None


def _tell(seed: int, violations: tuple[str, ...]) -> None:
    typer.echo(f"seed {seed} broke its promises:")
    for text in violations[:8]:
        typer.echo(f"  {text}")
