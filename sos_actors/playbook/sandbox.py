"""Where lowered text becomes code: no builtins, nothing in reach but a few harmless helpers.

A NaN, which stands for what is not known, makes every comparison false, and arithmetic with it stays NaN; dividing by
zero gives NaN too.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any


def _divide(by: Callable[[float, float], float]) -> Callable[[float, float], float]:
    return lambda a, b: by(a, b) if b else math.nan


def _least(*values: float) -> float:
    return min(values) if all(value == value for value in values) else math.nan


def _greatest(*values: float) -> float:
    return max(values) if all(value == value for value in values) else math.nan


#: All that compiled expressions can reach.
HELPERS: dict[str, Any] = {
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
    "div": _divide(lambda a, b: a / b),
    "mod": _divide(lambda a, b: a % b),
    "floordiv": _divide(lambda a, b: a // b),
    "least": _least,
    "greatest": _greatest,
    "differ": lambda a, b: a < b or a > b,
    "same": lambda a, b: a == b and a != "",
    "other": lambda a, b: a not in ("", b) and b != "",
}


#: What lowered text may read: studies, bar, previous, captured, chain, structure, rule, confirm, minute.
INPUTS = ("s", "b", "p", "v", "c", "m", "r", "k", "t")


def compile_text(text: str, inputs: tuple[str, ...] = INPUTS) -> Callable[..., Any]:
    """Compile lowered text into a function of these inputs that reaches nothing but HELPERS."""
    code = compile(f"lambda {', '.join(inputs)}: {text}", "<strategy>", "eval")
    function: Callable[..., Any] = eval(code, {"__builtins__": {}, **HELPERS})
    return function


def reads(text: str) -> set[str]:
    """Give which of INPUTS lowered text looks at."""
    names = {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
    return names.intersection(INPUTS)


def cannot_fail(text: str) -> bool:
    """Say whether lowered text raises nothing, whatever the numbers: no calls, and no power, which may overflow."""
    return not any(isinstance(node, ast.Call | ast.Pow) for node in ast.walk(ast.parse(text, mode="eval")))
