"""Settings of the interpreter itself: for a process that must answer soon all day, and for one that runs through."""

from __future__ import annotations

import gc
import sys

#: Seconds a thread may keep the interpreter while another wants it; Python's own 5 ms are a tick's whole budget.
SWITCH_S = 0.0005


#: How often the collector may look at everything there is: not within a day, for all threads stand still for 0.1 s.
_HARDLY_EVER = 1_000_000


def tune_for_latency() -> None:
    """Let threads take turns sooner, and the garbage collector look at young objects only.

    To be called once everything is up. What young objects leave behind in cycles waits for `sweep`. Measured with
    bench/live.py on two cores: of 100 ticks the slowest takes 5 ms in place of 11 from its receipt to whom it is for.
    """
    sys.setswitchinterval(SWITCH_S)
    sweep()
    gc.set_threshold(100_000, 50, _HARDLY_EVER)


def tune_for_throughput() -> None:
    """Let the garbage collector look seldom: for a process that runs a backtest and ends.

    What a backtest makes is nearly all kept or gone by its count of references: its messages form no cycles.
    """
    gc.set_threshold(50_000, 20, 100)


def sweep() -> None:
    """Collect all garbage, and leave what remains alone from now on: while nobody waits for a tick."""
    gc.collect()
    gc.freeze()
