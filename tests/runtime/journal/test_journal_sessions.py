"""Sessions as a whole: damage anywhere, answers of the outside, retention, a disk that does not keep up."""

import dataclasses
import itertools
import os
import shutil
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sos_actors.messages
from sos_actors.errors import DataError
from sos_actors.messages import Message, MinuteClosed, Tick
from sos_actors.runtime import Actor, LiveRuntime, handles
from sos_actors.runtime.journal import JournalError
from sos_actors.runtime.journal.answers import UnansweredError, plainly, replaying
from sos_actors.runtime.journal.deliveries import body_of, kind_in, load
from sos_actors.runtime.journal.divergence import DivergenceError
from sos_actors.runtime.journal.format import segments
from sos_actors.runtime.journal.recording import Recording, RecordingSettings
from sos_actors.runtime.journal.replay import ReplayRuntime, replay
from sos_actors.runtime.journal.sessions import free_name, latest, listed, retire
from sos_actors.runtime.journal.writer import JournalWriter

DAY_NS = 86_400_000_000_000


class Asker(Actor):
    """Says what the outside told it, to an actor that touches the world too."""

    def __init__(self, price_of, says=lambda price: price):
        super().__init__()
        self.price_of, self.says = price_of, says
        self.total = price_of("start")
        self.subscribe(MinuteClosed)

    @handles(MinuteClosed)
    def on_minute(self, minute):
        try:
            self.total += self.price_of(str(minute.ts))
        except DataError:
            self.total = -1.0
        self.publish(Tick("x", minute.ts, 1, self.says(self.total)), "x")

    def inspect(self):
        return {"total": self.total}


class Wire(Actor):
    """An edge: a replay leaves it out."""

    def __init__(self):
        super().__init__()
        self.subscribe(Tick, "x")

    @handles(Tick)
    def on_tick(self, tick):
        self.publish(MinuteClosed(int(tick.price)), "back")


class Listener(Actor):
    """Hears what the edge says."""

    def __init__(self):
        super().__init__()
        self.heard = []
        self.subscribe(MinuteClosed, "back")

    @handles(MinuteClosed)
    def on_minute(self, minute):
        self.heard.append(minute.ts)

    def inspect(self):
        return {"heard": self.heard}


def cast(runtime, ask, price_of=None, says=lambda price: price):
    runtime.spawn(Asker, "asker", ask("price", float, price_of), says)
    runtime.spawn(Listener, "listener", group="other")


def record(folder, minutes=20, **changes):
    """A session whose actor asks the outside; minute 7 has no answer but an error."""
    count = itertools.count()

    def price_of(name):
        if name == "7":
            raise DataError("no price of 7")
        return 10.0 + next(count)

    recording = Recording(folder, session=folder.name, settings=RecordingSettings(flush_s=0.01, **changes))
    runtime = LiveRuntime(recorder=recording.note)
    cast(runtime, recording.asker(runtime), price_of)
    runtime.spawn(Wire, "wire", group="edge")
    runtime.settle()
    for n in range(minutes):
        runtime.publish(MinuteClosed(n))
        runtime.topic(Tick, "y").publish(Tick("y", n, n, 1.0))
        runtime.settle()
    found = {path: runtime.actor(path).inspect() for path in ("asker", "listener")}
    runtime.close()
    recording.close("done")
    assert recording.failed == ""
    return found


def held(folder):
    """A session with its deliveries in a list."""
    run = load(folder)
    found = dataclasses.replace(run, rows=list(run.rows), entries=list(run.entries))
    assert len(found.rows) == run.count
    return found


def again(run, says=lambda price: price):
    runtime = ReplayRuntime(
        [lambda runtime: cast(runtime, replaying(run.answers, lambda: runtime.serial), says=says)],
        edges=["wire"],
        orders={"wire": ("Tick",)},
    )
    return replay(run.rows, runtime), runtime


def test_what_the_outside_answered_is_answered_again(tmp_path):
    found = record(tmp_path / "s")
    assert found["asker"]["total"] > 0
    assert len(found["listener"]["heard"]) == 20
    run = held(tmp_path / "s")
    assert len(run.answers) == 21
    assert sum(one.failed for one in run.answers) == 1
    outcome, runtime = again(run)
    assert outcome.stopped == ""
    assert outcome.compared == 20  # what went to the edge
    assert {path: runtime.actor(path).inspect() for path in found} == found


