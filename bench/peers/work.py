"""The two works every engine is given, and how a run is timed and reported: one JSON line on stdout.

W1  EMA(8) against EMA(21) of the close on one instrument, always in the market with one unit: long while the fast one
    is above, else short, from the 21st bar on. Expected on w1: 4,502 flips (the first entry counts), equity
    99,944,181.43.
W2  161 instruments a minute. Every minute the put-call ratio of open interest; ten times a session one lot of the
    at-the-money call (ratio above one) or put is bought and sold 20 minutes later. Expected: 50 round trips, mean ratio
    1.03785465, equity 100,039,940.95.
W3  W1 for each of the 200 pairs SWEEP, always from the slow span's bar on. Expected on w1: 493,172 flips in all.
All pay FEE of the traded value on each side and start with CASH.
"""

import contextlib
import json
import os
import platform
import resource
import time
from pathlib import Path

import numpy as np

FAST, SLOW = 8, 21
FEE = 0.0003
CASH = 100_000_000.0
LOT = 75
SESSION = 375
MINUTE = 60_000_000_000
ENTRY_MINUTES = frozenset(range(15, 365, 35))
SWEEP = tuple((fast, slow) for fast in range(4, 24, 2) for slow in range(24, 104, 4))
EXIT_MINUTES = frozenset(minute + 20 for minute in ENTRY_MINUTES)
_DATA = Path(os.environ.get("PEERS_DATA", "peers-data"))


def index_data(name):
    """Minute starts [n] and bars [n, 5] of w1 or w1x10."""
    return np.load(_DATA / f"{name}_ts.npy"), np.load(_DATA / f"{name}_ohlcv.npy")


def chain_data():
    """Minute starts [n], bars [161, n, 6] and strikes [80] of w2."""
    return np.load(_DATA / "w2_ts.npy"), np.load(_DATA / "w2_bars.npy"), np.load(_DATA / "w2_strikes.npy")


def at_the_money(spot, strikes):
    """Index of the strike nearest to the spot."""
    nearest = round((spot - strikes[0]) / (strikes[1] - strikes[0]))
    return max(0, min(int(nearest), len(strikes) - 1))


class Report:
    """Collects timings and figures of one run."""

    def __init__(self, work, peer, **versions):
        self.fields = {"work": work, "peer": peer, "versions": {"python": platform.python_version(), **versions}}

    @contextlib.contextmanager
    def timed(self, what):
        """Wall time as `<what>_s` and processor time, finished children included, as `<what>_cpu_s`."""
        wall, cpu = time.perf_counter(), _cpu_s()
        yield
        self.fields[f"{what}_s"] = round(time.perf_counter() - wall, 4)
        self.fields[f"{what}_cpu_s"] = round(_cpu_s() - cpu, 4)

    def print(self, **figures):
        """Write the line."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**self.fields, **figures, "rss_mb": round(peak)}), flush=True)


def _cpu_s():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
