"""Figures for Prometheus: read when asked for, from what actors and runtime count anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import start_http_server
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sos_actors.control.status import DaemonStatus
from sos_actors.errors import InputError
from sos_actors.metrics.settings import MetricsSettings
from sos_actors.runtime import LiveRuntime
from sos_actors.runtime.journal.recording import Recording
from sos_actors.runtime.tree import stage_counts

#: Upper bounds of the latency buckets, seconds.
BOUNDS = (
    0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0,
)  # fmt: skip

#: Times the cast is read at most in a scrape, should it change meanwhile.
_TRIES = 5


class DaemonCollector(Collector):
    """Gives the daemon's figures at each scrape. Nothing is asked of an actor."""

    def __init__(
        self, runtime: LiveRuntime, status: Callable[[], DaemonStatus], recording: Recording | None = None
    ) -> None:
        self._runtime, self._status, self._recording = runtime, status, recording

    def collect(self) -> Iterator[Metric]:
        """Give every metric family."""
        for _ in range(_TRIES):
            former = self._runtime.former.copy()
            tree = self._runtime.tree()
            if former == self._runtime.former:  # else an actor was replaced meanwhile: it would count twice, or not
                break
        yield from _of_actors(tree["actors"], former)
        yield from _of_groups(tree["groups"])
        yield CounterMetricFamily("sos_dead_letters", "Messages nobody could take", value=tree["dead_letters"])
        yield _stages(self._runtime)
        if self._recording is not None:
            yield from _of_recording(self._recording)
        yield from _of_status(self._status(), self._runtime.snapshots.get("recorder", {}))


def _of_actors(actors: list[dict[str, Any]], former: Mapping[str, tuple[int, int, int]]) -> Iterator[Metric]:
    """Sum up by kind of actor: two hundred bar actors are one series.

    `former` is what those counted whose path another has now: a count never goes back, which would be taken for a new
    start of the daemon.
    """
    handled = CounterMetricFamily("sos_messages", "Messages handled, by kind of actor", labels=["kind"])
    failures = CounterMetricFamily("sos_failures", "Handlers that raised", labels=["kind"])
    restarts = CounterMetricFamily("sos_restarts", "Actors started anew", labels=["kind"])
    alive = GaugeMetricFamily("sos_actors", "Actors at work", labels=["kind"])
    benched = GaugeMetricFamily("sos_benched", "Actors taken out", labels=["kind"])
    for kind in sorted({one["kind"] for one in actors}):
        of_kind = [one for one in actors if one["kind"] == kind]
        gone = former.get(kind, (0, 0, 0))
        for family, name, before in zip(
            (handled, failures, restarts), ("handled", "failures", "restarts"), gone, strict=True
        ):
            family.add_metric([kind], before + sum(one[name] for one in of_kind))
        alive.add_metric([kind], sum(one["state"] in {"waiting", "handling"} for one in of_kind))
        benched.add_metric([kind], sum(bool(one["benched"]) for one in of_kind))
    yield from (handled, failures, restarts, alive, benched)


def _of_groups(groups: list[dict[str, Any]]) -> Iterator[Metric]:
    depth = GaugeMetricFamily("sos_mailbox_depth", "Messages waiting", labels=["group"])
    high = GaugeMetricFamily("sos_mailbox_high_water", "Most messages that ever waited", labels=["group"])
    merged = CounterMetricFamily("sos_ticks_merged", "Ticks that became part of a later one", labels=["group"])
    for one in groups:
        depth.add_metric([one["group"]], one["depth"])
        high.add_metric([one["group"]], one["high_water"])
        merged.add_metric([one["group"]], one["merged"])
    yield from (depth, high, merged)


def _of_recording(recording: Recording) -> Iterator[Metric]:
    """Say how far the session's record lags behind, and whether it goes on."""
    yield GaugeMetricFamily("sos_journal_waiting", "Deliveries not yet in the journal", value=recording.waiting)
    yield CounterMetricFamily("sos_journal_deliveries", "Deliveries in the journal", value=recording.written)
    failed = float(bool(recording.failed))
    yield GaugeMetricFamily("sos_journal_failed", "1 once the session is recorded no further", value=failed)


def _stages(runtime: LiveRuntime) -> Metric:
    """Latency from a tick's receipt to each stage its consequences reached."""
    family = HistogramMetricFamily("sos_stage_seconds", "From the receipt of a tick to a stage", labels=["stage"])
    for stage, counts in stage_counts(runtime, BOUNDS).items():
        total, buckets = 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([stage], buckets, sum_value=None)
    return family


def _of_status(status: DaemonStatus, recorder: dict[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily("sos_ready", "1 while entries are possible", value=float(status.ready))
    live = GaugeMetricFamily("sos_feed_live", "1 while an underlying's data can be trusted", labels=["underlying"])
    age = GaugeMetricFamily("sos_feed_age_seconds", "Since the index's last tick", labels=["underlying"])
    for feed in status.feeds:
        live.add_metric([feed.underlying], float(feed.live))
        if feed.age_s is not None:
            age.add_metric([feed.underlying], feed.age_s)
    yield from (live, age)
    for name, about, value in (
        ("equity", "Cash and positions at their last prices, rupees", status.equity),
        ("cash", "Cash, rupees", status.cash),
        ("realised", "Realised result, rupees", status.realised),
        ("open_positions", "Trades open", len(status.positions)),
        ("orders_working", "Orders that have not ended", len(status.orders)),
        ("account_differences", "Differences between our books and the broker's", len(status.differences)),
    ):
        if value is not None:
            yield GaugeMetricFamily(f"sos_{name}", about, value=float(value))
    for name in ("signals", "refusals", "fills", "trades"):
        if name in recorder:
            yield CounterMetricFamily(f"sos_{name}", f"{name.capitalize()} since the start", value=recorder[name])


def serve_metrics(settings: MetricsSettings, collector: DaemonCollector) -> Callable[[], None]:
    """Answer Prometheus on a thread of its own; gives what ends it. Raises InputError when the port is taken."""
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, thread = start_http_server(settings.port, addr=settings.host, registry=registry)
    except OSError as error:
        raise InputError(f"metrics: cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5.0)

    return stop
