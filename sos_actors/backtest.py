"""A backtest from request to record: which days, which cast, and what it came to."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

import sos_actors
from sos_actors import assembly
from sos_actors.actors.recorder import RecorderActor
from sos_actors.config import Config
from sos_actors.errors import DataError, InputError
from sos_actors.market.calendar import INDIA
from sos_actors.market.charges import ChargeModel, ChargeSchedule
from sos_actors.market.day import MarketDay, TickColumns
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.market.tape import interval_of, longest_interval
from sos_actors.messages import TradeClosed
from sos_actors.playbook.loader import Playbook
from sos_actors.reports import figures
from sos_actors.reports.run import DayQuality, RunRecord
from sos_actors.runtime import LiveRuntime, Runtime, Session, SimRuntime, sessions_of
from sos_actors.runtime.checkpoints import Checkpoints
from sos_actors.runtime.live import Recorder
from sos_actors.sources.source import HistorySource

Resolution = Literal["minute", "tick"]


@dataclass(frozen=True, slots=True)
class Request:
    """What to run. `symbols` are canonical underlyings; both dates are included.

    `recorder` hears of every delivery of a run on the live stage, and `checkpoints` of what its actors hold
    (runtime/journal/recording.py).
    """

    symbols: tuple[str, ...]
    from_date: dt.date
    to_date: dt.date
    config: Config
    playbook: Playbook
    history: HistorySource
    resolution: Resolution = "minute"
    stage: Literal["sim", "live"] = "sim"
    charges: ChargeModel | None = None
    on_trade: Callable[[TradeClosed], None] | None = None
    on_day: Callable[[dt.date], None] | None = None
    on_end: Callable[[Runtime], None] | None = None
    recorder: Recorder | None = None
    checkpoints: Checkpoints | None = None


@dataclass(slots=True)
class _Loaded:
    """Days as the feed asked for them, and what their data was like."""

    request: Request
    first: dt.date
    quality: list[DayQuality] = field(default_factory=list)
    seconds: float = 0.0

    def days(self, day: dt.date) -> list[MarketDay]:
        """Load the day of every underlying."""
        began = time.perf_counter()  # nondeterministic: the report's timings, which no decision sees
        history = self.request.history
        found = [d for d in (history.load_day(symbol, day) for symbol in self.request.symbols) if d is not None]
        if day >= self.first:
            for one in found:
                self.quality.append(
                    DayQuality(
                        underlying=one.underlying,
                        day=day,
                        source=one.source,
                        simulated=one.simulated,
                        quality=one.quality,
                    )
                )
        self.seconds += time.perf_counter() - began  # nondeterministic: as above
        return found

    def ticks(self, day: dt.date) -> list[TickColumns]:
        """Load the ticks of every underlying."""
        history = self.request.history
        found = [t for t in (history.load_ticks(symbol, day) for symbol in self.request.symbols) if t is not None]
        simulated = history.name == "simulated"
        for one in found:
            self.quality.append(
                DayQuality(
                    underlying=one.underlying,
                    day=day,
                    source=history.name,
                    simulated=simulated,
                    quality=history.quality(one.underlying, day),
                )
            )
        return found


def run(request: Request) -> RunRecord:
    """Run a backtest. Raises InputError for a bad request, DataError where there is no data at all."""
    began = time.perf_counter()  # nondeterministic: the report's timings, which no decision sees
    config_hash = request.config.fingerprint()
    request, days, interval = _prepared(request)
    first = days[0]
    warmup = _warmup_days(request, first)
    loaded = _Loaded(request, first)
    runtime = _stage(request)
    try:
        recorder = assembly.build(runtime, _cast(request, loaded, days))
        grace = round(request.config.backtest.bar_grace_s * 1e9) if request.resolution == "tick" else 0
        runtime.clock.follow(_announced(_sessions(request, [*warmup, *days]), request.on_day, first), grace)
        started = time.perf_counter()  # nondeterministic: as above
        runtime.run()
        ended = time.perf_counter()  # nondeterministic: as above
        if request.on_end is not None:
            runtime.publish_snapshots()
            request.on_end(runtime)
        timings = {"setup_s": started - began, "run_s": ended - started, "load_s": loaded.seconds}
        return _record(request, config_hash, days, interval, recorder, loaded.quality, timings)
    finally:
        runtime.close()


def _record(
    request: Request,
    config_hash: str,
    days: Sequence[dt.date],
    interval: int,
    recorder: RecorderActor,
    quality: list[DayQuality],
    timings: dict[str, float],
) -> RunRecord:
    return RunRecord(
        run_hash=recorder.run_hash,
        config_hash=config_hash,
        code_version=sos_actors.__version__,
        seed=request.config.backtest.seed,
        source=request.history.name,
        symbols=request.symbols,
        from_date=request.from_date,
        to_date=request.to_date,
        strategies=tuple(strategy.id for strategy in request.playbook.strategies),
        starting_equity_paise=round(request.config.account.capital * 100),
        sessions=tuple(_report_session(request, day) for day in days),
        trades=recorder.trades,
        refusals=recorder.refusals,
        signals=recorder.signals,
        explained=recorder.explained,
        plans=recorder.plans,
        orders=recorder.orders,
        marks=recorder.marks,
        fills=recorder.fills,
        failed=recorder.failures,
        benched=recorder.benched,
        quality=quality,
        assumptions=assumptions(request, interval),
        timings=timings,
    )


def _stage(request: Request) -> Runtime:
    if request.stage == "sim":
        return SimRuntime()
    return LiveRuntime(recorder=request.recorder, checkpoints=request.checkpoints)


def builder(request: Request) -> Callable[[Runtime], None]:
    """Give what spawns the cast of a run into a runtime of its own: for the replay of a run that was recorded."""
    request, days, _ = _prepared(request)

    def build(runtime: Runtime) -> None:
        assembly.build(runtime, _cast(request, _Loaded(request, days[0]), days))

    return build


def _prepared(request: Request) -> tuple[Request, list[dt.date], int]:
    """Check a request; gives it with the patience its data needs, its days with data, and an interval.

    That is the length in seconds of the bars that strategies read, 0 for ticks.
    """
    _check(request)
    days = days_with_data(request)
    interval, longest = (0, 0) if request.resolution == "tick" else data_intervals(request, days[0])
    return replace(request, config=with_patience(request.config, longest)), days, interval


def _check(request: Request) -> None:
    for symbol in request.symbols:
        if symbol not in EXCHANGE_OF or symbol == "INDIAVIX":
            known = ", ".join(name for name in EXCHANGE_OF if name != "INDIAVIX")
            raise InputError(f"--symbol {symbol}: unknown; use one of {known}")
    if request.from_date > request.to_date:
        raise InputError(
            f"--from-date {request.from_date} is after --to-date {request.to_date}: give them the other way round"
        )
    if not request.playbook.strategies:
        raise InputError("no strategy to run: give files or folders with --playbook, names with --strategies")


def days_with_data(request: Request) -> list[dt.date]:
    """Give the trading days of the request that have data for any of its symbols; raises DataError for none."""
    found: set[dt.date] = set()
    for symbol in request.symbols:
        trading = INDIA.trading_days(EXCHANGE_OF[symbol], request.from_date, request.to_date)
        if not trading:
            raise DataError(
                f"{EXCHANGE_OF[symbol]} is closed from {request.from_date} to {request.to_date}: choose other dates"
            )
        found.update(request.history.days(symbol, trading))
    if not found:
        raise DataError(
            f"no data of {', '.join(request.symbols)} from {request.from_date} to {request.to_date} in "
            f"{request.history.name}: bring it with `python run_actors.py ingest`, or use --source simulated"
        )
    return sorted(found)


def data_intervals(request: Request, day: dt.date) -> tuple[int, int]:
    """Give the length in seconds of the bars that strategies read on a day, and of the longest bars of anything.

    They differ where the contracts have longer bars than the index. Of several symbols the longest counts.
    """
    loaded = (request.history.load_day(symbol, day) for symbol in request.symbols)
    found = [one for one in loaded if one is not None]
    return max(map(interval_of, found), default=60), max(map(longest_interval, found), default=60)


def with_patience(config: Config, interval_s: int) -> Config:
    """Let an entry wait for two bars at least: on five-minute data a minute's patience never meets a price."""
    patience = config.orders.entry_patience_s
    if not patience or patience >= 2 * interval_s:
        return config
    orders = msgspec.structs.replace(config.orders, entry_patience_s=2 * interval_s)
    return msgspec.structs.replace(config, orders=orders)


