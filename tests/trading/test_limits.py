import pytest
from hypothesis import given
from hypothesis import strategies as st
from trading_helpers import CALL, INDEX, MINUTE, OPEN_TS, PUT, intent, trade_plan

from sos_actors.messages import (
    NAN,
    AccountMarked,
    Direction,
    ExitReason,
    FeedStatus,
    Phase,
    PositionChanged,
    RefusalReason,
    Refused,
    Regime,
    Right,
    SetTradingState,
    Side,
    TradeClosed,
    TradingState,
)
from sos_actors.trading.limits import RiskBook, RiskSettings, orders_of
from sos_actors.trading.rate import TokenBucket

R = RefusalReason
SECOND = 1_000_000_000
OFF = {
    "daily_loss": 0.0,
    "open_positions": 0,
    "strategy_positions": 0,
    "underlying_positions": 0,
    "cooldown_s": 0.0,
    "trades_per_day": 0,
    "strategy_trades_per_day": 0,
    "orders_per_s": 0.0,
    "price_band": 0.0,
    "stale_after_s": 0.0,
    "first_entry": None,
    "last_entry": None,
}


def book(**settings):
    made = RiskBook(RiskSettings(**(OFF | settings)))
    made.new_day(1_000_000_00)
    return made


def why(risk, now=OPEN_TS, **changes):
    breach = risk.check(trade_plan(**({"signal_id": "new", "ts": now} | changes)), now)
    if breach is not None:
        assert breach.detail
    return None if breach is None else breach.reason


def closed(intent_id="i", strategy="gate", ts=OPEN_TS, direction=Direction.LONG, instrument=CALL):
    return TradeClosed(
        intent_id,
        intent_id,
        strategy,
        "NIFTY",
        instrument,
        direction,
        Side.BUY,
        75,
        OPEN_TS,
        ts,
        100.0,
        101.0,
        7500,
        0,
        7500,
        ExitReason.TARGET,
        Regime.BULLISH,
        10.0,
        0.0,
        0.0,
    )


def position(quantity, strategy="gate", instrument=CALL):
    return PositionChanged(OPEN_TS, strategy, "NIFTY", instrument, quantity, 100.0, 0, 0)


def test_with_everything_off_everything_passes_and_the_defaults_let_an_ordinary_plan_through():
    assert why(book()) is None
    risk = RiskBook(RiskSettings())
    risk.new_day(1_000_000_00)
    assert why(risk, bid=99.95, ask=100.05) is None


def test_warming_up_and_session_phases():
    risk = book()
    risk.entries_on = False
    assert why(risk) is R.ENTRIES_OFF
    risk.entries_on = True
    risk.phase = Phase.PRE_OPEN
    assert why(risk) is R.NOT_TRADING_HOURS


def test_the_times_of_the_day():
    risk = book(first_entry="09:20", last_entry="15:00")
    assert why(risk, OPEN_TS + 5 * MINUTE - 1) is R.NOT_TRADING_HOURS
    assert why(risk, OPEN_TS + 5 * MINUTE) is None
    assert why(risk, OPEN_TS + 345 * MINUTE - 1) is None
    assert why(risk, OPEN_TS + 345 * MINUTE) is R.TOO_LATE_IN_DAY


@pytest.mark.parametrize(
    "scope", [{}, {"strategy": "gate"}, {"underlying": "NIFTY"}, {"strategy": "gate", "underlying": "NIFTY"}]
)
def test_trading_states_by_scope(scope):
    risk = book()
    risk.on_state(SetTradingState(TradingState.REDUCING, "why", **scope))
    assert why(risk) is R.REDUCING
    risk.on_state(SetTradingState(TradingState.HALTED, "why", **scope))
    assert why(risk) is R.HALTED
    other = why(risk, strategy="other", underlying="SENSEX")
    assert other is (None if scope else R.HALTED)
    risk.on_state(SetTradingState(TradingState.ACTIVE, "why", **scope))
    assert why(risk) is None


def test_the_strictest_state_rules():
    risk = book()
    risk.on_state(SetTradingState(TradingState.HALTED, "", strategy="gate"))
    risk.on_state(SetTradingState(TradingState.REDUCING, ""))
    assert why(risk) is R.HALTED
    assert why(risk, strategy="other") is R.REDUCING
    assert risk.trading_state() is TradingState.REDUCING


