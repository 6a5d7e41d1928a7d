"""W1 and W2 on our whole cast: one run in this process, one JSON line out. See bench/README.md for the works.

python bench/engine.py w1|w2|w2_full [--stage sim|live] [--profile]

w1       EMA 8/21 stop-and-reverse on the instrument itself: clock, feed, studies, strategy, selector, risk, orders,
         broker and ledger, each an actor.
w2       161 instruments, PCR every minute, ten option round trips a day by a strategy that only reads the PCR; the
         chain actor computes sentiment without IV and Greeks.
w2_full  the same day with IV and Greeks of all contracts every minute, and the whole playbook beside that strategy.
"""

from __future__ import annotations

import argparse
import cProfile
import datetime as dt
import json
import os
import pstats
import resource
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
began_import = time.perf_counter()

import msgspec  # noqa: E402
import numpy as np  # noqa: E402

from sos_actors import assembly  # noqa: E402
from sos_actors.config import Config  # noqa: E402
from sos_actors.market.charges import FlatCharges  # noqa: E402
from sos_actors.market.day import BarColumns, ChainColumns, MarketDay  # noqa: E402
from sos_actors.market.ids import index_id  # noqa: E402
from sos_actors.messages import ChainSnapshot, Direction, Flatten, Regime, Signal  # noqa: E402
from sos_actors.playbook.loader import Playbook, build_playbook, load_playbook  # noqa: E402
from sos_actors.quant.chain_settings import ChainSettings  # noqa: E402
from sos_actors.runtime import Actor, LiveRuntime, Session, SimRuntime, handles  # noqa: E402
from sos_actors.runtime.tuning import tune_for_throughput  # noqa: E402
from sos_actors.trading.debounce import DebounceSettings  # noqa: E402
from sos_actors.trading.exit_settings import ExitSettings  # noqa: E402
from sos_actors.trading.flow import DeskSettings  # noqa: E402
from sos_actors.trading.limits import RiskSettings  # noqa: E402
from sos_actors.trading.paper_settings import PaperSettings  # noqa: E402
from sos_actors.trading.selection import SelectionSettings  # noqa: E402
from sos_actors.trading.sizing import SizingSettings  # noqa: E402

import_s = time.perf_counter() - began_import

DATA = Path(os.environ.get("PEERS_DATA", "peers-data"))
MINUTE = 60_000_000_000
SESSION_MINUTES = 375
CASH, FEE = 100_000_000.0, 0.0003
ENTRY_MINUTES = frozenset(15 + 35 * k for k in range(10))
HOLD_MINUTES = 20
LOT = 75
EXPIRY = dt.date(2015, 1, 29)


def frictionless(quantity: int, *, greeks: bool) -> Config:
    """No spread, no slippage, no limits, no exits: what the peers' scripts assume."""
    no_exits = ExitSettings(break_even_at=None, trailing=None, time_stop_min=None, square_off=None)
    return msgspec.structs.replace(
        Config(),
        account=msgspec.structs.replace(Config().account, capital=CASH),
        chain=ChainSettings(greeks=greeks),
        sizing=SizingSettings(fixed_quantity=quantity, margin_fraction=0.0),
        debounce=DebounceSettings(seconds=(0.0, 0.0)),
        selection=SelectionSettings(max_spread=1e9, min_oi=0.0),
        risk=RiskSettings(
            daily_loss=0.0, open_positions=0, strategy_positions=0, underlying_positions=0, cooldown_s=0.0,
            trades_per_day=0, strategy_trades_per_day=0, orders_per_s=0.0, price_band=0.0, stale_after_s=0.0,
            first_entry=None, last_entry=None,
        ),
        orders=DeskSettings(entry_patience_s=0, rest_target=False, tick=0.0, exits=no_exits),
        paper=PaperSettings(slippage_ticks=0.0, half_spread=0.0, half_spread_linear=0.0, volume_cap=0.0, tick=0.0,
                            day_orders=False),
    )  # fmt: skip


def bar_columns(instrument: str, start: np.ndarray, rows: np.ndarray) -> BarColumns:
    unknown = np.full(len(start), np.nan)
    o, h, low, c = (np.ascontiguousarray(rows[:, k]) for k in range(4))
    return BarColumns(instrument, 60, start, o, h, low, c, unknown, unknown)


def days_of(ts: np.ndarray) -> list[dt.date]:
    days = ts[::SESSION_MINUTES].astype("datetime64[ns]").astype("datetime64[D]")
    return [dt.date.fromisoformat(str(day)) for day in days]


