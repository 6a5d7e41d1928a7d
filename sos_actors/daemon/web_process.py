"""The dashboard of the daemon, in a process of its own: what pages and streams cost is not taken from the trading.

The daemon starts it, tells it on its standard input what to serve, and ends it by closing that input: it never
outlives the daemon. It reads over the control socket and, for days gone by, the market database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from loguru import logger

import sos_actors
from sos_actors import logs
from sos_actors.config import Config
from sos_actors.decoding import from_json
from sos_actors.errors import StorageError
from sos_actors.market.clocktime import ist_date, ist_ns
from sos_actors.snapshots import chain_snapshots
from sos_actors.sources.source import DatabaseSource
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.upkeep import Retention
from sos_actors.web.access import web_token
from sos_actors.web.archive import Archive
from sos_actors.web.earlier import earlier_today
from sos_actors.web.live_source import LiveParts, LiveSource
from sos_actors.web.recorded import RecordedDays, name_of
from sos_actors.web.remote import RemoteStage
from sos_actors.web.runs import Runs
from sos_actors.web.server import WebServer
from sos_actors.web.upkeep import DatabaseKeeper

#: How much less of the processor it is given than the daemon (nice(2)): where both want it a thirtieth, which carries
#: an order of the operator through in a fraction of a second.
_NICENESS = 15
_STOP_S = 5.0
#: Seconds before it is started again after it ended by itself, doubling up to the longest.
_AGAIN_S, _LONGEST_S = 2.0, 60.0


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is told: one line of JSON."""

    home: str
    config: Config
    symbols: tuple[str, ...]
    title: str
    real: bool


class WebProcess:
    """The daemon's hold on it. A dashboard that cannot be served is logged and tried again; the daemon trades on."""

    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        #: Where it listens; '' while it does not.
        self.address = ""
        self._thread = threading.Thread(target=self._keep, name="sos-web-process", daemon=True)

    def start(self) -> None:
        """Start it; it listens some seconds later."""
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        self._end()
        self._thread.join(2 * _STOP_S)

    def _keep(self) -> None:
        """Start it, and again when it ends by itself."""
        wait = _AGAIN_S
        while not self._stopping.is_set():
            line = self._begin()
            if line.startswith("http"):
                self.address = line
                where = Path(self._brief.home) / "tokens" / "web"
                logger.info("dashboard at {}; orders need the token in {}", line, where)
                wait = _AGAIN_S
            assert self._process is not None
            status = self._process.wait()
            self.address = ""
            if self._stopping.wait(wait):
                return
            logger.error("{}; started again", line if status == 1 else f"web: the process ended with status {status}")
            wait = min(2 * wait, _LONGEST_S)

    def _begin(self) -> str:
        """Start it; gives its address, or why it does not serve."""
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "sos_actors.daemon.web_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, start_new_session=True,
        )  # fmt: skip
        if self._stopping.is_set():
            self._end()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            process.stdin.write(msgspec.json.encode(self._brief) + b"\n")
            process.stdin.flush()
        return process.stdout.readline().decode().strip()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_S)


def serve(brief: Brief) -> WebServer:
    """Put the server together. Raises StorageError when the address cannot be had."""
    home, config = Path(brief.home), brief.config
    sessions = home / config.journal.folder
    stage = RemoteStage(home, earlier=earlier_today(sessions) if config.journal.enabled else None)
    store = MarketStore(home / "market.db", readonly=True)
    lives = RecordedDays(sessions, lambda: name_of(stage.status().mode, ist_date(_now_of(stage))))
    archive, keeper = stored_days(store, brief.symbols, [lives], config, lambda: ist_date(_now_of(stage)))
    parts = LiveParts(
        stage=stage, underlyings=brief.symbols, config=msgspec.to_builtins(config), archive=archive, keeper=keeper,
        title=brief.title, real=brief.real, version=sos_actors.__version__, secrets=config.alerts.addresses,
    )  # fmt: skip
    return WebServer(LiveSource(parts), config.web, web_token(home), sos_actors.__version__)


def stored_days(
    store: MarketStore, names: Sequence[str], runs: Sequence[Runs], config: Config, today: Callable[[], dt.date]
) -> tuple[Archive, DatabaseKeeper]:
    """Give the days of a market database, with these runs, as pages show them, and who looks after it."""
    history, data = DatabaseSource(store), config.data
    archive = Archive(
        names,
        lambda: {day for name in names for day in store.days(name)},
        history.load_day,
        lambda name, day: chain_snapshots(history, name, [day], config),
        runs,
        rate=config.chain.rate,
    )
    kept = Retention(data.keep_tick_days, data.keep_bar_days, data.keep_chain_days)
    return archive, DatabaseKeeper(store.path, kept, today)


def _now_of(stage: RemoteStage) -> int:
    """Give the daemon's time, UTC ns, as its status says it."""
    day, _, at = stage.status().now.partition(" ")
    return ist_ns(dt.date.fromisoformat(day), at[:5])


def _stand_back() -> None:
    """Let the daemon go first: on few cores the encoding for many pages would hold up its threads for milliseconds.

    Niceness shares the processor out, SCHED_BATCH keeps a process that wakes from taking it from one at work. Both
    belong to a thread and pass to those it starts, so this comes before all else.
    """
    os.nice(_NICENESS)
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main() -> int:
    """Serve until standard input is closed; the address, or what keeps it from serving, is its one line of output."""
    _stand_back()
    brief = from_json(sys.stdin.buffer.readline(), Brief)
    logs.configure(brief.config.logs)
    logs.trace_crashes()
    try:
        server = serve(brief)
        server.start()
    except StorageError as error:
        print(error, flush=True)
        return 1
    print(server.address, flush=True)
    sys.stdin.buffer.read()
    server.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
