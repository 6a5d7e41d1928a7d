"""What actors hold is kept with the session, and a replay that holds anything else is found out."""

import dataclasses
import itertools
import math
import threading
import time
from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.messages import ActorBenched, FeedStatus, MinuteClosed, Stage, Tick
from sos_actors.messages.codec import packed
from sos_actors.runtime import Actor, LiveRuntime, RuntimeSettings, WallTime, handles
from sos_actors.runtime.journal import JournalError, JournalReader
from sos_actors.runtime.journal.checkpoints import body_of_state, last_checkpoint
from sos_actors.runtime.journal.deliveries import Checkpoint, Delivery, load
from sos_actors.runtime.journal.divergence import DivergenceError
from sos_actors.runtime.journal.recording import Recording, RecordingSettings
from sos_actors.runtime.journal.replay import ReplayRuntime, replay
from sos_actors.runtime.journal.state_check import differences
from sos_actors.runtime.journal.writer import JournalWriter

T0 = 1_760_000_000_000_000_000
MINUTE = 60_000_000_000
#: A checkpoint as often as the live stage looks at all.
QUICK = RuntimeSettings(conflate_above=0, snapshot_s=0, scan_s=0.002, budgets_s={"strategy": 0.5}, budget_s=30)


class Counter(Actor):
    """Counts what it hears in silence: no message ever shows the count."""

    def __init__(self, step=lambda: 1):
        super().__init__()
        self.step = step
        self.count = 0
        self.last = math.nan
        self.prices = {"all": []}
        self.subscribe(Tick, "x")
        self.subscribe(ActorBenched)

    @handles(ActorBenched)
    def on_benched(self, message):
        """That it is heard is how a replay knows of a thread that was given up."""

    @handles(Tick)
    def on_tick(self, tick):
        self.count += self.step()
        self.last = tick.price if tick.price % 3 else math.nan
        self.prices["all"] = [*self.prices["all"][-3:], tick.price]

    @handles(FeedStatus)
    def on_status(self, status):
        if status.detail == "hang":
            time.sleep(5)

    def inspect(self):
        return {"count": self.count, "last": self.last, "prices": dict(self.prices)}


class Talker(Actor):
    """Says at each tick what depends on the order in which it heard; it raises now and then, and is made again."""

    def __init__(self, name):
        super().__init__()
        self.name, self.state = name, 0
        self.subscribe(Tick, "x")
        self.subscribe(FeedStatus)

    @handles(Tick)
    def on_tick(self, tick):
        if tick.price == 500.0:
            raise ValueError("five hundred")
        self.state = (self.state * 31 + int(tick.price)) % 1_000_003
        self.publish(FeedStatus(self.name, self.clock.now, True, str(self.state)))

    @handles(FeedStatus)
    def on_status(self, status):
        self.state = (self.state * 17 + int(status.detail)) % 1_000_003

    def checkpoint(self):
        return self.state

    def restore(self, state):
        self.state = state

    def inspect(self):
        return {"state": self.state}


class Nursery(Actor):
    """Keeps a child at work in another's group, whose constructor takes its time, and replaces it now and then."""

    def __init__(self):
        super().__init__()
        self.heard = self.born = 0
        self.child = None
        self.subscribe(Tick, "x")

    @handles(Tick)
    def on_tick(self, tick):
        self.heard += 1
        if self.heard % 25 == 0:
            if self.child is not None:
                self.child.stop(block=False)
            self.born += 1
            self.child = self.runtime.spawn(Child, f"child/{self.born % 3}/{self.born}", group=f"g{self.born % 3}")

    def inspect(self):
        return {"born": self.born}


class Child(Talker):
    """Is somebody else before it has started."""

    def __init__(self):
        super().__init__("child")
        self.state = 77
        time.sleep(0.002)

    def on_start(self):
        self.state = 5


def cast(runtime, step=lambda: 1):
    for n in range(3):
        runtime.spawn(Talker, f"strategy/{n}", f"s{n}", group=f"g{n}")
    runtime.spawn(Counter, "counter", step, group="g1")
    runtime.spawn(Nursery, "nursery")


