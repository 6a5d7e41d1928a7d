"""What a replay remembers: all that something still comes of, and nothing else."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.messages import ActorBenched
from sos_actors.messages.codec import packed
from sos_actors.runtime.journal.deliveries import Delivery
from sos_actors.runtime.journal.flight import Past, look_ahead


def row(serial, cause=-1, group="core", path="a", kind="Tick", body=b""):
    return Delivery(serial, group, path, 0, cause, kind, body)


@st.composite
def records(draw):
    """Deliveries in three groups, each with a cause among those before it, or none."""
    size = draw(st.integers(1, 60))
    return [row(n, draw(st.integers(-2, n - 1)), draw(st.sampled_from("abc"))) for n in range(size)]


@given(records(), st.integers(1, 8))
def test_every_cause_is_remembered_and_little_else(rows, window):
    past = Past(look_ahead(rows, {}, window).late, window)
    for one in rows:
        cause = past.get(one.cause)
        assert (cause is None) == (one.cause < 0)
        past.add(one, one.group)
        past.done(one)
        open_ = {later.cause for later in rows[one.serial + 1 :] if 0 <= later.cause <= one.serial}
        kept = {serial for serial in range(one.serial + 1) if past.get(serial) is not None}
        assert open_ <= kept
        assert all(serial in open_ for serial in kept if serial < one.serial - window)


@given(records())
def test_two_deliveries_may_have_run_at_once_as_the_whole_record_says(rows):
    """Judged when only the deliveries up to the present one are known."""
    past = Past({}, len(rows))
    following = {
        one.serial: next((late.serial for late in rows[one.serial + 1 :] if late.group == one.group), len(rows)) - 1
        for one in rows
    }
    for one in rows:
        past.add(one, one.group)
        for a in rows[: one.serial]:
            for b in rows[: one.serial]:
                apart = a.group != b.group
                truly = apart and a.serial <= following[b.serial] and b.serial <= following[a.serial]
                assert past.get(a.serial).at_once_with(past.get(b.serial)) == truly


def test_the_last_of_a_group_has_no_end_yet():
    past = Past({}, 10)
    first, second = past.add(row(0), "core"), past.add(row(1), "core")
    assert (first.end, second.end) == (0, sys.maxsize)


def test_a_record_ends_for_a_replay_where_a_thread_was_given_up():
    told = row(3, -1, "edge", "recorder", "ActorBenched", packed(ActorBenched("b", 5, "hung")))
    outlook = look_ahead([row(0), row(1, path="b"), row(2), told, row(4)], {}, 10)
    assert (outlook.end, outlook.last_of) == (1, {"core": 4, "edge": 3})
    assert outlook.stopped == "b hung in delivery 1 and its thread was given up: what follows cannot be replayed"


@pytest.mark.parametrize(("said", "wrong"), [(1, False), (2, True)])
def test_an_order_more_than_the_record_has_is_wrong(said, wrong):
    """The order of delivery 0 went to two edges' copies, that is two hearings of one message."""
    tick = ActorBenched("x", 1, "y")
    heard = [
        row(1, 0, "edge", "link", "ActorBenched", packed(tick)),
        row(2, 0, "edge", "link", "ActorBenched", packed(tick)),
    ]
    told = look_ahead([row(0), *heard], {"link": ["ActorBenched"]}, 10).told
    found = [told.too_many(0, "core", tick) for _ in range(said)]
    assert bool(found[-1]) == wrong
    assert told.too_many(5, "core", tick) == "", "the record may end before the edge got to it"
