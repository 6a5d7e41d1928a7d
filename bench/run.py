"""Every figure of the README in one go: ours and the peers that are installed, by turns, each process on one core.

    python bench/run.py [--rounds 5] [--only w1,w2,runtime,iv,load,start,live] [--json F]

Peers are looked for under $PEERS_VENVS (default peers-venvs/, made by `make bench-peers`); one that is not there is
left out and said so. Inputs are made once under $PEERS_DATA (default peers-data/). Compare ratios, not seconds:
machines differ and are noisy. CPU seconds of the run itself count; imports and loading of the inputs do not.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
sys.path.insert(0, str(ROOT))

from sos_actors.sandbox.market import SimulatedMarket  # noqa: E402
from sos_actors.sandbox.settings import MarketSettings  # noqa: E402
from sos_actors.storage.market_store import MarketStore  # noqa: E402

DAY = dt.date(2025, 9, 2)
VENVS = Path(os.environ.get("PEERS_VENVS", ROOT / "peers-venvs")).resolve()
DATA = Path(os.environ.get("PEERS_DATA", ROOT / "peers-data")).resolve()

#: work -> (label, venv or '' for ours, script and its arguments)
WORKS = {
    "w1": [
        ("sos_actors", "", ["engine.py", "w1"]),
        ("nautilus_trader", "nautilus", ["peers/nautilus_w1.py"]),
        ("backtrader", "backtrader", ["peers/backtrader_w1.py"]),
        ("backtesting.py", "backtesting", ["peers/backtesting_w1.py"]),
        ("a bare Python loop", "", ["peers/loop_w1.py"]),
    ],
    "w2": [
        ("sos_actors", "", ["engine.py", "w2"]),
        ("sos_actors, Greeks and whole playbook", "", ["engine.py", "w2_full"]),
        ("nautilus_trader, quotes", "nautilus", ["peers/nautilus_w2.py"]),
        ("backtrader", "backtrader", ["peers/backtrader_w2.py"]),
        ("a bare Python loop", "", ["peers/loop_w2.py"]),
    ],
}

#: Trades every engine must make for its time to count.
TRADES = {"w1": 4502, "w2": 50}


def python_of(venv: str) -> Path | None:
    """The interpreter of a peer's environment, or None where it is not installed."""
    if not venv:
        return Path(sys.executable)
    found = VENVS / venv / "bin" / "python"
    return found if found.exists() else None


def one_core() -> list[str]:
    """A prefix that binds a command to one core, where the machine has one for that."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(min(os.sched_getaffinity(0)))] if taskset else []


def run_script(python: Path, command: list[str]) -> dict:
    """Run one script in a process of its own; gives the JSON line it prints."""
    argv = [*one_core(), str(python), str(BENCH / command[0]), *command[1:]]
    env = {**os.environ, "PEERS_DATA": str(DATA)}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    for line in reversed(done.stdout.splitlines()):
        text = line.removeprefix("RESULT ")
        if text.startswith("{"):
            return json.loads(text)
    raise SystemExit(f"{' '.join(argv)} failed:\n{done.stderr[-2000:]}")


def engines(work: str, rounds: int) -> dict:
    """Ours against the other engines on one work."""
    jobs = [(label, python_of(venv), command) for label, venv, command in WORKS[work]]
    missing = [label for label, python, _ in jobs if python is None]
    runs: dict[str, list[dict]] = {label: [] for label, python, _ in jobs if python is not None}
    for _ in range(rounds):
        for label, python, command in jobs:
            if python is not None:
                runs[label].append(run_script(python, command))
    for label, results in runs.items():
        if any(r["trades"] != TRADES[work] for r in results):
            made = results[-1]["trades"]
            raise SystemExit(f"{label} made {made} trades in {work}, not {TRADES[work]}: no time counts")
    seconds = {label: statistics.median(r["run_cpu_s"] for r in results) for label, results in runs.items()}
    ours = seconds["sos_actors"]
    print(f"\n{work}: CPU seconds of the run, median of {rounds}")
    for label, results in runs.items():
        low, high = min(r["run_cpu_s"] for r in results), max(r["run_cpu_s"] for r in results)
        last = results[-1]
        pcr = f"  mean PCR {last['pcr_mean']:.8f}" if "pcr_mean" in last else ""
        print(
            f"  {label:40} {seconds[label]:7.3f} [{low:.3f}-{high:.3f}]  {seconds[label] / ours:5.1f} x ours"
            f"  {last['trades']} trades, equity {last['equity']:.2f}{pcr}"
        )
    for label in missing:
        print(f"  {label:40} not installed (make bench-peers)")
    return {"seconds": seconds, "ratios": {label: value / ours for label, value in seconds.items()}}


def script_with_json(name: str, *options: str) -> dict:
    """Run a bench of its own and keep the figures it writes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        subprocess.run(
            [sys.executable, str(BENCH / name), *options, "--json", str(out)],
            check=True,
            env={**os.environ, "PEERS_VENVS": str(VENVS)},
        )
        return json.loads(out.read_text())


