"""W2 as a bare loop: no engine, the floor, and the definition of the trades every engine must make."""

from work import CASH, ENTRY_MINUTES, EXIT_MINUTES, FEE, LOT, SESSION, Report, at_the_money, chain_data


def run(closes, ois, strikes):
    """Round trips, final equity and mean put-call ratio; every event is touched once."""
    n = len(strikes)
    price, oi = [0.0] * (1 + 2 * n), [0.0] * (1 + 2 * n)
    cash, held, trips, total = CASH, None, 0, 0.0
    for minute, (minute_closes, minute_ois) in enumerate(zip(closes, ois, strict=True)):
        for k, close in enumerate(minute_closes):
            price[k] = close
            oi[k] = minute_ois[k]
        ratio = sum(oi[1 + n :]) / sum(oi[1 : 1 + n])
        total += ratio
        at = minute % SESSION
        if held is not None and at in EXIT_MINUTES:
            cash += LOT * price[held] * (1.0 - FEE)
            held = None
        if at in ENTRY_MINUTES:
            held = 1 + at_the_money(price[0], strikes) + (0 if ratio > 1 else n)
            cash -= LOT * price[held] * (1.0 + FEE)
            trips += 1
    return trips, cash, total / len(closes)


def main():
    report = Report("w2", "bare loop")
    ts, bars, strikes = chain_data()
    closes, ois = bars[:, :, 3].T.tolist(), bars[:, :, 5].T.tolist()
    with report.timed("run"):
        trips, equity, ratio = run(closes, ois, strikes.tolist())
    report.print(
        events=bars.shape[0] * bars.shape[1],
        trades=trips,
        equity=round(equity, 2),
        pcr_mean=round(ratio, 8),
        s_per_day=round(report.fields["run_s"] * SESSION / len(ts), 4),
    )


if __name__ == "__main__":
    main()
