"""What the broker shows: orders, trades, positions, funds, margins, charges; sometimes as they were a while ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sos_actors.market.clocktime import SECOND_NS, ist_date
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Side
from sos_actors.sandbox.exchange.account import trade_row
from sos_actors.sandbox.exchange.answers import Answer, Refusal, success
from sos_actors.sandbox.exchange.book import paise
from sos_actors.sandbox.exchange.floor import Floor
from sos_actors.sandbox.exchange.orders import Order, history_row
from sos_actors.sandbox.exchange.settings import ExchangeSettings
from sos_actors.sandbox.exchange.validation import PRODUCTS, is_number, is_word, order_id_of

_MAX_MARGIN = 20
_COMMODITY_ZERO = ("used_margin", "payin_amount", "span_margin", "adhoc_margin", "notional_cash", "available_margin",
                   "exposure_margin")  # fmt: skip
#: What an order-book row says when a fault puts a word in it that no documentation knows.
_UNKNOWN_WORDS = (("validity", "GTD"), ("order_type", "ICEBERG"), ("status", "under review"))


class Reads:
    """Every read of the account."""

    def __init__(self, settings: ExchangeSettings, floor: Floor) -> None:
        self._settings = settings
        self._floor = floor
        self._words = 0

    def order_book(self, now: int) -> Answer:
        """The day's orders, as they are or as they were."""
        seen = self._seen("stale_orders", now)
        rows = [row for order in self._floor.orders.values() if (row := _row_at(order, seen)) is not None]
        if rows and self._floor.faults.hit("unknown_word"):
            name, word = _UNKNOWN_WORDS[self._words % len(_UNKNOWN_WORDS)]
            self._words += 1
            rows[-1] = {**rows[-1], name: word}
        return success(rows)

    def order_details(self, order_id: object, now: int) -> Answer:
        """One order."""
        row = _row_at(self._order(order_id), self._seen("stale_orders", now))
        if row is None:
            raise Refusal("100010", path="order_id", value=order_id)
        return success(row)

    def history(self, order_id: str | None, tag: str | None, now: int) -> Answer:
        """Every state of the orders of an id, of a tag, or both; oldest first."""
        if not order_id and not tag:
            raise Refusal("100059")
        orders = [self._order(order_id)] if order_id else list(self._floor.orders.values())
        if tag:
            orders = [order for order in orders if order.tag == tag]
        seen = self._seen("stale_orders", now)
        states = [(ts, row) for order in orders for ts, row in order.history if ts <= seen]
        if not states:
            raise Refusal("100010", path="order_id" if order_id else "tag", value=order_id or tag)
        states.sort(key=lambda state: state[0])
        return success([history_row(row) for _, row in states])

    def trades(self, now: int) -> Answer:
        """The day's executions."""
        seen = self._seen("stale_orders", now)
        return success([trade_row(one, order) for one, order in self._floor.account.trades if one.ts <= seen])

    def order_trades(self, order_id: object, now: int) -> Answer:
        """The executions of one order."""
        wanted = self._order(order_id)
        seen = self._seen("stale_orders", now)
        trades = self._floor.account.trades
        return success([trade_row(one, order) for one, order in trades if order is wanted and one.ts <= seen])

    def positions(self, now: int) -> Answer:
        """What is held, closed positions of the day included."""
        account = self._floor.account
        seen = self._seen("stale_positions", now)
        held = account.positions_at(seen) if seen < now else list(account.positions.values())
        books = [self._floor.book(one.instrument) for one in held]
        return success([one.row(book.last, book.close) for one, book in zip(held, books, strict=True)])

    def holdings(self) -> Answer:
        """No shares."""
        return success([])

    def funds(self, version: int, segment: str | None) -> Answer:
        """Money and margin, in the shape of V2 or V3; rupees."""
        if segment and not is_word(segment, {"SEC", "COM"}):
            raise Refusal("100036", "Segment is SEC or COM", path="segment", value=segment)
        account = self._floor.account
        span, blocked = account.span(), self._floor.blocked()
        free = account.available(blocked)
        used = span + blocked
        if version == 3:
            return success(self._funds_v3(span, blocked, free))
        exposure = round(span * self._settings.risk.exposure_share)
        equity = {
            "used_margin": used / 100,
            "payin_amount": 0.0,
            "span_margin": (span - exposure) / 100,
            "adhoc_margin": 0.0,
            "notional_cash": 0.0,
            "available_margin": free / 100,
            "exposure_margin": exposure / 100,
        }
        return success({"equity": equity, "commodity": dict.fromkeys(_COMMODITY_ZERO, 0.0)})

    def margin(self, body: object) -> Answer:
        """What a list of orders would need."""
        legs = body.get("instruments") if isinstance(body, Mapping) else None
        if not isinstance(legs, list) or not legs:
            raise Refusal("1099", "Instruments are required", path="instruments")
        if len(legs) > _MAX_MARGIN:
            raise Refusal("1102", "At most 20 instruments", path="instruments", value=len(legs))
        rows, seen = [], []
        for leg in legs:
            if not isinstance(leg, Mapping):
                raise Refusal("100038", path="instruments")
            instrument = self._contract(leg.get("instrument_key"), "1099", "1098")
            if instrument.id in seen:
                raise Refusal(
                    "1103", "An instrument stands there twice", path="instruments", value=instrument.upstox_key
                )
            seen.append(instrument.id)
            rows.append(self._margin_row(instrument, leg))
        total = round(sum(row["total_margin"] for row in rows), 2)
        return success({"margins": rows, "required_margin": total, "final_margin": total})

    def brokerage(self, query: Mapping[str, Any], now: int) -> Answer:
        """What one order would cost."""
        instrument = self._contract(query.get("instrument_token"), "1059", "1060")
        try:
            quantity, price = int(query.get("quantity") or 0), float(query.get("price") or 0.0)
        except (TypeError, ValueError, OverflowError):
            raise Refusal("100036", "Quantity and price are numbers", path="quantity") from None
        if quantity <= 0:
            raise Refusal("1061", "Quantity is required", path="quantity", value=quantity)
        if not is_word(query.get("product"), PRODUCTS):
            raise Refusal("1062", "Product is required", path="product", value=query.get("product"))
        side = _side(query.get("transaction_type"), "1063")
        if not 0 < price < 1e9:
            raise Refusal("1064", "Price is required", path="price", value=price)
        charges = self._floor.account.charges_row(instrument, side, quantity, price, ist_date(now))
        return success({"charges": charges})

    def _margin_row(self, instrument: Instrument, leg: Mapping[str, Any]) -> dict[str, float]:
        quantity = leg.get("quantity")
        if quantity is None:
            raise Refusal("1097", "Quantity is required", path="quantity")
        if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity <= 0:
            raise Refusal("1096", "Quantity must be above 0", path="quantity", value=quantity)
        if quantity % max(1, instrument.lot_size):
            raise Refusal("1104", "Quantity must be a multiple of the lot", path="quantity", value=quantity)
        if not is_word(leg.get("product"), PRODUCTS):
            raise Refusal("1100", "Product is required", path="product", value=leg.get("product"))
        side = _side(leg.get("transaction_type"), "1101")
        price = leg.get("price")
        if price is not None and (not is_number(price) or price < 0):
            raise Refusal("1095", "Price must be above 0", path="price", value=price)
        premium = paise(price) if price else self._floor.book(instrument).last
        return self._floor.account.margin_row(instrument, side, quantity, premium)

    def _contract(self, key: object, missing: str, unknown: str) -> Instrument:
        if not key:
            raise Refusal(missing, "Instrument key is required", path="instrumentKey")
        found = self._floor.instruments.by_key(key) if isinstance(key, str) else None
        if found is None or found.kind == "INDEX":
            raise Refusal(unknown, "Instrument key is invalid", path="instrumentKey", value=key)
        return found

    def _order(self, order_id: object) -> Order:
        found = self._floor.orders.get(order_id_of(order_id, "1023"))
        if found is None:
            raise Refusal("100010", path="order_id", value=order_id)
        return found

    def _seen(self, fault: str, now: int) -> int:
        """The instant whose books are shown: now, or earlier where a fault says so."""
        if not self._floor.faults.hit(fault):
            return now
        return now - int(getattr(self._floor.faults.menu, f"{fault}_s") * SECOND_NS)

    def _funds_v3(self, span: int, blocked: int, free: int) -> dict[str, Any]:
        account, book = self._floor.account, self._floor.book
        held = list(account.positions.values())
        premium = sum(one.buys[1] for one in held if one.net > 0 and one.instrument.kind == "OPT")
        realised = sum(one.realised() for one in held)
        unrealised = sum(one.net * (book(one.instrument).last / 100 - one.average()) for one in held if one.net)
        delivery = {"total": 0.0}
        used = {
            "total": (span + blocked) / 100,
            "mtf": 0.0,
            "loss": {
                "total": round(max(0.0, -(realised + unrealised)), 2),
                "realised": round(max(0.0, -realised), 2),
                "unrealised": round(max(0.0, -unrealised), 2),
            },
            "span_exposure": span / 100,
            "cash_margin_var_elm": 0.0,
            "premium_present": (premium + blocked) / 100,
            "delivery_margin": delivery,
        }
        cash = {
            "opening_balance": account.opening / 100,
            "added_today": 0.0,
            "withdrawn_today": 0.0,
            "amount_from_stock_sale": 0.0,
            "unpaid_charges": account.day_charges / 100,
        }
        available = {"total": free / 100, "cash": cash, "margin_used": used}
        pledge = {"total": 0.0}
        return {
            "available_to_trade": {
                "total": free / 100,
                "cash_available_to_trade": available,
                "pledge_available_to_trade": pledge,
            },
            "unavailable_to_trade": {"total": 0.0},
        }


def _row_at(order: Order, seen: int) -> dict[str, Any] | None:
    """The order's row as it was at an instant; None before it was there."""
    return next((row for ts, row in reversed(order.history) if ts <= seen), None)


def _side(value: object, wrong: str) -> Side:
    if not is_word(value, {"BUY", "SELL"}):
        raise Refusal(wrong, "Transaction type is required", path="transactionType", value=value)
    return Side(value)
