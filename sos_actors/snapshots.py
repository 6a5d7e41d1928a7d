"""What the chain actor computes of stored days, for export: the same actors as in a backtest, without strategies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from sos_actors import assembly
from sos_actors.actors.chain import ChainActor
from sos_actors.actors.collector import SnapshotCollectorActor
from sos_actors.actors.feed import FeedActor
from sos_actors.config import Config
from sos_actors.market.calendar import INDIA
from sos_actors.market.day import MarketDay
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.messages import ChainSnapshot
from sos_actors.quant.analyst import ChainAnalyst
from sos_actors.runtime import SimRuntime, sessions_of
from sos_actors.runtime.supervision import VITAL
from sos_actors.sources.source import HistorySource


def chain_snapshots(
    history: HistorySource, underlying: str, days: Sequence[dt.date], config: Config
) -> Iterator[ChainSnapshot]:
    """Give the snapshot of every minute that has a chain, day by day. Days without one are passed over."""
    for day in days:
        found: list[ChainSnapshot] = []
        runtime = SimRuntime()
        try:
            runtime.spawn(FeedActor, "feed", lambda d: _loaded(history, underlying, d), policy=VITAL)
            runtime.spawn(
                ChainActor,
                f"chain/{underlying}",
                ChainAnalyst(underlying, config.chain),
                assembly.years_to_expiry_of(underlying),
                lambda d: history.day_stats(underlying, d),
                rate=config.chain.rate,
                policy=VITAL,
            )
            runtime.spawn(SnapshotCollectorActor, "collector", underlying, found.append, policy=VITAL)
            runtime.clock.follow(sessions_of(day, INDIA.sessions(EXCHANGE_OF[underlying], day)))
            runtime.run()
        finally:
            runtime.close()
        yield from found


def _loaded(history: HistorySource, underlying: str, day: dt.date) -> list[MarketDay]:
    found = history.load_day(underlying, day)
    return [] if found is None else [found]
