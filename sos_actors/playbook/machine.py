"""One strategy on one underlying: bar by bar from its phases, or its stance, to a setup.

Phases: when all conditions of the current phase are true on a bar, what it captures is captured and the next
phase is tested from the next bar on: one phase a bar. Else the bar counts against the phase's timeout, and when that is
reached the pattern starts over at the next bar. After the last phase the pattern is complete: a setup, if regime, time
window, cooldown, the day's count and the levels allow it, and the pattern starts over in any case.

Everything here depends on the bars and messages alone, never on a clock.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sos_actors.market.clocktime import MINUTE_NS, minute_of_day
from sos_actors.messages import (
    NAN,
    ChainSnapshot,
    Direction,
    MarketStructure,
    RefusalReason,
    Studies,
)
from sos_actors.playbook.compiler import CompiledStrategy, Phase
from sos_actors.playbook.outcomes import (
    NO_CHAIN,
    NO_STRUCTURE,
    NO_STUDIES,
    Declined,
    Leave,
    Outcome,
    Setup,
    level_fault,
)
from sos_actors.playbook.regimes import ANY
from sos_actors.playbook.standing import Standing

LONG, SHORT = Direction.LONG, Direction.SHORT


class StrategyMachine:
    """The progress of one strategy on one underlying."""

    __slots__ = (
        "_at",
        "_before",
        "_day",
        "_last",
        "_last_setup",
        "_passed",
        "_phases",
        "_refused",
        "_stance",
        "_today",
        "_values",
        "_waited",
        "declined",
        "held",
        "strategy",
        "underlying",
    )

    def __init__(self, strategy: CompiledStrategy, underlying: str) -> None:
        self.strategy = strategy
        self.underlying = underlying
        #: Bars on which each reason kept a complete pattern, or a stance, from becoming a setup.
        self.declined: dict[RefusalReason, int] = {}
        self._phases = strategy.phases
        self._stance = strategy.stance
        self._values: list[Any] = []
        self._last: tuple[Any, ...] = ()
        self._day: dt.date | None = None
        #: By phase: all that was known at the bar that passed it.
        self._passed: list[tuple[Any, ...]] = [()] * len(self._phases)
        self._today = 0
        self._last_setup = 0
        #: The stance taken: 1, -1, or 0 for none.
        self.held = 0
        self._refused = 0
        self._start_over()
        #: Everything as it was before the bar that last changed more than a wait: what is taken back is set to this.
        self._before = self._mark()

    def disown(self) -> None:
        """Nobody acts on the last outcome: it counts neither for the day nor for the cooldown, and no stance is held.

        The pattern has started over all the same, as after any outcome.
        """
        *_, self.held, self._refused, self._today, self._last_setup = self._before

    def standing(self) -> Standing:
        """Give what was done, for a restart: the rest follows from the bars."""
        return Standing(
            day=self._day, today=self._today, last_setup=self._last_setup, held=self.held, refused=self._refused
        )

    def take_up(self, standing: Standing) -> None:
        """Go on from what was done before a restart, in a machine that has been given the bars since.

        What was counted on another day, or was squared off with it, no longer stands.
        """
        self._last_setup = standing.last_setup
        same = standing.day == self._day
        self._today = standing.today if same else 0
        self._refused = standing.refused if same else 0
        self.held = standing.held if same or self._outlives_the_day() else 0

    def rejoin(self, day: dt.date) -> None:
        """Go on after bars were missed and what was held was closed: no pattern is under way, no stance is held.

        What was done on this `day` still counts.
        """
        if day != self._day:
            self.new_day(day)
        self._start_over()
        self.held = self._refused = 0
        self._before = self._mark()

    def _outlives_the_day(self) -> bool:
        return self.strategy.definition.exits.square_off == "off"

    def new_day(self, day: dt.date) -> None:
        """Begin a trading day: patterns do not outlive the night, nor does a stance that is squared off."""
        self._day = day
        self._start_over()
        self._today = 0
        self._refused = 0
        if not self._outlives_the_day():
            self.held = 0

    def on_studies(
        self,
        studies: Studies,
        chain: ChainSnapshot = NO_CHAIN,
        structure: MarketStructure = NO_STRUCTURE,
        confirm: Studies = NO_STUDIES,
    ) -> Outcome | None:
        """Take one closed bar with all that is known at its end.

        `confirm` is the latest closed bar of the confirming time frame. What is missing is unknown: NaN, or '' for
        texts. Should an expression raise what no arithmetic does, everything is left as it was before the bar.
        """
        changing = False
        try:
            strategy, stance = self.strategy, self._stance
            values, bar, previous = studies.values, studies.bar, studies.previous
            rule = strategy.rules[chain.regime] if strategy.reads_regime else ANY
            minute = minute_of_day(bar.start) if strategy.reads_time else 0
            if stance is not None:
                # Written out rather than stance(*given): on most bars nothing follows, and this costs half of it.
                want = stance(values, bar, previous, self._values, chain, structure, rule, confirm, minute)
                if want is None or want == self.held or want != want:
                    return None
                self._last = values, bar, previous, self._values, chain, structure, rule, confirm, minute
                changing, self._before = True, self._mark()
                return self._take_stance(want)
            given = self._last = values, bar, previous, self._values, chain, structure, rule, confirm, minute
            phase = self._phases[self._at]
            if phase.test(*given):
                changing, self._before = True, self._mark()
                return self._go_on(phase, given)
        except ArithmeticError as error:  # overflow, which no sane expression meets: say so and start over
            self._before = self._mark()
            self._start_over()
            return self._decline(RefusalReason.BAD_LEVELS, f"arithmetic: {error}")
        except Exception:
            if changing:
                self._take_back()
            raise
        if phase.timeout:
            self._wait(phase.timeout)
        return None

    def _wait(self, timeout: int) -> None:
        self._waited += 1
        if self._waited >= timeout:
            self._start_over()

    def _go_on(self, phase: Phase, given: tuple[Any, ...]) -> Outcome | None:
        """Go on to the next phase; after the last one say what comes of it."""
        for place, expression in phase.captures:
            self._values[place] = expression(*given)
        self._waited = 0
        self._passed[self._at] = given
        self._at += 1
        return None if self._at < len(self._phases) else self._complete()

    def _start_over(self) -> None:
        strategy = self.strategy
        self._at = 0
        self._waited = 0
        self._values = [NAN] * (len(strategy.names) + 4)

    def _mark(self) -> tuple[Any, ...]:
        return (
            self._at, self._waited, list(self._values), list(self._passed), self.held, self._refused, self._today,
            self._last_setup,
        )  # fmt: skip

    def _take_back(self) -> None:
        """Set everything to what it was before this bar."""
        at, waited, values, passed, held, refused, today, last_setup = self._before
        self._at, self._waited, self._values, self._passed = at, waited, values, passed
        self.held, self._refused, self._today, self._last_setup = held, refused, today, last_setup

    def _complete(self) -> Outcome:
        """After the last phase."""
        direction = self.strategy.direction
        assert direction is not None  # the compiler demands a side where there are phases
        outcome = self._refusal() or self._setup(direction, flip=False)
        self._start_over()
        return outcome

    def _take_stance(self, want: float) -> Outcome | None:
        """Turn to the stance wanted, which is not the position held; one refusal is told once."""
        if want == 0:
            held, self.held, self._refused = self.held, 0, 0
            return Leave("stance 0") if held else None
        side = 1 if want > 0 else -1
        entering = self._refusal() or self._setup(LONG if side > 0 else SHORT, flip=True)
        held, told = self.held, self._refused == side
        if isinstance(entering, Setup):
            self.held, self._refused = side, 0
            return entering
        self.held, self._refused = 0, side
        if held:
            return Leave(f"stance turned, no entry: {entering.reason.value}")
        return None if told else entering

    def _decline(self, reason: RefusalReason, detail: str) -> Declined:
        self.declined[reason] = self.declined.get(reason, 0) + 1
        return Declined(reason, detail)

    def _refusal(self) -> Declined | None:
        """Say why no entry may be made on this bar, whatever its levels; None when one may."""
        strategy, definition = self.strategy, self.strategy.definition
        bar, chain, minute = self._last[1], self._last[4], self._last[8]
        if not strategy.rules[chain.regime].allow_entry:
            return self._decline(RefusalReason.REGIME, f"no entry in regime {chain.regime.value}")
        if strategy.windows and not any(begin <= minute < end for begin, end in strategy.windows):
            return self._decline(RefusalReason.NOT_TRADING_HOURS, "outside the strategy's time windows")
        if definition.max_trades_per_day and self._today >= definition.max_trades_per_day:
            return self._decline(RefusalReason.STRATEGY_TRADES_PER_DAY, f"{self._today} signals today")
        if definition.cooldown and self._last_setup and bar.end - self._last_setup < definition.cooldown * MINUTE_NS:
            detail = f"less than {definition.cooldown:g} minutes since the last signal"
            return self._decline(RefusalReason.COOLDOWN, detail)
        return None

    def _setup(self, direction: Direction, *, flip: bool) -> Setup | Declined:
        """Compute the levels and check them."""
        strategy = self.strategy
        studies, bar, previous, values, chain, structure, _, confirm, minute = self._last
        rule = strategy.rules[chain.regime]
        for place, expression in strategy.levels:
            values[place] = expression(studies, bar, previous, values, chain, structure, rule, confirm, minute)
        at_entry, at_stop, at_target, _ = strategy.places
        sign = 1 if direction is LONG else -1
        entry = values[at_entry] if at_entry >= 0 else NAN
        stop = values[at_stop] if at_stop >= 0 else NAN
        target = values[at_target] if at_target >= 0 else NAN
        if at_target >= 0 and strategy.scale_target:
            target = entry + (target - entry) * rule.tp_mult
        if at_stop >= 0 and strategy.atr_slot >= 0 and rule.buffer_atr:
            stop -= sign * rule.buffer_atr * studies[strategy.atr_slot]
        fault = level_fault(sign, entry, stop if at_stop >= 0 else None, target if at_target >= 0 else None)
        if fault:
            return self._decline(RefusalReason.BAD_LEVELS, fault)
        self._today += 1
        self._last_setup = bar.end
        return Setup(
            direction,
            entry,
            stop,
            target,
            chain.regime,
            rule.quantity_mod * strategy.definition.weight,
            rule.tp_mult,
            strategy.selections[direction],
            flip,
            tuple(zip(strategy.names, values, strict=False)) if strategy.names else (),
        )

    def explain(self) -> dict[str, Any]:
        """Say where the strategy stands and what it waits for, after the last bar.

        `waiting_for` is the first condition of the current phase that was false on that bar, with the values it saw;
        `met` says that none was.
        """
        strategy = self.strategy
        told: dict[str, Any] = {
            "strategy": strategy.id,
            "underlying": self.underlying,
            "signals_today": self._today,
            "declined": {reason.value: count for reason, count in self.declined.items()},
        }
        if strategy.stance is not None:
            return told | {"stance": strategy.definition.stance, "held": self.held}
        phase = self._phases[self._at]
        told |= {
            "phase": phase.id,
            "phase_number": self._at + 1,
            "phases": len(self._phases),
            "bars_waited": self._waited,
            "timeout": phase.timeout,
            "captured": self._captured(),
            "waiting_for": None,
            "met": False,
        }
        given = (*self._last[:3], self._values, *self._last[4:])
        for condition in phase.conditions if self._last else ():
            if not _safely(condition.test, given):
                seen = {name: _safely(expression, given) for name, expression in condition.inputs}
                return told | {"waiting_for": {"condition": condition.source, "values": seen}}
        return told | {"met": bool(self._last)}

    def story(self) -> tuple[Any, ...]:
        """Say what the setup just made was made of, as SignalExplained tells it; to be asked before the next bar."""
        if self._stance is not None:
            condition = self.strategy.definition.stance, (("stance", _plain(_safely(self._stance, self._last))),)
            return (("STANCE", self._last[1].end, (condition,), ()),)
        names = self.strategy.names
        return tuple(
            (
                phase.id,
                given[1].end,
                tuple(
                    (one.source, tuple((name, _plain(_safely(read, given))) for name, read in one.inputs))
                    for one in phase.conditions
                ),
                tuple((names[place], _plain(given[3][place])) for place, _ in phase.captures),
            )
            for phase, given in zip(self._phases, self._passed, strict=True)
        )

    def _captured(self) -> dict[str, float | str]:
        """Give what the phases passed so far have captured."""
        places = {place for phase in self._phases[: self._at] for place, _ in phase.captures}
        return {name: self._values[place] for place, name in enumerate(self.strategy.names) if place in places}

    def state(self) -> dict[str, Any]:
        """Give all that a later bar depends on, for the machine that takes this one's place."""
        return {
            "phase": self._at,
            "waited": self._waited,
            "values": list(self._values),
            "passed": list(self._passed),
            "standing": self.standing(),
            "declined": dict(self.declined),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state()` gave for the same strategy."""
        self._at, self._waited = state["phase"], state["waited"]
        self._values = list(state["values"])
        self._passed = list(state["passed"])
        self._day = state["standing"].day
        self.take_up(state["standing"])
        self.declined = dict(state["declined"])


def _plain(value: Any) -> float | str | bool:
    """Give a value as a message may hold it."""
    return value if isinstance(value, (str, bool, float)) else NAN if value is None else float(value)


def _safely(expression: Any, given: tuple[Any, ...]) -> Any:
    try:
        return expression(*given)
    except ArithmeticError:
        return NAN
