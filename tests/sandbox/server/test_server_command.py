"""The command as a newcomer meets it, and the page that explains it."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path

import pytest

from sos_actors.sandbox.exchange.faults import FaultMenu
from sos_actors.sandbox.server.app import make_app
from sos_actors.sandbox.server.feed_faults import FeedFaultMenu
from sos_actors.sandbox.server.local import make_service, simulated_days
from sos_actors.sandbox.server.settings import ServerSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sandbox.md").read_text()


def run(*words, **kwargs):
    return subprocess.run(
        [sys.executable, "run_actors.py", "sandbox", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **kwargs,
    )


def test_it_says_where_it_is_serves_and_stops_in_good_order(tmp_path):
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {at: '2026-11-20T15:00:00+05:30', arm: {outage: 1}}\n")
    command = [sys.executable, "run_actors.py", "sandbox", "--port", "0", "--symbols", "NIFTY", "--faults", str(faults)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as process:
        first = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", first)[0]
        assert "nothing in it is real" in first
        with urllib.request.urlopen(address + "/sandbox/faults", timeout=30) as answer:
            waiting = json.load(answer)["data"]["waiting"]
        assert [one["arm"] for one in waiting] == [{"outage": 1}]
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read()
        assert process.wait(30) == 0
    assert "token    curl -X POST" in rest
    assert rest.splitlines()[-1].startswith("stopped: 1 requests")
    assert "eyJ" not in first + rest  # no token is printed


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--start", "soon"], "error: time 'soon': write it like 2026-11-20T09:10:00+05:30"),
        (
            ["--speed", "0"],
            "error: sandbox: seed is 0 or more, symbols names one at least, speed is above 0 up to 10000",
        ),
        (["--symbols", "BANKEX"], "error: --symbols BANKEX: the simulated market has NIFTY, BANKNIFTY, SENSEX"),
        (["--recorded", "nowhere"], "error: --recorded nowhere: there is no market database; fill one with `ingest`"),
        (["--faults", "nowhere.json"], "error: --faults nowhere.json: No such file or directory"),
        (
            ["--start", "2010-01-04T10:00"],
            "error: sandbox: there is no market on or before 2010-01-04; start on a later day",
        ),
    ],
)
def test_what_is_wrong_is_one_line(words, line):
    done = run("--port", "0", *words)
    assert (done.returncode != 0, done.stderr.strip(), done.stdout) == (True, line, "")


def test_a_taken_port_is_told(desk):
    port = desk.sandbox.address.rpartition(":")[2]
    done = run("--port", port, "--symbols", "NIFTY")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: sandbox: port {port} of 127.0.0.1:")
    assert done.stderr.count("\n") == 1


# === the page ===================================================================================================


def chances(kind):
    """Each fault of a menu with its docstring."""
    found, name = {}, ""
    for node in ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body:
        if isinstance(node, ast.AnnAssign):
            name = node.target.id if node.annotation.id == "Chance" else ""
        elif isinstance(node, ast.Expr) and name:
            found[name], name = " ".join(node.value.value.split()).rstrip("."), ""
    return found


@pytest.mark.parametrize(
    ("title", "menu"),
    [("### Requests, orders", FaultMenu), ("### Connections and market data", FeedFaultMenu)],
)
def test_the_fault_tables_are_the_menus(title, menu):
    section = PAGE.partition(title)[2].partition("\n## ")[0].partition("\n### ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)) == chances(menu)


def test_the_page_names_every_call_of_the_control_side():
    settings = ServerSettings(symbols=("NIFTY",))
    service = make_service(settings, lambda: simulated_days(settings))
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in make_app(service).router.routes()
        if route.resource.canonical.startswith("/sandbox") and route.method != "HEAD"
    }
    service.close()
    assert set(re.findall(r"^\| `((?:GET|POST) /sandbox/[^`]+)`", PAGE, re.MULTILINE)) == served
