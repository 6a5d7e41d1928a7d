"""Alerts: gathered, limited, tried again, never in anybody's way."""

import http.server
import json
import threading
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.actors.notifier import Event
from sos_actors.alerts.digest import Digest
from sos_actors.alerts.sender import AlertSender, carrier
from sos_actors.alerts.settings import AlertSettings
from sos_actors.errors import InputError
from sos_actors.logs import hide
from sos_actors.messages import AlertLevel

INFO, WARNING, CRITICAL = AlertLevel.INFO, AlertLevel.WARNING, AlertLevel.CRITICAL


def event(level=WARNING, text="feed is stale", kind="", who="NIFTY"):
    return Event(0, level, who, text, kind)


def digest(**settings):
    return Digest(AlertSettings(**settings), "SOS paper")


# --- what is sent, and when -----------------------------------------------------------------------------


def test_lines_are_gathered_and_repeats_counted():
    gathered = digest(group_s=20)
    for now in (100.0, 101.0, 105.0):
        gathered.add(event(), now)
    gathered.add(event(text="feed is live"), 106.0)
    assert gathered.wait(110.0) == pytest.approx(10.0)
    assert gathered.take(119.9) is None
    notice = gathered.take(120.0)
    assert notice.title == "SOS paper WARNING: 2 alerts"
    assert notice.body == "NIFTY: feed is stale  (x3)\nNIFTY: feed is live"
    assert gathered.wait(120.0) is None


def test_what_is_critical_goes_at_once_with_what_waits():
    gathered = digest(group_s=20)
    gathered.add(event(), 100.0)
    gathered.add(event(CRITICAL, "differs from the broker", who="account"), 100.5)
    notice = gathered.take(100.5)
    assert notice.level is CRITICAL
    assert notice.body.splitlines() == ["NIFTY: feed is stale", "account: differs from the broker"]


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, ["trade", "refusal", "summary", "w"]),
        ({"least": INFO}, ["i", "trade", "refusal", "summary", "w"]),
        ({"trades": False, "summary": False}, ["refusal", "w"]),
        ({"least": CRITICAL, "trades": False, "refusals": False, "summary": False}, []),
    ],
)
def test_level_and_kind_decide_what_is_sent(settings, sent):
    gathered = digest(group_s=0, **settings)
    for level, text, kind in (
        (INFO, "i", ""),
        (INFO, "trade", "trade"),
        (INFO, "refusal", "refusal"),
        (INFO, "summary", "summary"),
        (WARNING, "w", ""),
    ):
        gathered.add(event(level, text, kind), 1.0)
    notice = gathered.take(1.0)
    assert ([] if notice is None else [line.split(": ")[1] for line in notice.body.splitlines()]) == sent


def test_a_storm_is_held_back_and_told():
    gathered = digest(group_s=0, per_hour=2)
    taken = []
    for now in range(10):
        gathered.add(event(text=f"line {now}"), float(now))
        taken.append(gathered.take(float(now)))
    assert [notice is not None for notice in taken] == [True, True] + [False] * 8
    gathered.add(event(text="later"), 3601.0)
    assert gathered.take(3601.0).body == "NIFTY: later\n8 earlier lines were held back: over 2 an hour"


def test_what_is_critical_is_not_held_back():
    gathered = digest(group_s=0, per_hour=1)
    for now in (1.0, 2.0, 3.0):
        gathered.add(event(CRITICAL), now)
        assert gathered.take(now) is not None


@given(
    st.lists(st.tuples(st.sampled_from([INFO, WARNING, CRITICAL]), st.integers(0, 5), st.integers(0, 100)), max_size=60)
)
def test_every_wanted_line_is_sent_or_counted(events):
    gathered = digest(group_s=30, per_hour=3)
    now, told, held = 0.0, 0, 0
    for level, text, pause in events:
        now += pause
        gathered.add(event(level, f"line {text}"), now)
        notice = gathered.take(now)
        if notice is not None:
            lines = notice.body.splitlines()
            back = [line for line in lines if "held back" in line]
            held += int(back[0].split()[0]) if back else 0
            told += sum(int(line.rpartition("(x")[2][:-1]) if "(x" in line else 1 for line in lines if line not in back)
    waiting = sum(gathered._lines.values()) + gathered._held_back
    assert told + held + waiting == sum(level is not INFO for level, _, _ in events)


def test_a_very_long_message_is_cut():
    gathered = digest(group_s=0)
    for number in range(50):
        gathered.add(event(text=f"line {number}"), 1.0)
    assert gathered.take(1.0).body.splitlines()[-1] == "and 30 more"