def record(folder, ticks, build=cast, every_s=0.002, seed=0):
    """A session on wall time with two threads that are no actors; gives what was held before the stop."""
    recording = Recording(folder, session="s", settings=RecordingSettings(flush_s=0.02, checkpoint_s=every_s))
    runtime = LiveRuntime(QUICK, recorder=recording.note, checkpoints=recording.checkpoints)
    build(runtime)
    runtime.start_wall(WallTime(time.monotonic_ns(), T0, 1.0, True))

    def inject(offset):
        for n in range(ticks // 2):
            price = float((n * 7919 + seed * 13 + offset) % 997)
            runtime.topic(Tick, "x").publish(Tick("x", n, n, price, 1, n, 0.0, 1.0, 2.0))
            if n % 20 == 0:
                time.sleep(0.002)

    threads = [threading.Thread(target=inject, args=(k,)) for k in (1, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runtime.settle()
    held = {path: runtime.actor(path).inspect() for path in runtime if not runtime.actor(path).closed}
    assert runtime.stop() == ()
    recording.close("done")
    assert recording.failed == ""
    return held


def checkpoints(folder):
    return [one for one in load(folder).entries if isinstance(one, Checkpoint)]


def again(folder, build=cast, **kwargs):
    runtime = ReplayRuntime([build])
    return replay(load(folder).entries, runtime, **kwargs)


@pytest.mark.parametrize("seed", range(10))
def test_every_state_of_a_threaded_session_is_found_again(tmp_path, seed):
    held = record(tmp_path / "s", 800, seed=seed)
    found = checkpoints(tmp_path / "s")
    outcome = again(tmp_path / "s")
    assert outcome.states == len(found) == load(tmp_path / "s").checkpoints > len(held) * 5
    assert {one.path for one in found if not one.path.startswith("child")} == {
        "clock", "counter", "nursery", "strategy/0", "strategy/1", "strategy/2",
    }  # fmt: skip
    assert any(one.path.startswith("child") for one in found)
    last = {one.path: one.state for one in found}
    assert {path: last[path] for path in held} == {path: body_of_state(said) for path, said in held.items()}


def test_a_state_stands_before_the_next_delivery_of_its_group(tmp_path):
    record(tmp_path / "s", 800)
    entries = list(load(tmp_path / "s").entries)
    group_of = {one.path: one.group for one in entries if isinstance(one, Delivery)}
    last = dict.fromkeys(group_of.values(), -1)
    behind = 0
    for one in entries:
        if isinstance(one, Delivery):
            last[one.group] = one.serial
        else:
            assert last[group_of[one.path]] <= one.serial
            behind += last[group_of[one.path]] == one.serial
    assert behind, "some follow what was written before them"
    assert [one for one in entries if isinstance(one, Delivery)] == list(load(tmp_path / "s").rows)


def test_what_no_message_shows_is_found(tmp_path):
    """The planted difference: one count too many in silence, on the hundredth tick."""
    record(tmp_path / "s", 800)
    run = load(tmp_path / "s")
    hundredth = [one for one in run.rows if (one.path, one.kind) == ("counter", "Tick")][99].serial
    mine = [one for one in run.entries if isinstance(one, Checkpoint) and one.path == "counter"]
    first = next(one for one in mine if one.serial >= hundredth)
    before = max((one.serial for one in mine if one.serial < hundredth), default=None)
    ticks = itertools.count(1)
    with pytest.raises(DivergenceError) as found:
        again(tmp_path / "s", partial(cast, step=lambda: 2 if next(ticks) == 100 else 1))
    count = msgspec.msgpack.decode(first.state)["count"]
    assert (found.value.delivery, found.value.path) == (first.serial, "counter")
    assert found.value.fields == [("count", count, count + 1)]
    told = f"its state differs in count: recorded {count}, replayed {count + 1}"
    assert found.value.text == told + ("" if before is None else f"; it was equal after delivery {before}")
    # without the states nothing would have been noticed
    ticks = itertools.count(1)
    assert replay(run.rows, ReplayRuntime([partial(cast, step=lambda: 2 if next(ticks) == 100 else 1)])).states == 0


def test_what_a_replay_cannot_know_is_named_and_the_rest_is_compared(tmp_path):
    class Timed(Counter):
        unreplayed = frozenset({"at", "inner"})

        def inspect(self):
            return super().inspect() | {"at": time.monotonic_ns(), "inner": {"also": time.monotonic_ns()}}

    def build(step=lambda: 1):
        return lambda runtime: runtime.spawn(Timed, "timed", step)

    record(tmp_path / "s", 100, build())
    assert again(tmp_path / "s", build()).states >= 2
    with pytest.raises(DivergenceError, match="its state differs in count: recorded"):
        again(tmp_path / "s", build(lambda: 2))


def test_an_actor_that_is_missing_or_gone_is_found(tmp_path):
    record(tmp_path / "s", 100)
    run = load(tmp_path / "s")
    one = next(one for one in run.entries if isinstance(one, Checkpoint) and one.path == "counter")
    for path in ("nobody", "clock"):
        runtime = ReplayRuntime([cast])
        if path == "clock":
            runtime.actor("clock").closed = True
        moved = [*run.rows, dataclasses.replace(one, path=path)]
        with pytest.raises(DivergenceError, match="was at work after it, and is not in the replay"):
            replay(moved, runtime)


def test_edges_are_kept_and_not_compared(tmp_path):
    record(tmp_path / "s", 100)
    runtime = ReplayRuntime([partial(cast, step=lambda: 3)], edges=["counter"])
    outcome = replay(load(tmp_path / "s").entries, runtime)
    found = checkpoints(tmp_path / "s")
    assert outcome.states == sum(one.path != "counter" for one in found) < len(found)


def test_only_at_the_stop(tmp_path):
    held = record(tmp_path / "s", 200, every_s=0.0)
    found = checkpoints(tmp_path / "s")
    assert sorted(one.path for one in found) == sorted(held)
    assert {one.path: one.state for one in found} == {path: body_of_state(said) for path, said in held.items()}
    assert again(tmp_path / "s").states == len(found)


def test_what_is_held_before_the_start_is_nobodys_doing(tmp_path):
    recording = Recording(tmp_path / "s", session="s", settings=RecordingSettings(checkpoint_s=0.0))
    runtime = LiveRuntime(recorder=recording.note, checkpoints=recording.checkpoints)
    cast(runtime)
    runtime.settle()
    with runtime.together():
        runtime.spawn(Child, "child", group="g1")
        runtime.keep_states(["child", "counter", "nobody"])
        runtime.settle()
        assert runtime.snapshots["child"] == {"state": 77}
    runtime.settle()
    runtime.close()
    recording.close()
    kept = [(one.path, msgspec.msgpack.decode(one.state)) for one in checkpoints(tmp_path / "s")]
    assert [state for path, state in kept if path == "child"] == [{"state": 5}]
    assert len([state for path, state in kept if path == "counter"]) == 2

    def late(runtime):
        runtime.spawn(Child, "child", group="g1")

    outcome = replay(load(tmp_path / "s").entries, ReplayRuntime([cast, late]))
    assert outcome.states == len(kept)


def test_a_session_without_any_is_replayed_as_before(tmp_path):
    """As the program wrote it before there were checkpoints."""
    recording = Recording(tmp_path / "s", session="s")
    runtime = LiveRuntime(recorder=recording.note)
    cast(runtime)
    runtime.topic(Tick, "x").publish(Tick("x", 1, 1, 5.0))
    runtime.settle()
    runtime.close()
    recording.close()
    outcome = again(tmp_path / "s")
    assert (outcome.states, outcome.compared > 0) == (0, True)
    assert load(tmp_path / "s").checkpoints == 0


def test_in_a_session_whose_thread_was_given_up_states_are_compared_up_to_there(tmp_path):
    recording = Recording(tmp_path / "s", session="s", settings=RecordingSettings(flush_s=0.02, checkpoint_s=0.002))
    runtime = LiveRuntime(QUICK, recorder=recording.note, checkpoints=recording.checkpoints)
    runtime.spawn(Counter, "strategy/hangs", group="g")
    runtime.spawn(Counter, "strategy/beside", group="g")
    runtime.start_wall(WallTime(time.monotonic_ns(), T0, 1.0, True))
    for n in range(100):
        runtime.topic(Tick, "x").publish(Tick("x", n, n, float(n)))
        time.sleep(0.001)
    runtime.tell("strategy/hangs", FeedStatus("x", 0, True, "hang"))
    end = time.monotonic() + 30
    while not runtime.stats()[1].benched:
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.05)  # rounds of the new thread, which has no delivery yet
    runtime.topic(Tick, "x").publish(Tick("x", 200, 200, 200.0))
    runtime.settle()
    runtime.stop()
    recording.close("done")
    outcome = again(tmp_path / "s", lambda runtime: [
        runtime.spawn(Counter, f"strategy/{name}", group="g") for name in ("hangs", "beside")
    ])  # fmt: skip
    assert "hung in delivery" in outcome.stopped
    assert 4 < outcome.states < len(checkpoints(tmp_path / "s"))
    assert all(one.serial >= 0 for one in checkpoints(tmp_path / "s"))


class Pacer(Actor):
    """Says something every ten seconds of the clock."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def on_start(self):
        self.clock.schedule(T0, Stage.TIMER, self, MinuteClosed(T0))

    @handles(MinuteClosed)
    def on_minute(self, message):
        self.count += 1
        self.publish(Tick("x", message.ts, message.ts, float(self.count)), "x")
        if self.count < 100:
            at = message.ts + 10_000_000_000
            self.clock.schedule(at, Stage.TIMER, self, MinuteClosed(at))

    def inspect(self):
        return {"count": self.count}


def test_in_simulated_time_they_are_the_same_every_time(tmp_path):
    def build(runtime):
        cast(runtime)
        runtime.spawn(Pacer, "pacer", group="p")

    kept = []
    for name in "ab":
        recording = Recording(tmp_path / name, session="s")
        runtime = LiveRuntime(recorder=recording.note, checkpoints=recording.checkpoints)
        build(runtime)
        runtime.run()
        runtime.close()
        recording.close()
        found = checkpoints(tmp_path / name)
        assert again(tmp_path / name, build).states == len(found)
        kept.append({(one.now, one.path): one.state for one in found})
    pacer = {now: msgspec.msgpack.decode(state)["count"] for (now, path), state in kept[0].items() if path == "pacer"}
    ends = [at for at in range(T0, T0 + 990 * 10**9, 10**10) if at // MINUTE != (at + 10**10) // MINUTE]
    assert list(pacer) == [*ends, T0 + 990 * 10**9]
    assert len(ends) > 15
    assert all(count == (now - T0) // 10**10 + 1 for now, count in pacer.items())
    same = [{key: state for key, state in one.items() if key[1] in {"pacer", "counter", "nursery"}} for one in kept]
    assert same[0] == same[1]


def test_of_history_that_is_played_first_there_is_one_at_its_end(tmp_path):
    def build(runtime):
        runtime.spawn(Pacer, "pacer")

    recording = Recording(tmp_path / "s", session="s")
    runtime = LiveRuntime(recorder=recording.note, checkpoints=recording.checkpoints)
    build(runtime)
    runtime.run(until=T0 + 500 * 10**9)
    runtime.close()
    recording.close()
    kept = [(one.now, one.state) for one in checkpoints(tmp_path / "s") if one.path == "pacer"]
    assert kept == [(T0 + 500 * 10**9, packed({"count": 51}))] * 2, "the second is the stop's"
    assert again(tmp_path / "s", build).states == 4


def test_the_last_one_before_an_instant(tmp_path):
    record(tmp_path / "s", 400)
    reader = JournalReader(tmp_path / "s")
    mine = [one for one in checkpoints(tmp_path / "s") if one.path == "counter"]
    assert len(mine) > 3
    for place in (0, 2, len(mine) - 1):
        assert last_checkpoint(reader, "counter", mine[place].now) == mine[place]
        assert last_checkpoint(reader, "counter", mine[place].now - 1) == (mine[place - 1] if place else None)
    assert last_checkpoint(reader, "nobody", mine[-1].now) is None


def test_a_state_that_is_not_plain_data_ends_no_record(tmp_path):
    class Odd(Counter):
        def inspect(self):
            return {"thing": threading.Lock()} if self.count % 2 else {"deep": 1 << 70}

    record(tmp_path / "s", 50, lambda runtime: runtime.spawn(Odd, "odd"), every_s=0.0)
    (one,) = [one for one in checkpoints(tmp_path / "s") if one.path == "odd"]
    assert "not_plain" in msgspec.msgpack.decode(one.state)
    assert again(tmp_path / "s", lambda runtime: runtime.spawn(Odd, "odd")).states == 2


@pytest.mark.parametrize(
    "columns", [([1], ["a", "b"], [1], [{}]), ([1], ["a"], [1], []), (["x"], ["a"], [1], [{}]), (), ([1], ["a"])]
)
def test_a_senseless_record_of_states_is_named(tmp_path, columns):
    writer = JournalWriter(tmp_path / "s", session="s", code="", now=lambda: 1)
    writer.append(packed(("checkpoints", *columns)))
    writer.close()
    with pytest.raises(JournalError, match="record 0 of session s cannot be read"):
        load(tmp_path / "s")
    with pytest.raises(JournalError, match="record 0 of session s cannot be read"):
        last_checkpoint(JournalReader(tmp_path / "s"), "a", 5)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def decoded(value):
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


@given(plain)
@settings(max_examples=60, deadline=None)
def test_a_state_equals_itself_and_differs_from_another_in_a_field_that_is_named(state):
    assert list(differences(decoded(state), decoded(state))) == []
    recorded, replayed = {"a": [1, {"b": state}]}, {"a": [1, {"b": {"another": 1}}]}
    fields = list(differences(decoded(recorded), decoded(replayed)))
    assert bool(fields) == (state != {"another": 1})
    assert all(name.startswith("a[1].b") for name, _, _ in fields)


@pytest.mark.parametrize(
    ("recorded", "replayed", "named"),
    [
        ({"a": math.nan}, {"a": math.nan}, []),
        ({"a": 0.0}, {"a": -0.0}, ["a"]),
        ({"a": 1}, {"a": 1.0}, ["a"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {}, ["a"]),
        ({}, {"a": 1}, ["a"]),
        ({"a": [1, 2]}, {"a": [1, 3]}, ["a[1]"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a"]),
        ({"a": {60: {"x": 1, "y": math.nan}}}, {"a": {60: {"x": 2, "y": 1.0}}}, ["a.60.x", "a.60.y"]),
    ],
)
def test_what_differs(recorded, replayed, named):
    assert [name for name, _, _ in differences(recorded, replayed)] == named
    assert all(old != new or str(old) != str(new) for _, old, new in differences(recorded, replayed))
