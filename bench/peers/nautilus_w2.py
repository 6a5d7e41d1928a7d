"""W2 in nautilus_trader. Neither its bars nor its quotes carry open interest, so it travels in a field of theirs.

By default each event is a quote at the close with no spread, its bid size the open interest: the quickest way a user
has. `--bars` sends bars with the open interest as their volume. The ratio is worked out once a minute, when the last
instrument of the minute has arrived.
"""

import sys

import nautilus_setup as setup
import nautilus_trader
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.trading.strategy import Strategy
from work import ENTRY_MINUTES, EXIT_MINUTES, LOT, SESSION, Report, at_the_money, chain_data


class RatioConfig(StrategyConfig, frozen=True):
    """`ids`: the index, then calls, then puts by strike."""

    ids: list
    strikes: list
    bars: bool


class RatioTrader(Strategy):
    """The put-call ratio every minute, ten round trips a session."""

    def __init__(self, config):
        super().__init__(config)
        n = len(config.strikes)
        self.index, self.calls, self.puts = config.ids[0], config.ids[1 : 1 + n], config.ids[1 + n :]
        self.last = config.ids[-1]
        self.call_oi, self.put_oi = dict.fromkeys(self.calls, 0.0), dict.fromkeys(self.puts, 0.0)
        self.spot = self.total = 0.0
        self.seen = self.trips = 0
        self.held = None

    def on_start(self):
        self.lot = Quantity.from_int(LOT)
        for ident in self.config.ids:
            if self.config.bars:
                self.subscribe_bars(setup.bar_type(ident))
            else:
                self.subscribe_quote_ticks(ident)

    def on_bar(self, bar):
        self.hear(bar.bar_type.instrument_id, bar.close, bar.volume)

    def on_quote_tick(self, tick):
        self.hear(tick.instrument_id, tick.bid_price, tick.bid_size)

    def hear(self, ident, price, oi):
        if ident in self.call_oi:
            self.call_oi[ident] = oi.as_double()
        elif ident in self.put_oi:
            self.put_oi[ident] = oi.as_double()
            if ident == self.last:
                self.decide()
        else:
            self.spot = price.as_double()

    def decide(self):
        ratio = sum(self.put_oi.values()) / sum(self.call_oi.values())
        self.total += ratio
        at = self.seen % SESSION
        self.seen += 1
        if self.held is not None and at in EXIT_MINUTES:
            self.submit_order(self.order_factory.market(self.held, OrderSide.SELL, self.lot))
            self.held = None
        if at in ENTRY_MINUTES:
            self.held = (self.calls if ratio > 1 else self.puts)[at_the_money(self.spot, self.config.strikes)]
            self.submit_order(self.order_factory.market(self.held, OrderSide.BUY, self.lot))
            self.trips += 1


def quotes(instrument_id, rows, known):
    made = []
    for close, oi, at in zip(rows[:, 3].tolist(), rows[:, 5].tolist(), known.tolist(), strict=True):
        price, size = Price(close, 2), Quantity(max(oi, 1), 0)
        made.append(QuoteTick(instrument_id, price, price, size, size, at, at))
    return made


def main():
    as_bars = "--bars" in sys.argv
    label = "nautilus_trader, " + ("bars" if as_bars else "quotes")
    report = Report("w2", label, nautilus_trader=nautilus_trader.__version__)
    ts, rows, strikes = chain_data()
    with report.timed("build"):
        engine = setup.engine()
        listed = [setup.future(ts[-1])]
        listed += [setup.option(strike, right, ts[-1]) for right in ("CE", "PE") for strike in strikes]
        for instrument in listed:
            engine.add_instrument(instrument)
        known = setup.known_at(ts)
        if as_bars:
            each = [setup.bars(i.id, r[:, (0, 1, 2, 3, 5)].T, ts) for i, r in zip(listed, rows, strict=True)]
        else:
            each = [quotes(i.id, r, known) for i, r in zip(listed, rows, strict=True)]
        # In order of arrival: each minute's events together, the index first.
        engine.add_data([event for minute in zip(*each, strict=True) for event in minute])
        del each
        strategy = RatioTrader(RatioConfig(ids=[i.id for i in listed], strikes=strikes.tolist(), bars=as_bars))
        engine.add_strategy(strategy)
    with report.timed("run"):
        engine.run()
    report.print(
        events=len(ts) * len(listed),
        trades=strategy.trips,
        orders=engine.cache.orders_total_count(),
        equity=round(engine.portfolio.account(setup.NSE).balance_total().as_double(), 2),
        pcr_mean=round(strategy.total / len(ts), 8),
        s_per_day=round(report.fields["run_s"] * SESSION / len(ts), 4),
    )


if __name__ == "__main__":
    main()
