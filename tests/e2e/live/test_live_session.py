"""A session from before its last entries to past its close, with systemd and an operator watching."""

from __future__ import annotations

import subprocess
import time

import pytest
from live_stand import NotifySocket, Stand, paise

#: Seconds an actor may take to say what it holds, on a machine that is busy with other tests.
INSPECT_S = 0.1


def _session(stand: Stand, seconds: float) -> dict:
    """Let the session run to its close; gives what the daemon says of itself then."""
    stand.until(lambda: stand.clock() >= "15:41", "the session is over", seconds)
    stand.until(lambda: (stand.status() or {}).get("phase") == "CLOSED", "the daemon knows it")
    return stand.status()


def _judge_end(stand: Stand, status: dict) -> None:
    """Flat at the exchange, nothing live, and our trades made what theirs did, to the paisa."""
    assert stand.books.net() == {}
    assert stand.books.live() == []
    assert status["positions"] == []
    assert status["orders"] == []
    assert paise(status["realised"]) - stand.books.charges() == stand.books.profit()
    # Charges are rounded for each execution; two that reach us as one fill may differ by a paisa.
    assert abs(paise(status["cash"]) - stand.books.cash()) <= len(stand.books.executions())
    assert status["differences"] == []
    last = max(order.placed_ts for order in stand.books.orders() if order.side.sign > 0)
    assert last <= stand.instant("15:11"), "an entry after the last minute for entries"


def test_a_session_to_its_close(stand, tmp_path):
    systemd = NotifySocket(tmp_path)
    environ = {"NOTIFY_SOCKET": str(systemd.path), "WATCHDOG_USEC": "6000000"}
    one = stand("2026-11-20T14:50:00", 60.0, environ=environ)
    one.start()
    assert systemd.count("READY=1") == 1
    second = subprocess.run(one.command(), check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert second.returncode == 2
    assert "runs on this folder already" in second.stderr
    assert second.stderr.count("\n") == 1
    began = time.monotonic()
    status = _session(one, 90.0)
    assert one.books.entries() >= 4, "a session without trades proves nothing"
    _judge_end(one, status)
    assert systemd.count("WATCHDOG=1", since=began) >= (time.monotonic() - began) / 6
    assert systemd.count("STOPPING=1") == 0
    assert one.end() == 0
    assert systemd.count("STOPPING=1") == 1
    systemd.close()


def test_an_operator_looks_and_commands(stand):
    one = stand("2026-11-20T10:00:00", 60.0)
    one.start()
    took = _operate(one)
    middle, worst = 1000 * took[len(took) // 2], 1000 * took[-1]
    print(f"\ninspect of an actor: {middle:.1f} ms median, {worst:.1f} ms worst of {len(took)}")
    assert took[int(len(took) * 0.95)] < INSPECT_S


def _operate(one: Stand) -> list[float]:
    """Ask and command while it trades; gives the seconds each `inspect` took, least first."""
    took = []
    paths = [actor["path"] for actor in one.ask("actors")]
    for path in paths:
        began = time.monotonic()
        one.ask("inspect", path=path)
        took.append(time.monotonic() - began)
    one.trades(2)
    (feed,) = one.status()["feeds"]
    assert feed["live"]
    assert feed["price"] > 1000.0, "the index's last price"
    one.ask("pause")
    one.until(lambda: one.status()["trading"] == "REDUCING", "paused")
    one.ask("flatten")
    # An entry that was on its way when trading was paused may still arrive: the daemon knows of it.
    one.until(lambda: (now := one.status()) and not now["orders"] and not now["positions"], "nothing is on its way")
    one.wait_flat()
    entries = one.books.entries()
    minute = one.clock()[:5]
    one.until(lambda: one.clock()[:5] > minute and one.clock()[6:] > "30", "a minute passes")
    assert one.books.entries() == entries, "entered while paused"
    one.ask("resume")
    one.trades(2)
    one.ask("kill", reason="the operator's hand")
    one.wait_flat()
    one.until(lambda: one.status()["trading"] == "HALTED", "halted")
    one.ask("resume")
    one.trades(1)
    return sorted(took)


@pytest.mark.soak
def test_a_whole_day(stand):
    one = stand("2026-11-20T09:10:00", 60.0)
    one.start(wait=False)
    _judge_end(one, _session(one, 460.0))
    assert one.books.entries() > 100


@pytest.mark.soak
def test_through_the_night_into_the_next_day(stand):
    """Begun before the close, on through 03:30, where the token dies, to trades on the next morning."""
    one = stand("2026-11-19T15:25:00", 900.0, config={"freshness": {"least_real_s": 6.0}})
    one.start(wait=False)
    one.until(lambda: (one.status() or {}).get("phase") == "CLOSED", "the first day closes")
    assert one.books.entries() == 0, "entered after the last minute for entries"
    one.until(lambda: "03:40" < one.clock() < "09:00", "the night passes")
    one.until(lambda: not one.status()["ready"], "a dead token is noticed")
    one.new_token()
    one.until(lambda: "09:16" < one.clock() < "15:00", "the next morning")
    one.trades(6)
    one.ask("pause")
    one.ask("flatten")
    one.wait_flat()


def test_a_start_after_the_close(stand):
    one = stand("2026-11-20T15:50:00", 60.0)
    one.start(wait=False)
    one.until(lambda: (one.status() or {}).get("broker", "").startswith("order stream live"), "it is connected")
    time.sleep(2.0)
    assert one.status()["orders"] == []
    assert one.books.orders() == ()
    assert one.end() == 0


def test_a_start_before_the_open(stand):
    one = stand("2026-11-20T09:12:00", 60.0)
    one.start(wait=False)
    one.until(lambda: one.clock() >= "09:14:30", "just before the open")
    assert one.books.orders() == ()
    one.trades(4)
    assert min(order.placed_ts for order in one.books.orders()) > one.instant("09:16")


def test_a_start_in_the_first_minute(stand):
    """None of the day's minutes can be played then, and yet it is told that the day has begun."""
    one = stand("2026-11-20T09:15:05", 20.0, sides=("CALL",))
    one.start()
    one.trades(1)
    assert one.end() == 0
