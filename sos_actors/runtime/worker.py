"""The thread of a dispatch group: the receive loops of the live stage."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loguru import logger

from sos_actors.messages import Tick
from sos_actors.runtime.base import EscalatedError
from sos_actors.runtime.topics import ControlPort, Port
from sos_actors.runtime.walltime import WallTime

if TYPE_CHECKING:
    from sos_actors.runtime.group import Group

#: Waiting longer than this (ns) is what the high-water mark of a mailbox is looked at for.
_LONG_NS = 1_000_000


class AbandonedError(SystemExit):
    """Raised within a handler whose thread was given up, when it comes back to Python."""


#: Instead of a delivery's serial number, the cause of what came from a thread that is no actor's, and of a timer.
OUTSIDE, TIMER = -1, -2
#: A delivery as a recorder hears of it: its serial number among those of all groups (from 0, without gaps), group,
#: port, message, the clock's now, which the handler will see, and the message's cause: the serial number of the
#: delivery that sent it, or OUTSIDE or TIMER.
Heard = tuple[int, str, Port, Any, int, int]


class Here(threading.local):
    """Which worker the present thread is, if any; and if none, the cause of what it sends."""

    worker: Worker | None = None
    outside: int = OUTSIDE


class Worker:
    """One thread of a group. `live` is false once it was told to go, or was given up.

    `entry` is what it handles, or handled last; `delivered` grows when that is done, so an entry is being handled for
    as long as `delivered` stands still and the mailbox does not become empty.
    """

    __slots__ = (
        "_now",
        "_stamp",
        "_timed",
        "delivered",
        "entry",
        "group",
        "live",
        "origin",
        "runtime",
        "serial",
        "thread",
    )

    def __init__(self, group: Group) -> None:
        self.group = group
        self.runtime = group.runtime
        self.live = True
        self.delivered = 0
        self.entry: Any = None
        #: When (monotonic ns) that came in from outside which led to the message now handled.
        self.origin = 0
        #: Number of the present delivery among those of all groups, where a recorder wants to know.
        self.serial = OUTSIDE
        self._stamp = -1
        self._now = 0
        self._timed = self._timing()
        self.thread = threading.Thread(
            target=self._measured if group.measured else self._plain, name=f"sos-{group.name}", daemon=True
        )

    def now(self, wall: WallTime) -> int:
        """Give the time of the present delivery: read once, the same until `delivered` grows."""
        if self._stamp != self.delivered:
            self._now = wall.now()
            self._stamp = self.delivered
        return self._now

    def _plain(self) -> None:
        """Deliver, and count."""
        self.runtime.here.worker = self
        take, spreading = self.group.queue.get, self.runtime.spreading
        while self.live:
            self.entry = port, message = take()
            if spreading.under_way:
                spreading.wait()
            port.handled += 1
            handle = port.handle
            try:
                handle(message)
            except BaseException as error:  # noqa: BLE001 - supervision is the business of this very line
                self._failed(port, message, error)
            self.delivered += 1

    def _measured(self) -> None:
        """Deliver, and take the time of everything."""
        self.runtime.here.worker = self
        take, spreading = self.group.queue.get, self.runtime.spreading
        deliver = self._timed
        while self.live:
            self.entry = port, message, put_at, origin, cause = take()
            if spreading.under_way:
                spreading.wait()
            if type(port) is ControlPort:
                self.origin = origin
                port.handle(message)
            else:
                deliver(port, message, put_at, origin, cause)
            self.delivered += 1

    def _timing(self) -> Callable[[Port, Any, int, int, int], None]:
        """Make the function that delivers one message and takes its time: with all it needs at hand."""
        runtime, group = self.runtime, self.group
        monotonic, recorder = runtime.monotonic, runtime.recorder
        find, serials, name = group.figures.get, runtime.serials, group.name

        def deliver(port: Port, message: Any, put_at: int, origin: int, cause: int) -> None:
            began = monotonic()
            figures = find(port)
            if figures is None:
                figures = group.figures_of(port, type(message))
            clock = runtime.live_clock
            wall = clock.wall
            if wall is not None and type(message) is Tick and message.ts_recv > 0:
                origin = wall.instant_of(message.ts_recv)
            self.origin = origin
            if figures.stage is not None:
                figures.stage.add(began - origin)
            if recorder is not None:
                serial = self.serial = next(serials)
                if wall is None:
                    now = clock.now
                else:  # the time at which the delivery began is the handler's too
                    now = self._now = wall.at(began)
                    self._stamp = self.delivered
                recorder((serial, name, port, message, now, cause))
            port.handled += 1
            handle = port.handle
            try:
                handle(message)
            except BaseException as error:  # noqa: BLE001 - supervision is the business of this very line
                self._failed(port, message, error)
            ended = monotonic()
            figures.note(began - put_at, ended - began, ended)
            if began - put_at > _LONG_NS and not self.delivered & 31:
                group.high_water = max(group.high_water, group.depth())

        return deliver

    def deliver_inside(self, port: Port, message: Any) -> None:
        """Deliver a message that came within a control message, just like one that came by itself."""
        entry = self.entry
        self.delivered += 1
        if self.group.measured:
            _, _, put_at, origin, _ = entry
            self.entry = (port, message, put_at, origin, OUTSIDE)  # a merged tick is nobody's: as if from outside
            self._timed(port, message, put_at, origin, OUTSIDE)
            return
        self.entry = (port, message)
        port.handled += 1
        try:
            port.handle(message)
        except BaseException as error:  # noqa: BLE001 - supervision is the business of this very line
            self._failed(port, message, error)

    def _failed(self, port: Port, message: Any, error: BaseException) -> None:
        if not self.live:
            logger.warning("{}: came back from a message it was given up for ({!r})", port.actor.path, error)
        elif isinstance(error, Exception):
            self.runtime.failed(port.actor, message, error)
        else:  # SystemExit in a handler must not end its neighbours' thread
            self.runtime.escalated = EscalatedError(f"{port.actor.path}: {error!r}")
            logger.error("{} asked the process to end: {!r}", port.actor.path, error)

    def interrupt(self) -> None:
        """Raise AbandonedError in the thread as soon as it is back in Python; one that has ended is left alone.

        A thread that ends has its number given to another one soon, which would then be hit.
        """
        if self.thread.ident is not None and self.thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.thread.ident), ctypes.py_object(AbandonedError)
            )
