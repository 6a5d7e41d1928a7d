import datetime as dt
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_helpers import INDEX, OPEN_TS, signal, snapshot

from sos_actors.messages import NAN, Direction, RefusalReason, Right, Side
from sos_actors.trading.debounce import Debounce, DebounceSettings
from sos_actors.trading.levels import LevelSettings, premium_at, premium_levels
from sos_actors.trading.selection import Choice, Refusal, SelectionSettings, plan, select

SHORT = {"direction": Direction.SHORT, "entry": 24510.0, "stop": 24540.0, "target": 24450.0}


def choose(text, settings=None, snap=None, **changes):
    return select(signal(selection=text, **changes), snap or snapshot(), settings or SelectionSettings())


@pytest.mark.parametrize(
    ("text", "changes", "strike", "right"),
    [
        ("ATM_CALL", {}, 24500, "CE"),
        ("OTM_CALL_1", {}, 24550, "CE"),
        ("ITM_CALL_2", {}, 24400, "CE"),
        ("ATM", {}, 24500, "CE"),
        ("ATM", SHORT, 24500, "PE"),
        ("OTM_PUT_1", SHORT, 24450, "PE"),
        ("ITM_PUT_2", SHORT, 24600, "PE"),
        ("DELTA_CALL_0.30", {}, 24600, "CE"),
        ("DELTA_PUT_0.61", SHORT, 24550, "PE"),
    ],
)
def test_strikes(text, changes, strike, right):
    got = choose(text, **changes)
    assert isinstance(got, Choice)
    assert got.instrument == f"NSE|OPT|NIFTY|2025-09-02|{strike}|{right}"
    assert (got.side, got.kind, got.right, got.strike) == (Side.BUY, "OPT", Right(right), strike)


def test_levels_go_through_delta_and_gamma():
    got = choose("ATM_CALL")
    # entry 100.05 (ask); stop: 30 points down: 100.05 - 15 + 0.9; target: 60 up: 100.05 + 30 + 3.6
    assert (got.entry, got.stop, got.target) == (100.05, 85.95, 133.65)
    assert (got.index_stop, got.index_target, got.delta) == (24480.0, 24570.0, 0.5)
    assert (got.bid, got.ask) == (99.95, 100.05)
    put = choose("ATM_PUT", **SHORT)
    assert (put.entry, put.stop, put.target) == (100.05, 85.95, 133.65)


def test_a_stop_within_the_spread_is_no_stop():
    # Bid 99.95, ask 100.05: the premium's stop is 0.05 below the ask for 0.1 of a point, 0.15 for 0.3.
    near = choose("ATM_CALL", stop=24509.9)
    assert isinstance(near, Refusal)
    assert near.reason is RefusalReason.BAD_LEVELS
    assert "not under the bid 99.95" in near.detail
    assert choose("ATM_CALL", stop=24509.7).stop == 99.9
    blank = np.full((2, 7), NAN)
    assert choose("ATM_CALL", stop=24509.9, snap=snapshot(bid=blank, ask=blank)).stop == 99.95


def test_without_quotes_the_price_is_the_reference():
    blank = np.full((2, 7), NAN)
    got = choose("ATM_CALL", snap=snapshot(bid=blank, ask=blank))
    assert got.entry == 100.0


@pytest.mark.parametrize("missing", ["delta", "gamma"])
def test_without_greeks_fractions_of_the_premium_are_taken(missing):
    got = choose("ATM_CALL", snap=snapshot(**{missing: np.full((2, 7), NAN)}))
    assert (got.stop, got.target) == (88.05, 120.05)
    intraday = SelectionSettings(levels=LevelSettings(mode="intraday"))
    got = choose("ATM_CALL", intraday, snapshot(**{missing: np.full((2, 7), NAN)}))
    assert (got.stop, got.target) == (80.05, 135.05)


def test_a_level_the_signal_lacks_stays_unused():
    got = choose("ATM_CALL", stop=NAN)
    assert math.isnan(got.stop)
    got = choose("ATM_CALL", snap=snapshot(delta=np.full((2, 7), NAN)), target=NAN)
    assert math.isnan(got.target)


def changed(field, value):
    array = getattr(snapshot(), field).copy()
    array[0, 3] = value
    return snapshot(**{field: array})


