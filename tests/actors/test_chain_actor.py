"""The chain actor: a snapshot a minute whatever comes, and an index where the data has none."""

from itertools import pairwise
from math import exp

import numpy as np
import pytest
from actor_helpers import DAY, INDEX, Ear, chain_of, clock_of, index_bars, ist, market_day

from sos_actors import assembly
from sos_actors.actors.chain import ChainActor
from sos_actors.actors.feed import FeedActor
from sos_actors.config import Config
from sos_actors.messages import Bar, ChainSnapshot
from sos_actors.quant.analyst import ChainAnalyst
from sos_actors.runtime import Session, SimRuntime


def _run(day, *topics, ends="09:40"):
    heard = []
    runtime = SimRuntime(strict=True)
    runtime.spawn(FeedActor, "feed", lambda _: [day])
    settings = Config().chain
    runtime.spawn(
        ChainActor, "chain/NIFTY", ChainAnalyst("NIFTY", settings), assembly.years_to_expiry_of("NIFTY"),
        lambda _: None, rate=settings.rate,
    )  # fmt: skip
    runtime.spawn(Ear, "ear", heard, *topics)
    runtime.clock.follow([Session(DAY, ist("09:15"), ist(ends))])
    runtime.run()
    assert not len(runtime.dead_letters)
    return heard


def test_a_snapshot_every_minute_and_old_ones_marked():
    index = index_bars({}, until="09:30")
    heard = _run(market_day(index, chain_of(index, missing=("09:18", "09:22", "09:23"))), (ChainSnapshot, "NIFTY"))
    assert [clock_of(snapshot.ts) for snapshot in heard] == [f"09:{minute}" for minute in range(16, 41)]
    stale = {clock_of(snapshot.ts) for snapshot in heard if "stale" in snapshot.missing}
    assert stale == {"09:19", "09:23", "09:24", *(f"09:{minute}" for minute in range(31, 41))}
    before, repeated = heard[2], heard[3]
    assert repeated.pcr == before.pcr
    assert repeated.ts == before.ts + 60_000_000_000


def test_nothing_is_said_before_the_first_frame():
    index = index_bars({}, until="09:30")
    late = chain_of(index, missing=("09:15", "09:16", "09:17"))
    heard = _run(market_day(index, late), (ChainSnapshot, "NIFTY"))
    assert clock_of(heard[0].ts) == "09:19"
    assert "stale" not in heard[0].missing


def test_the_index_is_derived_from_the_forward_where_the_data_has_none():
    index = index_bars({"09:20": (24_500, 24_520, 24_500, 24_520)}, until="09:30")
    chain = chain_of(index, missing=("09:23",))
    heard = _run(market_day(None, chain), (Bar, INDEX), (ChainSnapshot, "NIFTY"))
    snapshots = {m.ts: m for m in heard if isinstance(m, ChainSnapshot)}
    bars = [m for m in heard if isinstance(m, Bar)]
    assert [clock_of(bar.end) for bar in bars] == [f"09:{m}" for m in range(16, 31) if m != 24]
    rate = Config().chain.rate
    for bar in bars:
        snapshot = snapshots[bar.end]
        assert bar.close == pytest.approx(snapshot.forward * exp(-rate * snapshot.years), abs=0.01)
        # Within a minute only its end is known: the bar runs from the price before to this one.
        assert (bar.high, bar.low) == (max(bar.open, bar.close), min(bar.open, bar.close))
    assert all(later.open == earlier.close for earlier, later in pairwise(bars))
    # Put and call are both dear by 80 points here: the forward is 24,500, the spot two days of interest below it.
    by_end = {clock_of(bar.end): bar.close for bar in bars}
    assert by_end["09:20"] == pytest.approx(24_494.5, abs=1)
    assert by_end["09:21"] - by_end["09:20"] == pytest.approx(20, abs=0.5)
    # The bar goes out before the snapshot it was made of, so that whoever waits for both waits only once.
    assert heard.index(bars[0]) < heard.index(snapshots[bars[0].end])


def test_an_index_of_its_own_is_left_alone():
    index = index_bars({}, until="09:30")
    heard = _run(market_day(index, chain_of(index)), (Bar, INDEX))
    assert len(heard) == 15
    assert all(np.isclose(bar.close, 24_500) for bar in heard)
