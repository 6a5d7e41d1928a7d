"""Killed at any delivery and started again: phases, indicators, levels, chain and what is signalled are the same.

The cast that thinks on the simulated stage. A life is cut off in the middle of its queue; of it only that remains which
the record keeper had been handed. The next life plays the stored day up to then, and goes on.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from e2e_helpers import NSE_DAY, ROOT, ist, simulated
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from test_determinism import FEW, SIM_DAY

from sos_actors import assembly
from sos_actors.actors.feed import FeedActor
from sos_actors.config import Config
from sos_actors.market.calendar import INDIA
from sos_actors.messages import (
    AccountMarked,
    Advance,
    ChainSnapshot,
    HistoryPlayed,
    MarketStructure,
    MinuteClosed,
    Refused,
    Signal,
    Stage,
    StateChanged,
    Studies,
    TradePlan,
    encode,
)
from sos_actors.playbook.loader import load_playbook
from sos_actors.playbook.standing import Standing
from sos_actors.runtime import Actor, Session, SimRuntime, handles
from sos_actors.runtime.clock import NEVER
from sos_actors.sources.source import HistorySource

SYMBOL = "NIFTY"
#: Signals of one side within ten minutes are one: at minute grain the house's half minute would never show.
CONFIG = msgspec.structs.replace(
    Config(),
    debounce=msgspec.structs.replace(Config().debounce, seconds=(600.0, 600.0)),
    sizing=msgspec.structs.replace(Config().sizing, fixed_quantity=75),
)


class Killed(BaseException):
    """kill -9: nothing is handled, nothing is cleaned up."""


class Mortal(deque):
    """A queue that ends with its process after so many deliveries."""

    left = NEVER

    def popleft(self):
        self.left -= 1
        if self.left < 0:
            raise Killed
        return super().popleft()


class Witness(Actor):
    """Keeps what a record keeper would, what was signalled, and after each minute what everybody holds."""

    def __init__(self, life: Life) -> None:
        super().__init__()
        self.life = life
        for kind in (StateChanged, MinuteClosed, TradePlan, Refused):
            self.subscribe(kind)
        for kind in (Signal, MarketStructure, ChainSnapshot):
            self.subscribe(kind, SYMBOL)
        for seconds in life.timeframes:
            self.subscribe(Studies, f"{SYMBOL}/{seconds}")

    @handles(StateChanged)
    def on_state(self, message: StateChanged) -> None:
        self.life.kept[message.part] = message.state

    @handles(Signal, TradePlan, Refused)
    def on_decision(self, message: Any) -> None:
        self.life.decisions.append((message.ts, message.strategy, repr(message)))

    @handles(Studies, MarketStructure, ChainSnapshot)
    def on_values(self, message: Any) -> None:
        self.life.said.append((message.ts, encode(message)))

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        self.clock.schedule(message.ts, Stage.TIMER, self, Advance(message.ts, Stage.TIMER))

    @handles(Advance)
    def on_settled(self, message: Advance) -> None:
        machines = {path: self.runtime.actor(path)._machine for path in self.runtime if path.startswith("strategy/")}
        # Bars a pattern was declined on are counted by each process for itself.
        computed = {
            path: repr((m._at, m._waited, m._values, m.explain()["waiting_for"])) for path, m in machines.items()
        }
        done = {path: machine.standing() for path, machine in machines.items()}
        self.life.states[message.ts] = (computed, done)


@dataclass
class Life:
    """One process: from its start to its end, or its death after `deliveries`."""

    history: HistorySource
    day: dt.date
    kept: dict[str, bytes] = field(default_factory=dict)
    decisions: list[tuple[int, str, str]] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)
    states: dict[int, tuple[dict[str, str], dict[str, Standing]]] = field(default_factory=dict)
    died: int = 0
    delivered: int = 0

    def __post_init__(self) -> None:
        self.playbook = load_playbook([ROOT / "strategies"]).select(FEW)
        self.timeframes = sorted(self.playbook.studies)

    def live(self, since: int, deliveries: int = NEVER) -> Life:
        """Play what ended by `since`, act on what comes later, end with the day or after so many deliveries."""
        runtime = SimRuntime(strict=True)
        queue = runtime._queue
        queue.items = Mortal()
        queue.put = queue.items.append
        runtime._cast["clock"].actor.dispatcher.put = queue.put
        history = self.history
        cast = assembly.Cast(
            config=CONFIG, playbook=self.playbook, underlyings=[assembly.Underlying(SYMBOL, chain=True)], charges=None,
            previous_day=history.day_stats, load_day=lambda day: [history.load_day(SYMBOL, day)], trade_from=NEVER,
        )  # fmt: skip
        runtime.spawn(FeedActor, "feed", cast.load_day)
        assembly.spawn_thinking(runtime, cast)
        assembly.spawn_selectors(runtime, cast, assembly.lots_by_rule())
        runtime.spawn(Witness, "witness", self)
        for path in runtime:
            actor = runtime.actor(path)
            if HistoryPlayed in actor.ports:
                told = HistoryPlayed(since, self.kept.get(path, b""))
                runtime.clock.schedule(since, Stage.DAY_END, actor, told)
        runtime.clock.follow(
            Session(day, span.open_ns, ist(day, "12:00"))
            for day in (INDIA.previous_trading_day("NSE", self.day), self.day)
            for span in INDIA.sessions("NSE", day)[:1]
            if history.load_day(SYMBOL, day) is not None
        )
        runtime.publish(AccountMarked(since, 10**10, 10**10, 0))
        queue.items.left = deliveries
        try:
            runtime.run()
        except Killed:
            self.died = runtime.clock.now
        self.delivered = deliveries - queue.items.left
        assert not len(runtime.dead_letters)
        return self


@functools.lru_cache
def unhurt(history: HistorySource, day: dt.date) -> Life:
    """Give the life of a process that nobody killed."""
    return Life(history, day).live(ist(day, "09:14"))


@functools.lru_cache
def simulation() -> HistorySource:
    """Give the simulated market."""
    return simulated()


def check(history: HistorySource, day: dt.date, fraction: float) -> None:
    """Kill a life after a fraction of its deliveries, start another, and compare with one that was not killed."""
    whole = unhurt(history, day)
    start = ist(day, "09:14")
    first = Life(history, day).live(start, int(fraction * whole.delivered))
    cut = max(first.died, start)  # who dies before is not live on another day
    again = Life(history, day, kept=first.kept).live(cut)
    assert [row for row in again.said if row[0] > cut] == [row for row in whole.said if row[0] > cut]
    lost = _lost(first, whole, cut)
    for ts in [ts for ts in whole.states if ts > cut]:
        (computed, done), (expected, expected_done) = again.states[ts], whole.states[ts]
        assert computed == expected
        assert {path: one for path, one in done.items() if path.rpartition("/")[2] not in lost} == {
            path: one for path, one in expected_done.items() if path.rpartition("/")[2] not in lost
        }
    # Nothing twice, nothing of the past; of the instant of death perhaps not all.
    assert first.decisions == whole.decisions[: len(first.decisions)]
    assert all(ts == cut for ts, *_ in _between(whole.decisions[len(first.decisions) :], 0, cut))
    assert all(ts > cut for ts, *_ in again.decisions)
    later = _between(whole.decisions, cut + 1, NEVER)
    assert [row for row in again.decisions if row[1] not in lost] == [row for row in later if row[1] not in lost]


def _between(decisions: list[tuple[int, str, str]], first: int, last: int) -> list[tuple[int, str, str]]:
    return [row for row in decisions if first <= row[0] <= last]


def _lost(first: Life, whole: Life, cut: int) -> set[str]:
    """Give the strategies that came to something in the instant of death, too late to be kept, and so to be sent."""
    lost = set()
    _, done = whole.states.get(cut, ({}, {}))
    for path, one in done.items():
        kept = msgspec.msgpack.decode(first.kept[path], type=Standing) if path in first.kept else Standing()
        if one.last_setup == cut != kept.last_setup:
            lost.add(path.rpartition("/")[2])
    assert not [row for row in first.decisions if row[0] == cut and "Signal(" in row[2] and row[1] in lost]
    return lost


@example(0.5)
@example(0.7487753167879259)
@example(0.999)
@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.floats(0.45, 1.0, exclude_max=True))
def test_killed_at_any_delivery_of_the_day(fraction):
    check(simulation(), SIM_DAY, fraction)


@pytest.mark.real_data
@pytest.mark.parametrize("fraction", [0.3, 0.8])
def test_killed_on_a_real_day(real, fraction):
    check(real, NSE_DAY, fraction)


def test_the_day_that_is_cut_has_everything_to_lose():
    whole = unhurt(simulation(), SIM_DAY)
    signals = [row for row in whole.decisions if row[2].startswith("Signal(")]
    assert len(signals) >= 10
    assert any("DEBOUNCE" in text for *_, text in whole.decisions), "debounce"
    assert any("TradePlan(" in text for *_, text in whole.decisions)
    assert len({repr(computed) for computed, _ in whole.states.values()}) > 100
