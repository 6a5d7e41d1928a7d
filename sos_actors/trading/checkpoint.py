"""The order desk's state as bytes, and back: trades, orders, exits, ledger.

What refers to another object is kept as its id, so that after `restore` the desk goes on exactly as it would have. A
day's trades may be many while an event concerns one or two: once a state was written whole, the next ones say only what
has changed since, until it is time for a whole one again.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from operator import attrgetter

import msgspec

from sos_actors.decoding import msgpack_decoder
from sos_actors.errors import StorageError
from sos_actors.messages import (
    NAN,
    CancelOrder,
    ExitReason,
    ModifyOrder,
    OrderIntent,
    OrderRole,
    OrderType,
    Wish,
)
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.exits import ExitPlan
from sos_actors.trading.flow import TradeFlow
from sos_actors.trading.ledger import Ledger, LedgerPosition
from sos_actors.trading.order_machine import OrderRecord
from sos_actors.trading.ticks import tick_nearest
from sos_actors.trading.trade import Trade


class TradeState(msgspec.Struct, frozen=True, array_like=True):
    """A `Trade`: its plan, its counts, its orders, and the ids of those at work and of the trades it is tied to."""

    intent: OrderIntent
    counts: dict[str, int]
    exits: ExitPlan | None
    sent: dict[OrderRole, int]
    orders: list[OrderRecord]
    working: list[str]
    stop_order: str
    target_order: str
    reason: ExitReason | None
    closed_by: ExitReason | None
    replaces: str
    flip_to: str
    live: bool


class LedgerState(msgspec.Struct, frozen=True, array_like=True):
    """The books, in paise. Positions as (strategy, instrument, units, cost, realised); `open` in their order.

    Of positions and of the ids of fills (`seen`) an increment has those that changed, and the new ones.
    """

    start: int
    cash: int
    charges: int
    realised: int
    duplicates: int
    positions: list[tuple[str, str, int, int, int]]
    open: list[tuple[str, str]]
    seen: list[str]


class DeskCheckpoint(msgspec.Struct, frozen=True, array_like=True, tag="desk-2"):
    """Everything the desk knows, or (`whole` false) what of it is no longer as the states before this one say.

    A later layout has another tag, so that an old one is refused and not misread. `trades` holds a `TradeState` by the
    trade's id.
    """

    whole: bool
    trades: dict[str, msgspec.Raw]
    instruments: list[str]
    ledger: LedgerState
    prices: dict[str, float]
    anomalies: dict[str, int]


#: The numbers of a trade.
COUNTS = ("opened", "closed", "open", "entry_paise", "exit_paise", "charges_paise", "entry_ts", "exit_ts",
          "stops_failed", "stop_due")  # fmt: skip
#: Bytes of increments after which a whole state is due; more when the state is large.
_LARGE = 1 << 18
_counts_of = attrgetter(*COUNTS)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgpack_decoder(DeskCheckpoint)
_trade_decoder = msgpack_decoder(TradeState)


class Checkpointer:
    """Gives a desk's state, event by event: whole at first, then what has changed since it was asked last.

    A desk has one: what changes is noted in the desk until it is asked for here.
    """

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk
        #: Every trade of the day as it was last encoded: an ended one is encoded no more.
        self._trades: dict[str, msgspec.Raw] = {}
        self._prices: dict[str, float] = {}
        self._fills = 0
        self._whole = self._since = 0
        self._encode_changed()  # what a restored desk has: not at the first event, which may be urgent

    @property
    def due(self) -> bool:
        """Whether increments weigh more than a whole state would, so that one should be next when there is time."""
        return self._since > max(_LARGE, self._whole)

    def save(self, *, whole: bool = False, moved: bool = False) -> tuple[bytes, bool]:
        """Give the state now, and whether it is a whole one. At the first call, and after an end of day, it must be.

        An increment leaves out what only `moved`, unless told otherwise: an order may wait for it.
        """
        desk = self._desk
        whole = whole or not self._whole
        if whole or moved:
            desk.flow.changed.update(desk.flow.moved)
            desk.flow.moved.clear()
        changed = self._encode_changed()
        if whole:
            trades = self._trades = {name: self._encoded(trade) for name, trade in desk.flow.trades.items()}
            prices = self._prices = dict(desk.prices)
            ledger = _ledger_state(desk.ledger, desk.ledger.books, list(desk.ledger.seen))
        else:
            trades = changed
            prices = {name: price for name, price in desk.prices.items() if self._prices.get(name) != price}
            self._prices.update(prices)
            ledger = _ledger_state(desk.ledger, desk.ledger.changed, _last(desk.ledger.seen, self._fills))
        desk.ledger.changed.clear()
        self._fills = len(desk.ledger.seen)
        raw = _encode(desk, trades, ledger, prices, whole=whole)
        self._whole, self._since = (len(raw), 0) if whole else (self._whole, self._since + len(raw))
        return raw, whole

    def _encode_changed(self) -> dict[str, msgspec.Raw]:
        flow = self._desk.flow
        changed = {name: _encode_trade(self._desk, trade) for name, trade in flow.changed.items()}
        flow.changed.clear()
        self._trades.update(changed)
        return changed

    def _encoded(self, trade: Trade) -> msgspec.Raw:
        return self._trades.get(trade.intent_id) or _encode_trade(self._desk, trade)


def checkpoint(desk: OrderDesk) -> bytes:
    """Give the desk's whole state, and leave it as it is."""
    trades = {name: _encode_trade(desk, trade) for name, trade in desk.flow.trades.items()}
    ledger = _ledger_state(desk.ledger, desk.ledger.books, list(desk.ledger.seen))
    return _encode(desk, trades, ledger, dict(desk.prices), whole=True)


