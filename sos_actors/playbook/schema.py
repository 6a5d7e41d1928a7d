"""What a strategy file may hold: JSON to frozen structs, with warnings for keys nobody knows.

Expressions stay text here; `compiler` reads them. A key that is absent is None where the global configuration has the
house rule (break-even, time stop, square-off).
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from sos_actors.decoding import converted
from sos_actors.market.clocktime import clock_seconds
from sos_actors.messages import Regime
from sos_actors.playbook.errors import StrategyError

_TIMEFRAMES = {"1m": 60, "2m": 120, "3m": 180, "5m": 300, "10m": 600, "15m": 900, "30m": 1800, "1h": 3600}


class RegimeRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy does in one regime."""

    allow_entry: bool = True
    """False: a finished pattern gives no signal."""
    quantity_mod: float = 1.0
    """Factor on the size."""
    tp_mult: float = 1.0
    """Factor on the distance from entry to target."""
    buffer_atr: float = 0.0
    """The stop is moved away from the entry by this many ATR(14)."""


class PhaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a pattern."""

    id: str
    conditions: list[str] | str | None = None
    """Expressions that must all be true on one bar; none: the phase passes on the next bar."""
    capture: dict[str, str | float] | None = None
    """Name: expression, kept under `vars.name` when the phase passes; later ones may use earlier ones."""
    timeout: int | None = None
    """Bars the phase may fail before the pattern starts over; 0 or none: for ever."""


class ExecutionFile(msgspec.Struct, frozen=True, kw_only=True):
    """What to trade once the pattern is complete."""

    side: str = ""
    """BUY or LONG, SELL or SHORT; a stance gives its own."""
    entry: str | float | None = None
    """Price of the underlying at which the trade is reckoned; default `close`."""
    sl: str | float | None = None
    """Stop, a price of the underlying."""
    tp: str | float | None = None
    """Target, a price of the underlying; none: the trade ends by the other exits."""
    option_selection: str = "ATM"
    """What is bought: see `selection`."""


class ExitsFile(msgspec.Struct, frozen=True, kw_only=True):
    """How a trade of this strategy ends apart from stop and target; None: as configured for the house."""

    break_even_at: float | None = None
    """Fraction of the way to the target at which the stop moves to the entry; 0: never."""
    trailing: float | None = None
    """Distance of a trailing stop as a fraction of the first risk (entry to stop); 0: none."""
    time_stop: float | None = None
    """Minutes after which the trade is closed; 0: never."""
    square_off: str | None = None
    """Time of day (IST) 'HH:MM' at which it is closed, or 'off' to carry it over night."""


class StrategyFile(msgspec.Struct, frozen=True, kw_only=True):
    """One strategy as written. It has either `phases` or a `stance`."""

    pattern_id: str
    description: str = ""
    regime_config: dict[str, RegimeRule] = {}
    """What to do in each regime; a regime not listed follows its nearest listed neighbour. Empty: any regime."""
    phases: list[PhaseFile] = []
    stance: str = ""
    """Expression for the position wanted: 1 long, -1 short, 0 none."""
    execution: ExecutionFile = ExecutionFile()
    timeframe: str = "1m"
    """The bars the strategy reads."""
    confirm_timeframe: str = ""
    """Longer bars read as `confirm.*`; empty: none."""
    symbols: list[str] = []
    """Underlyings it runs on; empty: all."""
    time_windows: list[tuple[str, str]] = []
    """Times of day (IST) ['HH:MM', 'HH:MM'] whose bars may give an entry, the end excluded; empty: always."""
    cooldown: float = 0.0
    """Minutes after a signal in which no other is given."""
    max_trades_per_day: int = 0
    """Signals a day on each underlying; 0: any number."""
    exits: ExitsFile = ExitsFile()
    weight: float = 1.0
    """Factor on the size in every regime, beside the regime's `quantity_mod`; 0.001 to 10."""


def parse_strategy(raw: bytes | str, file: str) -> tuple[StrategyFile, list[str]]:
    """Read one strategy file, give it with warnings about unknown keys; raises StrategyError."""
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise StrategyError(f"not valid JSON: {error}", file) from None
    if not isinstance(data, dict):
        raise StrategyError("a strategy is a JSON object { ... }", file)
    if data.get("legs"):  # a strategy written for several contracts must not quietly trade one
        problem = "positions of several legs are not traded; name one contract in option_selection"
        raise StrategyError(problem, file, "legs")
    try:
        strategy = converted(data, StrategyFile)
    except msgspec.ValidationError as error:
        raise StrategyError(_plain(str(error)), file) from None
    warnings = list(_unknown_keys(data, StrategyFile, ""))
    _check(strategy, file)
    _check_conditions(data, file)
    return strategy, warnings


def seconds_of(timeframe: str) -> int:
    """Length of a time frame such as '5m' in seconds; raises StrategyError for an unknown one."""
    if timeframe not in _TIMEFRAMES:
        raise StrategyError(f"unknown time frame '{timeframe}'; expected one of {', '.join(_TIMEFRAMES)}")
    return _TIMEFRAMES[timeframe]


