"""Bars of ticks that a full mailbox made one are the bars of the single ticks."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from sos_actors.market.bars import BarBuilder, BarSettings
from sos_actors.messages import Bar, Tick
from sos_actors.runtime.conflation import Heap

MINUTE = 60_000_000_000
SECOND = 1_000_000_000
#: Far from midnight, on a whole minute.
BASE = 20_000 * 86_400 * SECOND + 36_000 * SECOND


def heaped(ticks: list[Tick], cuts: list[bool]) -> list[Tick]:
    """What a full mailbox makes of ticks; a cut is where it was emptied."""
    out: list[Tick] = []
    heap: Heap | None = None

    def flush() -> None:
        if heap is not None:
            out.append(heap.first)
            if heap.rest is not None:
                out.append(heap.rest)

    for tick, cut in zip(ticks, cuts, strict=True):
        if heap is not None and not cut and heap.takes(tick):
            heap.add(tick)
        else:
            flush()
            heap = Heap(tick)
    flush()
    return out


def bars_of(ticks: list[Tick]) -> list[Bar | None]:
    builder = BarBuilder("I", settings=BarSettings(hole_s=0))
    builder.start_day(BASE - MINUTE)
    for tick in ticks:
        builder.tick(tick)
    return [builder.close(BASE + n * MINUTE) for n in range(1, 5)]


@given(
    steps=st.lists(
        st.tuples(st.integers(-3, 15), st.integers(90, 110), st.integers(-2, 9), st.booleans(), st.booleans()),
        max_size=60,
    )
)
def test_bars_of_heaped_ticks_are_those_of_single_ticks(steps):
    second, volume, ticks = 0, 0, []
    for forward, price, traded, with_oi, _ in steps:
        second = min(max(second + forward, 0), 239)
        volume = max(volume + traded, 0)  # sometimes overtaken on its way
        ts = BASE + second * SECOND
        ticks.append(Tick("I", ts, ts, float(price), 1, volume, oi=float(price * 7) if with_oi else math.nan))
    made = heaped(ticks, [cut for *_, cut in steps])
    assert len(made) + sum(tick.merged for tick in made) == len(ticks)
    assert repr(bars_of(made)) == repr(bars_of(ticks))  # repr: NaN is not equal to itself


def test_the_extremes_of_a_merged_tick_are_in_its_bar():
    builder = BarBuilder("I", settings=BarSettings(hole_s=0))
    builder.start_day(BASE - MINUTE)
    builder.tick(Tick("I", BASE, BASE, 100.0))
    builder.tick(Tick("I", BASE + 1, BASE + 1, 101.0, high=120.0, low=80.0, merged=4))
    bar = builder.close(BASE + MINUTE)
    assert bar is not None
    assert (bar.open, bar.high, bar.low, bar.close) == (100.0, 120.0, 80.0, 101.0)
