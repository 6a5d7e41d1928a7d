"""The works the benches time come to the figures every engine must reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers-data")
    subprocess.run([sys.executable, str(BENCH / "data.py"), "--out", str(folder)], check=True)
    return folder


def run(work: str, inputs: Path, *options: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(BENCH / "engine.py"), work, *options],
        env={**os.environ, "PEERS_DATA": str(inputs)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1].removeprefix("RESULT "))


def test_w1_flips_as_often_and_ends_with_the_equity_of_every_engine(inputs):
    result = run("w1", inputs)
    assert result["trades"] == 4502
    assert result["equity"] == pytest.approx(99_944_181.4, abs=0.05)


def test_w2_reads_the_same_pcr_and_makes_the_same_round_trips(inputs):
    result = run("w2", inputs)
    assert result["trades"] == 50
    assert result["equity"] == pytest.approx(100_039_940.95, abs=0.02)
    assert result["pcr_mean"] == pytest.approx(1.03785465, abs=5e-9)


def test_w2_trades_the_same_beside_the_whole_playbook_on_threads(inputs):
    alone, threads = run("w2_full", inputs), run("w2_full", inputs, "--stage", "live")
    assert alone["trades"] == threads["trades"] == 50
    assert alone["equity"] == threads["equity"]
    assert alone["fills"] == threads["fills"]
