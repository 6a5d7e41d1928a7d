"""Figures: a hand-worked example, straightforward independent code, and invariants."""

import datetime as dt
import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.messages import (
    AccountMarked,
    Direction,
    ExitReason,
    Regime,
    Side,
    TradeClosed,
)
from sos_actors.reports.figures import (
    BREAKDOWNS,
    Session,
    breakdown,
    daily_equity,
    drawdown,
    equity_figures,
    exposure,
    r_multiple,
    sharpe,
    sortino,
    trade_figures,
)

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
MINUTE = 60_000_000_000
DAY = dt.date(2025, 9, 2)


def at(day: dt.date, hour: int, minute: int = 0) -> int:
    return int(dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST).timestamp()) * 1_000_000_000


def session(day: dt.date) -> Session:
    return Session(day, at(day, 9, 15), at(day, 15, 30))


def trade(net: int, *, charges: int = 0, entry: int = at(DAY, 10), minutes: int = 10, **changes) -> TradeClosed:
    fields = {
        "trade_id": "t",
        "intent_id": "i",
        "strategy": "s",
        "underlying": "NIFTY",
        "instrument": "NSE|OPT|NIFTY|2025-09-02|24500|CE",
        "direction": Direction.LONG,
        "side": Side.BUY,
        "quantity": 75,
        "entry_price": 100.0,
        "exit_price": 110.0,
        "exit_reason": ExitReason.TARGET,
        "regime": Regime.BULLISH,
        "initial_risk": 10.0,
        "mae": 2.0,
        "mfe": 12.0,
    }
    return TradeClosed(
        **(fields | changes),
        entry_ts=entry,
        exit_ts=entry + minutes * MINUTE,
        gross_paise=net + charges,
        charges_paise=charges,
        net_paise=net,
    )


def mark(ts: int, equity: int) -> AccountMarked:
    return AccountMarked(ts=ts, cash_paise=equity, equity_paise=equity, open_positions=0)


def test_hand_worked_example():
    """Four trades of 75 units, each risking 10 rupees a unit = 750 rupees: +1500, -750, -300, 0 rupees net."""
    trades = [
        trade(150_000, charges=5_000, entry=at(DAY, 9, 30), minutes=10),
        trade(-75_000, charges=5_000, entry=at(DAY, 10, 30), minutes=20),
        trade(-30_000, charges=5_000, entry=at(DAY, 11, 30), minutes=30),
        trade(0, charges=5_000, entry=at(DAY, 12, 30), minutes=40),
    ]
    figures = trade_figures(trades)
    assert (figures.trades, figures.wins, figures.losses) == (4, 1, 2)
    assert (figures.gross_paise, figures.charges_paise, figures.net_paise) == (65_000, 20_000, 45_000)
    assert figures.win_rate == 0.25
    assert (figures.average_win_paise, figures.average_loss_paise) == (150_000, -52_500)
    assert figures.profit_factor == pytest.approx(1500 / 1050)
    assert figures.expectancy_paise == 11_250
    assert figures.expectancy_r == pytest.approx((2 - 1 - 0.4 + 0) / 4)
    assert (figures.best_paise, figures.worst_paise) == (150_000, -75_000)
    assert figures.longest_losing_run == 2
    assert figures.average_holding_minutes == 25
    assert (figures.average_mae_paise, figures.average_mfe_paise) == (15_000, 90_000)


def test_hand_worked_account():
    """One lakh; closes of 1,01,000, 99,990 and 1,00,989.90: returns of +1 %, -1 % and +1 %."""
    days = [dt.date(2025, 9, 2), dt.date(2025, 9, 3), dt.date(2025, 9, 4)]
    equities = [10_100_000, 9_999_000, 10_098_990]
    marks = [mark(at(day, 15, 30), equity) for day, equity in zip(days, equities, strict=True)]
    trades = [trade(98_990, entry=at(days[0], 9, 15), minutes=375)]
    figures = equity_figures(trades, marks, [session(day) for day in days], 10_000_000)
    assert figures.total_return == pytest.approx(0.0098990)
    assert figures.unrealised_paise == 0
    assert figures.days == 3
    # mean 1/300; sample deviation sqrt(((2/300)^2 + (4/300)^2 + (2/300)^2) / 2) = sqrt(24/90000 / 2) = 0.011547
    assert figures.sharpe == pytest.approx((1 / 300) / math.sqrt(12 / 90_000) * math.sqrt(252))
    assert figures.sortino == pytest.approx((1 / 300) / math.sqrt(1e-4 / 3) * math.sqrt(252))
    assert figures.max_drawdown_paise == 101_000
    assert figures.max_drawdown_fraction == pytest.approx(0.01)
    assert figures.longest_drawdown_minutes == 2 * 24 * 60
    assert figures.exposure == pytest.approx(1 / 3)


