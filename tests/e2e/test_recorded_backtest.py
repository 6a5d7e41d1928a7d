"""A backtest on threads, recorded, replayed and asked by the command line."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from e2e_helpers import command

from sos_actors.market.clocktime import ist_text
from sos_actors.runtime.journal.checkpoints import States, is_states
from sos_actors.runtime.journal.deliveries import Checkpoint, load
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.journal.writer import JournalWriter

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


def write_again(home, folder: Path, *, code="", change=lambda states: states) -> None:
    """Write the session anew into `folder`, as if other code had made it, or with other checkpoints."""
    reader = JournalReader(home / "sessions" / session(home))
    head = reader.header
    writer = JournalWriter(folder, session=head.session, code=code or head.code, now=lambda: head.opened,
                           facts=head.facts)  # fmt: skip
    for record in reader:
        if is_states(record):
            record = msgspec.msgpack.encode(change(msgspec.msgpack.decode(record, type=States)))  # noqa: PLW2901
        writer.append(record)
    writer.close("ended")


def test_a_state_that_was_another_is_found(home, tmp_path):
    """One count of the recorder, in the checkpoint of noon, that no message shows."""
    entries = [one for one in load(home / "sessions" / session(home)).entries if isinstance(one, Checkpoint)]
    noon = next(one for one in entries if one.path == "recorder" and ist_text(one.now)[11:16] == "12:00")

    def change(states):
        places = zip(states.serials, states.paths, states.nows, states.states, strict=True)
        changed = [
            (msgspec.Raw(altered(raw)) if (serial, path, now) == (noon.serial, "recorder", noon.now) else raw)
            for serial, path, now, raw in places
        ]
        return msgspec.structs.replace(states, states=changed)

    write_again(home, tmp_path / "sessions" / "s", change=change)
    done = command("replay", "s", "--check", home=tmp_path)
    assert done.returncode == 1
    held = msgspec.msgpack.decode(noon.state)["signals"]
    assert done.stdout == f"* signals: recorded {held + 1}, replayed {held}\n"
    parted = rf"the replay parts from the record at delivery {noon.serial} \(recorder\): its state differs in signals"
    values = rf"recorded {held + 1}, replayed {held}; it was equal after delivery \d+"
    assert re.fullmatch(f"error: {parted}: {values}\n", done.stderr)


def altered(raw) -> bytes:
    state = msgspec.msgpack.decode(raw)
    return msgspec.msgpack.encode(state | {"signals": state["signals"] + 1})


def test_the_last_checkpoint_before_an_instant(home):
    asked = ("inspect", "study/NIFTY", "--at", "12:00:30", "--session", session(home))
    kept = command(*asked, "--checkpoint", home=home)
    assert kept.returncode == 0, kept.stderr
    head, told = kept.stdout.split("\n", 1)
    assert re.fullmatch(r"checkpoint of 2025-09-02T12:00:00\+05:30, after delivery #\d+: .*", head)
    state = json.loads(told.partition("mailbox: ")[0])
    assert state["bars"]["60"] > 160
    again = command(*asked, home=home)  # nothing happens between noon and half a minute later
    assert json.loads(again.stdout.partition("mailbox: ")[0]) == state
    assert told.partition("mailbox: ")[2] == again.stdout.partition("mailbox: ")[2]
    for words, said in (
        (("study/NIFTY", "--at", "2025-01-01T09:00:00", "--checkpoint"), "no checkpoint of 'study/NIFTY' at or before"),
        (("nobody", "--at", "12:00:00", "--checkpoint"), "no checkpoint of 'nobody' at or before"),
        (("orders", "--at", "12:00:00", "--checkpoint", "--follow"), "--follow: what comes after a checkpoint"),
        (("orders", "--checkpoint"), "--checkpoint: say of which instant, with --at"),
    ):
        refused = command("inspect", *words, home=home)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert said in refused.stderr


def test_of_other_code_the_last_checkpoint_is_shown(home, tmp_path):
    write_again(home, tmp_path / "sessions" / "s", code="0.0.1+another")
    asked = ("inspect", "orders", "--at", "12:00:30", "--session", "s")
    done = command(*asked, home=tmp_path)
    assert done.returncode == 0, done.stderr
    why, head, _ = done.stdout.split("\n", 2)
    assert "was recorded by code 0.0.1+another" in why
    assert head.startswith("checkpoint of 2025-09-02T12:00:00+05:30, after delivery #")
    assert '"cash_paise"' in done.stdout
    for words in ((*asked, "--follow"), ("inspect", "orders", "--at", "2025-01-01T09:00", "--session", "s")):
        refused = command(*words, home=tmp_path)
        assert refused.returncode == 2
        assert "was recorded by code 0.0.1+another" in refused.stderr
    assert command(*asked, "--other-code", home=tmp_path).stdout.startswith("{")


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
