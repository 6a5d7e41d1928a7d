"""Sends alerts from a thread of its own, through Apprise, which speaks to the services."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import apprise
from loguru import logger

from sos_actors.actors.notifier import Event
from sos_actors.alerts.digest import Digest, Notice
from sos_actors.alerts.settings import AlertSettings
from sos_actors.errors import InputError
from sos_actors.logs import hide, redact
from sos_actors.messages import AlertLevel

_KINDS = {
    AlertLevel.INFO: apprise.NotifyType.INFO,
    AlertLevel.WARNING: apprise.NotifyType.WARNING,
    AlertLevel.CRITICAL: apprise.NotifyType.FAILURE,
}
#: Events that may wait while a service hangs; beyond, what comes is dropped and counted, but never a CRITICAL one.
_MOST_WAITING = 1000
_FIRST_PAUSE_S = 2.0
_LOOK_S = 0.5

#: Sends one message to every service; False where one did not take it: the same message given again goes only to those
#: that have not. Blocks.
Carrier = Callable[[Notice], bool]


def carrier(urls: Sequence[str]) -> Carrier:
    """Make a carrier to these addresses; raises InputError, without showing it, for one that cannot be used."""
    services: list[apprise.Apprise] = []
    for number, url in enumerate(urls, start=1):
        if len(url) >= 6:
            hide(url)
        service = apprise.Apprise()
        if not service.add(url):
            scheme = url.partition("://")[0][:12]
            raise InputError(f"alerts: address {number} ({scheme}://...) is none that Apprise knows; see its wiki")
        services.append(service)
    #: The message that some service has not taken yet, and which have not.
    last: tuple[Notice | None, list[apprise.Apprise]] = None, []

    def carry(notice: Notice) -> bool:
        nonlocal last
        waiting = last[1] if last[0] is notice else services  # who has it already is not sent it again
        with ThreadPoolExecutor(max(len(waiting), 1), thread_name_prefix="sos-alert") as pool:
            taken = list(pool.map(lambda service: _told(service, notice), waiting))
        waiting = [service for service, good in zip(waiting, taken, strict=True) if not good]
        last = notice, waiting
        return not waiting

    return carry


def _told(service: apprise.Apprise, notice: Notice) -> bool:
    """Send a message to one service; False where it was not taken."""
    try:
        return bool(service.notify(body=notice.body, title=notice.title, notify_type=_KINDS[notice.level]))
    except Exception as error:  # noqa: BLE001 - whatever a service's plugin raises must keep it from no other
        logger.warning("an alert was not sent: {}", type(error).__name__)
        return False


class AlertSender:
    """Takes events without ever waiting, and sends them from its own thread, trying again where a service is down."""

    def __init__(
        self,
        settings: AlertSettings,
        carry: Carrier,
        name: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        """`pause_s`: real seconds before the first further try; doubled with each."""
        self._settings, self._carry = settings, carry
        self._digest = Digest(settings, name)
        self._monotonic, self._pause_s = monotonic, pause_s
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self.sent = self.failed = self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="sos-alerts", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Take an event. Never waits, never raises."""
        if self._events.qsize() >= _MOST_WAITING and event.level is not AlertLevel.CRITICAL:
            self.dropped += 1
        else:
            self._events.put(event)

    def close(self, timeout_s: float = 5.0) -> None:
        """Send what waits, and end; gives up after `timeout_s`."""
        self._stopped.set()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while True:
            stopping = self._stopped.is_set()
            self._gather()
            notice = self._digest.take(self._monotonic(), last=stopping)
            if notice is not None:
                self._send(notice)
            elif stopping and self._events.empty():
                return

    def _gather(self) -> None:
        """Take what has come, waiting a moment for the first."""
        wait = self._digest.wait(self._monotonic())
        patience = 0.0 if self._stopped.is_set() else min(_LOOK_S, _LOOK_S if wait is None else wait)
        try:
            event = self._events.get(timeout=patience) if patience > 0 else self._events.get_nowait()
            while True:
                self._digest.add(event, self._monotonic())
                event = self._events.get_nowait()
        except queue.Empty:
            return

    def _send(self, notice: Notice) -> None:
        safe = Notice(notice.level, redact(notice.title), redact(notice.body))
        pause = self._pause_s
        for attempt in range(self._settings.retries + 1):
            if attempt and self._stopped.wait(pause):
                break
            pause *= 2 if attempt else 1
            try:
                if self._carry(safe):
                    self.sent += 1
                    return
            except Exception as error:  # noqa: BLE001 - whatever a service's plugin raises must not end the alerts
                logger.warning("an alert was not sent: {}", type(error).__name__)
        self.failed += 1
        logger.warning("an alert was not taken by every service: {}", safe.title)
