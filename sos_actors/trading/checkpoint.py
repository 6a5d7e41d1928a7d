"""The order desk's whole state as bytes, and back: trades, orders, exits, ledger.

What refers to another object is kept as its id, so that after `restore` the desk goes on exactly as it would have.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from sos_actors.errors import StorageError
from sos_actors.messages import ExitReason, OrderIntent, OrderRole, OrderStatus, Side
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.exits import ExitPlan, ExitSettings
from sos_actors.trading.flow import TradeFlow
from sos_actors.trading.ledger import Ledger, LedgerPosition
from sos_actors.trading.order_machine import OrderRecord
from sos_actors.trading.trade import Trade

T = TypeVar("T")


class RecordState(msgspec.Struct, frozen=True):
    """An `OrderRecord`, field by field."""

    order_id: str
    intent_id: str
    instrument: str
    side: Side
    quantity: int
    quantity_before: int
    role: OrderRole
    sent_ts: int
    status: OrderStatus
    filled: int
    cancelling: bool
    leaving: bool
    fill_ids: list[str]


class ExitState(msgspec.Struct, frozen=True):
    """An `ExitPlan`, field by field."""

    _ruled: bool
    entry: float
    even_move: float
    highest: float
    index_stop: float
    index_target: float
    initial_risk: float
    leave_ts: int
    lowest: float
    opened_ts: int
    settings: ExitSettings
    sign: int
    square_off_ns: int
    stop: float
    stop_reason: ExitReason
    target: float
    tick: float
    trail_by: float
    view: int
    watch_stop: bool
    watch_target: bool


class TradeState(msgspec.Struct, frozen=True):
    """A `Trade`: its plan, its counts, and the ids of its orders and of the trades it is tied to."""

    intent: OrderIntent
    counts: dict[str, int]
    exits: ExitState | None
    sent: dict[OrderRole, int]
    working: list[str]
    stop_order: str
    target_order: str
    reason: ExitReason | None
    closed_by: ExitReason | None
    replaces: str
    flip_to: str
    live: bool


class LedgerState(msgspec.Struct, frozen=True):
    """The books, in paise. Positions as (strategy, instrument, units, cost, realised); `open` in their order."""

    start: int
    cash: int
    charges: int
    realised: int
    duplicates: int
    positions: list[tuple[str, str, int, int, int]]
    open: list[tuple[str, str]]
    seen: list[str]


class DeskCheckpoint(msgspec.Struct, frozen=True, tag="desk-1"):
    """Everything the desk knows. A later layout has another tag, so that an old one is refused and not misread."""

    records: list[RecordState]
    trades: list[TradeState]
    instruments: list[str]
    ledger: LedgerState
    prices: dict[str, float]
    anomalies: dict[str, int]


#: The numbers of a trade.
COUNTS = ("opened", "closed", "open", "entry_paise", "exit_paise", "charges_paise", "entry_ts", "exit_ts",
          "stops_failed", "stop_due")  # fmt: skip
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeskCheckpoint)


def checkpoint(desk: OrderDesk) -> bytes:
    """Give the desk's whole state."""
    flow = desk.flow
    trades = list(flow.trades.values()) + [trade for key, trade in flow.live.items() if key not in flow.trades]
    state = DeskCheckpoint(
        [_copy(RecordState, record) for record in flow.records.values()],
        [_trade_state(trade, trade.intent_id in flow.live) for trade in trades],
        list(flow.by_instrument),
        _ledger_state(desk.ledger),
        dict(desk.prices),
        dict(desk.anomaly_counts),
    )
    return _encoder.encode(state)


