"""W3, and W1 as its smallest case, in vectorbt: all pairs as columns of one array, no event loop.

Compilation is paid by a first call and reported apart as first_s. `--workers N` splits the pairs over N forked
processes, because one call uses one core; `--w1` runs the single pair of W1.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import vectorbt as vbt
from work import CASH, FAST, FEE, SLOW, SWEEP, Report, index_data


def averages(close, spans):
    return np.column_stack([close.ewm(span=span, adjust=False).mean() for span in spans])


def backtest(close, opening, pairs):
    """Orders and final value of each pair; the signal of one bar trades at the open of the next."""
    spans = sorted({span for pair in pairs for span in pair})
    column = {span: k for k, span in enumerate(spans)}
    smooth = averages(close, spans)
    above = smooth[:, [column[f] for f, _ in pairs]] > smooth[:, [column[s] for _, s in pairs]]
    known = np.arange(len(close))[:, None] >= np.array([slow for _, slow in pairs])
    signal = np.vstack([np.zeros((1, len(pairs)), bool), above[:-1]])
    portfolio = vbt.Portfolio.from_signals(
        close,
        signal & known,
        short_entries=~signal & known,
        price=opening,
        size=1.0,
        fees=FEE,
        init_cash=CASH,
        freq="1min",
    )
    return np.atleast_1d(portfolio.orders.count()), np.atleast_1d(portfolio.final_value())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--w1", action="store_true")
    options = parser.parse_args()
    pairs = [(FAST, SLOW)] if options.w1 else list(SWEEP)
    report = Report("w1" if options.w1 else "w3", f"vectorbt, {options.workers} process", vectorbt=vbt.__version__)
    ts, bars = index_data("w1")
    index = pd.to_datetime(ts)
    close, opening = pd.Series(bars[:, 3], index), pd.Series(bars[:, 0], index)
    with report.timed("first"):
        backtest(close, opening, pairs[:2])
    with report.timed("run"):
        if options.workers == 1:
            parts = [backtest(close, opening, pairs)]
        else:
            chunks = [pairs[k :: options.workers] for k in range(options.workers)]
            with ProcessPoolExecutor(options.workers, get_context("fork")) as pool:
                jobs = [pool.submit(backtest, close, opening, chunk) for chunk in chunks]
                parts = [job.result() for job in jobs]
    orders, equity = (np.concatenate(column) for column in zip(*parts, strict=True))
    report.print(
        events=len(pairs) * len(ts),
        trades=int(orders.sum()),
        equity=round(float(equity.mean()), 2),
        pairs=len(pairs),
        s_per_1000_param_years=round(1000.0 * report.fields["run_s"] / len(pairs), 2),
    )


if __name__ == "__main__":
    main()
