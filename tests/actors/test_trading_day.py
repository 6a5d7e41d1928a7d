"""Selector, risk, orders and broker wired together on tiny made-up days: what a trade's life comes to."""

import datetime as dt

import msgspec
import pytest
from actor_helpers import (
    DAY,
    EXPIRY,
    MINUTE,
    PLAIN,
    chain_of,
    clock_of,
    index_bars,
    ist,
    market_day,
    play,
    replaced,
    strategy,
)

from sos_actors.messages import RefusalReason
from sos_actors.playbook.machine import StrategyMachine

FLAT = (24_500.0,) * 4


def _bar(low, high, close=None):
    """A bar that opens at 24,500."""
    return (24_500.0, high, low, 24_500.0 if close is None else close)


def _only(recorder):
    (trade,) = recorder.trades
    return trade


def test_an_entry_fills_at_the_open_of_the_next_bar():
    day = market_day(index_bars({"09:20": (24_500, 24_510, 24_495, 24_508), "09:21": (24_511, 24_512, 24_509, 24_510)}))
    runtime, recorder = play(day, strategy())
    trade = _only(recorder)
    assert recorder.signals[0].ts == ist("09:21")
    assert recorder.signals[0].entry == 24_508
    assert (clock_of(trade.entry_ts), trade.entry_price, trade.quantity) == ("09:21", 24_511, 50)
    assert recorder.marks[-1].cash_paise == recorder.marks[-1].equity_paise == 1_000_000_000 + trade.net_paise
    assert not len(runtime.dead_letters)
    assert not recorder.failures


@pytest.mark.parametrize(("side", "stop"), [("BUY", 24_480), ("SELL", 24_520)])
def test_of_a_stop_and_a_target_in_one_bar_the_stop(side, stop):
    day = market_day(index_bars({"09:25": _bar(24_450, 24_550)}))
    trade = _only(play(day, strategy(side=side))[1])
    assert (trade.exit_reason, trade.exit_price, clock_of(trade.exit_ts)) == ("STOP", stop, "09:26")


@pytest.mark.parametrize(("side", "target"), [("BUY", 24_540), ("SELL", 24_460)])
def test_a_target_alone(side, target):
    day = market_day(index_bars({"09:25": _bar(24_455, 24_500) if side == "SELL" else _bar(24_500, 24_545)}))
    trade = _only(play(day, strategy(side=side))[1])
    assert (trade.exit_reason, trade.exit_price) == ("TARGET", target)
    assert trade.gross_paise == 40 * 50 * 100


def test_a_gap_over_the_stop_is_paid():
    day = market_day(index_bars({"09:25": (24_440, 24_445, 24_430, 24_440)}))
    trade = _only(play(day, strategy())[1])
    assert (trade.exit_reason, trade.exit_price, clock_of(trade.exit_ts)) == ("STOP", 24_440, "09:25")


def test_an_exit_may_follow_its_entry_within_one_bar():
    """The stop reaches the exchange once the open has filled the entry, and takes part in the rest of that bar."""
    day = market_day(index_bars({"09:21": _bar(24_470, 24_505)}))
    trade = _only(play(day, strategy())[1])
    assert clock_of(trade.entry_ts) == "09:21"
    assert (trade.exit_reason, trade.exit_price, trade.exit_ts) == ("STOP", 24_480, trade.entry_ts + MINUTE)


def test_half_way_to_the_target_the_stop_goes_to_the_entry():
    rows = {"09:25": (24_500, 24_525, 24_500, 24_520), "09:26": (24_520, 24_520, 24_490, 24_495)}
    trade = _only(play(market_day(index_bars(rows)), strategy())[1])
    assert (trade.exit_reason, trade.exit_price, clock_of(trade.exit_ts)) == ("BREAK_EVEN", 24_500, "09:27")


def test_the_move_to_break_even_does_not_look_into_its_own_bar():
    """A bar that first rises and then falls below the entry: which came first is unknown, the old stop holds."""
    rows = {"09:25": (24_500, 24_525, 24_485, 24_522), "09:26": (24_522, 24_545, 24_522, 24_545)}
    trade = _only(play(market_day(index_bars(rows)), strategy())[1])
    assert trade.exit_reason == "TARGET"


def test_half_an_hour_is_enough():
    trade = _only(play(market_day(index_bars({}, until="11:00")), strategy())[1])
    assert (trade.exit_reason, clock_of(trade.entry_ts), clock_of(trade.exit_ts)) == ("TIME_STOP", "09:21", "09:51")


def test_nothing_is_held_beyond_the_square_off():
    day = market_day(index_bars({}, until="15:30"))
    patient = strategy(at="14:50", exits={"time_stop": 0})
    trade = _only(play(day, patient)[1])
    assert (trade.exit_reason, clock_of(trade.exit_ts)) == ("SQUARE_OFF", "15:15")


