"""From a tick's bytes to the request of the order it caused, measured from outside, and every tick accounted for.

    python bench/tick_to_order.py [--seconds 60] [--ticks 5000] [--exits 10] [--speed 6] [--json F]

The live cast as the daemon has it: market feed on the SDK's socket, a bar actor for each of 486 options, indices,
futures and India VIX, chains, structure, studies, the whole playbook, selectors, limits, a durable desk, the gateway
with its record on disk (fdatasync before every request), the data keeper. Another process (bench/frame_server.py)
writes frames that were made beforehand to a loopback WebSocket; a broker in this process (bench/quick_broker.py) fills
after as long as a broker takes. Trades are held whose target is hit by a tick so many times a second: the desk, which
watches every tick, makes the resting stop an order that leaves, and the gateway sends that.

The clock runs faster than real time (`--speed`), so that several minutes close while it is measured: a minute's work
comes that many times as often as in the market. bench/live.py measures the daemon itself on the local exchange.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path[:0] = [str(ROOT), str(BENCH)]

import msgspec  # noqa: E402
from cast_stand import LEAD_S, QUIET_S, Stand, wait_for  # noqa: E402
from frame_server import Plan  # noqa: E402
from loguru import logger  # noqa: E402
from made_market import START, make_market  # noqa: E402
from outside import Counts, MinuteWatchActor, Timing, watched  # noqa: E402

from sos_actors.runtime import LiveRuntime  # noqa: E402
from sos_actors.runtime.tuning import tune_for_latency  # noqa: E402

KEYS_PER_FRAME = 10


def main() -> int:
    """Run it and print the table; 1 where a tick is not accounted for."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--ticks", type=float, default=5_000.0, help="ticks a second")
    options.add_argument("--exits", type=float, default=10.0, help="exits a second")
    options.add_argument("--speed", type=float, default=6.0, help="seconds of the clock in a real one")
    options.add_argument("--untuned", action="store_true", help="leave the interpreter's settings alone")
    options.add_argument("--switch-ms", type=float, help="switch interval of the interpreter in place of the daemon's")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    load = Load(given.seconds, given.ticks, given.exits, given.speed, not given.untuned, given.switch_ms)
    # Beside the code and not under /tmp, which may be memory: what is written here waits for a disk.
    with tempfile.TemporaryDirectory(prefix="sos-bench-", dir=ROOT) as folder:
        found = measure(Path(folder), load)
    print_table(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if found["unaccounted"] or found["dead_letters"] else 0


@dataclasses.dataclass(frozen=True)
class Load:
    """What is measured: for how many real seconds, at what rates, on what clock, with which interpreter settings."""

    seconds: float
    ticks_per_s: float
    exits_per_s: float
    speed: float
    tuned: bool = True
    switch_ms: float | None = None


def measure(folder: Path, load: Load) -> dict:
    """Start everything, measure, stop it."""
    market = make_market()
    plan = Plan(
        lines=market.lines, seconds=QUIET_S + load.seconds, ticks_per_s=load.ticks_per_s,
        keys_per_frame=KEYS_PER_FRAME, hits_per_s=load.exits_per_s, quiet_s=QUIET_S, shown=START, speed=load.speed,
    )  # fmt: skip
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    sender = subprocess.Popen(
        [sys.executable, str(BENCH / "frame_server.py"), str(folder / "plan.json")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert sender.stdout is not None
    try:
        port = json.loads(sender.stdout.readline())["port"]
        counts, published, timing = Counts(), Counts(), Timing()
        levels = {name: plan.target for name, plan in market.plans.items()}
        with watched(counts, timing, levels, published):
            stand = Stand(folder, market, port, load.speed, timing)
            if load.tuned:
                tune_for_latency()
            if load.switch_ms:
                sys.setswitchinterval(load.switch_ms / 1e3)
            try:
                return run(stand, sender, load.seconds, counts, published)
            finally:
                stand.close()
    finally:
        sender.kill()
        sender.wait(10)


def run(stand: Stand, sender: subprocess.Popen[str], seconds: float, counts: Counts, published: Counts) -> dict:
    """Let it run its course."""
    runtime = stand.runtime
    assert sender.stdout is not None
    assert sender.stdin is not None
    begin = stand.wall.instant_of(START)
    json.loads(sender.stdout.readline())
    if time.monotonic_ns() > begin:
        raise SystemExit(f"not everything was asked for within {LEAD_S:.0f} s: this machine is too busy to measure on")
    sender.stdin.write(f"{begin}\n")
    sender.stdin.flush()
    stand.enter()
    wait_for(lambda: time.monotonic_ns() > begin + QUIET_S * 1e9, "the beginning", QUIET_S + LEAD_S + 5)
    cpu, busy, since = time.process_time(), machine_busy_s(), time.monotonic()
    looks = Looks(runtime)
    while time.monotonic() < since + seconds:
        looks.look()
    cpu, busy, took = time.process_time() - cpu, machine_busy_s() - busy, time.monotonic() - since
    sent = json.loads(sender.stdout.readline())
    wait_for(lambda: published.total().total() >= sent["ticks"], "the last tick", 30, strict=False)
    runtime.settle(30)
    tree = runtime.tree()
    return {
        "seconds": took,
        "speed": stand.speed,
        "options": sum("|OPT|" in a["path"] for a in tree["actors"] if a["kind"] == "BarActor"),
        "sender": sent,
        "ticks_per_s": (sent["ticks"]) / (took + QUIET_S),
        **accounts(runtime, sent, counts, published),
        **latencies(stand, tree),
        **minutes(stand.minutes),
        "high_water": {group["group"]: group["high_water"] for group in tree["groups"]},
        "memory_mb": looks.memory,
        "cpu_cores": cpu / took,
        "machine_cores": busy / took,
        "tree_ms": spread(looks.trees),
        "snapshots_ms": spread(looks.snapshots),
        "orders_file_mb": sum(path.stat().st_size for path in stand.orders_folder.iterdir()) / 1e6,
        "dead_letters": tree["dead_letters"],
        "failures": sum(actor["failures"] for actor in tree["actors"]),
    }


class Looks:
    """What an observer sees: how long answers take, how much memory there is."""

    def __init__(self, runtime: LiveRuntime) -> None:
        self._runtime = runtime
        self.trees: list[float] = []
        self.snapshots: list[float] = []
        self.memory = [resident_mb()]

    def look(self) -> None:
        """Ask once for everything and once for each of a few actors, then wait a little."""
        self.trees.append(timed(self._runtime.tree))
        for path in ("orders", "broker", "feed", "chain/NIFTY"):
            self.snapshots.append(timed(lambda path=path: self._runtime.snapshot(path, 5.0)))
        time.sleep(0.5)
        self.memory.append(resident_mb())


def accounts(runtime: LiveRuntime, sent: dict, counts: Counts, published: Counts) -> dict:
    """Compare what was sent with what was decoded, and what every consumer was given with what it handled."""
    status = runtime.snapshot("feed", 5.0)["stream"]["connections"]
    given = counts.total()
    merged = sum(group.merged.total() for group in runtime.groups())
    handled = sum(port.handled for port in given)
    out = published.total()
    bars = {
        port.actor.path.removeprefix("bar/"): count for port, count in given.items() if port.actor.path[:4] == "bar/"
    }
    return {
        "sent": sent["ticks"],
        "frames_sent": sent["frames"],
        "frames": sum(one["frames"] for one in status),
        "malformed": sum(one["malformed"] for one in status),
        "decoded": sum(one["ticks"] for one in status),
        "published": out.total(),
        "given": given.total(),
        "handled": handled,
        "merged": merged,
        "consumers": len(given),
        "wrong_consumers": [port.actor.path for port, count in given.items() if count < port.handled
                            or (not merged and count != port.handled)],
        "bars_without_their_ticks": sorted(name for name in out if bars.get(name) != out[name]),
        "unaccounted": abs(sent["ticks"] - out.total()) + abs(given.total() - handled - merged),
    }  # fmt: skip


def latencies(stand: Stand, tree: dict) -> dict:
    """Tick to request, outside and inside."""
    outside = [ns / 1e6 for ns in stand.timing.exits]
    quarters = [outside[len(outside) * n // 4 : len(outside) * (n + 1) // 4] for n in range(4)]
    return {
        "exits": len(outside),
        "tick_to_order_ms": spread(outside),
        "p50_by_quarter_ms": [statistics.median(part) for part in quarters if part],
        "exits_counted_inside": tree["stages"].get("exit", {}).get("count", 0),
        "exits_pending": len(stand.timing.hit),
        "stages_ms": {
            name: {key: ns and ns / 1e6 for key, ns in stage.items() if key != "count"}
            for name, stage in tree["stages"].items()
        },
    }


def minutes(watch: MinuteWatchActor) -> dict:
    """How late snapshots were, and which were missing."""
    late = {name: [ns / 1e6 for ns in times.values()] for name, times in watch.late.items()}
    return {
        "minutes": len(watch.closed),
        "snapshots": {name: len(times) for name, times in late.items()},
        "snapshot_ms": {name: spread(times) for name, times in late.items()},
    }


def spread(values: list[float]) -> dict[str, float | None]:
    """Give p50, p99 and the largest."""
    if not values:
        return {"p50": None, "p99": None, "max": None}
    ordered = sorted(values)
    return {"p50": statistics.median(ordered), "p99": ordered[len(ordered) * 99 // 100], "max": ordered[-1]}


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds a call takes."""
    began = time.monotonic_ns()
    call()
    return (time.monotonic_ns() - began) / 1e6


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def machine_busy_s() -> float:
    """Processor time the whole machine has worked, other people's programs included."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # all but idle and waiting for the disk


def print_table(found: dict) -> None:
    """Print what was found."""
    steady, sender = found["memory_mb"], found["sender"]
    marks = [steady[len(steady) * part // 4] for part in (0, 1, 2, 3)] + [steady[-1]]
    rows = [
        ("measured for, real seconds", f"{found['seconds']:.0f}, the clock at x{found['speed']:g}"),
        ("options followed, a bar actor each", found["options"]),
        ("ticks a second", f"{found['ticks_per_s']:,.0f}"),
        ("frames sent / received", f"{found['frames_sent']:,} / {found['frames']:,}, {found['malformed']} malformed"),
        ("ticks sent / decoded / given out", f"{found['sent']:,} / {found['decoded']:,} / {found['published']:,}"),
        ("to consumers: given / handled / merged", f"{found['given']:,} / {found['handled']:,} / {found['merged']:,}"),
        ("unaccounted / dead letters / failures",
         f"{found['unaccounted']} / {found['dead_letters']} / {found['failures']}"),
        ("tick to order request, ms (outside)", f"{three(found['tick_to_order_ms'])}  ({found['exits']:,})"),
        ("its median by quarter of the run, ms", " ".join(f"{ms:.3f}" for ms in found["p50_by_quarter_ms"])),
        *((f"runtime's stage '{name}', ms", three(one)) for name, one in found["stages_ms"].items()),
    ]  # fmt: skip
    for name, late in found["snapshot_ms"].items():
        seen = f"({found['snapshots'][name]} of {found['minutes']})"
        rows.append((f"MinuteClosed to snapshot of {name}, ms", f"{three(late)}  {seen}"))
    rows += [
        ("memory over the time, MB", " ".join(f"{mb:.0f}" for mb in marks)),
        ("record of orders on disk, MB", f"{found['orders_file_mb']:.0f}"),
        ("processor: cast / machine, cores", f"{found['cpu_cores']:.2f} / {found['machine_cores']:.2f}"),
        ("tree(), ms", three(found["tree_ms"])),
        ("snapshot(), ms", three(found["snapshots_ms"])),
        ("the sender was late, ms", three(sender["late_ms"])),
    ]
    for name, value in rows:
        print(f"{name:44s} {value}")


def three(found: dict) -> str:
    """The median, the 99th percentile and the largest."""
    return " / ".join("-" if found.get(name) is None else f"{found[name]:.3f}" for name in ("p50", "p99", "max"))


if __name__ == "__main__":
    raise SystemExit(main())