def test_what_is_said_to_an_edge_is_compared(tmp_path):
    record(tmp_path / "s")
    run = held(tmp_path / "s")
    fifth = [one for one in run.rows if one.path == "asker" and one.kind == "MinuteClosed"][5]
    price = next(one for one in run.rows if one.path == "wire" and one.cause == fifth.serial)
    count = itertools.count()
    with pytest.raises(DivergenceError, match="Tick differs in price: recorded") as found:
        again(run, says=lambda price: price + (0.05 if next(count) == 5 else 0.0))
    assert (found.value.delivery, found.value.path) == (fifth.serial, "asker")
    assert [name for name, was, now in found.value.fields if was != now and was == was] == ["price"]
    assert price.kind == "Tick"


@pytest.mark.parametrize(("fifth", "said"), [(2, "sent a Tick to wire, which the record does not have"),
                                             (0, "did not send the Tick to wire that was recorded")])  # fmt: skip
def test_an_order_too_many_or_too_few_to_an_edge_is_found(tmp_path, monkeypatch, fifth, said):
    record(tmp_path / "s")
    run = held(tmp_path / "s")
    wanted = [one for one in run.rows if one.path == "asker" and one.kind == "MinuteClosed"][5].serial
    count = itertools.count()
    publish = Asker.publish

    def changed(self, message, key=""):
        times = fifth if next(count) == 5 else 1
        for n in range(times):
            told = message if n == 0 else Tick("x", message.ts, 1, 77.0)
            publish(self, told, key)

    monkeypatch.setattr(Asker, "publish", changed)
    with pytest.raises(DivergenceError, match=said) as found:
        again(run)
    assert (found.value.delivery, found.value.path) == (wanted, "asker")


def test_a_question_the_record_has_not_is_a_divergence(tmp_path):
    record(tmp_path / "s")
    run = held(tmp_path / "s")
    del run.answers[10]
    with pytest.raises(DivergenceError, match=r"asked for price of \('9',\), recorded is nothing"):
        again(run)


def test_a_record_that_ends_within_a_delivery_is_replayed_up_to_it(tmp_path):
    record(tmp_path / "s")
    run = held(tmp_path / "s")
    last = [one for one in run.rows if one.path == "asker" and one.kind == "MinuteClosed"][12]
    del run.rows[last.serial + 1 :]
    run.answers[:] = [one for one in run.answers if one.serial < last.serial]
    outcome, _ = again(run)
    assert outcome.deliveries == last.serial
    assert f"the record ends within delivery {last.serial} (asker)" in outcome.stopped


def test_questions_have_to_be_the_same():
    ask = replaying([], lambda: 3)
    with pytest.raises(UnansweredError, match="recorded is nothing") as found:
        ask("price", float, None)("a")
    assert found.value.serial == 3
    assert plainly("price", float, len)("abc") == 3


@pytest.fixture(scope="module")
def long_session(tmp_path_factory):
    """A session in several segments, each with checkpoints."""
    folder = tmp_path_factory.mktemp("long") / "s"
    recording = Recording(folder, session="s", settings=RecordingSettings(flush_s=60.0))
    runtime = LiveRuntime(recorder=recording.note, checkpoints=recording.checkpoints)
    cast(runtime, recording.asker(runtime), lambda _: 1.0)
    for n in range(120):
        runtime.publish(MinuteClosed(n))
        if n % 30 == 29:
            runtime.settle()
            runtime.keep_states(runtime)
            runtime.settle()
            recording._flush()
            recording._writer._close_file()
            recording._writer._open_next()
    runtime.close()
    recording.close("done")
    assert len(segments(folder)) == 5
    return folder


@given(st.data())
@settings(max_examples=120, deadline=None)
def test_a_damaged_session_is_never_taken_for_whole(long_session, tmp_path_factory, data):
    """Bits flipped, bytes cut off, a segment gone: one line that names the place, or a part that says so."""
    whole = held(long_session)
    assert whole.checkpoints == 5 * 3, "of the clock too"
    folder = tmp_path_factory.mktemp("damaged") / "s"
    shutil.copytree(long_session, folder)
    _, path = data.draw(st.sampled_from(segments(folder)))
    content = bytearray(path.read_bytes())
    how = data.draw(st.sampled_from(["flip", "cut", "empty", "gone"]))
    if how == "flip":
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        if content == path.read_bytes():
            return
    elif how == "cut":
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    elif how == "empty":
        content.clear()
    path.unlink()
    if how != "gone":
        path.write_bytes(bytes(content))
    run = loaded(folder)
    if isinstance(run, str):
        assert "\n" not in run
        assert ".journal" in run or "segment 0000" in run
        if how == "flip":
            assert " at " in run
        return
    assert run.reader.end is None or run.reader.torn is not None, "damaged, and taken for whole"
    assert run.rows == whole.rows[: len(run.rows)]
    assert run.entries == whole.entries[: len(run.entries)]
    assert run.checkpoints == len(run.entries) - len(run.rows)


