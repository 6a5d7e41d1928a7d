"""The feed: what goes out when, to whom, and the exchange before everybody."""

import numpy as np
from actor_helpers import INDEX, MINUTE, Ear, chain_of, clock_of, index_bars, ist, market_day

from sos_actors.actors.bar import BarActor
from sos_actors.actors.feed import FeedActor
from sos_actors.actors.tick_feed import TickFeedActor
from sos_actors.market.bars import BarBuilder
from sos_actors.market.day import BarColumns, TickColumns
from sos_actors.market.ids import near_future
from sos_actors.messages import (
    Bar,
    ChainFrame,
    DayLoaded,
    ExchangeBar,
    MinuteClosed,
    Stage,
    Subscribe,
    Tick,
    Unsubscribe,
)
from sos_actors.runtime import Actor, Session, SimRuntime, handles

CALL = "NSE|OPT|NIFTY|2025-09-02|24500|CE"
FUTURE = "NSE|FUT|NIFTY|2025-09-30"


class Asker(Actor):
    """Follows a contract from one minute's end to another's."""

    def __init__(self, instrument, first, last):
        super().__init__()
        self._instrument, self._first, self._last = instrument, ist(first), ist(last)
        self.subscribe(MinuteClosed)

    @handles(MinuteClosed)
    def on_minute(self, message):
        if message.ts == self._first:
            self.publish(Subscribe(self._instrument))
        elif message.ts == self._last:
            self.publish(Unsubscribe(self._instrument))


def _run(day, *topics, asker=None):
    heard = []
    runtime = SimRuntime(strict=True)
    runtime.spawn(Ear, "ear", heard, *topics)
    runtime.spawn(FeedActor, "feed", lambda _: [day])
    if asker:
        runtime.spawn(Asker, "asker", *asker)
    runtime.clock.follow([Session(day.day, ist("09:15"), ist("15:30"))])
    runtime.run()
    assert not len(runtime.dead_letters)
    return heard


def _day(until="09:30"):
    index = index_bars({}, until=until)
    prices = (index.open + 30, index.high + 30, index.low + 30, index.close + 30)
    future = BarColumns(FUTURE, 60, index.start, *prices, volume=np.full(len(index.start), 750.0), oi=index.oi)
    return market_day(index, chain_of(index), future=future)


def test_a_bar_goes_out_when_it_is_over_and_the_frame_with_it():
    heard = _run(_day(), (Bar, INDEX), (ChainFrame, "NIFTY"), (MinuteClosed, ""), (DayLoaded, "NIFTY"))
    assert isinstance(heard[0], DayLoaded)
    assert (heard[0].index, heard[0].future, heard[0].chain, heard[0].interval_s) == (True, FUTURE, True, 60)
    first = heard[1:4]
    assert [type(message).__name__ for message in first] == ["ChainFrame", "Bar", "MinuteClosed"]
    assert [clock_of(first[0].end), clock_of(first[1].end), clock_of(first[2].ts)] == ["09:16"] * 3
    assert (first[0].spot, first[0].future) == (24_500, 24_530)
    # Data ends at 09:30; minutes go on to the close.
    assert sum(isinstance(message, Bar) for message in heard) == 15
    assert sum(isinstance(message, MinuteClosed) for message in heard) == 375


def test_the_near_future_is_heard_under_its_role():
    heard = _run(_day(), (Bar, near_future("NIFTY")))
    assert {bar.instrument for bar in heard} == {FUTURE}
    assert len(heard) == 15
    assert _run(_day(), (Bar, FUTURE)) == []
    followed = _run(_day(), (Bar, FUTURE), asker=(FUTURE, "09:17", "09:19"))
    assert [clock_of(bar.end) for bar in followed] == ["09:18", "09:19"]


def test_a_contracts_bars_come_only_while_it_is_followed():
    heard = _run(_day(), (Bar, CALL), asker=(CALL, "09:17", "09:20"))
    assert [clock_of(bar.end) for bar in heard] == ["09:18", "09:19", "09:20"]
    assert _run(_day(), (Bar, CALL)) == []


def test_following_the_index_does_not_double_its_bars():
    assert len(_run(_day(), (Bar, INDEX), asker=(INDEX, "09:16", "09:25"))) == 15


