"""The bench from a tick to its order in its shortest form: every tick is accounted for, at every consumer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    result = tmp_path_factory.mktemp("bench") / "found.json"
    options = ["--seconds", "3", "--ticks", "1000", "--exits", "4", "--speed", "30", "--json", str(result)]
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "tick_to_order.py"), *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(result.read_text())


def test_all_that_was_sent_was_decoded_and_given_out(found):
    assert found["frames_sent"] == found["frames"]
    assert found["sent"] == found["decoded"] == found["published"] > 5_000
    assert found["malformed"] == found["dead_letters"] == found["failures"] == 0


def test_every_consumer_handled_what_it_was_given(found):
    assert found["given"] == found["handled"] + found["merged"] > found["sent"]
    assert found["wrong_consumers"] == found["bars_without_their_ticks"] == []
    assert found["options"] == 486
    assert found["consumers"] >= 493 + 3  # the bar actors, and who follows each index; desk and gateway besides


def test_ticks_cause_exits_and_inside_as_many_are_counted_as_outside(found):
    assert found["exits"] >= 6
    assert found["exits"] == found["exits_counted_inside"]


def test_every_chain_has_a_snapshot_of_every_minute(found):
    assert found["minutes"] >= 1
    assert set(found["snapshots"].values()) == {found["minutes"]}
