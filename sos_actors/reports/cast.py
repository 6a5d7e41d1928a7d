"""The cast of a run as a table: who worked how much, who failed, and what each actor holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from sos_actors.market.rupees import NOTHING, grouped
from sos_actors.reports.terminal import console_on, new_table
from sos_actors.runtime import ActorStats, DeadLetters

#: Fields of an actor's own state that are shown; the rest is for machines.
SHOWN_FIELDS = 4


def print_cast(
    stats: Iterable[ActorStats], snapshots: Mapping[str, Mapping[str, Any]], letters: DeadLetters, file: TextIO
) -> None:
    """Print a row an actor, in the order of spawning, and the dead letters by path, message and reason.

    `snapshots` are what the actors say of themselves, by path (`Runtime.snapshots`).
    """
    with console_on(file) as console:
        table = new_table("actor", "state", "holds", "messages", "failures", left=3, fold="holds")
        for one in stats:
            state = "benched" if one.benched else "stopped" if one.stopped else one.group
            table.add_row(
                one.path, state, _told(snapshots.get(one.path, {})), grouped(one.handled), grouped(one.failures)
            )
        console.print(table)
        for (path, message, reason), count in sorted(letters.counts.items()):
            console.print(f"dead letters: {count} {message} of {path} ({reason})")


def _told(state: Mapping[str, Any]) -> str:
    """Name the first few plain values of an actor's state."""
    plain = [f"{name} {value}" for name, value in state.items() if isinstance(value, str | int | float) and value != ""]
    return ", ".join(plain[:SHOWN_FIELDS]) or NOTHING
