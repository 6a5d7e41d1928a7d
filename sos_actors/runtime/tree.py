"""What the live stage says of itself, as plain data (numbers, strings, None) for whoever shows it.

Nothing is asked of an actor: counters and histograms are read from outside while the groups work, actor by
actor, so that a tick on its way does not wait for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sos_actors.runtime.figures import Histogram, spread, summary
from sos_actors.runtime.walltime import SECOND_NS

if TYPE_CHECKING:
    from sos_actors.runtime.group import Group
    from sos_actors.runtime.live import LiveRuntime

#: Steps between two pauses: each pause may cost the time others keep the interpreter.
_AT_ONCE = 8
#: How many instruments of a group are listed whose ticks were merged most.
_TOP = 10


class GiveWay:
    """Lets whoever waits for the interpreter have it, at every eighth call: some 0.2 ms of reading between two."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self) -> None:
        """Note that a little was done."""
        self._calls += 1
        if not self._calls % _AT_ONCE:
            time.sleep(0)


#: What a reader in no special hurry calls between any two steps.
give_way = GiveWay()


def tree(runtime: LiveRuntime, breathe: Callable[[], None] = give_way, *, messages: bool = True) -> dict[str, Any]:
    """Give `now` (UTC ns), `groups`, `actors` (in the order of spawning), `stages` and `dead_letters`.

    Durations whose name ends in _ns are in nanoseconds, _s in seconds. An actor's `depth` is its group's: they share
    a mailbox. `age_s` is the real time since its last message, exact where times are taken, else to the second.
    Latencies are None until something was measured. `breathe` is called between any two actors: an observer that is in
    no hurry can let the trading threads have the interpreter there. Without `messages` the counts by type are left out.
    """
    busy = {group.name: _handling(runtime, group) for group in runtime.groups()}
    return {
        "now": runtime.clock.now,
        "groups": [_group(group, busy[group.name]) for group in runtime.groups()],
        "actors": _actors(runtime, busy, breathe, messages=messages),
        "stages": _stages(runtime),
        "dead_letters": len(runtime.dead_letters),
    }


def hearers(runtime: LiveRuntime, breathe: Callable[[], None] = give_way) -> list[dict[str, Any]]:
    """Say who hears which message, and how many of them came: `message`, `actor`, `topics` (keys), `handled`.

    `breathe` is called between any two topics and actors.
    """
    keys: dict[tuple[str, str], list[str]] = {}
    for topic in runtime.topics():
        breathe()
        for _, port in topic.targets:
            keys.setdefault((port.actor.path, topic.kind.__name__), []).append(topic.key)
    found = []
    for path, member in runtime.members():
        breathe()
        for kind, port in list(member.actor.ports.items()):
            heard = keys.get((path, kind.__name__), [])
            if heard or port.handled:
                found.append({"message": kind.__name__, "actor": path, "topics": heard, "handled": port.handled})
    return found


def _handling(runtime: LiveRuntime, group: Group) -> tuple[str, float]:
    return ("", 0.0) if runtime.driver is None else runtime.driver.handling(group)


def _group(group: Group, busy: tuple[str, float]) -> dict[str, Any]:
    path, seconds = busy
    return {
        "group": group.name,
        "depth": group.depth(),
        "high_water": group.high_water,
        "merged": group.merged.total(),
        "merged_most": dict(group.merged.copy().most_common(_TOP)),
        "threads_given_up": group.abandoned,
        "handling": path,
        "handling_s": seconds,
    }


def _actors(
    runtime: LiveRuntime, busy: dict[str, tuple[str, float]], breathe: Callable[[], None], *, messages: bool
) -> list[dict[str, Any]]:
    letters = runtime.dead_letters.by_path()
    groups = {group.name: group for group in runtime.groups()}
    found = []
    for one in runtime.stats():
        breathe()
        group = groups[one.group]
        handling, seconds = busy[one.group]
        working = handling == one.path
        state = "benched" if one.benched else "stopped" if one.stopped else "handling" if working else "waiting"
        found.append(
            {
                "path": one.path,
                "kind": one.kind,
                "group": one.group,
                "state": state,
                "handling_s": seconds if working else 0.0,
                "depth": group.depth(),
                "handled": one.handled,
                "restarts": one.restarts,
                "failures": one.failures,
                "benched": one.benched,
                "dead_letters": letters[one.path],
                **({"messages": _messages(runtime, one.path)} if messages else {}),
                **_times(runtime, group, one.path),
            }
        )
    return found


def _messages(runtime: LiveRuntime, path: str) -> dict[str, int]:
    """Give how many messages of each type an actor has handled."""
    actor = runtime.member_at(path)
    ports = {} if actor is None else actor.ports
    return {kind.__name__: port.handled for kind, port in ports.items() if port.handled}


def _times(runtime: LiveRuntime, group: Group, path: str) -> dict[str, Any]:
    """Rate, age and latencies of one actor."""
    actor = runtime.member_at(path)
    ports = () if actor is None else tuple(actor.ports.values())
    figures = [one for one in map(group.figures.get, ports) if one is not None]
    driver = runtime.driver
    last = max((one.last for one in figures), default=0)
    if not last and driver is not None:
        last = driver.last_seen.get(path, 0)
    waiting = summary(one.waiting for one in figures[:1])
    handling = summary(one.handling for one in figures[:1])
    return {
        "rate": None if driver is None else driver.rates.get(path, 0.0),
        "age_s": (runtime.monotonic() - last) / SECOND_NS if last else None,
        "busy_s": sum(one.busy for one in figures) / SECOND_NS,
        "wait_p50_ns": waiting["p50"],
        "wait_p99_ns": waiting["p99"],
        "wait_max_ns": waiting["max"],
        "handle_p50_ns": handling["p50"],
        "handle_p99_ns": handling["p99"],
        "handle_max_ns": handling["max"],
    }


def _stages(runtime: LiveRuntime) -> dict[str, Any]:
    return {name: summary(histograms) for name, histograms in _by_stage(runtime).items()}


def stage_counts(runtime: LiveRuntime, bounds_s: Sequence[float]) -> dict[str, list[int]]:
    """Count the latencies of each stage up to each bound (seconds, ascending), and last those above all."""
    bounds = [round(bound * SECOND_NS) for bound in bounds_s]
    return {name: spread(histograms, bounds) for name, histograms in _by_stage(runtime).items()}


def _by_stage(runtime: LiveRuntime) -> dict[str, list[Histogram]]:
    parts: dict[str, list[Histogram]] = {}
    for group in runtime.groups():
        for name, histogram in group.stages.copy().items():
            parts.setdefault(name, []).append(histogram)
    return parts
