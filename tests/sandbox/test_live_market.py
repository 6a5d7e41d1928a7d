"""A day played by a clock: its ticks make the day's bars, whoever asks and whenever."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sos_actors.market.clocktime import MINUTE_NS, ist_ns
from sos_actors.market.ids import option_id
from sos_actors.messages import Right
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.sandbox.greeks import NONE, GreekBook
from sos_actors.sandbox.listing import contract_of
from sos_actors.sandbox.live_market import LiveMarket
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.recorded import RecordedDays, RecordedTape
from sos_actors.sandbox.schedule import Schedule
from sos_actors.sandbox.tape import SimulatedTape

DAY, BEFORE = dt.date(2026, 11, 20), dt.date(2026, 11, 19)
OPEN, CLOSE = ist_ns(DAY, "09:15"), ist_ns(DAY, "15:40")
EXPIRY = dt.date(2026, 11, 23)
MARKET = SimulatedMarket(seed=7)
TAPE = SimulatedTape(MARKET, DAY, ("NIFTY", "SENSEX"), 20.0)
YESTERDAY = SimulatedTape(MARKET, BEFORE, ("NIFTY", "SENSEX"), 20.0)
CALL = option_id("NIFTY", EXPIRY, 29950.0, Right.CE)


def live(now, tape=TAPE):
    return LiveMarket(tape, YESTERDAY, now)


def key(market, name=CALL):
    return market.table.by_id(name).upstox_key


def state(quote):
    skip = {"instrument", "encoded", "turnover", "version", "ltq"}
    return {field.name: getattr(quote, field.name) for field in dataclasses.fields(quote) if field.name not in skip}


@pytest.mark.parametrize("name", [CALL, "NSE|INDEX|NIFTY", "NSE|FUT|NIFTY|2026-11-23", "NSE|INDEX|INDIAVIX"])
def test_ticks_make_the_minutes_of_the_day(name):
    market = live(OPEN)
    quote = market.quote(key(market, name))
    made = {}
    for one in market.advance(CLOSE + MINUTE_NS):
        if one is quote:
            made[one.forming.start] = one.forming
    bars = TAPE.bars(quote.instrument)
    assert list(made) == bars.start.tolist()
    for at, minute in enumerate(made.values()):
        expected = [float(getattr(bars, field)[at]) for field in ("open", "high", "low", "close", "volume")]
        assert list(minute[1:]) == expected
    assert (quote.open, quote.ltp) == (bars.open[0], bars.close[-1])
    assert (quote.high, quote.low) == (bars.high.max(), bars.low.min())
    assert quote.volume == bars.volume.sum()


@settings(max_examples=25)
@example(380 * 60, 1200)
@example(0, 0)
@given(st.integers(min_value=-60, max_value=400 * 60), st.integers(min_value=0, max_value=7200))
def test_it_does_not_matter_when_one_began_to_look(start, seconds):
    now = OPEN + start * 1_000_000_000
    later = now + seconds * 1_000_000_000
    early, late, jumped = live(now), live(later), live(now)
    first = early.quote(key(early))
    for _ in early.advance(later):
        pass
    jumped.quote(key(jumped))
    jumped.jump(later)
    assert state(first) == state(late.quote(key(late))) == state(jumped.quote(key(jumped)))


def test_ticks_come_in_order_and_none_from_the_future():
    market = live(OPEN)
    for item in list(market.table)[:40]:
        market.quote(item.upstox_key)
    last = OPEN
    for quote in market.advance(OPEN + 10 * MINUTE_NS):
        assert last <= market.now_ns <= OPEN + 10 * MINUTE_NS
        assert quote.ltt <= market.now_ns
        last = market.now_ns


def test_before_the_open_there_is_yesterdays_close_and_nothing_else():
    market = live(OPEN - 60 * MINUTE_NS)
    quote = market.quote(key(market))
    old = YESTERDAY.minutes(quote.instrument)
    assert quote.ltp == quote.previous_close == old.close[-1]
    assert (quote.volume, quote.open, quote.bid, quote.previous) == (0, 0.0, 0.0, None)
    assert quote.depth() == []


def test_depth_is_in_lots_on_the_grid_and_falls_away_from_the_best():
    market = live(OPEN + 100 * MINUTE_NS)
    for item in list(market.table)[:200]:
        quote = market.quote(item.upstox_key)
        levels = [level for level in quote.depth() if level.bid and level.ask]
        if item.kind == "INDEX":
            assert levels == []
            continue
        assert (levels[0].bid, levels[0].ask) == (quote.bid, quote.ask)
        for a, b in itertools.pairwise(levels):
            assert b.bid < a.bid < a.ask < b.ask
        assert all(level.bid_quantity % item.lot_size == 0 < level.bid_quantity for level in levels)
        assert all(math.isclose(level.bid / item.tick_size, round(level.bid / item.tick_size)) for level in levels)


def test_greeks_are_of_the_last_completed_minute():
    market, book = live(OPEN + 100 * MINUTE_NS), GreekBook(0.065)
    call = market.table.by_id(CALL)
    put = market.table.by_id(CALL.replace("CE", "PE"))
    of_call, of_put = book.of(market, call), book.of(market, put)
    assert 0.05 < of_call.iv < 0.4
    assert of_call.delta - of_put.delta == pytest.approx(1.0, abs=0.01)
    assert of_call.theta < 0 < of_call.gamma < of_call.vega
    assert book.of(market, market.table.by_id("NSE|INDEX|NIFTY")) == NONE
    assert book.of(live(OPEN), call) == NONE
    before = book.of(market, call)
    for _ in market.advance(OPEN + 101 * MINUTE_NS):
        pass
    assert book.of(market, call) != before


def test_every_key_is_its_own_and_tells_its_contract():
    market = live(OPEN)
    keys = [item.upstox_key for item in market.table]
    assert len(set(keys)) == len(keys) > 2000
    for item in market.table:
        if item.expiry is not None:
            segment, _, token = item.upstox_key.partition("|")
            assert contract_of(segment, int(token), item.expiry, DAY, TAPE.schedule) == item
            other = "BSE_FO" if segment == "NSE_FO" else "NSE_FO"
            assert contract_of(other, int(token), item.expiry, DAY, TAPE.schedule) is None
    assert contract_of("NSE_FO", 12345, EXPIRY, DAY, Schedule()) is None


def test_contracts_keep_their_key_over_the_days():
    today, yesterday = live(OPEN), LiveMarket(YESTERDAY, None, ist_ns(BEFORE, "10:00"))
    both = [item for item in today.table if yesterday.table.by_id(item.id)]
    assert len(both) > 1000
    assert all(yesterday.table.by_id(item.id).upstox_key == item.upstox_key for item in both)


# === recorded days ==============================================================================================


class Stored:
    """A history of simulated days, with holes, and with ticks where told."""

    def __init__(self, *, ticks=False):
        self._ticks = ticks

    def days(self, underlying, candidates):
        return [day for day in candidates if underlying == "NIFTY" and day in (BEFORE, DAY)]

    def load_day(self, underlying, day):
        return MARKET.day("NIFTY", day) if self.days(underlying, [day]) else None

    def load_ticks(self, underlying, day):
        return MARKET.ticks("NIFTY", day, strikes=2) if self._ticks and underlying == "NIFTY" else None


@pytest.mark.parametrize("ticks", [False, True])
def test_a_recorded_day_plays_to_its_own_bars(ticks):
    tape = RecordedTape(Stored(ticks=ticks), DAY, ("NIFTY",), Schedule())
    market = LiveMarket(tape, None, OPEN)
    quote = market.quote(key(market))
    made = {}
    for one in market.advance(CLOSE + MINUTE_NS):
        made[one.forming.start] = one.forming
    chain = next(chain for chain in MARKET.day("NIFTY", DAY).chains if chain.expiry == EXPIRY)
    at = int(np.flatnonzero(chain.strikes == 29950.0)[0])
    column = {name: chain.values[:, row, 0, at] for row, name in enumerate(CHAIN_FIELDS)}
    assert list(made) == chain.start.tolist()
    for row, minute in enumerate(made.values()):
        assert list(minute[1:]) == [column[name][row] for name in ("open", "high", "low", "close", "volume")]
    assert (quote.bid, quote.ask) == (column["bid"][-1], column["ask"][-1])
    assert quote.volume == column["volume"].sum()


def test_holes_of_a_recorded_day_stand_still():
    day = MARKET.day("NIFTY", DAY)
    index = day.index
    kept = np.r_[0:100, 110:385]
    names = ("start", "open", "high", "low", "close", "volume", "oi")
    cut = dataclasses.replace(index, **{name: getattr(index, name)[kept] for name in names})

    class Holed(Stored):
        def load_day(self, underlying, wanted):
            return dataclasses.replace(day, index=cut) if underlying == "NIFTY" else None

    tape = RecordedTape(Holed(), DAY, ("NIFTY",), Schedule())
    market = LiveMarket(tape, None, OPEN + 100 * MINUTE_NS)
    quote = market.quote("NSE_INDEX|Nifty 50")
    assert quote.ltp == index.close[99]
    assert [one for one in market.advance(OPEN + 110 * MINUTE_NS) if one is quote] == []
    assert len([one for one in market.advance(OPEN + 112 * MINUTE_NS) if one is quote]) == 8


def test_recorded_days_are_the_stored_ones():
    days = RecordedDays(Stored(), ("NIFTY",))
    assert days.latest(DAY) == DAY
    assert days.latest(DAY + dt.timedelta(days=3)) == DAY
    assert days.latest(BEFORE - dt.timedelta(days=1)) is None
    item = live(OPEN).table.by_id(CALL)
    assert days.bars(item, BEFORE - dt.timedelta(days=1)) is None
    assert len(days.bars(item, BEFORE).start) == 385
