"""The simulated market's promises: a function of settings, seed, underlying and day, and believable figures."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq

from sos_actors.errors import DataError, InputError
from sos_actors.market.calendar import INDIA
from sos_actors.market.clocktime import ist_ns, ist_text
from sos_actors.market.contracts import ContractRules, strike_step
from sos_actors.market.day import MarketDay
from sos_actors.market.ids import parse_id
from sos_actors.messages.market import CE, CHAIN_FIELDS, PE
from sos_actors.quant import black
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.settings import MarketSettings

DAY = dt.date(2025, 9, 3)
NAMES = ("NIFTY", "BANKNIFTY", "SENSEX")
TICK = 0.05


def raw(day: MarketDay) -> bytes:
    names = ("start", "open", "high", "low", "close", "volume", "oi")
    arrays = [getattr(bars, name) for bars in (day.index, day.future) for name in names]
    for chain in day.chains:
        arrays += [chain.start, chain.strikes, chain.values]
    return b"".join(a.tobytes() for a in arrays)


def field(chain, name):
    return chain.values[:, CHAIN_FIELDS.index(name)]


def sessions(first: dt.date, count: int) -> list[dt.date]:
    return list(INDIA.trading_days("NSE", first, first + dt.timedelta(days=2 * count + 10))[:count])


@pytest.fixture(scope="module")
def market():
    return SimulatedMarket(MarketSettings(), 7)


@pytest.fixture(scope="module", params=NAMES)
def day(request, market):
    return market.day(request.param, DAY)


@pytest.fixture(scope="module")
def month():
    """Index closes of each day, a list of [minutes], by name; chains are kept small to be quick."""
    small = SimulatedMarket(MarketSettings(strikes_each_side=2), 11)
    days = sessions(dt.date(2025, 3, 3), 60)
    return {name: [small.day(name, d).index for d in days] for name in (*NAMES, "INDIAVIX")}


def test_same_seed_same_bytes_whatever_was_asked_before():
    asked = [("SENSEX", dt.date(2026, 2, 6)), ("NIFTY", DAY), ("NIFTY", dt.date(2024, 5, 7)), ("BANKNIFTY", DAY)]
    one, other = SimulatedMarket(seed=3), SimulatedMarket(seed=3)
    forwards = {key: raw(one.day(*key)) for key in asked}
    backwards = {key: raw(other.day(*key)) for key in reversed(asked)}
    assert forwards == backwards


def test_a_day_made_again_after_being_forgotten_is_the_same():
    market = SimulatedMarket(MarketSettings(strikes_each_side=1), 3)
    first = raw(market.day("NIFTY", DAY))
    for other in sessions(dt.date(2025, 10, 1), 6):
        market.day("NIFTY", other)
    assert raw(market.day("NIFTY", DAY)) == first


def test_another_seed_or_day_is_another_market(market):
    base = market.day("NIFTY", DAY)
    assert raw(SimulatedMarket(seed=8).day("NIFTY", DAY)) != raw(base)
    later = market.day("NIFTY", DAY + dt.timedelta(days=1))
    assert not np.array_equal(np.diff(later.index.close), np.diff(base.index.close))


def test_adding_an_index_leaves_the_others_alone():
    both = MarketSettings()
    alone = MarketSettings(indices={"NIFTY": both.indices["NIFTY"]})
    assert raw(SimulatedMarket(alone, 5).day("NIFTY", DAY)) == raw(SimulatedMarket(both, 5).day("NIFTY", DAY))


def test_unknown_underlying_closed_day_and_day_before_the_anchor(market):
    with pytest.raises(InputError, match="no underlying 'DAX'"):
        market.day("DAX", DAY)
    for closed in (dt.date(2025, 9, 6), dt.date(2025, 10, 2)):
        with pytest.raises(DataError, match="not a trading day"):
            market.day("NIFTY", closed)
    with pytest.raises(DataError, match="before its first day"):
        market.day("NIFTY", dt.date(2014, 12, 31))
    with pytest.raises(InputError, match="negative"):
        SimulatedMarket(seed=-1)


def test_shape_labels_and_flags(day):
    assert day.simulated
    assert day.source == "simulated"
    assert len(day.chains) == 2
    assert day.chains[0].expiry < day.chains[1].expiry
    assert np.isnan(day.index.volume).all()
    assert ist_text(int(day.index.start[0])) == "2025-09-03T09:15:00+05:30"
    for chain in day.chains:
        assert chain.values.shape == (375, len(CHAIN_FIELDS), 2, 81)
        assert np.isfinite(chain.values).all()
        assert np.ptp(np.diff(chain.strikes)) == 0.0
        assert abs(chain.strikes[40] - day.index.open[0]) <= strike_step(day.underlying, DAY) / 2
        assert not chain.values.flags.writeable


def test_session_is_longer_since_august_2026():
    market = SimulatedMarket(MarketSettings(strikes_each_side=1))
    assert len(market.day("NIFTY", dt.date(2026, 7, 31)).index.start) == 375
    assert len(market.day("NIFTY", dt.date(2026, 8, 3)).index.start) == 385


def test_special_sessions_and_the_year_nobody_has_a_calendar_for():
    market = SimulatedMarket(MarketSettings(strikes_each_side=1))
    two_sites = market.day("NIFTY", dt.date(2024, 3, 2))
    assert len(two_sites.index.start) == 45 + 60
    assert ist_text(int(two_sites.chains[0].start[45])) == "2024-03-02T11:30:00+05:30"
    muhurat = market.day("NIFTY", dt.date(2025, 10, 21)).index
    assert len(muhurat.start) == 60
    assert muhurat.high.max() / muhurat.low.min() < 1.01
    late = market.day("BANKNIFTY", dt.date(2026, 12, 30))
    assert late.chains[0].expiry.year == 2027


def test_expiries_are_the_real_ones():
    market = SimulatedMarket(MarketSettings(strikes_each_side=1))
    listed = {
        ("NIFTY", dt.date(2025, 8, 29)): (dt.date(2025, 9, 2), dt.date(2025, 9, 30)),
        ("NIFTY", dt.date(2025, 9, 30)): (dt.date(2025, 9, 30), dt.date(2025, 10, 28)),
        ("BANKNIFTY", dt.date(2025, 9, 3)): (dt.date(2025, 9, 30), dt.date(2025, 10, 28)),
        ("SENSEX", dt.date(2025, 9, 3)): (dt.date(2025, 9, 4), dt.date(2025, 9, 25)),
    }
    for (name, on), expected in listed.items():
        made = market.day(name, on)
        assert tuple(chain.expiry for chain in made.chains) == expected
    assert made.future.instrument == "BSE|FUT|SENSEX|2025-09-25"


def test_bars_hold_together(day):
    chains = [tuple(field(c, n) for n in ("open", "high", "low", "close")) for c in day.chains]
    bars = [(b.open, b.high, b.low, b.close) for b in (day.index, day.future)]
    for opening, high, low, close in [*chains, *bars]:
        assert (low <= np.minimum(opening, close)).all()
        assert (high >= np.maximum(opening, close)).all()
        assert low.min() >= TICK
        for price in (opening, high, low, close):
            assert np.array_equal(price, np.rint(price * 20) / 20)
    steps = {"NIFTY": 10, "BANKNIFTY": 5, "SENSEX": 20}[day.underlying]
    assert np.array_equal(day.future.high, np.rint(day.future.high * steps) / steps)


def test_volume_and_oi_are_whole_lots(day):
    rules = ContractRules()
    for chain in day.chains:
        lot = rules.lot_size(day.underlying, chain.expiry, DAY)
        for name in ("volume", "oi"):
            assert (field(chain, name) % lot == 0).all()
            assert field(chain, name).min() >= lot
    lot = rules.lot_size(day.underlying, parse_id(day.future.instrument).expiry, DAY)
    assert (day.future.volume % lot == 0).all()
    assert (day.future.oi % lot == 0).all()


def test_closes_lie_within_the_quotes(day):
    for chain in day.chains:
        bid, ask, close = (field(chain, name) for name in ("bid", "ask", "close"))
        assert (bid >= TICK).all()
        assert (ask > bid).all()
        assert ((bid <= close) & (close <= ask)).all()


def test_no_arbitrage_at_the_quotes(day):
    for chain in day.chains:
        bid, ask = field(chain, "bid"), field(chain, "ask")
        slack = TICK + 1e-9  # a quote cannot go below one tick, however little the option is worth
        assert (ask[:, CE, :-1] - bid[:, CE, 1:] >= -slack).all()
        assert (ask[:, PE, 1:] - bid[:, PE, :-1] >= -slack).all()
        fly = ask[:, :, :-2] + ask[:, :, 2:] - 2.0 * bid[:, :, 1:-1]
        assert fly.min() >= -2.0 * slack
        mid = 0.5 * (bid + ask)
        assert (np.diff(mid[:, CE], axis=1) <= slack).all()
        assert (np.diff(mid[:, PE], axis=1) >= -slack).all()


def test_put_call_parity_holds_within_the_spread(day, market):
    s = market.settings
    for chain in day.chains:
        left = (ist_ns(chain.expiry, "15:30") - (chain.start + 55_000_000_000)) / (365 * 86_400e9)
        forward = day.index.close * np.exp((s.rate - s.dividend_yield) * left)
        fair = np.exp(-s.rate * left)[:, None] * (forward[:, None] - chain.strikes)
        bid, ask = field(chain, "bid"), field(chain, "ask")
        slack = 2.0 * TICK
        assert (bid[:, CE] - ask[:, PE] <= fair + slack).all()
        assert (ask[:, CE] - bid[:, PE] >= fair - slack).all()


def test_oi_piles_up_at_round_strikes_and_pcr_is_plausible(market):
    for name in NAMES:
        step = market.settings.indices[name].round_step
        lifts, pcrs = [], []
        for d in sessions(dt.date(2025, 6, 2), 12):
            chain = market.day(name, d).chains[0]
            oi = field(chain, "oi")[-1].sum(axis=0)
            at = np.flatnonzero(chain.strikes % step == 0.0)
            at = at[(at > 0) & (at < len(oi) - 1)]
            lifts += list(oi[at] / (0.5 * (oi[at - 1] + oi[at + 1])))
            ratio = field(chain, "oi")[:, PE].sum(axis=1) / field(chain, "oi")[:, CE].sum(axis=1)
            pcrs += [ratio.min(), ratio.max()]
        assert np.mean(lifts) > 1.5
        assert min(pcrs) > 0.45
        assert max(pcrs) < 1.9
        assert np.median(pcrs) == pytest.approx(1.0, abs=0.35)


def test_writers_answer_to_the_price(month):
    """Calls' less puts' open interest falls over half hours in which the index rises."""
    market = SimulatedMarket(MarketSettings(strikes_each_side=10), 11)
    moves, changes = [], []
    for d in sessions(dt.date(2025, 3, 3), 15):
        made = market.day("NIFTY", d)
        oi = field(made.chains[0], "oi").sum(axis=2)
        net = np.log(oi[:, CE] / oi[:, PE])
        moves += list(np.diff(np.log(made.index.close[::30])))
        changes += list(np.diff(net[::30]))
    assert np.corrcoef(moves, changes)[0, 1] < -0.5


def test_expiry_day_straddle_decays_to_intrinsic(market):
    expiry = dt.date(2025, 9, 9)
    made = market.day("NIFTY", expiry)
    chain = made.chains[0]
    assert chain.expiry == expiry
    close = field(chain, "close")
    straddle = close[:, CE] + close[:, PE]
    intrinsic = np.abs(made.index.close[:, None] - chain.strikes)
    time_value = (straddle - intrinsic).min(axis=1), (straddle - intrinsic).max(axis=1)
    morning, evening = float(time_value[1][0]), float(time_value[1][-1])
    assert morning > 60.0
    assert evening < 0.08 * morning
    near = np.abs(chain.strikes - made.index.close[-1]) < 500
    spread = (field(chain, "ask") - field(chain, "bid"))[-1].sum(axis=0)
    assert (np.abs(straddle - intrinsic)[-1][near] <= spread[near] + 6.0).all()
    oi = field(chain, "oi").sum(axis=(1, 2))
    assert oi[-1] < 0.8 * oi[0]


def test_realised_volatility_fat_tails_and_u_shape(month):
    for name in NAMES:
        bars = month[name]
        returns = [np.diff(np.log(np.concatenate([b.open[:1], b.close]))) for b in bars]
        daily = np.diff([math.log(b.close[-1]) for b in bars])
        assert 0.05 < np.std(daily) * math.sqrt(252) < 0.40
        minute = np.concatenate(returns)
        assert 0.08 < np.std(minute) * math.sqrt(252 * 375) < 0.35
        z = (minute - minute.mean()) / minute.std()
        assert (z**4).mean() > 4.0
        parts = ((0, 60), (150, 240), (315, 375))
        first, middle, last = (np.std(np.concatenate([r[a:b] for r in returns])) for a, b in parts)
        assert first > 1.2 * middle
        assert last > 1.1 * middle


def test_indices_move_together_and_against_vix(month):
    returns = {name: np.concatenate([np.diff(np.log(b.close[::5])) for b in month[name]]) for name in month}
    correlation = np.corrcoef([returns[name] for name in (*NAMES, "INDIAVIX")])
    assert correlation[0, 2] > 0.9
    assert 0.7 < correlation[0, 1] < 0.95
    assert -0.9 < correlation[0, 3] < -0.5
    assert all(8.0 < b.low.min() < b.high.max() < 45.0 for b in month["INDIAVIX"])


def test_there_are_gaps_overnight_and_no_jump_between_minutes(month):
    bars = month["NIFTY"]
    gaps = np.array([math.log(b.open[0] / a.close[-1]) for a, b in pairwise(bars)])
    assert 0.001 < np.std(gaps) < 0.01
    assert max(np.abs(np.log(b.open[1:] / b.close[:-1])).max() for b in bars) < 0.004


def test_levels_stay_believable_over_the_years():
    market = SimulatedMarket(MarketSettings(strikes_each_side=1), 2)
    levels = [market.day("NIFTY", dt.date(year, 6, 1)).index.close[-1] for year in (2016, 2021, 2026)]
    assert 6_000 < levels[0] < 16_000
    assert 11_000 < levels[1] < 26_000
    assert 18_000 < levels[2] < 42_000


def test_volume_peaks_near_the_money(day):
    chain = day.chains[0]
    volume = field(chain, "volume").sum(axis=0)
    middle = np.abs(chain.strikes - day.index.close.mean()).argmin()
    assert abs(int(volume[CE].argmax()) - middle) <= 12
    assert volume[CE, middle + 3] > volume[CE, middle - 8]
    busy = field(chain, "volume").sum(axis=(1, 2))
    assert busy[:30].mean() > 1.5 * busy[150:240].mean()


def test_volatility_smiles_with_the_dearer_side_below(market):
    """Implied from the mids of out-of-the-money options, a week before expiry and on a clock of one's own."""
    chain = market.day("NIFTY", DAY).chains[0]
    mid = 0.5 * (field(chain, "bid") + field(chain, "ask"))[200]
    forward = chain.strikes[40] + mid[CE, 40] - mid[PE, 40]

    def implied(right, k):
        def miss(sigma):
            return black.price(forward, chain.strikes[k], 4.5 / 252, sigma, 1.0, right == CE) - mid[right, k]

        return brentq(lambda sigma: float(miss(sigma)), 0.01, 2.0)

    below, middle, above = implied(PE, 28), implied(CE, 41), implied(CE, 54)
    assert 0.06 < middle < 0.4
    assert below > 1.05 * middle
    assert below > 1.03 * above