def loaded(folder):
    """Give the session, or what is wrong with it."""
    try:
        return held(folder)
    except JournalError as error:
        return str(error)


def test_a_damaged_session_is_listed_as_such(long_session, tmp_path):
    shutil.copytree(long_session, tmp_path / "good")
    shutil.copytree(long_session, tmp_path / "bad")
    os.truncate(tmp_path / "bad" / "00002.journal", 90)
    (tmp_path / "other").mkdir()
    bad, good = listed(tmp_path)
    assert (good.problem, good.end.reason) == ("", "done")
    assert "00002.journal at " in bad.problem


def test_old_sessions_go_the_one_under_way_stays(tmp_path):
    for n, name in enumerate("abcd"):
        JournalWriter(tmp_path / name, session=name, code="", now=lambda: 1).close()
        at = 1_000 * DAY_NS + n * DAY_NS
        os.utime(tmp_path / name / "00001.journal", ns=(at, at))
    now = 1_000 * DAY_NS + 12 * DAY_NS
    assert latest(tmp_path) == "d"
    assert retire(tmp_path, now, 10, 0, spare="b") == ["a"]
    assert retire(tmp_path, now, 0, 0) == []
    os.truncate(tmp_path / "c" / "00001.journal", 2_000_000)
    os.utime(tmp_path / "c" / "00001.journal", ns=(1_002 * DAY_NS, 1_002 * DAY_NS))
    assert retire(tmp_path, now, 0, 1, spare="b") == ["c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "d"]
    assert free_name(tmp_path, "b") == "b-2"
    assert free_name(tmp_path, "x") == "x"


def test_a_disk_that_does_not_keep_up_ends_the_record_with_one_alert(tmp_path):
    told = []
    recording = Recording(
        tmp_path / "s", session="s", settings=RecordingSettings(flush_s=60.0, most_waiting=50), on_failed=told.append
    )
    runtime = LiveRuntime(recorder=recording.note)
    cast(runtime, plainly, lambda _: 1.0)
    for n in range(200):
        runtime.publish(MinuteClosed(n))
    runtime.settle()
    assert recording.waiting > 200
    recording.close()
    runtime.close()
    assert told == [
        "the session is recorded no further, trading goes on: the disk is too slow: more than 50 deliveries wait for it"
    ]
    assert load(tmp_path / "s").reader.end.reason.startswith("incomplete: the disk is too slow")


def test_after_a_failure_nothing_more_is_kept_in_memory(tmp_path):
    recording = Recording(tmp_path / "s", session="s", settings=RecordingSettings(flush_s=0.02))
    recording._fail("a test")
    runtime = LiveRuntime(recorder=recording.note)
    cast(runtime, plainly, lambda _: 1.0)
    deadline = time.monotonic() + 20
    runtime.publish(MinuteClosed(1))
    runtime.settle()
    while recording.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    assert recording.waiting == 0
    runtime.close()
    recording.close()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "sessions").write_text("a file")
    with pytest.raises(JournalError, match="no session can be recorded"):
        Recording(tmp_path / "sessions" / "s", session="s")


@pytest.mark.parametrize(
    "change",
    [
        {"flush_s": 0},
        {"segment_mb": 0},
        {"keep_days": -1},
        {"most_waiting": 0},
        {"folder": "/tmp"},
        {"checkpoint_s": -1.0},
        {"checkpoint_s": 90_000.0},
    ],
)
def test_settings_of_a_recording_that_make_no_sense(change):
    with pytest.raises(ValueError, match="journal"):
        RecordingSettings(**change)


def kinds():
    return [one for one in vars(sos_actors.messages).values() if isinstance(one, type) and issubclass(one, Message)]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_the_kind_of_every_message_is_read_from_its_body(kind):
    if kind is not Message:
        fields = len(kind.__struct_fields__)
        head = bytes([0x91 + fields]) if fields < 15 else b"\xdc" + (fields + 1).to_bytes(2, "big")
        assert kind_in(head + bytes([0xA0 + len(kind.__name__)]) + kind.__name__.encode()) == kind.__name__
        assert len(kind.__name__) < 32


def test_a_body_without_a_kind_is_refused():
    assert kind_in(body_of(MinuteClosed(1))) == "MinuteClosed"
    for body in (b"", b"\x90", b"\xc0", b"\x92", b"\x91\x05"):
        with pytest.raises(ValueError, match="without its kind"):
            kind_in(body)
