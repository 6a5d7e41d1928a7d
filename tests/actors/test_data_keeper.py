"""The keepers of the day's data: what they hear, when they store, what they do when they cannot."""

import numpy as np
import pytest
from actor_helpers import DAY, INDEX, MINUTE, chain_of, index_bars, ist

from sos_actors.actors.data_keeper import FILL_DELAY_NS, DataKeeperActor, GapFillerActor
from sos_actors.errors import DataError, StorageError
from sos_actors.market.ids import near_future, option_id
from sos_actors.market.minute_book import MinuteBook
from sos_actors.messages import (
    Bar,
    ChainFrame,
    ContractsChosen,
    FeedStatus,
    GapsFilled,
    GapsSuspected,
    MinuteClosed,
    Phase,
    Right,
    SessionPhase,
)
from sos_actors.runtime import SimRuntime
from sos_actors.storage.day_states import DayStates
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.minute_shelf import MinuteShelf

OPEN = ist("09:15")
FUTURE = "NSE|FUT|NIFTY|2025-09-30"
EXPIRY = chain_of(index_bars({})).expiry
CALL = option_id("NIFTY", EXPIRY, 24_500.0, Right.CE)


def bar(instrument, minute, price=100.0, **changes):
    start = OPEN + minute * MINUTE
    told = {"bid": price - 0.5, "ask": price + 0.5, "volume": 75.0, "oi": 750.0} | changes
    return Bar(instrument, start, start + MINUTE, price, price, price, price, **told)


class Shelf:
    def __init__(self):
        self.begun, self.kept, self.full = [], [], False

    def begin(self, underlying, day, now):
        self.begun.append((underlying, day, now))

    def keep(self, underlying, day, minutes):
        if self.full:
            raise StorageError("market.db: the disk is full")
        self.kept.append((underlying, day, minutes))


@pytest.fixture
def stage():
    made = SimRuntime(strict=True)
    yield made
    made.close()


def keeper(stage, shelf, flush_s=60.0):
    stage.spawn(DataKeeperActor, "keeper", ["NIFTY"], shelf, flush_s)

    def say(message, key=None):
        stage.publish(message, *([] if key is None else [key]))
        stage.drain()

    say(SessionPhase(OPEN - MINUTE, DAY, Phase.PRE_OPEN))
    return say


# --- the book -------------------------------------------------------------------------------------------


def test_bars_and_frames_become_columns():
    book = MinuteBook("NIFTY")
    book.take_bar(bar(INDEX, 1, 24_510.0, volume=np.nan, oi=np.nan, bid=np.nan, ask=np.nan))
    book.take_bar(bar(INDEX, 0, 24_500.0, volume=np.nan, oi=np.nan, bid=np.nan, ask=np.nan))
    book.take_bar(bar(FUTURE, 0, 24_550.0))
    values = np.full((8, 2, 1), 7.0)
    book.take_frame(ChainFrame("NIFTY", EXPIRY, OPEN, OPEN + MINUTE, np.array([24_500.0]), values))
    book.take_bar(bar(CALL, 0, 101.0, oi=np.nan))
    book.take_bar(bar(CALL, 2, 103.0, complete=False))
    minutes = book.minutes()
    future, index = minutes.bars
    assert (future.instrument, index.instrument) == (FUTURE, INDEX)
    assert index.start.tolist() == [OPEN, OPEN + MINUTE]
    assert index.close.tolist() == [24_500.0, 24_510.0]
    (chain,) = minutes.chains
    assert chain.start.tolist() == [OPEN, OPEN + 2 * MINUTE]
    assert chain.values[0, :, 0, 0].tolist() == [101, 101, 101, 101, 75, 7, 100.5, 101.5]  # the frame's OI stands in
    assert chain.values[0, :, 1, 0].tolist() == [7.0] * 8
    assert np.isnan(chain.values[1, :, 1, 0]).all()
    assert minutes.doubtful == ((CALL, OPEN + 2 * MINUTE),)
    book.take_bar(bar(CALL, 2, 103.0))
    assert book.minutes().doubtful == ()
    book.clear()
    assert not book.minutes()


# --- the actor ------------------------------------------------------------------------------------------


