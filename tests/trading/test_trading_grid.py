import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_helpers import OPEN_TS

from sos_actors.trading.daytime import day_of, ns_of_day, parse_hhmm
from sos_actors.trading.ticks import on_tick, tick_down, tick_nearest, tick_up

MINUTE = 60_000_000_000


def test_the_indian_day_and_time():
    assert ns_of_day(OPEN_TS) == parse_hhmm("09:15") == 555 * MINUTE
    assert day_of(OPEN_TS) == dt.date(2025, 9, 1)
    midnight = OPEN_TS - 555 * MINUTE
    assert (day_of(midnight), day_of(midnight - 1)) == (dt.date(2025, 9, 1), dt.date(2025, 8, 31))


@pytest.mark.parametrize("text", ["", "9", "24:00", "09:60", "aa:bb", "09:1a", "-1:00"])
def test_other_times_are_refused(text):
    with pytest.raises(ValueError, match="write HH:MM"):
        parse_hhmm(text)


def test_rounding_to_the_tick():
    assert (tick_up(100.01, 0.05), tick_down(100.04, 0.05), tick_nearest(100.03, 0.05)) == (100.05, 100.0, 100.05)
    assert (tick_up(100.05, 0.05), tick_down(100.05, 0.05)) == (100.05, 100.05)
    assert tick_up(100.013, 0.0) == tick_down(100.013, 0.0) == tick_nearest(100.013, 0.0) == 100.013
    assert not on_tick(100.02, 0.05)
    assert on_tick(100.02, 0.0)


@given(st.floats(0.05, 100_000), st.sampled_from([0.05, 0.1, 0.25, 1.0]))
def test_rounded_prices_bracket_and_lie_on_the_grid(price, tick):
    up, down = tick_up(price, tick), tick_down(price, tick)
    assert down - 1e-6 <= price <= up + 1e-6
    assert up - down <= tick * 1.0001
    assert on_tick(up, tick)
    assert on_tick(down, tick)
    assert tick_nearest(price, tick) in {up, down} or abs(tick_nearest(price, tick) - price) <= tick / 2 + 1e-6
