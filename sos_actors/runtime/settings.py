"""Settings of the live stage: threads, mailboxes, budgets, measuring."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

#: Group of what is not listed: the ordered thread that decides.
CORE = "core"
#: Instead of a group's name: every actor of the kind has a thread of its own, named by its path.
OWN = "own"


class RuntimeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Threads of the live stage, their mailboxes, and how long a message may take."""

    groups: dict[str, str] = msgspec.field(
        default_factory=lambda: {
            "strategy": "strategies",
            "feed": "feed",
            "orders": "orders",
            "broker": "broker",
            "recorder": "recorder",
        }
    )
    """First part of an actor's path -> the group (thread) it runs in; `own`: a thread for each actor; what is not
    listed runs in `core`."""
    measure: bool = True
    """Take the time of every message. Without it there are counts but no latencies."""
    conflate_above: int = 1_000
    """Messages waiting in a group above which ticks of one instrument become one; 0: never."""
    warn_depth: int = 10_000
    """Messages waiting in a group that are worth a warning."""
    budgets_s: dict[str, float] = msgspec.field(default_factory=lambda: {"strategy": 5.0, "gaps": 0.0})
    """First part of an actor's path -> real seconds one message may take before the actor counts as hanging; 0: no
    limit (filling gaps waits for the broker's rate limit)."""
    budget_s: float = 30.0
    """The same for every other actor; 0: no limit."""
    scan_s: float = 0.05
    """Real seconds between two looks at every group: what a hang's length is known by."""
    snapshot_s: float = 1.0
    """Real seconds between two rounds in which every actor says what it holds; 0: on request or for the record only."""
    stop_s: float = 20.0
    """Real seconds an orderly stop may take in all."""
    group_stop_s: float = 5.0
    """Real seconds of it that one group may take."""
    stop_first: tuple[str, ...] = ("feed",)
    """Groups whose actors stop before what is under way is worked off: those that bring new data in."""
    stages: dict[str, str] = msgspec.field(
        default_factory=lambda: {
            "Tick": "taken",
            "Signal": "signal",
            "OrderIntent": "decision",
            "SendPlace": "order",
            "SendModify": "exit",
        }
    )
    """Message type -> name of the stage that is reached when one is delivered; its latency counts from the receipt of
    the tick (or other message from outside) that caused it."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.conflate_above < 0 or self.warn_depth < 1:
            raise ValueError("runtime: write conflate_above of 0 or more, warn_depth of 1 or more")
        if self.budget_s < 0 or any(value < 0 for value in self.budgets_s.values()) or self.snapshot_s < 0:
            raise ValueError("runtime: write budgets and snapshot_s of 0 or more")
        if not (0.001 <= self.scan_s <= 1 and self.stop_s > 0 and self.group_stop_s > 0):
            raise ValueError("runtime: write scan_s from 0.001 to 1, stop_s and group_stop_s of more than 0")

    def budget_of(self, path: str) -> float:
        """Real seconds one message to this actor may take; 0: no limit."""
        return self.budgets_s.get(path.partition("/")[0], self.budget_s)


def group_of(groups: Mapping[str, str], path: str) -> str:
    """Give the group (thread) of an actor by the first part of its path; `own` is a thread named by the path."""
    group = groups.get(path.partition("/")[0], CORE)
    return path if group == OWN else group
