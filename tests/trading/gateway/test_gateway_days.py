"""A night between two lives: what was held may be gone, and the new day's order book does not say how."""

from __future__ import annotations

import datetime as dt

import pytest
from gateway_model import CALL, LOT, SECOND, Broker, Wire

from sos_actors.market.clocktime import ist_date, ist_ns
from sos_actors.messages import (
    AccountDiffered,
    AlertRaised,
    CancelOrder,
    Direction,
    ExitReason,
    Fill,
    ModifyOrder,
    OrderIntent,
    OrderRole,
    OrderType,
    OrderUpdate,
    Phase,
    Right,
    SendPlace,
    Side,
    SubmitOrder,
    TradeClosed,
    TradePlan,
)
from sos_actors.trading.checkpoint import checkpoint, restore, wishes, working_orders
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.gateway.records import DayBegun
from sos_actors.trading.ledger import Ledger

#: The Monday after the Wire's Friday: nine minutes after the open.
MONDAY = dt.date(2026, 11, 23)
MORNING = ist_ns(MONDAY, "09:24")
SETTINGS = DeskSettings(
    rest_target=False, exit_by_stop=True, exits=ExitSettings(time_stop_min=None, square_off=None, break_even_at=None)
)


class DeskWire(Wire):
    """The wires, with the order desk itself at their end."""

    def __post_init__(self) -> None:
        self.orders = OrderDesk(SETTINGS, Ledger(10**9))
        self.placed: list[SendPlace] = []
        self.closed: list[TradeClosed] = []
        super().__post_init__()

    def _check_send(self, item: object) -> None:
        if isinstance(item, SendPlace):
            self.placed.append(item)

    def _hear(self, item: object) -> None:
        if isinstance(item, OrderUpdate):
            self.told(self.orders.on_update(item))
        elif isinstance(item, Fill):
            self.told(self.orders.on_fill(item))
        elif isinstance(item, AlertRaised):
            self.alerts.append(item.text)
        elif isinstance(item, AccountDiffered):
            self.differences = item.differences
        else:
            raise TypeError(f"unexpected {item!r}")

    def told(self, out: list) -> None:
        for message in out:
            if isinstance(message, SubmitOrder):
                self.send(self.gateway.submit(message, self.now))
            elif isinstance(message, ModifyOrder):
                self.send(self.gateway.modify(message, self.now))
            elif isinstance(message, CancelOrder):
                self.send(self.gateway.cancel(message, self.now))
            elif isinstance(message, TradeClosed):
                self.closed.append(message)

    def enter(self, name: str, lots: int = 1) -> None:
        plan = TradePlan(name, name, "one", "NIFTY", self.now, Direction.LONG, CALL, Side.BUY, lots * LOT, LOT, 100.0,
                         90.0, 130.0, right=Right.CE)  # fmt: skip
        self.told(self.orders.on_intent(OrderIntent(name, self.now, plan)))
        self.settle(0.1)
        self.fill("open", 10_000)
        self.settle(3.0)

    def fill(self, status: str, paise: int) -> None:
        for order in list(self.broker.orders.values()):
            if order.status == status:
                self.broker.fill(order.broker_id, 100, paise, self.now)

    def next_day(self, held: int, now: int = MORNING) -> None:
        """End the process, let the days pass at a broker who holds `held` then, and start another."""
        self.broker, self.placed, self.now = Broker(), [], now
        self.broker.base, self.broker._ids = held, 1000 * now // SECOND
        self.reborn()
        self.told(self.orders.start_of_day(self.now))

    def phase(self, phase: Phase) -> None:
        self.send(self.gateway.on_phase(phase, ist_date(self.now), self.now))

    def reborn(self) -> None:
        saved, self.orders = checkpoint(self.orders), OrderDesk(SETTINGS, Ledger(10**9))
        restore(self.orders, [saved])
        self.gateway = self._new()
        self.reads.clear()
        self.waiting.clear()
        known = self.orders.ledger.seen
        days = [number for number, record in enumerate(self.records) if isinstance(record, DayBegun)]
        records = self.records[days[-1] :]  # a day has a file of its own
        self.gateway.restore(records, working_orders(self.orders), known, wishes(self.orders))
        self.send(self.gateway.start(self.now))
        self.stream(live=True)
        self.phase(Phase.OPEN)


def holding(*lots: int) -> DeskWire:
    wire = DeskWire()
    wire.stream(live=True)
    wire.settle(1.0)
    for number, count in enumerate(lots):
        wire.enter(f"t{number}", count)
    assert wire.broker.position == sum(lots) * LOT
    return wire


def test_what_was_squared_off_while_nobody_watched_is_not_sold_again():
    wire = holding(1)
    wire.next_day(held=0)
    for _ in range(5):
        wire.now += 60 * SECOND
        wire.told(wire.orders.on_minute(wire.now))
        wire.settle(5.0)
    assert wire.placed == []
    assert wire.broker.position == 0
    (closed,) = wire.closed
    assert (closed.exit_reason, closed.quantity, closed.exit_price) == (ExitReason.FLATTEN, LOT, 100.0)
    assert wire.orders.state().positions == ()
    assert wire.gateway.state().entries_held == ""
    assert [text for text in wire.alerts if "with the broker no more" in text]
    wire.reborn()
    wire.settle(60.0)
    assert len(wire.closed) == 1
    assert wire.gateway.state().entries_held == ""


def test_a_flatten_in_the_morning_sells_nothing_that_is_gone():
    wire = holding(1)
    wire.next_day(held=0)
    wire.told(wire.orders.flatten(wire.now))
    wire.settle(60.0)
    assert wire.placed == []
    assert len(wire.closed) == 1


