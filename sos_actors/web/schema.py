"""What the API answers with: the one place its shapes are written, and what the OpenAPI document is made of.

Times are UTC nanoseconds where the name says `ts` or `start` (rows of charts), else Indian time as text. Money is
rupees, quantities are units; null where nothing is known.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sos_actors.reports.decisions import Decision

Number = float | None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the server answers, and whether what stands behind it does."""

    ok: bool
    detail: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was not answered or not done: one line. `confirm`: send it back to go on, within 30 s."""

    error: str
    confirm: str = ""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at. `kind` is live, result or demo; `real`: orders are real money; `day` is shown first."""

    kind: str
    title: str
    mode: str
    real: bool
    underlyings: list[str]
    days: list[str]
    runs: list[str]
    day: str = ""
    token_needed: bool = False
    version: str = ""


class Candles(msgspec.Struct, frozen=True, kw_only=True):
    """Bars of an instrument as columns; `forming` is the one being built: [start, open, high, low, price]."""

    instrument: str
    start: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[Number]
    forming: list[float] | None = None


class ChainRow(msgspec.Struct, frozen=True, kw_only=True):
    """One contract of a chain. iv is a fraction a year, theta rupees a day, vega rupees a vol point."""

    price: Number
    bid: Number
    ask: Number
    iv: Number
    delta: Number
    gamma: Number
    theta: Number
    vega: Number
    oi: Number
    oi_change: Number
    volume: Number
    buildup: str


class ChainView(msgspec.Struct, frozen=True, kw_only=True):
    """A chain at `ts`: figures of the whole, then calls and puts strike by strike."""

    underlying: str
    expiry: str
    ts: int
    at: str
    days_to_expiry: float
    figures: dict[str, Any]
    missing: list[str]
    strikes: list[float]
    calls: list[ChainRow]
    puts: list[ChainRow]


class HeatMap(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over strike x time: `values[strike][minute]`."""

    underlying: str
    field: str
    right: str
    ts: list[int]
    strikes: list[float]
    values: list[list[Number]]
    spot: list[Number]


class ChainSeries(msgspec.Struct, frozen=True, kw_only=True):
    """How the chain's figures went over the day: one entry a minute in every list."""

    underlying: str
    ts: list[int]
    series: dict[str, list[Any]]


class TradeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A round trip. `stop` and `target` are the plan's, in the instrument's price."""

    trade_id: str
    strategy: str
    underlying: str
    instrument: str
    side: str
    direction: str
    quantity: int
    entry_ts: int
    exit_ts: int
    entry_price: float
    exit_price: float
    gross: float
    charges: float
    net: float
    exit_reason: str
    regime: str
    r_multiple: Number = None
    stop: Number = None
    target: Number = None
    mae: Number = None
    mfe: Number = None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """A trade and the decision behind it; null where nothing of it was recorded."""

    trade: TradeRow
    decision: Decision | None = None


class OpenRow(msgspec.Struct, frozen=True, kw_only=True):
    """An entry that has not been closed: where the plan wanted in and out."""

    strategy: str
    underlying: str
    instrument: str
    side: str
    direction: str
    entry_ts: int
    entry_price: Number
    stop: Number
    target: Number


class SignalRow(msgspec.Struct, frozen=True, kw_only=True):
    """A signal or a refusal. `outcome`: entered, or why not; levels are the underlying's."""

    ts: int
    strategy: str
    underlying: str
    outcome: str
    detail: str = ""
    direction: str = ""
    entry: Number = None
    stop: Number = None
    target: Number = None
    regime: str = ""


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """What trading came to: figures, the account's curve, and the figures by strategy, hour and the like."""

    figures: dict[str, Any]
    ts: list[int]
    equity: list[float]
    by: dict[str, dict[str, Any]]
    refusals: dict[str, int]


class StrategyView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a strategy stands and what it waits for: see `explain` of playbook/machine.py."""

    path: str
    strategy: str
    underlying: str
    state: str
    paused: bool = False
    phase: str = ""
    phase_number: int = 0
    phases: int = 0
    bars_waited: int = 0
    timeout: int = 0
    captured: dict[str, Any] = {}
    waiting_for: dict[str, Any] | None = None
    met: bool = False
    stance: str = ""
    signals_today: int = 0
    declined: dict[str, int] = {}
    trades: int = 0
    net: float = 0.0
    unrealised: float = 0.0


class ActorTree(msgspec.Struct, frozen=True, kw_only=True):
    """The cast: groups, actors, latencies by stage, the last dead letters."""

    now: int
    groups: list[dict[str, Any]]
    actors: list[dict[str, Any]]
    stages: dict[str, Any]
    dead_letters: list[dict[str, Any]]
    dead_letters_total: int


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """One actor hears one kind of message: on how many topics, and how many came in all.

    `senders` says who published them and how often, counted while somebody asks, and of a busy topic only so long that
    its senders are known; empty where none came in that time, or where they are told, not published.
    """

    message: str
    actor: str
    topics: list[str]
    handled: int
    senders: dict[str, int] = {}


class ActorState(msgspec.Struct, frozen=True, kw_only=True):
    """What one actor last said of itself, whom it hears and tells, its last messages, and what failed there.

    `messages` are those that came since somebody looks at this actor, newest first: ask again to see them.
    """

    path: str
    state: dict[str, Any]
    hears: list[Edge]
    tells: list[Edge]
    messages: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A control request. `strategy` empty: everything. `confirm`: what the first answer asked to be sent back."""

    strategy: str = ""
    reason: str = ""
    confirm: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What the order did, in words."""

    done: str


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """How long market data is kept (days, 0 for ever), and what the last look over the database found."""

    keep_days: dict[str, int]
    last: dict[str, Any] | None = None


class SessionRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be looked at.

    `kind` is live or demo (what runs), or what is over: 'run' a backtest's result and 'recorded' a past day of the
    daemon, whose `name` a route takes as `run`; 'session' one recorded life of the daemon, which such days are made
    of; 'day' a day whose prices are known. `problem`: why it cannot be shown.
    """

    kind: str
    name: str
    detail: str = ""
    day: str = ""
    problem: str = ""