def test_minutes_are_stored_at_the_interval_and_at_the_close(stage):
    shelf = Shelf()
    say = keeper(stage, shelf, flush_s=180.0)
    assert shelf.begun == [("NIFTY", DAY, OPEN - MINUTE)]
    for minute in range(4):
        say(bar(INDEX, minute), INDEX)
        say(bar(FUTURE, minute), near_future("NIFTY"))
        say(MinuteClosed(OPEN + (minute + 1) * MINUTE))
    assert len(shelf.kept) == 1
    assert [len(one.start) for one in shelf.kept[0][2].bars] == [2, 2]
    say(SessionPhase(ist("15:30"), DAY, Phase.CLOSED))
    assert [len(one.start) for one in shelf.kept[1][2].bars] == [2, 2]


def test_options_are_heard_once_they_are_followed(stage):
    shelf = Shelf()
    say = keeper(stage, shelf)
    say(ContractsChosen("NIFTY", OPEN, EXPIRY, (CALL,), (INDEX, FUTURE), FUTURE), "NIFTY")
    say(ContractsChosen("NIFTY", OPEN, EXPIRY, (CALL,)), "NIFTY")
    say(bar(CALL, 0), CALL)
    say(MinuteClosed(OPEN + MINUTE))
    (chain,) = shelf.kept[0][2].chains
    assert chain.strikes.tolist() == [24_500.0]


def test_a_full_disk_loses_nothing(stage):
    shelf = Shelf()
    say = keeper(stage, shelf, flush_s=60.0)
    shelf.full = True
    for minute in range(3):
        say(bar(INDEX, minute), INDEX)
        say(MinuteClosed(OPEN + (minute + 1) * MINUTE))
    assert stage.actor("keeper").inspect()["last_error"] == "market.db: the disk is full"
    shelf.full = False
    say(MinuteClosed(OPEN + 4 * MINUTE))
    assert len(shelf.kept[0][2].bars[0].start) == 3
    assert stage.actor("keeper").inspect()["failures"] == 0


def test_gaps_are_filled_after_a_reconnect_and_at_the_end(stage):
    asked = []

    def fill(message):
        asked.append(message)
        return GapsFilled(message.underlying, message.day, cells=3)

    shelf = Shelf()
    say = keeper(stage, shelf, flush_s=3600.0)
    stage.spawn(GapFillerActor, "filler", fill)
    say(FeedStatus("NIFTY", OPEN, live=True), "NIFTY")
    say(MinuteClosed(OPEN + MINUTE))
    assert asked == []  # it never was down
    say(FeedStatus("NIFTY", OPEN + MINUTE, live=False), "NIFTY")
    back = OPEN + 5 * MINUTE
    say(bar(INDEX, 1, complete=False), INDEX)
    say(FeedStatus("NIFTY", back, live=True), "NIFTY")
    say(MinuteClosed(back))
    assert asked == []
    say(MinuteClosed(back + FILL_DELAY_NS))
    assert asked == [GapsSuspected("NIFTY", DAY, back + FILL_DELAY_NS)]
    assert len(shelf.kept) == 1  # what is there is stored before history fills the rest
    say(SessionPhase(ist("15:30"), DAY, Phase.CLOSED))
    assert asked[-1] == GapsSuspected("NIFTY", DAY, ist("15:30"), final=True)
    assert stage.actor("filler").inspect()["cells"] == 3


def test_a_filler_that_cannot_says_so_and_lives(stage):
    def fill(_):
        raise DataError("the broker is away")

    stage.spawn(GapFillerActor, "filler", fill)
    stage.publish(GapsSuspected("NIFTY", DAY, 0))
    stage.drain()
    assert stage.actor("filler").inspect()["error"] == "the broker is away"


def test_what_is_kept_is_read_back_as_a_day(stage, tmp_path):
    shelf = MinuteShelf(tmp_path / "market.db")
    say = keeper(stage, shelf)
    say(ContractsChosen("NIFTY", OPEN, EXPIRY, (CALL,)), "NIFTY")
    for minute in range(5):
        say(bar(INDEX, minute, 24_500.0 + minute, complete=minute != 3), INDEX)
        say(bar(CALL, minute, 100.0 + minute), CALL)
        say(MinuteClosed(OPEN + (minute + 1) * MINUTE))
    shelf.close()
    with MarketStore(tmp_path / "market.db", readonly=True) as store:
        day = store.load_day("NIFTY", DAY)
        assert day.index.close.tolist() == [24_500.0 + minute for minute in range(5)]
        assert day.chains[0].values[:, 6, 0, 0].tolist() == [99.5 + minute for minute in range(5)]
        assert DayStates(store).doubtful("NIFTY", DAY) == {(INDEX, OPEN + 3 * MINUTE)}
        state = DayStates(store).get("NIFTY", DAY)
        assert (state.complete, state.source) == (False, "live")
