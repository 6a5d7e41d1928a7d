"""From a strategy file to functions: every expression parsed, checked and compiled once.

All strategies of one playbook share a table of studies for each time frame, so that one study used by five of
them has one slot. Older spellings are understood and reported as warnings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sos_actors.errors import InputError
from sos_actors.market.option_choice import parse_selection
from sos_actors.messages import Direction, Regime, Right
from sos_actors.playbook.errors import StrategyError
from sos_actors.playbook.lowering import Lowered, lower
from sos_actors.playbook.names import NUMBER, RESERVED, TRUTH
from sos_actors.playbook.references import ATR, Scope, Variable
from sos_actors.playbook.regimes import rules_by_regime
from sos_actors.playbook.sandbox import cannot_fail, compile_text, reads
from sos_actors.playbook.schema import (
    ExecutionFile,
    PhaseFile,
    RegimeRule,
    StrategyFile,
    minutes_of,
    seconds_of,
)
from sos_actors.quant.studies import StudyTable

#: A compiled expression: (studies, bar, previous, captured, chain, structure, rule, confirm, minute) -> value.
Expression = Callable[..., Any]

_SIDES = {"BUY": Direction.LONG, "LONG": Direction.LONG, "SELL": Direction.SHORT, "SHORT": Direction.SHORT}
_ASSIGNMENT = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w{0,39}")
_LEVELS = ("entry", "sl", "tp")
MAX_CONDITIONS = 30


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: its text, its function, and the inputs to show when it is explained."""

    source: str
    test: Expression
    inputs: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """One step: `test` is all conditions in one function; `captures` are (place, expression), in order."""

    id: str
    test: Expression
    timeout: int
    conditions: tuple[Condition, ...]
    captures: tuple[tuple[int, Expression], ...]


@dataclass(frozen=True, slots=True)
class CompiledStrategy:
    """A strategy ready to run. `timeframe` and `confirm_timeframe` are seconds (0: no confirmation).

    `levels` are (place, expression) for entry, stop and target in the order they must be computed; they are kept
    behind the captured values, at `places` (of entry, sl, tp, risk; -1 where there is none). `required` holds what the
    strategy reads: 'chain', 'structure', 'confirm', 'volume', 'oi'. `warmup` is the number of bars after which all its
    studies are known. `glance` is the stance as a function of the studies' values alone, where it reads nothing
    else and cannot fail.
    """

    id: str
    file: str
    definition: StrategyFile
    timeframe: int
    confirm_timeframe: int
    direction: Direction | None
    phases: tuple[Phase, ...]
    stance: Expression | None
    glance: Expression | None
    names: tuple[str, ...]
    levels: tuple[tuple[int, Expression], ...]
    places: tuple[int, int, int, int]
    rules: Mapping[Regime, RegimeRule]
    selections: Mapping[Direction, str]
    windows: tuple[tuple[int, int], ...]
    scale_target: bool
    atr_slot: int
    reads_regime: bool
    reads_time: bool
    required: frozenset[str]
    warmup: int


def compile_strategy(
    definition: StrategyFile,
    file: str,
    tables: dict[int, StudyTable],
    warnings: list[str] | None = None,
) -> CompiledStrategy:
    """Compile one strategy; its studies get slots in `tables` (by seconds of time frame). Raises StrategyError."""
    try:
        return _Compiler(definition, file, tables, [] if warnings is None else warnings).strategy()
    except StrategyError as error:
        if error.file:
            raise
        raise StrategyError(error.problem, file, error.place, error.expression, error.column) from None


