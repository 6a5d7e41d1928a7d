"""A journal comes back as it was written, or says exactly where it cannot."""

import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.runtime.journal import JournalError, JournalReader, JournalSettings, JournalWriter
from sos_actors.runtime.journal.format import BLOCK, FIRST, FRAME, HEADER, MAGIC, frame, segment_path


def write(folder, records, *, per_block=3, close=True, session="s1", segment_after=0):
    """Write records in blocks of `per_block`; with `segment_after`, a segment ends after so many blocks."""
    ticks = itertools.count(1)
    journal = JournalWriter(
        folder, session=session, code="1.0", now=lambda: next(ticks), settings=JournalSettings(block_records=10**6)
    )
    for number, start in enumerate(range(0, len(records), per_block), start=1):
        for record in records[start : start + per_block]:
            journal.append(record)
        if segment_after and number % segment_after == 0:
            journal._size = 10**12
        journal.commit()
    if close:
        journal.close("done")
    else:
        journal._close_file()
    return journal


def read(folder):
    reader = JournalReader(folder)
    return list(reader), reader


RECORDS = [f"record {n}".encode() * (n % 5 + 1) for n in range(20)]


@given(st.lists(st.binary(max_size=200), max_size=60), st.integers(1, 7), st.integers(0, 3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read(tmp_path_factory, records, per_block, segment_after, close):
    folder = tmp_path_factory.mktemp("journal") / "s1"
    write(folder, records, per_block=per_block, segment_after=segment_after, close=close)
    got, reader = read(folder)
    assert got == records
    assert reader.torn is None
    assert (reader.end is not None) is close
    if reader.end is not None:
        assert (reader.end.records, reader.end.reason) == (len(records), "done")


def test_the_header_says_what_a_replay_must_know(tmp_path):
    journal = JournalWriter(tmp_path, session="2026-11-20", code="0.3", now=lambda: 7, facts={"seed": "9"})
    journal.close()
    header = JournalReader(tmp_path).header
    assert (header.session, header.code, header.opened, header.facts) == ("2026-11-20", "0.3", 7, {"seed": "9"})


def test_a_full_block_is_written_without_being_asked_for(tmp_path):
    journal = JournalWriter(tmp_path, session="s", code="1", now=lambda: 0, settings=JournalSettings(block_records=4))
    for record in RECORDS[:5]:
        journal.append(record)
    assert journal.written == 4
    assert read(tmp_path)[0] == RECORDS[:4]
    journal.close()


def test_a_session_is_written_once(tmp_path):
    write(tmp_path, RECORDS)
    with pytest.raises(InputError, match="holds a journal already"):
        JournalWriter(tmp_path, session="s1", code="1", now=lambda: 0)


def test_many_threads_lose_nothing_and_keep_their_own_order(tmp_path):
    journal = JournalWriter(tmp_path, session="s", code="1", now=lambda: 0, settings=JournalSettings(block_records=50))

    def write_many(name):
        for number in range(2000):
            journal.append(f"{name} {number}".encode())

    threads = [threading.Thread(target=write_many, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for _ in range(200):
        journal.commit()
    for thread in threads:
        thread.join()
    journal.close()
    records = [record.decode().split() for record in read(tmp_path)[0]]
    assert len(records) == 8000
    for name in "abcd":
        assert [int(number) for who, number in records if who == name] == list(range(2000))


# --- a session that was cut off -------------------------------------------------------------------------


def test_cut_anywhere_it_is_read_to_the_last_whole_record(tmp_path):
    write(tmp_path / "whole", RECORDS)
    data = segment_path(tmp_path / "whole", 1).read_bytes()
    for length in range(len(data) + 1):
        folder = tmp_path / f"cut{length}"
        folder.mkdir()
        segment_path(folder, 1).write_bytes(data[:length])
        try:
            got, reader = read(folder)
        except JournalError as error:
            assert "has no header" in str(error)  # noqa: PT017 - reading it is right as well
            assert length < _end_of_header(data)
            continue
        assert got == RECORDS[: len(got)]
        assert len(got) % 3 == 0 or len(got) == len(RECORDS)
        if length < len(data):
            assert reader.end is None
        if reader.torn is not None:
            assert reader.torn.offset + reader.torn.lost == length


def _end_of_header(data):
    length, _, kind = FRAME.unpack_from(data, len(MAGIC))
    assert kind == HEADER
    return len(MAGIC) + FRAME.size + length


def test_a_torn_tail_is_reported(tmp_path):
    write(tmp_path, RECORDS, close=False)
    path = segment_path(tmp_path, 1)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(frame(BLOCK, b"x" * 50)[:20])
    got, reader = read(tmp_path)
    assert got == RECORDS
    assert reader.torn is not None
    assert (reader.torn.segment, reader.torn.offset, reader.torn.lost) == ("00001.journal", size, 20)


# --- damage ---------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_is_never_read_as_whole(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip") / "s1"
    write(folder, RECORDS, segment_after=3)
    paths = sorted(folder.iterdir())
    path = data.draw(st.sampled_from(paths))
    raw = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    try:
        got, reader = read(folder)
    except JournalError as error:
        assert ".journal" in str(error)  # noqa: PT017 - a torn tail is right as well
        return
    assert got == RECORDS[: len(got)]
    assert reader.torn is not None
    assert reader.torn.segment == path.name == paths[-1].name
    assert reader.end is None


def test_damage_in_the_middle_names_segment_and_offset(tmp_path):
    write(tmp_path, RECORDS)
    path = segment_path(tmp_path, 1)
    raw = bytearray(path.read_bytes())
    offset = _end_of_header(bytes(raw))
    raw[offset + FRAME.size + 12] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(JournalError, match=rf"00001\.journal at {offset}: the checksum is wrong"):
        read(tmp_path)


def test_a_damaged_length_in_the_middle_is_no_torn_tail(tmp_path):
    write(tmp_path, RECORDS)
    path = segment_path(tmp_path, 1)
    raw = bytearray(path.read_bytes())
    offset = _end_of_header(bytes(raw))
    raw[offset + 2] ^= 0x40  # the frame now seems to reach far beyond the end of the file
    path.write_bytes(raw)
    with pytest.raises(JournalError, match=f"at {offset}: the frame is cut off, or its length was damaged"):
        read(tmp_path)


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_missing_segment_is_found(tmp_path, gone):
    write(tmp_path, RECORDS, segment_after=2)
    last = len(list(tmp_path.iterdir()))
    assert last == 4
    segment_path(tmp_path, gone).unlink()
    with pytest.raises(JournalError, match=f"segment 0000{gone} is missing"):
        read(tmp_path)


def test_without_its_last_segment_a_session_has_no_end(tmp_path):
    write(tmp_path, RECORDS, segment_after=2)
    segment_path(tmp_path, 4).unlink()
    got, reader = read(tmp_path)
    assert got == RECORDS[:18]
    assert reader.end is None


def test_exchanged_segments_are_found(tmp_path):
    write(tmp_path, RECORDS, segment_after=2)
    first, second = segment_path(tmp_path, 2), segment_path(tmp_path, 3)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    with pytest.raises(JournalError, match=r"is segment 3 of session s1 .* expected 2 of s1"):
        read(tmp_path)


def test_a_segment_of_another_session_is_found(tmp_path):
    write(tmp_path / "a", RECORDS, segment_after=2)
    write(tmp_path / "b", RECORDS, segment_after=2, session="s2")
    segment_path(tmp_path / "a", 2).write_bytes(segment_path(tmp_path / "b", 2).read_bytes())
    with pytest.raises(JournalError, match=r"of session s2 .* expected 2 of s1"):
        read(tmp_path / "a")


def test_a_doubled_block_is_found(tmp_path):
    write(tmp_path, RECORDS)
    path = segment_path(tmp_path, 1)
    raw = path.read_bytes()
    start = _end_of_header(raw)
    length, _, _ = FRAME.unpack_from(raw, start)
    stop = start + FRAME.size + length
    path.write_bytes(raw[:stop] + raw[start:])
    with pytest.raises(JournalError, match=f"at {stop}: begins with record 0, expected 3"):
        read(tmp_path)


def test_what_comes_after_the_end_is_refused(tmp_path):
    write(tmp_path, RECORDS)
    with segment_path(tmp_path, 1).open("ab") as file:
        file.write(frame(BLOCK, FIRST.pack(20) + b"more"))
    with pytest.raises(JournalError, match="goes on after the session's end"):
        read(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("00001.journal", b"PK\x03\x04 zip"), ("00001.journal", b"SOSJRNL\x02")])
def test_another_file_or_format_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(JournalError, match="is not a journal of this program"):
        JournalReader(tmp_path)


def test_another_version_names_the_program_that_reads_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sos_actors.runtime.journal.writer.VERSION", 9)
    write(tmp_path, RECORDS)
    monkeypatch.undo()
    with pytest.raises(
        JournalError, match=r"version 9 of the journal, this program reads 1: use the program .* \(1\.0\)"
    ):
        JournalReader(tmp_path)


def test_no_journal_at_all(tmp_path):
    with pytest.raises(JournalError, match="there is no journal"):
        JournalReader(tmp_path)
    with pytest.raises(JournalError, match="there is no journal"):
        JournalReader(tmp_path / "nowhere")


def test_an_empty_segment_is_a_session_that_never_began(tmp_path):
    segment_path(tmp_path, 1).write_bytes(b"")
    with pytest.raises(JournalError, match="has no header"):
        JournalReader(tmp_path)


# --- a disk that fails ----------------------------------------------------------------------------------


def test_a_full_disk_ends_the_journal_and_says_so_every_time(tmp_path, monkeypatch):
    journal = JournalWriter(tmp_path, session="s", code="1", now=lambda: 0)
    journal.append(RECORDS[0])
    journal.commit()

    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

        def fileno(self):
            return real.fileno()

        def close(self):
            real.close()

    real, journal._file = journal._file, Full()
    journal.append(RECORDS[1])
    with pytest.raises(JournalError, match=r"00001\.journal: cannot be written: No space left on device"):
        journal.commit(durable=True)
    journal.append(RECORDS[2])
    with pytest.raises(JournalError, match="No space left on device"):
        journal.commit(durable=True)
    journal.close()
    assert read(tmp_path)[0] == RECORDS[:1]


@pytest.mark.parametrize("setting", [{"block_records": 0}, {"segment_mb": 0}, {"level": 0}, {"level": 20}])
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(ValueError, match="journal: write"):
        JournalSettings(**setting)
