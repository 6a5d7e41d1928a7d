"""The account at the broker: executions, positions, charges, cash to the paisa, margin."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.ids import index_id
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Right, Side
from sos_actors.sandbox.exchange.book import Book
from sos_actors.sandbox.exchange.orders import FO_EXCHANGE, Order, short_symbol, stamp
from sos_actors.sandbox.exchange.positions import Position
from sos_actors.sandbox.exchange.settings import ExchangeSettings

TRADE = "TRADE"
SETTLEMENT = "SETTLEMENT"


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution, or the settlement of what expired. Money in paise; `instrument` is our id."""

    trade_id: str
    order_id: str
    instrument: str
    product: str
    side: Side
    quantity: int
    price: int
    charges: int
    ts: int
    kind: str = TRADE
    tag: str | None = None


class Account:
    """Money and holdings of the one account. `books` are the exchange's, read for last prices."""

    def __init__(self, settings: ExchangeSettings, books: dict[str, Book]) -> None:
        self.start = round(settings.account.cash * 100)
        self.cash = self.start
        self.charges = 0
        self.day_charges = 0
        self.opening = self.start
        self.executions: list[Execution] = []
        self.trades: list[tuple[Execution, Order]] = []
        self.positions: dict[tuple[str, str], Position] = {}
        self._carried: dict[tuple[str, str], Position] = {}
        self._books = books
        self._schedule = ChargeSchedule(settings.charges)
        self._span = settings.risk.span_percent
        self._exposure = settings.risk.exposure_share

    def execute(self, order: Order, quantity: int, price: int, trade_id: str, now: int, day: dt.date) -> Execution:
        """Book an execution of an order."""
        instrument = order.instrument
        charges = self._schedule.charges(
            instrument.kind, instrument.exchange, order.side, quantity, price / 100, day, int(order.filled == 0)
        ).total
        execution = Execution(
            trade_id=trade_id,
            order_id=order.order_id,
            instrument=instrument.id,
            product=order.product,
            side=order.side,
            quantity=quantity,
            price=price,
            charges=charges,
            ts=now,
            tag=order.tag,
        )
        self.trades.append((execution, order))
        self._book(execution, self.position(instrument, order.product))
        return execution

    def settle(self, position: Position, price: int, trade_id: str, now: int, day: dt.date) -> Execution:
        """Close an expired position at its settlement value (paise a unit)."""
        net, instrument = position.net, position.instrument
        exercised = net > 0 and instrument.kind == "OPT" and price > 0
        tax = self._schedule.exercise(instrument.exchange, net, price / 100, day).total if exercised else 0
        execution = Execution(
            trade_id=trade_id,
            order_id="",
            instrument=instrument.id,
            product=position.product,
            side=Side.SELL if net > 0 else Side.BUY,
            quantity=abs(net),
            price=price,
            charges=tax,
            ts=now,
            kind=SETTLEMENT,
        )
        self._book(execution, position)
        return execution

    def position(self, instrument: Instrument, product: str) -> Position:
        """The position of a contract and product, made when it is asked for first."""
        key = (instrument.id, product)
        found = self.positions.get(key)
        if found is None:
            found = self.positions[key] = Position(instrument, product)
        return found

    def held(self, instrument: Instrument, product: str) -> int:
        """Signed units held."""
        found = self.positions.get((instrument.id, product))
        return found.net if found else 0

    def new_day(self) -> None:
        """Forget the day's trades, carry what is open."""
        self.trades.clear()
        self.positions = {key: one.carried() for key, one in self.positions.items() if one.net}
        self._carried = {key: one.carried() for key, one in self.positions.items()}
        self.opening = self.cash
        self.day_charges = 0

    def positions_at(self, ts: int) -> list[Position]:
        """The day's positions as they were at an earlier instant."""
        made = {key: Position(one.instrument, one.product, one.overnight, one.overnight_value)
                for key, one in self._carried.items()}  # fmt: skip
        for execution, order in self.trades:
            if execution.ts <= ts:
                key = (order.instrument.id, order.product)
                one = made.setdefault(key, Position(order.instrument, order.product))
                one.add(execution.side, execution.quantity, execution.price)
        return list(made.values())

    def span_of(self, instrument: Instrument, quantity: int) -> int:
        """Margin of so many units short (or of a future either way), paise."""
        level = self._last(index_id(instrument.underlying)) or round((instrument.strike or 0.0) * 100)
        level = level or self._last(instrument.id)
        return round(level * quantity * self._span / 100)

    def span(self) -> int:
        """Margin of everything held, paise."""
        total = 0
        for one in self.positions.values():
            if one.net < 0 or (one.net and one.instrument.kind == "FUT"):
                total += self.span_of(one.instrument, abs(one.net))
        return total

    def available(self, blocked: int) -> int:
        """Paise free to trade when `blocked` stand behind working orders."""
        futures = sum(
            one.net * self._last(one.instrument.id)
            for one in self.positions.values()
            if one.net and one.instrument.kind == "FUT"
        )
        return self.cash + futures - self.span() - blocked

    def needed(self, order: Order, before: int) -> int:
        """Margin or premium that what is unfilled of an order takes, paise; nothing for what closes a position.

        `before` are the units that earlier working orders on the same side may close first: of a target and a stop
        for one position the second takes margin.
        """
        held, pending = self.held(order.instrument, order.product), order.pending
        closing = min(pending, max(0, (-held if order.side is Side.BUY else held) - before))
        opening = pending - closing
        if order.instrument.kind == "OPT" and order.side is Side.BUY:
            return opening * (order.price or order.trigger)
        return self.span_of(order.instrument, opening) if opening else 0

    def margin_row(self, instrument: Instrument, side: Side, quantity: int, price: int) -> dict[str, float]:
        """One row of `POST /v2/charges/margin`, rupees."""
        bought = instrument.kind == "OPT" and side is Side.BUY
        total = 0 if bought else self.span_of(instrument, quantity)
        exposure = round(total * self._exposure)
        premium = quantity * price if bought else 0
        return {
            "span_margin": (total - exposure) / 100,
            "exposure_margin": exposure / 100,
            "equity_margin": 0.0,
            "net_buy_premium": premium / 100,
            "additional_margin": 0.0,
            "total_margin": (total + premium) / 100,
            "tender_margin": 0.0,
        }

    def charges_row(
        self, instrument: Instrument, side: Side, quantity: int, price: float, day: dt.date
    ) -> dict[str, Any]:
        """Give `charges` of `GET /v2/charges/brokerage`, rupees."""
        cost = self._schedule.charges(instrument.kind, instrument.exchange, side, quantity, price, day)
        other = {
            "transaction": cost.transaction / 100,
            "clearing": 0.0,
            "ipft": cost.ipft / 100,
            "sebi_turnover": cost.sebi / 100,
        }
        plan = {"name": "BASIC", "min_expense": 0.0}
        return {
            "total": cost.total / 100,
            "brokerage": cost.brokerage / 100,
            "taxes": {"gst": cost.gst / 100, "stt": cost.stt / 100, "stamp_duty": cost.stamp / 100},
            "other_charges": other,
            "dp_plan": plan,
            "otherTaxes": other,
            "dpPlan": plan,
        }

    def _last(self, instrument: str) -> int:
        """Last price of an instrument, paise; 0 when there was none."""
        book = self._books.get(instrument)
        return book.last if book is not None else 0

    def _book(self, execution: Execution, position: Position) -> None:
        self.executions.append(execution)
        position.add(execution.side, execution.quantity, execution.price)
        self.cash -= execution.side.sign * execution.quantity * execution.price + execution.charges
        self.charges += execution.charges
        self.day_charges += execution.charges


def trade_row(execution: Execution, order: Order) -> dict[str, Any]:
    """Write an execution as the trade book shows it."""
    symbol = short_symbol(order.instrument)
    return {
        "exchange": FO_EXCHANGE[order.instrument.exchange],
        "product": order.product,
        "trading_symbol": symbol,
        "tradingsymbol": symbol,
        "instrument_token": order.instrument.upstox_key,
        "order_type": order.order_type,
        "transaction_type": str(order.side),
        "quantity": execution.quantity,
        "exchange_order_id": order.exchange_id,
        "order_id": order.order_id,
        "exchange_timestamp": stamp(execution.ts),
        "average_price": execution.price / 100,
        "trade_id": execution.trade_id,
        "order_ref_id": order.ref_id,
        "order_timestamp": stamp(execution.ts),
    }


def settlement_value(instrument: Instrument, index: int) -> int:
    """What a unit of an expired contract is worth, paise, by the index (paise)."""
    if instrument.right is None:
        return index
    strike = round((instrument.strike or 0.0) * 100)
    return max(0, index - strike if instrument.right is Right.CE else strike - index)
