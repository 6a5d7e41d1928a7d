"""Ticks that become one: what is kept, what is refused, and that nothing is lost on the way."""

from __future__ import annotations

import math
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.messages import FeedStatus, Fill, MinuteClosed, Side, Tick
from sos_actors.runtime import Actor, LiveRuntime, RuntimeSettings, handles
from sos_actors.runtime.conflation import Heap, merged

MINUTE = 60_000_000_000
SECOND = 1_000_000_000


def tick(ts: int, price: float, day_volume: int = -1, instrument: str = "I", **more) -> Tick:
    return Tick(instrument, ts, ts + 5, price, day_volume=day_volume, **more)


def test_a_merged_tick_has_the_last_word_and_the_extremes_of_all():
    one = tick(10, 100.0, 5, oi=7.0, bid=99.0, ask=101.0)
    two = tick(11, 90.0, 6)
    three = tick(12, 95.0, 9, bid=94.0, ask=96.0)
    made = merged(merged(one, two), three)
    assert (made.price, made.day_volume, made.ts, made.ts_recv) == (95.0, 9, 12, 17)
    assert (made.high, made.low, made.merged) == (100.0, 90.0, 2)
    assert (made.bid, made.ask, made.oi) == (94.0, 96.0, 7.0)
    assert math.isnan(merged(one, two).bid)


def test_what_is_already_merged_counts_in_full():
    left, right = merged(tick(1, 5.0), tick(2, 9.0)), merged(tick(3, 1.0), tick(4, 6.0))
    made = merged(left, right)
    assert (made.high, made.low, made.merged) == (9.0, 1.0, 3)


def test_a_heap_takes_nothing_of_another_minute_and_nothing_that_was_overtaken():
    heap = Heap(tick(MINUTE + 5, 1.0, 10))
    assert heap.takes(tick(MINUTE + 5, 1.0, 10))
    assert not heap.takes(tick(2 * MINUTE, 1.0, 11))
    assert not heap.takes(tick(MINUTE + 4, 1.0, 11))
    assert not heap.takes(tick(MINUTE + 6, 1.0, 9))


class Hearer(Actor):
    """Writes down what comes; can be held up."""

    def __init__(self, instruments: tuple[str, ...], heard: list, gate: threading.Event) -> None:
        super().__init__()
        self.heard, self.gate = heard, gate
        for instrument in instruments:
            self.subscribe(Tick, instrument)
        self.subscribe(FeedStatus)
        self.subscribe(Fill)
        self.subscribe(MinuteClosed)

    @handles(Tick, Fill, MinuteClosed)
    def on_any(self, message: object) -> None:
        self.heard.append(message)

    @handles(FeedStatus)
    def on_status(self, message: FeedStatus) -> None:
        self.heard.append(message)
        if message.detail == "hold":
            self.gate.wait(30)


def fill(n: int) -> Fill:
    return Fill(f"f{n}", f"o{n}", n, "I", Side.BUY, 1, 1.0)


def reference(sent: list[Tick]) -> dict[str, list[Tick]]:
    by: dict[str, list[Tick]] = {}
    for one in sent:
        by.setdefault(one.instrument, []).append(one)
    return by


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.integers(0, 3 * 60),  # second of exchange time
        st.integers(90, 110),
        st.integers(-1, 50),
        st.sampled_from(["", "", "", "", "fill", "minute", "status"]),
    ),
    max_size=80,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, limit=st.integers(1, 10), measure=st.booleans())
