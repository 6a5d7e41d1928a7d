"""Inputs every engine is measured on, written once as .npy under $PEERS_DATA (default peers-data/).

The recipe is fixed to the draw: other engines' published figures, and the results that `bench/peers` expects,
belong to these very arrays. All times are the starts of minutes, UTC ns; a bar is known a minute later.

    w1, w1x10   an index at one minute, 250 and 2,500 sessions of 375 minutes. Columns open, high, low, close, volume.
                Each bar opens where the last one closed, so that filling at this close or the next open is the same.
    w2          an index and 80 strikes of calls and puts over five sessions: [instrument, minute, column], with open
                interest as sixth column; the index first, then calls, then puts by strike.
"""

import argparse
import os
from pathlib import Path

import numpy as np

SEED = 7
MINUTE = 60_000_000_000
SESSION = 375
FIRST_DAY = "2015-01-01"
OPEN_UTC_MINUTES = 3 * 60 + 45
TICK = 0.05
LEVEL, SIGMA = 24_000.0, 4e-4
STRIKES, STEP, LOT = 80, 50.0, 75


def minute_starts(sessions):
    """Start of every minute of that many weekdays from FIRST_DAY on."""
    days = np.busday_offset(FIRST_DAY, np.arange(sessions), roll="forward").astype("datetime64[ns]").astype(np.int64)
    return np.add.outer(days + OPEN_UTC_MINUTES * MINUTE, MINUTE * np.arange(SESSION)).reshape(-1)


def on_tick(price):
    return np.round(np.round(np.asarray(price) / TICK) * TICK, 2)


def index_bars(rng, count):
    """A geometric random walk as bars. The order of the three draws is part of the recipe."""
    close = on_tick(LEVEL * np.exp(np.cumsum(rng.normal(0.0, SIGMA, count))))
    opening = np.append(LEVEL, close[:-1])
    up, down = np.abs(rng.normal(0.0, SIGMA / 2, (2, count))) * close
    high = on_tick(np.maximum(opening, close) + up + TICK)
    low = on_tick(np.minimum(opening, close) - down - TICK)
    volume = rng.integers(100, 5_000, count).astype(np.float64)
    return np.stack([opening, high, low, close, volume], axis=1)


def option_bars(rng, distance):
    """One option's six columns. `distance` [minute]: how far it is in the money, points."""
    count = len(distance)
    fair = np.maximum(distance, 0.0) + 180.0 * np.exp(-((distance / 600.0) ** 2))
    close = on_tick(np.maximum(fair + rng.normal(0.0, 0.4, count), 1.0))
    opening = np.append(close[0], close[:-1])
    high = on_tick(np.maximum(opening, close) + TICK)
    low = on_tick(np.minimum(opening, close) - TICK)
    volume = rng.integers(1, 200, count) * LOT
    oi = np.maximum(750, 150_000 + LOT * np.cumsum(rng.integers(-40, 41, count)))
    return np.stack([opening, high, low, close, volume, oi], axis=1)


def chain_bars(sessions=5):
    """All instruments of w2, and their strikes."""
    rng = np.random.default_rng(SEED)
    count = sessions * SESSION
    strikes = LEVEL + STEP * (np.arange(STRIKES) - STRIKES // 2)
    index = np.zeros((count, 6))
    index[:, :5] = index_bars(rng, count)
    calls = [option_bars(rng, index[:, 3] - strike) for strike in strikes]
    puts = [option_bars(rng, strike - index[:, 3]) for strike in strikes]
    return np.stack([index, *calls, *puts]), strikes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("PEERS_DATA", "peers-data")))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for name, sessions in (("w1", 250), ("w1x10", 2_500)):
        np.save(out / f"{name}_ts.npy", minute_starts(sessions))
        np.save(out / f"{name}_ohlcv.npy", index_bars(np.random.default_rng(SEED), sessions * SESSION))
    bars, strikes = chain_bars()
    np.save(out / "w2_ts.npy", minute_starts(5))
    np.save(out / "w2_bars.npy", bars)
    np.save(out / "w2_strikes.npy", strikes)
    print(f"inputs written to {out}")


if __name__ == "__main__":
    main()