def test_the_exchange_sees_an_interval_before_anybody_else():
    topics = ((Bar, INDEX), (ChainFrame, "NIFTY"), (Bar, CALL), (ExchangeBar, CALL), (MinuteClosed, ""))
    heard = _run(_day(), *topics, asker=(CALL, "09:17", "09:20"))
    instant = [m for m in heard if getattr(m, "end", getattr(m, "ts", 0)) == ist("09:18") or
               (isinstance(m, ExchangeBar) and m.bar.end == ist("09:18"))]  # fmt: skip
    told = [(type(m).__name__, getattr(m, "stage", getattr(m, "instrument", ""))) for m in instant]
    assert told == [
        ("ExchangeBar", Stage.MATCH_OPEN), ("ExchangeBar", Stage.MATCH_RANGE),
        ("ChainFrame", ""), ("Bar", INDEX), ("Bar", CALL), ("MinuteClosed", ""),
    ]  # fmt: skip


def test_an_index_by_itself_goes_out_bar_by_bar_and_to_the_exchange_first():
    """Such a day is played by the clock; only for the exchange the feed has to step in."""
    topics = ((Bar, INDEX), (ExchangeBar, INDEX), (MinuteClosed, ""))
    heard = _run(market_day(index_bars({}, until="09:30")), *topics, asker=(INDEX, "09:17", "09:20"))
    assert [clock_of(m.end) for m in heard if isinstance(m, Bar)] == [f"09:{minute}" for minute in range(16, 31)]
    shown = [(clock_of(m.bar.end), m.stage) for m in heard if isinstance(m, ExchangeBar)]
    stages = (Stage.MATCH_OPEN, Stage.MATCH_RANGE)
    assert shown == [(clock, stage) for clock in ("09:18", "09:19", "09:20") for stage in stages]
    at = [m.ts if isinstance(m, MinuteClosed) else m.bar.end if isinstance(m, ExchangeBar) else m.end for m in heard]
    minute = [type(m).__name__ for m, end in zip(heard, at, strict=True) if end == ist("09:18")]
    assert minute == ["ExchangeBar", "ExchangeBar", "Bar", "MinuteClosed"]


def test_what_lies_behind_the_close_is_not_given_out():
    for day in (market_day(index_bars({}, until="15:40")), _day(until="15:40")):
        bars = [bar for bar in _run(day, (Bar, INDEX)) if isinstance(bar, Bar)]
        assert (len(bars), clock_of(bars[-1].end)) == (375, "15:30")


# -- ticks ------------------------------------------------------------------------------------------------------------


def _ticks(first, seconds=20, count=30, day_volume=1_000):
    ts = ist(first) + np.arange(count, dtype=np.int64) * seconds * 1_000_000_000
    return TickColumns(
        "NIFTY", (CALL,), np.zeros(count, np.int32), ts, ts, 100.0 + np.arange(count), np.full(count, 75),
        day_volume + 75 * np.arange(1, count + 1), np.full(count, 750.0), *np.full((2, count), np.nan),
    )  # fmt: skip


def _bars_of(ticks):
    heard = []
    runtime = SimRuntime(strict=True)
    runtime.spawn(TickFeedActor, "feed", lambda _: [ticks])
    runtime.spawn(BarActor, f"bar/{CALL}", CALL, BarBuilder(CALL), (CALL, "alias"))
    runtime.spawn(Ear, "ear", heard, (Bar, CALL), (Bar, "alias"), (Tick, CALL))
    day = market_day(index_bars({}))
    runtime.clock.follow([Session(day.day, ist("09:15"), ist("15:30"))], 1_000_000_000)
    runtime.run()
    return [message for message in heard if isinstance(message, Bar)]


def test_ticks_become_bars_under_every_key_a_second_after_their_minute():
    bars = _bars_of(_ticks("09:15", day_volume=0))
    assert bars[0::2] == bars[1::2]
    first = bars[0]
    assert (first.start, first.end) == (ist("09:15"), ist("09:16"))
    assert (first.open, first.high, first.low, first.close, first.volume) == (100, 102, 100, 102, 225)
    assert len(bars) == 2 * 10
    assert bars[2].start == first.start + MINUTE


def test_what_traded_before_a_recording_began_is_in_no_bar():
    """The feed tells the day's total: of a recording from 09:40 on, the first bar has what was seen of it."""
    bars = _bars_of(_ticks("09:40", day_volume=1_000_000))
    assert [bar.volume for bar in bars[0::2]] == [225.0] * 10


def test_from_the_open_on_the_first_bar_has_all_of_the_days_volume():
    """A first tick whose total is more than its own trade: the rest traded in the same minute."""
    bars = _bars_of(_ticks("09:15", day_volume=750))
    assert bars[0].volume == 750 + 225
