"""W1 in nautilus_trader's BacktestEngine, set up for speed: one order a flip, netting.

An order sent on a bar fills at that bar's close: on bars alone there is no fill at the next open. `--no-orders` leaves
the orders out, to tell the price of a bar from the price of a trade.
"""

import sys

import nautilus_setup as setup
import nautilus_trader
from nautilus_trader.config import StrategyConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Quantity
from nautilus_trader.trading.strategy import Strategy
from work import FAST, SLOW, Report, index_data


class CrossConfig(StrategyConfig, frozen=True):
    instrument_id: InstrumentId
    orders: bool = True


class Cross(Strategy):
    """Turns the position over whenever the fast average changes sides."""

    def __init__(self, config):
        super().__init__(config)
        self.quick, self.slow = ExponentialMovingAverage(FAST), ExponentialMovingAverage(SLOW)
        self.side = self.flips = 0

    def on_start(self):
        followed = setup.bar_type(self.config.instrument_id)
        for average in (self.quick, self.slow):
            self.register_indicator_for_bars(followed, average)
        self.subscribe_bars(followed)
        self.sizes = Quantity.from_int(1), Quantity.from_int(2)

    def on_bar(self, bar):  # noqa: ARG002  the averages follow the bar by themselves
        if not self.slow.initialized:
            return
        side = 1 if self.quick.value > self.slow.value else -1
        if side == self.side:
            return
        size = self.sizes[self.side != 0]
        self.side = side
        self.flips += 1
        if self.config.orders:
            way = OrderSide.BUY if side > 0 else OrderSide.SELL
            self.submit_order(self.order_factory.market(self.config.instrument_id, way, size))


def main():
    orders = "--no-orders" not in sys.argv
    name = next((arg for arg in sys.argv[1:] if not arg.startswith("-")), "w1")
    label = "nautilus_trader" + ("" if orders else ", no orders")
    report = Report(name, label, nautilus_trader=nautilus_trader.__version__)
    ts, columns = index_data(name)
    with report.timed("build"):
        engine, instrument = setup.engine(), setup.future(ts[-1])
        engine.add_instrument(instrument)
        engine.add_data(setup.bars(instrument.id, columns.T, ts))
        strategy = Cross(CrossConfig(instrument_id=instrument.id, orders=orders))
        engine.add_strategy(strategy)
    with report.timed("run"):
        engine.run()
    unrealized = engine.portfolio.unrealized_pnl(instrument.id)
    equity = engine.portfolio.account(setup.NSE).balance_total().as_double()
    equity += unrealized.as_double() if unrealized else 0.0
    count = engine.cache.orders_total_count()
    report.print(events=len(ts), trades=strategy.flips, orders=count, equity=round(equity, 2))


if __name__ == "__main__":
    main()