def test_what_is_on_its_way_has_its_cash_put_aside():
    risk = book()
    option = {"right": Right.CE, "quantity": 750}  # 75,000 rupees
    risk.on_intent(intent(**option))  # nothing is known of the cash yet
    risk.on_mark(AccountMarked(OPEN_TS, 100_000_00, 100_000_00, 0))
    assert why(risk, **option) is R.MARGIN
    assert why(risk, right=Right.CE, quantity=250) is None
    assert why(risk, **option, flip=True) is None  # what it closes pays for it
    assert why(risk, quantity=75_000) is None  # not a bought option: its margin is the sizing's business
    risk.on_position(PositionChanged(OPEN_TS, "gate", "NIFTY", CALL, 600, 100.0, 0, 80_000_00))  # the rest still waits
    assert why(risk, **option) is R.MARGIN
    assert why(risk, right=Right.CE, quantity=650) is None
    risk.on_position(PositionChanged(OPEN_TS, "gate", "NIFTY", CALL, 750, 100.0, 0, 75_000_00))  # filled, and paid
    assert why(risk, **option) is None


@pytest.mark.parametrize("ended", ["refused", "closed"])
def test_what_never_came_to_a_fill_has_its_cash_back(ended):
    risk = book()
    risk.on_mark(AccountMarked(OPEN_TS, 100_000_00, 100_000_00, 0))
    risk.on_intent(intent(right=Right.CE, quantity=750))
    assert why(risk, right=Right.CE, quantity=750) is R.MARGIN
    if ended == "refused":
        risk.on_refused(Refused(OPEN_TS, "gate", "NIFTY", R.EXCHANGE_REJECTED, "", "s"))
    else:
        risk.on_intent_end("i")
    assert why(risk, right=Right.CE, quantity=750) is None


def test_daily_loss_is_said_once_and_ends_entries_until_the_next_day():
    risk = book(daily_loss=0.03)
    assert not risk.on_mark(AccountMarked(OPEN_TS, 0, 97_000_001, 0))
    assert why(risk) is None
    assert risk.on_mark(AccountMarked(OPEN_TS, 0, 97_000_000, 0))
    assert not risk.on_mark(AccountMarked(OPEN_TS, 0, 96_000_000, 0))
    risk.on_mark(AccountMarked(OPEN_TS, 0, 1_000_000_00, 0))
    assert why(risk) is R.DAILY_LOSS
    risk.new_day(97_000_000)
    assert why(risk) is None
    assert not risk.on_mark(AccountMarked(OPEN_TS, 0, 96_000_000, 0))


def test_the_first_mark_stands_in_for_a_day_that_was_not_announced():
    risk = RiskBook(RiskSettings(**(OFF | {"daily_loss": 0.03})))
    assert not risk.on_mark(AccountMarked(OPEN_TS, 0, 1_000_000, 0))
    assert risk.on_mark(AccountMarked(OPEN_TS, 0, 970_000, 0))


@pytest.mark.parametrize(
    ("setting", "reason", "spared"),
    [
        ("open_positions", R.OPEN_POSITIONS, None),
        ("strategy_positions", R.STRATEGY_POSITIONS, {"strategy": "other"}),
        ("underlying_positions", R.UNDERLYING_POSITIONS, {"underlying": "SENSEX"}),
    ],
)
def test_what_is_in_flight_counts_until_its_trade_is_closed(setting, reason, spared):
    risk = book(**{setting: 2})
    risk.on_intent(intent("a", signal_id="a"))
    assert why(risk) is None
    risk.on_intent(intent("b", signal_id="b"))
    risk.on_intent(intent("b", signal_id="b"))
    assert why(risk) is reason
    if spared is not None:
        assert why(risk, **spared) is None
    risk.on_position(position(150))
    assert why(risk) is reason
    risk.on_trade(closed("a"))
    assert why(risk) is None
    risk.on_trade(closed("b"))
    risk.on_intent(intent("c", signal_id="c"))
    assert why(risk) is None


