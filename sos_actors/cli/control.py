"""Commands that talk to the running daemon over its control socket."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sos_actors.cli import options
from sos_actors.errors import InputError

if TYPE_CHECKING:
    from sos_actors.control.client import ControlClient

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables")]
FollowFlag = Annotated[bool, typer.Option("--follow", help="Show it anew every second, until Ctrl-C")]


def status(home: options.HomeOption = None, json: JsonFlag = False, follow: FollowFlag = False) -> None:
    """Say what the running daemon does: session, feed, positions, orders, last errors."""
    with _daemon(home) as daemon:
        _show(lambda: daemon.ask("status"), "status", json=json, follow=follow)


def inspect(
    actor: Annotated[
        str, typer.Argument(help="Path of an actor, e.g. strategy/NIFTY/brf_short, or dead-letters; none: all")
    ] = "",
    home: options.HomeOption = None,
    json: JsonFlag = False,
    follow: FollowFlag = False,
    at: Annotated[str, typer.Option("--at", help="What it held just before HH:MM:SS.mmm in a recorded session")] = "",
    session: Annotated[str, typer.Option("--session", help="With --at: the session; the last when not given")] = "",
    other_code: Annotated[
        bool, typer.Option("--other-code", help="With --at: go ahead though other code recorded the session")
    ] = False,
    checkpoint: Annotated[
        bool, typer.Option("--checkpoint", help="With --at: its last checkpoint before, without a replay")
    ] = False,
) -> None:
    """Look into the running daemon: the tree of its actors, or what one holds; with --at into a recorded session.

    dead-letters shows the last messages that failed their actor, with the traceback, or that nobody handled.
    """
    if at:
        from sos_actors.cli.sessions import inspect_at  # noqa: PLC0415

        inspect_at(actor, at, session, home, follow=follow, other_code=other_code, checkpoint=checkpoint)
        return
    if checkpoint:
        raise InputError("--checkpoint: say of which instant, with --at")
    with _daemon(home) as daemon:
        if actor == "dead-letters":
            _show(lambda: daemon.ask("dead_letters"), "inspect", json=True, follow=follow)
        elif actor:
            _show(lambda: daemon.ask("inspect", path=actor), "inspect", json=True, follow=follow)
        else:
            _show(lambda: daemon.ask("actors"), "actors", json=json, follow=follow)


def kill(
    home: options.HomeOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the log")] = "kill switch",
) -> None:
    """Stop trading now: no new entries, every position is closed, and it stays so until `resume`."""
    _order(home, "kill", reason=reason)


def flatten(
    strategy: Annotated[str, typer.Argument(help="Name of a strategy; none: everything")] = "",
    home: options.HomeOption = None,
) -> None:
    """Close the positions of a strategy, or all; a strategy that was flattened may enter again."""
    _order(home, "flatten", strategy=strategy)


def pause(
    strategy: Annotated[str, typer.Argument(help="Name of a strategy; none: the whole account")] = "",
    home: options.HomeOption = None,
) -> None:
    """Let a strategy, or all, enter nothing more; what is open is managed to its end."""
    _order(home, "pause", strategy=strategy)


def resume(
    strategy: Annotated[str, typer.Argument(help="Name of a strategy; none: the whole account")] = "",
    home: options.HomeOption = None,
) -> None:
    """Undo a pause or a kill."""
    _order(home, "resume", strategy=strategy)


def reinstate(
    strategy: Annotated[str, typer.Argument(help="Name of a strategy that is benched")],
    home: options.HomeOption = None,
) -> None:
    """Take a benched strategy back: it begins with its first phase, and its failures are forgiven."""
    _order(home, "reinstate", strategy=strategy)


def _order(home: Path | None, command: str, **args: Any) -> None:
    with _daemon(home) as daemon:
        print(daemon.ask(command, **args))


def _daemon(home: Path | None) -> ControlClient:
    from sos_actors.control.client import ControlClient  # noqa: PLC0415 - imports cost; each command pays for its own

    return ControlClient(options.home_folder(home))


def _show(ask: Any, kind: str, *, json: bool, follow: bool) -> None:
    from sos_actors.reports.daemon import print_actors, print_status  # noqa: PLC0415

    printers = {"status": print_status, "actors": print_actors}
    while True:
        data = ask()
        if follow and sys.stdout.isatty():
            sys.stdout.write("\x1b[H\x1b[2J")  # the top of a clean screen
        if json:
            print(jsonlib.dumps(data, indent=2, ensure_ascii=False))
        else:
            printers[kind](data, sys.stdout)
        sys.stdout.flush()
        if not follow:
            return
        time.sleep(1.0)
