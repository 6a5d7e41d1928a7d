"""The same inputs give the same outputs, and nothing decided depends on what came later."""

import datetime as dt
import functools

import pytest
from e2e_helpers import COMMAND, KITE_DAYS, NSE_DAY, TICK_DAY, CutHistory, command, ist, played, result, simulated

SIM_DAY = dt.date(2025, 9, 2)
#: Strategies of every kind of input: studies, chain, levels, a longer confirming frame, a stance.
FEW = (
    "ema_cross_long", "vwap_pullback_short", "bb_mean_reversion_short", "gamma_flip_short", "structure_shift_short",
    "opening_range_breakout_long", "smart_trend_index_short", "round_level_rejection_short", "ema_8_21_intraday_long",
    "liquidity_sweep_short", "oi_wall_breakout_long", "brf_short",
)  # fmt: skip


def _twice(home, *arguments):
    """The same command in two processes that differ in everything that must not matter."""
    found = []
    for number, zone, folder in ((1, "UTC", COMMAND.parent), (4242, "America/New_York", home)):
        env = {"PYTHONHASHSEED": str(number), "TZ": zone, "LC_ALL": "C"}
        done = result(command("backtest", *arguments, "--json", "-", home=home, env=env, cwd=folder))
        assert done.pop("timings")["run_s"] > 0
        found.append(done)
    return found


def test_a_simulated_day_twice_in_two_processes(tmp_path):
    one, two = _twice(tmp_path, "--source", "simulated", "--symbol", "NIFTY", "--from-date", SIM_DAY)
    assert one["summary"]["trades"] > 3
    assert one["run_hash"] == two["run_hash"]
    assert one == two


@pytest.mark.real_data
@pytest.mark.parametrize(
    "arguments",
    [
        ("--symbol", "NIFTY", "--from-date", NSE_DAY),
        ("--symbol", "NIFTY,BANKNIFTY", "--from-date", KITE_DAYS[0], "--to-date", KITE_DAYS[1], "--timeframe", "5m"),
        ("--symbol", "BANKNIFTY", "--from-date", TICK_DAY, "--resolution", "tick"),
    ],
    ids=["minutes", "five minutes", "ticks"],
)
def test_real_days_twice_in_two_processes(real_home, arguments):
    one, two = _twice(real_home, *arguments)
    assert one["summary"]["trades"] > 3
    assert one == two


def test_another_seed_gives_another_run():
    one, two = (played(simulated(seed), "NIFTY", SIM_DAY, names=FEW, warmup=0) for seed in (7, 8))
    assert one.run_hash != two.run_hash


@pytest.mark.parametrize(("resolution", "until"), [("minute", "15:30"), ("tick", "09:30")])
def test_threads_trade_as_the_simulation_does(resolution, until):
    history = CutHistory(simulated(), ist(SIM_DAY, until))
    one, two = (
        played(history, "NIFTY", SIM_DAY, names=FEW, warmup=0, stage=stage, resolution=resolution)
        for stage in ("sim", "live")
    )
    assert len(one.fills) >= 2
    assert _decided(one) == _decided(two)
    assert list(one.trades) == list(two.trades)
    assert one.marks[-1] == two.marks[-1]


@pytest.mark.real_data
def test_threads_trade_a_real_day_as_the_simulation_does(real_home):
    arguments = ("backtest", "--symbol", "NIFTY", "--from-date", NSE_DAY, "--json", "-", "--stage")
    one, two = (result(command(*arguments, stage, home=real_home)) for stage in ("sim", "live"))
    assert one["trades"]
    assert one["trades"] == two["trades"]
    assert one["summary"] == two["summary"]


def _decided(record, until=1 << 62):
    """Signals and refusals up to `until`, fills before it: a fill at a bar's open is known when the bar is over.

    Strategies of one minute speak in no particular order on threads, so that the order within an instant is left out.
    """
    return (
        sorted(repr(signal) for signal in record.signals if signal.ts <= until),
        sorted(repr(refused) for refused in record.refusals if refused.ts <= until),
        sorted(repr(fill) for fill in record.fills if fill.ts < until),
    )


@functools.cache
def _whole_simulated_day():
    return played(simulated(), "NIFTY", SIM_DAY, names=FEW, warmup=0)


@pytest.mark.parametrize("clock", ["09:28", "09:43", "10:03", "12:40"])
def test_nothing_depends_on_what_comes_later_on_a_simulated_day(clock):
    t = ist(SIM_DAY, clock)
    cut = played(CutHistory(simulated(), t), "NIFTY", SIM_DAY, names=FEW, warmup=0)
    whole = _whole_simulated_day()
    assert _decided(cut, t) == _decided(whole, t)
    assert _decided(cut, t)[0], "nothing was decided by then: choose a later time"
    assert _decided(whole) != _decided(whole, t), "all was decided by then: choose an earlier time"


@pytest.mark.real_data
def test_nothing_depends_on_what_comes_later_on_a_real_day(real):
    whole = played(real, "NIFTY", NSE_DAY)
    assert len(whole.trades) > 3
    for clock in ("09:49", "10:01", "10:04", "10:36", "11:17", "14:02"):
        t = ist(NSE_DAY, clock)
        assert _decided(played(CutHistory(real, t), "NIFTY", NSE_DAY), t) == _decided(whole, t), clock


@pytest.mark.real_data
def test_nothing_depends_on_later_ticks(real):
    whole = played(real, "BANKNIFTY", TICK_DAY, resolution="tick")
    assert len(whole.trades) > 2
    for clock in ("09:56", "10:05", "11:30"):
        t = ist(TICK_DAY, clock)
        cut = played(CutHistory(real, t + 30_000_000_000), "BANKNIFTY", TICK_DAY, resolution="tick")
        assert _decided(cut, t) == _decided(whole, t), clock


def test_strategies_do_not_disturb_one_another():
    """A strategy signals the same alone, with others, and whatever they trade."""
    together = _whole_simulated_day()
    for name in ("gamma_flip_short", "vwap_pullback_short", "structure_shift_short"):
        alone = played(simulated(), "NIFTY", SIM_DAY, names=(name,), warmup=0)
        assert alone.signals
        assert list(alone.signals) == [signal for signal in together.signals if signal.strategy == name]
