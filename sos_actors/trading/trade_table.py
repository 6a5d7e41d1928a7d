"""The tables of an account's trades and orders."""

from __future__ import annotations

from sos_actors.messages import OrderIntent
from sos_actors.trading.order_machine import OrderRecord
from sos_actors.trading.trade import Trade


class TradeTable:
    """Trades of the day by intent id (`trades`), those not ended (`live`), every order of the day (`records`).

    `changed` are the trades that are not as they were when a checkpoint took them from there, their orders and exits
    included: whatever changes one puts it there. `moved` are those of which only the best or the worst price did: they
    are many, and no order depends on their being kept at once.
    """

    def __init__(self) -> None:
        self.records: dict[str, OrderRecord] = {}
        self.trades: dict[str, Trade] = {}
        self.live: dict[str, Trade] = {}
        self.changed: dict[str, Trade] = {}
        self.moved: dict[str, Trade] = {}
        self.by_instrument: dict[str, list[Trade]] = {}
        self.by_index: dict[str, list[Trade]] = {}

    def admit(self, intent: OrderIntent) -> Trade:
        """Put a new trade into the tables."""
        trade = self.trades[intent.intent_id] = self.live[intent.intent_id] = Trade(intent)
        self.changed[intent.intent_id] = trade
        self.by_instrument.setdefault(intent.plan.instrument, []).append(trade)
        if trade.index:
            self.by_index.setdefault(trade.index, []).append(trade)
        return trade

    def forget(self, trade: Trade) -> None:
        """Take an ended trade out of the tables of live ones."""
        del self.live[trade.intent_id]
        self.changed[trade.intent_id] = trade
        _take_out(self.by_instrument, trade.plan.instrument, trade)
        if trade.index:
            _take_out(self.by_index, trade.index, trade)

    def note_order(self, record: OrderRecord) -> None:
        """Note that an order changed: it is kept with its trade."""
        self.changed[record.intent_id] = self.trades[record.intent_id]

    def end_of_day(self) -> None:
        """Forget ended trades and orders."""
        live = self.live
        self.trades, self.changed = dict(live), dict(live)
        self.moved.clear()
        self.records = {
            order_id: record
            for order_id, record in self.records.items()
            if record.intent_id in live and not record.ended
        }


def _take_out(table: dict[str, list[Trade]], key: str, trade: Trade) -> None:
    trades = table[key]
    trades.remove(trade)
    if not trades:
        del table[key]