def test_nothing_traded_is_clean():
    figures = trade_figures([])
    assert (figures.trades, figures.net_paise, figures.longest_losing_run) == (0, 0, 0)
    assert all(math.isnan(value) for value in (figures.win_rate, figures.profit_factor, figures.expectancy_r))
    assert all(breakdown([], by) == {} for by in BREAKDOWNS)
    account = equity_figures([], [mark(at(DAY, 15, 30), 500)], [session(DAY)], 500)
    assert (account.ending_equity_paise, account.total_return, account.max_drawdown_paise) == (500, 0, 0)
    assert account.exposure == 0
    assert math.isnan(account.sharpe)
    unmarked = equity_figures([], [], [], 500)
    assert (unmarked.ending_equity_paise, unmarked.unrealised_paise) == (500, 0)
    assert math.isnan(unmarked.exposure)


def test_no_losses_has_no_profit_factor_and_no_stop_no_r():
    assert math.isnan(trade_figures([trade(100)]).profit_factor)
    assert math.isnan(r_multiple(trade(100, initial_risk=math.nan)))
    assert math.isnan(r_multiple(trade(100, initial_risk=0.0)))
    assert trade_figures([trade(75_000), trade(5, initial_risk=math.nan)]).expectancy_r == 1.0


def test_losing_run_follows_the_order_of_exits():
    losses_then_win = [trade(-1, entry=at(DAY, 10)), trade(-1, entry=at(DAY, 11)), trade(1, entry=at(DAY, 12))]
    assert all(trade_figures(order).longest_losing_run == 2 for order in itertools.permutations(losses_then_win))


def test_breakdown_names():
    trades = [
        trade(1, entry=at(DAY, 9, 59), minutes=5, strategy="b", regime=Regime.UNKNOWN, exit_reason=ExitReason.STOP),
        trade(2, entry=at(DAY, 10, 0), strategy="a", instrument="NSE|OPT|NIFTY|2025-09-02|24500|PE"),
        trade(3, entry=at(DAY, 14, 0), instrument="BSE|FUT|SENSEX|2025-09-30", underlying="SENSEX", strategy="b"),
        trade(4, entry=at(DAY, 14, 0), instrument="NSE|INDEX|NIFTY", strategy="b"),
    ]
    names = {by: list(breakdown(trades, by)) for by in BREAKDOWNS}
    assert names == {
        "strategy": ["a", "b"],
        "underlying": ["NIFTY", "SENSEX"],
        "regime": ["BULLISH", "UNKNOWN"],
        "hour": ["09:00", "10:00", "14:00"],
        "day": ["2025-09-02"],
        "exit_reason": ["STOP", "TARGET"],
        "right": ["CE", "FUT", "INDEX", "PE"],
    }


def test_day_is_the_day_in_india():
    late = trade(1, entry=at(dt.date(2025, 9, 3), 0, 10), minutes=1)  # still the 2nd in UTC
    assert list(breakdown([late], "day")) == ["2025-09-03"]


def test_exposure_counts_overlap_once_and_only_session_time():
    nights = [dt.date(2025, 9, 2), dt.date(2025, 9, 3)]
    sessions = [session(day) for day in nights]
    overlapping = [trade(1, entry=at(DAY, 10), minutes=30), trade(1, entry=at(DAY, 10, 15), minutes=30)]
    assert exposure(overlapping, sessions) == pytest.approx(45 / 750)
    overnight = [trade(1, entry=at(DAY, 15, 20), minutes=18 * 60)]  # 10 minutes one day, 5 the next
    assert exposure(overnight, sessions) == pytest.approx(15 / 750)


def test_a_day_without_marks_keeps_the_equity_before():
    days = [DAY, dt.date(2025, 9, 3), dt.date(2025, 9, 4)]
    marks = [mark(at(days[0], 15, 30), 110), mark(at(days[2], 10), 90), mark(at(days[2], 15, 30), 99)]
    closes = daily_equity(marks, [session(day) for day in days], 100)
    assert [close.equity_paise for close in closes] == [110, 110, 99]
    assert [close.daily_return for close in closes] == pytest.approx([0.1, 0.0, -0.1])


def test_drawdown_reports_longest_time_even_of_a_shallower_fall():
    minutes = [(0, 100), (1, 70), (2, 100), (3, 99), (4, 98), (5, 99), (9, 120), (10, 115)]
    assert drawdown([(at * MINUTE, equity) for at, equity in minutes]) == (30, 0.3, 7)


