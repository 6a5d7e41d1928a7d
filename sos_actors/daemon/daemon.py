"""The live daemon: started in order, watched over, stopped in order.

Its life: take the home, open the control socket, wait for a log-in, bring instruments and calendar, play history
through what thinks, join what trades, let wall time take over, serve until told to stop.
"""

from __future__ import annotations

import datetime as dt
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loguru import logger

from sos_actors.actors.notifier import Event
from sos_actors.alerts.sender import AlertSender, carrier
from sos_actors.config import Config
from sos_actors.control.protocol import socket_path
from sos_actors.control.server import ControlServer
from sos_actors.control.systemd import ServiceManager
from sos_actors.daemon.admission import Admission
from sos_actors.daemon.cast import LiveCast, LiveEdges, LiveParts
from sos_actors.daemon.days_ahead import phases_so_far, sessions_ahead
from sos_actors.daemon.edges import Edges
from sos_actors.daemon.home_lock import HomeLock
from sos_actors.daemon.operations import Operations
from sos_actors.daemon.outlets import Stop, show_dashboard, show_metrics
from sos_actors.daemon.sessions import (
    BEGINNING,
    Beginning,
    begin_recording,
    beginning,
    facts_of,
    live_cast,
    tag_prefix,
    tidy,
)
from sos_actors.daemon.token_watch import TokenWatch
from sos_actors.daemon.web_process import Brief
from sos_actors.daemon.winding_down import wind_down
from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_date, ist_plain, ist_stamp, ist_text, minute_of_day
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.market.lookup import matching
from sos_actors.messages import AlertLevel
from sos_actors.playbook.loader import Playbook
from sos_actors.runtime import EscalatedError, LiveRuntime, WallTime
from sos_actors.runtime.journal.answers import plainly
from sos_actors.runtime.journal.recording import Recording
from sos_actors.runtime.tuning import sweep, tune_for_latency
from sos_actors.sources.source import DatabaseSource
from sos_actors.sources.warm_start import WarmStart
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.order_store import OrderStore
from sos_actors.upstox.settings import UpstoxSettings
from sos_actors.upstox.tokens import Token
from sos_actors.web.observer import Observed
from sos_actors.web.remote import COMMAND, StageCommand, breathe
from sos_actors.web.stage import LocalStage
from sos_actors.web.start_log import StartLog

_LEVELS = {AlertLevel.INFO: "INFO", AlertLevel.WARNING: "WARNING", AlertLevel.CRITICAL: "CRITICAL"}
#: Real seconds between two looks at health, day and watchdog.
_BEAT_S = 1.0
#: How often the minutes are played that ended while those before were.
_CATCH_UPS = 5
#: Minute of the day (IST) from which a new trading day's instruments are fetched.
_MORNING = 8 * 60 + 30
#: Minute of a trading day (IST) from which it is told where alerts go that nobody is let in at the broker.
_LOGGED_IN_BY = 8 * 60 + 45
#: Real seconds an actor of the order path may take to answer before the watchdog goes hungry.
_PULSE_S = 5.0
#: Real seconds a start may take once it is let in at the broker, before the watchdog goes hungry.
_START_S = 300.0
#: Mode in which orders are real.
REAL_MONEY = "REAL MONEY"
#: What must answer for the process to count as alive.
_VITAL = ("risk", "orders", "broker")


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """What to run. `real`: orders go to the broker at `settings`, whose account must be `account` ('' for any)."""

    home: Path
    config: Config
    playbook: Playbook
    symbols: tuple[str, ...]
    settings: UpstoxSettings
    wall: WallTime
    real: bool
    account: str
    mode: str


