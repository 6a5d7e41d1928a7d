"""compare: two results of backtests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sos_actors.errors import InputError


def compare(
    first: Annotated[Path, typer.Argument(help="Result of one run, written with --json")],
    second: Annotated[Path, typer.Argument(help="Result of the other")],
) -> None:
    """Say whether two runs are the same, and if not, where they part. Exit status 0: the same, 1: not."""
    from sos_actors.reports.compare import compare as differences  # noqa: PLC0415 - imports cost
    from sos_actors.reports.compare import print_comparison  # noqa: PLC0415

    found = differences(_result(first), _result(second))
    print_comparison(found, sys.stdout, (str(first), str(second)))
    if not found.same:
        raise typer.Exit(1)


def _result(path: Path) -> dict[str, Any]:
    from sos_actors.reports.run import from_json  # noqa: PLC0415

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    result: dict[str, Any] = msgspec.to_builtins(from_json(raw, str(path)))
    return result
