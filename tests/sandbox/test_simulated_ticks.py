"""Ticks of the simulated market: gathered by minute they are the day's bars again, to the last bit."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS, ist_ns
from sos_actors.market.ids import future_id, index_id, option_id, parse_id
from sos_actors.messages import Right
from sos_actors.messages.market import CHAIN_FIELDS
from sos_actors.sandbox.market import SimulatedMarket

DAY = dt.date(2025, 9, 9)
OPENING = ist_ns(DAY, "09:15")


def gather(ticks, which):
    """Open, high, low, close, volume and oi by minute of one instrument, from its ticks in order of arrival."""
    mine = ticks.which == which
    ts, price = ticks.ts[mine], ticks.price[mine]
    minute = (ts - OPENING) // MINUTE_NS
    first = np.flatnonzero(np.diff(minute, prepend=-1))
    last = np.append(first[1:], len(ts)) - 1
    return {
        "minute": minute[first],
        "open": price[first],
        "high": np.maximum.reduceat(price, first),
        "low": np.minimum.reduceat(price, first),
        "close": price[last],
        "volume": np.add.reduceat(ticks.quantity[mine], first),
        "oi": ticks.oi[mine][last],
    }


def bars_of(day, name):
    parts = parse_id(name)
    if parts.kind != "OPT":
        bars = day.index if parts.kind == "INDEX" else day.future
        return {key: getattr(bars, key) for key in ("open", "high", "low", "close", "volume", "oi")}
    chain = next(c for c in day.chains if c.expiry == parts.expiry)
    at = int(np.flatnonzero(chain.strikes == parts.strike)[0])
    right = 0 if parts.right is Right.CE else 1
    return {key: chain.values[:, row, right, at] for row, key in enumerate(CHAIN_FIELDS)}


@pytest.fixture(scope="module", params=[("NIFTY", 20.0), ("NIFTY", 0.5), ("BANKNIFTY", 6.0), ("SENSEX", 60.0)])
def made(request):
    name, rate = request.param
    market = SimulatedMarket(seed=7)
    return market.day(name, DAY), market.ticks(name, DAY, strikes=40, rate=rate), rate


def test_ticks_give_the_bars_back_exactly(made):
    day, ticks, _ = made
    assert len(ticks.instruments) == 2 + 2 * 81
    for which, name in enumerate(ticks.instruments):
        got, bars = gather(ticks, which), bars_of(day, name)
        assert np.array_equal(got["minute"], np.arange(len(bars["open"])))
        for key in ("open", "high", "low", "close"):
            assert np.array_equal(got[key], bars[key]), (name, key)
        if parse_id(name).kind == "INDEX":
            assert not got["volume"].any()
        else:
            assert np.array_equal(got["volume"], bars["volume"]), name
            assert np.array_equal(got["oi"], bars["oi"]), name


def test_running_volume_quotes_and_times(made):
    day, ticks, rate = made
    assert (ticks.ts_recv > ticks.ts).all()
    assert (np.diff(ticks.ts_recv) >= 0).all()
    assert ((ticks.ts - OPENING) // MINUTE_NS < len(day.index.start)).all()
    for which, name in enumerate(ticks.instruments):
        mine = ticks.which == which
        assert (np.diff(ticks.ts[mine]) >= 0).all()
        if parse_id(name).kind == "INDEX":
            assert (ticks.day_volume[mine] == -1).all()
            assert np.isnan(ticks.bid[mine]).all()
            assert mine.sum() / len(day.index.start) == pytest.approx(max(rate, 3.5), rel=0.35)
            continue
        assert np.array_equal(ticks.day_volume[mine], np.cumsum(ticks.quantity[mine]))
        assert ticks.quantity[mine].min() > 0
        assert (ticks.ask[mine] > ticks.bid[mine]).all()
        assert (ticks.bid[mine] >= 0.05).all()


def test_arrival_is_irregular():
    ticks = SimulatedMarket(seed=7).ticks("NIFTY", DAY, [index_id("NIFTY")], rate=20.0)
    gaps = np.diff(ticks.ts)
    assert 0.5 < gaps.std() / gaps.mean() < 1.6


def test_an_instruments_ticks_do_not_depend_on_the_others():
    market = SimulatedMarket(seed=7)
    option = option_id("NIFTY", DAY, float(market.day("NIFTY", DAY).chains[0].strikes[42]), Right.PE)
    future = future_id("NIFTY", dt.date(2025, 9, 30))
    alone = market.ticks("NIFTY", DAY, [option])
    among = market.ticks("NIFTY", DAY, [future, option, index_id("NIFTY")])
    mine = among.which == 1
    for column in ("ts", "ts_recv", "price", "quantity", "day_volume", "oi", "bid", "ask"):
        assert np.array_equal(getattr(alone, column), getattr(among, column)[mine])


def test_another_seed_gives_other_ticks():
    one, other = (SimulatedMarket(seed=s).ticks("NIFTY", DAY, [index_id("NIFTY")]) for s in (7, 8))
    assert not np.array_equal(np.diff(one.price[:50]), np.diff(other.price[:50]))


def test_options_of_the_far_expiry_and_vix_have_ticks_too():
    market = SimulatedMarket(seed=7)
    far = market.day("NIFTY", DAY).chains[1]
    ticks = market.ticks("NIFTY", DAY, [option_id("NIFTY", far.expiry, float(far.strikes[0]), Right.CE)])
    assert np.array_equal(gather(ticks, 0)["close"], far.values[:, CHAIN_FIELDS.index("close"), 0, 0])
    vix = market.ticks("INDIAVIX", DAY)
    assert vix.instruments == ("NSE|INDEX|INDIAVIX",)
    assert np.array_equal(gather(vix, 0)["close"], market.day("INDIAVIX", DAY).index.close)


def test_what_is_not_listed_is_refused():
    market = SimulatedMarket(seed=7)
    for name in ("NSE|OPT|NIFTY|2025-09-09|24501|CE", "NSE|INDEX|BANKNIFTY", "NSE|OPT|NIFTY|2025-09-10|24500|CE"):
        with pytest.raises(InputError, match="is not listed for NIFTY"):
            market.ticks("NIFTY", DAY, [name])
    with pytest.raises(InputError, match="at least one"):
        market.ticks("NIFTY", DAY, [])
    with pytest.raises(InputError, match="ticks a minute"):
        market.ticks("NIFTY", DAY, rate=0.0)
