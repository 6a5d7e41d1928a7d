"""W1 in backtrader on its fast path: preload and runonce, no observers, no analyzers."""

import sys

import backtrader as bt
from backtrader_feed import day_numbers, feed
from work import CASH, FAST, FEE, SLOW, Report, index_data


class Cross(bt.Strategy):
    """Turns the position over whenever the fast average changes sides."""

    def __init__(self):
        close = self.data.close
        self.gap = bt.ind.EMA(close, period=FAST) - bt.ind.EMA(close, period=SLOW)
        self.side = self.flips = 0

    def next(self):
        side = 1 if self.gap[0] > 0.0 else -1
        if side != self.side:
            self.side = side
            self.flips += 1
            self.order_target_size(target=side)


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "w1"
    report = Report(name, "backtrader", backtrader=bt.__version__)
    ts, bars = index_data(name)
    with report.timed("build"):
        engine = bt.Cerebro(preload=True, runonce=True, stdstats=False)
        engine.adddata(feed(day_numbers(ts), bars))
        engine.broker.setcash(CASH)
        engine.broker.setcommission(commission=FEE)
        engine.addstrategy(Cross)
    with report.timed("run"):
        (strategy,) = engine.run()
    report.print(events=len(ts), trades=strategy.flips, equity=round(engine.broker.getvalue(), 2))


if __name__ == "__main__":
    main()
