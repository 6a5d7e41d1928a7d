"""The stage of another process: over the control socket it shows what it shows at home, and secrets stay there."""

import contextlib
import datetime as dt
import threading
import time

import msgspec
import numpy as np
import pytest
from web_rig import PLANTED, TOKEN, Asker, settings

from sos_actors.control.protocol import ControlError, socket_path
from sos_actors.control.server import ControlServer, _Connection
from sos_actors.errors import InputError
from sos_actors.market.ids import index_id
from sos_actors.messages import Phase, SessionPhase
from sos_actors.web.live_source import LiveParts, LiveSource
from sos_actors.web.observer import Observed
from sos_actors.web.remote import COMMAND, RemoteStage, StageCommand
from sos_actors.web.server import WebServer
from sos_actors.web.stage import LocalStage

INDEX = index_id("NIFTY")


@pytest.fixture(scope="module")
def local(rehearsal):
    stage = LocalStage(rehearsal.runtime, rehearsal.operations, rehearsal.seen.book, start_log=lambda: ["begun"])
    yield stage
    stage.lookout.close()


@pytest.fixture(scope="module")
def home(rehearsal, local, tmp_path_factory):
    folder = tmp_path_factory.mktemp("h")
    commands = rehearsal.operations.commands()
    commands[COMMAND] = StageCommand(local, rehearsal.seen, lambda: [PLANTED])
    server = ControlServer(socket_path(folder), commands)
    yield folder
    server.close()


@pytest.fixture
def remote(home):
    with contextlib.closing(RemoteStage(home)) as stage:
        yield stage


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


def test_the_day_is_the_same_here_and_there(remote, local):
    here, there = local.book(), remote.book()
    assert there.day == here.day
    count = len(there.bars[INDEX])
    assert count > 50
    assert [(one.start, one.close) for one in there.bars[INDEX]] == [
        (one.start, one.close) for one in here.bars[INDEX][:count]
    ]
    assert [one.trade_id for one in there.trades] == [one.trade_id for one in here.trades[: len(there.trades)]]
    ours, theirs = here.chains["NIFTY"][10], there.chains["NIFTY"][10]
    assert theirs.ts == ours.ts
    assert np.array_equal(theirs.iv, ours.iv, equal_nan=True)
    until(lambda: len(remote.book().bars[INDEX]) > count)


def test_figures_and_states_are_the_same(remote, local):
    assert remote.status().session == local.status().session
    assert [one["path"] for one in remote.tree()["actors"]] == [one["path"] for one in local.tree()["actors"]]
    assert set(remote.snapshots("strategy/")) == set(local.snapshots("strategy/"))
    assert remote.start_log() == ["begun"]
    assert {(one["message"], one["actor"]) for one in remote.hearers()} >= {("Bar", "observer"), ("Fill", "orders")}


def test_an_actors_last_messages_come_over(remote):
    remote.tail("observer")
    until(lambda: remote.tail("observer"))
    last = remote.tail("observer")[0]
    assert set(last) == {"at", "message", "values"}
    assert last["at"].startswith("2025-09-02")
    with pytest.raises(ControlError, match="no actor 'nobody'"):
        remote.tail("nobody")


def test_orders_reach_the_limits_and_everybody_sees_them(remote, rehearsal):
    assert "brf_short" in remote.order("pause", strategy="brf_short")
    assert [one.strategy for one in rehearsal.operations.status().restrictions] == ["brf_short"]
    assert "brf_short" in remote.order("stop", strategy="brf_short")
    remote.order("start", strategy="brf_short")
    assert rehearsal.operations.status().restrictions == []
    with pytest.raises(ControlError, match="there is no strategy 'nobody'") as caught:
        remote.order("stop", strategy="nobody")
    assert caught.value.exit_status == InputError.exit_status  # answered as wrong input, not as a daemon that is away


def test_a_name_that_is_not_there_is_wrong_input_over_the_daemon_too(remote, rehearsal):
    parts = LiveParts(stage=remote, underlyings=rehearsal.underlyings, config={})
    with WebServer(LiveSource(parts), settings(), TOKEN) as server:
        assert Asker(server.address).order("pause", {"strategy": "nobody"})[0] == 400


