"""How long things take: counts in fixed, logarithmically spaced buckets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
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
    counts = [sum(column) for column in zip(*(part.counts for part in parts), strict=True)] if parts else []
    total = sum(counts)
    largest = max((part.largest for part in parts), default=0)
    return {
        "count": total,
        "p50": _quantile(counts, total, 0.5, largest),
        "p99": _quantile(counts, total, 0.99, largest),
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


def _quantile(counts: list[int], total: int, share: float, largest: int) -> int | None:
    if not total:
        return None
    wanted = share * total
    seen = 0
    for place, count in enumerate(counts):
        seen += count
        if seen >= wanted and count:
            return min(_middle(place), largest)
    return largest


class PortFigures:
    """What is measured of one port of one actor. Written by its group's thread alone."""

    __slots__ = ("busy", "handling", "last", "stage", "waiting")

    def __init__(self, stage: Histogram | None) -> None:
        #: ns spent in handlers.
        self.busy = 0
        #: Monotonic ns at which the last message had been handled.
        self.last = 0
        self.handling = Histogram()
        self.waiting = Histogram()
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
