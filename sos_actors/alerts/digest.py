"""What is sent and when: lines gathered, repeats counted, a limit an hour kept. Pure: times are handed in."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from sos_actors.actors.notifier import Event
from sos_actors.alerts.settings import AlertSettings
from sos_actors.messages import AlertLevel

_RANK = {AlertLevel.INFO: 0, AlertLevel.WARNING: 1, AlertLevel.CRITICAL: 2}
_HOUR_S = 3600.0
#: Lines of one message; a storm is told by its number.
_LINES = 20


class Notice(NamedTuple):
    """One message to send."""

    level: AlertLevel
    title: str
    body: str


class Digest:
    """Gathers events into messages. Times are monotonic seconds."""

    def __init__(self, settings: AlertSettings, name: str) -> None:
        """`name` begins every title: which daemon speaks."""
        self._settings = settings
        self._name = name
        self._lines: dict[tuple[AlertLevel, str], int] = {}
        self._since = 0.0
        self._urgent = False
        self._sent: deque[float] = deque()
        self._held_back = 0

    def add(self, event: Event, now: float) -> None:
        """Take an event, if it is one to be sent."""
        if not self._wanted(event):
            return
        if not self._lines:
            self._since = now
        line = event.level, f"{event.who}: {event.text}"
        self._lines[line] = self._lines.get(line, 0) + 1
        self._urgent = self._urgent or event.level is AlertLevel.CRITICAL

    def _wanted(self, event: Event) -> bool:
        settings = self._settings
        if event.kind == "trade":
            return settings.trades
        if event.kind == "refusal":
            return settings.refusals
        if event.kind == "summary":
            return settings.summary
        return _RANK[event.level] >= _RANK[settings.least]

    def wait(self, now: float) -> float | None:
        """Seconds until `take` should be asked; None while nothing waits."""
        if not self._lines:
            return None
        return 0.0 if self._urgent else max(self._since + self._settings.group_s - now, 0.0)

    def take(self, now: float, *, last: bool = False) -> Notice | None:
        """Give the message that is due, if one is; with `last` whatever waits."""
        wait = self.wait(now)
        if wait is None or (wait > 0 and not last):
            return None
        while self._sent and self._sent[0] <= now - _HOUR_S:
            self._sent.popleft()
        if len(self._sent) >= self._settings.per_hour and not self._urgent:
            self._held_back += sum(self._lines.values())
            self._clear()
            return None
        notice = self._notice()
        self._sent.append(now)
        self._held_back = 0
        self._clear()
        return notice

    def _clear(self) -> None:
        self._lines.clear()
        self._urgent = False

    def _notice(self) -> Notice:
        level = max((level for level, _ in self._lines), key=_RANK.__getitem__)
        found = list(self._lines.items())
        if len(found) > _LINES:  # the worst first: what is CRITICAL must not be among those that are only counted
            found.sort(key=lambda one: -_RANK[one[0][0]])
        lines = [text + (f"  (x{count})" if count > 1 else "") for (_, text), count in found]
        more = len(lines) - _LINES
        shown = lines[:_LINES] + ([f"and {more} more"] if more > 0 else [])
        if self._held_back:
            shown.append(f"{self._held_back} earlier lines were held back: over {self._settings.per_hour} an hour")
        first = lines[0] if len(lines) == 1 else f"{len(lines)} alerts"
        return Notice(level, f"{self._name} {level}: {first}"[:120], "\n".join(shown))
