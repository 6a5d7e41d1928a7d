"""A threaded session is recorded and runs again, delivery by delivery; a difference is named exactly."""

import errno
import gc
import itertools
import os
import threading
import time
from pathlib import Path

import pytest

from sos_actors.messages import ActorFailed, FeedStatus, MinuteClosed, Reinstate, Stage, Tick
from sos_actors.runtime import Actor, LiveRuntime, RestartPolicy, RuntimeSettings, WallTime, handles
from sos_actors.runtime.journal import JournalError
from sos_actors.runtime.journal.deliveries import Delivery, load
from sos_actors.runtime.journal.divergence import DivergenceError
from sos_actors.runtime.journal.flight import WINDOW
from sos_actors.runtime.journal.recording import _PACKED, Recording, RecordingSettings
from sos_actors.runtime.journal.replay import ReplayRuntime, replay
from sos_actors.runtime.supervision import Directive

T0 = 1_760_000_000_000_000_000


class Thinker(Actor):
    """Hears ticks and its neighbours, and says what depends on the order it heard them in."""

    def __init__(self, name, salt=lambda: 0):
        super().__init__()
        self.name, self.salt = name, salt
        self.state = 0
        self.subscribe(Tick, "x")
        self.subscribe(FeedStatus)
        self.subscribe(MinuteClosed, name)

    @handles(Tick)
    def on_tick(self, tick):
        self.state = (self.state * 31 + int(tick.price) + self.salt()) % 1_000_003
        self.publish(FeedStatus(self.name, self.clock.now, True, str(self.state)))
        if self.state % 50 == 0:
            self.clock.schedule(self.clock.now + 1_000_000, Stage.MINUTE, self, MinuteClosed(self.state))

    @handles(FeedStatus)
    def on_status(self, status):
        self.state = (self.state * 17 + len(status.underlying) + int(status.detail)) % 1_000_003

    @handles(MinuteClosed)
    def on_minute(self, minute):
        if minute.ts % 7 == 0:
            raise ValueError("an unlucky number")
        self.state += minute.ts

    def inspect(self):
        return {"state": self.state}


class Nursery(Actor):
    """Keeps a child at work, and replaces it now and then."""

    def __init__(self):
        super().__init__()
        self.heard = self.born = 0
        self.child = None
        self.subscribe(Tick, "x")

    @handles(Tick)
    def on_tick(self, tick):
        self.heard += 1
        if self.heard % 40 == 0:
            if self.child is not None:
                self.child.stop(block=False)
            self.born += 1
            self.child = self.runtime.spawn(Thinker, f"child/{self.born}", f"c{self.born}")


def cast(salts=None):
    salts = salts or {}

    def build(runtime):
        for n in range(3):
            policy = RestartPolicy(restarts=2, period_s=3600, exhausted=Directive.BENCH)
            name = f"strategy/{n}"
            runtime.spawn(Thinker, name, f"s{n}", salts.get(name, lambda: 0), group=f"g{n}", policy=policy)
        runtime.spawn(Nursery, "nursery")

    return build