def test_the_days_loss_flattens_and_ends_the_day():
    """3 % of 100,000 are 60 points of 50 units; the far stop would have let it run."""
    config = replaced(PLAIN, account={"capital": 100_000.0}, risk={"daily_loss": 0.03}, sizing={"margin_fraction": 0.0})
    far = {"execution": strategy()["execution"] | {"sl": "close - 400", "tp": "close + 400"}}
    rows = {"09:25": (24_500, 24_500, 24_445, 24_445), "09:27": (24_445, 24_445, 24_430, 24_430)}
    day = market_day(index_bars(rows))
    _, recorder = play(day, strategy(**far), strategy("two", at="09:40"), config=config)
    trade = _only(recorder)
    assert (trade.exit_reason, trade.exit_price, clock_of(trade.exit_ts)) == ("DAILY_LOSS", 24_430, "09:28")
    assert [refused.reason for refused in recorder.refusals] == [RefusalReason.DAILY_LOSS]


def test_a_loss_taken_by_the_stop_itself_counts_at_once():
    """Nothing is open afterwards, so no later mark would tell."""
    config = replaced(PLAIN, account={"capital": 30_000.0}, risk={"daily_loss": 0.03}, sizing={"margin_fraction": 0.0})
    day = market_day(index_bars({"09:25": _bar(24_450, 24_500)}))
    _, recorder = play(day, strategy(), strategy("two", at="09:40"), config=config)
    assert _only(recorder).exit_reason == "STOP"
    assert [refused.reason for refused in recorder.refusals] == [RefusalReason.DAILY_LOSS]
    assert recorder.marks[-1].equity_paise == 3_000_000 - 100_000


def test_a_flip_is_one_order():
    """A stance of 1 for ten minutes, -1 before and after: each turn closes and opens with the same order."""
    long = "time_is_between(timestamp, '09:20', '09:30')"
    stance = {
        "pattern_id": "turn",
        "stance": f"1 if {long} else -1",
        "execution": {
            "entry": "close", "sl": f"close - 100 if {long} else close + 100",
            "tp": f"close + 100 if {long} else close - 100", "option_selection": "UNDERLYING",
        },
        "exits": {"time_stop": 0},
    }  # fmt: skip
    rows = {"09:21": (24_510, 24_510, 24_510, 24_510), "09:31": (24_530, 24_530, 24_530, 24_530)}
    _, recorder = play(market_day(index_bars(rows, until="15:30")), stance)
    lives = [
        (trade.side.value, clock_of(trade.entry_ts), clock_of(trade.exit_ts), trade.exit_reason.value)
        for trade in recorder.trades
    ]
    assert lives == [
        ("SELL", "09:16", "09:21", "FLIP"), ("BUY", "09:21", "09:31", "FLIP"), ("SELL", "09:31", "15:15", "SQUARE_OFF"),
    ]  # fmt: skip
    assert [trade.gross_paise for trade in recorder.trades] == [-50_000, 100_000, 0]
    assert [(fill.side.value, fill.quantity) for fill in recorder.fills] == [
        ("SELL", 50), ("BUY", 100), ("SELL", 100), ("BUY", 50),
    ]  # fmt: skip


@pytest.mark.parametrize(("last", "value"), [(24_560.0, 60.0), (24_430.0, 0.0)])
def test_an_option_kept_to_its_expiry_is_settled_at_its_intrinsic_value(last, value):
    index = index_bars({"15:00": (24_500, max(last, 24_500), min(last, 24_500), last)}, until="15:30", day=EXPIRY)
    day = market_day(index, chain_of(index, expiry=EXPIRY), day=EXPIRY)
    kept = strategy(exits={"square_off": "off", "time_stop": 0, "break_even_at": 0})
    kept["execution"] |= {"option_selection": "ATM_CALL", "sl": "close - 2000", "tp": "close + 2000"}
    config = replaced(PLAIN, sizing={"fixed_quantity": 75})
    trade = _only(play(day, kept, config=config)[1])
    assert trade.instrument == "NSE|OPT|NIFTY|2025-09-02|24500|CE"
    assert (trade.exit_reason, trade.exit_price, trade.entry_price) == ("EXPIRY", value, 80.0)
    assert trade.gross_paise == round((value - 80) * 75 * 100)


def test_an_entry_that_never_filled_leaves_nothing_counted():
    """The index is silent after the signal; the entry is taken back after its patience, and the next one may go."""
    missing = tuple(f"09:{minute}" for minute in range(21, 25))
    again = strategy()
    first, second = (f"time_is_between(timestamp, '{at}0', '{at}1')" for at in ("09:2", "09:3"))
    again["phases"][0]["conditions"] = [f"{first} or {second}"]
    runtime, recorder = play(market_day(index_bars({}, missing=missing)), again)
    assert [refused.reason for refused in recorder.refusals] == [RefusalReason.EXCHANGE_REJECTED]
    assert len(recorder.signals) == 2
    assert clock_of(_only(recorder).entry_ts) == "09:31"
    assert runtime.actor("orders").inspect()["positions"] == ()


