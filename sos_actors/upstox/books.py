"""The broker's books, row by row: orders, executions, positions.

Rows are read as plain objects, not by the SDK's models: one unknown word in one row must not lose the book. What cannot
be attributed to anything (a row without its order id or key) makes the whole read unreadable, because a book with a
hole in it cannot prove that something is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import BrokerOrder, BrokerPosition, BrokerTrade, Side
from sos_actors.upstox.errors import Certainty, UnreadableAnswerError
from sos_actors.upstox.fields import instant, number, price, side, text, units

#: The broker's words for an order that will not change any more; every word not listed here is not final.
FINAL = frozenset({"complete", "cancelled", "rejected", "cancelled after market order"})

Row = dict[str, Any]
TableOf = Callable[[], InstrumentTable]


def data_of(what: str, body: bytes | msgspec.Raw) -> Any:
    """Give what an answer holds: `data` of the envelope, or the bare body where there is none around it.

    An envelope that says success and leaves `data` out is one whose writer drops nulls: None, as with a null.
    Raises UnreadableAnswerError for another shape, or an envelope that speaks of an error after all.
    """
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unreadable(what, str(error)) from None
    if isinstance(found, list):
        return found
    if isinstance(found, dict) and found.get("status") != "error" and "data" in found:
        return found["data"]
    if isinstance(found, dict) and found.get("status") == "success" and not found.get("errors"):
        return None
    raise unreadable(what, "neither data nor an error in it")


def rows_of(what: str, body: bytes | msgspec.Raw) -> list[Row]:
    """Give the rows of an answer; null is no rows. Raises UnreadableAnswerError when it is no list of objects."""
    found = data_of(what, body)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise unreadable(what, "no list of objects")
    return found


def unreadable(what: str, why: str) -> UnreadableAnswerError:
    """Make the error of an answer nobody can read."""
    return UnreadableAnswerError(
        f"{what}: the broker's answer cannot be read: {why}", certainty=Certainty.UNKNOWN, status=200
    )


class BookReader:
    """Makes our structs of the broker's rows; `table()` gives today's instruments."""

    def __init__(self, table: TableOf) -> None:
        self._table = table

    def instrument(self, row: Row) -> str:
        """Give our id of what a row is about, or the broker's own key where we do not know it."""
        key = text(row.get("instrument_token")) or text(row.get("instrument_key"))
        listed = self._table().by_key(key)
        return key if listed is None else listed.id

    def order(self, what: str, row: Row) -> BrokerOrder:
        """Read one order. Raises UnreadableAnswerError when it has no id.

        A side in a word we do not know is given as BUY and said so in `detail`: an order that is shown with a wrong
        side is found, one that is left out is sent again.
        """
        broker_id = text(row.get("order_id"))
        if not broker_id:
            raise unreadable(what, "an order without an id")
        way = side(row.get("transaction_type"))
        detail = text(row.get("status_message")) or text(row.get("status_message_raw"))
        if way is None:
            detail = f"side '{text(row.get('transaction_type'))}' is not known; {detail}".rstrip("; ")
        status = " ".join(text(row.get("status")).lower().split())
        return BrokerOrder(
            broker_id=broker_id,
            instrument=self.instrument(row),
            side=way or Side.BUY,
            quantity=units(row.get("quantity")),
            status=status,
            ended=status in FINAL,
            tag=text(row.get("tag")),
            filled=units(row.get("filled_quantity")),
            average_price=price(row.get("average_price")),
            order_type=text(row.get("order_type")),
            product=text(row.get("product")),
            price=price(row.get("price")),
            trigger=price(row.get("trigger_price")),
            revision=units(row.get("order_request_id")),
            ts=max(instant(row.get("order_timestamp")), instant(row.get("exchange_timestamp"))),
            detail=detail,
            exchange_id=text(row.get("exchange_order_id")),
            parent_id=text(row.get("parent_order_id")),
        )

    def orders(self, what: str, rows: Iterable[Row]) -> tuple[BrokerOrder, ...]:
        """Read a book of orders, or a history that shows an order several times: each once, as it stood last."""
        latest: dict[str, BrokerOrder] = {}
        for row in rows:
            order = self.order(what, row)
            known = latest.get(order.broker_id)
            if known is None or _standing(order) >= _standing(known):
                latest[order.broker_id] = order
        return tuple(latest.values())

    def trades(self, what: str, rows: Iterable[Row]) -> tuple[BrokerTrade, ...]:
        """Read the day's executions. Raises UnreadableAnswerError when one has no id, side, quantity or price."""
        found = []
        for row in rows:
            way = side(row.get("transaction_type"))
            trade = BrokerTrade(
                trade_id=text(row.get("trade_id")),
                broker_id=text(row.get("order_id")),
                instrument=self.instrument(row),
                side=way or Side.BUY,
                quantity=units(row.get("quantity")),
                price=price(row.get("average_price")),
                ts=instant(row.get("exchange_timestamp")) or instant(row.get("order_timestamp")),
            )
            sound = trade.trade_id and trade.broker_id and way and trade.quantity > 0 and trade.price > 0
            if not sound:
                raise unreadable(what, f"execution '{trade.trade_id}' of order '{trade.broker_id}' is not whole")
            found.append(trade)
        return tuple(found)

    def positions(self, what: str, rows: Iterable[Row]) -> tuple[BrokerPosition, ...]:
        """Read what is held. Raises UnreadableAnswerError when a row has no key or no quantity."""
        found = []
        for row in rows:
            quantity, instrument = number(row.get("quantity")), self.instrument(row)
            if quantity != quantity or not instrument:  # NaN
                raise unreadable(what, f"a position of '{instrument}' without a quantity, or of nothing")
            found.append(
                BrokerPosition(
                    instrument=instrument,
                    product=text(row.get("product")),
                    quantity=round(quantity),
                    average_price=price(row.get("average_price")),
                    buy_quantity=units(row.get("day_buy_quantity")) + units(row.get("overnight_buy_quantity")),
                    sell_quantity=units(row.get("day_sell_quantity")) + units(row.get("overnight_sell_quantity")),
                    buy_value=number(row.get("buy_value")),
                    sell_value=number(row.get("sell_value")),
                    last_price=price(row.get("last_price")),
                )
            )
        return tuple(found)


def _standing(order: BrokerOrder) -> tuple[bool, int, int, int]:
    return order.ended, order.revision, order.ts, order.filled
