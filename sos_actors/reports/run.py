"""A run as the recorder kept it, and the result it makes: everything a backtest's JSON says.

All of a result but `timings` is a pure function of the record, and all of a record but `timings` one of the
run's inputs: two runs of the same inputs give the same bytes.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sos_actors import decoding
from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_text
from sos_actors.market.day import DataQuality
from sos_actors.messages import (
    AccountMarked,
    ActorBenched,
    ActorFailed,
    Fill,
    Refused,
    Signal,
    SignalExplained,
    SubmitOrder,
    TradeClosed,
    TradePlan,
)
from sos_actors.reports.decisions import Decision, decisions
from sos_actors.reports.figures import (
    BREAKDOWNS,
    Session,
    breakdown,
    daily_equity,
    equity_figures,
    holding_minutes,
    in_order,
    r_multiple,
    trade_figures,
)


class DayQuality(msgspec.Struct, frozen=True, kw_only=True):
    """What one day's data of one underlying was like and where it came from."""

    underlying: str
    day: dt.date
    source: str
    simulated: bool = False
    quality: DataQuality = DataQuality()


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a run left behind. RecorderActor collects the messages, the command adds the facts.

    `sessions` are the trading days that were run, whether or not they traded. `assumptions` maps a subject
    ('fills', 'charges') to one sentence. `timings` are seconds, the only part that may differ between equal runs.
    """

    run_hash: str
    config_hash: str
    code_version: str
    seed: int
    source: str
    symbols: tuple[str, ...]
    from_date: dt.date
    to_date: dt.date
    strategies: tuple[str, ...] = ()
    starting_equity_paise: int = 0
    sessions: tuple[Session, ...] = ()
    trades: Sequence[TradeClosed] = ()
    refusals: Sequence[Refused] = ()
    signals: Sequence[Signal] = ()
    explained: Sequence[SignalExplained] = ()
    plans: Sequence[TradePlan] = ()
    orders: Sequence[SubmitOrder] = ()
    marks: Sequence[AccountMarked] = ()
    fills: Sequence[Fill] = ()
    failed: Sequence[ActorFailed] = ()
    benched: Sequence[ActorBenched] = ()
    quality: Sequence[DayQuality] = ()
    assumptions: Mapping[str, str] = msgspec.field(default_factory=dict)
    timings: Mapping[str, float] = msgspec.field(default_factory=dict)


class RunResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backtest's JSON holds, keys in this order. Money is rupees, times ISO text of India, no figure null.

    `decisions` says why each trade was made, by its intent_id.
    """

    run_hash: str
    config_hash: str
    code_version: str
    seed: int
    source: str
    symbols: list[str]
    from_date: dt.date
    to_date: dt.date
    summary: dict[str, Any]
    trades: list[dict[str, Any]]
    refusals: dict[str, int]
    data_quality: dict[str, Any]
    assumptions: dict[str, str]
    decisions: dict[str, Decision] = {}
    timings: dict[str, float | None]


def _number(value: float, digits: int = 6) -> float | None:
    """Round for writing; null for what is no number, and no negative zero."""
    return round(value, digits) + 0.0 if math.isfinite(value) else None


def _money(paise: float) -> float | None:
    return round(paise) / 100 if math.isfinite(paise) else None


def written(figures: msgspec.Struct) -> dict[str, Any]:
    """Give a Struct of figures as JSON values: a `*_paise` field becomes rupees under the name without the unit."""
    out: dict[str, Any] = {}
    for name in figures.__struct_fields__:
        value = getattr(figures, name)
        if name.endswith("_paise"):
            out[name.removesuffix("_paise")] = _money(value)
        elif isinstance(value, float):
            out[name] = _number(value)
        else:
            out[name] = value.isoformat() if isinstance(value, dt.date) else value
    return out


