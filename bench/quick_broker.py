"""A broker for bench/tick_to_order.py: takes every order, fills what is to be filled, enters again what was left.

It stands where the connection to the real one stands in the cast and keeps to its protocol: every request is answered
once, from another thread and after as long as a broker takes; updates follow on the order stream.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from outside import Timing

from sos_actors.messages import (
    BrokerOrder,
    BrokerOrderChanged,
    BrokerPosition,
    BrokerTrade,
    CommandAnswered,
    FundsRead,
    OrderIntent,
    OrdersRead,
    OrderStreamChanged,
    OrderType,
    Outcome,
    PositionsRead,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    SendCancel,
    SendModify,
    SendPlace,
    TradePlan,
    TradesRead,
)
from sos_actors.runtime import Actor, handles

WORDS = {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET", OrderType.STOP: "SL"}


class LaterThread:
    """Runs calls after a delay, in one thread."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._number = 0
        self._thread = threading.Thread(target=self._run, name="quick-broker", daemon=True)
        self._thread.start()

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Run `call` in so many seconds."""
        with self._changed:
            self._number += 1
            heapq.heappush(self._due, (time.monotonic() + seconds, self._number, call))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                call = heapq.heappop(self._due)[2]
            call()


class QuickBrokerActor(Actor):
    """Answers the gateway. `plans` are the trades that are entered again whenever they were left."""

    def __init__(
        self, plans: Mapping[str, TradePlan], timing: Timing, now: Callable[[], int], answer_s: float, pause_s: float
    ) -> None:
        """`answer_s`: real seconds a broker takes to answer; `pause_s`: from an exit to the next entry."""
        super().__init__()
        self._plans, self._timing, self._now = plans, timing, now
        self._answer_s, self._pause_s = answer_s, pause_s
        self._later = LaterThread()
        self._lock = threading.Lock()
        self._orders: dict[str, BrokerOrder] = {}
        self._trades: list[BrokerTrade] = []
        self._held: dict[str, int] = {}
        self._entered = 0
        self.other_requests = 0
        for kind in (SendPlace, SendModify, SendCancel, ReadOrders, ReadTrades, ReadPositions, ReadFunds):
            self.subscribe(kind)

    def on_start(self) -> None:
        """The order stream is there."""
        self.publish(OrderStreamChanged(self._now(), True, "connected"))

    def enter(self, instrument: str) -> None:
        """Enter the trade of an instrument (anew)."""
        self._entered += 1
        name = f"bench-{self._entered}"
        plan = msgspec.structs.replace(self._plans[instrument], plan_id=name, signal_id=name, ts=self._now())
        self.publish(OrderIntent(name, self._now(), plan))

    @handles(SendPlace)
    def on_place(self, message: SendPlace) -> None:
        """Take an order; one that is not a stop fills."""
        self.other_requests += 1
        self._later.after(self._answer_s, lambda: self._place(message))

    @handles(SendModify)
    def on_modify(self, message: SendModify) -> None:
        """Change an order; a stop that is one no longer fills: the exit that was measured."""
        at = time.monotonic_ns()
        leaves = message.order_type is not OrderType.STOP
        hit = self._timing.hit.pop(self._orders[message.broker_id].instrument, 0) if leaves else 0
        if hit:
            self._timing.exits.append(at - hit)
        else:
            self.other_requests += 1
        self._later.after(self._answer_s, lambda: self._modify(message))

    @handles(SendCancel)
    def on_cancel(self, message: SendCancel) -> None:
        """Take an order back."""
        self.other_requests += 1
        self._later.after(self._answer_s, lambda: self._cancel(message))

    @handles(ReadOrders, ReadTrades, ReadPositions, ReadFunds)
    def on_read(self, message: ReadOrders | ReadTrades | ReadPositions | ReadFunds) -> None:
        """Read a book."""
        self._later.after(self._answer_s, lambda: self._read(message))

    # -- in the broker's thread --------------------------------------------------------------------------------

    def _place(self, send: SendPlace) -> None:
        name = f"B{len(self._orders) + 1}"
        stop = send.order_type is OrderType.STOP
        order = BrokerOrder(
            broker_id=name, instrument=send.instrument, side=send.side, quantity=send.quantity, ended=False,
            status="trigger pending" if stop else "open", tag=send.tag, order_type=WORDS[send.order_type],
            product=send.product, price=send.price, trigger=send.trigger, revision=1, ts=self._now(),
        )  # fmt: skip
        self._answered(send.request_id, name)
        self._change(order)
        if not stop:
            plan = self._plans.get(send.instrument)
            limit = send.price if send.price == send.price else 100.0
            self._fill(order, limit if plan is None else plan.entry)

    def _modify(self, send: SendModify) -> None:
        order = self._orders[send.broker_id]
        if order.ended:
            self._answered(send.request_id, outcome=Outcome.REJECTED, code="UDAPI100041")
            return
        self._answered(send.request_id, send.broker_id)
        leaves = send.order_type is not OrderType.STOP
        order = msgspec.structs.replace(
            order, quantity=send.quantity, order_type=WORDS[send.order_type], price=send.price, trigger=send.trigger,
            status="open" if leaves else order.status, revision=order.revision + 1, ts=self._now(),
        )  # fmt: skip
        self._change(order)
        if leaves:
            plan = self._plans.get(order.instrument)
            self._fill(order, order.price if plan is None else plan.target)
            if plan is not None:
                self._later.after(self._pause_s, lambda: self.enter(order.instrument))

    def _cancel(self, send: SendCancel) -> None:
        order = self._orders[send.broker_id]
        if order.ended:
            self._answered(send.request_id, outcome=Outcome.REJECTED, code="UDAPI100040")
            return
        self._answered(send.request_id, send.broker_id)
        self._change(msgspec.structs.replace(order, status="cancelled", ended=True, revision=order.revision + 1))

    def _fill(self, order: BrokerOrder, price: float) -> None:
        price = price if price == price else 100.0
        trade = BrokerTrade(
            trade_id=f"T{len(self._trades) + 1}", broker_id=order.broker_id, instrument=order.instrument,
            side=order.side, quantity=order.quantity, price=price, ts=self._now(),
        )  # fmt: skip
        with self._lock:
            self._trades.append(trade)
            self._held[order.instrument] = self._held.get(order.instrument, 0) + order.quantity * order.side.sign
        self._change(
            msgspec.structs.replace(
                order, status="complete", ended=True, filled=order.quantity, average_price=price,
                revision=order.revision + 1, ts=self._now(),
            )
        )  # fmt: skip

    def _change(self, order: BrokerOrder) -> None:
        self._orders[order.broker_id] = order
        self.publish(BrokerOrderChanged(self._now(), order))

    def _answered(self, request_id: str, *ids: str, outcome: Outcome = Outcome.CONFIRMED, code: str = "") -> None:
        self.publish(CommandAnswered(request_id, self._now(), outcome, ids, code))

    def _read(self, asked: ReadOrders | ReadTrades | ReadPositions | ReadFunds) -> None:
        now, name = self._now(), asked.request_id
        if isinstance(asked, ReadOrders):
            orders = tuple(order for order in self._orders.values() if not asked.tag or order.tag == asked.tag)
            self.publish(OrdersRead(name, now, True, orders, asked.tag))
        elif isinstance(asked, ReadTrades):
            self.publish(TradesRead(name, now, True, tuple(self._trades)))
        elif isinstance(asked, ReadPositions):
            held = tuple(BrokerPosition(instrument=i, product="I", quantity=q) for i, q in self._held.items())
            self.publish(PositionsRead(name, now, True, held))
        else:
            self.publish(FundsRead(name, now, True, 1e9, 0.0))

    def inspect(self) -> dict[str, Any]:
        """Say how much came."""
        return {"orders": len(self._orders), "exits": len(self._timing.exits), "other_requests": self.other_requests}
