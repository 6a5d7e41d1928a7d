"""Implied volatility and Greeks against other libraries: one run, same inputs, alternating turns, medians.

    python bench/iv.py [--rounds N] [--peers A,B] [--json F]

Every peer runs in a process of its own, bound to one core where the system lets us (Linux), and answers one request at
a time while the others sleep. Times are CPU seconds, so that neither a busy machine nor a peer's threads blur them. A
peer is used when its virtual environment is found as `$PEERS_VENVS/<peer>/bin/python` (default `peers-venvs/<peer>`;
QuantLib-default uses QuantLib's), or when the library can be imported here; the rest are listed as absent. The packages
of each environment are in `PEERS`. QuantLib stops at 1e-13, QuantLib-default where it stops unless told.

Two inputs: `chain`, 160 contracts seven days from expiry, one call; and `sample`, 60,000 contracts (6,000 for peers
that loop in Python): spot 24,000, rate 6.5 %, strikes within 10 %, volatility 8 to 60 %, 30 minutes to 30 days
(log-uniform). Each figure is options a second, the median over the rounds of the mean call of a round. Error is the
largest |volatility error| where vega exceeds one rupee per unit of volatility, as far as the peer answered.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module as load
from pathlib import Path
from statistics import median

import numpy as np

OURS = "sos-actors"
RATE = 0.065
#: CPU seconds one measurement takes at least, where one call is shorter.
TURN = 0.1
#: Peer: (module it needs, packages of its environment, whether it loops in Python over contracts).
PEERS = {
    "fast-vollib": ("fast_vollib", ("fast-vollib",), False),
    "fast-vollib-numba": ("fast_vollib", ("fast-vollib", "numba"), False),
    "fast-vollib-jax": ("fast_vollib", ("fast-vollib", "jax"), False),
    "QuantLib": ("QuantLib", ("QuantLib", "numpy"), False),
    "QuantLib-default": ("QuantLib", ("QuantLib", "numpy"), False),
    "py_vollib": ("py_vollib", ("py_vollib",), True),
    "py_lets_be_rational": ("py_lets_be_rational", ("py_lets_be_rational", "numpy"), True),
    "lets_be_rational": ("lets_be_rational", ("lets_be_rational", "numpy"), True),
}
TASKS = [(size, task) for task in ("iv", "greeks") for size in ("chain", "sample")]
COLUMNS = ("price", "forward", "strike", "years", "sigma", "discount", "is_call")


def contracts(count, seed, years=None):
    """Rows of COLUMNS [7, count]; years log-uniform from half an hour to 30 days unless given."""
    rng = np.random.default_rng(seed)
    if years is None:
        years = np.exp(rng.uniform(np.log(0.5 / 24 / 365), np.log(30 / 365), count))
    years = np.broadcast_to(years, count)
    forward, discount = 24_000.0 * np.exp(RATE * years), np.exp(-RATE * years)
    strike, sigma = 24_000.0 * rng.uniform(0.9, 1.1, count), rng.uniform(0.08, 0.6, count)
    is_call = rng.random(count) < 0.5
    value = load("sos_actors.quant.black").price(forward, strike, years, sigma, discount, is_call)
    return np.array([value, forward, strike, years, sigma, discount, is_call])


def worker_ours(data):
    greeks, implied_vol = load("sos_actors.quant.black").greeks, load("sos_actors.quant.implied").implied_vol
    value, forward, strike, years, sigma, discount, is_call = data
    side = is_call > 0
    return (
        lambda: implied_vol(value, forward, strike, years, discount, side),
        lambda: greeks(forward, strike, years, sigma, discount, side),
    )


def worker_fast_vollib(data, backend):
    fast_vollib = load("fast_vollib")
    value, forward, strike, years, sigma, _, is_call = data
    flag = np.where(is_call > 0, "c", "p")
    return (
        lambda: fast_vollib.fast_implied_volatility_black(
            value, forward, strike, RATE, years, flag, on_error="ignore", return_as="numpy", backend=backend
        ),
        lambda: fast_vollib.get_all_greeks(
            flag, forward, strike, years, RATE, sigma, model="black", return_as="dict", backend=backend
        ),
    )


def worker_quantlib(data, accuracy=1e-6):
    ql = load("QuantLib")
    guess = ql.nullDouble()  # its own
    value, forward, strike, years, sigma, discount, is_call = (row.tolist() for row in data)
    side = [ql.Option.Call if call else ql.Option.Put for call in is_call]
    roots = [t**0.5 for t in years]
    none = float("nan")

    def one(row):
        kind, k, f, p, d, root = row
        try:
            return ql.blackFormulaImpliedStdDev(kind, k, f, p, d, 0.0, guess, accuracy) / root
        except RuntimeError:
            return none

    def sensitivities(row):
        kind, k, f, s, d, t, root = row
        option = ql.BlackCalculator(ql.PlainVanillaPayoff(kind, k), f, s * root, d)
        spot = f * d
        return option.delta(spot), option.gamma(spot), option.theta(spot, t), option.vega(t), option.rho(t)

    return (
        lambda: [one(row) for row in zip(side, strike, forward, value, discount, roots, strict=True)],
        lambda: [sensitivities(row) for row in zip(side, strike, forward, sigma, discount, years, roots, strict=True)],
    )


def worker_py_vollib(data):
    analytical = load("py_vollib.black.greeks.analytical")
    implied_volatility = load("py_vollib.black.implied_volatility").implied_volatility
    value, forward, strike, years, sigma, _, is_call = (row.tolist() for row in data)
    flag = ["c" if call else "p" for call in is_call]
    functions = [getattr(analytical, name) for name in ("delta", "gamma", "theta", "vega", "rho")]

    def one(p, f, k, t, side):
        try:
            return implied_volatility(p, f, k, RATE, t, side)
        except Exception:  # noqa: BLE001 - its own classes, which differ between its versions
            return float("nan")

    return (
        lambda: [one(*row) for row in zip(value, forward, strike, years, flag, strict=True)],
        lambda: [
            [function(side, f, k, t, RATE, s) for function in functions]
            for side, f, k, t, s in zip(flag, forward, strike, years, sigma, strict=True)
        ],
    )


def worker_rational(data, module):
    solve = load(module).implied_volatility_from_a_transformed_rational_guess
    value, forward, strike, years, _, discount, is_call = (row.tolist() for row in data)

    def one(row):
        p, f, k, t, d, call = row
        try:
            return solve(p / d, f, k, t, 1.0 if call else -1.0)
        except Exception:  # noqa: BLE001 - its own classes, which differ between its versions
            return float("nan")

    return lambda: [one(row) for row in zip(value, forward, strike, years, discount, is_call, strict=True)], None


def worker(name, folder):
    """Answer requests 'input iv|greeks' on stdin with CPU seconds a call on stdout, until stdin ends."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    makers = {
        OURS: worker_ours,
        "QuantLib-default": worker_quantlib,
        "QuantLib": lambda data: worker_quantlib(data, 1e-13),
        "fast-vollib": lambda data: worker_fast_vollib(data, "numpy"),
        "fast-vollib-numba": lambda data: worker_fast_vollib(data, "numba"),
        "fast-vollib-jax": lambda data: worker_fast_vollib(data, "jax"),
        "py_vollib": worker_py_vollib,
    }
    module = PEERS[name][0] if name in PEERS else ""
    make = makers.get(name, lambda data: worker_rational(data, module))
    jobs = {}
    with np.errstate(all="ignore"):
        for path in sorted(Path(folder).glob("*.npy")):
            data = np.load(path)
            if name in PEERS and PEERS[name][2]:
                data = data[:, :6000]
            jobs[path.stem, "iv"], jobs[path.stem, "greeks"] = make(data)
            found = np.array(jobs[path.stem, "iv"](), dtype=float)  # this also compiles and warms
            np.save(Path(folder) / "answers" / f"{name}.{path.stem}", found)
            if jobs[path.stem, "greeks"]:
                jobs[path.stem, "greeks"]()
        print("ready", flush=True)
        for line in sys.stdin:
            job = jobs[tuple(line.split())]
            calls, start = 0, time.process_time()
            while (spent := time.process_time() - start) < TURN:
                job()
                calls += 1
            print(spent / calls, flush=True)


