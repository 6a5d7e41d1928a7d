"""What looking costs the trading: tick to order with twenty streams of the dashboard, and without.

    python bench/watched.py [--seconds 15] [--turns 4] [--clients 20] [--json F]

The cast, load and measure of bench/tick_to_order.py, and the dashboard as the daemon serves it: a process of its own
that asks over the control socket. In a third process are the clients: each has every topic, one of them never reads.
They come and go by turns within one run, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path[:0] = [str(ROOT), str(BENCH)]

import cast_stand  # noqa: E402
import msgspec  # noqa: E402
from cast_stand import QUIET_S, Stand, wait_for  # noqa: E402
from frame_server import Plan  # noqa: E402
from loguru import logger  # noqa: E402
from made_market import START, make_market  # noqa: E402
from outside import Counts, Timing, watched  # noqa: E402
from tick_to_order import KEYS_PER_FRAME, spread, three  # noqa: E402

from sos_actors.control.protocol import socket_path  # noqa: E402
from sos_actors.control.server import ControlServer  # noqa: E402
from sos_actors.daemon.operations import Operations  # noqa: E402
from sos_actors.daemon.web_process import Brief, WebProcess  # noqa: E402
from sos_actors.runtime.tuning import tune_for_latency  # noqa: E402
from sos_actors.web.remote import COMMAND, StageCommand, breathe  # noqa: E402
from sos_actors.web.stage import LocalStage  # noqa: E402

#: Real seconds after the clients came, and after they went, that belong to neither: what they looked at is let go.
CAME_S, WENT_S = 2.0, 8.0


class Facts:
    """What the daemon would know of itself."""

    session, mode, started = "bench", "bench", START

    def __init__(self, stand: Stand) -> None:
        self.now = stand.wall.now

    def not_ready(self) -> list[str]:
        """Nothing stands in the way."""
        return []

    def token_until(self) -> str:
        """There is no token."""
        return ""


def main() -> int:
    """Run it and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    options.add_argument("--turns", type=int, default=4, help="with, and as many without")
    options.add_argument("--clients", type=int, default=20)
    options.add_argument("--ticks", type=float, default=5_000.0, help="ticks a second")
    options.add_argument("--exits", type=float, default=10.0, help="exits a second")
    options.add_argument("--speed", type=float, default=6.0, help="seconds of the clock in a real one")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    cast_stand.CONFIG["web"] = {"enabled": True, "port": 0}
    with tempfile.TemporaryDirectory(prefix="sos-bench-", dir=ROOT) as folder:
        found = measure(Path(folder), given)
    for name in ("without", "with"):
        print(f"{name:8s} {three(found[name])} ms p50 / p99 / max ({found[name]['count']:,})")
        print(f"{'':8s} p99 by turn: {' '.join(f'{one:.3f}' for one in found[name]['p99_by_turn'])}")
    print(f"the clients took {found['clients']}")
    print(f"answering the dashboard took {found['asked_ms_per_s']:.1f} ms of the daemon's processor time a second")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def measure(folder: Path, given: argparse.Namespace) -> dict:
    """Start everything, let the clients come and go, stop everything."""
    market = make_market()
    seconds = given.turns * (2 * given.seconds + CAME_S + WENT_S) + 10.0
    plan = Plan(
        lines=market.lines, seconds=QUIET_S + seconds, ticks_per_s=given.ticks, keys_per_frame=KEYS_PER_FRAME,
        hits_per_s=given.exits, quiet_s=QUIET_S, shown=START, speed=given.speed,
    )  # fmt: skip
    (folder / "plan.json").write_bytes(msgspec.json.encode(plan))
    sender = subprocess.Popen(
        [sys.executable, str(BENCH / "frame_server.py"), str(folder / "plan.json")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert sender.stdout is not None
    try:
        port = json.loads(sender.stdout.readline())["port"]
        timing = Timing()
        levels = {name: one.target for name, one in market.plans.items()}
        with watched(Counts(), timing, levels, Counts()):
            stand = Stand(folder, market, port, given.speed, timing)
            tune_for_latency()
            try:
                return by_turns(stand, sender, folder, given)
            finally:
                stand.close()
    finally:
        sender.kill()
        sender.wait(10)


def by_turns(stand: Stand, sender: subprocess.Popen[str], folder: Path, given: argparse.Namespace) -> dict:
    """Serve the dashboard, and measure with clients and without, by turns."""
    assert sender.stdout is not None
    assert sender.stdin is not None
    operations = Operations(stand.runtime, Facts(stand))
    commands = operations.commands()
    stage = LocalStage(stand.runtime, operations, stand.cast.seen.book, breathe=breathe)
    commands[COMMAND] = StageCommand(stage, stand.cast.seen, list)
    control = ControlServer(socket_path(folder), commands)
    server = WebProcess(
        Brief(home=str(folder), config=stand.config, symbols=tuple(stand.config.live.symbols), title="", real=False)
    )
    server.start()
    try:
        begin = stand.wall.instant_of(START)
        json.loads(sender.stdout.readline())
        sender.stdin.write(f"{begin}\n")
        sender.stdin.flush()
        stand.enter()
        wait_for(lambda: time.monotonic_ns() > begin + QUIET_S * 1e9 and bool(server.address), "the beginning", 60)
        web_port = int(server.address.rpartition(":")[2])
        turns: dict[str, list[list[float]]] = {"without": [], "with": []}
        told, asked = [], 0.0
        for _ in range(given.turns):
            turns["without"].append(exits_of(stand, given.seconds, WENT_S))
            clients = subprocess.Popen(
                [sys.executable, str(BENCH / "web_clients.py"), str(web_port), str(given.clients)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            before, since = asking_s(), time.monotonic()
            turns["with"].append(exits_of(stand, given.seconds, CAME_S))
            asked += (asking_s() - before) / (time.monotonic() - since) / given.turns
            told.append(json.loads(clients.communicate()[0]))
        return {name: figures(one) for name, one in turns.items()} | {"clients": told, "asked_ms_per_s": 1e3 * asked}
    finally:
        server.stop()
        control.close()


def asking_s() -> float:
    """Processor time of this process's threads that answer the dashboard: what looking takes from the interpreter."""
    total = 0
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            fields = Path(f"/proc/self/task/{thread.native_id}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def exits_of(stand: Stand, seconds: float, settle_s: float) -> list[float]:
    """Give the milliseconds from tick to request of the exits of so many seconds, after things have settled."""
    time.sleep(settle_s)
    exits, before = stand.timing.exits, len(stand.timing.exits)
    time.sleep(seconds)
    return [ns / 1e6 for ns in exits[before:]]


def figures(turns: list[list[float]]) -> dict:
    """Give the spread of all turns together, and the 99th percentile of each."""
    every = [one for turn in turns for one in turn]
    return spread(every) | {"count": len(every), "p99_by_turn": [spread(turn)["p99"] for turn in turns]}


if __name__ == "__main__":
    raise SystemExit(main())
