"""A real day of option minutes through desk, exchange and ledger."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from trading_helpers import Floor, StatedCharges, intent

from sos_actors.market.clocktime import clock_ns, ns_of_day
from sos_actors.market.ids import option_id
from sos_actors.messages import Bar, ExitReason, Fill, Right, TradeClosed
from sos_actors.trading.desk import DeskSettings, OrderDesk
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.matching import PaperExchange
from sos_actors.trading.paper_settings import PaperSettings

DATA = Path(os.environ.get("SOS_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
FILE = DATA / "options_1m_NIFTY_2025-03-12.parquet"
MINUTE = 60_000_000_000
START = 1_000_000_00

pytestmark = [pytest.mark.real_data, pytest.mark.skipif(not FILE.exists(), reason="no real market data")]


def bars_of_the_day():
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(FILE).to_pylist()
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    bars = []
    for row in rows:
        start = int(row["ts"].replace(tzinfo=zone).timestamp()) * 1_000_000_000
        name = option_id("NIFTY", row["expiry"], row["strike"], Right(row["right"]))
        bars.append(
            Bar(name, start, start + MINUTE, row["open"], row["high"], row["low"], row["close"], float(row["volume"]))
        )
    return sorted(bars, key=lambda item: (item.start, item.instrument))


def run_day(bars):
    desk = OrderDesk(DeskSettings(), Ledger(START, StatedCharges()))
    world = Floor(desk, PaperExchange(PaperSettings(), lambda _: 75))
    checked = 0
    for number, item in enumerate(bars):
        before = len(world.said)
        world.hear(world.exchange.open(item))
        world.hear(world.exchange.range(item))
        for message in world.said[before:]:
            if isinstance(message, Fill):
                slack = 0.001 * item.open + 0.10 + 1e-6
                assert item.low - slack <= message.price <= item.high + slack
                checked += 1
        world.send(desk.on_bar(item))
        if number + 1 == len(bars) or bars[number + 1].start != item.start:
            world.send(desk.on_minute(item.end))
        if number % 7 == 0 and ns_of_day(item.end) < clock_ns("15:00"):
            world.send(
                desk.on_intent(
                    intent(
                        f"i{number}",
                        item.end,
                        instrument=item.instrument,
                        entry=item.close,
                        signal_id=f"s{number}",
                        stop=round(item.close * 0.9 / 0.05) * 0.05,
                        target=round(item.close * 1.15 / 0.05) * 0.05,
                    )
                )
            )
    return world, checked


def test_a_real_day_balances_and_leaves_only_contracts_without_later_prices():
    bars = bars_of_the_day()
    world, checked = run_day(bars)
    trades = world.of(TradeClosed)
    assert checked > 100
    assert len(trades) > 50
    assert {ExitReason.STOP, ExitReason.TARGET} <= {trade.exit_reason for trade in trades}
    last = bars[-1].end
    prices = {item.instrument: item.close for item in bars}
    for instrument in world.desk.held():
        world.send(world.desk.settle(last, instrument, prices[instrument], ExitReason.END_OF_DATA))
    ledger = world.desk.ledger
    assert ledger.open_positions == 0
    assert sum(trade.net_paise for trade in world.of(TradeClosed)) == ledger.cash_paise - START
    assert all(trade.mae >= 0 <= trade.mfe for trade in world.of(TradeClosed))
    assert world.desk.anomaly_counts == {}


def test_a_real_day_is_the_same_twice():
    bars = bars_of_the_day()
    assert repr(run_day(bars)[0].said) == repr(run_day(bars)[0].said)
