"""Metrics: what is counted is what is shown, in a form Prometheus takes."""

import json
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sos_actors.control.status import DaemonStatus, FeedView
from sos_actors.errors import InputError
from sos_actors.messages import MinuteClosed
from sos_actors.metrics.exporter import BOUNDS, DaemonCollector, serve_metrics
from sos_actors.metrics.settings import MetricsSettings
from sos_actors.runtime import Actor, LiveRuntime, handles
from sos_actors.runtime.figures import Histogram, spread
from sos_actors.runtime.journal.recording import Recording, RecordingSettings
from sos_actors.runtime.settings import RuntimeSettings


class Counting(Actor):
    @handles(MinuteClosed)
    def on_minute(self, message):
        if message.ts < 0:
            raise ValueError("before the beginning")


STATUS = DaemonStatus(
    session="s", mode="paper", now="", started="", phase="OPEN", ready=False, not_ready=["feed"],
    equity=1000.5, cash=900.0, feeds=[FeedView(underlying="NIFTY", live=True, age_s=0.5)],
)  # fmt: skip


@pytest.fixture
def runtime():
    made = LiveRuntime(RuntimeSettings(stages={"MinuteClosed": "taken"}))
    for name in ("a", "b"):
        made.spawn(Counting, name, group="g")
    yield made
    made.close()


def scraped(runtime, recording=None):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = serve_metrics(MetricsSettings(port=port), DaemonCollector(runtime, lambda: STATUS, recording))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    finally:
        stop()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_scrape_has_what_the_cast_did(runtime):
    runtime.snapshots["recorder"] = {"signals": 7, "trades": 2}
    for ts in (1, 2, -1):
        runtime.tell("a", MinuteClosed(ts))
    runtime.tell("b", MinuteClosed(3))
    runtime.settle()
    found = scraped(runtime)
    assert found["sos_actors", "Counting"] == 2
    assert found["sos_failures_total", "Counting"] == 1
    assert found["sos_restarts_total", "Counting"] == 1
    assert found["sos_dead_letters_total",] == 1
    assert found["sos_mailbox_depth", "g"] == 0
    assert found["sos_stage_seconds_bucket", "+Inf", "taken"] == 4
    assert found["sos_ready",] == 0
    assert found["sos_feed_live", "NIFTY"] == 1
    assert found["sos_feed_age_seconds", "NIFTY"] == 0.5
    assert found["sos_equity",] == 1000.5
    assert found["sos_signals_total",] == 7
    assert ("sos_realised",) not in found


def test_a_count_never_goes_back_when_a_contract_is_followed_again(runtime):
    def counted():
        families = {one.name: one for one in DaemonCollector(runtime, lambda: STATUS).collect()}
        return [
            next(one.value for one in families[name].samples if one.labels == {"kind": "Counting"})
            for name in ("sos_messages", "sos_failures", "sos_restarts")
        ]

    for ts in (1, -1, 2):
        runtime.tell("a", MinuteClosed(ts))
    runtime.settle()
    before = counted()
    runtime.ref("a").stop()
    runtime.spawn(Counting, "a", group="g")
    runtime.settle()
    after = counted()
    assert before[1:] == after[1:] == [1, 1]
    assert after[0] >= before[0]


def test_a_scrape_says_how_far_the_journal_lags(runtime, tmp_path):
    recording = Recording(tmp_path / "s", session="s", settings=RecordingSettings(flush_s=60.0))
    try:
        recording.note((1, "g", runtime.actor("a").ports[MinuteClosed], MinuteClosed(1), 5, -1))
        found = scraped(runtime, recording)
        assert found["sos_journal_waiting",] == 1
        assert found["sos_journal_deliveries_total",] == 0
        assert found["sos_journal_failed",] == 0
    finally:
        recording.close()
    assert scraped(runtime, recording)["sos_journal_failed",] == 1  # its first delivery never came
    assert ("sos_journal_waiting",) not in scraped(runtime)


def test_durations_fall_into_the_bucket_of_their_size():
    histogram = Histogram()
    for seconds in (0.000001, 0.00015, 0.00015, 0.03, 100.0):
        histogram.add(round(seconds * 1e9))
    counts = spread([histogram, Histogram()], [round(bound * 1e9) for bound in BOUNDS])
    assert sum(counts) == 5
    assert counts[0] == 1
    assert counts[BOUNDS.index(0.0002)] == 2
    assert counts[BOUNDS.index(0.05)] == 1
    assert counts[-1] == 1


def test_a_taken_port_is_said(runtime):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"metrics: cannot listen on 127.0.0.1:{port}"):
            serve_metrics(MetricsSettings(port=port), DaemonCollector(runtime, lambda: STATUS))


def test_a_port_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"metrics\.port is 70000"):
        MetricsSettings(port=70000)


def test_the_dashboard_draws_only_what_is_exported(runtime):
    runtime.snapshots["recorder"] = dict.fromkeys(("signals", "refusals", "fills", "trades"), 0)
    runtime.tell("a", MinuteClosed(1))
    runtime.settle()
    exported = {sample[0] for sample in scraped(runtime)}
    panels = json.loads((Path(__file__).parents[2] / "deploy" / "grafana.json").read_text())["panels"]
    asked = {name for panel in panels for target in panel["targets"] for name in re.findall(r"sos_\w+", target["expr"])}
    assert sorted(asked - exported - {"sos_realised"}) == []