nets = st.integers(-1_000_000, 1_000_000)
trades_made = st.lists(
    st.builds(
        trade,
        nets,
        charges=st.integers(0, 10_000),
        entry=st.integers(0, 374).map(lambda minute: at(DAY, 9, 15) + minute * MINUTE),
        minutes=st.integers(0, 60),
        strategy=st.sampled_from("abc"),
        regime=st.sampled_from(Regime),
        exit_reason=st.sampled_from(ExitReason),
        quantity=st.integers(1, 5).map(lambda lots: 75 * lots),
        initial_risk=st.sampled_from([5.0, 10.0, math.nan]),
        instrument=st.sampled_from(["NSE|OPT|NIFTY|2025-09-02|24500|CE", "NSE|OPT|NIFTY|2025-09-02|24500|PE"]),
        trade_id=st.uuids().map(str),
    ),
    max_size=30,
)


@given(trades_made)
def test_breakdowns_add_up(trades):
    total = trade_figures(trades)
    for by in BREAKDOWNS:
        parts = breakdown(trades, by).values()
        for name in ("trades", "wins", "losses", "gross_paise", "charges_paise", "net_paise"):
            assert sum(getattr(part, name) for part in parts) == getattr(total, name), (by, name)


@given(trades_made)
def test_agrees_with_plain_code(trades):
    figures = trade_figures(trades)
    assert figures.gross_paise - figures.charges_paise == figures.net_paise
    won = [t.net_paise for t in trades if t.net_paise > 0]
    lost = [t.net_paise for t in trades if t.net_paise < 0]
    if trades:
        assert figures.expectancy_paise == pytest.approx(statistics.fmean(t.net_paise for t in trades))
        assert figures.worst_paise <= figures.expectancy_paise <= figures.best_paise
    if lost:
        assert figures.profit_factor == pytest.approx(math.fsum(won) / math.fsum(map(abs, lost)))
        assert (figures.profit_factor > 1) == (figures.net_paise > 0)
    runs = [
        len(list(run))
        for losing, run in itertools.groupby(
            sorted(trades, key=lambda t: (t.exit_ts, t.entry_ts, t.trade_id)), key=lambda t: t.net_paise < 0
        )
        if losing
    ]
    assert figures.longest_losing_run == max(runs, default=0)
    multiples = [t.net_paise / 100 / t.quantity / t.initial_risk for t in trades if t.initial_risk == t.initial_risk]
    if multiples:
        assert figures.expectancy_r == pytest.approx(statistics.fmean(multiples))


@given(trades_made, st.randoms(use_true_random=False))
def test_order_of_the_input_does_not_matter(trades, chance):
    shuffled = list(trades)
    chance.shuffle(shuffled)
    assert repr(trade_figures(shuffled)) == repr(trade_figures(trades))


@given(trades_made)
def test_exposure_agrees_with_counting_minutes(trades):
    held = {minute for t in trades for minute in range(t.entry_ts // MINUTE, t.exit_ts // MINUTE)}
    within = [minute for minute in held if at(DAY, 9, 15) <= minute * MINUTE < at(DAY, 15, 30)]
    assert exposure(trades, [session(DAY)]) == pytest.approx(len(within) / 375)


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=50))
def test_ratios_agree_with_statistics(returns):
    deviation = statistics.stdev(returns)
    if deviation > 1e-6:
        assert sharpe(returns) == pytest.approx(statistics.fmean(returns) / deviation * 252**0.5, rel=1e-6, abs=1e-9)
    downside = statistics.fmean([min(value, 0) ** 2 for value in returns]) ** 0.5
    if downside > 1e-6:
        assert sortino(returns) == pytest.approx(statistics.fmean(returns) / downside * 252**0.5, rel=1e-6, abs=1e-9)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40))
def test_drawdown_agrees_with_every_pair(equities):
    curve = [(place * MINUTE, equity) for place, equity in enumerate(equities)]
    deepest, fraction, longest = drawdown(curve)
    pairs = [(i, j) for i in range(len(equities)) for j in range(i, len(equities))]
    assert deepest == max(equities[i] - equities[j] for i, j in pairs)
    assert 0 <= fraction < 1
    below = [j - i for i, j in pairs if all(equities[k] < equities[i] for k in range(i + 1, j + 1))]
    assert max(below) <= longest <= max(below) + 1  # up to one mark more: the one of the recovery


@pytest.mark.parametrize("returns", [[], [0.01], [0.0, 0.0], [0.01, 0.01]])
def test_ratios_without_enough_days(returns):
    assert math.isnan(sharpe(returns))
    assert math.isnan(sortino(returns))
