"""Runtime speed: a pipeline of six actors and a flood of tells, ours against stock Pykka, in one run.

    python bench/runtime.py [--rounds 5] [--json F]

Every variant does the same work: N messages through six actors in a row, each handing on the message it got. Ours has
failure handling, counters and dead letters on. Rounds alternate between the variants; medians are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pykka

from sos_actors.messages import MinuteClosed
from sos_actors.runtime import Actor, LiveRuntime, SimRuntime, handles

STAGES = 6
MESSAGE = MinuteClosed(1)


class Relay(Actor):
    """Hands every message on."""

    def __init__(self, key: str, following: str) -> None:
        super().__init__()
        self.following = self.topic(MinuteClosed, following)
        self.subscribe(MinuteClosed, key)

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        self.following.publish(message)


class Counter(Actor):
    """Counts what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @handles(MinuteClosed)
    def on_minute(self, _message: MinuteClosed) -> None:
        self.count += 1


class StockRelay(pykka.ThreadingActor):
    """The same in stock Pykka: one thread an actor."""

    def __init__(self, following: pykka.ActorRef | None) -> None:
        super().__init__()
        self.following = following
        self.count = 0

    def on_receive(self, message: object) -> int | None:
        if message == "count?":
            return self.count
        self.count += 1
        if self.following is not None:
            self.following.tell(message)
        return None


def pipeline(runtime: SimRuntime | LiveRuntime) -> None:
    for n in range(STAGES):
        runtime.spawn(Relay, f"relay{n}", str(n), str(n + 1))


def sim_hops(n: int) -> float:
    """Messages go in one by one and are worked off at once; a hop is one delivery."""
    runtime = SimRuntime()
    pipeline(runtime)
    topic = runtime.topic(MinuteClosed, "0")
    runtime.drain()
    began = time.perf_counter()
    for _ in range(n):
        topic.publish(MESSAGE)
        runtime.drain()
    took = time.perf_counter() - began
    handled = sum(s.handled for s in runtime.stats() if s.path != "clock")
    runtime.close()
    assert handled == n * STAGES + STAGES, handled
    return n * STAGES / took


def live_hops(n: int) -> float:
    """The same pipeline on one thread of its own, fed by the main thread."""
    runtime = LiveRuntime()
    pipeline(runtime)
    topic = runtime.topic(MinuteClosed, "0")
    runtime.settle()
    began = time.perf_counter()
    for _ in range(n):
        topic.publish(MESSAGE)
    runtime.settle()
    took = time.perf_counter() - began
    runtime.close()
    return n * STAGES / took


def live_tell(n: int) -> float:
    runtime = LiveRuntime()
    ref = runtime.spawn(Counter, "counter")
    runtime.settle()
    began = time.perf_counter()
    for _ in range(n):
        ref.tell(MESSAGE)
    runtime.settle()
    took = time.perf_counter() - began
    counter = runtime.actor("counter")
    runtime.close()
    assert isinstance(counter, Counter)
    assert counter.count == n
    return n / took


def pykka_hops(n: int) -> float:
    refs: list[pykka.ActorRef] = []
    following = None
    for _ in range(STAGES):
        following = StockRelay.start(following)
        refs.append(following)
    began = time.perf_counter()
    for _ in range(n):
        following.tell(MESSAGE)
    while refs[0].ask("count?") < n:
        time.sleep(0.001)
    took = time.perf_counter() - began
    for ref in refs:
        ref.stop()
    return n * STAGES / took


def pykka_tell(n: int) -> float:
    ref = StockRelay.start(None)
    began = time.perf_counter()
    for _ in range(n):
        ref.tell(MESSAGE)
    ref.ask("count?")
    took = time.perf_counter() - began
    ref.stop()
    return n / took


VARIANTS = {
    "cooperative pipeline, hops/s": (sim_hops, 200_000),
    "threaded group pipeline, hops/s": (live_hops, 100_000),
    "stock Pykka pipeline, hops/s": (pykka_hops, 10_000),
    "threaded tell/s": (live_tell, 300_000),
    "stock Pykka tell/s": (pykka_tell, 50_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(args.rounds):
        for name, (run, n) in VARIANTS.items():
            rates[name].append(run(n))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        print(f"{name:34} {medians[name] / 1e6:7.3f} M  [{min(values) / 1e6:.3f}-{max(values) / 1e6:.3f}]")
    ratios = {
        "cooperative hops / stock Pykka's": medians["cooperative pipeline, hops/s"]
        / medians["stock Pykka pipeline, hops/s"],
        "threaded tell / stock Pykka's": medians["threaded tell/s"] / medians["stock Pykka tell/s"],
    }
    for name, ratio in ratios.items():
        print(f"{name:34} {ratio:7.1f} x")
    if args.json:
        args.json.write_text(json.dumps({"medians": medians, "ratios": ratios}, indent=2))


if __name__ == "__main__":
    main()
