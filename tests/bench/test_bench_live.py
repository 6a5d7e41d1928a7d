"""The bench of the live daemon in its shortest form: every tick is accounted for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.soak
def test_no_tick_is_lost(tmp_path):
    result = tmp_path / "live.json"
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "live.py"), "--seconds", "40", "--ticks", "1000", "--json", str(result)],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    found = json.loads(result.read_text())
    assert found["lost"] == found["malformed"] == found["dead_letters"] == 0
    assert found["frames_sent"] == found["frames_received"]
    assert found["in_bars"] + found["merged"] == found["decoded"] > 5000
    assert found["minutes_missing"] == 0
    assert found["stages"]["order"]["count"] > 0