class Daemon:
    """One daemon. `run` blocks until it is told to stop, and gives the exit status."""

    def __init__(self, request: LiveRequest, systemd: ServiceManager | None = None) -> None:
        self._request = request
        self._systemd = systemd or ServiceManager()
        self._stop = threading.Event()
        self._wall = request.wall
        self._live = self._ended = False
        self._day: dt.date | None = None
        self._tidied: dt.date | None = None
        self._told_out: tuple[dt.date, str] | None = None
        self.started = request.wall.now()
        self.mode = request.mode
        self.session = ist_stamp(self.started)
        self._facts = facts_of(
            request.symbols, request.mode, request.wall.speed, request.config, request.playbook, real=request.real
        )
        self._recording: Recording | None = None
        self._runtime: LiveRuntime
        self._start_log = StartLog()
        self._commands: dict[str, Callable[..., Any]] = {}
        self._edges = Edges.make(request.config, request.settings, request.home, self.now, self._wall.speed)
        self._alerts = self._alert_sender()
        self._tokens = TokenWatch(request.home, self.now, self._use)
        self._admission = Admission(self._tokens, self._edges.account, self._stop)
        self._start_by, self._status = float("inf"), 0

    def stop(self) -> None:
        """Ask the daemon to end: from any thread, or a signal's handler."""
        self._stop.set()

    def run(self) -> int:
        """Run to the end. Raises InputError and other SosErrors for what keeps it from starting."""
        with HomeLock(self._request.home), ExitStack() as undo:
            if self._alerts is not None:
                undo.callback(self._alerts.close)
            self._recording, self.session = begin_recording(
                self._request.home, self.session, self._facts, self.now, self._alert
            )
            undo.callback(self._close_recording)
            record = self._recording
            self._runtime = LiveRuntime(
                self._request.config.runtime, recorder=None if record is None else record.note,
                checkpoints=None if record is None else record.checkpoints,
            )  # fmt: skip
            undo.callback(self._close_runtime)
            operations = Operations(self._runtime, self)
            self._commands = operations.commands()
            undo.callback(ControlServer(socket_path(self._request.home), self._commands).close)
            undo.callback(show_metrics(self._request.config, self._runtime, operations, self._recording))
            undo.callback(self._tokens.stop)
            undo.callback(self._systemd.stopping, "stopping")
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._stop.set())
            return self._run(operations, undo)

    def _show(self, operations: Operations, seen: Observed) -> Stop:
        """Let the dashboard's process ask what the stage shows, and start it."""
        request, listed = self._request, self._edges.listed
        stage = LocalStage(
            self._runtime, operations, seen.book, find=lambda text: matching(listed.table(), text),
            start_log=self._start_log.lines, breathe=breathe, secrets=self.secrets,
        )  # fmt: skip
        self._commands[COMMAND] = StageCommand(stage, seen, self.secrets)
        brief = Brief(
            home=str(request.home.absolute()), config=request.config, symbols=request.symbols,
            title=f"SOS Actors, {self.mode}", real=request.mode == REAL_MONEY,
        )  # fmt: skip
        return show_dashboard(brief, stage)

    def _close_runtime(self) -> None:
        """End the actors of a daemon that never came to its orderly end."""
        if not self._ended:
            self._runtime.close()

    def _close_recording(self) -> None:
        if self._recording is not None:
            self._recording.close("stopped" if self._ended else "never came to trade")

    def _run(self, operations: Operations, undo: ExitStack) -> int:
        logger.info("session {}, {}, {}", self.session, self.mode, ", ".join(self._request.symbols))
        self._tokens.start()
        self._systemd.ready(self._tokens.trouble or "starting")
        threading.Thread(target=self._beat, name="sos-heart", daemon=True).start()
        found = self._log_in()
        if found is None:
            return 0
        self._start_by = time.monotonic() + _START_S
        cast = self._start(*found)
        self._start_log.close()
        if cast.seen is not None:
            undo.callback(self._show(operations, cast.seen))
        self._systemd.status("trading")
        try:
            self._runtime.serve(self._stop)
        except EscalatedError as error:
            logger.critical("the order path failed, the process ends: {}", str(error).splitlines()[0])
            self._end(cast)
            return 1
        wind_down(self._runtime, self._request.config.live, self._request.symbols, self._systemd.more_time)
        self._end(cast)
        return self._status

    # -- starting ----------------------------------------------------------------------------------------------

    def _log_in(self) -> tuple[str, int] | None:
        """Wait to be let in; gives whose account it is and its free paise, None when told to stop."""
        request, config = self._request, self._request.config
        if request.real:
            found = self._admission.enter(request.account, config.live.login_wait_s)
            self._tokens.belong(request.account if found else "")
        elif self._tokens.wait(self._stop, config.live.login_wait_s) is not None:
            found = "paper", round(config.account.capital * 100)
        else:
            found = None
        ready = found is not None and self._admission.patiently(self._edges.open_day) is not None
        return found if ready and self._admission.patiently(self._edges.open_calendar) is not None else None

    def _start(self, owner: str, cash: int) -> LiveCast:
        request, edges = self._request, self._edges
        now = self.now()
        self._day = ist_date(now) if minute_of_day(now) >= _MORNING else None  # today's file is brought by `_new_day`
        with MarketStore(edges.market_db) as store:
            warm = self._warm(store, now)
            live = self._cast(owner, cash)
            live.think(warm.load_day)
            self._play(warm, now)
            warm, now = self._catch_up(store, live, warm, now)
        live.trade(phases_so_far(EXCHANGE_OF[request.symbols[0]], warm.days, now), now)
        self._runtime.start_wall(self._wall, step_ns=round(request.config.clock.step_s * SECOND_NS))
        self._live = True
        tune_for_latency()
        logger.info("live at {}, {} days of history played", ist_text(self.now())[:19], len(warm.days))
        return live

    def _warm(self, store: MarketStore, now: int) -> WarmStart:
        """Have the days to play in the database, as far as the broker gives them within the patience of a start."""
        request, edges = self._request, self._edges
        patience = request.config.live.warmup_patience_s
        return WarmStart(
            store, request.symbols, now, request.config.data.warmup_days,
            bringers=[edges.history(store, patience)], fill_gaps=edges.gap_filler(patience),
        )  # fmt: skip

    def _catch_up(self, store: MarketStore, live: LiveCast, warm: WarmStart, now: int) -> tuple[WarmStart, int]:
        """Play the minutes that ended while history was played; gives what was played last, and up to when."""
        for _ in range(_CATCH_UPS):
            later = self.now()
            if later // MINUTE_NS == now // MINUTE_NS:
                break
            warm = self._warm(store, later)
            if ist_date(now) == ist_date(later) and ist_date(later) in warm.days:
                live.play_on(partial(warm.load_day, since=now), ist_date(later), now)
            self._runtime.run(until=later)
            now = later
        return warm, now

    def _cast(self, owner: str, cash_paise: int) -> LiveCast:
        request, edges, now = self._request, self._edges, self.now()
        past = DatabaseSource(MarketStore(edges.market_db))
        ask = plainly if self._recording is None else self._recording.asker(self._runtime)
        ask(BEGINNING, Beginning, lambda: beginning(now, cash_paise))()  # a replay will ask
        parts = LiveParts(
            table=edges.listed.table, table_of=edges.listed.of,
            open_store=lambda: OrderStore(request.home / "orders" / owner), tag_prefix=tag_prefix(now),
            cash_paise=cash_paise, speed=self._wall.speed, real=request.real, ask=ask,
            edges=LiveEdges(
                stream=edges.market_feed(), market_db=edges.market_db, fill_gaps=edges.gap_filler(),
                tell=lambda event: self._tell(event, message=self._runtime.serial),
                spawn_link=edges.spawn_link if request.real else None,
            ),
        )  # fmt: skip
        return live_cast(self._runtime, self._facts, past.day_stats, parts)

    def _play(self, warm: WarmStart, now: int) -> None:
        """Play history up to now; the sessions to come are told to the clock as well."""
        clock = self._runtime.clock
        clock.follow(
            sessions_ahead(EXCHANGE_OF[self._request.symbols[0]], warm.days, now), self._request.config.clock.grace_ns
        )
        began = time.perf_counter()
        self._runtime.run(until=now)
        logger.info("played {} in {:.1f} s", ", ".join(map(str, warm.days)) or "no day", time.perf_counter() - began)

    # -- while it runs -----------------------------------------------------------------------------------------

    def now(self) -> int:
        """The daemon's time, UTC ns."""
        return self._runtime.clock.now if self._live else self._wall.now()

    def _use(self, token: Token) -> None:
        self._edges.client.set_token(token.secret)

    def token_until(self) -> str:
        """Until when the access token lives; '' without one."""
        token = self._tokens.token
        return "" if token is None else ist_plain(token.expires_at)

    def not_ready(self) -> list[str]:
        """Why nothing is entered now, one line each."""
        reasons = [trouble for trouble in (self._tokens.trouble, self._admission.trouble) if trouble]
        if not self._live:
            reasons.append("starting: history is played")
        return reasons

    def _beat(self) -> None:
        """Feed the watchdog while the order path answers; bring a new day's instruments in the morning."""
        while not self._stop.wait(_BEAT_S):
            self._tell_if_out()
            if not self._live:  # a log-in may be hours away
                if time.monotonic() < self._start_by:
                    self._systemd.alive()
                continue
            try:
                for path in _VITAL:
                    self._runtime.snapshot(path, _PULSE_S)
            except (TimeoutError, KeyError) as error:
                logger.error("the order path does not answer: {}", error)
                continue
            self._systemd.alive()
            self._new_day()
            self._day_over()

    def _tell_if_out(self) -> None:
        """Tell once a trading day, in time to log in, why nobody is let in: what is held could not be left."""
        now, trouble = self.now(), self._tokens.trouble or self._admission.trouble
        day = ist_date(now)
        if not trouble or minute_of_day(now) < _LOGGED_IN_BY or (day, trouble) == self._told_out:
            return
        self._told_out = day, trouble
        try:
            sessions = INDIA.sessions(EXCHANGE_OF[self._request.symbols[0]], day)
        except InputError:  # a year nobody has told the holidays of yet
            return
        if sessions and now < sessions[-1].close_ns:
            self._tell(Event(now, AlertLevel.CRITICAL, "log-in", f"not let in at the broker: {trouble}"))

    def _new_day(self) -> None:
        now = self.now()
        day = ist_date(now)
        if day == self._day or minute_of_day(now) < _MORNING:
            return
        try:
            self._edges.bring_day(EXCHANGE_OF[self._request.symbols[0]], day)
            self._day = day
        except InputError as error:  # another year's holidays come with a start, and the clock's sessions with them
            logger.error("{}; the daemon ends, to be started anew", error)
            self._status = 1
            self.stop()

    def _day_over(self) -> None:
        """Let old sessions and the day's garbage go, once after each day's close."""
        now, day = self.now(), self._day
        if day is None or day == self._tidied:
            return
        sessions = INDIA.sessions(EXCHANGE_OF[self._request.symbols[0]], day)
        if sessions and now > sessions[-1].close_ns:
            self._tidied = day
            tidy(self._request.home, self._request.config.journal, self.session)
            sweep()

    # -- stopping ----------------------------------------------------------------------------------------------

    def secrets(self) -> list[str]:
        """Give what must leave through no answer."""
        token = self._tokens.token
        return [*self._request.config.alerts.addresses(), *([] if token is None else [token.secret])]

    def _alert_sender(self) -> AlertSender | None:
        """Make what sends alerts, where there is an address to send them to. Raises InputError for a bad one."""
        settings = self._request.config.alerts
        urls = settings.addresses()
        return AlertSender(settings, carrier(urls), f"SOS {self.mode}") if urls else None

    def _alert(self, text: str) -> None:
        """Tell what nobody in the cast can: the record of the session has ended before it."""
        self._tell(Event(self.now(), AlertLevel.CRITICAL, "journal", text))

    def _tell(self, event: Event, **where: int) -> None:
        logger.bind(actor=event.who, **where).log(_LEVELS[event.level], "{}", event.text)
        if self._alerts is not None:
            self._alerts.put(event)

    def _end(self, cast: LiveCast) -> None:
        self._ended = True
        self._edges.client.close()
        left = self._runtime.stop()
        if left:
            logger.error("did not end in time: {}", ", ".join(left))
        if cast.store is not None:
            cast.store.close()
        logger.info("stopped: {} trades", len(cast.recorder.trades))