def test_what_the_desk_sent_before_it_heard_that_all_is_gone_does_not_leave():
    """The desk is another thread: its cancel may come long after the fill was told."""
    wire = holding(1)
    wire.next_day(held=0)
    told = []
    wire.orders.on_fill = lambda fill: told.append(fill) or []
    while not told:
        wire.settle(0.5)
    late = SubmitOrder("late", "t0", wire.now, CALL, Side.SELL, LOT, OrderType.MARKET, OrderRole.EXIT)
    wire.send(wire.gateway.submit(late, wire.now))
    wire.settle(5.0)
    assert wire.placed == []


def test_what_is_still_held_gets_its_stop_as_soon_as_the_broker_says_so():
    wire = holding(1)
    wire.next_day(held=LOT)
    assert wire.placed == []
    wire.settle(3.0)
    assert [(send.side, send.quantity, send.trigger) for send in wire.placed] == [(Side.SELL, LOT, 90.0)]
    assert wire.gateway.state().entries_held == ""


def test_on_a_sunday_the_brokers_positions_prove_nothing_gone():
    wire = holding(1)
    sunday = ist_ns(MONDAY - dt.timedelta(days=1), "12:00")
    wire.broker, wire.now = Broker(), sunday
    wire.reborn()
    wire.phase(Phase.CLOSED)
    wire.settle(600.0)
    assert wire.orders.state().positions == (("one", CALL, LOT),)
    wire.next_day(held=LOT)
    wire.settle(60.0)
    assert [(send.side, send.quantity) for send in wire.placed] == [(Side.SELL, LOT)]
    assert wire.gateway.state().entries_held == ""


def test_without_positions_to_read_nothing_is_sold():
    wire = holding(1)
    wire.next_day(held=0)
    for _ in range(40):
        while wire.reads:
            wire.read(ok=False)
        wire.wait(3.0)
    assert wire.placed == []
    wire.settle(60.0)
    assert len(wire.closed) == 1


def test_of_two_trades_one_may_be_gone():
    wire = holding(1, 2)
    wire.next_day(held=2 * LOT)
    wire.settle(60.0)
    assert [trade.trade_id for trade in wire.closed] == ["t0"]
    assert [(send.side, send.quantity) for send in wire.placed] == [(Side.SELL, 2 * LOT)]
    assert wire.gateway.state().entries_held == ""


def test_what_is_carried_over_and_sold_by_hand_closes_the_trade():
    wire = holding(1)
    wire.next_day(held=LOT)
    wire.settle(3.0)
    wire.broker.by_hand(Side.SELL, 1, 11_000, wire.now)
    wire.settle(30.0)
    (closed,) = wire.closed
    assert closed.exit_price == 110.0
    assert [order.status for order in wire.broker.orders.values() if order.tag] == ["cancelled"]
    assert wire.gateway.state().entries_held == ""


def test_an_order_of_the_morning_explains_what_is_missing():
    """Started late on the next day: somebody sold by hand before, and today's book shows it."""
    wire = holding(1)
    wire.next_day(held=LOT)
    wire.broker.by_hand(Side.SELL, 1, 11_000, wire.now)
    wire.settle(60.0)
    (closed,) = wire.closed
    assert closed.exit_price == 110.0
    assert wire.placed == []
    assert not [text for text in wire.alerts if "with the broker no more" in text]


def test_a_contract_settled_at_its_expiry_keeps_nobody_out_the_next_day():
    wire = holding(1)
    wire.told(wire.orders.settle(wire.now, CALL, 12.0, ExitReason.EXPIRY))
    wire.settle(5.0)
    wire.orders.end_of_day()
    wire.phase(Phase.CLOSED)
    wire.broker = Broker()
    wire.now = ist_ns(MONDAY, "09:14")
    wire.phase(Phase.PRE_OPEN)
    wire.settle(60.0)
    assert wire.gateway.state().differences
    wire.phase(Phase.OPEN)
    wire.settle(30.0)
    assert wire.orders.state().positions == ()
    assert wire.gateway.state().entries_held == ""
    assert len(wire.closed) == 1


@pytest.mark.parametrize("lives", [1, 2])
def test_a_life_later_the_same_day_goes_on_from_what_was_found(lives):
    wire = holding(2)
    wire.next_day(held=LOT)
    wire.settle(60.0)
    for _ in range(lives):
        wire.reborn()
        wire.settle(60.0)
    assert wire.gateway.state().positions == {CALL: LOT}
    assert wire.gateway.state().entries_held == ""
    (trade,) = wire.orders.state().trades
    assert trade.open == LOT
    assert sum(order.quantity for order in wire.broker.orders.values() if not order.ended) == LOT
    assert [record for record in wire.records if isinstance(record, DayBegun)][-1].ours == ((CALL, 2 * LOT),)


@pytest.mark.parametrize("later", [0, LOT, 3 * LOT])
def test_what_others_hold_may_change_while_no_daemon_runs(later):
    """Two lots somebody else holds, found at the start: how many of them are left the next day is their business."""
    wire = DeskWire(broker=Broker())
    wire.broker.base = 2 * LOT
    wire.stream(live=True)
    wire.settle(60.0)
    assert wire.gateway.state().entries_held == ""
    wire.next_day(held=later)
    wire.settle(60.0)
    assert wire.gateway.state().entries_held == ""
    assert wire.orders.state().positions == ()
    wire.reborn()
    wire.settle(60.0)
    assert wire.gateway.state().entries_held == ""
    assert wire.placed == wire.closed == []
