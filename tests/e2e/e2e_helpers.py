"""What the end-to-end tests share: the command in a process of its own, backtests in this one, data cut short."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from sos_actors.backtest import Request, run
from sos_actors.config import Config
from sos_actors.market.day import MarketDay, TickColumns
from sos_actors.playbook.loader import load_playbook
from sos_actors.reports.run import RunRecord
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sources.simulated import SimulatedHistory
from sos_actors.sources.source import HistorySource

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "run_actors.py"
DATA = Path(os.environ.get("SOS_TEST_DATA", ROOT / "../shared/data"))
NS = 1_000_000_000
MINUTE = 60 * NS
IST = dt.timezone(dt.timedelta(hours=5, minutes=30))

NSE_DAY = dt.date(2025, 8, 29)
KITE_DAYS = (dt.date(2025, 12, 31), dt.date(2026, 1, 13))
TICK_DAY = dt.date(2025, 12, 15)
NSE_FILE = DATA / "chain_1m_NIFTY_2025-08-29_nse.parquet"
TICK_FILE = DATA / "ticks_BANKNIFTY_options_2025-12-15_upstox_full_d5.parquet"


def command(*arguments: object, home: Path, cwd: Path = ROOT, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; `env` adds to the environment."""
    env = {**os.environ, "SOS_HOME": str(home), **kwargs.pop("env", {})}
    return subprocess.run(
        [sys.executable, str(COMMAND), *map(str, arguments)],
        env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, **kwargs,
    )  # fmt: skip


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON a command wrote to stdout."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ist(day: dt.date, clock: str) -> int:
    """UTC ns of a time of day in India."""
    hour, minute = map(int, clock.split(":"))
    return round(dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=IST).timestamp()) * NS


def when(ts: int) -> dt.datetime:
    """Indian wall time of a UTC ns."""
    return dt.datetime.fromtimestamp(ts / NS, IST)


def simulated(seed: int = 7) -> SimulatedHistory:
    """The built-in market."""
    return SimulatedHistory(SimulatedMarket(Config().simulated_market, seed))


def played(
    history: HistorySource, symbols: str, first: dt.date, last: dt.date | None = None, **kwargs: Any
) -> RunRecord:
    """Run a backtest in this process. `names` picks strategies, `warmup` days, `config`, `playbook`, `timeframe`."""
    config = kwargs.pop("config", Config())
    warmup = kwargs.pop("warmup", None)
    if warmup is not None:
        config = msgspec.structs.replace(config, backtest=msgspec.structs.replace(config.backtest, warmup_days=warmup))
    playbook = load_playbook([kwargs.pop("playbook", ROOT / "strategies")])
    assert not playbook.errors
    names, timeframe = kwargs.pop("names", None), kwargs.pop("timeframe", None)
    playbook = playbook.select(names) if names else playbook
    playbook = playbook.on_timeframe(timeframe) if timeframe else playbook
    return run(Request(tuple(symbols.split(",")), first, last or first, config, playbook, history, **kwargs))


class CutHistory:
    """A source whose every day ends at `t` (UTC ns): nothing that was known only after it is there."""

    def __init__(self, source: HistorySource, t: int) -> None:
        self._source, self._t = source, t
        self.name = source.name

    def days(self, underlying, candidates):
        return self._source.days(underlying, candidates)

    def load_day(self, underlying, day) -> MarketDay | None:
        found = self._source.load_day(underlying, day)
        if found is None:
            return None
        chains = tuple(self._chain(chain) for chain in found.chains)
        return dataclasses.replace(found, index=self._bars(found.index), future=self._bars(found.future), chains=chains)

    def load_ticks(self, underlying, day) -> TickColumns | None:
        found = self._source.load_ticks(underlying, day)
        if found is None:
            return None
        kept = np.maximum.accumulate(found.ts) <= self._t
        columns = {
            field.name: getattr(found, field.name)[kept]
            for field in dataclasses.fields(found)
            if isinstance(getattr(found, field.name), np.ndarray)
        }
        return dataclasses.replace(found, **columns)

    def quality(self, underlying, day):
        return self._source.quality(underlying, day)

    def day_stats(self, underlying, before):
        return self._source.day_stats(underlying, before)

    def _bars(self, columns):
        if columns is None:
            return None
        kept = columns.start + columns.interval_s * NS <= self._t
        arrays = {
            name: getattr(columns, name)[kept] for name in ("start", "open", "high", "low", "close", "volume", "oi")
        }
        return dataclasses.replace(columns, **arrays)

    def _chain(self, chain):
        kept = chain.start + chain.interval_s * NS <= self._t
        values = chain.values[kept]
        listed = ~np.isnan(values).all(axis=(0, 1, 2))  # a strike first listed after t is not known either
        values = np.ascontiguousarray(values[..., listed])
        return dataclasses.replace(chain, start=chain.start[kept], strikes=chain.strikes[listed], values=values)