def _warmup_days(request: Request, first: dt.date) -> list[dt.date]:
    """Give the last days before the first that have data, at most as many as configured within three weeks."""
    wanted = request.config.backtest.warmup_days
    if not wanted or request.resolution == "tick":
        return []
    found: set[dt.date] = set()
    for symbol in request.symbols:
        exchange = EXCHANGE_OF[symbol]
        try:
            before = INDIA.trading_days(exchange, first - dt.timedelta(days=21), first - dt.timedelta(days=1))
        except InputError:  # the year before is not in the calendar: nothing to warm up with
            continue
        found.update(request.history.days(symbol, before))
    return sorted(found)[-wanted:]


def _cast(request: Request, loaded: _Loaded, days: Sequence[dt.date]) -> assembly.Cast:
    config = request.config
    tick = request.resolution == "tick"
    return assembly.Cast(
        config=config,
        playbook=request.playbook,
        underlyings=[_underlying(request, symbol, days[0]) for symbol in request.symbols],
        charges=ChargeSchedule(config.charges) if request.charges is None else request.charges,
        previous_day=request.history.day_stats,
        load_day=None if tick else loaded.days,
        load_ticks=loaded.ticks if tick else None,
        trade_from=_open(request, days[0]),
        on_trade=request.on_trade,
        groups=config.runtime.groups if request.stage == "live" else {},
    )


