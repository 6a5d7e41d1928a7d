"""What an expression may look like: parsed once, and only whitelisted syntax gets through.

Nothing here knows what a name means; `lowering` does. Lengths, depths and constants are bounded, so that no text
can make the compiler or the compiled code run long or allocate much.
"""

from __future__ import annotations

import ast
import warnings

from sos_actors.playbook.errors import StrategyError

MAX_LENGTH = 600
MAX_NODES = 250
MAX_DEPTH = 30
MAX_CONSTANT = 1e12

_SYNTAX = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.UAdd,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.Mod,
    ast.FloorDiv,
    ast.Pow,
    ast.Compare,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Eq,
    ast.NotEq,
    ast.In,
    ast.NotIn,
    ast.Call,
    ast.Name,
    ast.Load,
    ast.Attribute,
    ast.Subscript,
    ast.Constant,
    ast.IfExp,
    ast.List,
    ast.Tuple,
)
_WORDS = {
    ast.Lambda: "lambda",
    ast.NamedExpr: "':='",
    ast.JoinedStr: "f-strings",
    ast.ListComp: "comprehensions",
    ast.GeneratorExp: "comprehensions",
    ast.SetComp: "comprehensions",
    ast.DictComp: "comprehensions",
    ast.Dict: "dictionaries",
    ast.Set: "sets",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.Starred: "'*'",
    ast.Slice: "slices",
    ast.keyword: "named arguments",
    ast.Is: "'is'",
    ast.IsNot: "'is not'",
}


def parse_expression(text: str) -> ast.expr:
    """Parse and check one expression; raises StrategyError with its column."""
    if len(text) > MAX_LENGTH:
        raise StrategyError(f"longer than {MAX_LENGTH} characters", expression=text)
    if not text.strip():
        raise StrategyError("an expression is missing here")
    if not text.isascii():
        column = next(at for at, letter in enumerate(text) if not letter.isascii()) + 1
        raise StrategyError("only plain ASCII characters are allowed", expression=text, column=column)
    flat = " ".join(text.split())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(flat, mode="eval")
    except SyntaxError as error:
        hint = "; write 'and', 'or', 'not' for '&&', '||', '!'" if "&&" in flat or "||" in flat else ""
        raise StrategyError(f"{error.msg}{hint}", expression=flat, column=error.offset or 1) from None
    except (ValueError, RecursionError, MemoryError):
        raise StrategyError("too deeply nested or not readable", expression=flat, column=1) from None
    _check(tree, flat)
    return tree.body


def _check(tree: ast.Expression, text: str) -> None:
    """Walk level by level: depth, number and kind of nodes, size of constants."""
    level: list[ast.AST] = [tree]
    count = depth = 0
    while level:
        depth += 1
        count += len(level)
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise StrategyError(
                f"too long or too deeply nested (over {MAX_NODES} parts or {MAX_DEPTH} levels)",
                expression=text,
                column=1,
            )
        for node in level:
            if not isinstance(node, _SYNTAX):
                name = _WORDS.get(type(node), type(node).__name__)
                raise StrategyError(f"{name} is not part of the language", expression=text, column=column_of(node))
            if isinstance(node, ast.Constant):
                _check_constant(node, text)
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def _check_constant(node: ast.Constant, text: str) -> None:
    value = node.value
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        if not -MAX_CONSTANT <= value <= MAX_CONSTANT:
            raise StrategyError(
                f"numbers lie between -{MAX_CONSTANT:g} and {MAX_CONSTANT:g}", expression=text, column=column_of(node)
            )
        return
    if isinstance(value, str) and len(value) <= 60:
        return
    raise StrategyError(
        "a constant is a number, a short text in quotes, True or False", expression=text, column=column_of(node)
    )


def column_of(node: ast.AST) -> int:
    """Where a node begins, counting from 1; 1 for nodes that have no place of their own."""
    return int(getattr(node, "col_offset", 0)) + 1
