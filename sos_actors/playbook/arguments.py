"""The constant arguments of study functions: `ema(history, 9, 'close')` -> StudySpec("ema", "close", 9)."""

from __future__ import annotations

import ast
from collections.abc import Callable

from sos_actors.playbook import names
from sos_actors.playbook.errors import StrategyError
from sos_actors.playbook.grammar import column_of
from sos_actors.quant.studies import MAX_PERIOD, StudySpec


def number_argument(node: ast.expr) -> float | None:
    """Read a number, perhaps with a sign before it; None when it is anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = number_argument(node.operand)
        return value if value is None or isinstance(node.op, ast.UAdd) else -value
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    return None


def study_spec(word: str, arguments: list[ast.expr], warn: Callable[[str], None]) -> StudySpec:
    """Give the study a call asks for; raises StrategyError saying how the function is written.

    `history` may come first, as older files write it, or be left out.
    """
    function = names.STUDY_FUNCTIONS[word]
    if arguments and isinstance(arguments[0], ast.Name) and arguments[0].id == "history":
        arguments = arguments[1:]
    parameters = function.parameters
    usage = f"{word}({', '.join(['history', *(name for name, _ in parameters)])})"
    if len(arguments) > len(parameters):
        raise StrategyError(f"too many arguments; write {usage}")
    values: dict[str, float | str] = {}
    for at, (name, default) in enumerate(parameters):
        if at < len(arguments):
            values[name] = _argument(name, arguments[at], usage, warn)
        elif default is None:
            raise StrategyError(f"'{name}' is missing; write {usage}")
        else:
            values[name] = default
    source = str(values.get("field", "close"))
    period = int(values.get("n", 0))
    if word == "rsi_slope":
        return StudySpec("change", StudySpec("rsi", source, period), int(values["bars"]))
    width = float(values.get("k", 0.0)) if word != "bb_mid" else 0.0
    return StudySpec(function.kind, source, period, width)


def _argument(name: str, node: ast.expr, usage: str, warn: Callable[[str], None]) -> float | str:
    column = column_of(node)
    if name == "field":
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            raise StrategyError(f"the field is a text such as 'close'; write {usage}", column=column)
        word = node.value
        if word.lower() not in names.FIELD_HELP:
            raise StrategyError(f"unknown field '{word}'; expected one of {', '.join(names.FIELD_HELP)}", column=column)
        if word != word.lower():
            warn(f"write the field in lower case: '{word.lower()}'")
        return word.lower()
    value = number_argument(node)
    if value is None:
        raise StrategyError(f"'{name}' must be a constant number; write {usage}", column=column)
    if name == "k":
        if not 0 < value <= 20:
            raise StrategyError(f"'k' must be above 0 and at most 20; write {usage}", column=column)
        return value
    if value != int(value) or not 1 <= value <= MAX_PERIOD:
        raise StrategyError(f"'{name}' must be a whole number from 1 to {MAX_PERIOD}; write {usage}", column=column)
    return value