def trade_row(trade: TradeClosed) -> dict[str, Any]:
    """One trade as the JSON and the trade files write it; money in rupees, times in India."""
    return {
        "trade_id": trade.trade_id,
        "intent_id": trade.intent_id,
        "strategy": trade.strategy,
        "underlying": trade.underlying,
        "instrument": trade.instrument,
        "direction": trade.direction.value,
        "side": trade.side.value,
        "quantity": trade.quantity,
        "entry_time": ist_text(trade.entry_ts),
        "exit_time": ist_text(trade.exit_ts),
        "holding_minutes": _number(holding_minutes(trade)),
        "entry_price": _number(trade.entry_price, 4),
        "exit_price": _number(trade.exit_price, 4),
        "gross": _money(trade.gross_paise),
        "charges": _money(trade.charges_paise),
        "net": _money(trade.net_paise),
        "r_multiple": _number(r_multiple(trade)),
        "exit_reason": trade.exit_reason.value,
        "regime": trade.regime.value,
        "initial_risk": _number(trade.initial_risk, 4),
        "mae": _number(trade.mae, 4),
        "mfe": _number(trade.mfe, 4),
    }


def _actors(record: RunRecord) -> dict[str, Any]:
    """List what broke. Tracebacks hold paths of the machine and stay in the log."""
    return {
        "failed": [
            {"time": ist_text(event.ts), "actor": event.path, "message": event.message_type, "error": event.error}
            for event in record.failed
        ],
        "benched": [
            {"time": ist_text(event.ts), "actor": event.path, "reason": event.reason} for event in record.benched
        ],
    }


def _summary(record: RunRecord) -> dict[str, Any]:
    marks, sessions, start = record.marks, record.sessions, record.starting_equity_paise
    return {
        **written(trade_figures(record.trades)),
        **written(equity_figures(record.trades, marks, sessions, start)),
        "signals": len(record.signals),
        "refusals": len(record.refusals),
        "fills": len(record.fills),
        "strategies": list(record.strategies),
        "daily": [written(close) for close in daily_equity(marks, sessions, start)],
        **{
            f"by_{by}": {name: written(figures) for name, figures in breakdown(record.trades, by).items()}
            for by in BREAKDOWNS
        },
        "actors": _actors(record),
    }


def _data_quality(days: Sequence[DayQuality]) -> dict[str, Any]:
    rejected: Counter[str] = Counter()
    for day in days:
        rejected.update(day.quality.rejected)
    return {
        "simulated": any(day.simulated for day in days),
        "rows": sum(day.quality.rows for day in days),
        "rejected": dict(sorted(rejected.items())),
        "snapped": sum(day.quality.snapped for day in days),
        "holes": sum(len(day.quality.holes) for day in days),
        "days": [
            {
                "underlying": day.underlying,
                "day": day.day.isoformat(),
                "source": day.source,
                "simulated": day.simulated,
                "rows": day.quality.rows,
                "rejected": dict(sorted(day.quality.rejected.items())),
                "snapped": day.quality.snapped,
                "holes": [[ist_text(start), ist_text(end)] for start, end in day.quality.holes],
                "notes": list(day.quality.notes),
            }
            for day in sorted(days, key=lambda day: (day.day, day.underlying))
        ],
    }


def run_result(record: RunRecord) -> RunResult:
    """Work out everything the JSON says of a run."""
    reasons = Counter(refusal.reason.value for refusal in record.refusals)
    return RunResult(
        run_hash=record.run_hash,
        config_hash=record.config_hash,
        code_version=record.code_version,
        seed=record.seed,
        source=record.source,
        symbols=list(record.symbols),
        from_date=record.from_date,
        to_date=record.to_date,
        summary=_summary(record),
        trades=[trade_row(trade) for trade in in_order(record.trades)],
        refusals=dict(sorted(reasons.items())),
        data_quality=_data_quality(record.quality),
        assumptions=dict(sorted(record.assumptions.items())),
        decisions=decisions(
            [trade.intent_id for trade in in_order(record.trades)],
            record.signals,
            record.explained,
            record.plans,
            record.orders,
            record.fills,
        ),
        timings={name: _number(seconds) for name, seconds in record.timings.items()},
    )


def to_json(record: RunRecord) -> bytes:
    """Give a run's JSON: fixed key order, two spaces a level, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(run_result(record)), indent=2) + b"\n"


def from_json(raw: bytes, name: str = "result") -> RunResult:
    """Read what `to_json` wrote; `name` is what the error calls it. Raises InputError when it is something else."""
    try:
        return decoding.from_json(raw, RunResult)
    except msgspec.DecodeError as error:
        raise InputError(f"{name}: not the JSON of a run: {error}; write one with 'backtest --json'") from None
