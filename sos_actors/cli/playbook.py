"""validate: strategies and configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sos_actors.cli import options
from sos_actors.playbook.loader import load_playbook


def validate(
    paths: Annotated[list[Path] | None, typer.Argument(help="Strategy files or folders; else strategies/")] = None,
    config: options.ConfigOption = None,
) -> None:
    """Check strategies and configuration.

    Every fault names file, phase, expression and column.
    """
    settings = options.configuration(config)
    playbook = load_playbook(paths or [options.ROOT / "strategies"])
    for warning in playbook.warnings:
        typer.echo(f"suggestion: {warning}")
    for error in playbook.errors:
        typer.echo(f"error: {error}", err=True)
    typer.echo(
        f"{len(playbook.strategies)} strategies can run, {len(playbook.errors)} cannot; "
        f"configuration {settings.fingerprint()} is valid"
    )
    if playbook.errors:
        raise typer.Exit(2)