def test_a_refused_intent_gives_its_place_back():
    risk = book(open_positions=1)
    risk.on_intent(intent("a", signal_id="a"))
    risk.on_refused(Refused(OPEN_TS, "gate", "NIFTY", R.EXCHANGE_REJECTED, "why", "zzz"))
    assert why(risk) is R.OPEN_POSITIONS
    risk.on_refused(Refused(OPEN_TS, "gate", "NIFTY", R.EXCHANGE_REJECTED, "why", "a"))
    assert why(risk) is None
    risk.on_intent(intent("b", signal_id="b"))
    risk.on_intent_end("b")
    risk.on_intent_end("b")
    assert why(risk) is None


def test_after_a_restart_only_what_the_desk_has_is_counted():
    risk = book()
    for name in ("a", "b"):
        risk.on_intent(intent(name, signal_id=name))
    risk.on_position(position(150, "by hand", PUT))
    risk.on_position(position(75, "found", CALL))
    again = book()
    again.take_up(risk.state())
    again.release({"b": None}, {("found", CALL): 75, ("gate", CALL): 65})
    assert again.counted() == ["gate NIFTY: b", f"found NIFTY: position found {CALL}"]
    again.release({}, {})
    assert again.counted() == []


def test_legs_of_one_signal_are_one_trade():
    risk = book(open_positions=1, trades_per_day=1, cooldown_s=300.0)
    risk.on_intent(intent("a", signal_id="s", instrument=CALL))
    assert why(risk, signal_id="s", instrument=PUT) is None
    risk.on_intent(intent("b", signal_id="s", instrument=PUT))
    risk.on_trade(closed("a", instrument=CALL))
    assert why(risk) is R.OPEN_POSITIONS


def test_a_flip_takes_the_place_of_what_it_closes():
    risk = book(strategy_positions=1, open_positions=1, underlying_positions=1)
    risk.on_intent(intent("a", signal_id="a"))
    turned = {"direction": Direction.SHORT, "side": Side.SELL}
    assert why(risk, **turned) is R.OPEN_POSITIONS
    assert why(risk, flip=True, **turned) is None
    assert why(risk, flip=True) is R.OPEN_POSITIONS
    assert why(risk, flip=True, strategy="other", **turned) is R.OPEN_POSITIONS
    assert why(risk, flip=True, underlying="SENSEX", **turned) is R.OPEN_POSITIONS


def test_positions_nobody_explains_count_too():
    risk = book(open_positions=1)
    risk.on_position(position(75, "external"))
    risk.on_position(position(50, "external"))
    assert why(risk) is R.OPEN_POSITIONS
    risk.on_position(position(0, "external"))
    risk.on_position(position(0, "external"))
    assert why(risk) is None


def test_cooldown_of_a_side_from_entry_and_from_close():
    risk = book(cooldown_s=300.0)
    risk.on_intent(intent("a", signal_id="a"))
    assert why(risk, OPEN_TS + 300 * SECOND - 1) is R.COOLDOWN
    assert why(risk, OPEN_TS + 300 * SECOND) is None
    assert why(risk, direction=Direction.SHORT) is None
    assert why(risk, strategy="other") is None
    assert why(risk, underlying="SENSEX") is None
    risk.on_trade(closed("a", ts=OPEN_TS + 600 * SECOND))
    assert why(risk, OPEN_TS + 899 * SECOND) is R.COOLDOWN
    risk.new_day(1)
    assert why(risk, OPEN_TS + 899 * SECOND) is None


def test_trades_a_day():
    risk = book(trades_per_day=2)
    risk.on_intent(intent("a", signal_id="a"))
    assert why(risk) is None
    risk.on_intent(intent("b", signal_id="b"))
    assert why(risk, strategy="other") is R.TRADES_PER_DAY
    risk.new_day(1)
    assert why(risk) is None


def test_trades_a_day_of_a_strategy():
    risk = book(strategy_trades_per_day=2)
    risk.on_intent(intent("a", signal_id="a"))
    assert why(risk) is None
    risk.on_intent(intent("b", signal_id="b"))
    assert why(risk) is R.STRATEGY_TRADES_PER_DAY
    assert why(risk, strategy="other") is None


