"""A paper exchange: fills against bars or ticks by stated, pessimistic rules.

A bar is walked as a path, so that what an order's fill sets off still takes part in the rest of the bar:

    open(bar)    orders that waited meet the first price: market orders at the open, worse by half the spread and
                 the slippage; stops the open has passed likewise (a gap is paid); limits it has passed, at it
    range(bar)   then the rest: stops first (at the trigger, worse by half spread and slippage), then limits, and
                 these only if the price traded *through* them by `limit_through_ticks`

Which of high and low came first is unknown, so of a stop and a target inside one bar the stop is taken. A market
order that arrives within a bar waits for the next open or tick; of that bar any other meets the close alone, the one
price that is sure to be later than the order (an exit decided on a minute of the index, where the contract has bars
of five or fifteen). Volume caps hold for bars; a tick says too little
about the size on offer. The whole is a function of the messages: no clock, no randomness.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from sos_actors.market.ids import parse_id
from sos_actors.messages import (
    NAN,
    Bar,
    CancelOrder,
    Fill,
    ModifyOrder,
    OrderStatus,
    OrderType,
    OrderUpdate,
    SubmitOrder,
    Tick,
)
from sos_actors.trading.paper_order import PaperOrder
from sos_actors.trading.paper_settings import PaperSettings
from sos_actors.trading.ticks import on_tick, tick_down, tick_up

#: Reached through its class, a member of an enumeration costs ten times as much.
OPEN, FILLED = OrderStatus.OPEN, OrderStatus.FILLED

MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
ExchangeEvent = OrderUpdate | Fill
_NS_PER_MS = 1_000_000
_UNCAPPED = 1 << 60


class PaperExchange:
    """Working orders of every instrument and the rules that fill them.

    `lot_size(instrument)` gives units a lot, 0 for an instrument it does not know; without it every quantity and
    instrument is accepted. Every call gives the events it caused, in order. Ids of fills are `order_id#n`.
    """

    def __init__(self, settings: PaperSettings, lot_size: Callable[[str], int] | None = None) -> None:
        self.settings = settings
        self.duplicates = 0
        self._lot_size = lot_size
        self._books: dict[str, list[PaperOrder]] = {}
        self._orders: dict[str, PaperOrder] = {}
        self._ended: dict[str, OrderStatus] = {}
        self._slip = settings.slippage_ticks * settings.tick
        self._through = settings.limit_through_ticks * settings.tick
        self._latency = round(settings.latency_ms * _NS_PER_MS)
        self._budget = _UNCAPPED
        self._budget_bar: tuple[str, int] = ("", -1)
        self._half = 0.0

    # -- commands -----------------------------------------------------------------------------------------------------

    def submit(self, message: SubmitOrder) -> list[ExchangeEvent]:
        """Take an order: OPEN, or REJECTED with the reason. An id seen before is ignored and counted."""
        order_id = message.order_id
        if order_id in self._orders or order_id in self._ended:
            self.duplicates += 1
            return []
        fault = self._fault(message)
        if fault:
            self._ended[order_id] = OrderStatus.REJECTED
            return [OrderUpdate(order_id, message.ts, OrderStatus.REJECTED, fault)]
        order = PaperOrder.of(message, message.ts + self._latency)
        self._orders[order_id] = order
        self._books.setdefault(message.instrument, []).append(order)
        return [OrderUpdate(order_id, message.ts, OPEN)]

    def modify(self, message: ModifyOrder) -> list[ExchangeEvent]:
        """Change a working order; `quantity` is the total, filled units included. Refused changes leave it as it is."""
        order = self._orders.get(message.order_id)
        if order is None:
            return self._not_working(message.order_id, message.ts, "modify")
        price = order.price if message.price != message.price else message.price
        trigger = order.trigger if message.trigger != message.trigger else message.trigger
        quantity = message.quantity or order.quantity
        kind = message.order_type or order.order_type
        if quantity <= order.filled:
            fault = f"quantity {quantity} is not above the {order.filled} already filled"
        else:
            fault = self._fault_of(order.instrument, quantity, kind, price, trigger)
        if fault:
            status = OrderStatus.PARTIALLY_FILLED if order.filled else OPEN
            return [OrderUpdate(message.order_id, message.ts, status, f"modify refused: {fault}")]
        if message.order_type or message.price == message.price or message.trigger == message.trigger:
            order.since = message.ts  # what was before is not to be met on the new terms
        order.order_type, order.price, order.trigger, order.quantity = kind, price, trigger, quantity
        return []

    def cancel(self, message: CancelOrder) -> list[ExchangeEvent]:
        """Take a working order back; for one that has ended, say how it ended."""
        order = self._orders.get(message.order_id)
        if order is None:
            return self._not_working(message.order_id, message.ts, "cancel")
        return [self._cancel(order, message.ts, "cancelled")]

    # -- prices -------------------------------------------------------------------------------------------------------

    def open(self, bar: Bar, bid: float = NAN, ask: float = NAN) -> list[ExchangeEvent]:
        """Meet waiting orders with the bar's first price. `bid`, `ask`: the quote whose width is the spread."""
        book = self._books.get(bar.instrument)
        if not book:
            return []
        price = bar.open
        self._start_bar(bar, bid, ask)
        events: list[ExchangeEvent] = []
        for order in tuple(book) if len(book) > 1 else (book[0],):
            if order.since > bar.start or order.order_id not in self._orders:
                continue  # what was first was known when the order was sent
            if order.order_type is MARKET:
                self._fill(order, self._worse(price, order.buy), bar.start, events)
            elif order.order_type is STOP:
                if price >= order.trigger if order.buy else price <= order.trigger:
                    self._trigger(order, price, bar.start, events)
            else:
                self._limit_at_open(order, price, bar.start, events)
        return events

    def range(self, bar: Bar) -> list[ExchangeEvent]:
        """Meet working orders with the rest of the bar: stops before limits. Filled at the bar's end."""
        book = self._books.get(bar.instrument)
        if not book:
            return []
        if self._budget_bar != (bar.instrument, bar.start):
            self._start_bar(bar, NAN, NAN)
        events: list[ExchangeEvent] = []
        waiting = tuple(book)
        for order in waiting:
            if order.order_type is STOP and order.order_id in self._orders:
                first, high, low = _seen(bar, order)
                # A stop that came within the bar may lie beyond its open already: then the open is what it gets.
                if order.buy and high >= order.trigger:
                    self._trigger(order, max(order.trigger, first), bar.end, events)
                elif not order.buy and low <= order.trigger:
                    self._trigger(order, min(order.trigger, first), bar.end, events)
        for order in waiting:
            if order.order_type is LIMIT and order.order_id in self._orders:
                first, high, low = _seen(bar, order)
                # One that came within the bar may lie beyond its open already, like a stop.
                self._limit_at_open(order, first, bar.end, events)
                reached = low <= order.price - self._through if order.buy else high >= order.price + self._through
                if reached and order.order_id in self._orders:
                    self._fill(order, order.price, bar.end, events)
        return events

    def tick(self, tick: Tick) -> list[ExchangeEvent]:
        """Meet working orders with one tick: market orders at the far side of its quote, else half spread off."""
        book = self._books.get(tick.instrument)
        if not book:
            return []
        price = tick.price
        self._budget, self._budget_bar = _UNCAPPED, ("", -1)
        self._half = self._half_spread(tick.instrument, price, NAN, NAN)
        bid = tick.bid if tick.bid > 0.0 else price - self._half
        ask = tick.ask if tick.ask > 0.0 else price + self._half
        events: list[ExchangeEvent] = []
        for order in sorted(book, key=_stops_first):
            if tick.ts < order.live_from or order.order_id not in self._orders:
                continue
            buy = order.buy
            high, low = tick.range_since(order.live_from)
            if order.order_type is LIMIT:
                if (
                    (low <= order.price - self._through or tick.ask <= order.price)
                    if buy
                    else (high >= order.price + self._through or tick.bid >= order.price)
                ):
                    self._fill(order, order.price, tick.ts, events)
                continue
            far = ask if buy else bid
            if order.order_type is STOP:
                if high < order.trigger if buy else low > order.trigger:
                    continue
                if tick.merged:  # the price may have come back since: then it got the trigger, not what is quoted now
                    far = max(far, order.trigger) if buy else min(far, order.trigger)
                order.order_type = MARKET
                self._cancel_siblings(order, tick.ts, events)
            self._fill(order, self._slipped(far, buy), tick.ts, events)
        return events

    def end_of_day(self, ts: int) -> list[ExchangeEvent]:
        """Cancel what still works, and forget the ids of the day; nothing where orders outlive the day."""
        if not self.settings.day_orders:
            return []
        events: list[ExchangeEvent] = [self._cancel(order, ts, "end of day") for order in tuple(self._orders.values())]
        self._ended.clear()
        return events

    def working(self, instrument: str) -> bool:
        """Whether any order of this instrument works."""
        return instrument in self._books

    # -- inside -------------------------------------------------------------------------------------------------------

    def _fault(self, message: SubmitOrder) -> str:
        if message.quantity <= 0:
            return f"quantity {message.quantity} is not positive"
        if self._lot_size is None and message.order_type is MARKET:
            return ""
        if self._lot_size is not None and self._lot_size(message.instrument) <= 0:
            return f"unknown instrument {message.instrument}"
        return self._fault_of(message.instrument, message.quantity, message.order_type, message.price, message.trigger)

    def _fault_of(self, instrument: str, quantity: int, kind: OrderType, price: float, trigger: float) -> str:
        if self._lot_size is not None and quantity % self._lot_size(instrument):
            return f"quantity {quantity} is not a multiple of the lot {self._lot_size(instrument)}"
        if kind is MARKET:
            return ""
        name, level = ("trigger", trigger) if kind is STOP else ("price", price)
        if not (0.0 < level < math.inf):
            return f"{name} {level} is not a price"
        if not on_tick(level, self.settings.tick):
            return f"{name} {level} is off the tick {self.settings.tick}"
        return ""

    def _not_working(self, order_id: str, ts: int, what: str) -> list[ExchangeEvent]:
        status = self._ended.get(order_id, OrderStatus.REJECTED)
        known = "ended already" if order_id in self._ended else "no such order"
        return [OrderUpdate(order_id, ts, status, f"{what} refused: {known}")]

    def _start_bar(self, bar: Bar, bid: float, ask: float) -> None:
        settings = self.settings
        self._half = self._half_spread(bar.instrument, bar.open, bid, ask)
        self._budget_bar = (bar.instrument, bar.start)
        if settings.volume_cap <= 0.0 or bar.volume != bar.volume:
            self._budget = _UNCAPPED
        else:
            lot = 1 if self._lot_size is None else max(self._lot_size(bar.instrument), 1)
            self._budget = int(bar.volume * settings.volume_cap) // lot * lot

    def _worse(self, price: float, buy: bool) -> float:
        return self._slipped(price + self._half if buy else price - self._half, buy)

    def _half_spread(self, instrument: str, price: float, bid: float, ask: float) -> float:
        """Half of what bid and ask are apart; without quotes a fraction of the price."""
        if 0.0 < bid <= ask:
            return (ask - bid) / 2.0
        settings = self.settings
        return price * (settings.half_spread if parse_id(instrument).kind == "OPT" else settings.half_spread_linear)

    def _slipped(self, price: float, buy: bool) -> float:
        # With no cost set the price stays what traded, on the grid or not; never below one tick.
        tick = self.settings.tick
        if self._half == 0.0 and self._slip == 0.0:
            return price
        return tick_up(price + self._slip, tick) if buy else max(tick_down(price - self._slip, tick), tick)

    def _limit_at_open(self, order: PaperOrder, price: float, ts: int, events: list[ExchangeEvent]) -> None:
        tick = self.settings.tick
        if order.buy:
            touch = price + self._half
            if touch <= order.price - self._through:
                self._fill(order, min(order.price, tick_up(touch, tick) if self._half else touch), ts, events)
        else:
            touch = price - self._half
            if touch >= order.price + self._through:
                self._fill(order, max(order.price, tick_down(touch, tick) if self._half else touch), ts, events)

    def _trigger(self, order: PaperOrder, price: float, ts: int, events: list[ExchangeEvent]) -> None:
        order.order_type = MARKET
        self._cancel_siblings(order, ts, events)
        self._fill(order, self._worse(price, order.buy), ts, events)

    def _fill(self, order: PaperOrder, price: float, ts: int, events: list[ExchangeEvent]) -> None:
        quantity, budget = order.quantity - order.filled, self._budget
        if quantity > budget:  # noqa: PLR1730 - min() costs three times as much
            quantity = budget
        if quantity <= 0:
            return
        self._budget -= quantity
        order.filled += quantity
        order.fills += 1
        events.append(
            Fill(f"{order.order_id}#{order.fills}", order.order_id, ts, order.instrument, order.side, quantity, price)
        )
        if order.filled == order.quantity:
            self._end(order, FILLED)
            if order.oco:
                self._cancel_siblings(order, ts, events)
        elif order.oco:
            for sibling in self._siblings(order):
                sibling.quantity -= quantity
                if sibling.quantity <= sibling.filled:
                    events.append(self._cancel(sibling, ts, f"oco {order.order_id}"))

    def _siblings(self, order: PaperOrder) -> list[PaperOrder]:
        book = self._books.get(order.instrument, ())
        return [other for other in book if other.oco == order.oco and other is not order]

    def _cancel_siblings(self, order: PaperOrder, ts: int, events: list[ExchangeEvent]) -> None:
        if order.oco:
            events.extend(self._cancel(sibling, ts, f"oco {order.order_id}") for sibling in self._siblings(order))

    def _cancel(self, order: PaperOrder, ts: int, detail: str) -> OrderUpdate:
        self._end(order, OrderStatus.CANCELLED)
        return OrderUpdate(order.order_id, ts, OrderStatus.CANCELLED, detail)

    def _end(self, order: PaperOrder, status: OrderStatus) -> None:
        del self._orders[order.order_id]
        self._ended[order.order_id] = status
        book = self._books[order.instrument]
        book.remove(order)
        if not book:
            del self._books[order.instrument]


def _seen(bar: Bar, order: PaperOrder) -> tuple[float, float, float]:
    """First, highest and lowest price that the order can have met; of a bar it was sent within, the close alone."""
    return (bar.open, bar.high, bar.low) if order.since <= bar.start else (bar.close, bar.close, bar.close)


def _stops_first(order: PaperOrder) -> int:
    return 1 if order.order_type is LIMIT else 0
