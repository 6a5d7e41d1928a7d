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
import contextlib
import dataclasses
import datetime as dt
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path[:0] = [str(ROOT), str(BENCH)]

import msgspec  # noqa: E402
import numpy as np  # noqa: E402
from frame_server import Line, Plan  # noqa: E402
from loguru import logger  # noqa: E402
from quick_broker import QuickBrokerActor, Timing  # noqa: E402
from upstox_client import ApiClient, Configuration  # noqa: E402

from sos_actors import assembly  # noqa: E402
from sos_actors.config import load_config  # noqa: E402
from sos_actors.daemon.cast import LINK, LiveCast, LiveParts  # noqa: E402
from sos_actors.market.charges import ChargeSchedule  # noqa: E402
from sos_actors.market.clocktime import SECOND_NS, ist_ns  # noqa: E402
from sos_actors.market.contracts import strike_step  # noqa: E402
from sos_actors.market.day import DayStats  # noqa: E402
from sos_actors.market.expiries import monthly_expiries, next_expiry  # noqa: E402
from sos_actors.market.instruments import Instrument, InstrumentTable  # noqa: E402
from sos_actors.messages import (  # noqa: E402
    ChainSnapshot,
    Direction,
    GapsFilled,
    MinuteClosed,
    Right,
    Side,
    Tick,
    TradePlan,
)
from sos_actors.playbook.loader import load_playbook  # noqa: E402
from sos_actors.quant.black import price as black_price  # noqa: E402
from sos_actors.runtime import Actor, LiveRuntime, Session, WallTime, handles  # noqa: E402
from sos_actors.runtime.group import Group  # noqa: E402
from sos_actors.runtime.tuning import tune_for_latency  # noqa: E402
from sos_actors.sandbox.listing import future_instrument, index_instrument, option_instruments  # noqa: E402
from sos_actors.sandbox.schedule import Schedule  # noqa: E402
from sos_actors.upstox.decode import FeedDecoder  # noqa: E402
from sos_actors.upstox.feed_settings import FeedEndpoint, FeedSettings  # noqa: E402
from sos_actors.upstox.market_feed import UpstoxMarketFeed  # noqa: E402

DAY = dt.date(2026, 11, 20)
START = ist_ns(DAY, "10:00")
SPOTS = {"NIFTY": 25_500.0, "BANKNIFTY": 58_000.0, "SENSEX": 83_000.0}
STRIKES = 40
#: Trades held at a time; each is left by its target in turn.
HELD = 10
KEYS_PER_FRAME = 10
#: Real seconds in which the daemon asks for everything, and in which the trades are entered.
LEAD_S, QUIET_S = 8.0, 5.0
#: Real seconds a broker takes to answer, and between an exit and the next entry.
ANSWER_S, PAUSE_S = 0.02, 0.2
CONFIG = {
    "risk": {"daily_loss": 0},
    "orders": {"exits": {"break_even_at": None, "time_stop_min": None}},
    "live": {"symbols": list(SPOTS)},
    # The same contracts to the end: what they cost to change is no part of this.
    "follow": {name: {"strikes": STRIKES, "recentre_steps": 100} for name in SPOTS},
}


