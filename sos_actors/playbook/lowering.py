"""From a checked expression to the Python text that is compiled for it.

Every piece of that text is a template of ours, a number or a short quoted word, never the author's own text. In
it `b` is the closed bar, `p` the bar before, `s` the studies, `v` what was captured, `c` the chain snapshot, `m` the
market structure, `r` the rule of the regime, `k` the studies of the confirming time frame, `t` the minute of the day.

Each piece has a kind, number, truth or text, and what does not fit is refused here, so that compiled
code cannot meet a type it does not expect.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sos_actors.messages import Regime
from sos_actors.playbook import names
from sos_actors.playbook.arguments import number_argument, study_spec
from sos_actors.playbook.errors import StrategyError
from sos_actors.playbook.grammar import column_of, parse_expression
from sos_actors.playbook.names import NUMBER, TEXT, TRUTH
from sos_actors.playbook.references import References, Scope, Term
from sos_actors.playbook.schema import minutes_of
from sos_actors.quant.studies import StudySpec

_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "=="}
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.FloorDiv: "//"}
_DIVIDING = {ast.Div: "div", ast.Mod: "mod", ast.FloorDiv: "floordiv"}
_WORDS = (*names.TRENDS, *Regime)


@dataclass
class Lowered:
    """One expression ready to compile: its text, the inputs shown when explaining it, and those that may be unknown."""

    source: str
    text: str
    kind: str
    inputs: dict[str, str]
    unknowable: list[str]


def lower(source: str, scope: Scope, kind: str = TRUTH) -> Lowered:
    """Translate one expression; raises StrategyError when it is not of the language or not of `kind` ('': any)."""
    tree = parse_expression(source)
    source = " ".join(source.split())
    work = _Lowering(source, scope)
    term = work.any_kind(tree)
    if kind and term.kind != kind:
        wanted = {TRUTH: "a comparison, true or false", NUMBER: "a number"}[kind]
        raise StrategyError(f"expected {wanted}, found a {term.kind}", expression=source, column=1)
    return Lowered(source, term.text, term.kind, work.inputs, list(work.unknowable))


class _Lowering(References):
    """One walk over one expression."""

    def any_kind(self, node: ast.expr) -> Term:
        method: Callable[[_Lowering, Any], Term] | None = _METHODS.get(type(node))
        if method is None:
            raise self._fail(node, "not expected here")
        return method(self, node)

    def number(self, node: ast.expr) -> str:
        return self._of_kind(node, NUMBER)

    def truth(self, node: ast.expr) -> str:
        return self._of_kind(node, TRUTH)

    def _of_kind(self, node: ast.expr, kind: str) -> str:
        term = self.any_kind(node)
        if term.kind != kind:
            raise self._fail(node, f"expected a {kind}, found a {term.kind}")
        return term.text

    # --- operators

    def constant(self, node: ast.Constant) -> Term:
        if isinstance(node.value, bool):
            return Term(repr(node.value), TRUTH)
        if isinstance(node.value, str):
            raise self._fail(node, "text may only be compared with ==, !=, in, not in")
        return Term(repr(float(node.value)), NUMBER)  # type: ignore[arg-type]  # the grammar lets nothing else through

    def choice(self, node: ast.IfExp) -> Term:
        test, body, other = self.truth(node.test), self.any_kind(node.body), self.any_kind(node.orelse)
        if body.kind != other.kind:
            raise self._fail(node, f"both outcomes must be of one kind, found a {body.kind} and a {other.kind}")
        return Term(f"({body.text} if {test} else {other.text})", body.kind)

    def logic(self, node: ast.BoolOp) -> Term:
        word = " and " if isinstance(node.op, ast.And) else " or "
        return Term("(" + word.join(self.truth(value) for value in node.values) + ")", TRUTH)

    def unary(self, node: ast.UnaryOp) -> Term:
        if isinstance(node.op, ast.Not):
            return Term(f"(not {self.truth(node.operand)})", TRUTH)
        return Term(f"({'-' if isinstance(node.op, ast.USub) else '+'}{self.number(node.operand)})", NUMBER)

    def arithmetic(self, node: ast.BinOp) -> Term:
        left = self.number(node.left)
        if isinstance(node.op, ast.Pow):
            power = number_argument(node.right)
            if power not in (2, 3, 4):
                raise self._fail(node.right, "the exponent of ** must be 2, 3 or 4")
            return Term(f"({left} ** {int(power)})", NUMBER)
        right = self.number(node.right)
        helper = _DIVIDING.get(type(node.op))
        if helper and number_argument(node.right) in (None, 0.0):
            return Term(f"{helper}({left}, {right})", NUMBER)
        return Term(f"({left} {_ARITHMETIC[type(node.op)]} {right})", NUMBER)

    def comparison(self, node: ast.Compare) -> Term:
        sides = [node.left, *node.comparators]
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn | ast.Eq | ast.NotEq):
            words = self._comparison_of_text(node, sides[0], sides[1])
            if words:
                return words
            if isinstance(node.ops[0], ast.NotEq):
                return Term(f"differ({self.number(sides[0])}, {self.number(sides[1])})", TRUTH)
        parts = [self.number(sides[0])]
        for op, side in zip(node.ops, sides[1:], strict=True):
            if type(op) not in _COMPARE:
                raise self._fail(side, "'in' needs a list of texts on its right; '!=' stands alone, not in a chain")
            parts += [_COMPARE[type(op)], self.number(side)]
        return Term("(" + " ".join(parts) + ")", TRUTH)

    def _comparison_of_text(self, node: ast.Compare, left: ast.expr, right: ast.expr) -> Term | None:
        """Compare texts; None when these are no texts. What is unknown ('') equals nothing and differs from nothing."""
        if isinstance(left, ast.Constant) and isinstance(left.value, str):
            left, right = right, left
        op = node.ops[0]
        negated = isinstance(op, ast.NotIn | ast.NotEq)
        if isinstance(op, ast.In | ast.NotIn) != isinstance(right, ast.List | ast.Tuple):
            if isinstance(op, ast.In | ast.NotIn):
                raise self._fail(right, "expected a list of texts, e.g. ['Long Buildup', 'Neutral']")
            raise self._fail(right, "write 'in' before a list")
        items = right.elts if isinstance(right, ast.List | ast.Tuple) else [right]
        if not all(isinstance(item, ast.Constant) and isinstance(item.value, str) for item in items):
            if isinstance(right, ast.List | ast.Tuple):
                raise self._fail(right, "a list holds texts in quotes only")
            return self._two_texts(left, right, negated=negated)
        if not 0 < len(items) <= 20:
            raise self._fail(right, "a list holds 1 to 20 texts")
        subject = self.any_kind(left)
        if subject.kind != TEXT:
            raise self._fail(left, f"expected a text to compare with, found a {subject.kind}")
        words = tuple(str(item.value) for item in items if isinstance(item, ast.Constant))
        for word in words:
            if word not in _WORDS:
                near = difflib.get_close_matches(word, _WORDS, 1)
                self._warn(f"nothing ever says '{word}'" + (f"; did you mean '{near[0]}'?" if near else ""))
        chosen = ("", *words) if negated else tuple(word for word in words if word)
        return Term(f"({subject.text} {'not in' if negated else 'in'} {chosen!r})", TRUTH)

    def _two_texts(self, left: ast.expr, right: ast.expr, *, negated: bool) -> Term | None:
        one, two = self.any_kind(left), self.any_kind(right)
        if TEXT not in (one.kind, two.kind):
            return None
        if one.kind != two.kind:
            raise self._fail(right, f"cannot compare a {one.kind} with a {two.kind}")
        return Term(f"{'other' if negated else 'same'}({one.text}, {two.text})", TRUTH)

    # --- calls

    def call(self, node: ast.Call) -> Term:
        if isinstance(node.func, ast.Attribute):
            return self._dotted_call(node, node.func)
        if not isinstance(node.func, ast.Name):
            raise self._fail(node, "only the listed functions may be called")
        word, arguments = node.func.id, node.args
        with_history = bool(arguments) and isinstance(arguments[0], ast.Name) and arguments[0].id == "history"
        if word in ("max", "min") and with_history:
            self._warn(f"older spelling; write {'highest' if word == 'max' else 'lowest'}(history, ...)")
            word = "highest" if word == "max" else "lowest"
        if word in names.STUDY_FUNCTIONS:
            spec = self._spec(node, word, arguments)
            return self._study(node, self._shifted(spec))
        if word in names.CANDLE_FUNCTIONS:
            return self._candle_function(node, word)
        plain = _PLAIN.get(word)
        if plain is None:
            raise self._unknown(node, word, [*names.STUDY_FUNCTIONS, *names.CANDLE_FUNCTIONS, *_PLAIN])
        return plain(self, node)

    def _spec(self, node: ast.Call, word: str, arguments: list[ast.expr]) -> StudySpec:
        try:
            return study_spec(word, arguments, self._warn)
        except StrategyError as error:
            column = error.column or column_of(node)
            raise StrategyError(error.problem, expression=self._source, column=column) from None

    def _dotted_call(self, node: ast.Call, function: ast.Attribute) -> Term:
        """`confirm.ema(21, 'close')`, and the older `candle.getClose()`."""
        root, word = function.value, function.attr
        if isinstance(root, ast.Name) and root.id == "confirm" and word in names.STUDY_FUNCTIONS:
            return self._study(node, self._spec(node, word, node.args), confirm=True)
        field_name = word[3:].lower()
        if (
            isinstance(root, ast.Name)
            and root.id in ("candle", "prev_candle")
            and word.startswith("get")
            and (field_name in (*names.FIELD_HELP, "atr") and not node.args)
        ):
            self._warn(f"older spelling; write {root.id}.{field_name}")
            return self._bar_field(node, field_name, 1 if root.id == "prev_candle" else 0)
        raise self._fail(node, "only the listed functions may be called")

    def _candle_function(self, node: ast.Call, word: str) -> Term:
        back = 0
        if len(node.args) == 1:
            argument = node.args[0]
            if isinstance(argument, ast.Subscript):
                back = self._back(argument)
            elif isinstance(argument, ast.Name) and argument.id in ("candle", "prev_candle"):
                back = 1 if argument.id == "prev_candle" else 0
            else:
                raise self._fail(argument, f"{word} takes candle, prev_candle or history[-n]")
        elif node.args:
            raise self._fail(node, f"{word} takes at most one argument")
        return self._bar_field(node, word, back)

    def _crosses(self, node: ast.Call) -> Term:
        above = getattr(node.func, "id", "") == "crosses_above"
        first, second = self._arguments(node, 2, 2)
        now = self.number(first), self.number(second)
        self._shift += 1
        before = self.number(first), self.number(second)
        self._shift -= 1
        over, under = (">", "<=") if above else ("<", ">=")
        return Term(f"({now[0]} {over} {now[1]} and {before[0]} {under} {before[1]})", TRUTH)

    def _arguments(self, node: ast.Call, least: int, most: int) -> list[ast.expr]:
        if not least <= len(node.args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise self._fail(node, f"expected {count} argument{'s' if count != '1' else ''}, found {len(node.args)}")
        return node.args

    def _time_is_between(self, node: ast.Call) -> Term:
        arguments = self._arguments(node, 2, 3)
        if len(arguments) == 3 and not (isinstance(arguments[0], ast.Name) and arguments[0].id == "timestamp"):
            raise self._fail(arguments[0], "the first argument is timestamp")
        minutes = []
        for argument in arguments[-2:]:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                raise self._fail(argument, "expected a time of day 'HH:MM'")
            try:
                minutes.append(minutes_of(argument.value))
            except StrategyError as error:
                raise self._fail(argument, error.problem) from None
        if minutes[0] >= minutes[1]:
            raise self._fail(node, "the first time must be before the second")
        self._scope.uses.add("time")
        return Term(f"({minutes[0]} <= t < {minutes[1]})", TRUTH)

    def _prev_day_close(self, node: ast.Call) -> Term:
        self._arguments(node, 0, 0)
        if self._shift:
            return Term("m.prev_close", NUMBER)
        return self._table(node, "structure", "prev_close")

    def _round(self, node: ast.Call) -> Term:
        value, *rest = self._arguments(node, 1, 2)
        digits = number_argument(rest[0]) if rest else 0.0
        if digits is None or digits != int(digits) or not -9 <= digits <= 9:
            raise self._fail(node, "the digits of round must be a whole number from -9 to 9")
        return Term(f"round({self.number(value)}, {int(digits)})", NUMBER)

    def _abs(self, node: ast.Call) -> Term:
        return Term(f"abs({self.number(self._arguments(node, 1, 1)[0])})", NUMBER)

    def _extreme(self, node: ast.Call) -> Term:
        helper = "greatest" if getattr(node.func, "id", "") == "max" else "least"
        return Term(f"{helper}({', '.join(self.number(one) for one in self._arguments(node, 2, 10))})", NUMBER)


_METHODS: dict[type[ast.AST], Any] = {
    ast.Constant: _Lowering.constant,
    ast.IfExp: _Lowering.choice,
    ast.BoolOp: _Lowering.logic,
    ast.UnaryOp: _Lowering.unary,
    ast.BinOp: _Lowering.arithmetic,
    ast.Compare: _Lowering.comparison,
    ast.Name: _Lowering.name,
    ast.Attribute: _Lowering.attribute,
    ast.Call: _Lowering.call,
}
_PLAIN: dict[str, Callable[[_Lowering, ast.Call], Term]] = {
    "crosses_above": _Lowering._crosses,
    "crosses_below": _Lowering._crosses,
    "time_is_between": _Lowering._time_is_between,
    "prev_day_close": _Lowering._prev_day_close,
    "round": _Lowering._round,
    "abs": _Lowering._abs,
    "min": _Lowering._extreme,
    "max": _Lowering._extreme,
}