def _underlying(request: Request, symbol: str, day: dt.date) -> assembly.Underlying:
    if request.resolution == "minute":
        return assembly.Underlying(symbol)
    ticks = request.history.load_ticks(symbol, day)
    if ticks is None:
        raise DataError(f"no ticks of {symbol} on {day}: bring them with `python run_actors.py ingest`")
    return assembly.Underlying(symbol, tick_instruments=ticks.instruments)


def _sessions(request: Request, days: Sequence[dt.date]) -> Iterator[Session]:
    exchanges = sorted({EXCHANGE_OF[symbol] for symbol in request.symbols})
    for day in days:
        spans = max((INDIA.sessions(exchange, day) for exchange in exchanges), key=lambda s: s[-1].close_ns if s else 0)
        yield from sessions_of(day, spans)


def _announced(
    sessions: Iterator[Session], on_day: Callable[[dt.date], None] | None, first: dt.date
) -> Iterator[Session]:
    for session in sessions:
        if on_day is not None and session.first and session.day >= first:
            on_day(session.day)
        yield session


def _open(request: Request, day: dt.date) -> int:
    return next(_sessions(request, [day])).open


def _report_session(request: Request, day: dt.date) -> figures.Session:
    spans = list(_sessions(request, [day]))
    return figures.Session(day, spans[0].open, spans[-1].close)


def assumptions(request: Request, interval_s: int) -> dict[str, str]:
    """Say in words what a figure of this run rests on; `interval_s` is the length of the data's bars."""
    config = request.config
    paper, exits = config.paper, config.orders.exits
    words = {
        "fills": (
            "a decision on a bar fills at a later price: market orders at the next bar's first price, worse by half "
            f"the spread ({paper.half_spread:.2%} of the price where no quotes are known) and "
            f"{paper.slippage_ticks:g} tick(s); at most {paper.volume_cap:.0%} of a bar's volume; of a stop and a "
            "target inside one bar the stop"
        ),
        "charges": "the dated tariff of the day of trade (market/charges.py), to the paisa per fill",
        "exits": (
            f"stop to break-even at {exits.break_even_at or 0:.0%} of the target, time stop {exits.time_stop_min} "
            f"minutes, square-off {exits.square_off}, unless a strategy says otherwise"
        ),
        "index_volume": "an index has no volume: the near future's, else the sum over its options",
        "index_prices": "where the data has no index, one price a minute from the chain's put-call parity forward",
        "time_to_expiry": "calendar time to the close of the expiry day, in minutes, over 365 days",
        "resolution": "ticks" if request.resolution == "tick" else f"bars of {interval_s // 60} minute(s)",
        "warmup": f"{config.backtest.warmup_days} trading days before the first, entries off, where there is data",
    }
    idle = [strategy.id for strategy in request.playbook.strategies if strategy.timeframe < interval_s]
    if idle:
        words["not_run"] = (
            f"{len(idle)} of {len(request.playbook.strategies)} strategies read shorter bars than the data has "
            "(--timeframe overrides what they declare)"
        )
    return words
