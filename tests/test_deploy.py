"""The units in deploy/: systemd accepts them, and they agree with the program."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from sos_actors.upstox.login import LoginSettings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted(path for path in DEPLOY.iterdir() if path.suffix in {".service", ".timer"})
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def _unit(path):
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(path)
    return parser


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_the_unit(unit, tmp_path):
    # Where nothing is installed yet, what the unit starts is put in the place of the program's interpreter.
    copies = tmp_path / "units"
    shutil.copytree(DEPLOY, copies)
    for copy in copies.glob("*.service"):
        copy.write_text(copy.read_text().replace("/opt/sos-actors/.venv/bin/python", shutil.which("true")))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copies / unit.name)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.replace(str(copies), "")) == (0, "")


@needs_systemd
@pytest.mark.parametrize("unit", [u for u in UNITS if u.suffix == ".service"], ids=lambda path: path.name)
def test_the_service_may_do_little(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("timer", [u for u in UNITS if u.suffix == ".timer"], ids=lambda path: path.name)
def test_every_timer_has_its_service_and_speaks_indian_time(timer):
    assert timer.with_suffix(".service").exists()
    assert _unit(timer)["Timer"]["OnCalendar"].endswith("Asia/Kolkata")


def test_the_installer_installs_every_unit():
    script = (DEPLOY / "install.sh").read_text()
    assert [unit.name for unit in UNITS if unit.name not in script] == []
    assert subprocess.run(["sh", "-n", str(DEPLOY / "install.sh")], check=False).returncode == 0


def test_the_unit_that_asks_for_a_token_waits_as_long_as_the_login_it_starts():
    unit = _unit(DEPLOY / "sos-actors-login.service")["Service"]
    assert int(unit["TimeoutStartSec"]) > LoginSettings().wait_s
