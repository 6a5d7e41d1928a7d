"""What the real cast says of itself: plain data, its own copy, and the same in every run."""

import datetime as dt

import pytest
from e2e_helpers import CutHistory, ist, played, simulated

import sos_actors.daemon.cast
import sos_actors.upstox.link  # noqa: F401 - with it every actor there is
from sos_actors.actors.feed import FeedActor
from sos_actors.messages.codec import packed
from sos_actors.runtime import Actor
from sos_actors.runtime.checkpoints import Checkpoints

DAY = dt.date(2025, 9, 2)
FEW = ["ema_8_21_simple_long", "ema_8_21_simple_short", "brf_short"]


def kept(resolution="minute", until="15:30", every_s=600):
    """Run a day on threads with checkpoints; gives (state, as it was encoded at once) of each."""
    found = []
    every = Checkpoints(lambda state: found.append((state, packed(state[3]))), every_s * 10**9)
    played(CutHistory(simulated(), ist(DAY, until)), "NIFTY", DAY, names=FEW, warmup=0, stage="live",
           resolution=resolution, recorder=lambda _: None, checkpoints=every)  # fmt: skip
    return found


@pytest.fixture(scope="module")
def day():
    return kept()


CAST = {"clock", "feed", "chain", "study", "strategy", "selector", "risk", "orders", "broker", "recorder"}


def test_every_actor_says_what_it_holds_and_never_changes_what_it_said(day):
    """The journal's thread writes it down later."""
    assert {state[1].partition("/")[0] for state, _ in day} >= CAST
    assert len(day) > 38 * len(CAST)
    assert [state[1] for state, at_once in day if packed(state[3]) != at_once] == []
    assert any(state[3]["trades"] for state, _ in day if state[1] == "orders"), "in the middle of a trade too"


def test_so_it_is_with_ticks():
    ticks = kept("tick", "09:20", 60)
    assert sum(state[1].startswith("bar/") for state, _ in ticks) > 5 * 30
    assert [state[1] for state, at_once in ticks if packed(state[3]) != at_once] == []


def test_what_a_replay_does_not_compare_is_known():
    """Each with its reason in the class; docs/journal.md counts them."""
    classes = {one for one in descendants(Actor) if one.__module__.startswith("sos_actors")}
    assert len(classes) > 20
    assert {one: set(one.unreplayed) for one in classes if one.unreplayed} == {FeedActor: {"played"}}


def descendants(kind):
    return {one for child in kind.__subclasses__() for one in (child, *descendants(child))}


def test_a_run_holds_what_every_run_holds(day):
    """Serial numbers, and with them the hash of all decisions, are the threads' own; what is held is not."""
    one, two = (
        sorted((state[2], state[1], packed({**state[3], "run_hash": ""})) for state, _ in run) for run in (day, kept())
    )
    assert one == two
