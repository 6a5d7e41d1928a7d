"""The command: parses, calls, prints. Every error a user can cause is one line on stderr and a status."""

from __future__ import annotations

import sys

import typer

from sos_actors.cli import (
    compare,
    control,
    dashboard,
    data,
    instruments,
    live,
    login,
    maintenance,
    playbook,
    runs,
    sandbox,
    sessions,
    simulate,
    top,
)
from sos_actors.errors import SosError
from sos_actors.runtime.base import EscalatedError

app = typer.Typer(
    help="SOS Actors: backtests, data and strategies for Indian index options.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(runs.demo)
app.command()(runs.backtest)
app.command()(compare.compare)
app.command()(data.ingest)
app.command()(data.export)
app.command()(data.sql)
app.command()(instruments.instruments)
app.command()(maintenance.maintenance)
app.command()(playbook.validate)
app.command()(live.live)
app.command()(sandbox.sandbox)
app.command()(dashboard.dashboard)
for recorded in (sessions.sessions, sessions.replay, sessions.why):
    app.command()(recorded)
app.command()(simulate.simulate)
app.command()(top.top)
app.command()(login.login)
app.command()(login.logout)
app.command()(control.status)
app.command()(control.inspect)
for order in (control.kill, control.flatten, control.pause, control.resume, control.reinstate):
    app.command()(order)


def main() -> int:
    """Run the command line; gives the exit status: 0 done, 1 failed, 2 bad usage or input."""
    try:
        app()
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, e.g. `| head`
        sys.stderr.close()
        return 0
    except (SosError, EscalatedError, OSError) as error:
        line, status = _told(error)
        print(f"error: {line}", file=sys.stderr)
        return status
    return 0


def _told(error: Exception) -> tuple[str, int]:
    """Give the one line that says what went wrong, and the exit status."""
    if isinstance(error, EscalatedError) and isinstance(error.__cause__, SosError):
        error = error.__cause__  # bad data that only showed once the run was under way
    if isinstance(error, SosError):
        return str(error), error.exit_status
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}", 1
    return f"{str(error).splitlines()[0]}; this is a fault of the program, please report it", 1