def test_what_the_volume_does_not_give_is_filled_later_in_whole_lots():
    """A tenth of 1,000 units a minute is one lot of 75; the patience of a minute is enough for two bars."""
    index = index_bars({})
    day = market_day(index, chain_of(index, volume=1_000.0))
    option = strategy()
    option["execution"] |= {"option_selection": "ATM_CALL"}
    patient = msgspec.structs.replace(PLAIN.orders, entry_patience_s=120)
    config = msgspec.structs.replace(replaced(PLAIN, sizing={"fixed_quantity": 0}), orders=patient)
    _, recorder = play(day, option, config=config)
    assert {fill.quantity for fill in recorder.fills} == {75}
    entries = [clock_of(fill.ts) for fill in recorder.fills if fill.side.value == "BUY"]
    assert entries == ["09:21", "09:22"]
    assert _only(recorder).quantity == 150  # what did not come in time was taken back


def test_too_many_positions_are_refused_by_name():
    config = replaced(PLAIN, risk={"open_positions": 2, "underlying_positions": 2})
    _, recorder = play(market_day(index_bars({})), *(strategy(name) for name in "abc"), config=config)
    assert len(recorder.trades) == 2
    (refused,) = recorder.refusals
    assert (refused.strategy, refused.reason) == ("c", RefusalReason.OPEN_POSITIONS)


@pytest.fixture
def moody(monkeypatch):
    """From 09:24 on the strategy `bad` raises at every bar it is given that `raises` says."""
    honest = StrategyMachine.on_studies
    raises = {"until": 1 << 62}

    def on_studies(self, studies, *rest):
        if self.strategy.id == "bad" and ist("09:25") <= studies.ts < raises["until"]:
            raise ZeroDivisionError("made up")
        return honest(self, studies, *rest)

    monkeypatch.setattr(StrategyMachine, "on_studies", on_studies)
    return raises


def test_a_strategy_that_keeps_raising_is_benched_and_the_others_trade_on(moody):
    """Three restarts, then the bench: what it holds is closed, it enters nothing more, its letters are kept."""
    bad = strategy("bad", exits={"time_stop": 0})
    runtime, recorder = play(market_day(index_bars({})), bad, strategy("good"), strategy("late", at="09:50"))
    (benched,) = recorder.benched
    assert benched.path == "strategy/NIFTY/bad"
    ends = {trade.strategy: (trade.exit_reason.value, clock_of(trade.exit_ts)) for trade in recorder.trades}
    # The fourth failure is on the bar that ends at 09:28; the exit meets the open of the next.
    assert ends == {"bad": ("FLATTEN", "09:28"), "good": ("TIME_STOP", "09:51"), "late": ("TIME_STOP", "10:21")}
    stats = {one.path: one for one in runtime.stats()}
    assert stats["strategy/NIFTY/bad"].benched
    assert not stats["strategy/NIFTY/good"].failures
    letters = list(runtime.dead_letters)
    assert [(letter.path, letter.message.ts) for letter in letters] == [
        ("strategy/NIFTY/bad", ist(clock)) for clock in ("09:25", "09:26", "09:27", "09:28")
    ]
    assert all("ZeroDivisionError: made up" in letter.traceback for letter in letters)
    assert len(recorder.failures) == 4


def test_a_strategy_that_raised_twice_trades_on(moody):
    moody["until"] = ist("09:27")
    bad = strategy("bad", at="09:40")
    runtime, recorder = play(market_day(index_bars({})), bad)
    assert not recorder.benched
    assert len(recorder.failures) == len(list(runtime.dead_letters)) == 2
    assert clock_of(_only(recorder).entry_ts) == "09:41"


def test_a_position_kept_over_night_is_protected_again():
    tomorrow = dt.date(2025, 9, 2)
    rows = {"09:30": (24_500, 24_500, 24_470, 24_475)}
    days = [
        market_day(index_bars({}, until="15:30")),
        market_day(index_bars(rows, day=tomorrow), day=tomorrow),
    ]
    kept = strategy(exits={"square_off": "off", "time_stop": 0})
    trade = _only(play(days, kept)[1])
    assert (trade.exit_reason, trade.exit_price) == ("STOP", 24_480)
    assert trade.exit_ts == ist("09:31", tomorrow)
    assert trade.entry_ts == ist("09:21", DAY)


def test_without_a_daily_loss_and_without_times_the_desk_need_not_hear_the_minutes():
    """With any of them it must: the day's loss is told from the marks of the minutes."""
    quiet = msgspec.structs.replace(PLAIN.orders, entry_patience_s=0)
    config = msgspec.structs.replace(PLAIN, orders=quiet)
    timeless = strategy(exits={"time_stop": 0, "square_off": "off"})
    flat = market_day(index_bars({}))
    assert len(play(flat, timeless, config=config)[1].marks) < 5
    watched = replaced(config, risk={"daily_loss": 0.03})
    assert len(play(flat, timeless, config=watched)[1].marks) > 60