def restore(desk: OrderDesk, saved: Iterable[bytes]) -> None:
    """Put a fresh desk into the state that these say: a whole one, then increments, oldest first.

    Raises StorageError where one is of another version, or the first is not whole.
    """
    try:
        state = _together([_decoder.decode(raw) for raw in saved])
        trades = [_trade_decoder.decode(raw) for raw in state.trades.values()]
    except msgspec.MsgspecError as error:
        raise StorageError(
            f"the desk's saved state is of another version ({error}): run the version that wrote it, or close what is"
            " open at the broker by hand and move the session's folder away"
        ) from None
    flow = desk.flow
    for saved_trade in trades:
        trade = flow.admit(saved_trade.intent)
        _fill_trade(trade, saved_trade, flow.records)
        if not saved_trade.live:
            flow.forget(trade)
    for saved_trade in trades:
        trade = flow.trades[saved_trade.intent.intent_id]
        trade.replaces = flow.trades.get(saved_trade.replaces)
        trade.flip_to = flow.trades.get(saved_trade.flip_to)
    _order_instruments(flow, state.instruments)
    _restore_ledger(desk.ledger, state.ledger)
    desk.prices.update(state.prices)
    desk.anomaly_counts.update(state.anomalies)


def working_orders(desk: OrderDesk) -> tuple[str, ...]:
    """Give the ids of the orders the desk waits for."""
    return tuple(order_id for trade in desk.flow.live.values() for order_id in trade.working)


def wishes(desk: OrderDesk) -> tuple[Wish, ...]:
    """Give what the desk wants of the orders it waits for, as if said anew: its last word may not have been heard."""
    said: list[Wish] = []
    for trade in desk.flow.live.values():
        for record in trade.working.values():
            if record.cancelling:
                said.append(CancelOrder(record.order_id, record.sent_ts))
            elif record is trade.stop_order and trade.exits is not None:
                level = tick_nearest(trade.exits.stop, desk.flow.settings.tick)
                kind = OrderType.MARKET if record.leaving else None
                said.append(ModifyOrder(record.order_id, record.sent_ts, NAN, level, record.quantity, kind))
            elif record is trade.target_order:
                said.append(ModifyOrder(record.order_id, record.sent_ts, quantity=record.quantity))
    return tuple(said)