def main() -> int:
    """Run it and print the table; 1 where a tick is not accounted for."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--ticks", type=float, default=5_000.0, help="ticks a second")
    options.add_argument("--exits", type=float, default=10.0, help="exits a second")
    options.add_argument("--speed", type=float, default=6.0, help="seconds of the clock in a real one")
    options.add_argument("--untuned", action="store_true", help="leave the interpreter's settings alone")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    with tempfile.TemporaryDirectory(prefix="sos-bench-", dir=ROOT) as folder:
        found = measure(Path(folder), given.seconds, given.ticks, given.exits, given.speed, tuned=not given.untuned)
    print_table(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 1 if found["unaccounted"] or found["dead_letters"] else 0


# -- the market ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Market:
    """What is listed, what it costs at first, and the trades that are held."""

    table: InstrumentTable
    lines: list[Line]
    plans: dict[str, TradePlan]


def make_market() -> Market:
    """List the instruments and price them; choose the trades among contracts that cost enough."""
    schedule = Schedule()
    listed: list[Instrument] = []
    prices: dict[str, float] = {}
    for name, spot in SPOTS.items():
        step = strike_step(name, DAY)
        at_money = round(spot / step) * step
        strikes = [at_money + step * n for n in range(-STRIKES, STRIKES + 1)]
        expiry = next_expiry(name, DAY, schedule.calendar)
        month = monthly_expiries(name, DAY, DAY + dt.timedelta(days=70), schedule.calendar)[0]
        index, future = index_instrument(name), future_instrument(name, month, DAY, schedule)
        options = list(option_instruments(name, expiry, strikes, DAY, schedule))
        years = max((expiry - DAY).days, 1) / 365.0
        calls = np.array([item.right is Right.CE for item in options])
        values = black_price(spot, np.array([item.strike for item in options]), years, 0.14, 1.0, calls)
        listed += [index, future, *options]
        prices |= {index.id: spot, future.id: spot} | {
            item.id: max(round(value / 0.05) * 0.05, 0.05) for item, value in zip(options, values, strict=True)
        }
    vix = index_instrument("INDIAVIX")
    listed.append(vix)
    prices[vix.id] = 14.0
    dear = [item for item in listed if item.kind == "OPT" and 60.0 < prices[item.id] < 1_500.0]
    chosen = dear[:: len(dear) // HELD][:HELD]
    plans = {item.id: plan_of(item, prices[item.id]) for item in chosen}
    lines = [
        Line(key=item.upstox_key, kind=item.kind, price=prices[item.id], hit=plans[item.id].target + 1.0 if item.id in plans else 0.0)
        for item in listed
    ]  # fmt: skip
    return Market(InstrumentTable(listed), lines, plans)


def plan_of(item: Instrument, price: float) -> TradePlan:
    """Make the trade of a contract: ten per cent to the target, twenty to the stop."""
    return TradePlan(
        plan_id="", signal_id="", strategy="bench", underlying=item.underlying, ts=0, direction=Direction.LONG,
        instrument=item.id, side=Side.BUY, quantity=item.lot_size, lot_size=item.lot_size, entry=price,
        stop=round(price * 0.8 / 0.05) * 0.05, target=round(price * 1.1 / 0.05) * 0.05, right=item.right,
    )  # fmt: skip


# -- what is measured from outside ---------------------------------------------------------------------------------


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


# -- the run -------------------------------------------------------------------------------------------------------


def measure(folder: Path, seconds: float, ticks: float, exits: float, speed: float, *, tuned: bool = True) -> dict:
    """Start everything, measure, stop it."""
    market = make_market()
    plan = Plan(
        lines=market.lines, seconds=QUIET_S + seconds, ticks_per_s=ticks, keys_per_frame=KEYS_PER_FRAME,
        hits_per_s=exits, quiet_s=QUIET_S, shown=START, speed=speed,
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
            stand = Stand(folder, market, port, speed, timing, tuned=tuned)
            try:
                return run(stand, sender, seconds, counts, published)
            finally:
                stand.close()
    finally:
        sender.kill()
        sender.wait(10)


class Stand:
    """The live cast on a clock of its own, put together as the daemon does it."""

    def __init__(
        self, folder: Path, market: Market, port: int, speed: float, timing: Timing, *, tuned: bool
    ) -> None:
        self.timing, self.market, self.speed = timing, market, speed
        self.config = load_config(write_config(folder))
        self.orders_folder = folder / "orders"
        self.runtime = LiveRuntime(self.config.runtime)
        self.began = START - round(LEAD_S * speed * SECOND_NS)
        self.wall = WallTime(time.monotonic_ns(), self.began, speed, shifted=True)
        cast = assembly.Cast(
            config=self.config, playbook=load_playbook([ROOT / "strategies"]),
            underlyings=[assembly.Underlying(name, chain=True) for name in SPOTS],
            charges=ChargeSchedule(self.config.charges),
            previous_day=lambda name, _: DayStats(name, DAY - dt.timedelta(days=1), *(SPOTS[name],) * 4), trade_from=self.began,
            groups=self.config.runtime.groups,
        )  # fmt: skip
        parts = LiveParts(
            table=lambda: market.table, table_of=lambda _: market.table, stream=self._feed(port),
            market_db=folder / "market.db", fill_gaps=lambda asked: GapsFilled(asked.underlying, asked.day),
            tell=lambda _: None, orders_folder=self.orders_folder, tag_prefix="BENCH", cash_paise=10**12, speed=speed,
            spawn_link=self._spawn_link,
        )  # fmt: skip
        live = self.cast = LiveCast(self.runtime, cast, parts)
        live.think(lambda _: ())
        self.runtime.clock.follow(
            iter([Session(DAY, ist_ns(DAY, "09:15"), ist_ns(DAY, "15:30"), first=True, last=True)]),
            self.config.clock.grace_ns,
        )
        self.runtime.run(until=ist_ns(DAY, "09:00"))
        live.trade([])
        self.runtime.spawn(MinuteWatchActor, "watch", SPOTS, group="watch")
        self.minutes = self.runtime.actor("watch")
        self.broker = self.runtime.actor("link")
        self.wall = dataclasses.replace(self.wall, anchor=time.monotonic_ns())
        self.runtime.start_wall(self.wall, step_ns=SECOND_NS)
        if tuned:
            tune_for_latency()

    def _feed(self, port: int) -> UpstoxMarketFeed:
        configuration = Configuration()
        configuration.access_token = "bench"
        endpoint = FeedEndpoint(f"ws://127.0.0.1:{port}")
        return UpstoxMarketFeed(
            ApiClient(configuration), endpoint, FeedSettings(), lambda: self.market.table,
            now=lambda: self.wall.now(), rng=random.Random(7),  # noqa: PLW0108 - the wall is replaced once
        )  # fmt: skip

    def _spawn_link(self, runtime: LiveRuntime) -> None:
        runtime.spawn(
            QuickBrokerActor, "link", self.market.plans, self.timing, lambda: runtime.clock.now, ANSWER_S, PAUSE_S,
            group=LINK,
        )  # fmt: skip

    def enter(self) -> None:
        """Enter every trade, as soon as the gateway lets entries pass."""
        wait_for(lambda: not self.runtime.snapshot("broker", 5.0)["entries_held"], "the gateway lets entries pass")
        for instrument in self.market.plans:
            self.broker.enter(instrument)

    def close(self) -> None:
        """Stop everything."""
        self.runtime.stop()
        if self.cast.store is not None:
            self.cast.store.close()


def write_config(folder: Path) -> Path:
    """Write the configuration (YAML holds JSON)."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(CONFIG))
    return path


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
    cpu, since = time.process_time(), time.monotonic()
    looks = Looks(runtime)
    while time.monotonic() < since + seconds:
        looks.look()
    cpu, took = (time.process_time() - cpu), time.monotonic() - since
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
        "stages": tree["stages"],
        "high_water": {group["group"]: group["high_water"] for group in tree["groups"]},
        "memory_mb": looks.memory,
        "cpu_cores": cpu / took,
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
    outside = [took for _, took in stand.timing.exits]
    return {
        "exits": len(outside),
        "tick_to_order_ms": spread([ns / 1e6 for ns in outside]),
        "exit_stage_ms": {name: None if ns is None else ns / 1e6 for name, ns in tree["stages"].get("exit", {}).items() if name != "count"},
        "exits_pending": len(stand.timing.hit),
        "p50_by_quarter_ms": [
            statistics.median(part) / 1e6 for n in range(4)
            if (part := outside[len(outside) * n // 4 : len(outside) * (n + 1) // 4])
        ],
    }  # fmt: skip


def minutes(watch: Any) -> dict:
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
    return {"p50": statistics.median(ordered), "p99": ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)], "max": ordered[-1]}  # fmt: skip


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds a call takes."""
    began = time.monotonic_ns()
    call()
    return (time.monotonic_ns() - began) / 1e6


def wait_for(met: Callable[[], bool], what: str, seconds: float = 30.0, *, strict: bool = True) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            if strict:
                raise SystemExit(f"within {seconds:.0f} s this did not come: {what}")
            return
        time.sleep(0.02)


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def print_table(found: dict) -> None:
    """Print what was found."""
    steady = found["memory_mb"]
    marks = [steady[len(steady) * part // 4] for part in (0, 1, 2, 3)] + [steady[-1]]
    rows = [
        ("measured for, real seconds", f"{found['seconds']:.0f}, the clock at x{found['speed']:g}"),
        ("options followed, a bar actor each", found["options"]),
        ("ticks a second", f"{found['ticks_per_s']:,.0f}"),
        ("frames sent / received / malformed", f"{found['frames_sent']:,} / {found['frames']:,} / {found['malformed']}"),
        ("ticks sent / decoded / given out", f"{found['sent']:,} / {found['decoded']:,} / {found['published']:,}"),
        ("to consumers: given / handled / merged", f"{found['given']:,} / {found['handled']:,} / {found['merged']:,}"),
        ("unaccounted, dead letters, failures", f"{found['unaccounted']}, {found['dead_letters']}, {found['failures']}"),
        ("tick to order request, ms (outside)", f"{three(found['tick_to_order_ms'])}  ({found['exits']:,})"),
        ("its median by quarter of the run, ms", " ".join(f"{ms:.3f}" for ms in found["p50_by_quarter_ms"])),
        ("the same by the runtime's stage 'exit'", three(found["exit_stage_ms"])),
        *((f"MinuteClosed to snapshot of {name}, ms", f"{three(one)}  ({found['snapshots'][name]} of {found['minutes']})")
          for name, one in found["snapshot_ms"].items()),
        ("memory over the time, MB", " ".join(f"{mb:.0f}" for mb in marks)),
        ("record of orders on disk, MB", f"{found['orders_file_mb']:.0f}"),
        ("processor, cores", f"{found['cpu_cores']:.2f}"),
        ("tree() / snapshot(), ms", f"{three(found['tree_ms'])}; {three(found['snapshots_ms'])}"),
        ("the sender was late, ms", f"{found['sender']['late_p50_ms']:.2f} / {found['sender']['late_p99_ms']:.2f} / "
         f"{found['sender']['late_max_ms']:.2f}"),
    ]  # fmt: skip
    for name, value in rows:
        print(f"{name:44s} {value}")


def three(found: dict) -> str:
    """The median, the 99th percentile and the largest."""
    return " / ".join("-" if found.get(name) is None else f"{found[name]:.3f}" for name in ("p50", "p99", "max"))


if __name__ == "__main__":
    raise SystemExit(main())
