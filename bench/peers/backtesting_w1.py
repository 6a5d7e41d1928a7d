"""W1 in backtesting.py. Its table of statistics cannot be switched off and is part of the run."""

import sys

import backtesting
import pandas as pd
from work import CASH, FAST, FEE, SLOW, Report, index_data


def smoothed(prices, span):
    return pd.Series(prices).ewm(span=span, adjust=False).mean().to_numpy()


class Cross(backtesting.Strategy):
    """Orders fill at the next open and close what is open first (exclusive_orders)."""

    def init(self):
        close = self.data.Close
        self.quick = self.I(smoothed, close, FAST, plot=False)
        self.slow = self.I(smoothed, close, SLOW, plot=False)

    def next(self):
        if len(self.data) < SLOW:
            return
        upward = self.quick[-1] > self.slow[-1]
        if upward and not self.position.is_long:
            self.buy(size=1)
        elif not upward and not self.position.is_short:
            self.sell(size=1)


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "w1"
    report = Report(name, "backtesting.py", backtesting=backtesting.__version__, pandas=pd.__version__)
    backtesting.backtesting._tqdm = lambda rows, **_: rows  # no progress bar in the timing
    ts, bars = index_data(name)
    with report.timed("build"):
        table = pd.DataFrame(bars, pd.to_datetime(ts), ["Open", "High", "Low", "Close", "Volume"])
        test = backtesting.Backtest(
            table, Cross, cash=CASH, commission=FEE, exclusive_orders=True, finalize_trades=True
        )
    with report.timed("run"):
        stats = test.run()
    report.print(events=len(ts), trades=int(stats["# Trades"]), equity=round(float(stats["Equity Final [$]"]), 2))


if __name__ == "__main__":
    main()
