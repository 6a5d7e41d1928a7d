"""The control socket as a command line meets it."""

import socket
import stat
import threading

import msgspec
import numpy as np
import pytest

from sos_actors.control.client import ControlClient
from sos_actors.control.protocol import LONGEST_REQUEST, ControlError, socket_path
from sos_actors.control.server import ControlServer
from sos_actors.errors import InputError


def _refuse():
    raise InputError("there is no strategy 'x'; known: a, b")


def _break():
    raise KeyError("oops")


@pytest.fixture
def home(tmp_path):
    commands = {
        "echo": lambda **args: args,
        "refuse": _refuse,
        "break": _break,
        "figures": lambda: {"nan": float("nan"), "array": np.array([1.0, 2.0])},
    }
    server = ControlServer(socket_path(tmp_path), commands)
    yield tmp_path
    server.close()
    assert not socket_path(tmp_path).exists()


def test_a_request_is_answered_and_a_second_on_the_same_connection(home):
    with ControlClient(home) as client:
        assert client.ask("echo", name="a", n=1) == {"name": "a", "n": 1}
        assert client.ask("echo") == {}


def test_only_the_owner_may_open_it(home):
    assert stat.S_IMODE(socket_path(home).stat().st_mode) == 0o600


def test_a_refusal_is_the_daemons_own_line(home):
    with ControlClient(home) as client:
        with pytest.raises(ControlError, match="there is no strategy 'x'; known: a, b") as caught:
            client.ask("refuse")
        assert caught.value.exit_status == InputError.exit_status  # what was asked is at fault
        assert client.ask("echo", still="here") == {"still": "here"}


def test_an_unknown_command_names_the_known_ones(home):
    with ControlClient(home) as client, pytest.raises(ControlError, match=r"unknown command 'drop'; known: .*echo"):
        client.ask("drop")


def test_a_faulty_command_does_not_take_the_socket_down(home):
    with ControlClient(home) as client:
        with pytest.raises(ControlError, match="break failed"):
            client.ask("break")
        assert client.ask("echo") == {}


def test_wrong_arguments_are_said(home):
    with ControlClient(home) as client, pytest.raises(ControlError, match="unexpected keyword argument"):
        client.ask("figures", colour="red")


def test_arrays_and_nan_are_plain_data(home):
    with ControlClient(home) as client:
        assert client.ask("figures") == {"nan": None, "array": [1.0, 2.0]}


@pytest.mark.parametrize("line", [b"not json\n", b"[]\n", b'{"do": 3}\n', b'{"do": "echo", "more": 1}\n'])
def test_what_is_no_request_is_refused(home, line):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(socket_path(home)))
        raw.sendall(line)
        assert b"not a request" in raw.makefile("rb").readline()


def test_too_long_a_request_is_refused_and_the_connection_closed(home):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(socket_path(home)))
        sender = threading.Thread(target=lambda: raw.sendall(b"x" * (LONGEST_REQUEST + 1)))
        sender.start()
        lines = raw.makefile("rb")
        assert b"over 65536 bytes" in lines.readline()
        assert lines.readline() == b""
        sender.join()


def test_a_client_that_leaves_in_the_middle_harms_nobody(home):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(socket_path(home)))
        raw.sendall(b'{"do": "ec')
    with ControlClient(home) as client:
        assert client.ask("echo", a=1) == {"a": 1}


def test_without_a_daemon_the_command_says_how_to_start_one(tmp_path):
    with pytest.raises(ControlError, match=r"no daemon runs on .*: start one with `python run_actors.py live`"):
        ControlClient(tmp_path)


def test_a_socket_left_by_a_dead_daemon_is_no_daemon(tmp_path):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(socket_path(tmp_path)))
    with pytest.raises(ControlError, match="no daemon runs"):
        ControlClient(tmp_path)
    server = ControlServer(socket_path(tmp_path), {"echo": lambda: 1})
    with ControlClient(tmp_path) as client:
        assert client.ask("echo") == 1
    server.close()


def test_a_daemon_that_does_not_answer_is_said_so(tmp_path):
    wait = threading.Event()
    server = ControlServer(socket_path(tmp_path), {"hang": wait.wait})
    with ControlClient(tmp_path, timeout_s=0.1) as client, pytest.raises(ControlError, match="did not answer 'hang'"):
        client.ask("hang")
    wait.set()
    server.close()


def test_too_long_a_home_is_refused_in_words(tmp_path):
    with pytest.raises(InputError, match="too long a path for a socket"):
        socket_path(tmp_path / ("x" * 120))


def test_requests_are_json_a_person_can_write(home):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(socket_path(home)))
        raw.sendall(b'{"do": "echo", "args": {"a": "b"}}\n')
        assert msgspec.json.decode(raw.makefile("rb").readline()) == {"data": {"a": "b"}, "error": "", "wrong": False}