@pytest.mark.parametrize(
    ("snap", "text", "reason"),
    [
        (snapshot(strikes=np.array([])), "ATM_CALL", RefusalReason.NO_CHAIN),
        (snapshot(missing=("stale",)), "ATM_CALL", RefusalReason.STALE_DATA),
        (snapshot(atm_strike=NAN), "ATM_CALL", RefusalReason.NO_CONTRACT),
        (snapshot(), "OTM_CALL_4", RefusalReason.NO_CONTRACT),
        (snapshot(), "ITM_CALL_4", RefusalReason.NO_CONTRACT),
        (snapshot(delta=np.full((2, 7), NAN)), "DELTA_CALL_0.4", RefusalReason.NO_CONTRACT),
        (snapshot(price=np.full((2, 7), NAN)), "RANKED_CALL", RefusalReason.NO_CONTRACT),
        (changed("price", NAN), "ATM_CALL", RefusalReason.NO_PRICE),
        (changed("price", 0.0), "ATM_CALL", RefusalReason.NO_PRICE),
        (changed("oi", 0.0), "ATM_CALL", RefusalReason.NO_CONTRACT),
        (changed("bid", 95.0), "ATM_CALL", RefusalReason.SPREAD_TOO_WIDE),
        (snapshot(), "ATM_PUT", RefusalReason.BAD_LEVELS),
    ],
)
def test_every_refusal(snap, text, reason):
    got = choose(text, snap=snap)
    assert isinstance(got, Refusal)
    assert got.reason is reason
    assert got.detail


def test_no_chain_at_all_and_unknown_open_interest():
    assert select(signal(), None, SelectionSettings()).reason is RefusalReason.NO_CHAIN
    assert isinstance(choose("ATM_CALL", snap=changed("oi", NAN)), Choice)


def test_a_stop_on_the_wrong_side_is_refused():
    assert choose("ATM_CALL", stop=24520.0).reason is RefusalReason.BAD_LEVELS
    assert choose("ATM_CALL", target=24500.0).reason is RefusalReason.BAD_LEVELS
    assert choose("UNDERLYING", stop=24520.0).reason is RefusalReason.BAD_LEVELS


def test_the_underlying_and_its_future():
    got = select(signal(selection="UNDERLYING"), None, SelectionSettings())
    assert (got.instrument, got.kind, got.side, got.entry, got.stop, got.target) == (
        INDEX,
        "INDEX",
        Side.BUY,
        24510.0,
        24480.0,
        24570.0,
    )
    got = select(signal(selection="UNDERLYING", **(SHORT | {"stop": NAN, "target": NAN})), None, SelectionSettings())
    assert got.side is Side.SELL
    assert math.isnan(got.stop)
    future = ("NSE|FUT|NIFTY|2025-09-30", 24600.0)
    got = select(signal(selection="FUTURE"), None, SelectionSettings(), future=future)
    assert (got.instrument, got.kind, got.entry, got.stop, got.target) == (future[0], "FUT", 24600.0, 24570.0, 24660.0)
    assert select(signal(selection="FUTURE"), None, SelectionSettings()).reason is RefusalReason.NO_PRICE


def test_the_plan_holds_it_all():
    made = plan(signal(flip=True), choose("ATM_CALL"), quantity=150, lot_size=75)
    assert (made.plan_id, made.signal_id, made.quantity, made.lot_size, made.flip) == ("s-p", "s", 150, 75, True)
    assert (made.entry, made.stop, made.target, made.index_stop, made.index_target) == (
        100.05,
        85.95,
        133.65,
        24480.0,
        24570.0,
    )
    assert (made.right, made.delta, made.bid, made.ask, made.regime) == (Right.CE, 0.5, 99.95, 100.05, "BULLISH")


@given(st.floats(1, 500), st.floats(0.05, 0.95), st.floats(0.0001, 0.01), st.floats(0, 2000), st.floats(0, 500))
def test_an_adverse_move_never_raises_the_premium(premium, delta, gamma, move, more):
    assert premium_at(premium, delta, gamma, -move - more) <= premium_at(premium, delta, gamma, -move) + 1e-9
    assert premium_at(premium, -delta, gamma, move + more) <= premium_at(premium, -delta, gamma, move) + 1e-9
    assert premium_at(premium, delta, gamma, move) >= premium


def test_a_cheap_option_keeps_its_stop_at_one_tick():
    levels = premium_levels(signal(), 2.0, delta=0.3, gamma=0.0001, settings=LevelSettings(), tick=0.05)
    assert levels.stop == 0.05
    assert levels.fault(Side.BUY) == ""


def test_debounce_lets_the_first_through_by_strategy_and_side():
    gate = Debounce(DebounceSettings(seconds=(30.0, 60.0)))
    second = 1_000_000_000
    assert gate.check(signal()) is None
    assert gate.check(signal(ts=OPEN_TS + 29 * second)).reason is RefusalReason.DEBOUNCE
    assert gate.check(signal(ts=OPEN_TS + 29 * second, **SHORT)) is None
    assert gate.check(signal(ts=OPEN_TS + 29 * second, strategy="other")) is None
    assert gate.check(signal(ts=OPEN_TS + 30 * second)) is None
    slow = Debounce(DebounceSettings(mode="intraday"))
    slow.check(signal())
    assert slow.check(signal(ts=OPEN_TS + 59 * second)) is not None


def test_the_expiry_names_the_contract():
    assert choose("ATM_CALL", snap=snapshot(expiry=dt.date(2025, 9, 9))).instrument.endswith("2025-09-09|24500|CE")
