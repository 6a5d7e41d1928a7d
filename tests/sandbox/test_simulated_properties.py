"""Whatever the seed and the day: bars and quotes hold together, and ticks give the bars back."""

from __future__ import annotations

import datetime as dt

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.sandbox.bars import traded_ohlc
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.settings import MarketSettings

DAYS = INDIA.trading_days("NSE", dt.date(2023, 1, 2), dt.date(2026, 12, 31))
NAMES = ("NIFTY", "BANKNIFTY", "SENSEX")
SMALL = MarketSettings(strikes_each_side=2, anchor=dt.date(2023, 1, 1))
prices = st.lists(st.integers(1, 400), min_size=4, max_size=4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from(DAYS), st.sampled_from(NAMES), st.floats(0.1, 80))
def test_any_day_of_any_market(seed, day, name, rate):
    market = SimulatedMarket(SMALL, seed)
    made = market.day(name, day)
    for chain in made.chains:
        column = {field: chain.values[:, row] for row, field in enumerate(CHAIN_FIELDS)}
        assert np.isfinite(chain.values).all()
        assert chain.values.min() > 0.0
        assert (column["bid"] <= column["close"]).all()
        assert (column["close"] <= column["ask"]).all()
    ticks = market.ticks(name, day, strikes=1, rate=rate)
    assert (ticks.ts_recv > ticks.ts).all()
    mine = ticks.which == ticks.instruments.index(made.future.instrument)
    starts = np.searchsorted(ticks.ts[mine], made.future.start)
    price = ticks.price[mine]
    assert np.array_equal(np.unique(ticks.ts[mine] // MINUTE_NS * MINUTE_NS), made.future.start)
    assert np.array_equal(price[starts], made.future.open)
    assert np.array_equal(np.maximum.reduceat(price, starts), made.future.high)
    assert np.array_equal(np.minimum.reduceat(price, starts), made.future.low)
    assert np.array_equal(price[np.append(starts[1:], len(price)) - 1], made.future.close)
    assert np.array_equal(np.add.reduceat(ticks.quantity[mine], starts), made.future.volume)


@given(prices, st.integers(1, 6))
def test_a_bar_has_no_more_distinct_prices_than_lots(instants, lots):
    given_prices = np.array(instants, dtype=float)[:, None]
    opening, high, low, close = traded_ohlc(given_prices, np.array([float(lots)]))
    assert close[0] == instants[3]
    assert low[0] <= min(opening[0], close[0]) <= max(opening[0], close[0]) <= high[0]
    assert len({opening[0], high[0], low[0], close[0]}) <= lots
    if lots >= 4:
        assert high[0] == max(instants)
        assert low[0] == min(instants)
