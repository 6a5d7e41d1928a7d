"""The live daemon under load: the sandbox exchange in one process, the daemon in another, the real SDK between them.

    python bench/live.py [--seconds 60] [--ticks 5000] [--json F]

Three underlyings, their indices, futures and India VIX, and 486 options, each with a bar actor of its own; the whole
playbook, and besides it strategies that are in the market all the time, so that orders keep going out. The exchange's
clock runs faster than real time, so that several minutes close while it is measured: a minute's work comes that many
times as often. Figures are the daemon's own (runtime/tree.py), read over its control socket while it works:

* ticks: what the exchange put on the wire, what was decoded, what reached the bar actors, what was merged;
* latency from the receipt of a tick (or of the minute's timer) to each stage its consequences reached;
* how long after a minute's end each chain's snapshot is there, and whether one is missing;
* the daemon's memory, and how long it takes to answer an `inspect` meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402

from sos_actors.control.client import ControlClient  # noqa: E402
from sos_actors.control.protocol import ControlError  # noqa: E402

SYMBOLS = ("NIFTY", "BANKNIFTY", "SENSEX")
STRIKES = 40
#: Exchange seconds in a real one: a minute's work comes twice as often as it does in the market.
SPEED = 2
READY_S = 240
#: In on any bar, out a few points of the index later, when a tick gets there.
FLIPPER = {
    "phases": [{"id": "ANY_BAR", "conditions": ["close > 0"]}],
    "execution": {
        "side": "BUY",
        "entry": "close",
        "sl": "close - 15",
        "tp": "close + 15",
        "option_selection": "ATM_CALL",
    },
    "exits": {"time_stop": 3, "break_even_at": 0, "trailing": 0},
}


def main() -> int:
    """Run it and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--ticks", type=float, default=5000.0, help="ticks a real second, about")
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="sos-live-") as folder:
        found = measure(Path(folder), given.seconds, given.ticks)
    print_table(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if found["lost"] == 0 else 1


def measure(folder: Path, seconds: float, ticks: float) -> dict:
    """Start both processes, measure, stop them."""
    port = free_port()
    config = write_config(folder, port, ticks)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("SOS_", "NOTIFY_"))}
    run = [sys.executable, str(ROOT / "run_actors.py")]
    with (folder / "sandbox.log").open("wb") as said:
        sandbox = subprocess.Popen([*run, "sandbox", "--config", str(config)], stdout=said, stderr=said, env=environ)
    try:
        wait_for(lambda: ask(port, "state") is not None, 60, "the sandbox", folder / "sandbox.log")
        command = [*run, "live", "--sandbox", "--config", str(config), "--home", str(folder / "home")]
        command += ["--playbook", str(ROOT / "strategies"), "--playbook", str(folder / "strategies")]
        with (folder / "live.log").open("wb") as said:
            daemon = subprocess.Popen(command, stdout=said, stderr=said, env=environ)
        try:
            wait_for(lambda: is_ready(folder / "home"), READY_S, "the daemon", folder / "live.log")
            return watch(folder / "home", daemon.pid, port, seconds)
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)
    finally:
        sandbox.terminate()
        try:
            sandbox.wait(30)
        except subprocess.TimeoutExpired:
            sandbox.kill()  # it is not what is measured, and must not outlive this


