"""W1 as a bare loop: no engine, the floor, and the definition of the trades every engine must make."""

import sys

from work import CASH, FAST, FEE, SLOW, Report, index_data


def run(opens, closes):
    """Flips and final equity, trading at the open after the signal."""
    quick, slow = 2 / (FAST + 1), 2 / (SLOW + 1)
    fast_ema = slow_ema = closes[0]
    cash, held, wanted, flips = CASH, 0, 0, 0
    for bar, (opening, close) in enumerate(zip(opens, closes, strict=True), start=1):
        if wanted != held:
            units = wanted - held
            cash -= units * opening + abs(units) * opening * FEE
            held = wanted
            flips += 1
        fast_ema += quick * (close - fast_ema)
        slow_ema += slow * (close - slow_ema)
        if bar >= SLOW:
            wanted = 1 if fast_ema > slow_ema else -1
    return flips, cash + held * closes[-1]


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "w1"
    report = Report(name, "bare loop")
    _, bars = index_data(name)
    opens, closes = bars[:, 0].tolist(), bars[:, 3].tolist()
    with report.timed("run"):
        flips, equity = run(opens, closes)
    report.print(events=len(closes), trades=flips, equity=round(equity, 2))


if __name__ == "__main__":
    main()