def restore(desk: OrderDesk, raw: bytes) -> None:
    """Put a fresh desk into the state that `checkpoint` gave. Raises StorageError where it is of another version."""
    try:
        state = _decoder.decode(raw)
    except msgspec.MsgspecError as error:
        raise StorageError(
            f"the desk's saved state is of another version ({error}): run the version that wrote it, or close what is"
            " open at the broker by hand and move the session's folder away"
        ) from None
    flow = desk.flow
    flow.records = {record.order_id: _fill(OrderRecord.__new__(OrderRecord), record) for record in state.records}
    for saved in state.trades:
        trade = flow.admit(saved.intent)
        _fill_trade(trade, saved, flow.records)
        if not saved.live:
            flow.forget(trade)
    for saved in state.trades:
        trade = flow.trades[saved.intent.intent_id]
        trade.replaces = flow.trades.get(saved.replaces)
        trade.flip_to = flow.trades.get(saved.flip_to)
    _order_instruments(flow, state.instruments)
    _restore_ledger(desk.ledger, state.ledger)
    desk.prices.update(state.prices)
    desk.anomaly_counts.update(state.anomalies)


def working_orders(desk: OrderDesk) -> tuple[str, ...]:
    """Give the ids of the orders the desk waits for."""
    return tuple(order_id for trade in desk.flow.live.values() for order_id in trade.working)


def _trade_state(trade: Trade, live: bool) -> TradeState:
    return TradeState(
        OrderIntent(trade.intent_id, trade.plan.ts, trade.plan),
        {name: getattr(trade, name) for name in COUNTS},
        None if trade.exits is None else _copy(ExitState, trade.exits),
        dict(trade.sent),
        list(trade.working),
        "" if trade.stop_order is None else trade.stop_order.order_id,
        "" if trade.target_order is None else trade.target_order.order_id,
        trade.reason,
        trade.closed_by,
        "" if trade.replaces is None else trade.replaces.intent_id,
        "" if trade.flip_to is None else trade.flip_to.intent_id,
        live,
    )


def _fill_trade(trade: Trade, saved: TradeState, records: dict[str, OrderRecord]) -> None:
    for name, count in saved.counts.items():
        setattr(trade, name, count)
    if saved.exits is not None:
        trade.exits = _fill(ExitPlan.__new__(ExitPlan), saved.exits)
    trade.sent = dict(saved.sent)
    trade.working = {order_id: records[order_id] for order_id in saved.working}
    trade.stop_order = records.get(saved.stop_order)
    trade.target_order = records.get(saved.target_order)
    trade.reason, trade.closed_by = saved.reason, saved.closed_by


def _order_instruments(flow: TradeFlow, instruments: list[str]) -> None:
    """Keep the order in which instruments came: what is told of them goes out in it."""
    flow.by_instrument = {name: flow.by_instrument[name] for name in instruments if name in flow.by_instrument}


def _ledger_state(ledger: Ledger) -> LedgerState:
    return LedgerState(
        ledger.start_paise,
        ledger.cash_paise,
        ledger.charges_paise,
        ledger.realised_paise,
        ledger.duplicates,
        [(*key, p.quantity, p.cost_paise, p.realised_paise) for key, p in ledger.books.items()],
        list(ledger.positions()),
        sorted(ledger.seen),
    )


def _restore_ledger(ledger: Ledger, saved: LedgerState) -> None:
    ledger.start_paise, ledger.cash_paise = saved.start, saved.cash
    ledger.charges_paise, ledger.realised_paise = saved.charges, saved.realised
    ledger.duplicates = saved.duplicates
    for strategy, instrument, quantity, cost, realised in saved.positions:
        position = ledger.books[strategy, instrument] = LedgerPosition()
        position.quantity, position.cost_paise, position.realised_paise = quantity, cost, realised
    ledger.open_again(saved.open)
    ledger.seen.update(saved.seen)


def _copy(kind: type[T], thing: object) -> T:
    """Make a state of the same-named fields of a thing."""
    names: Any = kind.__struct_fields__  # type: ignore[attr-defined]
    return kind(*(getattr(thing, name) for name in names))


def _fill(thing: T, saved: msgspec.Struct) -> T:
    """Set the same-named fields of a thing from a state."""
    for name in saved.__struct_fields__:
        setattr(thing, name, getattr(saved, name))
    return thing
