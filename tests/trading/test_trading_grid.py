from hypothesis import given
from hypothesis import strategies as st

from sos_actors.trading.ticks import on_tick, tick_down, tick_nearest, tick_up


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