def start(name, folder):
    """Process of a peer that has said 'ready', or why there is none."""
    python, environment = sys.executable, dict(os.environ)
    if name == OURS:
        root = str(Path(__file__).resolve().parents[1])
        environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
    else:
        own = Path(os.environ.get("PEERS_VENVS", "peers-venvs")) / name.removesuffix("-default") / "bin" / "python"
        if own.exists():
            python = str(own.absolute())
        elif name.endswith(("-numba", "-jax")) or importlib.util.find_spec(PEERS[name][0]) is None:
            return f"absent: needs {' '.join(PEERS[name][1])}"
    log = Path(folder) / f"{name}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [python, __file__, "--worker", name, folder],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    while line := process.stdout.readline():
        if line.strip() == "ready":
            return process
    process.wait()
    return f"failed: {(log.read_text().strip().splitlines() or ['no message'])[-1][:100]}"


def compare(names, rounds, folder):
    """Time every peer on both inputs; answers a list of rows and a dictionary of why peers are missing."""
    (folder / "answers").mkdir()
    inputs = {"chain": contracts(160, 1, years=7 / 365), "sample": contracts(60_000, 2)}
    for name, data in inputs.items():
        np.save(folder / name, data)
    started = {name: start(name, str(folder)) for name in names}
    missing = {name: text for name, text in started.items() if isinstance(text, str)}
    processes = {name: process for name, process in started.items() if name not in missing}
    seconds = measure(processes, rounds)
    rows = []
    for name, process in processes.items():
        process.communicate()
        row = {"peer": name}
        answers = {size: np.load(folder / "answers" / f"{name}.{size}.npy") for size in inputs}
        for size, task in TASKS:
            if (name, size, task) in seconds:
                row[f"{task}_{size}_per_s"] = round(len(answers[size]) / median(seconds[name, size, task]))
        rows.append(row | accuracy(inputs["sample"], answers["sample"]))
    return rows, missing


