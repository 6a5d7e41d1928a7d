"""A dispatch group of the live stage: one mailbox in one order, drained by one thread at a time.

What is put into a mailbox is `(port, message)`; where time is measured also when, the origin (the moment at which
the first message of the chain that led to this one came in from outside) and the cause (the serial number of the
delivery that sent it, or OUTSIDE or TIMER). What the group says to itself
(`ControlPort`) passes through the same mailbox, but is not a message of the cast: not counted, not recorded.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sos_actors.messages import DayLoaded, FeedStatus, MinuteClosed, SessionPhase, Tick
from sos_actors.runtime.conflation import Heap
from sos_actors.runtime.figures import Histogram, PortFigures
from sos_actors.runtime.topics import ControlPort, Port, Put
from sos_actors.runtime.worker import Worker

if TYPE_CHECKING:
    from sos_actors.runtime.actor import Actor
    from sos_actors.runtime.live import LiveRuntime

#: No tick is merged over one of these: whoever sends ticks or ends minutes is heard in the order of sending.
FENCES = frozenset({DayLoaded, FeedStatus, MinuteClosed, SessionPhase})


class Look:
    """A request for what these actors hold, last one first; the one-by-one answers go to `reply`.

    A `round` is one through all the actors of a group: there is one at a time.
    """

    def __init__(
        self, paths: list[str], reply: Callable[[str, dict[str, Any]], None], *, in_rounds: bool = False
    ) -> None:
        self.paths = paths
        self.reply = reply
        self.round = in_rounds


class Group:
    """One mailbox and the thread that drains it."""

    def __init__(self, name: str, runtime: LiveRuntime) -> None:
        self.name = name
        self.path = f"group {name}"
        self.runtime = runtime
        self.leaving = False
        #: Deliveries that were control, and deliveries of threads that were given up.
        self.controls = 0
        self.carried = 0
        self.abandoned = 0
        #: Whether a round of looks is under way.
        self.looking = False
        #: The interval in which what its actors hold was kept last.
        self.kept_in = 0
        self.high_water = 0
        self.merged: Counter[str] = Counter()
        #: By stage: how long after its origin a message of the stage was delivered here.
        self.stages: dict[str, Histogram] = {}
        self.figures: dict[Port, PortFigures] = {}
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.depth = self.queue.qsize
        self.measured = runtime.measured
        self.put: Put = _measuring_put(self) if self.measured else self.queue.put
        self._heaps: dict[tuple[Port, str], Heap] = {}
        self._lock = threading.Lock()
        self._heap_port = ControlPort(self, "work_off")
        self._looks = ControlPort(self, "look")
        self._pings = ControlPort(self, "ping")
        self._reports = ControlPort(self, "report")
        self._leaves = ControlPort(self, "leave")
        self.worker = Worker(self)
        self.worker.thread.start()

    # -- what goes in ------------------------------------------------------------------------------------------

    def put_of(self, kind: type) -> Put:
        """Give the way into the mailbox for a type of message heard on a topic."""
        if not self.runtime.settings.conflate_above:
            return self.put
        return self.put_tick if kind is Tick else self.put_fenced if kind in FENCES else self.put

    def put_tick(self, item: tuple[Port, Any]) -> None:
        """Queue a tick; while too much waits, join it to those of its instrument that wait already."""
        limit = self.runtime.settings.conflate_above
        if not self._heaps and self.depth() < limit:
            self.put(item)
            return
        port, tick = item
        key = (port, tick.instrument)
        with self._lock:
            heap = self._heaps.get(key)
            if heap is not None and heap.takes(tick):
                if heap.add(tick):
                    self.merged[tick.instrument] += 1
            elif heap is None and self.depth() < limit:
                self.put(item)
            else:
                self._heaps[key] = heap = Heap(tick)
                self.put((self._heap_port, (key, heap)))

    def put_fenced(self, item: tuple[Port, Any]) -> None:
        """Queue a message that no later tick may pass by joining an earlier one."""
        with self._lock:  # both at once: a heap begun in between would stand before this message and go on growing
            self._heaps.clear()
            self.put(item)

    def ping(self, _: None = None) -> None:
        """Handle a ping: a sign of life."""
        self.controls += 1

    # -- the group's own business, in its thread ---------------------------------------------------------------

    def work_off(self, waiting: tuple[tuple[Port, str], Heap]) -> None:
        """Deliver a heap of ticks."""
        self.controls += 1
        key, heap = waiting
        with self._lock:
            if self._heaps.get(key) is heap:
                del self._heaps[key]
        port = key[0]
        worker = self.worker
        worker.deliver_inside(port, heap.first)
        if heap.rest is not None and worker.live:
            worker.deliver_inside(port, heap.rest)

    def report(self, replies: queue.SimpleQueue[int]) -> None:
        """Answer how many messages were handled before this one, control apart."""
        self.controls += 1
        replies.put(self.carried + self.worker.delivered + 1 - self.controls)

    def look(self, look: Look) -> None:
        """Let one actor say what it holds; the next one's turn comes after what waits now."""
        self.controls += 1
        path = look.paths.pop()
        actor = self.runtime.member_at(path)
        if actor is not None and not actor.closed:
            look.reply(path, said_by(actor))
        if look.paths:
            self.put((self._looks, look))
        elif look.round:
            self.looking = False

    def leave(self, _: None) -> None:
        """End the thread."""
        self.controls += 1
        self.worker.live = False

    # -- what others ask of it ---------------------------------------------------------------------------------

    def send_ping(self) -> None:
        """Ask an idle group for a sign of life."""
        self.put((self._pings, None))

    def ask_report(self, replies: queue.SimpleQueue[int]) -> None:
        """Ask for the count of handled messages, behind all that waits."""
        self.put((self._reports, replies))

    def ask_look(self, look: Look) -> None:
        """Ask for what actors hold."""
        if look.round:
            self.looking = True
        self.put((self._looks, look))

    def ask_leave(self) -> None:
        """Ask the thread to end, behind all that waits."""
        self.leaving = True
        self.put((self._leaves, None))

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end; False when it has not within `timeout` seconds."""
        self.worker.thread.join(timeout)
        return not self.worker.thread.is_alive()

    def give_up(self, worker: Worker, delivered: int) -> bool:
        """Take a thread off the mailbox that is still handling message number `delivered`; false: it has gone on.

        It is told to leave before it is looked at once more: if it still has not gone on, it cannot take another
        message. `replace` then lets the group work again.
        """
        if worker.delivered != delivered:
            return False  # what it does now must not find itself given up for as long as this takes
        worker.live = False
        if worker.delivered != delivered:
            worker.live = True  # should it have seen the order to leave, the watchdog finds it gone
            return False
        self.abandoned += 1
        return True

    def replace(self, worker: Worker) -> None:
        """Let a new thread go on with the mailbox in place of one that is gone or given up."""
        self.carried += worker.delivered
        self.looking = False  # its round may have ended with the thread
        self.worker = Worker(self)
        self.worker.thread.start()

    def stage(self, name: str) -> Histogram:
        """Give the histogram of a stage as this group sees it."""
        return self.stages.setdefault(name, Histogram())

    def figures_of(self, port: Port, kind: type) -> PortFigures:
        """Make the figures of a port that gets its first message."""
        stage = self.runtime.settings.stages.get(kind.__name__)
        # An actor's ports share their histograms: what is asked of them is asked by actor.
        shared = next((one for other in port.actor.ports.values() if (one := self.figures.get(other))), None)
        found = self.figures[port] = PortFigures(None if stage is None else self.stage(stage), shared)
        return found


def said_by(actor: Actor) -> dict[str, Any]:
    """Give what an actor says of itself; its mistake in saying so is not its death."""
    try:
        return actor.inspect()
    except Exception as error:  # noqa: BLE001 - an observer must not harm the one observed
        return {"inspect_failed": repr(error)}


def _measuring_put(group: Group) -> Put:
    """Make the way in that notes when, and from where. Of a thread that was given up nothing is taken."""
    runtime = group.runtime
    here = runtime.here
    put = group.queue.put
    monotonic = runtime.monotonic

    def enter(item: tuple[Port, Any]) -> None:
        port, message = item
        worker = here.worker
        at = monotonic()
        if worker is None:
            put((port, message, at, at, here.outside))
        elif worker.live:
            put((port, message, at, worker.origin, worker.serial))
        else:
            runtime.refuse_abandoned(worker, message)

    return enter
