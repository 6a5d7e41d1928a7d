"""The real cast in front of the order path: bars, chain, studies, strategies and selector, on the storm's ticks."""

from __future__ import annotations

import functools
import json

from sos_actors import assembly
from sos_actors.config import Config
from sos_actors.daemon.cast import lots_by_table
from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import SessionPhase
from sos_actors.playbook.loader import Playbook, build_playbook
from sos_actors.playbook.schema import parse_strategy
from sos_actors.runtime import Runtime

#: One that turns from side to side, and so flips; one that buys calls on strength, one that buys puts on weakness.
_STRATEGIES = (
    {
        "pattern_id": "turning",
        "stance": "1 if close > ema(history, 5, 'close') else -1",
        "execution": {
            "sl": "close - 25 if close > ema(history, 5, 'close') else close + 25",
            "tp": "close + 40 if close > ema(history, 5, 'close') else close - 40",
            "option_selection": "ATM",
        },
        "exits": {"trailing": 0, "break_even_at": 0, "time_stop": 15},
    },
    {
        "pattern_id": "strong",
        "phases": [{"id": "UP", "conditions": ["close > open", "candle.close > prev_candle.close"]}],
        "execution": {"side": "BUY", "sl": "close - 15", "tp": "close + 25", "option_selection": "OTM_CALL_1"},
    },
    {
        "pattern_id": "weak",
        "phases": [{"id": "DOWN", "conditions": ["close < open", "chain.pcr == chain.pcr or close > 0"]}],
        "execution": {"side": "SELL", "sl": "close + 15", "tp": "close - 25", "option_selection": "ATM_PUT"},
    },
)


@functools.cache
def playbook() -> Playbook:
    """Give the strategies of the storm, compiled."""
    found = build_playbook([(parse_strategy(json.dumps(one), "storm")[0], "storm") for one in _STRATEGIES])
    if found.errors:
        raise ValueError(f"the storm's own strategies: {found.errors[0]}")
    return found


def real_cast(listed: tuple[str, ...], config: Config) -> assembly.Cast:
    """Give what the cast is made of that thinks about what is listed."""
    return assembly.Cast(
        config=config, playbook=playbook(), charges=None, previous_day=lambda *_: None,
        underlyings=[assembly.Underlying("NIFTY", chain=True, tick_instruments=listed)],
    )  # fmt: skip


def spawn_thinkers(runtime: Runtime, cast: assembly.Cast, table: InstrumentTable) -> None:
    """Spawn what turns ticks into plans."""
    assembly.spawn_thinking(runtime, cast)
    assembly.spawn_selectors(runtime, cast, lots_by_table(lambda: table))


def tell_the_day(runtime: Runtime, phase: SessionPhase, besides: tuple[str, ...]) -> None:
    """Tell those who joined late what part of the day it is, but for the paths in `besides`. The clock knows."""
    for path in tuple(runtime):
        if path not in {"clock", *besides} and SessionPhase in runtime.actor(path).ports:
            runtime.tell(path, phase)
