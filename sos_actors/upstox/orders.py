"""Placing, changing and taking back orders through the broker's V3 interface."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from upstox_client import ModifyOrderRequest, OrderApiV3, PlaceOrderV3Request

from sos_actors.messages import OrderType, SendCancel, SendModify, SendPlace
from sos_actors.upstox.books import data_of, unreadable
from sos_actors.upstox.client import UpstoxClient
from sos_actors.upstox.fields import text
from sos_actors.upstox.limits import RequestClass


class UpstoxOrders:
    """The broker's order interface. Every method blocks, and raises BrokerError, whose `certainty` says what is proved.

    An answer of 2xx that does not hold what was asked for is UnreadableAnswerError: nobody knows.
    """

    def __init__(self, client: UpstoxClient, *, patience_s: float, exit_patience_s: float) -> None:
        """Patience: seconds an order, or an exit, may wait for room in the rate limits before it is refused."""
        self._client, self._api = client, OrderApiV3(client.api)
        self._patience_s, self._exit_patience_s = patience_s, exit_patience_s

    def place(self, order: SendPlace, key: str) -> tuple[str, ...]:
        """Place an order for the broker's instrument `key`; gives the broker's ids, several where it was cut."""
        what = f"place {order.side} {order.quantity} {order.instrument}"
        kind, price, trigger, protection = terms(order.order_type, order.price, order.trigger, order.protection)

        def send(**options: Any) -> Any:
            request = PlaceOrderV3Request(
                quantity=order.quantity, product=order.product, validity=order.validity, price=price, tag=order.tag,
                slice=order.slice, instrument_token=key, order_type=kind, transaction_type=order.side.value,
                disclosed_quantity=0, trigger_price=trigger, is_amo=False, market_protection=protection,
            )  # fmt: skip
            return self._api.place_order(request, **options)

        data = self._send(what, send, exits=order.exits)
        return placed_ids(what, data)

    def modify(self, change: SendModify) -> None:
        """Change an order."""
        kind, price, trigger, protection = terms(change.order_type, change.price, change.trigger, change.protection)

        def send(**options: Any) -> Any:
            request = ModifyOrderRequest(
                quantity=change.quantity, validity=change.validity, price=price, order_id=change.broker_id,
                order_type=kind, disclosed_quantity=0, trigger_price=trigger, market_protection=protection,
            )  # fmt: skip
            return self._api.modify_order(request, **options)

        self._send(f"modify order {change.broker_id}", send, exits=change.exits)

    def cancel(self, cancel: SendCancel) -> None:
        """Take an order back."""

        def send(**options: Any) -> Any:
            return self._api.cancel_order(cancel.broker_id, **options)

        self._send(f"cancel order {cancel.broker_id}", send, exits=cancel.exits)

    def _send(self, what: str, method: Any, *, exits: bool) -> dict[str, Any]:
        self._client.need_token(what)
        algo = self._client.settings.algo_name
        named: dict[str, Any] = {"algo_name": algo} if algo else {}
        body = self._client.call(
            what, method, answer=msgspec.Raw, rate=RequestClass.ORDER, exits=exits,
            patience_s=self._exit_patience_s if exits else self._patience_s, **named,
        )  # fmt: skip
        data = data_of(what, body)
        if not isinstance(data, dict):
            raise unreadable(what, "no object in it")
        return data


def placed_ids(what: str, data: Any) -> tuple[str, ...]:
    """Give the ids that the answer to a placing names. Raises UnreadableAnswerError when it names none."""
    found = data.get("order_ids")
    listed = found if isinstance(found, list) else [data.get("order_id")]
    ids = tuple(dict.fromkeys(text(one) for one in listed))
    if not ids or not all(ids):
        raise unreadable(what, "no order id in it")
    return ids


def terms(kind: OrderType, price: float, trigger: float, protection: float) -> tuple[str, float, float, float]:
    """Give the broker's order type, price, trigger and market protection; 0 stands for none.

    A market order, and a stop that becomes one, never goes without protection: the broker may refuse it, and the
    exchange does not like it. The broker's own table (-1) takes the place of none.
    """
    name = ("SL-M" if math.isnan(price) else "SL") if kind is OrderType.STOP else kind.value
    limited = name in {"LIMIT", "SL"}
    guard: float = 0 if limited else protection if protection > 0 else -1
    guard = int(guard) if guard == int(guard) else guard  # as the broker's documentation writes it: -1, not -1.0
    return name, price if limited else 0.0, trigger if name.startswith("SL") else 0.0, guard
