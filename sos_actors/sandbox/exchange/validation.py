"""What the broker checks before it takes a request, each with its code; anything else is found out later."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, TypeGuard

from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import Side
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.exchange.book import paise
from sos_actors.sandbox.exchange.orders import Order, Ticket

MARKET, LIMIT, STOP_LIMIT, STOP = "MARKET", "LIMIT", "SL", "SL-M"
ORDER_TYPES = frozenset({MARKET, LIMIT, STOP_LIMIT, STOP})
STOPS = frozenset({STOP_LIMIT, STOP})
WITH_PRICE = frozenset({LIMIT, STOP_LIMIT})
PRODUCTS = frozenset({"I", "D"})
VALIDITIES = frozenset({"DAY", "IOC"})
MAX_TAG = 40
MAX_SLICES = 25
MAX_CORRELATION = 20
MAX_PROTECTION = 25

Body = Mapping[str, Any]


def place_ticket(body: object, instruments: InstrumentTable, unprotected: str) -> Ticket:
    """Check the body of a placing; `unprotected` is what becomes of market_protection 0. Raises Refusal."""
    fields = fields_of(body)
    instrument = _instrument(fields, instruments)
    kind = _word(fields, "order_type", ORDER_TYPES, "1004", "1056")
    product = _word(fields, "product", PRODUCTS, "1006", "1054")
    validity = _word(fields, "validity", VALIDITIES, "1007", "1055")
    side = Side(_word(fields, "transaction_type", frozenset(Side), "1057", "1057"))
    quantity = _quantity(fields)
    price, trigger = _money(fields, "price"), _money(fields, "trigger_price")
    _place_prices(fields, kind, side, price, trigger)
    tag = fields.get("tag")
    if tag is not None and (not isinstance(tag, str) or len(tag) > MAX_TAG):
        raise Refusal("1119", path="tag", value=tag)
    sliced = fields.get("slice")
    if sliced and instrument.freeze_quantity and -(-quantity // largest_order(instrument)) > MAX_SLICES:
        raise Refusal("1118", "The order makes more than 25 slices", path="quantity", value=quantity)
    return Ticket(
        instrument=instrument,
        side=side,
        quantity=quantity,
        product=product,
        validity=validity,
        order_type=kind,
        price=price,
        trigger=trigger,
        disclosed=_disclosed(fields, quantity),
        protection=_protection(fields, kind, unprotected),
        tag=tag or None,
        slice=bool(sliced),
    )


def modify_ticket(body: object, order: Order, unprotected: str) -> Ticket:
    """Check the body of a modification against the order it changes. Raises Refusal."""
    fields = fields_of(body)
    kind = _word(fields, "order_type", ORDER_TYPES, "1004", "1056")
    validity = _word(fields, "validity", VALIDITIES, "1007", "1055")
    price, trigger = _money(fields, "price"), _money(fields, "trigger_price")
    _modify_prices(kind, order.side, price, trigger)
    quantity = order.quantity if not fields.get("quantity") else _quantity(fields)
    return Ticket(
        instrument=order.instrument,
        side=order.side,
        quantity=quantity,
        product=order.product,
        validity=validity,
        order_type=kind,
        price=price,
        trigger=trigger,
        disclosed=_disclosed(fields, quantity),
        protection=_protection(fields, kind, unprotected),
        tag=order.tag,
    )


def order_id_of(value: object, required: str) -> str:
    """Check an order id; `required` is the code of a missing one. Raises Refusal."""
    if not value:
        raise Refusal(required, path="order_id")
    if not isinstance(value, str) or not all(char.isalnum() or char == "-" for char in value):
        raise Refusal("1010", path="order_id", value=value)
    return value


def largest_order(instrument: Instrument) -> int:
    """Units one order can have: the freeze quantity cut to whole lots; without one, everything."""
    lot = max(1, instrument.lot_size)
    return max(lot, instrument.freeze_quantity - instrument.freeze_quantity % lot)


def slices(ticket: Ticket) -> list[int]:
    """Quantities of the orders a ticket makes: one, or with `slice` as many as the freeze quantity asks for."""
    largest = largest_order(ticket.instrument)
    if not ticket.slice or not ticket.instrument.freeze_quantity or ticket.quantity <= largest:
        return [ticket.quantity]
    whole, rest = divmod(ticket.quantity, largest)
    return [largest] * whole + ([rest] if rest else [])


def is_number(value: object) -> TypeGuard[float]:
    """Whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_word(value: object, allowed: Collection[str]) -> TypeGuard[str]:
    """Whether a JSON value is one of some words."""
    return isinstance(value, str) and value in allowed


