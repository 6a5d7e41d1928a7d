"""The exchange's book of one instrument: the visible quote, our orders in its queues, and who is filled by what.

The visible book is the quote and, beyond it, levels of growing size. A limit order of ours joins the back of the
queue at its price: what is visible there stands ahead of it and is eaten by what trades there. It is filled when the
queue ahead is eaten, or when the market trades or quotes through its price. A marketable order walks the levels; what
it took is gone until the next quote. Prices are paise here, quantities units.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Side
from sos_actors.sandbox.exchange.orders import Order
from sos_actors.sandbox.exchange.settings import DepthSettings

#: An order, how much of it is filled, and at what price.
Match = tuple[Order, int, int]


def paise(rupees: float) -> int:
    """Rupees to paise; 0 for NaN or less than nothing."""
    return round(rupees * 100) if rupees > 0 else 0


class Book:
    """Quotes, resting orders and stops of one instrument."""

    def __init__(self, instrument: Instrument, depth: DepthSettings, reference_s: float) -> None:
        self.instrument = instrument
        self.tick = max(1, round(instrument.tick_size * 100))
        self.bid = self.bid_qty = self.ask = self.ask_qty = self.last = 0
        self.first = 0
        self.close = 0
        self._volume: float | None = None
        self._depth = depth
        self._window = int(reference_s * SECOND_NS)
        self._lasts: deque[tuple[int, int]] = deque()
        self._sum = 0
        self._taken: dict[tuple[Side, int], int] = {}
        self._joined = 0
        self.resting: list[Order] = []
        self.stops: list[Order] = []

    def reference(self) -> int:
        """Mean of the last prices of the window, paise; 0 before the first."""
        return self._sum // len(self._lasts) if self._lasts else self.last

    def new_day(self) -> None:
        """Forget the day; the last price becomes the close, and until the next quote nobody stands in the book."""
        self.bid = self.bid_qty = self.ask = self.ask_qty = 0
        self.close = self.last or self.close
        self.first = 0
        self._volume = None
        self._lasts.clear()
        self._sum = 0

    def quote(self, bid: int, bid_qty: int, ask: int, ask_qty: int, last: int, volume: float, now: int) -> int:
        """Take a new quote; gives the units traded since the one before."""
        self.bid, self.bid_qty, self.ask, self.ask_qty = bid, bid_qty, ask, ask_qty
        self._taken.clear()
        if last:
            self.last = last
            self.first = self.first or last
            self._lasts.append((now, last))
            self._sum += last
            while self._lasts[0][0] < now - self._window:
                self._sum -= self._lasts.popleft()[1]
        before, known = self._volume, volume == volume
        self._volume = volume if known else before
        return max(0, int(volume - before)) if known and before is not None else 0

    def join(self, order: Order) -> None:
        """Put an order at the back of the queue at its price."""
        self._joined += 1
        order.priority = self._joined
        order.ahead = self._visible(order.side, order.price)
        self.resting.append(order)
        # Price first, then time; buys and sells do not meet, so one list does.
        self.resting.sort(key=lambda one: (-one.side.sign * one.price, one.priority))

    def leave(self, order: Order) -> None:
        """Take an order out, resting or waiting for its trigger."""
        for held in (self.resting, self.stops):
            if order in held:
                held.remove(order)

    def take(self, order: Order) -> list[Match]:
        """Fill a marketable order from the visible levels, best first."""
        found = []
        left = order.pending
        for price, size in self._levels(order.side.opposite):
            if not left or (price - order.price) * order.side.sign > 0:
                break
            quantity = min(left, size)
            if quantity > 0:
                self._spend(order.side.opposite, price, quantity)
                found.append((order, quantity, price))
                left -= quantity
        return found

    def sweep(self, traded: int) -> list[Match]:
        """Fill resting orders by the new quote and by what traded at the last price."""
        found: list[Match] = []
        left = {Side.BUY: traded, Side.SELL: traded}
        for order in self.resting:
            sign, best, size = order.side.sign, *self._best(order.side)
            if (order.price - best) * sign > 0 or not best:
                order.ahead = 0
            elif order.price == best:
                order.ahead = min(order.ahead, size)
            quantity = min(order.pending, self._passive(order, left))
            if quantity > 0:
                found.append((order, quantity, order.price))
        return found

    def triggered(self) -> list[Order]:
        """Stops whose trigger the last price has reached, in order of arrival; they are no longer held here."""
        last = self.last
        reached = [order for order in self.stops if last and (last - order.trigger) * order.side.sign >= 0]
        if reached:
            self.stops = [order for order in self.stops if order not in reached]
        return reached

    def _passive(self, order: Order, left: dict[Side, int]) -> int:
        """Units of a resting order that this quote and its trades fill."""
        through = (self.last - order.price) * order.side.sign
        if left[order.side] and self.last and through < 0:
            return order.pending
        filled = 0
        if left[order.side] and self.last and through == 0:
            # What trades at our price eats the queue first, then us, then who came after us.
            filled = self._whole(min(order.pending, max(0, left[order.side] - order.ahead)))
            order.ahead = max(0, order.ahead - left[order.side])
            left[order.side] -= filled
        crossed = 0
        for price, size in self._levels(order.side.opposite):
            if (price - order.price) * order.side.sign > 0 or filled + crossed >= order.pending:
                break
            quantity = min(order.pending - filled - crossed, size)
            self._spend(order.side.opposite, price, quantity)
            crossed += quantity
        return filled + crossed

    def _whole(self, quantity: int) -> int:
        """Whole lots of a quantity: the exchange trades nothing else."""
        return quantity - quantity % self.instrument.lot_size if self.instrument.lot_size else quantity

    def _best(self, side: Side) -> tuple[int, int]:
        return (self.bid, self.bid_qty) if side is Side.BUY else (self.ask, self.ask_qty)

    def _visible(self, side: Side, price: int) -> int:
        """Units standing at a price of the side's own book."""
        best, size = self._best(side)
        if not best or (price - best) * side.sign > 0:
            return 0
        level = abs(price - best) // (self.tick * self._depth.step_ticks)
        return int(size * self._depth.growth ** min(level, self._depth.levels - 1))

    def _levels(self, side: Side) -> Iterator[tuple[int, int]]:
        """Price and size left of each visible level of a side, best first."""
        best, size = self._best(side)
        if not best:
            return
        step = self.tick * self._depth.step_ticks
        for level in range(self._depth.levels):
            price = best - side.sign * level * step
            if price <= 0:
                return
            shown = self._whole(int(size * self._depth.growth**level))
            yield price, max(0, shown - self._taken.get((side, price), 0))

    def _spend(self, side: Side, price: int, quantity: int) -> None:
        self._taken[side, price] = self._taken.get((side, price), 0) + quantity
