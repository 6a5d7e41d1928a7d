"""What shows the daemon to the outside: the dashboard and the metrics, each where the configuration wants it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from loguru import logger

import sos_actors
from sos_actors.config import Config
from sos_actors.daemon.operations import Operations
from sos_actors.metrics.exporter import DaemonCollector, serve_metrics
from sos_actors.runtime import LiveRuntime
from sos_actors.runtime.journal.recording import Recording
from sos_actors.web.access import web_token
from sos_actors.web.daybook import DayBook
from sos_actors.web.live_source import LiveParts, LiveSource
from sos_actors.web.server import WebServer

Stop = Callable[[], object]


def show_metrics(
    config: Config, runtime: LiveRuntime, operations: Operations, recording: Recording | None = None
) -> Stop:
    """Answer Prometheus; gives what ends it. Raises InputError when the port is taken."""
    if not config.metrics.port:
        return lambda: None
    return serve_metrics(config.metrics, DaemonCollector(runtime, operations.status, recording))


def show_dashboard(
    config: Config,
    runtime: LiveRuntime,
    operations: Operations,
    book: Callable[[], DayBook] | None,
    *,
    home: Path,
    symbols: Sequence[str],
    title: str,
    real: bool,
    secrets: Callable[[], Sequence[str]],
) -> Stop:
    """Serve API and dashboard from a thread of its own; gives what ends it. It reads, and passes on orders."""
    if book is None:
        return lambda: None
    parts = LiveParts(
        runtime=runtime, operations=operations, book=book, underlyings=symbols, config=msgspec.to_builtins(config),
        title=title, real=real, version=sos_actors.__version__, secrets=secrets,
    )  # fmt: skip
    server = WebServer(LiveSource(parts), config.web, web_token(home), sos_actors.__version__)
    server.start()
    logger.info("dashboard at {}; orders need the token in {}", server.address, home / "tokens" / "web")
    return server.stop
