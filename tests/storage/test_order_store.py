"""The order path's record: what was kept is read again, what a crash tore is cut, what is damaged is refused."""

import datetime as dt

import pytest

from sos_actors.errors import StorageError
from sos_actors.messages import Fill, OrderRole, OrderStatus, OrderType, SendPlace, Side, SubmitOrder
from sos_actors.storage.order_store import OrderStore
from sos_actors.trading.gateway.records import (
    ChildFound,
    DayBegun,
    FillBooked,
    OrderAsked,
    OrderEnded,
    OrderTaken,
    PlaceEnded,
    PlaceSent,
    PositionFound,
    StateSaved,
)

DAY = DayBegun(dt.date(2026, 11, 20), (("X", 65),))
SUBMIT = SubmitOrder("i-e", "i", 1, "X", Side.BUY, 65, OrderType.LIMIT, OrderRole.ENTRY, 100.05)
SEND = SendPlace("r1", "S1-ABC", "X", Side.BUY, 65, OrderType.LIMIT, 100.05)
RECORDS = [
    DAY,
    OrderTaken(SUBMIT),
    PlaceSent("i-e", SEND, 2),
    ChildFound("S1-ABC", "B1"),
    PlaceEnded("S1-ABC", "TAKEN"),
    OrderAsked("i-e", quantity=130, cancel=True),
    FillBooked("B1", Fill("B1:0-65", "i-e", 3, "X", Side.BUY, 65, 100.05), 65, 650_325),
    OrderEnded("i-e", 4, OrderStatus.FILLED, ""),
    PositionFound("Y", -75),
]


def write(folder, records=RECORDS):
    store = OrderStore(folder)
    for record in records:
        store.append(record)
    store.sync()
    store.close()
    (path,) = folder.glob("orders-*.log")
    return path


def same(found, wanted):
    return repr(found) == repr(wanted)  # NaN is not equal to itself


def test_what_was_kept_is_read_again(tmp_path):
    write(tmp_path)
    recovery = OrderStore(tmp_path).recovery
    assert same(list(recovery.records), RECORDS)
    assert (recovery.states, recovery.cut) == ({}, "")


def test_an_empty_folder_has_nothing_to_recover(tmp_path):
    assert OrderStore(tmp_path / "new").recovery.records == ()


def test_nothing_is_kept_before_a_day_begins(tmp_path):
    with pytest.raises(StorageError, match="before a day"):
        OrderStore(tmp_path).append(OrderTaken(SUBMIT))


@pytest.mark.parametrize("lost", [1, 4, 9, 20])
def test_a_torn_end_is_cut_off_and_said(tmp_path, lost):
    path = write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    store = OrderStore(tmp_path)
    assert same(list(store.recovery.records), RECORDS[:-1])
    assert "cut short" in store.recovery.cut
    store.append(RECORDS[-1])
    store.close()
    assert path.read_bytes() == whole


def test_every_possible_crash_leaves_a_record_that_opens(tmp_path):
    path = write(tmp_path)
    whole = path.read_bytes()
    for length in range(12, len(whole)):
        path.write_bytes(whole[:length])
        store = OrderStore(tmp_path)
        found = list(store.recovery.records)
        store.close()
        assert same(found, RECORDS[: len(found)])


def test_zeros_at_the_end_are_cut_off(tmp_path):
    path = write(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(4096))
    assert same(list(OrderStore(tmp_path).recovery.records), RECORDS)


@pytest.mark.parametrize("place", [13, 40, 90])
def test_damage_in_the_middle_is_refused_with_advice(tmp_path, place):
    path = write(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0x55
    path.write_bytes(raw)
    with pytest.raises(StorageError, match=r"damaged at byte \d+: restore a copy"):
        OrderStore(tmp_path)


def test_other_files_and_newer_ones_are_refused(tmp_path):
    path = write(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(b"SQLite format 3\0" + raw)
    with pytest.raises(StorageError, match="not a record of orders"):
        OrderStore(tmp_path)
    path.write_bytes(raw[:8] + b"\x02\0\0\0" + raw[12:])
    with pytest.raises(StorageError, match="newer version"):
        OrderStore(tmp_path)


def test_a_new_day_begins_a_new_file_with_the_desk_as_it_was(tmp_path):
    store = OrderStore(tmp_path)
    store.append(DAY)
    store.append(StateSaved(5, "desk", b"old", ("a",)))
    store.append(StateSaved(5, "risk", b"risk"))
    store.append(StateSaved(6, "desk", b"state", ("i-s",)))
    store.append(StateSaved(7, "desk", b"change", whole=False))
    store.append(DayBegun(dt.date(2026, 11, 23)))
    store.append(OrderTaken(SUBMIT))
    store.close()
    recovery = OrderStore(tmp_path).recovery
    assert same(list(recovery.records), [DayBegun(dt.date(2026, 11, 23)), OrderTaken(SUBMIT)])
    assert recovery.states == {
        "desk": [StateSaved(6, "desk", b"state", ("i-s",)), StateSaved(7, "desk", b"change", whole=False)],
        "risk": [StateSaved(5, "risk", b"risk")],
    }
    assert len(list(tmp_path.glob("orders-*.log"))) == 2


def test_every_possible_crash_leaves_a_state_and_the_changes_after_it(tmp_path):
    states = [StateSaved(n, "desk", f"state {n}".encode(), whole=n in {0, 3}) for n in range(6)]
    path = write(tmp_path, [DAY, *states])
    whole = path.read_bytes()
    seen = set()
    for length in range(12, len(whole) + 1):
        path.write_bytes(whole[:length])
        store = OrderStore(tmp_path)
        found = [saved.ts for saved in store.recovery.states.get("desk", ())]
        store.close()
        assert found in ([], [0], [0, 1], [0, 1, 2], [3], [3, 4], [3, 4, 5])
        seen.add(tuple(found))
    assert len(seen) == 7


def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    store = OrderStore(tmp_path)
    store.append(DAY)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(StorageError, match="no order may be sent"):
        store.append(OrderTaken(SUBMIT))


def test_a_days_second_file_counts_as_the_later_one(tmp_path):
    write(tmp_path)
    store = OrderStore(tmp_path)
    store.append(DAY)
    store.append(StateSaved(9, "desk", b"the later one"))
    store.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert OrderStore(tmp_path).recovery.states["desk"][-1].state == b"the later one"
