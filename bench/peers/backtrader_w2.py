"""W2 in backtrader: 161 feeds with its own open-interest line. `--event` goes bar by bar instead of runonce."""

import sys

import backtrader as bt
from backtrader_feed import day_numbers, feed
from work import CASH, ENTRY_MINUTES, EXIT_MINUTES, FEE, LOT, SESSION, Report, at_the_money, chain_data


class RatioTrader(bt.Strategy):
    """The put-call ratio every minute, ten round trips a session."""

    params = (("strikes", ()),)

    def __init__(self):
        n = len(self.p.strikes)
        self.calls, self.puts = self.datas[1 : 1 + n], self.datas[1 + n :]
        self.call_oi = [data.openinterest for data in self.calls]
        self.put_oi = [data.openinterest for data in self.puts]
        self.seen = self.trips = 0
        self.total = 0.0
        self.held = None

    def next(self):
        ratio = sum(line[0] for line in self.put_oi) / sum(line[0] for line in self.call_oi)
        self.total += ratio
        at = self.seen % SESSION
        self.seen += 1
        if self.held is not None and at in EXIT_MINUTES:
            self.sell(data=self.held, size=LOT)
            self.held = None
        if at in ENTRY_MINUTES:
            side = self.calls if ratio > 1 else self.puts
            self.held = side[at_the_money(self.data.close[0], self.p.strikes)]
            self.buy(data=self.held, size=LOT)
            self.trips += 1


def main():
    event = "--event" in sys.argv
    report = Report("w2", "backtrader" + (" by event" if event else ""), backtrader=bt.__version__)
    ts, bars, strikes = chain_data()
    with report.timed("build"):
        engine = bt.Cerebro(preload=not event, runonce=not event, stdstats=False)
        days = day_numbers(ts)
        for rows in bars:
            engine.adddata(feed(days, rows))
        engine.broker.setcash(CASH)
        engine.broker.setcommission(commission=FEE)
        engine.addstrategy(RatioTrader, strikes=strikes.tolist())
    with report.timed("run"):
        (strategy,) = engine.run()
    report.print(
        events=bars.shape[0] * len(ts),
        trades=strategy.trips,
        equity=round(engine.broker.getvalue(), 2),
        pcr_mean=round(strategy.total / len(ts), 8),
        s_per_day=round(report.fields["run_s"] * SESSION / len(ts), 4),
    )


if __name__ == "__main__":
    main()
