"""A session at a glance, and a reader that begins where a day does: nothing is missed, and little is read."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.messages import MinuteClosed
from sos_actors.messages.codec import packed
from sos_actors.runtime.journal import JournalError
from sos_actors.runtime.journal.answers import Answer
from sos_actors.runtime.journal.deliveries import heard
from sos_actors.runtime.journal.format import FRAME, MAGIC, segments
from sos_actors.runtime.journal.glance import glance
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.journal.writer import JournalSettings, JournalWriter

MINUTE_NS, DAY_NS = 60_000_000_000, 86_400_000_000_000


def batch(first, now, path="a"):
    """One delivery of a minute's end, as a record."""
    return packed(("deliveries", first, ["g"], [path], [now], [-1], [], [MinuteClosed(now)]))


def written(folder, nows, *, close=True, answers=()):
    """Write a session with one delivery a block, the clock running along; gives when it was closed."""
    clock = [nows[0] if nows else 5]
    settings = JournalSettings(block_records=1, segment_mb=1)
    writer = JournalWriter(folder, session="s", code="c", now=lambda: clock[0], settings=settings)
    for number, now in enumerate(nows):
        clock[0] = now
        writer.append(batch(number, now))
    for answer in answers:
        writer.append(packed(answer))
    writer.commit()
    whole = (folder / "00001.journal").read_bytes()
    clock[0] += 7
    writer.close("stopped")
    if not close:
        (folder / "00001.journal").write_bytes(whole)
    return clock[0]


def test_the_end_is_seen(tmp_path):
    closed = written(tmp_path / "s", [10, 20, 30])
    seen = glance(tmp_path / "s")
    assert (seen.header.opened, seen.last) == (10, closed)
    assert seen.end is not None
    assert (seen.end.closed, seen.end.reason) == (closed, "stopped")


def test_of_a_session_that_was_cut_off_the_last_delivery_is_seen(tmp_path):
    asked = Answer(2, "price", b"x", b"y")
    written(tmp_path / "s", [10, 20, 30], close=False, answers=[asked])
    seen = glance(tmp_path / "s")
    assert (seen.end, seen.last) == (None, 30)
    segment = tmp_path / "s" / "00001.journal"
    data = segment.read_bytes()
    segment.write_bytes(data[:-3])  # the answer's frame is torn
    assert glance(tmp_path / "s").last == 30


@given(cut=st.integers(min_value=0, max_value=400))
def test_wherever_it_was_cut_off_a_glance_gives_what_is_whole_unless_its_head_is_gone(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut")
    written(folder / "s", [10, 20, 30])
    segment = folder / "s" / "00001.journal"
    data = segment.read_bytes()
    segment.write_bytes(data[: max(0, len(data) - cut)])
    try:
        seen = glance(folder / "s")
    except JournalError:  # nothing is left of its head
        length, _, _ = FRAME.unpack_from(data, len(MAGIC))
        assert len(data) - cut < len(MAGIC) + FRAME.size + length
        return
    assert seen.last in {10, 20, 30, 37}
    assert (seen.last == 37) == (seen.end is not None)


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(JournalError, match="there is no journal"):
        glance(tmp_path)


@pytest.fixture
def three_days(tmp_path):
    """A session with a segment a day: what is asked after a day's deliveries fills its segment."""
    folder, clock = tmp_path / "s", [0]
    writer = JournalWriter(
        folder, session="s", code="c", now=lambda: clock[0], settings=JournalSettings(block_records=1, segment_mb=1)
    )
    for number in range(6):
        day, later = divmod(number, 2)
        clock[0] = day * DAY_NS + (later + 1) * MINUTE_NS
        writer.append(batch(number, clock[0]))
        if later:
            writer.append(packed(Answer(number, "filler", b"", random.Random(number).randbytes(1_100_000))))
    writer.close("stopped")
    return folder


def minutes(folder, since=None):
    """Day and minute of what was heard."""
    told = heard(JournalReader(folder, since), lambda path: {"MinuteClosed"} if path == "a" else ())
    return [(now // DAY_NS, now % DAY_NS // MINUTE_NS) for now, _, _ in told]


def test_a_reader_passes_by_what_was_closed_before(three_days):
    assert len(segments(three_days)) == 4
    whole = [(day, minute) for day in range(3) for minute in (1, 2)]
    assert minutes(three_days) == minutes(three_days, 0) == whole
    assert minutes(three_days, DAY_NS) == whole[2:]
    assert minutes(three_days, 2 * DAY_NS) == whole[4:]
    assert minutes(three_days, 9 * DAY_NS) == []
    first = three_days / "00001.journal"
    first.write_bytes(first.read_bytes()[:-500_000])  # damage in the first day is none of the second's
    assert minutes(three_days, DAY_NS) == whole[2:]
    with pytest.raises(JournalError, match=r"00001\.journal at"):
        minutes(three_days)


def test_a_later_segment_without_a_head_is_found_when_it_is_reached(three_days):
    (three_days / "00003.journal").write_bytes(b"nothing of ours")
    with pytest.raises(JournalError, match=r"00003\.journal at 0"):
        minutes(three_days, 2 * DAY_NS)


def test_of_whom_nothing_is_wanted_nothing_is_given(three_days):
    assert list(heard(JournalReader(three_days), lambda _: ())) == []