def _together(states: list[DeskCheckpoint]) -> DeskCheckpoint:
    """Give the whole state that a whole one and increments after it amount to."""
    if not states or not states[0].whole:
        raise StorageError("the desk's saved state has no beginning: restore a copy of the session's folder")
    first, last = states[0], states[-1]
    trades: dict[str, msgspec.Raw] = {}
    prices: dict[str, float] = {}
    positions: dict[tuple[str, str], tuple[str, str, int, int, int]] = {}
    seen: list[str] = []
    for state in states:
        trades.update(state.trades)
        prices.update(state.prices)
        positions.update({one[:2]: one for one in state.ledger.positions})
        seen += state.ledger.seen
    ledger = msgspec.structs.replace(last.ledger, positions=list(positions.values()), seen=seen)
    return msgspec.structs.replace(last, whole=first.whole, trades=trades, ledger=ledger, prices=prices)


def _encode(
    desk: OrderDesk, trades: dict[str, msgspec.Raw], ledger: LedgerState, prices: dict[str, float], *, whole: bool
) -> bytes:
    instruments = list(desk.flow.by_instrument)
    return _encoder.encode(DeskCheckpoint(whole, trades, instruments, ledger, prices, dict(desk.anomaly_counts)))


def _encode_trade(desk: OrderDesk, trade: Trade) -> msgspec.Raw:
    flow = desk.flow
    records = [flow.records[order_id] for order_id in trade.order_ids() if order_id in flow.records]
    state = TradeState(
        OrderIntent(trade.intent_id, trade.plan.ts, trade.plan),
        dict(zip(COUNTS, _counts_of(trade), strict=True)),
        trade.exits,
        trade.sent,
        records,
        list(trade.working),
        _id_of(trade.stop_order, records),
        _id_of(trade.target_order, records),
        trade.reason,
        trade.closed_by,
        "" if trade.replaces is None else trade.replaces.intent_id,
        "" if trade.flip_to is None else trade.flip_to.intent_id,
        trade.intent_id in flow.live,
    )
    return msgspec.Raw(_encoder.encode(state))


def _id_of(order: OrderRecord | None, kept: list[OrderRecord]) -> str:
    """Give an order's id; '' for none, and for one of a day before, of which nothing is known any more."""
    return order.order_id if order in kept and order is not None else ""


def _fill_trade(trade: Trade, saved: TradeState, records: dict[str, OrderRecord]) -> None:
    for name, count in saved.counts.items():
        setattr(trade, name, count)
    trade.exits, trade.sent = saved.exits, saved.sent
    records.update((order.order_id, order) for order in saved.orders)
    trade.working = {order_id: records[order_id] for order_id in saved.working}
    trade.stop_order = records.get(saved.stop_order)
    trade.target_order = records.get(saved.target_order)
    trade.reason, trade.closed_by = saved.reason, saved.closed_by


def _order_instruments(flow: TradeFlow, instruments: list[str]) -> None:
    """Keep the order in which instruments came: what is told of them goes out in it."""
    flow.by_instrument = {name: flow.by_instrument[name] for name in instruments if name in flow.by_instrument}


def _ledger_state(ledger: Ledger, keys: Iterable[tuple[str, str]], seen: list[str]) -> LedgerState:
    positions = [(key, ledger.books[key]) for key in keys]
    return LedgerState(
        ledger.start_paise,
        ledger.cash_paise,
        ledger.charges_paise,
        ledger.realised_paise,
        ledger.duplicates,
        [(*key, position.quantity, position.cost_paise, position.realised_paise) for key, position in positions],
        list(ledger.positions()),
        seen,
    )


def _restore_ledger(ledger: Ledger, saved: LedgerState) -> None:
    ledger.start_paise, ledger.cash_paise = saved.start, saved.cash
    ledger.charges_paise, ledger.realised_paise = saved.charges, saved.realised
    ledger.duplicates = saved.duplicates
    for strategy, instrument, quantity, cost, realised in saved.positions:
        ledger.books[strategy, instrument] = LedgerPosition(quantity, cost, realised)
    ledger.open_again(saved.open)
    ledger.seen.update(dict.fromkeys(saved.seen))


def _last(fills: dict[str, None], known: int) -> list[str]:
    """Give the ids that came after so many, in their order."""
    return list(islice(reversed(fills), max(len(fills) - known, 0)))[::-1]
