"""The log says who and when, and never a secret."""

import io
import json
import logging
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from loguru import logger

from sos_actors import logs
from sos_actors.errors import InputError
from sos_actors.logs import HIDDEN, LogSettings, configure, hide, redact

ROOT = Path(__file__).parents[1]
SECRET = "s3cr3t-of-the-test"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJBQjEyMzQifQ.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _as_before():
    before = dict(logs._secrets)
    yield
    logs._secrets.clear()
    logs._secrets.update(before)
    logger.remove()
    logger.configure(patcher=lambda _: None, extra={})
    logging.basicConfig(force=True)


@pytest.fixture
def console():
    return io.StringIO()


def test_a_line_has_level_time_and_the_actor(console):
    configure(LogSettings(), console=console)
    logger.bind(actor="strategy/NIFTY/brf_short").warning("benched after {} failures", 4)
    line = console.getvalue()
    assert line.startswith("WARNING")
    assert line.rstrip().endswith("strategy/NIFTY/brf_short benched after 4 failures")
    assert "\x1b" not in line


def test_a_secret_is_in_no_sink_not_even_in_a_traceback(tmp_path, console):
    hide(SECRET)
    configure(LogSettings(), tmp_path, session="s1", console=console)
    logger.info("token is {}", SECRET)
    logger.info("header Authorization: Bearer {}", "abcdefgh12345678")
    logger.info("a token nobody named: {}", JWT)
    try:
        token = SECRET
        raise ValueError(f"cannot use {token}")
    except ValueError:
        logger.exception("it failed with {}", SECRET)
    logging.getLogger("library").warning("a library knows %s", SECRET)
    logger.complete()
    written = console.getvalue() + "".join(file.read_text() for file in (tmp_path / "logs").iterdir())
    assert SECRET not in written
    assert "abcdefgh12345678" not in written
    assert JWT not in written
    assert f"ValueError: cannot use {HIDDEN}" in written
    assert f"library: a library knows {HIDDEN}" in written


def test_files_are_the_owners_and_json_lines_carry_session_and_actor(tmp_path, console):
    configure(LogSettings(), tmp_path, session="2026-11-20", console=console)
    logger.bind(actor="orders").debug("hello")
    logger.complete()
    for name in ("sos.log", "sos.jsonl"):
        assert stat.S_IMODE((tmp_path / "logs" / name).stat().st_mode) == 0o600
    record = json.loads((tmp_path / "logs" / "sos.jsonl").read_text())["record"]
    assert record["extra"] == {"session": "2026-11-20", "actor": "orders"}
    assert "hello" not in console.getvalue()


@pytest.mark.parametrize(("where", "line"), [({"message": 52052}, "fill #52052 hello"), ({"message": -1}, "fill hello"),
                                             ({}, "fill hello")])  # fmt: skip
def test_a_line_of_the_cast_has_the_number_of_its_delivery(tmp_path, console, where, line):
    configure(LogSettings(), tmp_path, console=console)
    logger.bind(actor="fill", **where).info("hello")
    assert console.getvalue().rstrip().endswith(f" {line}")


def test_json_lines_can_be_switched_off(tmp_path, console):
    configure(LogSettings(json=False), tmp_path, console=console)
    assert [file.name for file in (tmp_path / "logs").iterdir()] == ["sos.log"]


def test_too_short_a_secret_is_refused():
    with pytest.raises(InputError, match="under 6 characters"):
        hide("abc")


def test_text_without_secrets_is_left_alone():
    assert redact("the eye of the bearer sees eyJ alone") == "the eye of the bearer sees eyJ alone"


@pytest.mark.parametrize(("key", "value"), [("console", "LOUD"), ("file", "debug"), ("rotate_mb", 0), ("keep_days", 0)])
def test_settings_that_make_no_sense_are_refused(key, value):
    with pytest.raises(ValueError, match=r"logs"):
        LogSettings(**{key: value})


def test_a_process_that_dies_within_a_library_says_where_it_was():
    code = "from sos_actors.logs import trace_crashes; trace_crashes(); import ctypes; ctypes.string_at(0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode < 0
    assert "Segmentation fault" in done.stderr
    assert "string_at" in done.stderr