def test_known_secrets_leave_in_no_answer(rehearsal):
    said = {"who/leaks": {"line": f"with {PLANTED} in it", PLANTED: [1.0, float("nan")]}}

    class Leaky(LocalStage):
        def snapshots(self, beginning):
            return said

    stage = Leaky(rehearsal.runtime, rehearsal.operations, rehearsal.seen.book)
    answer = StageCommand(stage, rehearsal.seen, lambda: [PLANTED])("snapshots", beginning="")
    assert PLANTED.encode() not in bytes(answer)
    assert msgspec.json.decode(answer) == {"who/leaks": {"line": "with (hidden) in it", "(hidden)": [1.0, None]}}


def test_an_unknown_question_is_refused(home, remote):
    with pytest.raises(ControlError, match="no question 'lookout'"):
        remote._ask(COMMAND, what="lookout")
    assert remote.status().session  # the line is still good


class Hearing:
    """Commands of a daemon, and what was asked of them."""

    def __init__(self, rehearsal, local):
        self.asked, self.session, self.costs = [], "one", {}
        self.seen = Observed()
        self._stage = StageCommand(local, self.seen, list)
        self._local = local

    def status(self):
        return msgspec.structs.replace(self._local.status(), session=self.session)

    def stage(self, what, **args):
        self.asked.append([name for name, _ in args["questions"]] if what == "round" else [what])
        answer = self._stage(what, **args)
        if what != "round":
            return answer
        rows = msgspec.json.decode(answer)
        for (name, _), row in zip(args["questions"], rows, strict=True):
            if name == "status":
                row[1] = msgspec.to_builtins(self.status())
            row[2] = self.costs.get(name, 0.0)
        return rows

    def order(self):
        return "done"


@pytest.fixture
def heard(rehearsal, local, tmp_path):
    hearing = Hearing(rehearsal, local)
    server = ControlServer(socket_path(tmp_path), {COMMAND: hearing.stage, "pause": hearing.order})
    clock = [100.0]
    with contextlib.closing(RemoteStage(tmp_path, monotonic=lambda: clock[0])) as stage:
        yield stage, hearing, clock
    server.close()


def look(stage):
    """What open pages ask for in a moment."""
    for _ in range(20):
        stage.status(), stage.book(), stage.snapshots("strategy/"), stage.strategies(), stage.tree(), stage.hearers()


def test_however_many_look_one_round_a_second_is_asked(heard):
    stage, hearing, clock = heard
    look(stage)
    hearing.asked.clear()
    for _ in range(100):  # ten seconds, ten looks a second
        clock[0] += 0.1
        look(stage)
    assert 9 <= len(hearing.asked) <= 12
    counts = {name: sum(name in one for one in hearing.asked) for name in ("status", "since", "tree", "hearers")}
    assert counts["since"] <= counts["status"] == len(hearing.asked)
    assert counts["tree"] <= 6
    assert counts["hearers"] <= 3


def test_what_is_dear_is_asked_less_often(heard):
    stage, hearing, clock = heard
    hearing.costs = {"tree": 0.04}  # of many hundreds of actors: ten seconds of its share
    look(stage)
    hearing.asked.clear()
    for _ in range(200):
        clock[0] += 0.1
        look(stage)
    assert sum("tree" in one for one in hearing.asked) <= 2
    assert sum("snapshots" in one for one in hearing.asked) >= 18


def test_what_nobody_wants_is_not_asked(heard):
    stage, hearing, clock = heard
    look(stage)
    clock[0] += 10.0
    hearing.asked.clear()
    stage.status()
    assert hearing.asked == [["status"]]


def test_after_an_order_all_is_asked_anew(heard):
    stage, hearing, _ = heard
    look(stage)
    hearing.asked.clear()
    assert stage.order("pause") == "done"
    stage.snapshots("strategy/")
    assert "snapshots" in hearing.asked[0]


