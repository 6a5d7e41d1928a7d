"""A backtest on threads, recorded, replayed and asked by the command line."""

import re

import pytest
from e2e_helpers import command

RUN = (
    "backtest", "--symbol", "NIFTY", "--from-date", "2025-09-02", "--source", "simulated", "--seed", "3",
    "--strategies", "brf_short,ema_8_21_simple_long,ema_8_21_simple_short", "--stage", "live", "--record",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("recorded")
    done = command(*RUN, home=home)
    assert done.returncode == 0, done.stderr
    return home


def session(home) -> str:
    (folder,) = (home / "sessions").iterdir()
    return folder.name


def test_it_replays_without_a_difference(home):
    done = command("replay", session(home), "--check", home=home)
    assert done.returncode == 0, done.stderr
    counted = re.match(r"(\d+) deliveries, (\d+) messages and (\d+) states compared, no difference", done.stdout)
    assert int(counted[2]) > 5_000
    assert int(counted[3]) > 14 * 375, "every actor of fourteen, every minute"
    assert "not whole" not in done.stdout


def test_another_configuration_is_refused_and_can_be_asked_for(home, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("account: {capital: 500000}\n")
    asked = command("replay", session(home), "--config", config, "--json", tmp_path / "r.json", home=home)
    assert asked.returncode == 0, asked.stderr
    assert '"starting_equity": 500000' in (tmp_path / "r.json").read_text().replace(".0,", ",")
    refused = command("replay", session(home), "--check", "--config", config, home=home)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_a_name_nobody_has_names_those_there_are(home):
    done = command("replay", "no-such", home=home)
    assert done.returncode == 2
    assert session(home) in done.stderr


def test_a_damaged_session_is_one_line(home, tmp_path):
    other = tmp_path / "sessions" / "s"
    other.mkdir(parents=True)
    data = bytearray((home / "sessions" / session(home) / "00001.journal").read_bytes())
    data[len(data) // 2] ^= 1
    (other / "00001.journal").write_bytes(data)
    done = command("replay", "s", home=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: .*00001\.journal at \d+: the checksum is wrong: .*\n", done.stderr)
    assert "cannot be read" in command("sessions", home=tmp_path).stdout


def test_threads_are_needed_to_record(tmp_path):
    done = command(*[word for word in RUN if word not in {"--stage", "live"}], home=tmp_path)
    assert done.returncode == 2
    assert "--record: add --stage live" in done.stderr
