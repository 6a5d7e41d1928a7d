"""The simulated stage with a knife: a process that can die, or one of its actors, at any delivery."""

from __future__ import annotations

from collections.abc import Callable

from sos_actors.runtime.clock import ClockActor
from sos_actors.runtime.sim import SimRuntime


class ProcessDiedError(BaseException):
    """The process is gone; nothing of it may catch this."""


class CrashError(Exception):
    """An actor raised because the storm said so."""


class StormClock(ClockActor):
    """The clock of the stage, which a stall may have put ahead of its timers."""

    def advance(self) -> bool:
        """Move time to the next timer, never back."""
        now = self.now
        moved = super().advance()
        self.now = max(now, self.now)
        return moved


class StormRuntime(SimRuntime):
    """Delivers until `until` (UTC ns). `on_quiet` is called whenever nothing waits, before time moves on."""

    clock_class = StormClock

    def __init__(self, on_quiet: Callable[[], None]) -> None:
        super().__init__()
        self._on_quiet = on_quiet
        self.delivered = 0
        #: Delivery number at which the process dies; 0: it does not.
        self.dies_at = 0
        #: Delivery from which on the first message to one of these paths (by their beginning) kills its actor.
        self.crash_at: tuple[int, tuple[str, ...]] | None = None
        self.crashed = 0

    def play(self, until: int) -> None:
        """Deliver all that is due up to an instant. Raises EscalatedError, ProcessDiedError."""
        items = self._queue.items
        clock = self.clock
        while True:
            while items:
                port, message = items.popleft()
                self.delivered += 1
                port.handled += 1
                if self.dies_at and self.delivered >= self.dies_at:
                    raise ProcessDiedError
                try:
                    if self.crash_at is not None and self.delivered >= self.crash_at[0]:
                        self._crash(port.actor.path)
                    port.handle(message)
                except Exception as error:
                    self.failed(port.actor, message, error)
                    if self.escalated is not None:
                        raise self.escalated from error
            self._on_quiet()
            timers = clock.timers
            if not timers or timers[0][0] > until:
                return
            clock.advance()

    def _crash(self, path: str) -> None:
        assert self.crash_at is not None
        if path.startswith(self.crash_at[1]):
            self.crash_at = None
            self.crashed += 1
            raise CrashError(f"the storm hit {path}")
