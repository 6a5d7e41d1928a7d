"""Which contracts are followed, and when they are chosen anew."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import DataError
from sos_actors.market.following import ContractWindow, FollowSettings
from sos_actors.market.ids import future_id, option_id, parse_id
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import Right

S = 1_000_000_000
DAY = dt.date(2025, 9, 1)
FRONT, NEXT, LATER = dt.date(2025, 9, 2), dt.date(2025, 9, 9), dt.date(2025, 9, 30)
STRIKES = [24_000.0 + 50.0 * k for k in range(21)]


def table():
    rows = [
        Instrument(id=option_id("NIFTY", e, k, r), upstox_key=f"{e}{k}{r}", exchange="NSE", kind="OPT",
                   underlying="NIFTY", trading_symbol="", expiry=e, strike=k, right=r)
        for e in (FRONT, NEXT, LATER) for k in STRIKES for r in Right
    ] + [
        Instrument(id=future_id("NIFTY", e), upstox_key=f"F{e}", exchange="NSE", kind="FUT", underlying="NIFTY",
                   trading_symbol="", expiry=e)
        for e in (LATER, dt.date(2025, 10, 28))
    ]  # fmt: skip
    return InstrumentTable(rows)


def window(day=DAY, **settings):
    made = ContractWindow("NIFTY", FollowSettings(**{"strikes": 2, "recentre_s": 60.0, **settings}))
    made.start_day(table(), day)
    return made


def strikes_of(names):
    return sorted({parse_id(name).strike for name in names})


def test_the_first_price_chooses_around_the_money():
    choice = window().on_price(24_512.0, 0)
    assert choice.expiry == FRONT
    assert strikes_of(choice.chain) == [24_400, 24_450, 24_500, 24_550, 24_600]
    assert len(choice.chain) == 10
    assert choice.others == ("NSE|INDEX|NIFTY", "NSE|FUT|NIFTY|2025-09-30")
    assert choice.future == "NSE|FUT|NIFTY|2025-09-30"


def test_later_expiries_come_along_with_fewer_strikes():
    choice = window(expiries=2, later_strikes=1).on_price(24_500.0, 0)
    later = [name for name in choice.others if "|OPT|" in name]
    assert {parse_id(name).expiry for name in later} == {NEXT}
    assert strikes_of(later) == [24_450, 24_500, 24_550]


def test_it_moves_only_when_the_price_has_moved_far_and_long_enough_ago():
    made = window()
    assert made.on_price(24_500.0, 0) is not None
    assert made.on_price(24_570.0, 100 * S) is None  # one strike and a bit
    assert made.on_price(24_600.0, 59 * S) is None  # too soon
    moved = made.on_price(24_600.0, 60 * S)
    assert strikes_of(moved.chain) == [24_500, 24_550, 24_600, 24_650, 24_700]
    assert made.on_price(24_510.0, 119 * S) is None
    assert made.on_price(24_510.0, 120 * S) is not None


def test_an_expiry_lasts_to_the_end_of_its_day():
    assert window(FRONT).on_price(24_500.0, 0).expiry == FRONT
    assert window(FRONT + dt.timedelta(days=1)).on_price(24_500.0, 0).expiry == NEXT


def test_the_nearest_future_is_followed_and_an_old_table_is_an_error():
    made = window()
    made.start_day(table(), DAY)
    assert made.unpriced().future == "NSE|FUT|NIFTY|2025-09-30"
    assert made.unpriced().chain == ()
    with pytest.raises(DataError, match="NIFTY"):
        made.start_day(table(), dt.date(2025, 10, 1))


def test_no_price_no_choice():
    made = window()
    assert made.on_price(float("nan"), 0) is None
    assert made.on_price(0.0, 0) is None
    assert ContractWindow("NIFTY", FollowSettings()).on_price(24_500.0, 0) is None


@given(st.lists(st.tuples(st.floats(20_000, 30_000), st.integers(0, 200)), min_size=1, max_size=30))
def test_the_money_is_never_far_outside_the_window_for_long(moves):
    made, now, held = window(), 0, None
    centre = chosen_at = None
    for price, wait in moves:
        now += wait * S
        nearest = min(STRIKES, key=lambda k: (abs(k - price), k))
        choice = made.on_price(price, now)
        if choice is not None:
            assert held is None or now - chosen_at >= 60 * S
            held, centre, chosen_at = choice, nearest, now
            assert nearest in strikes_of(choice.chain)
            assert all(len([n for n in choice.chain if parse_id(n).strike == k]) == 2 for k in strikes_of(choice.chain))
        else:
            assert abs(nearest - centre) < 100 or now - chosen_at < 60 * S


@pytest.mark.parametrize("wrong", [{"strikes": 0}, {"expiries": 0}, {"recentre_steps": 0}, {"recentre_s": -1.0}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="follow"):
        FollowSettings(**wrong)
