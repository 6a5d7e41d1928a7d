"""How long things take: counts in fixed, logarithmically spaced buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

#: Buckets: four to each doubling, so that a figure read from them is off by an eighth at most.
_BUCKETS = 256


class Histogram:
    """Durations in ns. One thread adds, any thread reads."""

    __slots__ = ("counts", "largest")

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS
        self.largest = 0

    def add(self, ns: int) -> None:
        """Count one duration; what is below 4 ns counts as 4."""
        if ns > self.largest:  # noqa: PLR1730 - a call costs more than the rest of this
            self.largest = ns
        if ns < 4:  # noqa: PLR1730 - as above
            ns = 4
        power = ns.bit_length()
        self.counts[(power << 2) + (ns >> (power - 3) & 3)] += 1

    def read(self) -> dict[str, Any]:
        """Give count, p50, p99 and the largest, in ns."""
        return summary((self,))


def summary(histograms: Iterable[Histogram]) -> dict[str, Any]:
    """Give count, p50, p99 and the largest (ns) of several histograms together; None where nothing was counted."""
    parts = list(histograms)
    # Hundreds of actors are summed up while the daemon works: all of this stays inside the interpreter's own loops.
    counts = parts[0].counts if len(parts) == 1 else list(map(sum, zip(*(part.counts for part in parts), strict=True)))
    running = list(accumulate(counts))
    total = running[-1] if running else 0
    largest = max((part.largest for part in parts), default=0)
    return {
        "count": total,
        "p50": _quantile(running, total, 0.5, largest),
        "p99": _quantile(running, total, 0.99, largest),
        "max": largest if total else None,
    }


def spread(histograms: Iterable[Histogram], bounds_ns: Sequence[int]) -> list[int]:
    """Count durations up to each bound (ascending, ns), and last those above all; a bucket counts by its middle."""
    found = [0] * (len(bounds_ns) + 1)
    for histogram in histograms:
        for place, count in enumerate(histogram.counts):
            if count:
                found[bisect_left(bounds_ns, _middle(place))] += count
    return found


def _middle(place: int) -> int:
    """Give the duration (ns) in the middle of a bucket."""
    power, quarter = place >> 2, place & 3
    return (2 * (4 + quarter) + 1) << (power - 3) >> 1


def _quantile(running: list[int], total: int, share: float, largest: int) -> int | None:
    """Give the duration up to which that share of all lies; `running` are the counts summed up bucket by bucket."""
    if not total:
        return None
    return min(_middle(bisect_left(running, max(share * total, 1))), largest)


class PortFigures:
    """What is measured of one port of an actor; the histograms are the actor's. Written by its group's thread alone."""

    __slots__ = ("busy", "handling", "last", "stage", "waiting")

    def __init__(self, stage: Histogram | None, shared: PortFigures | None = None) -> None:
        """`shared`: the figures of another port of the same actor, the first has none."""
        #: ns spent in handlers.
        self.busy = 0
        #: Monotonic ns at which the last message had been handled.
        self.last = 0
        self.handling: Histogram = Histogram() if shared is None else shared.handling
        self.waiting: Histogram = Histogram() if shared is None else shared.waiting
        #: Where the time since the origin of the message counts.
        self.stage = stage

    def note(self, waited: int, took: int, ended: int) -> None:
        """Take in one delivery, all ns. `Histogram.add` twice, written out: every message measured comes by here."""
        self.last = ended
        self.busy += took
        histogram = self.handling
        histogram.largest = max(histogram.largest, took)
        took |= 4
        power = took.bit_length()
        histogram.counts[(power << 2) + (took >> (power - 3) & 3)] += 1
        histogram = self.waiting
        histogram.largest = max(histogram.largest, waited)
        waited |= 4
        power = waited.bit_length()
        histogram.counts[(power << 2) + (waited >> (power - 3) & 3)] += 1