def test_order_rate_leaves_a_reserve_for_exits():
    risk = book(orders_per_s=1.0, order_burst=10, exit_reserve=0.2)
    risk.on_intent(intent("a", signal_id="a"))
    assert why(risk) is None
    risk.on_intent(intent("b", signal_id="b"))
    breach = risk.check(trade_plan(signal_id="new"), OPEN_TS)
    assert (breach.reason, breach.detail) == (
        R.ORDER_RATE, "3 orders more, room for 2 now: 1 a second, the rest is kept for exits",
    )  # fmt: skip
    assert why(risk, stop=NAN) is None
    assert why(risk, OPEN_TS + SECOND) is None


def test_orders_of_a_plan():
    missing = ({}, {"stop": NAN}, {"stop": NAN, "target": NAN})
    assert [orders_of(trade_plan(**changes), rest_target=True) for changes in missing] == [3, 2, 1]
    assert [orders_of(trade_plan(**changes), rest_target=False) for changes in missing] == [2, 1, 1]


@pytest.mark.parametrize(("rest_target", "entered"), [(True, 2), (False, 3)])
def test_as_many_enter_at_once_as_orders_will_go_out(rest_target, entered):
    """A target that is watched here is no order: then one entry on each of three underlyings fits a minute's end."""
    risk = RiskBook(RiskSettings(strategy_positions=0, underlying_positions=0, cooldown_s=0.0), rest_target=rest_target)
    risk.new_day(1_000_000_00)
    for number in range(entered):
        assert why(risk) is None
        risk.on_intent(intent(f"i{number}", signal_id=f"s{number}"))
    assert why(risk) is R.ORDER_RATE


def test_price_band_against_the_plans_quote_or_the_last_good_one():
    risk = book(price_band=0.1)
    assert why(risk) is None
    assert why(risk, bid=110.0, ask=112.0) is None
    assert why(risk, bid=111.0, ask=112.0) is R.PRICE_BAND
    assert why(risk, bid=90.0, ask=91.0) is R.PRICE_BAND
    risk.on_quote(CALL, 100.0, OPEN_TS)
    risk.on_quote(CALL, NAN, OPEN_TS)
    risk.on_quote(CALL, 0.0, OPEN_TS)
    assert why(risk, bid=90.0, ask=91.0) is None
    assert why(risk, entry=110.05) is R.PRICE_BAND


def test_stale_plans_quotes_and_feeds():
    risk = book(stale_after_s=90.0)
    assert why(risk, OPEN_TS + 90 * SECOND, ts=OPEN_TS) is None
    assert why(risk, OPEN_TS + 91 * SECOND, ts=OPEN_TS) is R.STALE_DATA
    risk.on_quote(CALL, 100.0, OPEN_TS)
    assert why(risk, OPEN_TS + 91 * SECOND) is R.STALE_DATA
    assert why(risk, OPEN_TS + 91 * SECOND, bid=99.0, ask=101.0) is None
    assert why(risk, OPEN_TS + 91 * SECOND, instrument=INDEX) is None
    risk.on_feed(FeedStatus("NIFTY", OPEN_TS, live=False))
    assert why(risk) is R.STALE_DATA
    assert why(risk, underlying="SENSEX") is None
    risk.on_feed(FeedStatus("NIFTY", OPEN_TS, live=True))
    assert why(risk) is None


def test_asking_changes_nothing():
    risk = book(trades_per_day=1, orders_per_s=1.0, order_burst=10)
    assert [why(risk) for _ in range(20)] == [None] * 20


@pytest.mark.parametrize("wrong", [{"daily_loss": -0.1}, {"open_positions": -1}, {"last_entry": "3 pm"}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="write"):
        RiskSettings(**wrong)


@given(st.lists(st.tuples(st.integers(0, 3 * SECOND), st.integers(1, 4)), max_size=50))
def test_a_bucket_never_gives_more_than_burst_and_rate(calls):
    bucket = TokenBucket(2.0, 6)
    now, taken = 0, 0
    for wait, tokens in calls:
        now += wait
        assert bucket.level(now) <= 6.0
        if bucket.level(now) >= tokens:
            bucket.take(now, tokens)
            taken += tokens
        assert taken <= 6 + 2.0 * now / SECOND + 1e-6
    bucket.take(now, 1)
    assert bucket.level(now - SECOND) == bucket.level(now)
