"""What the names in an expression refer to: fields of bars, studies, tables of the chain and structure, captures.

`lowering` walks the expression and asks here whenever it meets a name; the Python text it gets is one of our own
templates over the inputs listed in `lowering`.
"""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass, field
from typing import NamedTuple

from sos_actors.playbook import names
from sos_actors.playbook.arguments import number_argument
from sos_actors.playbook.errors import StrategyError
from sos_actors.playbook.grammar import column_of
from sos_actors.playbook.names import NUMBER, TEXT, TRUTH
from sos_actors.quant.studies import StudySpec, StudyTable

ATR = StudySpec("atr", "close", 14)


class Variable(NamedTuple):
    """Where a captured value or a level is kept, and what it is."""

    place: int
    kind: str


class Term(NamedTuple):
    """Python text and what kind of value it gives."""

    text: str
    kind: str


@dataclass
class Scope:
    """What an expression may refer to, and what has been referred to so far."""

    studies: StudyTable
    confirm: StudyTable | None = None
    variables: dict[str, Variable] = field(default_factory=dict)
    levels: dict[str, Variable] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    warmup: int = 1


class References:
    """The names of one expression. `shift` is how many bars back the walk looks."""

    def __init__(self, source: str, scope: Scope) -> None:
        self._source = source
        self._scope = scope
        self._shift = 0
        self.inputs: dict[str, str] = {}
        self.unknowable: dict[str, None] = {}

    def _fail(self, node: ast.AST, problem: str) -> StrategyError:
        return StrategyError(problem, expression=self._source, column=column_of(node))

    def _warn(self, message: str) -> None:
        self._scope.warnings.append(f"'{self._source}': {message}")

    def _input(self, node: ast.AST, text: str, kind: str = NUMBER, *, certain: bool = False) -> Term:
        if not self._shift:
            self.inputs[ast.unparse(node)] = text
        if not certain and kind == NUMBER:
            self.unknowable[text] = None
        return Term(text, kind)

    def name(self, node: ast.Name) -> Term:
        """Resolve a bare name: a level, or a field of the closed bar."""
        scope, word = self._scope, node.id
        if word in scope.levels:
            if word == "tp_mult":
                scope.uses.add("tp_mult")
                return self._input(node, "r.tp_mult")
            level = scope.levels[word]
            return self._input(node, f"v[{level.place}]", level.kind)
        if word in names.FIELD_HELP or word == "atr":
            return self._bar_field(node, word, 0)
        if word in names.LEVEL_HELP:
            raise self._fail(node, f"'{word}' is known only in entry, sl and tp, once it is computed")
        if word in ("candle", "prev_candle", "vars", "var", "confirm", *names.ATTRIBUTES):
            raise self._fail(node, f"'{word}' needs a dot and a name after it")
        if word in ("history", "timestamp"):
            raise self._fail(node, f"'{word}' may only be the first argument of a function, or history[-2].close")
        if word in names.STUDY_FUNCTIONS or word in names.CANDLE_FUNCTIONS:
            raise self._fail(node, f"'{word}' is a function; write {word}(...)")
        tables = ["candle", "prev_candle", "vars", *names.ATTRIBUTES]
        raise self._unknown(node, word, [*names.FIELD_HELP, *scope.levels, *tables])

    def attribute(self, node: ast.Attribute) -> Term:
        """Resolve a name with a dot in it."""
        value, word = node.value, node.attr
        if isinstance(value, ast.Subscript):
            return self._bar_field(node, word, self._back(value))
        if (
            isinstance(value, ast.Attribute)
            and isinstance(value.value, ast.Name)
            and (value.value.id in ("vars", "var") and value.attr == "screener")
        ):
            return self._table(node, "screener", word)
        if not isinstance(value, ast.Name):
            raise self._fail(node, "only one dot is allowed: table.name")
        root = value.id
        if root in ("candle", "prev_candle"):
            return self._bar_field(node, word, 1 if root == "prev_candle" else 0)
        if root in ("vars", "var"):
            return self._variable(node, root, word)
        if root == "confirm":
            return self._confirm_field(node, word)
        if root in names.ATTRIBUTES:
            return self._table(node, root, word)
        raise self._unknown(value, root, [*names.ATTRIBUTES, "candle", "prev_candle", "vars", "history", "confirm"])

    def _unknown(self, node: ast.AST, word: str, candidates: list[str]) -> StrategyError:
        near = difflib.get_close_matches(word, candidates, 1)
        listed = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(dict.fromkeys(candidates))}"
        return self._fail(node, f"unknown name '{word}'; {listed}")

    def _back(self, node: ast.Subscript) -> int:
        """`history[-1]` is the closed bar, `history[-2]` the one before."""
        place = number_argument(node.slice)
        if not (isinstance(node.value, ast.Name) and node.value.id == "history"):
            raise self._fail(node, "only history may be subscripted: history[-2].close")
        if place is None or place != int(place) or not -500 <= place <= -1:
            raise self._fail(node, "history takes -1 (this bar) to -500, e.g. history[-2].close")
        return -int(place) - 1

    def _bar_field(self, node: ast.AST, word: str, back: int) -> Term:
        back += self._shift
        if word == "atr":
            return self._study(node, StudySpec("lag", ATR, back) if back else ATR)
        if word not in names.FIELD_HELP:
            raise self._unknown(node, word, [*names.FIELD_HELP, "atr"])
        certain = word not in ("volume", "oi")
        if not certain:
            self._scope.uses.add(word)
        if back > 1:
            return self._study(node, StudySpec("lag", word, back))
        return self._input(node, names.bar_template(word, "bp"[back]), certain=certain)

    def _confirm_field(self, node: ast.AST, word: str) -> Term:
        table = self._confirm_table(node)
        if word == "atr":
            return self._input(node, f"k.values[{table.slot(ATR)}]")
        if word not in names.FIELD_HELP:
            raise self._unknown(node, word, [*names.FIELD_HELP, "atr"])
        return self._input(node, names.bar_template(word, "k.bar"))

    def _confirm_table(self, node: ast.AST) -> StudyTable:
        if self._scope.confirm is None:
            raise self._fail(node, "this strategy has no confirm_timeframe")
        if self._shift:
            raise self._fail(node, "crosses_above and crosses_below look at the strategy's own time frame only")
        self._scope.uses.add("confirm")
        return self._scope.confirm

    def _variable(self, node: ast.AST, root: str, word: str) -> Term:
        if word not in self._scope.variables:
            near = difflib.get_close_matches(word, self._scope.variables, 1)
            hint = f"; did you mean '{near[0]}'?" if near else "; a phase must capture it first"
            raise self._fail(node, f"nothing captured '{word}' before this{hint}")
        if root == "var":
            self._warn(f"older spelling; write vars.{word}")
        variable = self._scope.variables[word]
        return self._input(node, f"v[{variable.place}]", variable.kind)

    def _table(self, node: ast.AST, root: str, word: str) -> Term:
        if word not in names.ATTRIBUTES[root]:
            raise self._unknown(node, word, list(names.ATTRIBUTES[root]))
        if root == "screener":
            return self._study(node, self._shifted(StudySpec(word, "volume" if word == "rvol" else "close")))
        if self._shift:
            raise self._fail(node, f"{root}.{word} has no past; crosses_above and crosses_below need prices or studies")
        if root == "regime" and word != "name":
            self._scope.uses |= {"chain", "regime", "tp_mult" if word == "tp" else word}
            return self._input(node, f"r.{'tp_mult' if word == 'tp' else word}", certain=True)
        self._scope.uses.add("structure" if root == "structure" else "chain")
        text = {"structure": "m", "regime": "c"}.get(root, "c") + "." + ("regime" if root == "regime" else word)
        kind = {"smart_trend": TEXT, "regime": TEXT, "name": TEXT, "cpr_virgin": TRUTH}.get(word, NUMBER)
        return self._input(node, text, kind)

    def _shifted(self, spec: StudySpec) -> StudySpec:
        return StudySpec("lag", spec, self._shift) if self._shift else spec

    def _study(self, node: ast.AST, spec: StudySpec, *, confirm: bool = False) -> Term:
        """Give the slot of a study (already shifted)."""
        scope = self._scope
        table = self._confirm_table(node) if confirm else scope.studies
        try:
            slot = table.slot(spec)
        except ValueError as error:
            raise self._fail(node, str(error)) from None
        if spec.uses_volume:
            scope.uses.add("volume")
        if not confirm:
            scope.warmup = max(scope.warmup, spec.warmup)
        return self._input(node, f"k.values[{slot}]" if confirm else f"s[{slot}]")
