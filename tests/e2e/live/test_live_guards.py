"""What the command line refuses before a daemon trades: each one clear line, exit status 2, nothing begun."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml
from live_stand import ROOT

#: What is said -> arguments, environment, live.real_money.
REFUSED = {
    "choose one": (["--real-money", "--sandbox"], {}, True),
    "goes with neither": (["--real-money", "--paper"], {}, True),
    "live.real_money: true": (["--real-money", "--account", "AB1234"], {}, False),
    "type the account's user id": (["--real-money"], {}, True),
    "clock is shifted or scaled": (
        ["--real-money", "--account", "AB1234"], {"SOS_CLOCK": "2026-11-20T10:00:00+05:30@1"}, True
    ),
    "clock is shifted": (["--real-money", "--account", "AB1234"], {"SOS_CLOCK": "@30"}, True),
    "the addresses are the broker's own": (["--sandbox"], {"SOS_UPSTOX_HOST": "https://api.upstox.com"}, False),
    "no local exchange answers there": (["--sandbox"], {"SOS_UPSTOX_HOST": "http://127.0.0.1:9"}, False),
}  # fmt: skip


@pytest.mark.parametrize("says", REFUSED)
def test_refusals(says, tmp_path):
    arguments, environ, armed = REFUSED[says]
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"live": {"real_money": armed}}))
    command = [sys.executable, str(ROOT / "run_actors.py"), "live", *arguments]
    command += ["--config", str(config), "--home", str(tmp_path / "home")]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/bin", **environ}, timeout=60
    )
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "home" / "orders").exists()


def test_another_account_than_the_one_typed(stand):
    """Real money on a stand-in: the broker says whose token it is."""
    one = stand("2026-11-20T09:16:00", 30.0, config={"live": {"real_money": True}})
    address = one.sandbox.address
    environ = {
        "PATH": "/bin", "SOS_UPSTOX_HOST": address, "SOS_UPSTOX_ORDER_HOST": address, "SOS_UPSTOX_ASSETS_URL": address,
        "SOS_UPSTOX_FEED_BASE": one.sandbox.feed_base, "SOS_UPSTOX_TOKEN": one.sandbox.token(),
        "SOS_CLOCK": f"2026-11-20T{one.clock()}+05:30@30",
    }  # fmt: skip
    command = [part for part in one.command() if part != "--sandbox"] + ["--real-money", "--account", "XX0000"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=one.folder, env=environ, timeout=60)
    one.output.write_text(done.stdout + done.stderr)
    assert done.returncode == 2, done.stderr
    assert "the token is SB1234's" in done.stderr
    assert one.books.orders() == ()
