"""`reinstate` as an operator types it: a benched strategy is at work again; what cannot be taken back is one line."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sos_actors.config import Config
from sos_actors.control.protocol import socket_path
from sos_actors.control.server import ControlServer
from sos_actors.daemon.rehearsal import Rehearsal
from sos_actors.messages import HistoryPlayed
from sos_actors.playbook.loader import load_playbook
from sos_actors.web.stage import LocalStage

ROOT = Path(__file__).parents[2]
NAME = "brf_short"
PATH = f"strategy/NIFTY/{NAME}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A stage with one strategy, answering on the control socket of a home."""
    home = tmp_path_factory.mktemp("home")
    with Rehearsal(Config(), load_playbook([ROOT / "strategies" / f"{NAME}.json"]), "09:17") as playing:
        playing.play(speed=1.0)
        server = ControlServer(socket_path(home), playing.operations.commands())
        yield playing, home
        server.close()


def command(home, *words):
    line = [sys.executable, str(ROOT / "run_actors.py"), *words, "--home", str(home)]
    return subprocess.run(line, check=False, capture_output=True, text=True, timeout=60)


def benched(playing):
    stage = LocalStage(playing.runtime, playing.operations, playing.seen.book)
    return dict(stage.strategies())[PATH] == "benched"


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def test_a_benched_strategy_is_taken_back(daemon):
    playing, home = daemon
    for _ in range(4):
        playing.runtime.tell(PATH, HistoryPlayed(0, b"no standing"))
    until(lambda: benched(playing))
    done = command(home, "reinstate", NAME)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{NAME} is at work again on NIFTY, from its first phase\n"
    until(lambda: not benched(playing))


def test_what_is_not_benched_or_not_there_is_one_line(daemon):
    _, home = daemon
    for name, said in ((NAME, "benched now: none"), ("no_such", "no_such")):
        done = command(home, "reinstate", name)
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr
        assert said in done.stderr
    assert command(home, "reinstate").returncode == 2


def test_without_a_daemon_it_says_so(tmp_path):
    done = command(tmp_path, "reinstate", NAME)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no daemon runs on ")
