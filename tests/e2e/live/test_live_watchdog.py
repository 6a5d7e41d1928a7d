"""The watchdog is fed while the order path answers, and goes hungry when it does not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from live_stand import ROOT, NotifySocket

#: The daemon on a disk that hangs while a file is there: what is to be kept before an order leaves waits for it.
HANGING_DISK = """
import os, runpy, sys, time
flag, real = {flag!r}, os.fdatasync
def fdatasync(file):
    while os.path.exists(flag):
        time.sleep(0.05)
    real(file)
os.fdatasync = fdatasync
sys.path.insert(0, {root!r})
sys.argv = ["run_actors.py", *sys.argv[1:]]
runpy.run_path({root!r} + "/run_actors.py", run_name="__main__")
"""


def test_a_daemon_that_waits_for_a_log_in_is_not_taken_for_hung(tmp_path):
    systemd = NotifySocket(tmp_path)
    environ = {"PATH": "/bin", "NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "6000000"}
    command = [sys.executable, str(ROOT / "run_actors.py"), "live", "--home", str(tmp_path / "home")]
    daemon = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60.0
        while systemd.count("WATCHDOG=1") < 2:
            assert daemon.poll() is None
            assert time.monotonic() < deadline, systemd.heard
            time.sleep(0.1)
        assert systemd.count("READY=1") == 1
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60.0) == 0
    finally:
        daemon.kill()
        daemon.wait()
        systemd.close()


def test_no_watchdog_while_the_disk_hangs(stand, tmp_path):
    systemd = NotifySocket(tmp_path)
    flag = tmp_path / "hang"
    environ = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "6000000"}
    one = stand("2026-11-20T09:16:00", 30.0, environ=environ)
    script = Path(tmp_path / "daemon.py")
    script.write_text(HANGING_DISK.format(flag=str(flag), root=str(ROOT)))
    one.start(command=[sys.executable, str(script), *one.command()[2:]])
    assert systemd.count("READY=1") == 1
    one.trades(2)
    began = time.monotonic()
    one.until(lambda: systemd.count("WATCHDOG=1", since=began) >= 2, "the watchdog is fed")
    flag.touch()
    one.until(lambda: "order path does not answer" in one.output.read_text(), "it is noticed")
    hung = time.monotonic()
    time.sleep(4.0)
    assert systemd.count("WATCHDOG=1", since=hung) == 0
    flag.unlink()
    back = time.monotonic()
    one.until(lambda: systemd.count("WATCHDOG=1", since=back) >= 2, "the watchdog is fed again")
    one.trades(2)
    one.ask("pause")
    one.ask("flatten")
    one.wait_flat()
    assert one.end() == 0
    assert systemd.count("STOPPING=1") == 1
    systemd.close()