def record(folder, ticks, seed=0, *, salts=None, close=True):
    """A session on wall time, ticks injected by two threads that are no actors; gives the final states."""
    recording = Recording(folder, session="s", settings=RecordingSettings(flush_s=0.02))
    runtime = LiveRuntime(RuntimeSettings(conflate_above=0, snapshot_s=0), recorder=recording.note)
    cast(salts)(runtime)
    runtime.start_wall(WallTime(time.monotonic_ns(), T0, 1.0, True))

    def inject(offset):
        for n in range(ticks // 2):
            price = float((n * 7919 + seed * 13 + offset) % 997)
            runtime.topic(Tick, "x").publish(Tick("x", n, n, price, 1, n, 0.0, 1.0, 2.0))
            if n % 100 == 0:
                time.sleep(0.001)

    threads = [threading.Thread(target=inject, args=(k,)) for k in (1, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.settle()
    states = {path: runtime.actor(path).inspect() for path in runtime}
    stats = {one.path: (one.handled, one.restarts, one.benched) for one in runtime.stats()}
    assert runtime.stop() == ()
    if close:
        recording.close("done")
    return states, stats


def again(folder, salts=None, window=WINDOW, **kwargs):
    rows = list(load(folder).rows)
    runtime = ReplayRuntime([cast(salts)], window=window)
    return replay(rows, runtime, **kwargs), runtime, rows


@pytest.mark.parametrize("seed", range(10))
def test_a_threaded_session_replays_without_a_difference(tmp_path, seed):
    states, stats = record(tmp_path / "s", 600, seed)
    outcome, runtime, rows = again(tmp_path / "s")
    assert outcome.deliveries == len(rows) > 600 * 4
    assert outcome.compared > 600 * 3
    assert outcome.stopped == ""
    assert {path: runtime.actor(path).inspect() for path in runtime} == states
    assert {one.path: one.restarts for one in runtime.stats()} == {path: n for path, (_, n, _) in stats.items()}
    assert any(benched for _, _, benched in stats.values()) == any(one.benched for one in runtime.stats())


@pytest.mark.parametrize("window", [1, 5, 50])
def test_it_replays_as_well_where_next_to_nothing_is_remembered(tmp_path, window):
    """What comes later of a delivery than the window has been found beforehand."""
    states, _ = record(tmp_path / "s", 600, 3)
    outcome, runtime, rows = again(tmp_path / "s", window=window)
    assert max(one.serial - one.cause for one in rows if one.cause >= 0) > window
    assert outcome == again(tmp_path / "s")[0]
    assert {path: runtime.actor(path).inspect() for path in runtime} == states


def test_a_record_is_never_held_whole(tmp_path):
    record(tmp_path / "s", 2000)
    rows = load(tmp_path / "s").rows
    held = []

    def before(one):
        if one.serial % 3_000 == 2_500:
            held.append(sum(type(found) is Delivery for found in gc.get_objects()))
        return True

    assert replay(rows, ReplayRuntime([cast()], window=100), before).deliveries > 6_000
    assert len(held) >= 2
    assert max(held) < 2 * _PACKED, "more than the batches being read"


def test_a_session_still_written_is_read_as_far_as_when_it_was_opened(tmp_path):
    recording = Recording(tmp_path / "s", session="s", settings=RecordingSettings(flush_s=60.0))
    runtime = LiveRuntime(recorder=recording.note)
    cast()(runtime)
    runtime.settle()
    recording._flush()
    run = load(tmp_path / "s")
    runtime.topic(Tick, "x").publish(Tick("x", 1, 1, 5.0))
    runtime.settle()
    runtime.close()
    recording.close()
    assert run.reader.end is None
    assert len(list(run.rows)) == run.count < load(tmp_path / "s").count


def test_restarted_and_benched_actors_and_children_are_in_the_sessions_above(tmp_path):
    _, stats = record(tmp_path / "s", 3000)
    assert any(restarts for _, restarts, _ in stats.values())
    assert sum(path.startswith("child/") for path in stats) > 10


def test_an_actor_that_was_taken_back_is_so_in_the_replay(tmp_path):
    recording = Recording(tmp_path / "s", session="s", settings=RecordingSettings(flush_s=0.02))
    runtime = LiveRuntime(RuntimeSettings(conflate_above=0, snapshot_s=0), recorder=recording.note)
    cast()(runtime)
    runtime.start_wall(WallTime(time.monotonic_ns(), T0, 1.0, True))
    for _ in range(3):
        runtime.tell("strategy/1", MinuteClosed(7))
    runtime.topic(Tick, "x").publish(Tick("x", 1, 1, 5.0, 1, 1, 0.0, 1.0, 2.0))  # which it does not hear
    runtime.settle()
    assert next(one for one in runtime.stats() if one.path == "strategy/1").benched
    runtime.tell("strategy/1", Reinstate(runtime.clock.now, "a test"))
    runtime.settle()
    runtime.topic(Tick, "x").publish(Tick("x", 2, 2, 9.0, 1, 2, 0.0, 1.0, 2.0))
    runtime.settle()
    states = {path: runtime.actor(path).inspect() for path in runtime}
    assert states["strategy/1"]["state"]
    assert runtime.stop() == ()
    recording.close("done")
    outcome, played, _ = again(tmp_path / "s")
    assert outcome.compared > 0
    assert {path: played.actor(path).inspect() for path in played} == states
    assert not any(one.benched for one in played.stats())


@pytest.mark.soak
def test_a_hundred_thousand_deliveries_replay_ten_times_in_ten(tmp_path):
    for n in range(10):
        record(tmp_path / str(n), 14_000, n)
        outcome, _, _ = again(tmp_path / str(n))
        assert outcome.deliveries >= 100_000
        assert outcome.stopped == ""


def test_an_actor_that_reads_the_wall_clock_is_named(tmp_path):
    count = itertools.count()
    salts = {"strategy/1": lambda: time.time_ns() % 997 if next(count) == 150 else 0}
    record(tmp_path / "s", 600, salts=salts)
    with pytest.raises(DivergenceError) as found:
        again(tmp_path / "s", {"strategy/1": lambda: 0})
    rows = list(load(tmp_path / "s").rows)
    ticks = [one for one in rows if one.path == "strategy/1" and one.kind == "Tick"]
    assert found.value.delivery == ticks[150].serial
    assert found.value.path == "strategy/1"
    assert "FeedStatus differs in detail: recorded" in found.value.text


@pytest.mark.parametrize(("times", "said"), [(2, "which the record does not have|recorded is"), (0, "did not send")])
def test_a_message_too_many_or_too_few_is_found_where_it_was_sent(tmp_path, monkeypatch, times, said):
    record(tmp_path / "s", 400)
    rows = list(load(tmp_path / "s").rows)
    wanted = [one for one in rows if one.path == "strategy/1" and one.kind == "Tick"][100].serial
    heard = itertools.count()
    true_publish = Thinker.publish

    def publish(self, message, key=""):
        again = self.path == "strategy/1" and next(heard) == 100
        for _ in range(times if again else 1):
            true_publish(self, message, key)

    monkeypatch.setattr(Thinker, "publish", publish)
    with pytest.raises(DivergenceError, match=said) as found:
        again(tmp_path / "s")
    assert (found.value.delivery, found.value.path) == (wanted, "strategy/1")


def test_an_order_of_a_set_is_found(tmp_path):
    """An actor whose words depend on something outside its messages, as the order of a set of strings does."""
    orders = [["a", "b", "c"], ["b", "a", "c"]]
    record(tmp_path / "s", 200, salts={"strategy/2": lambda: orders[0].index("a") + 1})
    with pytest.raises(DivergenceError) as found:
        again(tmp_path / "s", {"strategy/2": lambda: orders[1].index("a") + 1})
    rows = list(load(tmp_path / "s").rows)
    assert found.value.delivery == next(one.serial for one in rows if one.path == "strategy/2" and one.kind == "Tick")


def test_a_session_cut_off_replays_up_to_its_last_whole_record(tmp_path):
    record(tmp_path / "s", 3000)  # enough for several blocks, of which the last goes
    segment = tmp_path / "s" / "00001.journal"
    data = segment.read_bytes()
    segment.write_bytes(data[: len(data) * 2 // 3])
    run = load(tmp_path / "s")
    reader, rows = run.reader, list(run.rows)
    assert reader.torn is not None
    outcome, _, _ = again(tmp_path / "s")
    assert outcome.deliveries == len(rows) > 0


def test_a_flipped_bit_is_an_error_that_names_the_place(tmp_path):
    record(tmp_path / "s", 600)
    segment = tmp_path / "s" / "00001.journal"
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 4
    segment.write_bytes(bytes(data))
    with pytest.raises(JournalError, match=r"00001.journal at \d+: "):
        load(tmp_path / "s")


def test_a_replay_stops_where_it_is_told(tmp_path):
    record(tmp_path / "s", 200)
    outcome, runtime, _ = again(tmp_path / "s", before=lambda one: one.serial < 100)
    assert outcome.deliveries == 100
    assert sum(one.handled for one in runtime.stats()) == 100


def test_a_disk_that_fails_at_the_very_end_ends_no_stop(tmp_path, monkeypatch):
    told = []
    recording = Recording(tmp_path / "s", session="s", on_failed=told.append)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # the last thing a close does
    recording.close("stopped")
    assert "No space left" in recording.failed
    assert len(told) == 1


def test_a_full_disk_ends_the_recording_and_not_the_session(tmp_path):
    recording = Recording(tmp_path / "s", session="s", settings=RecordingSettings(flush_s=0.02))
    recording._writer._file.close()
    recording._writer._file = Path("/dev/full").open("wb")  # noqa: SIM115 - the writer closes it
    runtime = LiveRuntime(recorder=recording.note)
    cast()(runtime)
    for n in range(100):
        runtime.topic(Tick, "x").publish(Tick("x", n, n, 5.0, 1, n, 0.0, 1.0, 2.0))
    runtime.settle()
    handled = {one.path: one.handled for one in runtime.stats()}
    runtime.close()
    recording.close()
    assert "No space left" in recording.failed
    assert handled["nursery"] > 100


def test_a_record_with_a_gap_says_that_it_is_incomplete(tmp_path):
    recording = Recording(tmp_path / "s", session="s")
    runtime = LiveRuntime()
    cast()(runtime)
    port = runtime.actor("nursery").ports[Tick]
    for serial in (0, 1, 3):
        recording.note((serial, "core", port, Tick("x", 1, 1, 1.0), 5, -1))
    recording.close("done")
    runtime.close()
    run = load(tmp_path / "s")
    reader, rows = run.reader, list(run.rows)
    assert [one.serial for one in rows] == [0, 1]
    assert reader.end.reason == "incomplete: 1 deliveries after a gap were left out"


def test_tracebacks_are_left_out_of_the_record(tmp_path):
    recording = Recording(tmp_path / "s", session="s")
    runtime = LiveRuntime(recorder=recording.note)

    class Listener(Actor):
        def __init__(self):
            super().__init__()
            self.subscribe(ActorFailed)

        @handles(ActorFailed)
        def on_failed(self, message):
            pass

    runtime.spawn(Listener, "listener")
    runtime.publish(ActorFailed("a", 1, "Tick", "boom", "a traceback"))
    runtime.settle()
    runtime.close()
    recording.close()
    rows = list(load(tmp_path / "s").rows)
    (failed,) = [one for one in rows if one.kind == "ActorFailed"]
    assert b"boom" in failed.body
    assert b"a traceback" not in failed.body
