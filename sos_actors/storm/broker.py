"""The broker's interface, answered by the simulated exchange: the same decoding and the same errors as the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import BrokerOrder, BrokerPosition, BrokerTrade, SendCancel, SendModify, SendPlace
from sos_actors.sandbox.exchange import Answer, AnswerKind, Exchange
from sos_actors.upstox.account import Funds
from sos_actors.upstox.books import BookReader, data_of, rows_of
from sos_actors.upstox.errors import NO_ORDER, Certainty, NotFoundError, UnansweredError, error_of_answer
from sos_actors.upstox.orders import placed_ids, terms


class _Memory(BookReader):
    """Reads each row of a book once: every read of it shows the same again, and most rows change no more."""

    def __init__(self, table: Callable[[], InstrumentTable]) -> None:
        super().__init__(table)
        self._orders: dict[tuple[Any, ...], BrokerOrder] = {}

    def order(self, what: str, row: dict[str, Any]) -> BrokerOrder:
        """Read one order."""
        key = tuple(row.values())
        found = self._orders.get(key)
        if found is None:
            found = self._orders[key] = super().order(what, row)
        return found


class SimulatedBroker:
    """Orders and books of the exchange, as `upstox.answers` wants them. `now()` is the exchange's time (UTC ns).

    `delay_ns` is how long the last answer took.
    """

    def __init__(self, exchange: Exchange, table: Callable[[], InstrumentTable], now: Callable[[], int]) -> None:
        self._exchange, self._now = exchange, now
        self.reader = _Memory(table)
        self.delay_ns = 0

    def place(self, order: SendPlace, key: str) -> tuple[str, ...]:
        """Place an order. Raises BrokerError."""
        kind, price, trigger, protection = terms(order.order_type, order.price, order.trigger, order.protection)
        body = {
            "quantity": order.quantity, "product": order.product, "validity": order.validity, "price": price,
            "tag": order.tag, "slice": order.slice, "instrument_token": key, "order_type": kind,
            "transaction_type": order.side.value, "disclosed_quantity": 0, "trigger_price": trigger, "is_amo": False,
            "market_protection": protection,
        }  # fmt: skip
        what = f"place {order.side} {order.quantity} {order.instrument}"
        return placed_ids(what, data_of(what, self._body(what, self._exchange.place(body, self._now()))))

    def modify(self, change: SendModify) -> None:
        """Change an order. Raises BrokerError."""
        kind, price, trigger, protection = terms(change.order_type, change.price, change.trigger, change.protection)
        body = {
            "quantity": change.quantity, "validity": change.validity, "price": price, "order_id": change.broker_id,
            "order_type": kind, "disclosed_quantity": 0, "trigger_price": trigger, "market_protection": protection,
        }  # fmt: skip
        self._body(f"modify order {change.broker_id}", self._exchange.modify(body, self._now()))

    def cancel(self, cancel: SendCancel) -> None:
        """Take an order back. Raises BrokerError."""
        self._body(f"cancel order {cancel.broker_id}", self._exchange.cancel(cancel.broker_id, self._now()))

    def order_book(self) -> tuple[BrokerOrder, ...]:
        """Give the day's orders. Raises BrokerError."""
        what = "order book"
        return self.reader.orders(what, self._rows(what, self._exchange.order_book(self._now())))

    def orders_of(self, tag: str) -> tuple[BrokerOrder, ...]:
        """Give the orders of a tag. Raises BrokerError."""
        what = f"orders of tag {tag}"
        try:
            rows = self._rows(what, self._exchange.order_history(self._now(), tag=tag))
        except NotFoundError as error:
            if error.code == NO_ORDER:
                return ()
            raise
        return self.reader.orders(what, rows)

    def trades(self) -> tuple[BrokerTrade, ...]:
        """Give the day's executions. Raises BrokerError."""
        what = "trades of the day"
        return self.reader.trades(what, self._rows(what, self._exchange.trades(self._now())))

    def positions(self) -> tuple[BrokerPosition, ...]:
        """Give what is held. Raises BrokerError."""
        what = "positions"
        return self.reader.positions(what, self._rows(what, self._exchange.positions(self._now())))

    def funds(self) -> Funds:
        """Give the free money. Raises BrokerError."""
        what = "funds"
        equity = data_of(what, self._body(what, self._exchange.funds(self._now())))["equity"]
        return Funds(equity["available_margin"], equity["used_margin"])

    def _rows(self, what: str, answer: Answer) -> list[dict[str, Any]]:
        return rows_of(what, self._body(what, answer))

    def _body(self, what: str, answer: Answer) -> bytes:
        self.delay_ns = answer.delay_ns
        if answer.kind in {AnswerKind.DROP_BEFORE_ACCEPT, AnswerKind.DROP_AFTER_ACCEPT}:
            raise UnansweredError(f"{what}: the connection broke", certainty=Certainty.UNKNOWN)
        body = answer.text.encode() if answer.kind is AnswerKind.TEXT else msgspec.json.encode(answer.body)
        if answer.status >= 300:
            raise error_of_answer(what, answer.status, body, answer.headers)
        return body