def write_config(folder: Path, port: int, ticks: float) -> Path:
    """Write what both processes are started with, and the strategies that trade all the time."""
    strategies = folder / "strategies"
    strategies.mkdir()
    for option in ("ATM_CALL", "OTM_CALL_1", "ATM_PUT", "OTM_PUT_1"):
        for points in (2, 3, 5, 8):
            name = f"flipper_{option.lower()}_{points}"
            levels = {"side": "BUY", "entry": "close", "sl": f"close - {points}", "tp": f"close + {points}"}
            pattern = FLIPPER | {"pattern_id": name, "execution": levels | {"option_selection": option}}
            (strategies / f"{name}.json").write_text(json.dumps(pattern))
    config = {
        "live": {"symbols": list(SYMBOLS)},
        "follow": {name: {"strikes": STRIKES, "recentre_steps": 50} for name in SYMBOLS},
        "risk": {
            "daily_loss": 0, "open_positions": 0, "underlying_positions": 0, "cooldown_s": 0, "trades_per_day": 0,
            "strategy_trades_per_day": 0, "orders_per_s": 1000, "order_burst": 1000,
        },
        "upstox": {"rates": {"order": [1000, 50_000, 200_000]}},
        # Whole lots of all three.
        "sizing": {"fixed_quantity": 780},
        "selection": {"max_spread": 0.5},
        "debounce": {"seconds": [0, 0]},
        "data": {"warmup_days": 0},
        "sandbox": {
            "port": port, "speed": SPEED, "start": "2026-11-20T10:00:00+05:30", "symbols": list(SYMBOLS),
            "step_ms": 4,
            # The busiest instruments have this many ticks in an exchange minute, the others less: measured once.
            "ticks_per_minute": ticks * 7.4 / SPEED / 30.0,
            "exchange": {"account": {"cash": 1e9}, "rates": {"orders": [0, 0, 0]}},
        },
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def watch(home: Path, pid: int, port: int, seconds: float) -> dict:
    """Look at the daemon for so long, then let the exchange stand still and count."""
    with ControlClient(home) as daemon:
        time.sleep(3.0)
        memory = [resident_mb(pid)]
        begun, before = time.monotonic(), daemon.ask("tree")
        cpu = cpu_seconds(pid)
        sizes: list[float] = []
        answers, seen = [], {name: {} for name in SYMBOLS}
        while time.monotonic() < begun + seconds:
            for name in SYMBOLS:
                began = time.monotonic()
                chain = daemon.ask("inspect", path=f"chain/{name}")
                answers.append(time.monotonic() - began)
                now = ask(port, "state")["now_ns"]
                seen[name].setdefault(chain.get("ts"), (now - chain.get("ts", now)) / 1e9 / SPEED)
            began = time.monotonic()
            daemon.ask("actors")
            answers.append(time.monotonic() - began)
            sizes.append(resident_mb(pid))
            time.sleep(0.1)
        took, cpu = time.monotonic() - begun, cpu_seconds(pid) - cpu
        memory += [sizes[len(sizes) * part // 4] for part in (1, 2, 3)] + [sizes[-1]]
        ask(port, "clock", {"speed": 0})
        time.sleep(2.0)
        tree, feed, state = daemon.ask("tree"), daemon.ask("inspect", path="feed"), ask(port, "state")
    stream = feed["stream"]["connections"]
    decoded = sum(one["ticks"] for one in stream)
    merged = sum(group["merged"] for group in tree["groups"])
    in_bars = sum(a["messages"].get("Tick", 0) for a in tree["actors"] if a["kind"] == "BarActor")
    minutes = [gaps(times) for times in seen.values()]
    return {
        "seconds": took,
        "options": sum("|OPT|" in a["path"] for a in tree["actors"] if a["kind"] == "BarActor"),
        "ticks_per_s": (in_bars - bars_before(before)) / took,
        "frames_sent": sum(one["sent"] for one in state["feeds"]),
        "frames_received": sum(one["frames"] for one in stream),
        "decoded": decoded,
        "in_bars": in_bars,
        "merged": merged,
        "malformed": sum(one["malformed"] for one in stream),
        "lost": decoded - in_bars - merged - sum(one["priceless"] for one in stream),
        "dead_letters": tree["dead_letters"],
        "stages": tree["stages"],
        "minutes": sum(count for count, _ in minutes),
        "minutes_missing": sum(missing for _, missing in minutes),
        "snapshot_late_s": max((late for times in seen.values() for ts, late in list(times.items())[1:]), default=None),
        "memory_mb": memory,
        "cpu_cores": cpu / took,
        "inspect_p50_ms": 1e3 * sorted(answers)[len(answers) // 2],
        "inspect_max_ms": 1e3 * max(answers),
    }


def bars_before(tree: dict) -> int:
    """Ticks the bar actors had before it began."""
    return sum(a["messages"].get("Tick", 0) for a in tree["actors"] if a["kind"] == "BarActor")


def gaps(times: dict) -> tuple[int, int]:
    """Give how many minutes were seen, and how many between them were not."""
    ends = sorted(ts for ts in times if ts)
    missing = sum(round((b - a) / 60e9) - 1 for a, b in pairwise(ends))
    return len(ends), missing


def print_table(found: dict) -> None:
    """Print what was found."""
    stages = found["stages"]
    rows = [
        ("measured for, real seconds", f"{found['seconds']:.0f}, the exchange's clock at x{SPEED}"),
        ("options followed, a bar actor each", found["options"]),
        ("ticks a second", f"{found['ticks_per_s']:,.0f}"),
        ("frames sent / received", f"{found['frames_sent']:,} / {found['frames_received']:,}"),
        ("ticks decoded / in bars / merged / lost",
         " / ".join(f"{found[name]:,}" for name in ("decoded", "in_bars", "merged", "lost"))),
        *((f"receipt to {name}, p50 / p99 / max ms", stage_line(one)) for name, one in stages.items()),
        ("minutes of chains seen / missing", f"{found['minutes']} / {found['minutes_missing']}"),
        ("a snapshot is seen after its minute, at most", late(found["snapshot_late_s"])),
        ("memory from start to end, MB", " / ".join(f"{mb:.0f}" for mb in found["memory_mb"])),
        ("processor, cores", f"{found['cpu_cores']:.2f}"),
        ("inspect answers, p50 / max ms", f"{found['inspect_p50_ms']:.1f} / {found['inspect_max_ms']:.1f}"),
        ("dead letters", found["dead_letters"]),
    ]  # fmt: skip
    for name, value in rows:
        print(f"{name:48s} {value}")


def stage_line(stage: dict) -> str:
    """A stage's latencies, and how many there were."""
    return f"{ms(stage['p50'])} / {ms(stage['p99'])} / {ms(stage['max'])}  ({stage['count']:,})"


def late(seconds: float | None) -> str:
    """How late the latest snapshot was; none where the run was shorter than two minutes of the exchange's clock."""
    return "-" if seconds is None else f"{seconds:.2f} s (looked at every 0.1 s)"


def ms(ns: float | None) -> str:
    """Nanoseconds as milliseconds."""
    return "-" if ns is None else f"{ns / 1e6:.3f}"


def is_ready(home: Path) -> bool:
    """Whether the daemon enters trades."""
    try:
        with ControlClient(home) as daemon:
            return bool(daemon.ask("status")["ready"])
    except ControlError:
        return False


def ask(port: int, what: str, body: dict | None = None) -> dict | None:
    """Ask the sandbox's control side; None where nobody answers."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/sandbox/{what}", data=None if body is None else json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def wait_for(condition, seconds: float, what: str, log: Path) -> None:
    """Wait for a process to come up; shows the end of its log when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come up within {seconds:.0f} s:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    raise SystemExit(main())
