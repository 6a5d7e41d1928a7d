"""What bench/tick_to_order.py measures from outside the runtime: ticks counted, moments noted."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sos_actors.messages import ChainSnapshot, MinuteClosed, Tick
from sos_actors.runtime import Actor, handles
from sos_actors.runtime.group import Group
from sos_actors.upstox.decode import FeedDecoder
from sos_actors.upstox.market_feed import UpstoxMarketFeed


@dataclass
class Timing:
    """Moments, all monotonic ns. Each field is written by one thread."""

    #: Instrument -> when the frame that held the tick beyond its level was handed to the decoder.
    hit: dict[str, int] = field(default_factory=dict)
    #: From there to the request of that exit, ns, in the order in which they came.
    exits: list[int] = field(default_factory=list)


class Counts:
    """Ticks by where they were put, counted in whatever thread puts them."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._all: list[Counter[Any]] = []

    def mine(self) -> Counter[Any]:
        """Give the counter of this thread."""
        counter = getattr(self._here, "counter", None)
        if counter is None:
            counter = self._here.counter = Counter()
            self._all.append(counter)
        return counter

    def total(self) -> Counter[Any]:
        """Give all of them together."""
        return sum(self._all, Counter())


@contextlib.contextmanager
def watched(counts: Counts, timing: Timing, levels: dict[str, float], published: Counts) -> Iterator[None]:
    """Count every tick put into a mailbox, and time those that reach a level, from the frame's bytes on."""
    put_tick, decode, start = Group.put_tick, FeedDecoder.decode, UpstoxMarketFeed.start
    here = threading.local()

    def counted(self: Group, item: Any) -> None:
        counts.mine()[item[0]] += 1
        put_tick(self, item)

    def timed(self: FeedDecoder, data: Any) -> None:
        here.began = time.monotonic_ns()
        decode(self, data)

    def started(self: UpstoxMarketFeed, on_tick: Callable[[Tick], None], on_change: Any) -> None:
        def seen(tick: Tick) -> None:
            published.mine()[tick.instrument] += 1
            level = levels.get(tick.instrument)
            if level is not None and tick.price >= level:
                timing.hit[tick.instrument] = here.began
            on_tick(tick)

        start(self, seen, on_change)

    Group.put_tick, FeedDecoder.decode, UpstoxMarketFeed.start = counted, timed, started  # type: ignore[method-assign]
    try:
        yield
    finally:
        Group.put_tick, FeedDecoder.decode, UpstoxMarketFeed.start = put_tick, decode, start  # type: ignore[method-assign]


class MinuteWatchActor(Actor):
    """Notes when a minute's end and what the chains say of it are heard, monotonic ns."""

    def __init__(self, underlyings: Iterable[str]) -> None:
        super().__init__()
        self.closed: dict[int, int] = {}
        self.late: dict[str, dict[int, int]] = {name: {} for name in underlyings}
        self.subscribe(MinuteClosed)
        for name in self.late:
            self.subscribe(ChainSnapshot, name)

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        """Note a minute's end."""
        self.closed[message.ts] = time.monotonic_ns()

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        """Note how long after its minute's end a snapshot is here; a stale one is none."""
        if "stale" not in message.missing:
            self.late[message.underlying][message.ts] = time.monotonic_ns() - self.closed[message.ts]
