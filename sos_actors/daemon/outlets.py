"""What shows the daemon to the outside: the dashboard and the metrics, each where the configuration wants it."""

from __future__ import annotations

from collections.abc import Callable

from sos_actors.config import Config
from sos_actors.daemon.operations import Operations
from sos_actors.daemon.web_process import Brief, WebProcess
from sos_actors.metrics.exporter import DaemonCollector, serve_metrics
from sos_actors.runtime import LiveRuntime
from sos_actors.runtime.journal.recording import Recording
from sos_actors.web.stage import LocalStage

Stop = Callable[[], object]


def show_metrics(
    config: Config, runtime: LiveRuntime, operations: Operations, recording: Recording | None = None
) -> Stop:
    """Answer Prometheus; gives what ends it. Raises InputError when the port is taken."""
    if not config.metrics.port:
        return lambda: None
    return serve_metrics(config.metrics, DaemonCollector(runtime, operations.status, recording))


def show_dashboard(brief: Brief, stage: LocalStage) -> Stop:
    """Serve API and dashboard from a process of its own; gives what ends it. It asks `stage`, and passes on orders."""
    process = WebProcess(brief)
    process.start()

    def stop() -> None:
        process.stop()
        stage.lookout.close()

    return stop
