"""top: the running daemon on one screen of a terminal, for those who come by SSH."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from sos_actors.cli import options


def top(
    home: options.HomeOption = None,
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end; what a pipe always gets")] = False,
    sort: Annotated[
        str, typer.Option("--sort", help="Order of the actors: rate, waiting, restarts, slow or handled")
    ] = "rate",
    every: Annotated[float, typer.Option("--every", min=0.2, max=60.0, help="Seconds between two pictures")] = 1.0,
) -> None:
    """Watch the running daemon: session, feeds, positions with P&L, orders, busiest actors, last alerts."""
    from sos_actors.control.client import ControlClient  # noqa: PLC0415 - each command pays for its own imports
    from sos_actors.reports.terminal import console_on  # noqa: PLC0415
    from sos_actors.reports.top import frame  # noqa: PLC0415

    with ControlClient(options.home_folder(home)) as daemon:
        if once or not sys.stdout.isatty():
            with console_on(sys.stdout) as console:
                console.print(frame(daemon.ask("status"), daemon.ask("actors"), by=sort))
            return
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        console = Console(markup=False, highlight=False, emoji=False)
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as screen:
            while True:
                picture = frame(daemon.ask("status"), daemon.ask("actors"), by=sort, height=console.height)
                screen.update(picture, refresh=True)
                time.sleep(every)
