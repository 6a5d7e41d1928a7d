"""A chain of causes as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from sos_actors.market.clocktime import ist_text
from sos_actors.reports.causes import PhaseStep, Step

#: Characters a line may have.
WIDTH = 100
#: A value longer than this is not spelt out.
_LONG = 80
#: A whole number from here on is a time in UTC ns (the year 1973).
_TIMES_NS = 10**17
_ZONE = "+05:30"


def in_lines(steps: Iterable[Step | PhaseStep]) -> Iterator[str]:
    """Give the lines of a chain: a line a message with its number in the record, under it its values.

    Times are Indian; the date stands above the first message of each day.
    """
    day = ""
    for step in steps:
        at = step.now or step.ts if isinstance(step, PhaseStep) else step.now
        on, _, clock = ist_text(at).removesuffix(_ZONE).partition("T")
        if on != day:
            day = on
            yield day
        number = f"#{step.serial}  " if step.serial >= 0 else ""
        head = f"{clock:<15}  {number}"
        if isinstance(step, PhaseStep):
            yield f"{head}phase {step.number} of {step.of}, {step.phase}"
            yield from _wrapped(f"passed by {step.path} on the bar that ended {_time(step.ts, day)}")
            for text, values in step.conditions:
                yield from _wrapped(f"{text}:  {in_words(values, day)}", hanging=4)
            if step.captured:
                yield from _wrapped(f"captured:  {in_words(step.captured, day)}", hanging=4)
        else:
            yield from _wrapped(f"{head}{step.kind}: {step.sender} -> {step.path}", indent=0, hanging=4)
            yield from _wrapped(in_words(step.values, day))


def in_words(values: dict[str, Any], day: str = "") -> str:
    """Give the values of a message on one line; times without their date where it is `day`.

    What is not known (NaN, -1, nothing) is left out, and of what is long (arrays, other messages) only the name told.
    """
    known = {name: _word(value, day) for name, value in values.items() if not _unknown(value)}
    told = [f"{name}={text}" for name, text in known.items() if len(text) <= _LONG]
    long = [name for name, text in known.items() if len(text) > _LONG]
    return " ".join([*told, *([f"(long, not shown: {', '.join(long)})"] if long else [])])


def _unknown(value: Any) -> bool:
    return (
        value is None
        or value != value
        or (isinstance(value, (str, list, bytes)) and not value)
        or (isinstance(value, int) and value == -1)
    )


def _word(value: Any, day: str) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"  # the binary rest of a sum is no news
    if isinstance(value, int) and value >= _TIMES_NS:
        return _time(value, day)
    return str(value)


def _time(ts: int, day: str) -> str:
    text = ist_text(ts).removesuffix(_ZONE)
    return text.removeprefix(f"{day}T")


def _wrapped(text: str, indent: int = 4, hanging: int = 0) -> list[str]:
    """Break a text into lines `indent` blanks from the edge, from the second on `hanging` more."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + hanging), break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