def measure(processes, rounds):
    """CPU seconds a call of every peer, input and task, a list of one figure a round; the peers take turns."""
    seconds = {}
    for _ in range(rounds):
        for size, task in TASKS:
            for name, process in processes.items():
                if task == "greeks" and "lets_be_rational" in name:
                    continue
                process.stdin.write(f"{size} {task}\n")
                process.stdin.flush()
                seconds.setdefault((name, size, task), []).append(float(process.stdout.readline()))
    return seconds


def accuracy(data, answer):
    """Errors of a peer's volatilities of the sample (or its first rows) where vega exceeds 1 a unit of volatility."""
    _, forward, strike, years, sigma, discount, is_call = data[:, : len(answer)]
    greeks = load("sos_actors.quant.black").greeks
    known = 100.0 * greeks(forward, strike, years, sigma, discount, is_call > 0).vega > 1.0
    error = np.abs(answer - sigma)[known]
    unanswered = int(np.isnan(error).sum())
    return {"max_error": float(np.nanmax(error)), "unanswered": unanswered, "compared": int(known.sum())}


def table(rows):
    """Lines of the printed table: thousands a second, and how many times ours is quicker."""
    ours = next(row for row in rows if row["peer"] == OURS)
    keys = [f"{task}_{size}_per_s" for size, task in TASKS]
    heads = ("IV 160", "IV 60,000", "Greeks 160", "Greeks 60,000")
    yield f"{'thousand options/s (ours / peer)':32}" + "".join(f"{head:>17}" for head in heads) + f"{'max error':>11}"
    for row in rows:
        cells = [f"{row[key] / 1e3:,.0f} ({ours[key] / row[key]:.1f}x)" if key in row else "-" for key in keys]
        yield f"{row['peer']:32}" + "".join(f"{cell:>17}" for cell in cells) + f"{row['max_error']:>11.1e}"


def main():
    """Run the comparison, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", default=",".join(PEERS), help="comma-separated names, of: " + ", ".join(PEERS))
    parser.add_argument("--json", metavar="F", help="write the figures to F ('-': standard output, no table)")
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    names = [name for name in options.peers.split(",") if name]
    if unknown := set(names) - set(PEERS):
        parser.error(f"unknown peer {', '.join(sorted(unknown))}; known: {', '.join(PEERS)}")
    with tempfile.TemporaryDirectory() as folder:
        rows, missing = compare([OURS, *names], max(options.rounds, 1), Path(folder))
    if OURS in missing:
        sys.exit(f"{OURS}: {missing[OURS]}")
    if options.json != "-":
        print("\n".join(table(rows)))
        for name, text in missing.items():
            print(f"{name:32}{text}")
    if options.json:
        text = json.dumps({"rows": rows, "missing": missing, "rounds": options.rounds}, indent=1)
        if options.json == "-":
            print(text)
        else:
            Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
