"""The vocabulary as Markdown, from the compiler's own tables.

`python -m sos_actors.playbook.reference docs/strategies.md` rewrites what stands between `<!-- generated: NAME -->` and
`<!-- end -->` for every NAME in `BLOCKS`; other blocks are left alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sos_actors.messages.decision import REFUSALS
from sos_actors.playbook import names
from sos_actors.playbook.grammar import MAX_CONSTANT, MAX_DEPTH, MAX_LENGTH, MAX_NODES
from sos_actors.playbook.names import StudyFunction

_CELL = str.maketrans({"|": "\\|"})


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(cell.translate(_CELL) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _usage(name: str, function: StudyFunction) -> str:
    parts = ["history"]
    for parameter, default in function.parameters:
        parts.append(parameter if default is None else f"{parameter}={default!r}")
    return f"`{name}({', '.join(parts)})`"


def fields() -> str:
    """Table of the bar's fields."""
    rows = [(f"`{name}`", text) for name, text in names.FIELD_HELP.items()]
    return _table(("field", "meaning"), [*rows, ("`atr`", "average true range of 14 bars, points")])


def tables() -> str:
    """Tables of the names behind a dot; `chain` is `sentiment` by another name."""
    rows = [
        (f"`{root}.{name}`", text)
        for root, table in names.ATTRIBUTES.items()
        if root != "chain"
        for name, text in table.items()
    ]
    return _table(("name", "meaning"), rows)


def studies() -> str:
    """Table of the functions computed bar by bar."""
    return _table(("function", "gives"), [(_usage(name, one), one.help) for name, one in names.STUDY_FUNCTIONS.items()])


def functions() -> str:
    """Table of the other functions."""
    candle = [(f"`{name}()`, `{name}(prev_candle)`", names.FIELD_HELP[name]) for name in names.CANDLE_FUNCTIONS]
    plain = [(f"`{name}`", text) for name, text in names.PLAIN_FUNCTIONS.items()]
    return _table(("function", "gives"), [*candle, *plain])


def levels() -> str:
    """Table of the names known in `entry`, `sl` and `tp`."""
    return _table(("name", "meaning"), [(f"`{name}`", text) for name, text in names.LEVEL_HELP.items()])


def limits() -> str:
    """One sentence on what bounds an expression."""
    return (
        f"An expression has at most {MAX_LENGTH} characters, {MAX_NODES} parts and {MAX_DEPTH} levels; its numbers "
        f"lie between -{MAX_CONSTANT:g} and {MAX_CONSTANT:g}."
    )


def refusals() -> str:
    """Table of the reasons for which something is not done."""
    return _table(("reason", "meaning"), [(f"`{reason}`", text) for reason, text in REFUSALS.items()])


BLOCKS: dict[str, Callable[[], str]] = {
    "fields": fields,
    "tables": tables,
    "studies": studies,
    "functions": functions,
    "levels": levels,
    "limits": limits,
    "refusals": refusals,
}


def rewrite(document: str) -> str:
    """Fill in every generated block of a Markdown document."""

    def block(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- generated: {name} -->\n{BLOCKS[name]()}\n<!-- end -->" if name in BLOCKS else match[0]

    return re.sub(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", block, document, flags=re.DOTALL)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(rewrite(path.read_text(encoding="utf-8")), encoding="utf-8")
