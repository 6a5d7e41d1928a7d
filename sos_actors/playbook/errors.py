"""What can be wrong with a strategy file."""

from __future__ import annotations

from sos_actors.errors import InputError


class StrategyError(InputError):
    """A strategy file cannot be used; one line naming file, place, expression and column.

    `file` is the path as given, `place` e.g. 'phase TRIGGER, condition 2', `expression` the text ('' where
    the fault is not in one), `column` counts from 1 (0: none), `problem` says what is wrong and what was expected.
    """

    def __init__(self, problem: str, file: str = "", place: str = "", expression: str = "", column: int = 0) -> None:
        self.problem, self.file, self.place, self.expression, self.column = problem, file, place, expression, column
        shown = expression if len(expression) <= 100 else expression[:97] + "..."
        where = [file, place, f"'{shown}'" if expression else "", f"column {column}" if column else ""]
        line = ": ".join([", ".join(part for part in where if part), problem]) if any(where) else problem
        super().__init__(" ".join(line.split()))