def test_one_bad_question_spoils_no_other(heard):
    stage, hearing, clock = heard
    hearing._stage = StageCommand(Broken(), hearing.seen, list)
    clock[0] += 10.0
    assert stage.strategies() == [("strategy/NIFTY/one", "on")]
    with pytest.raises(ControlError, match="no tree today"):
        stage.tree()
    clock[0] += 1.0
    assert stage.strategies()
    assert "tree" in hearing.asked[-1]


class Broken:
    """A stage that cannot say everything."""

    def strategies(self):
        return [("strategy/NIFTY/one", "on")]

    def status(self):
        return {}

    def tree(self):
        raise InputError("no tree today")


def test_a_day_of_another_session_is_read_from_its_beginning(heard):
    stage, hearing, clock = heard
    day = dt.date(2025, 9, 2)
    for place in range(3):
        hearing.seen.take(place, SessionPhase(place, day, Phase.PRE_OPEN if not place else Phase.OPEN))
    assert len(stage.book().events) == 3
    hearing.session, hearing.seen = "two", Observed()
    hearing._stage = StageCommand(hearing._local, hearing.seen, list)
    for place in range(5):
        hearing.seen.take(place, SessionPhase(place, day, Phase.PRE_OPEN if not place else Phase.OPEN))
    clock[0] += 1.0
    assert len(stage.book().events) == 5
    clock[0] += 1.0
    assert len(stage.book().events) == 5


def test_without_a_daemon_it_says_so_and_goes_on_when_there_is_one(tmp_path, rehearsal, local):
    stage = RemoteStage(tmp_path)
    with pytest.raises(ControlError, match="no daemon runs"):
        stage.status()
    server = ControlServer(socket_path(tmp_path), {COMMAND: StageCommand(local, rehearsal.seen, list)})
    try:
        assert stage.status().mode == "demo"
    finally:
        stage.close()
        server.close()


def test_what_was_seen_is_numbered_over_days():
    seen = Observed()
    days = [dt.date(2025, 9, 1), dt.date(2025, 9, 2)]
    for place, day in enumerate(days):
        seen.take(place, SessionPhase(place, day, Phase.PRE_OPEN))
        seen.take(place, SessionPhase(place, day, Phase.OPEN))
    assert seen.book().day == days[1]
    first, heard = seen.since(0, 10)
    assert (first, [message.phase for _, message in heard]) == (2, [Phase.PRE_OPEN, Phase.OPEN])
    assert seen.since(3, 10)[0] == 3
    assert len(seen.since(2, 1)[1]) == 1
    assert seen.since(4, 10) == (4, [])


@contextlib.contextmanager
def daemon(folder, stage):
    """A daemon that answers questions with `stage` and takes a kill; gives its far end, and the kills it took."""
    killed = []
    commands = {COMMAND: stage, "kill": lambda **_: killed.append(True) or "all stopped"}
    server = ControlServer(socket_path(folder), commands)
    with contextlib.closing(RemoteStage(folder)) as far:
        yield far, killed
    server.close()


def test_after_a_long_silence_the_first_order_and_the_first_question_get_through(tmp_path, monkeypatch):
    monkeypatch.setattr(_Connection, "timeout", 0.05)
    with daemon(tmp_path, lambda what: ["begun"]) as (far, killed):
        assert far.start_log() == ["begun"]
        time.sleep(0.3)  # the daemon has closed a line on which nothing came
        assert far.order("kill") == "all stopped"
        assert killed == [True]
        assert far.start_log() == ["begun"]
        time.sleep(0.3)
        assert far.start_log() == ["begun"]


def test_a_kill_waits_for_no_question_under_way(tmp_path, local):
    answer, asked = threading.Event(), threading.Event()

    def stage(what, **_):
        if what == "status":
            return msgspec.to_builtins(local.status())
        asked.set()
        answer.wait(20.0)
        return []

    with daemon(tmp_path, stage) as (far, killed):
        page = threading.Thread(target=far.start_log)
        page.start()
        assert asked.wait(5.0)
        assert far.order("kill") == "all stopped"
        assert killed == [True]
        assert far.status().mode == "demo"  # what a kill with real money asks first
        assert page.is_alive()
        answer.set()
        page.join()
