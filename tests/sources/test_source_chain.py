import datetime as dt

import numpy as np
import pytest

from sos_actors.market.day import BarColumns, ChainColumns, MarketDay
from sos_actors.sources.source import DatabaseSource, SourceChain
from sos_actors.storage.market_store import MarketStore
from sos_actors.storage.merging import same_columns

DAY = dt.date(2025, 9, 2)
NINE_FIFTEEN = 1_756_784_700_000_000_000


class Broker:
    name = "broker"

    def __init__(self, *days):
        self.days, self.asked = days, []

    def load_day(self, underlying, day):
        self.asked.append(day)
        if day not in self.days:
            return None
        one = np.array([24_500.05])
        start = np.array([NINE_FIFTEEN])
        bars = BarColumns("NSE|INDEX|NIFTY", 60, start, one, one, one, one, one, one)
        chains = tuple(
            ChainColumns("NIFTY", day + dt.timedelta(days=7 * week), 60, start, one, np.ones((1, 8, 2, 1)))
            for week in (0, 1)
        )
        return MarketDay(underlying, day, bars, None, chains, self.name)


@pytest.fixture
def store(tmp_path):
    with MarketStore(tmp_path / "market.db") as opened:
        yield opened


def test_what_a_later_source_brings_is_kept_for_the_next_time(store):
    broker = Broker(DAY)
    chain = SourceChain([DatabaseSource(store), broker], store)
    first = chain.load_day("NIFTY", DAY)
    assert first.source == "broker"
    second = chain.load_day("NIFTY", DAY)
    assert broker.asked == [DAY]
    assert same_columns(first.index, second.index)
    assert len(first.chains) == len(second.chains) == 1
    assert len(DatabaseSource(store, every_expiry=True).load_day("NIFTY", DAY).chains) == 2


def test_order_and_strictness(store):
    first, second = Broker(), Broker(DAY)
    assert SourceChain([first, second]).load_day("NIFTY", DAY) is not None
    assert (first.asked, second.asked) == ([DAY], [DAY])
    assert store.days("NIFTY") == []
    assert SourceChain([DatabaseSource(store)]).load_day("NIFTY", DAY) is None
    assert SourceChain([first, second], store).load_day("NIFTY", DAY + dt.timedelta(days=1)) is None