def minutes_of(text: str) -> int:
    """'HH:MM' as minutes since midnight; raises StrategyError."""
    try:
        return clock_seconds(f"{text}:00") // 60
    except ValueError:
        raise StrategyError(f"'{text}' is no time of day; write 'HH:MM', e.g. '09:20'") from None


def _check(strategy: StrategyFile, file: str) -> None:
    """Whatever needs no expression: ranges, times, and that there is something to do."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", strategy.pattern_id):
        raise StrategyError("expected 1 to 64 letters, digits, '_', '-' or '.'", file, "pattern_id")
    if bool(strategy.phases) == bool(strategy.stance):
        raise StrategyError("a strategy has either phases or a stance", file)
    if strategy.phases and strategy.execution.sl is None:
        raise StrategyError("a strategy with phases needs a stop", file, "execution.sl")
    _check_ranges(strategy, file)
    _check_exits(strategy.exits, file)
    try:
        seconds = seconds_of(strategy.timeframe)
        if strategy.confirm_timeframe and seconds_of(strategy.confirm_timeframe) <= seconds:
            raise StrategyError("confirm_timeframe must be longer than timeframe", place="confirm_timeframe")
        for begin, end in strategy.time_windows:
            if minutes_of(begin) >= minutes_of(end):
                raise StrategyError(f"the window {begin} to {end} is empty", place="time_windows")
    except StrategyError as error:
        raise StrategyError(error.problem, file, error.place) from None


def _check_ranges(strategy: StrategyFile, file: str) -> None:
    for name, rule in strategy.regime_config.items():
        if not (0 <= rule.quantity_mod <= 10 and 0 < rule.tp_mult <= 20 and 0 <= rule.buffer_atr <= 20):
            problem = "expected quantity_mod 0 to 10, tp_mult above 0 to 20, buffer_atr 0 to 20"
            raise StrategyError(problem, file, f"regime_config.{name}")
    if len(strategy.phases) > 20 or any(len(phase.capture or ()) > 30 for phase in strategy.phases):
        raise StrategyError("at most 20 phases of 30 captures each", file, "phases")
    if any(phase.timeout is not None and not 0 <= phase.timeout <= 10_000 for phase in strategy.phases):
        raise StrategyError("a timeout is 0 to 10000 bars", file, "phases")
    limits = {"cooldown": (0, 1440), "max_trades_per_day": (0, 1000), "weight": (0.001, 10)}
    for name, (least, most) in limits.items():
        if not least <= getattr(strategy, name) <= most:
            raise StrategyError(f"expected {least} to {most}", file, name)


def _check_conditions(data: dict[str, Any], file: str) -> None:
    """Raise for a phase whose conditions stand under a misspelt key: without any it would pass on every bar."""
    for phase in data.get("phases", ()):
        near = difflib.get_close_matches(
            "conditions", [key for key in phase if key not in PhaseFile.__struct_fields__], 1
        )
        if near and "conditions" not in phase:
            raise StrategyError(f"unknown key '{near[0]}'; write 'conditions'", file, f"phase {phase['id']}")


def _check_exits(exits: ExitsFile, file: str) -> None:
    limits = {"break_even_at": 1.0, "trailing": 10.0, "time_stop": 1440.0}
    for name, limit in limits.items():
        value = getattr(exits, name)
        if value is not None and not 0 <= value <= limit:
            raise StrategyError(f"expected 0 to {limit:g}", file, f"exits.{name}")
    if exits.square_off is not None and exits.square_off != "off":
        try:
            minutes_of(exits.square_off)
        except StrategyError as error:
            raise StrategyError(f"{error.problem}, or 'off'", file, "exits.square_off") from None


def _unknown_keys(data: Any, kind: type[msgspec.Struct], place: str) -> list[str]:
    """Warnings for keys no struct has; a file may carry keys of other programs, so they are no errors."""
    found = []
    names = kind.__struct_fields__
    for key, value in data.items():
        where = f"{place}.{key}" if place else key
        if key not in names:
            near = difflib.get_close_matches(key, names, 1)
            found.append(f"unknown key '{where}' is ignored" + (f"; did you mean '{near[0]}'?" if near else ""))
        elif key == "phases":
            for at, phase in enumerate(value):
                found += _unknown_keys(phase, PhaseFile, f"phases[{at}]")
        elif key in ("execution", "exits"):
            found += _unknown_keys(value, ExecutionFile if key == "execution" else ExitsFile, where)
        elif key == "regime_config":
            for regime, rule in value.items():
                if regime not in Regime.__members__:
                    found.append(f"unknown regime '{regime}' is ignored; regimes are {', '.join(Regime)}")
                found += _unknown_keys(rule, RegimeRule, f"{where}.{regime}")
    return found


def _plain(error: str) -> str:
    """Take the path notation out of the decoder's message."""
    return re.sub(r" - at `\$\.?(.*?)`", r" at \1", error).replace(" at ``", "")
