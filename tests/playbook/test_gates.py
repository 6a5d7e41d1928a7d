"""Every gate on bars made for it: it fires, and does not when one thing is missing."""

from __future__ import annotations

import pytest
from playbook_helpers import ROOT, Runner, bars, chain

from sos_actors.messages import Direction, MarketStructure, RefusalReason, Regime
from sos_actors.playbook import Declined, Setup, load_playbook

PLAYBOOK = load_playbook([ROOT / "strategies"])
LEVEL = 25_000.0


def falling(n: int, last: float) -> list[tuple[float, ...]]:
    """Small red bars, one point a bar, that end at `last`."""
    return [(last + n - k, last + n - k + 2, last + n - k - 3, last + n - k - 1, 1000.0) for k in range(n)]


def step(close: float, by: float, volume: float, wick: float = 2.0) -> tuple[float, ...]:
    """One bar that moves by `by` from `close`."""
    return (close, max(close, close + by) + wick, min(close, close + by) - wick, close + by, volume)


def mirrored(rows: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    return [(50_000 - o, 50_000 - low, 50_000 - h, 50_000 - c, v) for o, h, low, c, v in rows]


C = LEVEL - 40  # where the falling bars end
BASE = falling(60, C)
#: Bars after the falling base that make the long gate fire on the last one; short gates get the mirror image.
TWO_SIDED = {
    "ema_cross": [step(C, 60, 1000)],
    "snap_reversal": [(C, C + 1, C - 20, C - 1, 2000), step(C - 1, 15, 1000)],
    "vwap_ema_gate": [step(C, 100, 1000), step(C + 100, 5, 3000)],
    "bigdog_breakout": [step(C, 40, 3000)],
    "bb_mean_reversion": [(C, C + 1, C - 60, C - 20, 1000), step(C - 20, 20, 1000)],
    "smart_trend_index": [step(C, 40, 2000)],
}
LONG_ONLY = {
    "index_breakout": [step(C, 40, 2000), step(C + 40, 10, 3000)],
    "institutional_demand": [(C, C + 5, C - 40, C - 5, 2000), (C - 5, C, C - 35, C - 10, 1000), step(C - 10, 40, 1000)],
    "screener_momentum": [step(C, 200, 3000), *[step(C + 200, 0, 1000)] * 6, step(C + 200, 20, 1500)],
    "volume_spike_scalper": [step(C, 20, 4000)],
}
#: These gates are short by nature and written as such, after the same falling base.
SHORT_ONLY = {
    "brf": [(C, C + 30, C - 10, C + 20, 2500), step(C + 20, -50, 1000), (C - 30, C + 5, C - 32, C, 1000)],
    "round_level_rejection": [step(LEVEL - 40, -10, 1000)],
    "sample_trend_reversal": [step(C, 60, 2000), step(C + 60, -70, 1000)],
}
CASES = (
    [(f"{name}_long", rows, False) for name, rows in (TWO_SIDED | LONG_ONLY).items()]
    + [(f"{name}_short", rows, True) for name, rows in TWO_SIDED.items()]
    + [(name if name.startswith("sample") else f"{name}_short", rows, False) for name, rows in SHORT_ONLY.items()]
)
IDS = [name for name, _, _ in CASES]
STRUCTURE = MarketStructure("NIFTY", 0, swing_low=LEVEL - 200, swing_high=LEVEL + 200)


def runner_of(name: str) -> Runner:
    chosen = PLAYBOOK.select([name])
    return Runner(chosen)


def case(name: str, rows: list[tuple[float, ...]], mirror: bool) -> list:
    # the bars before let the phase machine come to the phase that waits for the break-out
    base = falling(61, C) if name.startswith("bigdog") else BASE
    everything = base + rows
    return bars(mirrored(everything) if mirror else everything)


def sentiment(runner: Runner, **more):
    long = runner.strategy.direction is Direction.LONG
    given = {
        "smart_trend": "Long Buildup" if long else "Short Buildup",
        "breadth_ratio": 1.5,
        "pcr_velocity": -0.01,
        "ce_oi_change": 5.0,
        "pe_oi_change": 1.0,
        "regime": Regime.BULLISH if long else Regime.BEARISH,
    }
    return chain(**(given | more))


@pytest.mark.parametrize(("name", "rows", "mirror"), CASES, ids=IDS)
def test_gate_fires_on_its_pattern_and_only_at_its_end(name, rows, mirror):
    runner = runner_of(name)
    some = case(name, rows, mirror)
    told = runner.run(some, sentiment(runner), STRUCTURE)
    assert [at for at, one in told if isinstance(one, Setup)] == [len(some) - 1], told
    setup = told[-1][1]
    sign = setup.direction.sign
    assert setup.direction is runner.strategy.direction
    assert setup.entry == some[-1].close
    assert (setup.entry - setup.stop) * sign > 0
    assert setup.quantity_mod == 1.5
    assert setup.tp_mult == 2.0
    assert setup.selection.endswith("CALL_1" if "screener" in name else "CALL" if sign > 0 else "PUT")
    assert setup.regime is (Regime.BULLISH if sign > 0 else Regime.BEARISH)


MULTIPLES = {
    "ema_cross": 2,
    "index_breakout": 2,
    "brf": 2,
    "institutional_demand": 3,
    "round_level": 2.5,
    "sample_trend": 2,
    "screener": 2,
    "snap": 1.5,
    "vwap": 2,
    "bigdog": 2,
    "bb_mean": 2,
    "volume_spike": 1.5,
    "smart_trend": 2.5,
}


@pytest.mark.parametrize(("name", "rows", "mirror"), CASES, ids=IDS)
def test_target_is_the_gates_multiple_of_the_risk_times_the_regimes(name, rows, mirror):
    runner = runner_of(name)
    setup = runner.run(case(name, rows, mirror), sentiment(runner), STRUCTURE)[-1][1]
    multiple = next(value for prefix, value in MULTIPLES.items() if name.startswith(prefix))
    assert abs(setup.target - setup.entry) == pytest.approx(abs(setup.entry - setup.stop) * multiple * 2.0)


@pytest.mark.parametrize(("name", "rows", "mirror"), CASES, ids=IDS)
def test_gate_is_silent_without_its_last_bar(name, rows, mirror):
    runner = runner_of(name)
    told = runner.run(case(name, rows, mirror)[:-1], sentiment(runner), STRUCTURE)
    assert not [one for _, one in told if isinstance(one, Setup)]


@pytest.mark.parametrize(("name", "rows", "mirror"), CASES, ids=IDS)
def test_gate_is_silent_against_the_chain_or_without_it(name, rows, mirror):
    runner = runner_of(name)
    long = runner.strategy.direction is Direction.LONG
    against = sentiment(runner, smart_trend="Short Buildup" if long else "Long Buildup")
    crowded = sentiment(runner, pcr=0.7 if long else 1.3)
    for snapshot in (against, crowded, None):
        assert runner_of(name).run(case(name, rows, mirror), snapshot, STRUCTURE) == []


@pytest.mark.parametrize(("name", "rows", "mirror"), CASES, ids=IDS)
def test_gate_is_refused_in_the_opposite_regime(name, rows, mirror):
    runner = runner_of(name)
    long = runner.strategy.direction is Direction.LONG
    told = runner.run(
        case(name, rows, mirror), sentiment(runner, regime=Regime.BEARISH if long else Regime.BULLISH), STRUCTURE
    )
    assert [one.reason for _, one in told] == [RefusalReason.REGIME]
    assert runner.machine.declined == {RefusalReason.REGIME: 1}


@pytest.mark.parametrize(
    ("name", "rows", "mirror"),
    [one for one in CASES if "volume" in str(PLAYBOOK.select([one[0]]).strategies[0].required)],
    ids=str,
)
def test_gates_of_volume_are_silent_where_volume_is_unknown(name, rows, mirror):
    runner = runner_of(name)
    blind = [
        type(bar)(bar.instrument, bar.start, bar.end, bar.open, bar.high, bar.low, bar.close)
        for bar in case(name, rows, mirror)
    ]
    assert runner.run(blind, sentiment(runner), STRUCTURE) == []


GAP_ROWS = [(24_950, 24_955, 24_940, 24_945, 1000), *[step(24_945, -1, 1000)] * 5, step(24_944, 20, 1000)]


def gap(rows, **more):
    runner = runner_of("gap_fill_long")
    structure = MarketStructure("NIFTY", 0, prev_close=25_100.0)
    return runner.run(bars(rows), sentiment(runner, **more), structure)


def test_gap_fill_aims_at_yesterdays_close_in_any_regime():
    told = gap(GAP_ROWS)
    assert [at for at, _ in told] == [len(GAP_ROWS) - 1]
    assert told[0][1].target == 25_100.0
    assert told[0][1].stop == min(row[2] for row in GAP_ROWS[-5:])
    assert gap(GAP_ROWS, regime=Regime.COMPLETE_BULLISH)[0][1].target == 25_100.0


def test_gap_fill_needs_the_gap_the_hour_and_the_chain():
    higher = [(o + 150, h + 150, low + 150, c + 150, v) for o, h, low, c, v in GAP_ROWS]
    assert gap(higher) == []
    late = runner_of("gap_fill_long")
    structure = MarketStructure("NIFTY", 0, prev_close=25_100.0)
    assert (
        late.run(bars(GAP_ROWS, start=bars(GAP_ROWS)[0].start + 30 * 60_000_000_000), sentiment(late), structure) == []
    )
    assert gap(GAP_ROWS, smart_trend="Neutral") == []


def test_ema_cross_waits_until_the_last_swing_is_known():
    runner = runner_of("ema_cross_long")
    told = runner.run(case("ema_cross_long", TWO_SIDED["ema_cross"], False), sentiment(runner), None)
    assert told[-1][1] == Declined(RefusalReason.BAD_LEVELS, "the stop is unknown")
