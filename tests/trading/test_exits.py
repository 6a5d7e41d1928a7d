import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_helpers import INDEX, MINUTE, OPEN_TS, bar, trade_plan

from sos_actors.messages import NAN, Direction, ExitReason, Side
from sos_actors.trading.exit_actions import ExitNow, MoveStop
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.exits import ExitPlan

OFF = {"break_even_at": None, "trailing": None, "time_stop_min": None, "square_off": None}


def exit_plan(entry=100.0, opened=OPEN_TS, tick=0.05, plan=None, **settings):
    return ExitPlan.of(plan or trade_plan(), opened, entry, ExitSettings(**(OFF | settings)), tick)


def short_plan(**changes):
    return trade_plan(**({"side": Side.SELL, "direction": Direction.SHORT, "stop": 110.0, "target": 80.0} | changes))


def test_break_even_at_half_way_and_not_before():
    exits = exit_plan(break_even_at=0.5)
    assert exits.on_bar(bar(0, 100, 109.95, 99, 105)) == ()
    assert exits.on_bar(bar(1, 105, 110, 101, 105)) == (MoveStop(100.0, ExitReason.BREAK_EVEN),)
    assert exits.stop_reason is ExitReason.BREAK_EVEN
    assert exits.on_bar(bar(2, 105, 115, 101, 105)) == ()


def test_break_even_of_a_short():
    exits = exit_plan(plan=short_plan(), break_even_at=0.5)
    assert exits.on_bar(bar(0, 100, 101, 90.05, 95)) == ()
    assert exits.on_bar(bar(1, 95, 96, 90, 95)) == (MoveStop(100.0, ExitReason.BREAK_EVEN),)


def test_a_stop_the_close_has_passed_already_means_leaving_now():
    exits = exit_plan(break_even_at=0.5)
    assert exits.on_bar(bar(0, 100, 110, 95, 100)) == (ExitNow(ExitReason.BREAK_EVEN),)


def test_trailing_follows_the_best_price_and_only_tightens():
    exits = exit_plan(trailing=1.0)
    assert exits.on_bar(bar(0, 100, 105, 99, 104)) == (MoveStop(95.0, ExitReason.TRAILING),)
    assert exits.on_bar(bar(1, 104, 105, 98, 100)) == ()
    assert exits.on_bar(bar(2, 100, 107.02, 98, 106)) == (MoveStop(97.0, ExitReason.TRAILING),)
    assert exits.stop == 97.0


def test_no_rule_no_action_but_excursions_are_kept():
    exits = exit_plan()
    assert exits.on_bar(bar(0, 100, 130, 80, 100)) == ()
    assert exits.on_bar(bar(1, 100, 110, 90, 100)) == ()
    assert (exits.mae, exits.mfe, exits.initial_risk) == (20.0, 30.0, 10.0)
    exits.note_exit(60.0)
    assert exits.mae == 40.0
    exits.note_exit(150.0)
    assert exits.mfe == 50.0


def test_excursions_of_a_short_and_no_stop_no_risk():
    exits = exit_plan(plan=short_plan(stop=NAN), trailing=1.0, break_even_at=0.5)
    assert math.isnan(exits.initial_risk)
    assert exits.on_bar(bar(0, 100, 103, 98, 100)) == ()
    assert (exits.mae, exits.mfe) == (3.0, 2.0)


def test_of_a_bar_that_began_before_the_entry_only_the_close_counts():
    exits = exit_plan(opened=OPEN_TS + 1, break_even_at=0.5)
    assert exits.on_bar(bar(0, 100, 130, 80, 101)) == ()
    assert (exits.mae, exits.mfe) == (0.0, 1.0)


def test_watched_levels_take_the_stop_first():
    exits = exit_plan()
    exits.watch_stop = exits.watch_target = True
    assert exits.on_bar(bar(0, 100, 119.95, 90.05, 100)) == ()
    assert exits.on_bar(bar(1, 100, 120, 90, 100)) == (ExitNow(ExitReason.STOP),)
    assert exits.on_bar(bar(1, 100, 120, 95, 100)) == (ExitNow(ExitReason.TARGET),)


def test_index_levels_of_a_call_and_a_put():
    call = exit_plan(plan=trade_plan(index_stop=24480.0, index_target=24570.0))
    assert call.on_index_bar(bar(0, 24500, 24569, 24481, 24500, instrument=INDEX)) == ()
    assert call.on_index_bar(bar(0, 24500, 24570, 24481, 24500)) == (ExitNow(ExitReason.INDEX_TARGET),)
    assert call.on_index_bar(bar(0, 24500, 24570, 24480, 24500)) == (ExitNow(ExitReason.INDEX_STOP),)
    put = exit_plan(plan=trade_plan(direction=Direction.SHORT, index_stop=24540.0, index_target=24450.0))
    assert put.on_index_price(24539.0, 24451.0) == ()
    assert put.on_index_price(24540.0, 24450.0) == (ExitNow(ExitReason.INDEX_STOP),)
    assert put.on_index_price(24500.0, 24450.0) == (ExitNow(ExitReason.INDEX_TARGET),)


def test_an_index_bar_that_began_before_the_entry_counts_by_its_close():
    call = exit_plan(opened=OPEN_TS + 1, plan=trade_plan(index_stop=24480.0, index_target=24570.0))
    assert call.on_index_bar(bar(0, 24500, 24600, 24400, 24500)) == ()
    assert call.on_index_bar(bar(0, 24500, 24600, 24400, 24480)) == (ExitNow(ExitReason.INDEX_STOP),)


def test_time_stop_after_thirty_minutes():
    exits = exit_plan(time_stop_min=30.0)
    assert exits.on_time(OPEN_TS + 30 * MINUTE - 1) == ()
    assert exits.on_time(OPEN_TS + 30 * MINUTE) == (ExitNow(ExitReason.TIME_STOP),)


def test_square_off_at_a_quarter_past_three():
    exits = exit_plan(square_off="15:15")
    assert exits.on_time(OPEN_TS + 359 * MINUTE) == ()
    assert exits.on_time(OPEN_TS + 360 * MINUTE) == (ExitNow(ExitReason.SQUARE_OFF),)


def test_the_defaults_are_the_house_rules():
    settings = ExitSettings()
    assert (settings.break_even_at, settings.trailing) == (0.5, None)
    assert (settings.time_stop_min, settings.square_off) == (30.0, "15:15")


@pytest.mark.parametrize(
    "wrong",
    [
        {"break_even_at": 0.0},
        {"trailing": -1.0},
        {"time_stop_min": 0},
        {"square_off": "25:00"},
        {"square_off": "1515"},
        {"square_off": "15:60"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="write"):
        ExitSettings(**wrong)


moves = st.lists(st.tuples(st.integers(-60, 60), st.integers(0, 40), st.integers(0, 40)), max_size=40)


@given(moves, st.booleans(), st.floats(0.1, 3.0))
def test_stops_only_tighten_and_never_lie_beyond_the_close(path, short, trailing):
    plan = short_plan() if short else trade_plan()
    exits = exit_plan(plan=plan, break_even_at=0.5, trailing=trailing)
    sign, stop, price = exits.sign, exits.stop, 100.0
    for number, (step, up, down) in enumerate(path):
        price = max(price + step * 0.05, 10.0)
        for action in exits.on_bar(bar(number, price, price + up * 0.05, price - down * 0.05, price)):
            if isinstance(action, MoveStop):
                assert (action.price - stop) * sign > 0
                assert (price - action.price) * sign > 0
        assert (exits.stop - stop) * sign >= 0
        stop = exits.stop