def stored_day(folder: str) -> MarketStore:
    """A database that holds one simulated day of NIFTY: index, future, a chain of 162 contracts."""
    store = MarketStore(Path(folder) / "market.db")
    store.save_day(SimulatedMarket(MarketSettings(strikes_each_side=40)).day("NIFTY", DAY))
    return store


def load(rounds: int) -> dict:
    """Time to load a stored day of a 160-contract chain."""
    with tempfile.TemporaryDirectory() as folder, stored_day(folder) as store:
        took = []
        for _ in range(rounds * 5):
            began = time.perf_counter()
            loaded = store.load_day("NIFTY", DAY)
            took.append((time.perf_counter() - began) * 1e3)
    assert loaded is not None
    contracts = 2 * len(loaded.chains[0].strikes)
    print(
        f"\nload: a stored day of {contracts} contracts, {len(loaded.chains[0].start)} minutes, with index and future: "
        f"first {took[0]:.1f} ms, median {statistics.median(took):.1f} ms"
    )
    return {"contracts": contracts, "first_ms": took[0], "median_ms": statistics.median(took)}


def start(rounds: int) -> dict:
    """Seconds from the command to its first line of output, for a backtest of one day, imports included."""
    first, whole = [], []
    with tempfile.TemporaryDirectory() as folder:
        stored_day(folder).close()
        argv = [sys.executable, str(ROOT / "run_actors.py"), "backtest", "--home", folder]
        argv += ["--symbol", "NIFTY", "--from-date", DAY.isoformat()]
        for _ in range(rounds):
            began = time.perf_counter()
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            process.stdout.readline()
            first.append(time.perf_counter() - began)
            process.communicate()
            whole.append(time.perf_counter() - began)
    print(
        f"\nstart: a backtest of one stored day with the whole playbook, command to first line of results: "
        f"median {statistics.median(first):.2f} s (whole command {statistics.median(whole):.2f} s)"
    )
    return {"first_line_s": statistics.median(first), "whole_s": statistics.median(whole)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="runtime,w1,w2,iv,load,start,live")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not (DATA / "w2_bars.npy").exists():
        subprocess.run([sys.executable, str(BENCH / "data.py"), "--out", str(DATA)], check=True)
    figures: dict[str, object] = {"python": sys.version.split()[0], "cores": os.cpu_count()}
    for name in args.only.split(","):
        if name in WORKS:
            figures[name] = engines(name, args.rounds)
        elif name in {"runtime", "iv"}:
            print(f"\n{name}:")
            figures[name] = script_with_json(f"{name}.py", "--rounds", str(args.rounds))
        elif name == "load":
            figures[name] = load(args.rounds)
        elif name == "start":
            figures[name] = start(args.rounds)
        elif name == "live":
            print("\nlive, in short (make bench-live measures it in full):")
            figures[name] = script_with_json("tick_to_order.py", "--seconds", "15")
        else:
            raise SystemExit(f"--only {name}: there is runtime, w1, w2, iv, load, start, live")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
