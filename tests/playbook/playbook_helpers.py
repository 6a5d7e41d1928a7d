"""Bars, chains and runs for the playbook's tests."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import msgspec

from sos_actors.messages import NAN, Bar, ChainSnapshot, MarketStructure, Regime, Studies
from sos_actors.playbook import StrategyMachine, build_playbook
from sos_actors.playbook.outcomes import NO_CHAIN, NO_STRUCTURE, NO_STUDIES
from sos_actors.playbook.schema import parse_strategy
from sos_actors.quant.studies import StudyBook

ROOT = Path(__file__).parents[2]
MINUTE = 60_000_000_000
#: 09:15 IST on 5 January 2026.
OPEN = int(dt.datetime(2026, 1, 5, 3, 45, tzinfo=dt.UTC).timestamp()) * 1_000_000_000


def chain(
    smart_trend: str = "Neutral", regime: Regime = Regime.SIDEWAYS, pcr: float = 1.0, **more: float
) -> ChainSnapshot:
    return msgspec.structs.replace(NO_CHAIN, smart_trend=smart_trend, regime=regime, pcr=pcr, **more)


def bars(rows: list[tuple[float, ...]], start: int = OPEN) -> list[Bar]:
    """Rows of (open, high, low, close, volume) as one-minute bars."""
    made = []
    for at, (o, h, low, c, v) in enumerate(rows):
        begin = start + at * MINUTE
        made.append(Bar("NSE|INDEX|NIFTY", begin, begin + MINUTE, o, h, low, c, v))
    return made


def compiled(data: dict | None = None, **changes):
    """Compile one strategy given as a dict; a small valid one by default."""
    base = {
        "pattern_id": "test",
        "phases": [{"id": "ONE", "conditions": ["close > open"]}],
        "execution": {"side": "BUY", "entry": "close", "sl": "close - 10", "tp": "close + 20"},
    }
    definition, warnings = parse_strategy(json.dumps((data or base) | changes), "test.json")
    playbook = build_playbook([(definition, "test.json")])
    if playbook.errors:
        raise playbook.errors[0]
    return playbook, [*warnings, *playbook.warnings]


class Runner:
    """A machine fed bar by bar through a study book of its own."""

    def __init__(self, playbook, which: int = 0, day: bool = True) -> None:
        self.strategy = playbook.strategies[which]
        self.book = StudyBook(playbook.studies.get(self.strategy.timeframe, ()))
        self.machine = StrategyMachine(self.strategy, "NIFTY")
        self.previous: Bar | None = None
        self.book.new_day()

    def feed(
        self, bar: Bar, snapshot: ChainSnapshot | None = None, structure: MarketStructure | None = None, confirm=None
    ):
        values = self.book.update(bar)
        studies = Studies("NIFTY", self.strategy.timeframe, bar.end, bar, self.previous or bar, values)
        self.previous = bar
        return self.machine.on_studies(studies, snapshot or NO_CHAIN, structure or NO_STRUCTURE, confirm or NO_STUDIES)

    def run(self, some: list[Bar], snapshot=None, structure=None) -> list:
        """All outcomes that are not None, with the place of their bar."""
        told = [(at, self.feed(bar, snapshot, structure)) for at, bar in enumerate(some)]
        return [(at, one) for at, one in told if one is not None]


def evaluate(expression: str, some: list[Bar], snapshot=None, structure=None) -> float:
    """What an expression gives on the last bar: captured by a one-phase strategy."""
    playbook, _ = compiled(phases=[{"id": "ONE", "capture": {"x": expression}}])
    runner = Runner(playbook)
    told = runner.run(some, snapshot, structure)
    return dict(told[-1][1].captured)["x"] if told else NAN
