"""Many seeds: each played, a failing one cut down to the faults it needs, with the command that plays it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from sos_actors.storm.faults import Fault, schedule
from sos_actors.storm.session import Result, play, span

#: Faults an hour, on the average, where nothing else is asked for.
PER_HOUR = 40.0


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A seed that broke a promise: what it broke, and the fewest faults (numbers and words) that still do."""

    seed: int
    violations: tuple[str, ...]
    faults: tuple[tuple[int, str], ...]
    command: str


class Figures(msgspec.Struct, kw_only=True):
    """What many sessions came to."""

    seeds: int = 0
    hours: float = 0.0
    deliveries: int = 0
    deaths: int = 0
    orders: int = 0
    executions: int = 0
    checks: int = 0
    struck: dict[str, int] = {}
    failed: list[int] = []

    def add(self, result: Result, hours: float) -> None:
        """Count one session."""
        self.seeds += 1
        self.hours += hours
        for name in ("deliveries", "deaths", "orders", "executions", "checks"):
            setattr(self, name, getattr(self, name) + getattr(result, name))
        self.struck = dict(Counter(self.struck) + Counter(result.struck))
        if result.violations:
            self.failed.append(result.seed)


def faults_of(
    seed: int, hours: float, per_hour: float = PER_HOUR, only: Iterable[int] | None = None
) -> dict[int, Fault]:
    """Give a seed's faults by number; those of `only`, where given."""
    found = dict(enumerate(schedule(seed, *span(hours), per_hour)))
    return found if only is None else {number: found[number] for number in only if number in found}


def run(seeds: Iterable[int], hours: float, per_hour: float = PER_HOUR) -> Iterator[Result]:
    """Play these seeds one after the other."""
    for seed in seeds:
        yield play(seed, hours, tuple(faults_of(seed, hours, per_hour).values()))


def shrink(seed: int, hours: float, per_hour: float, result: Result, *, tries: int = 60) -> Failure:
    """Take faults away, in ever smaller lots, for as long as the same promise is still broken."""
    broken = kinds(result)
    kept = faults_of(seed, hours, per_hour)
    size = max(1, len(kept) // 2)
    while tries > 0:
        numbers = list(kept)
        for begin in range(0, len(numbers), size):
            lot = numbers[begin : begin + size]
            fewer = {number: fault for number, fault in kept.items() if number not in lot}
            tries -= 1
            again = play(seed, hours, tuple(fewer.values()))
            if kinds(again) & broken:
                kept, result = fewer, again
            if tries <= 0:
                break
        if size == 1:
            break
        size = max(1, size // 2)
    only = ",".join(map(str, kept)) or "none"
    command = f"python run_actors.py simulate --seed {seed} --hours {hours:g} --rate {per_hour:g} --faults {only}"
    words = tuple((number, str(fault)) for number, fault in kept.items())
    return Failure(seed=seed, violations=result.violations, faults=words, command=command)


def kinds(result: Result) -> set[str]:
    """Give the names of the promises that were broken."""
    return {text.split(":", 1)[0] for text in result.violations}
