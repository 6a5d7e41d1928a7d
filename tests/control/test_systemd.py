"""What systemd hears, on a socket of our own in its place."""

import os
import socket

import pytest

from sos_actors.control.systemd import ServiceManager


def test_a_life_as_systemd_hears_it(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        manager.ready("trading on\npaper")
        manager.alive()
        manager.status("feed stale")
        manager.more_time(2.5)
        manager.stopping("flat")
        heard = [receiver.recv(4096).decode() for _ in range(5)]
    assert heard == [
        "READY=1\nSTATUS=trading on paper",
        "WATCHDOG=1",
        "STATUS=feed stale",
        "EXTEND_TIMEOUT_USEC=2500000",
        "STOPPING=1\nSTATUS=flat",
    ]


def test_an_abstract_socket():
    name = f"sos-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        receiver.settimeout(5)
        ServiceManager({"NOTIFY_SOCKET": "@" + name}).alive("ok")
        assert receiver.recv(4096) == b"WATCHDOG=1\nSTATUS=ok"


@pytest.mark.parametrize(
    ("env", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_ours_only_when_it_says_so(env, seconds):
    assert ServiceManager(env).watchdog_s == seconds


def test_without_a_service_manager_nothing_happens(tmp_path):
    ServiceManager({}).ready("on a terminal")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("nobody listens")
