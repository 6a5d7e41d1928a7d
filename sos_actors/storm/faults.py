"""The storm: which fault strikes when, drawn from a seed, as a plain list that can be cut down."""

from __future__ import annotations

import random

import msgspec

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.sandbox.exchange import FAULTS

#: Faults of the simulated exchange that a trader must survive without harm. Left out are those that lie about what was
#: traded (a trader can only believe the books) or that stand for a broker that changed its interface.
AT_THE_EXCHANGE = tuple(name for name in FAULTS if name not in {"phantom_fill", "odd_fill", "unknown_word"})
#: Faults between exchange and process, and in the process: kind -> (share of draws, seconds least, seconds most).
AROUND: dict[str, tuple[int, float, float]] = {
    "lost_request": (3, 0, 0),
    "stuck_request": (3, 1, 18),
    "stream_down": (2, 1, 30),
    "broker_restart": (1, 1, 20),
    "halt": (1, 5, 60),
    "ticks_lost": (2, 2, 60),
    "ticks_late": (2, 2, 30),
    "ticks_doubled": (2, 2, 60),
    "quotes_crossed": (2, 2, 30),
    "quotes_zero": (2, 2, 30),
    "feed_stale": (2, 5, 90),
    "clock_step": (1, 1, 60),
    "strategy_crash": (2, 0, 0),
    "vital_crash": (2, 1, 15),
    "killed": (3, 1, 30),
    "power_lost": (2, 5, 60),
    "disk_full": (1, 5, 60),
    "account_halted": (1, 0, 0),
}


class Fault(msgspec.Struct, frozen=True):
    """One fault. `at` UTC ns; `seconds` how long; `count` how often, or for a crash after how many deliveries."""

    at: int
    kind: str
    seconds: float = 0.0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.kind} ({self.seconds:.1f} s, {self.count})"


def schedule(seed: int, start: int, end: int, per_hour: float) -> tuple[Fault, ...]:
    """Draw the faults of one session between two instants (UTC ns), oldest first."""
    rng = random.Random(f"storm {seed}")
    count = max(1, round(per_hour * (end - start) / (3_600 * SECOND_NS) * rng.uniform(0.3, 1.7)))
    kinds = [*AROUND]
    shares = [AROUND[kind][0] for kind in kinds]
    found = []
    halted = False
    for at in sorted(rng.randrange(start, end) for _ in range(count)):
        if rng.random() < 0.5:
            found.append(Fault(at, rng.choice(AT_THE_EXCHANGE), 0.0, rng.randint(1, 3)))
            continue
        kind = rng.choices(kinds, shares)[0]
        if kind == "account_halted":
            late = at - start > 0.2 * (end - start)  # a halted account trades no more: nothing left to be tested
            if halted or not late:
                continue
            halted = True
        _, least, most = AROUND[kind]
        found.append(Fault(at, kind, round(rng.uniform(least, most), 1), rng.randint(1, 400)))
    return tuple(found)
