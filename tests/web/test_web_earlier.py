"""What was done on a day before the daemon was started again: out of the records, before the rest, once."""

import contextlib
import datetime as dt

import msgspec
import pytest
from recorded_rig import INDEX, damage, short_life, until

from sos_actors.control.protocol import socket_path
from sos_actors.control.server import ControlServer
from sos_actors.market.clocktime import ist_ns
from sos_actors.messages import (
    AccountMarked,
    AlertLevel,
    AlertRaised,
    Bar,
    Phase,
    SessionPhase,
    SetTradingState,
    TradingState,
)
from sos_actors.runtime.journal.format import BLOCK, HEADER
from sos_actors.runtime.journal.sessions import in_order
from sos_actors.web.daybook import DayBook
from sos_actors.web.earlier import earlier_today
from sos_actors.web.observer import Observed
from sos_actors.web.remote import COMMAND, RemoteStage, StageCommand

DAY = dt.date(2026, 11, 20)


def mark(at, equity):
    ts = ist_ns(DAY, at)
    return AccountMarked(ts, equity, equity, 0)


@pytest.fixture
def folder(tmp_path):
    one, two = AlertRaised(ist_ns(DAY, "09:20"), AlertLevel.INFO, "a", "one"), mark("09:21", 100)
    start = ist_ns(DAY, "09:15")
    bar = Bar(INDEX, start, start + 60_000_000_000, 1.0, 1.0, 1.0, 1.0)
    short_life(tmp_path, "2026-11-19-091000", "10:00", [mark("10:00", 1)], day=dt.date(2026, 11, 19))
    short_life(tmp_path, "2026-11-20-091000", "09:20", [one, two, bar], close=False, day=DAY)
    short_life(tmp_path, "2026-11-20-100000", "10:00", [mark("10:00", 200)], day=DAY)
    short_life(tmp_path, "2026-11-20-100000-2", "10:01", [SetTradingState(TradingState.HALTED, "kill")], day=DAY)
    short_life(tmp_path, "2026-11-20-110000", "11:00", [mark("11:00", 300)], day=DAY)
    return tmp_path


def test_what_earlier_lives_did_is_read_in_their_order(folder):
    book = earlier_today(folder)(DAY, "2026-11-20-110000")
    assert [one.equity_paise for one in book.marks] == [100, 200]
    assert [what for _, _, what in book.events] == ["INFO: one", "HALTED: kill"]
    assert (book.day, book.bars) == (DAY, {})  # prices are played again at every start
    assert not earlier_today(folder)(DAY, "2026-11-20-091000").marks
    assert [one.equity_paise for one in earlier_today(folder)(dt.date(2026, 11, 19), "2026-11-20-091000").marks] == [1]


def test_names_of_the_same_second_are_in_order(folder):
    names = [one.name for one in in_order(folder)]
    assert names[2:] == ["2026-11-20-100000", "2026-11-20-100000-2", "2026-11-20-110000"]
    assert in_order(folder / "nowhere") == []


@pytest.mark.parametrize("kind", [HEADER, BLOCK])
def test_a_damaged_record_is_named_and_the_others_are_shown(folder, kind):
    damage(folder / "2026-11-20-100000", kind)
    book = earlier_today(folder)(DAY, "2026-11-20-110000")
    assert 100 in [one.equity_paise for one in book.marks]
    assert any("2026-11-20-100000 is not shown" in what for _, _, what in book.events)


def test_what_was_traded_elsewhere_is_no_earlier_life_of_the_account(folder):
    short_life(folder, "2026-11-20-105900", "10:59", [mark("10:59", 7)], day=DAY, mode="paper")
    assert [one.equity_paise for one in earlier_today(folder)(DAY, "2026-11-20-110000").marks] == [100, 200]
    short_life(folder, "2026-11-20-120000", "12:00", [mark("12:00", 8)], day=DAY, mode="paper")
    assert [one.equity_paise for one in earlier_today(folder)(DAY, "2026-11-20-120000").marks] == [7]


def test_a_book_takes_what_was_before_once():
    earlier, book = DayBook(DAY), DayBook(DAY)
    earlier.marks, book.marks = [mark("09:20", 1)], [mark("10:00", 2)]
    earlier.trades, book.trades = [Trade("a"), Trade("b")], [Trade("b"), Trade("c")]
    kept = book.trades
    book.go_before(earlier)
    assert [one.equity_paise for one in book.marks] == [1, 2]
    assert [one.trade_id for one in book.trades] == ["a", "b", "c"]
    assert book.trades is kept  # who reads it meanwhile reads the same list


class Trade(msgspec.Struct):
    """As much of a trade as a book looks at."""

    trade_id: str


def test_the_stage_of_the_dashboard_completes_the_day_once(folder, rehearsal, tmp_path):
    seen, asked = Observed(), []
    seen.take(0, SessionPhase(ist_ns(DAY, "09:00"), DAY, Phase.PRE_OPEN))
    seen.take(0, mark("11:30", 400))
    read = earlier_today(folder)

    def earlier(day, name):
        asked.append((day, name))
        return read(day, "2026-11-20-110000")

    clock = [0.0]
    server = ControlServer(socket_path(tmp_path), {COMMAND: StageCommand(Still(rehearsal), seen, list)})
    with contextlib.closing(RemoteStage(tmp_path, lambda: clock[0], earlier=earlier)) as stage:
        stage.book()
        until(lambda: len(stage.book().marks) == 3)
        seen.take(0, mark("11:31", 500))
        for clock[0] in (1.0, 2.0, 3.0):
            stage.book()
        assert [one.equity_paise for one in stage.book().marks] == [100, 200, 400, 500]
    server.close()
    assert asked == [(DAY, rehearsal.operations.status().session)]


class Still:
    """A stage of which only the status is asked."""

    def __init__(self, rehearsal):
        self.status = rehearsal.operations.status
