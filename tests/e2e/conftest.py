"""Real market data in a database, made once a session."""

from __future__ import annotations

import pytest
from e2e_helpers import DATA, NSE_FILE, TICK_FILE

from sos_actors.sources.facts import market_facts
from sos_actors.sources.ingest import ingest
from sos_actors.sources.source import DatabaseSource
from sos_actors.storage.market_store import MarketStore

KITE = "chain_5m_{}_2025-12-31_2026-01-13_kite.parquet"


@pytest.fixture(scope="session")
def real_home(tmp_path_factory):
    """A home folder whose database holds the days the tests play; skips where there is no real data."""
    if not DATA.exists():
        pytest.skip("no real market data here")
    home = tmp_path_factory.mktemp("home")
    files = [NSE_FILE, TICK_FILE, *(DATA / KITE.format(name) for name in ("NIFTY", "BANKNIFTY"))]
    files += [DATA / "index_1m_NIFTY.csv.gz", DATA / "index_5m_NIFTY.csv.gz"]
    facts = market_facts()
    with MarketStore(home / "market.db") as store:
        ingest(files, store, facts=facts)
    return home


@pytest.fixture(scope="session")
def real(real_home):
    """That database as a source of history."""
    with MarketStore(real_home / "market.db", readonly=True) as store:
        yield DatabaseSource(store)
