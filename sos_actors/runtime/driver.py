"""The thread that drives the live stage: fires timers, watches for hangs, samples, asks for snapshots."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from loguru import logger

from sos_actors.messages import ClockStepped
from sos_actors.runtime.base import EscalatedError
from sos_actors.runtime.group import Group
from sos_actors.runtime.walltime import SECOND_NS, Read, StepWatch
from sos_actors.runtime.worker import Worker

if TYPE_CHECKING:
    from sos_actors.runtime.live import LiveRuntime


class _Seen:
    """How far a group was when it was last seen to have gone on; `at` is monotonic ns."""

    __slots__ = ("at", "deep", "delivered", "worker")

    def __init__(self, worker: Worker, at: int) -> None:
        self.worker = worker
        self.delivered = worker.delivered
        self.at = at
        self.deep = False


class Driver:
    """Timers into mailboxes at wall time, and a look at every group each `scan_s`.

    A group hangs when for longer than the budget of what it handles it has finished nothing although something waits;
    an idle group is sent a ping, so that something does. Time in which this thread itself was held up (the machine
    was asleep, the process stopped) does not count.
    """

    def __init__(self, runtime: LiveRuntime, step_ns: int, system: Read = time.time_ns) -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        self._system = system
        self._step_ns = step_ns
        self._seen: dict[str, _Seen] = {}
        self._handled: dict[str, int] = {}
        #: By path: messages a second over the last second, and the monotonic ns of the last look that found new ones.
        self.rates: dict[str, float] = {}
        self.last_seen: dict[str, int] = {}
        self._stopping = False
        self.thread = threading.Thread(target=self._run, name="sos-clock", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        monotonic = self._runtime.monotonic()
        self._look_ns = _look_ns(self._runtime)
        self._steps = StepWatch(self._step_ns, monotonic, self._system())
        self._scanned = self._sampled = self._looked = monotonic
        self.thread.start()

    def stop(self, timeout: float) -> None:
        """End the thread: no timer fires any more."""
        self._stopping = True
        changed = self._runtime.live_clock.changed
        if changed.acquire(timeout=timeout):
            changed.notify_all()
            changed.release()
        self.thread.join(timeout)

    def _run(self) -> None:
        try:
            self._drive()
        except BaseException as error:  # noqa: BLE001 - without this thread there is no time: the process must end
            logger.exception("the clock's thread failed")
            self._runtime.escalated = EscalatedError(f"the clock's thread failed: {error!r}")

    def _drive(self) -> None:
        clock = self._runtime.live_clock
        scan_ns = int(self._settings.scan_s * SECOND_NS)
        while not self._stopping:
            with clock.changed:
                delay = clock.fire_due()
                rest = (self._scanned + scan_ns - self._runtime.monotonic()) / SECOND_NS
                if delay > 0 and rest > 0 and not self._stopping:
                    clock.changed.wait(min(delay, rest))
            now = self._runtime.monotonic()
            if now - self._scanned >= scan_ns and not self._stopping:
                late = now - self._scanned - 2 * scan_ns
                self._scanned = now
                self._watch(now, max(late, 0))
                self._now_and_then(now)

    # -- hangs -------------------------------------------------------------------------------------------------

    def _watch(self, now: int, late: int) -> None:
        for group in self._runtime.groups():
            worker = group.worker
            seen = self._seen.get(group.name)
            if seen is None or seen.worker is not worker or seen.delivered != worker.delivered:
                deep = seen is not None and seen.deep
                seen = self._seen[group.name] = _Seen(worker, now)
                seen.deep = deep
            seen.at += late
            depth = group.depth()
            self._note_depth(group, seen, depth)
            if not worker.thread.is_alive():
                self._runtime.thread_ended(group, worker)
            elif depth == 0:
                group.send_ping()
            else:
                self._judge(group, seen, now)

    def _judge(self, group: Group, seen: _Seen, now: int) -> None:
        entry = seen.worker.entry
        if entry is None:
            return
        path = entry[0].actor.path
        budget = self._settings.budget_of(path)
        spent = (now - seen.at) / SECOND_NS
        if budget and spent > budget:
            self._runtime.hung(group, seen.worker, seen.delivered, entry, spent)

    def _note_depth(self, group: Group, seen: _Seen, depth: int) -> None:
        group.high_water = max(group.high_water, depth)
        limit = self._settings.warn_depth
        if depth > limit and not seen.deep:
            logger.warning("group '{}': {} messages wait (runtime.warn_depth {})", group.name, depth, limit)
        if depth > limit or depth < limit // 2:
            seen.deep = depth > limit

    def handling(self, group: Group) -> tuple[str, float]:
        """Give the path a group is busy with and for how many seconds it has been; '' and 0 when it is not."""
        seen = self._seen.get(group.name)
        worker = group.worker
        if seen is None or seen.worker is not worker or seen.delivered != worker.delivered or not group.depth():
            return "", 0.0
        entry = worker.entry
        path = "" if entry is None else entry[0].actor.path
        return path, max(0.0, (self._runtime.monotonic() - seen.at) / SECOND_NS)

    # -- now and then ------------------------------------------------------------------------------------------

    def _now_and_then(self, now: int) -> None:
        if now - self._sampled >= SECOND_NS:
            self._sample(now, (now - self._sampled) / SECOND_NS)
            self._sampled = now
            self._check_step()
        if self._look_ns and now - self._looked >= self._look_ns:
            self._looked = now
            self._runtime.publish_snapshots()

    def _sample(self, now: int, seconds: float) -> None:
        for one in self._runtime.stats():
            new = one.handled - self._handled.get(one.path, 0)
            self._handled[one.path] = one.handled
            self.rates[one.path] = max(new, 0) / seconds
            if new:
                self.last_seen[one.path] = now

    def _check_step(self) -> None:
        runtime = self._runtime
        by = self._steps.step(runtime.monotonic(), self._system())
        wall = runtime.live_clock.wall
        if not by or wall is None:
            return
        follows = by > 0 and wall.is_real
        if follows:
            runtime.live_clock.set_ahead(by)
        then = "the live clock follows" if follows else "the live clock goes on as before"
        logger.error("the system's clock was set by {:+.3f} s; {}", by / SECOND_NS, then)
        runtime.publish(ClockStepped(runtime.clock.now, by, follows))


def _look_ns(runtime: LiveRuntime) -> int:
    """Give the real ns from one round of looks to the next: as observers want them, or the record; 0: none does."""
    wall, checkpoints = runtime.live_clock.wall, runtime.checkpoints
    kept = 0 if wall is None or checkpoints is None else int(checkpoints.every_ns / wall.speed)
    return min(filter(None, (int(runtime.settings.snapshot_s * SECOND_NS), kept)), default=0)