class PcrTrader(Actor):
    """W2's rule: at set minutes buy the at-the-money call (PCR > 1) or put, and sell it twenty minutes later."""

    def __init__(self) -> None:
        super().__init__()
        self.minute = 0
        self.pcr_sum = 0.0
        self._signals = self.topic(Signal, "NIFTY")
        self._flatten = self.topic(Flatten)
        self.subscribe(ChainSnapshot, "NIFTY")

    @handles(ChainSnapshot)
    def on_snapshot(self, message: ChainSnapshot) -> None:
        minute = self.minute % SESSION_MINUTES
        self.minute += 1
        self.pcr_sum += message.pcr
        if minute - HOLD_MINUTES in ENTRY_MINUTES:
            self._flatten.publish(Flatten(message.ts, "FLATTEN", "pcr_trader"))
        if minute in ENTRY_MINUTES:
            long = message.pcr > 1
            nan = float("nan")
            self._signals.publish(
                Signal(
                    f"pcr/{message.ts}", "pcr_trader", "NIFTY", message.ts,
                    Direction.LONG if long else Direction.SHORT, message.spot, nan, nan, Regime.UNKNOWN, 1.0,
                    "ATM_CALL" if long else "ATM_PUT",
                )
            )  # fmt: skip


def w1_days() -> tuple[np.ndarray, dict[dt.date, MarketDay]]:
    ts, rows = np.load(DATA / "w1_ts.npy"), np.load(DATA / "w1_ohlcv.npy")
    found = {}
    for n, day in enumerate(days_of(ts)):
        part = slice(n * SESSION_MINUTES, (n + 1) * SESSION_MINUTES)
        index = bar_columns(index_id("NIFTY"), ts[part], rows[part])
        found[day] = MarketDay("NIFTY", day, index, None, (), "bench", simulated=True)
    return ts, found


def w2_days() -> tuple[np.ndarray, dict[dt.date, MarketDay]]:
    ts, bars, strikes = (np.load(DATA / f"w2_{name}.npy") for name in ("ts", "bars", "strikes"))
    count = len(strikes)
    found = {}
    for n, day in enumerate(days_of(ts)):
        part = slice(n * SESSION_MINUTES, (n + 1) * SESSION_MINUTES)
        values = np.full((SESSION_MINUTES, 8, 2, count), np.nan)
        for right in (0, 1):
            rows = bars[1 + right * count : 1 + (right + 1) * count, part]  # [strike, minute, column]
            values[:, :6, right] = rows.transpose(1, 2, 0)
        chain = ChainColumns("NIFTY", EXPIRY, 60, ts[part], strikes, values)
        index = bar_columns(index_id("NIFTY"), ts[part], bars[0, part])
        found[day] = MarketDay("NIFTY", day, index, None, (chain,), "bench", simulated=True)
    return ts, found


def sessions(ts: np.ndarray, days: dict[dt.date, MarketDay]) -> list[Session]:
    opens = ts[::SESSION_MINUTES].tolist()
    return [Session(day, at, at + SESSION_MINUTES * MINUTE) for day, at in zip(days, opens, strict=True)]


def playbook_of(work: str) -> Playbook:
    if work == "w1":
        return load_playbook([ROOT / "bench" / "ema_flip_underlying.json"])
    return load_playbook([ROOT / "strategies"]) if work == "w2_full" else build_playbook([])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["w1", "w2", "w2_full"])
    parser.add_argument("--stage", choices=["sim", "live"], default="sim")
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    began = time.perf_counter()
    ts, days = w1_days() if args.work == "w1" else w2_days()
    config = frictionless(1 if args.work == "w1" else LOT, greeks=args.work == "w2_full")
    runtime = SimRuntime() if args.stage == "sim" else LiveRuntime()
    cast = assembly.Cast(
        config=config,
        playbook=playbook_of(args.work),
        underlyings=[assembly.Underlying("NIFTY", chain=args.work != "w1")],
        charges=FlatCharges(FEE),
        previous_day=lambda _symbol, _day: None,
        load_day=lambda day: [days[day]],
    )
    recorder = assembly.build(runtime, cast)
    if args.work != "w1":
        runtime.spawn(PcrTrader, "trader")
    runtime.clock.follow(sessions(ts, days))
    tune_for_throughput()  # as the backtest command does
    built = time.perf_counter()
    cpu = time.process_time()
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(runtime.run)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    else:
        runtime.run()
    run_s, run_cpu_s = time.perf_counter() - built, time.process_time() - cpu
    result = {
        "peer": "sos_actors",
        "work": args.work,
        "stage": args.stage,
        "trades": len({fill.ts for fill in recorder.fills}) if args.work == "w1" else len(recorder.trades),
        "fills": len(recorder.fills),
        "equity": recorder.marks[-1].equity_paise / 100,
        "deliveries": sum(s.handled for s in runtime.stats()),
        "import_s": import_s,
        "build_s": built - began,
        "run_s": run_s,
        "run_cpu_s": run_cpu_s,
        "s_per_day": run_s / len(days),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "run_hash": recorder.run_hash,
    }
    if args.work != "w1":
        trader = runtime.actor("trader")
        assert isinstance(trader, PcrTrader)
        result["pcr_mean"] = trader.pcr_sum / len(ts)
        result["trades"] = len([trade for trade in recorder.trades if trade.strategy == "pcr_trader"])
    runtime.close()
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
