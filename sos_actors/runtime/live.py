"""The threaded stage: dispatch groups, one thread and one ordered queue each.

Which actors share a thread is configuration: the decision core on one, each edge on its own, strategies on
theirs, so that one that hangs or crashes harms no other. Simulated time runs here too (`run`): the clock moves on
only when every group is quiet, which makes a threaded backtest decide exactly what a simulated one decides. A daemon
plays history that way first, through the same cast; then `start_wall` lets wall time take over, and `serve` waits.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pykka
from loguru import logger

from sos_actors.messages import ActorBenched, Reinstate
from sos_actors.runtime import halting
from sos_actors.runtime.actor import Actor, Ref, Start
from sos_actors.runtime.base import EscalatedError, Runtime
from sos_actors.runtime.checkpoints import Checkpoints
from sos_actors.runtime.clock import NEVER
from sos_actors.runtime.dead_letters import DeadLetter
from sos_actors.runtime.driver import Driver
from sos_actors.runtime.group import Group, Look
from sos_actors.runtime.live_clock import LiveClock
from sos_actors.runtime.live_topic import LiveTopic
from sos_actors.runtime.settings import RuntimeSettings
from sos_actors.runtime.spreading import Spreading
from sos_actors.runtime.supervision import Directive
from sos_actors.runtime.topics import Port, Topic
from sos_actors.runtime.tree import give_way, tree
from sos_actors.runtime.walltime import WallTime
from sos_actors.runtime.worker import OUTSIDE, Heard, Here, Worker

#: Called in a group's thread before each delivery.
Recorder = Callable[[Heard], None]
#: No times taken, no ticks merged: what a backtest on threads runs with.
PLAIN = RuntimeSettings(measure=False, conflate_above=0)
#: Seconds the watchdog waits for a lock that a hanging actor may hold.
_PATIENCE_S = 1.0


class LiveRuntime(Runtime):
    """Runtime on threads. Call `stop` (or `close`) when done."""

    clock_class = LiveClock
    topic_class = LiveTopic

    def __init__(
        self,
        settings: RuntimeSettings = PLAIN,
        *,
        strict: bool = False,
        stop_timeout_s: float | None = None,
        recorder: Recorder | None = None,
        checkpoints: Checkpoints | None = None,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`recorder` hears of every delivery before it is made (a journal); it must be quick and must not raise.

        `checkpoints`: where that same journal takes what actors hold.
        """
        self._lock = threading.RLock()
        self.spreading = Spreading()
        self._escalated: EscalatedError | None = None
        self._made: list[Actor] | None = None
        self.settings = settings
        self.measured = settings.measure or recorder is not None
        self.recorder = recorder
        self.checkpoints = checkpoints
        self.monotonic = monotonic
        self.live_clock: LiveClock  # enters itself: it is there before the first delivery, which is its own start
        self.here = Here()
        self.serials = itertools.count()
        self.driver: Driver | None = None
        self._groups: dict[str, Group] = {}
        self._stop_timeout_s = settings.stop_s if stop_timeout_s is None else stop_timeout_s
        super().__init__(strict=strict)
        self.start_clock()

    @property
    def serial(self) -> int:
        """Number of the delivery under way on the present thread; OUTSIDE where there is none."""
        worker = self.here.worker
        return OUTSIDE if worker is None else worker.serial

    @property
    def wall(self) -> WallTime | None:
        """Wall time; None while simulated time is played."""
        return self.live_clock.wall

    # The first failure is the one that is told.
    @property
    def escalated(self) -> EscalatedError | None:
        """The failure after which nothing may go on."""
        return self._escalated

    @escalated.setter
    def escalated(self, error: EscalatedError | None) -> None:
        if self._escalated is None:
            self._escalated = error

    # -- groups and the cast: on any thread --------------------------------------------------------------------

    def dispatcher_for(self, group: str) -> Group:
        """Give the group's queue, starting its thread if need be."""
        with self._lock:
            found = self._groups.get(group)
            if found is None:
                found = self._groups[group] = Group(group, self)
            return found

    def groups(self) -> list[Group]:
        """Give the groups, in the order they came to be."""
        return list(self._groups.values())

    def spawn(self, kind: type[Actor], path: str, *args: Any, **kwargs: Any) -> Ref:
        """Make and start an actor on any thread; see Runtime.spawn."""
        with self._lock:
            return super().spawn(kind, path, *args, **kwargs)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Spawn actors that must miss nothing of one another: what is spawned within starts when all of it is made.

        An actor hears from when it is made, and may speak from when it starts.
        """
        self._made = []
        try:
            yield
            made = self._made
        finally:
            self._made = None
        for actor in made:
            self._start(actor)

    def _start(self, actor: Actor) -> None:
        if self._made is None:
            super()._start(actor)
        else:
            self._made.append(actor)

    def with_ports(self, path: str, change: Callable[[Port], None]) -> None:
        """Call `change` with every port of an actor while nobody restarts it; raises KeyError without one."""
        with self._lock:
            for port in self._cast[path].actor.ports.values():
                change(port)

    def topics(self) -> list[Topic]:
        """Give every topic there is."""
        return list(self._topics.values())

    def failed(self, actor: Actor, message: Any, error: Exception) -> None:
        """Judge a handler's exception on the thread it was raised in; see Runtime.failed."""
        with self._lock:
            super().failed(actor, message, error)

    def reinstate(self, benched: Actor, message: Reinstate) -> None:
        """Take a benched actor back, in its group's thread; see Runtime.reinstate."""
        with self._lock:
            super().reinstate(benched, message)

    def actor_stopped(self, actor: Actor, reason: str) -> None:
        """Forget a stopped actor; see Runtime.actor_stopped."""
        with self._lock:
            super().actor_stopped(actor, reason)
            group = self._groups[actor.dispatcher.name]
            for port in actor.ports.values():
                group.figures.pop(port, None)

    def watch(self, watcher: str, target: str) -> None:
        """Tell `watcher` with a Terminated message when `target` has stopped for good."""
        with self._lock:
            super().watch(watcher, target)

    def future(self) -> pykka.Future[Any]:
        """Give a future other threads can wait for."""
        return pykka.ThreadingFuture()

    # -- simulated time ----------------------------------------------------------------------------------------

    def run(self, until: int | None = None) -> None:
        """Play simulated time: let the clock move on whenever all is quiet. Raises EscalatedError.

        With `until` (UTC ns) it stops there; timers set for later stay, and wall time can go on from them.
        """
        reached: list[Any] = []
        if until is not None:
            self.live_clock.mark(until, reached.append)
        self.settle()
        while not reached and self.clock.advance():
            self.settle()
            if until is None and self._leaves_interval():
                self._keep_all()
        if until is not None:  # of history one is enough: somebody waits for its end to go live
            self._keep_all()

    def publishing_together(self) -> AbstractContextManager[None]:
        """Let all that is published within be in its mailboxes before any of it is handled."""
        return self.spreading.publishing_together()

    def settle(self, timeout_s: float | None = None) -> bool:
        """Wait until no message waits or is being handled in any group. Raises EscalatedError.

        False when that was not so within `timeout_s` real seconds. Every group is asked how many messages it has
        handled; when two rounds of asking agree, nothing was under way between them, because questions queue behind
        messages.
        """
        settled = halting.settle(self.groups(), timeout_s, self._raise_escalated)
        self._raise_escalated()
        return settled

    def _raise_escalated(self) -> None:
        if self._escalated is not None:
            raise self._escalated

    # -- wall time ---------------------------------------------------------------------------------------------

    def start_wall(self, wall: WallTime, *, catch_up: bool = False, step_ns: int = 1_000_000_000) -> None:
        """Let wall time take over from simulated time, and watch over the groups from now on.

        Sessions may be given to `clock.follow` before or after. Of one under way the phases are told at once and
        the next MinuteClosed is the first to come; `catch_up` has all the past minutes told too. A jump of the
        system's clock of `step_ns` or more is reported. Raises InputError when `wall` lies before what was played.
        """
        if self.driver is not None:
            raise RuntimeError("wall time has been started already")
        self.live_clock.go_live(wall, catch_up=catch_up)
        self.driver = Driver(self, step_ns)
        self.driver.start()

    def serve(self, until: threading.Event) -> None:
        """Wait until the event is set; raises EscalatedError as soon as a vital actor has failed."""
        while not until.wait(0.05):
            self._raise_escalated()
        self._raise_escalated()

    def stop(self, timeout_s: float | None = None) -> tuple[str, ...]:
        """Stop in order, within `timeout_s` (default: the settings') real seconds; gives what was left behind.

        First the timers, then the actors of `stop_first`; then what is under way is worked off; then every other
        actor stops, the last spawned first, each in its own group's thread; then the threads end.
        """
        timeout = self._stop_timeout_s if timeout_s is None else timeout_s
        return halting.Halt(self, timeout).run()

    def close(self) -> None:
        """Stop the actors and end the threads; a group that does not end in time is reported, never waited for."""
        self.stop()

    # -- hangs -------------------------------------------------------------------------------------------------

    def hung(self, group: Group, worker: Worker, delivered: int, entry: Any, seconds: float) -> None:
        """Take out an actor that is over its budget and let its group go on; of a vital one the process ends."""
        port, message = entry[:2]
        path = port.actor.path
        what = f"{path} has been handling {type(message).__name__} for {seconds:.1f} s"
        member = self._cast.get(path)
        if member is None or member.failures.policy.exhausted is Directive.ESCALATE:
            self._escalate(what)
            return
        if not self._lock.acquire(timeout=_PATIENCE_S):
            self._escalate(f"{what} and holds up the rest")
            return
        try:
            if not group.give_up(worker, delivered):
                return
            logger.error("{}: benched, its thread is given up", what)
            self.dead_letters.add(DeadLetter(path, message, "hung", self.clock.now))
            actor = member.actor
            actor.closed = True
            pykka.ActorRegistry.unregister(actor.actor_ref)
            member.benched = True
            self.actor_stopped(actor, "benched")
            worker.interrupt()  # before there is a new thread, which may be given the number of one that has ended
            group.replace(worker)  # only now: what waits for the actor must find it benched
            self.publish(ActorBenched(path, self.clock.now, what))
        finally:
            self._lock.release()

    def thread_ended(self, group: Group, worker: Worker) -> None:
        """Give a group whose thread has ended a new one."""
        if not group.leaving and group.worker is worker:
            group.replace(worker)

    def refuse_abandoned(self, worker: Worker, message: Any) -> None:
        """Take what a thread that was given up still sends: into the dead letters."""
        path = worker.entry[0].actor.path
        self.dead_letters.add(DeadLetter(path, message, "sender was given up", self.clock.now))

    def _escalate(self, text: str) -> None:
        if self._escalated is None:
            logger.error("{}", text)
            self.escalated = EscalatedError(text)

    # -- observers ---------------------------------------------------------------------------------------------

    def publish_snapshots(self) -> None:
        """Let every actor say what it holds: on wall time each in its group's thread, between messages, soon."""
        if self.wall is None:
            super().publish_snapshots()
            return
        by_group: dict[str, list[str]] = {}
        for path, member in self.members():
            if not member.actor.closed:
                by_group.setdefault(member.dispatcher.name, []).append(path)
        for group in self.groups():
            paths = by_group.get(group.name)
            if paths and not group.looking:
                reply = self._keep if self._due(group) else self.snapshots.__setitem__
                group.ask_look(Look(paths[::-1], reply, in_rounds=True))

    def keep_states(self, paths: Iterable[str]) -> None:
        """Have what these actors hold kept in the record, each as soon as what now waits in its group is done."""
        if self.checkpoints is None:
            return
        for path in paths:
            actor = self.member_at(path)
            if actor is not None and not actor.closed:
                self._groups[actor.dispatcher.name].ask_look(Look([path], self._keep))

    def _keep_all(self) -> None:
        """Have what all hold kept while time stands still."""
        if self.checkpoints is not None:
            self.keep_states(self)
            self.settle()

    def _leaves_interval(self) -> bool:
        """Say whether simulated time goes on from here to another interval: all of this one is done."""
        if self.checkpoints is None:
            return False
        following, number = self.clock.next_at(), self.checkpoints.number
        return following < NEVER and number(following) != number(self.clock.now)

    def _due(self, group: Group) -> bool:
        """Say whether what a group holds has not been kept in the present interval of wall time; now it is."""
        number = 0 if self.checkpoints is None else self.checkpoints.number(self.clock.now)
        due = group.kept_in != number
        group.kept_in = number
        return due

    def _keep(self, path: str, said: dict[str, Any]) -> None:
        """Take what an actor says in its group's thread, for observers and for the record."""
        self.snapshots[path] = said
        serial, actor = self.serial, self.member_at(path)
        # What holds before its start was not brought about by any delivery of its group. A thread that follows one that
        # was given up has no number until its first delivery.
        if self.checkpoints is not None and serial >= 0 and actor is not None and actor.ports[Start].handled:
            self.checkpoints.keep((serial, path, self.clock.now, said))

    def snapshot(self, path: str, timeout: float = 1.0) -> dict[str, Any]:
        """Ask one actor what it holds, between two of its messages: for observers' threads, never for actors.

        `timeout` in real seconds. Raises KeyError for a path that is not there, TimeoutError when its group is busy.
        """
        member = self._cast[path]
        replies: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        group = self._groups[member.dispatcher.name]
        group.ask_look(Look([path], lambda _, said: replies.put(said)))
        try:
            return replies.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"{path} did not answer within {timeout} s: its group '{group.name}' is busy") from None

    def reached(self, stage: str) -> None:
        """Count how long ago that came in from outside which led to the message now handled: a stage's latency."""
        worker = self.here.worker
        if worker is not None and self.measured and worker.live:
            worker.group.stage(stage).add(self.monotonic() - worker.origin)

    def tree(self, breathe: Callable[[], None] = give_way, *, messages: bool = True) -> dict[str, Any]:
        """Say how groups, actors and stages are doing, as plain data; see runtime/tree.py."""
        return tree(self, breathe, messages=messages)