def fields_of(body: object) -> Body:
    """Give the fields of a request's body; raises Refusal 100038."""
    if not isinstance(body, Mapping):
        raise Refusal("100038", "The body is no JSON object")
    return body


def _instrument(fields: Body, instruments: InstrumentTable) -> Instrument:
    key = fields.get("instrument_token") or fields.get("instrument_key")
    if not key:
        raise Refusal("1026", path="instrumentToken")
    found = instruments.by_key(key) if isinstance(key, str) else None
    if found is None or found.kind == "INDEX":
        raise Refusal("100011", path="instrumentToken", value=key)
    return found


def _word(fields: Body, name: str, allowed: frozenset[Any], missing: str, wrong: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        raise Refusal(missing, path=name)
    if not is_word(value, allowed):
        raise Refusal(wrong, path=name, value=value)
    return value


def _quantity(fields: Body) -> int:
    value = fields.get("quantity")
    if not is_number(value) or value % 1:
        raise Refusal("100036", "Quantity must be a whole number", path="quantity", value=value)
    if value <= 0:
        raise Refusal("1052", path="quantity", value=value)
    return int(value)


def _money(fields: Body, name: str) -> int:
    value = fields.get(name)
    if value is None:
        return 0
    if not is_number(value) or not 0 <= value < 1e9:
        raise Refusal("100036", f"{name} must be a number, 0 or more", path=name, value=value)
    # Anything above zero stays so, or a price of a tenth of a paisa would count as none.
    return paise(value) or int(value > 0)


def _disclosed(fields: Body, quantity: int) -> int:
    value = fields.get("disclosed_quantity") or 0
    if not is_number(value) or value < 0:
        raise Refusal("100036", path="disclosedQuantity", value=value)
    if value and value * 10 < quantity:
        raise Refusal("1039", path="disclosedQuantity", value=value)
    return int(value)


def _protection(fields: Body, kind: str, unprotected: str) -> float:
    value = fields.get("market_protection")
    value = 0 if value is None else value
    if not is_number(value) or (value < 0 and value != -1):
        raise Refusal("1160", path="marketProtection", value=value)
    if value > MAX_PROTECTION:
        raise Refusal("1159", path="marketProtection", value=value)
    if value == 0 and kind in {MARKET, STOP}:
        if unprotected == "reject":
            raise Refusal("1158", path="marketProtection", value=value)
        return -1.0
    return float(value)


def _place_prices(fields: Body, kind: str, side: Side, price: int, trigger: int) -> None:
    if kind in WITH_PRICE:
        if fields.get("price") is None:
            raise Refusal("1008", path="price")
        if not price:
            raise Refusal("1043", path="price", value=0)
    elif price:
        raise Refusal("1040", path="price", value=price / 100)
    if kind in STOPS and not trigger:
        raise Refusal("1041", path="triggerPrice", value=0)
    if kind not in STOPS and trigger:
        raise Refusal("1042", path="triggerPrice", value=trigger / 100)
    _trigger_side(kind, side, price, trigger)


def _modify_prices(kind: str, side: Side, price: int, trigger: int) -> None:
    match kind:
        case "LIMIT" if not price:
            raise Refusal("1029", path="price", value=0)
        case "MARKET" if price:
            raise Refusal("1030", path="price", value=price / 100)
        case "SL" if not price and not trigger:
            raise Refusal("1031", path="price", value=0)
        case "SL" if not price:
            raise Refusal("1029", path="price", value=0)
        case "SL-M" if price:
            raise Refusal("1032", path="price", value=price / 100)
        case "SL" | "SL-M" if not trigger:
            raise Refusal("1036", path="triggerPrice", value=0)
    _trigger_side(kind, side, price, trigger)


def _trigger_side(kind: str, side: Side, price: int, trigger: int) -> None:
    """Refuse a stop whose trigger does not come before its limit."""
    if kind == STOP_LIMIT and (trigger - price) * side.sign >= 0:
        raise Refusal("1037" if side is Side.BUY else "1038", path="triggerPrice", value=trigger / 100)