class _Compiler:
    """The compilation of one file."""

    def __init__(
        self,
        definition: StrategyFile,
        file: str,
        tables: dict[int, StudyTable],
        warnings: list[str],
    ) -> None:
        self._definition = definition
        self._file = file
        self._warnings = warnings
        self._timeframe = seconds_of(definition.timeframe)
        self._confirm = seconds_of(definition.confirm_timeframe) if definition.confirm_timeframe else 0
        self._scope = Scope(tables.setdefault(self._timeframe, StudyTable()))
        if self._confirm:
            self._scope.confirm = tables.setdefault(self._confirm, StudyTable())

    def strategy(self) -> CompiledStrategy:
        definition, scope = self._definition, self._scope
        phases = tuple(self._phase(phase) for phase in definition.phases)
        stance, glance = self._stance(definition.stance) if definition.stance else (None, None)
        captured = tuple(scope.variables)
        uses_before_levels = set(scope.uses)
        levels, places = self._levels(definition.execution, len(captured))
        rules = rules_by_regime(definition.regime_config)
        widens = "buffer_atr" not in scope.uses and any(rule.buffer_atr for rule in rules.values())
        windows = tuple((minutes_of(begin), minutes_of(end)) for begin, end in definition.time_windows)
        required = scope.uses & {"chain", "structure", "confirm", "volume", "oi"}
        if definition.regime_config:
            required |= {"chain"}
        self._warnings += dict.fromkeys(scope.warnings)
        return CompiledStrategy(
            id=definition.pattern_id,
            file=self._file,
            definition=definition,
            timeframe=self._timeframe,
            confirm_timeframe=self._confirm,
            direction=self._direction(),
            phases=phases,
            stance=stance,
            glance=glance,
            names=captured,
            levels=levels,
            places=places,
            rules=rules,
            selections=self._selections(),
            windows=windows,
            scale_target="tp_mult" not in scope.uses,
            atr_slot=scope.studies.slot(ATR) if widens else -1,
            reads_regime="regime" in uses_before_levels,
            reads_time=bool(windows) or "time" in scope.uses,
            required=frozenset(required),
            warmup=max(scope.warmup, ATR.warmup if widens else 1),
        )

    def _lower(self, place: str, source: str | float, kind: str) -> Lowered:
        """Lower one expression, adding to an error where it stands."""
        try:
            return lower(source if isinstance(source, str) else repr(source), self._scope, kind)
        except StrategyError as error:
            raise StrategyError(error.problem, self._file, place, error.expression, error.column) from None

    def _phase(self, phase: PhaseFile) -> Phase:
        written = [phase.conditions] if isinstance(phase.conditions, str) else list(phase.conditions or ())
        if len(written) > MAX_CONDITIONS:
            raise StrategyError(f"at most {MAX_CONDITIONS} conditions", self._file, f"phase {phase.id}")
        captures: dict[str, str | float] = {}
        conditions = []
        for number, source in enumerate(written, 1):
            assignment = _ASSIGNMENT.fullmatch(source)
            if assignment and assignment[1] not in RESERVED:
                captures[assignment[1]] = assignment[2]
                self._scope.warnings.append(f"phase {phase.id}: '{source}' is a capture; move it to \"capture\"")
                continue
            conditions.append(self._lower(f"phase {phase.id}, condition {number}", source, TRUTH))
        captures |= phase.capture or {}
        kept = tuple(self._capture(phase.id, name, source) for name, source in captures.items())
        together = " and ".join(one.text for one in conditions) or "True"
        return Phase(phase.id, compile_text(together), phase.timeout or 0, tuple(map(_condition, conditions)), kept)

    def _capture(self, phase: str, name: str, source: str | float) -> tuple[int, Expression]:
        place = f"phase {phase}, capture {name}"
        if not _NAME.fullmatch(name) or name == "screener":
            problem = "a captured name is 1 to 40 letters, digits and '_', and not 'screener'"
            raise StrategyError(problem, self._file, place)
        lowered = self._lower(place, source, "")
        known = self._scope.variables.get(name)
        if known and known.kind != lowered.kind:
            raise StrategyError(f"'{name}' was a {known.kind} before, and is a {lowered.kind} here", self._file, place)
        variable = self._scope.variables.setdefault(name, Variable(len(self._scope.variables), lowered.kind))
        return variable.place, compile_text(lowered.text)

    def _stance(self, source: str) -> tuple[Expression, Expression | None]:
        """None while anything it reads is unknown, else the number it gives; and the same of the studies alone."""
        lowered = self._lower("stance", source, NUMBER)
        unknown = " or ".join(f"{text} != {text}" for text in lowered.unknowable)
        text = f"None if {unknown} else {lowered.text}" if unknown else lowered.text
        alone = reads(text) <= {"s"} and cannot_fail(text)
        return compile_text(text), compile_text(text, ("s",)) if alone else None

    def _levels(
        self,
        execution: ExecutionFile,
        first: int,
    ) -> tuple[tuple[tuple[int, Expression], ...], tuple[int, int, int, int]]:
        """Entry, stop and target in an order in which each is computed before another refers to it."""
        written: dict[str, str] = {}
        for level in _LEVELS:
            source = "close" if level == "entry" and execution.entry is None else getattr(execution, level)
            if source is not None:
                written[level] = source if isinstance(source, str) else repr(source)
        scope, done = self._scope, []
        place = {name: first + at for at, name in enumerate((*_LEVELS, "risk"))}
        scope.levels["tp_mult"] = Variable(-1, NUMBER)
        while written:
            ready = [name for name, source in written.items() if not _mentions(source, written, name)]
            if not ready:
                raise StrategyError(f"{' and '.join(written)} refer to one another", self._file, "execution")
            lowered = self._lower(f"execution, {ready[0]}", written.pop(ready[0]), NUMBER)
            done.append((place[ready[0]], compile_text(lowered.text)))
            scope.levels[ready[0]] = Variable(place[ready[0]], NUMBER)
            if "risk" not in scope.levels and {"entry", "sl"} <= scope.levels.keys():
                done.append((place["risk"], compile_text(f"abs(v[{place['entry']}] - v[{place['sl']}])")))
                scope.levels["risk"] = Variable(place["risk"], NUMBER)
        entry, stop, target, risk = (place[name] if name in scope.levels else -1 for name in (*_LEVELS, "risk"))
        return tuple(done), (entry, stop, target, risk)

    def _direction(self) -> Direction | None:
        side = self._definition.execution.side.strip().upper()
        if not side and self._definition.stance:
            return None
        if side not in _SIDES:
            problem = f"unknown side '{side}'; expected BUY (LONG) or SELL (SHORT)"
            raise StrategyError(problem, self._file, "execution.side")
        if side in ("LONG", "SHORT"):
            self._warnings.append(f"side {side}: the modern spelling is {'BUY' if side == 'LONG' else 'SELL'}")
        return _SIDES[side]

    def _selections(self) -> dict[Direction, str]:
        """Say what either view buys: long premium, so a right written against the view is corrected, with a warning."""
        text = self._definition.execution.option_selection
        try:
            selection = parse_selection(text)
        except InputError as error:
            raise StrategyError(str(error), self._file, "execution.option_selection") from None
        direction = self._direction() if self._definition.execution.side else None
        buys = {Direction.LONG: Right.CE, Direction.SHORT: Right.PE}
        if direction and selection.right and selection.right is not buys[direction]:
            self._warnings.append(
                f"option_selection {text} is against a {direction} view; {selection.for_view(direction)} is bought"
            )
        return {view: selection.for_view(view) for view in Direction}


def _condition(lowered: Lowered) -> Condition:
    inputs = tuple((source, compile_text(text)) for source, text in lowered.inputs.items())
    return Condition(lowered.source, compile_text(lowered.text), inputs)


def _mentions(source: str, pending: Mapping[str, str], own: str) -> bool:
    """Whether a level refers to another that is not computed yet (or to itself)."""
    words = set(re.findall(r"(?<![\w.])[A-Za-z_]\w*", source))
    if "risk" in words and own != "risk":
        words |= {"entry", "sl"}
    return bool(words & set(pending))