def test_published_equals_handled_plus_merged_and_every_order_is_kept(steps, limit, measure):
    runtime = LiveRuntime(RuntimeSettings(conflate_above=limit, measure=measure), stop_timeout_s=5)
    heard: list = []
    gate = threading.Event()
    try:
        runtime.spawn(Hearer, "h", ("A", "B"), heard, gate)
        runtime.settle()
        runtime.publish(FeedStatus("u", 0, True, "hold"))
        sent: list = []
        for n, (name, second, price, volume, between) in enumerate(steps):
            one = tick(second * SECOND, float(price), volume, name)
            runtime.publish(one, name)
            sent.append(one)
            if between:
                other = {"fill": fill(n), "minute": MinuteClosed(n), "status": FeedStatus("u", n, True)}[between]
                runtime.publish(other)
                sent.append(other)
        gate.set()
        runtime.settle()
        counts = dict(runtime.groups()[0].merged)
    finally:
        gate.set()
        runtime.close()
    got = heard[1:]
    others = [m for m in sent if not isinstance(m, Tick)]
    assert [m for m in got if not isinstance(m, Tick)] == others
    for name, ticks in reference([m for m in sent if isinstance(m, Tick)]).items():
        mine = [m for m in got if isinstance(m, Tick) and m.instrument == name]
        assert len(ticks) == len(mine) + sum(m.merged for m in mine)
        assert sum(m.merged for m in mine) == counts.get(name, 0)
        rest = iter(ticks)
        for one in mine:  # each stands for the next `merged + 1` of those sent, in their order
            parts = [next(rest) for _ in range(one.merged + 1)]
            assert (one.ts, one.price, one.day_volume) == (parts[-1].ts, parts[-1].price, parts[-1].day_volume)
            if one.merged:
                assert (one.high, one.low) == (max(p.price for p in parts), min(p.price for p in parts))
                assert len({p.ts // MINUTE for p in parts}) == 1
    # No tick passes a message of the feed's or the clock's: each stands among the same ticks as when it was sent.
    for fence in (m for m in others if not isinstance(m, Fill)):
        assert ticks_before(got, fence) == ticks_before(sent, fence)


def ticks_before(messages: list, fence: object) -> int:
    place = next(n for n, m in enumerate(messages) if m is fence)
    return sum(1 + m.merged for m in messages[:place] if isinstance(m, Tick))


@pytest.mark.parametrize("measure", [True, False])
def test_a_flood_does_not_make_the_mailbox_longer_than_the_instruments_are_many(measure):
    runtime = LiveRuntime(RuntimeSettings(conflate_above=50, measure=measure), stop_timeout_s=5)
    gate, heard = threading.Event(), []
    names = tuple(f"I{n}" for n in range(20))
    try:
        runtime.spawn(Hearer, "h", names, heard, gate)
        runtime.settle()
        runtime.publish(FeedStatus("u", 0, True, "hold"))
        for n in range(10_000):
            runtime.publish(tick(n, float(n), n, names[n % 20]), names[n % 20])
        assert runtime.groups()[0].depth() <= 50 + 20
        gate.set()
        runtime.settle()
        ticks = [m for m in heard if isinstance(m, Tick)]
        assert len(ticks) + runtime.groups()[0].merged.total() == 10_000
        assert {m.instrument: m.price for m in ticks} == {f"I{n}": 9_980.0 + n for n in range(20)}
        shown = runtime.tree()["groups"][0]
        assert shown["merged"] == 10_000 - len(ticks)
        assert len(shown["merged_most"]) == 10
    finally:
        gate.set()
        runtime.close()


def test_nothing_is_merged_while_little_waits_or_when_it_is_switched_off():
    for setting in (RuntimeSettings(conflate_above=0), RuntimeSettings(conflate_above=1_000)):
        runtime = LiveRuntime(setting, stop_timeout_s=5)
        gate, heard = threading.Event(), []
        try:
            runtime.spawn(Hearer, "h", ("A",), heard, gate)
            runtime.publish(FeedStatus("u", 0, True, "hold"))
            for n in range(500):
                runtime.publish(tick(n, 1.0, n, "A"), "A")
            gate.set()
            runtime.settle()
            assert sum(isinstance(m, Tick) for m in heard) == 500
        finally:
            gate.set()
            runtime.close()


def test_no_tick_passes_a_fence_that_is_being_put():
    runtime = LiveRuntime(RuntimeSettings(conflate_above=1, measure=False, snapshot_s=0))
    gate, heard = threading.Event(), []
    try:
        runtime.spawn(Hearer, "bar/I", ("I",), heard, gate, group="bars")
        group = runtime.dispatcher_for("bars")
        runtime.publish(FeedStatus("u", 0, True, "hold"))
        ticks = [tick(n, 100.0 + n, n) for n in range(1, 6)]
        runtime.publish(ticks[0], "I")
        put = group.put

        def put_late(item):
            if type(item[1]) is MinuteClosed:  # ticks come on another thread just as the minute is ended
                feed = threading.Thread(target=lambda: [runtime.publish(one, "I") for one in ticks[1:4]])
                feed.start()
                feed.join(0.3)
            put(item)

        group.put = put_late
        runtime.publish(MinuteClosed(7))
        group.put = put
        time.sleep(0.1)
        runtime.publish(ticks[4], "I")  # after the minute's end
        gate.set()
        runtime.settle(10.0)
        kinds = [type(one).__name__ for one in heard]
        late = next(n for n, one in enumerate(heard) if type(one) is Tick and one.price == 105.0)
        assert late > kinds.index("MinuteClosed")
    finally:
        gate.set()
        runtime.close()
