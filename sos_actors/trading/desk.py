"""The order desk: the pure core of the order actor. Events in, messages out.

It owns the trades, their orders, their exits and the ledger. The rules it keeps:

* One order closes a trade at a time. Whoever wants out first takes the resting orders back, and sends the exit
  only when their ends are known: two live orders for the same units would be a new position.
* A flip is one order of both quantities where the opposite trade holds the same instrument, otherwise an exit and
  an entry.
* Whatever units a broker's late or doubled fill leaves behind are booked and closed at the market as a trade of
  their own (a *stray*), never hidden.
* An exit that was refused or ended short is sent again after a while, at the next minute at the latest. A stop that
  came to nothing is watched here until another rests at the broker; when several in a row come to nothing the position
  is closed.
* Ids are functions of the intent's id, so a replay sends the same ones.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

import msgspec

from sos_actors.market.clocktime import ist_date
from sos_actors.messages import (
    AccountMarked,
    Bar,
    ExitReason,
    Fill,
    Message,
    OrderIntent,
    OrderRole,
    OrderStatus,
    OrderUpdate,
    PositionChanged,
    Side,
    Tick,
)
from sos_actors.trading import stops
from sos_actors.trading.anomalies import Anomaly, AnomalyKind
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.flow import TradeFlow
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.ledger_entry import LedgerEntry
from sos_actors.trading.order_machine import advance_fill, advance_update
from sos_actors.trading.trade import Execution, Trade
from sos_actors.trading.views import DeskState

#: Reached through its class, a member of an enumeration costs ten times as much.
ENTRY, OPEN, REJECTED = OrderRole.ENTRY, OrderStatus.OPEN, OrderStatus.REJECTED

#: Strategy name under which fills of orders that are not ours (made by hand at the broker) are booked.
EXTERNAL = "external"
_ANOMALIES_KEPT = 1000


class OrderDesk:
    """Trades of one account. Every `on_...` gives the messages to send, in order; times are UTC ns.

    `exits` holds the exit settings of strategies that have their own. `anomalies` keeps the last events that did
    not fit (for the log), `anomaly_counts` how many of each kind there were. `flow` has the trades, `prices` the last
    price seen of each instrument.
    """

    def __init__(self, settings: DeskSettings, ledger: Ledger, exits: Mapping[str, ExitSettings] | None = None) -> None:
        self.ledger = ledger
        self.anomalies: deque[Anomaly] = deque(maxlen=_ANOMALIES_KEPT)
        self.anomaly_counts: Counter[str] = Counter()
        self.flow = TradeFlow(settings, exits or {})
        self.prices: dict[str, float] = {}
        self._settled: dict[str, None] = {}

    # -- from the system ----------------------------------------------------------------------------------------------

    def on_intent(self, intent: OrderIntent) -> list[Message]:
        """Enter as `intent.plan` says. An intent seen before does nothing (and is noted)."""
        flow = self.flow
        if intent.intent_id in flow.trades:
            self._note(Anomaly(AnomalyKind.DUPLICATE_INTENT, intent.intent_id, intent.ts, "intent seen before"))
            return []
        flow.begin(flow.admit(intent), intent.ts)
        return flow.drain()

    def on_bar(self, bar: Bar) -> list[Message]:
        """Take a closed bar of an instrument held or of an underlying; call it after the broker has met the bar."""
        flow = self.flow
        instrument = bar.instrument
        self.prices[instrument] = bar.close
        for trade in flow.by_instrument.get(instrument, ()):  # acting sends orders: only their fills change this list
            exits = trade.exits
            # Without a new extreme there is nothing to decide, unless a level is watched here.
            if exits is not None and (
                bar.high > exits.highest or bar.low < exits.lowest or exits.watch_stop or exits.watch_target
            ):
                actions = exits.on_bar(bar)
                if actions:
                    flow.changed[trade.intent_id] = trade
                    flow.act(trade, actions, bar.end)
                else:
                    flow.moved[trade.intent_id] = trade
        if flow.by_index:
            for trade in tuple(flow.by_index.get(instrument, ())):
                if trade.exits is not None:
                    flow.act(trade, trade.exits.on_index_bar(bar), bar.end)
        return flow.drain() if flow.out else []

    def on_tick(self, tick: Tick) -> list[Message]:
        """Take a tick of an instrument held or of an underlying: live, levels are watched tick by tick."""
        flow = self.flow
        price = tick.price
        self.prices[tick.instrument] = price
        for trade in tuple(flow.by_instrument.get(tick.instrument, ())):
            exits = trade.exits
            if exits is None:
                continue
            high, low = tick.range_since(exits.opened_ts)
            if high > exits.highest or low < exits.lowest or exits.watch_stop or exits.watch_target:
                actions = exits.on_price(high, low, price)
                (flow.changed if actions else flow.moved)[trade.intent_id] = trade
                flow.act(trade, actions, tick.ts)
        for trade in tuple(flow.by_index.get(tick.instrument, ())):
            if trade.exits is not None:
                flow.act(trade, trade.exits.on_index_price(*tick.range_since(trade.exits.opened_ts)), tick.ts)
        return flow.drain() if flow.out else []

    def on_minute(self, ts: int) -> list[Message]:
        """Take the time: square-off, time stops, entries out of patience, exits to be sent again."""
        flow = self.flow
        for trade in tuple(flow.live.values()):
            if trade.exits is not None and trade.reason is None:
                actions = trade.exits.on_time(ts)
                if actions:
                    flow.act(trade, actions, ts)
                    continue
            if trade.working or trade.reason is not None:
                flow.chase(trade, ts)
        return flow.drain() if flow.out else []

    def on_timer(self, ts: int) -> list[Message]:
        """Send the stops and exits again whose time has come."""
        self.flow.rest_stops(ts)
        return self.flow.drain()

    def next_due(self) -> int:
        """Give the time at which `on_timer` is next wanted, UTC ns; 0 where it is not."""
        return stops.next_due(self.flow.live.values())

    def start_of_day(self, ts: int) -> list[Message]:
        """Send stops and targets of what was held over night again. Call it before the first price."""
        self.flow.protect_anew(ts)
        return self.flow.drain()

    def end_of_day(self) -> None:
        """Forget ended trades and orders. Call it when the broker's day orders have ended and their updates are in.

        Only a whole checkpoint tells of it.
        """
        self.flow.end_of_day()
        held = {instrument for _, instrument in self.ledger.positions()} | self._settled.keys()
        self._settled.clear()
        self.prices = {instrument: price for instrument, price in self.prices.items() if instrument in held}

    def flatten(
        self, ts: int, reason: str = ExitReason.FLATTEN, strategy: str = "", underlying: str = ""
    ) -> list[Message]:
        """Close everything, or what `strategy` has, or has on `underlying`; entries that wait are taken back.

        `reason` is the exit reason where it names one, otherwise the reason is FLATTEN.
        """
        why = ExitReason(reason) if reason in ExitReason.__members__ else ExitReason.FLATTEN
        for trade in tuple(self.flow.live.values()):
            plan = trade.plan
            if strategy in ("", plan.strategy) and underlying in ("", plan.underlying):
                self.flow.close(trade, why, ts)
        return self.flow.drain()

    def settle(self, ts: int, instrument: str, price: float, reason: ExitReason) -> list[Message]:
        """Close what is held of `instrument` at `price` (rupees) without an order: expiry, or the end of the data.

        Also what no trade of ours holds. The price stays known for a day: a fill that is told late is settled at it.
        """
        flow = self.flow
        self.prices[instrument] = price
        self._settled[instrument] = None
        for trade in tuple(flow.by_instrument.get(instrument, ())):
            flow.let_go(trade, ts)
            units = trade.open
            if units:
                fill = Fill(
                    f"{trade.intent_id}-{reason.value.lower()}",
                    "",
                    ts,
                    instrument,
                    trade.plan.side.opposite,
                    units,
                    price,
                )
                expired = reason is ExitReason.EXPIRY
                entry = self.ledger.apply(fill, trade.plan.strategy, ist_date(ts), expired=expired)
                if entry is not None:
                    flow.changed[trade.intent_id] = trade
                    self._position_changed(trade, fill, entry)
                    trade.reduce(Execution(fill, entry), units, reason)
            flow.finish(trade, ts)
        return flow.drain() + self._settle_rest(ts, instrument, price, expired=reason is ExitReason.EXPIRY)

    def _settle_rest(self, ts: int, instrument: str, price: float, *, expired: bool) -> list[Message]:
        out: list[Message] = []
        for (strategy, name), units in self.ledger.positions().items():
            if name == instrument:
                fill_id = f"{strategy}-{instrument}-settled-{len(self.ledger.seen)}"
                side = Side.SELL if units > 0 else Side.BUY
                fill = Fill(fill_id, "", ts, instrument, side, abs(units), price)
                entry = self.ledger.apply(fill, strategy, ist_date(ts), expired=expired)
                if entry is not None:
                    out.append(_changed(strategy, "", fill, entry))
        return out

    def mark(self, ts: int) -> AccountMarked:
        """Mark the account to the last prices seen; what has none counts at cost."""
        ledger = self.ledger
        return AccountMarked(ts, ledger.cash_paise, ledger.equity(self.prices), ledger.open_positions)

    def price(self, instrument: str) -> float | None:
        """Give the last price seen of an instrument, rupees."""
        return self.prices.get(instrument)

    def held(self) -> tuple[str, ...]:
        """Instruments held or worked, in the order in which they came."""
        return tuple(self.flow.by_instrument)

    def in_books(self) -> tuple[str, ...]:
        """Instruments held or worked, and those that no trade of ours holds but the books do."""
        return tuple(dict.fromkeys((*self.held(), *(instrument for _, instrument in self.ledger.positions()))))

    def holds(self, instrument: str) -> bool:
        """Say whether an instrument is held or worked."""
        return instrument in self.flow.by_instrument

    def state(self) -> DeskState:
        """Give what an observer may know."""
        ledger = self.ledger
        positions = tuple((strategy, instrument, units) for (strategy, instrument), units in ledger.positions().items())
        return DeskState(
            ledger.cash_paise,
            ledger.realised_paise,
            ledger.charges_paise,
            positions,
            tuple(trade.view() for trade in self.flow.live.values()),
            dict(self.anomaly_counts),
        )

    # -- from the broker ----------------------------------------------------------------------------------------------

    def on_update(self, update: OrderUpdate) -> list[Message]:
        """Take what the broker says of an order."""
        flow = self.flow
        record = flow.records.get(update.order_id)
        if record is None:
            self._note(Anomaly(AnomalyKind.UNKNOWN_ORDER, update.order_id, update.ts, f"update {update.status}"))
            return []
        trade = flow.changed[record.intent_id] = flow.trades[record.intent_id]
        anomaly = advance_update(record, update)
        if anomaly is not None:
            self._note(anomaly)
        if not record.ended:
            if record is trade.stop_order and update.status is OPEN and trade.exits is not None:
                trade.exits.watch_stop = False  # the broker has it
            return []
        if trade.working.pop(record.order_id, None) is None:
            return []
        if record.status is REJECTED:
            self._note(Anomaly(AnomalyKind.ORDER_REFUSED, record.order_id, update.ts, update.detail))
        flow.order_ended(trade, record, update.ts, update.detail)
        return flow.drain()

    def on_fill(self, fill: Fill) -> list[Message]:
        """Book a fill. A duplicate does nothing; one of an order that is not ours is booked as `external`."""
        flow = self.flow
        record = flow.records.get(fill.order_id)
        if record is None:
            return self._closed_by_hand(fill) if fill.closes else self._external(fill)
        trade = flow.changed[record.intent_id] = flow.trades[record.intent_id]
        anomaly = advance_fill(record, fill)
        if anomaly is not None:
            self._note(anomaly)
            if anomaly.kind is AnomalyKind.MISMATCH or anomaly.kind is AnomalyKind.DUPLICATE_FILL:
                return []
        first = fill.first_of_slice or len(record.fill_ids) == 1
        entry = self.ledger.apply(fill, trade.plan.strategy, ist_date(fill.ts), first_of_order=first)
        if entry is None:
            return []
        self.prices.setdefault(fill.instrument, fill.price)
        self._position_changed(trade, fill, entry)
        execution = Execution(fill, entry)
        if record.role is ENTRY:
            flow.entry_filled(trade, execution)
        else:
            flow.exit_filled(trade, record, execution)
        if record.ended and trade.working.pop(record.order_id, None) is not None:
            flow.order_ended(trade, record, fill.ts, "")
        return flow.drain()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _closed_by_hand(self, fill: Fill) -> list[Message]:
        """Book units that somebody else closed: out of the trades that hold them, oldest first, the rest as external.

        Whatever of their orders still works must not trade the same units once more. Where nobody knows the price (0)
        the last one seen is taken.
        """
        flow, left, found = self.flow, fill.quantity, 0
        if fill.fill_id in self.ledger.seen:
            return []
        for trade in tuple(flow.by_instrument.get(fill.instrument, ())):
            units = min(left, trade.open) if trade.plan.side is not fill.side else 0
            if not units:
                continue
            name = f"{fill.fill_id}#{found}" if found else fill.fill_id
            price = fill.price or self.prices.get(fill.instrument) or trade.average_entry
            part = msgspec.structs.replace(fill, fill_id=name, quantity=units, price=price)
            entry = self.ledger.apply(part, trade.plan.strategy, ist_date(fill.ts))
            if entry is None:
                continue
            found, left = found + 1, left - units
            self._position_changed(trade, part, entry)
            flow.closed_by_hand(trade, Execution(part, entry))
        done = flow.drain()
        if not fill.price:
            self.ledger.seen[fill.fill_id] = None  # what nobody holds any more: settled at its expiry
        elif left:
            name = f"{fill.fill_id}#{found}" if found else fill.fill_id
            done += self._external(msgspec.structs.replace(fill, fill_id=name, quantity=left))
        return done

    def _external(self, fill: Fill) -> list[Message]:
        entry = self.ledger.apply(fill, EXTERNAL, ist_date(fill.ts))
        if entry is None:
            return []
        detail = f"{fill.side} {fill.quantity} {fill.instrument}"
        self._note(Anomaly(AnomalyKind.UNKNOWN_ORDER, fill.order_id, fill.ts, detail))
        self.prices.setdefault(fill.instrument, fill.price)
        return [_changed(EXTERNAL, "", fill, entry)]

    def _note(self, anomaly: Anomaly) -> None:
        self.anomalies.append(anomaly)
        self.anomaly_counts[anomaly.kind.value] += 1

    def _position_changed(self, trade: Trade, fill: Fill, entry: LedgerEntry) -> None:
        self.flow.out.append(_changed(trade.plan.strategy, trade.plan.underlying, fill, entry))


def _changed(strategy: str, underlying: str, fill: Fill, entry: LedgerEntry) -> PositionChanged:
    return PositionChanged(
        fill.ts,
        strategy,
        underlying,
        fill.instrument,
        entry.position,
        entry.average_price,
        entry.total_realised_paise,
        entry.cash_paise,
    )