def test_what_is_critical_stands_in_a_message_however_many_lines_wait():
    gathered = digest(group_s=20)
    for number in range(50):
        gathered.add(event(text=f"line {number}"), 0.0)
    gathered.add(event(CRITICAL, "differs from the broker", who="account"), 1.0)
    lines = gathered.take(1.0).body.splitlines()
    assert lines[:2] == ["account: differs from the broker", "NIFTY: line 0"]
    assert lines[-1] == "and 31 more"


# --- the sender -----------------------------------------------------------------------------------------


def wait_for(condition, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_service_that_is_down_is_tried_again():
    tries = []

    def carry(notice):
        tries.append(notice)
        if len(tries) == 1:
            raise OSError("network is unreachable")
        return len(tries) > 2

    sender = AlertSender(AlertSettings(group_s=0), carry, "SOS", pause_s=0.01)
    sender.put(event())
    wait_for(lambda: sender.sent == 1)
    sender.close()
    assert (len(tries), sender.failed) == (3, 0)


def test_a_service_that_stays_down_is_given_up():
    sender = AlertSender(AlertSettings(group_s=0, retries=2), lambda _: False, "SOS", pause_s=0.01)
    sender.put(event())
    wait_for(lambda: sender.failed == 1)
    sender.close()
    assert sender.sent == 0


def test_a_service_that_hangs_blocks_nobody():
    hang = threading.Event()
    sender = AlertSender(AlertSettings(group_s=0), lambda _: hang.wait(30), "SOS")
    began = time.monotonic()
    for number in range(3000):
        sender.put(event(text=f"line {number}"))
    sender.close(timeout_s=0.2)
    assert time.monotonic() - began < 10
    assert sender.dropped > 0
    hang.set()


def test_what_is_critical_is_taken_while_a_service_hangs():
    hang, notices = threading.Event(), []

    def carry(notice):
        hang.wait(30)
        notices.append(notice)
        return True

    sender = AlertSender(AlertSettings(group_s=0), carry, "SOS")
    for number in range(3000):
        sender.put(event(text=f"line {number}"))
    sender.put(event(CRITICAL, "the kill switch was used", who="account"))
    hang.set()
    sender.close()
    assert "account: the kill switch was used" in [line for notice in notices for line in notice.body.splitlines()]


def test_who_has_taken_a_message_does_not_get_it_again_because_another_has_not():
    heard = Counter()

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard[self.path] += 1
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(503 if self.path == "/down" and heard[self.path] < 3 else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        urls = [f"json://127.0.0.1:{server.server_port}/{name}" for name in ("up", "down")]
        sender = AlertSender(AlertSettings(group_s=0), carrier(urls), "SOS", pause_s=0.01)
        sender.put(event(text="one"))
        wait_for(lambda: sender.sent == 1)
        sender.put(event(text="two"))
        wait_for(lambda: sender.sent == 2)
        sender.close()
        server.shutdown()
        thread.join()
    assert heard == {"/up": 2, "/down": 4}


def test_what_waits_is_sent_at_the_end():
    notices = []
    sender = AlertSender(AlertSettings(group_s=3600), lambda notice: not notices.append(notice), "SOS")
    sender.put(event())
    sender.close()
    assert [notice.body for notice in notices] == ["NIFTY: feed is stale"]


def test_a_secret_does_not_leave_the_house():
    hide("planted-secret-1")
    notices = []
    sender = AlertSender(AlertSettings(group_s=0), lambda notice: not notices.append(notice), "SOS")
    sender.put(event(text="token planted-secret-1 was refused"))
    sender.close()
    assert "planted-secret-1" not in notices[0].title + notices[0].body


def test_a_webhook_hears_it_through_the_real_library():
    heard = []

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        sender = AlertSender(
            AlertSettings(group_s=0), carrier([f"json://127.0.0.1:{server.server_port}/alerts"]), "SOS paper"
        )
        sender.put(event(CRITICAL, "the order path failed", who="orders"))
        wait_for(lambda: sender.sent == 1)
        sender.close()
        server.shutdown()
        thread.join()
    (said,) = heard
    assert (said["title"], said["message"], said["type"]) == (
        "SOS paper CRITICAL: orders: the order path failed",
        "orders: the order path failed",
        "failure",
    )


def test_an_address_nobody_knows_is_refused_without_showing_it():
    with pytest.raises(InputError, match=r"alerts: address 1 \(nosuch://...\)") as caught:
        carrier(["nosuch://user:very-secret-word@host"])
    assert "very-secret-word" not in str(caught.value)


def test_addresses_come_from_the_environment_first():
    settings = AlertSettings(urls=("json://configured",))
    assert settings.addresses({}) == ("json://configured",)
    assert settings.addresses({"SOS_ALERT_URLS": "json://a\n json://b "}) == ("json://a", "json://b")


@pytest.mark.parametrize("setting", [{"group_s": -1}, {"per_hour": 0}, {"retries": -1}])
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(ValueError, match="alerts: write"):
        AlertSettings(**setting)
