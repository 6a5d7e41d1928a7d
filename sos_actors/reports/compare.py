"""Two runs side by side: whether they are the same, and if not, where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import msgspec
from rich.table import Table

from sos_actors.reports.terminal import console_on, new_table

#: Keys of a result that may differ between equal runs.
UNCOMPARED = ("timings",)


class Difference(msgspec.Struct, frozen=True):
    """One value that differs; `where` is its path, e.g. 'summary.net'. None: absent there, or no figure."""

    where: str
    a: Any
    b: Any


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between results `a` and `b`, `timings` apart.

    `facts` are differences outside summary and trades. `first_trade` is the place (0 is the first) of the first
    trade that differs, -1 when all are equal; `trade` says how: its differing fields, or the whole of it as one
    difference when one run has no such trade.
    """

    facts: tuple[Difference, ...]
    summary: tuple[Difference, ...]
    first_trade: int
    trade: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.facts or self.summary or self.trade)


def _leaves(value: Any, where: str) -> dict[str, Any]:
    """Flatten nested objects to path -> value; lists are values."""
    if not isinstance(value, Mapping):
        return {where: value}
    out: dict[str, Any] = {}
    for name, inner in value.items():
        out |= _leaves(inner, f"{where}.{name}" if where else str(name))
    return out


def _differences(a: Any, b: Any, where: str) -> tuple[Difference, ...]:
    left, right = _leaves(a, where), _leaves(b, where)
    paths = list(dict.fromkeys([*left, *right]))
    return tuple(
        Difference(path, left.get(path), right.get(path))
        for path in paths
        if left.get(path) != right.get(path) or (path in left) != (path in right)
    )


def _first_trade(a: Sequence[Any], b: Sequence[Any]) -> tuple[int, tuple[Difference, ...]]:
    for place in range(max(len(a), len(b))):
        where = f"trades.{place}"
        if place >= len(a) or place >= len(b):
            return place, (Difference(where, *(_label(side[place]) if place < len(side) else None for side in (a, b))),)
        if a[place] != b[place]:
            return place, _differences(a[place], b[place], where)
    return -1, ()


def _label(trade: Mapping[str, Any]) -> str:
    return " ".join(str(trade.get(name)) for name in ("trade_id", "strategy", "instrument", "entry_time"))


def compare(a: Mapping[str, Any], b: Mapping[str, Any]) -> Comparison:
    """Compare two results as read from their JSON; exactly, to the last digit."""
    apart = ("summary", "trades", *UNCOMPARED)
    left, right = ({key: side[key] for key in side if key not in apart} for side in (a, b))
    first, trade = _first_trade(a.get("trades", ()), b.get("trades", ()))
    return Comparison(
        facts=_differences(left, right, ""),
        summary=_differences(a.get("summary", {}), b.get("summary", {}), "summary"),
        first_trade=first,
        trade=trade,
    )


def _in_breakdown(difference: Difference) -> bool:
    return difference.where.startswith("summary.by_")


def comparison_table(comparison: Comparison, names: tuple[str, str] = ("a", "b")) -> Table:
    """One line a difference: facts, the first trade that differs, the summary without its break-downs."""
    table = new_table("what differs", *names, left=3)
    summary = [difference for difference in comparison.summary if not _in_breakdown(difference)]
    for difference in (*comparison.facts, *comparison.trade, *summary):
        sides = ("-" if value is None else str(value) for value in (difference.a, difference.b))
        table.add_row(difference.where, *sides)
    return table


def print_comparison(comparison: Comparison, file: TextIO, names: tuple[str, str] = ("a", "b")) -> None:
    """Say in one line whether two runs are the same, and list what differs."""
    count = len(comparison.facts) + len(comparison.summary)
    first = comparison.first_trade
    trade = "all trades are equal" if first < 0 else f"the first trade that differs is number {first + 1}"
    with console_on(file) as console:
        if comparison.same:
            console.print(f"{names[0]} and {names[1]} are the same in everything but timings.")
        else:
            console.print(f"{names[0]} and {names[1]} differ: {count} facts or figures; {trade}.")
            console.print(comparison_table(comparison, names))
            broken_down = sum(map(_in_breakdown, comparison.summary))
            if broken_down:
                console.print(f"and {broken_down} figures of break-downs")
