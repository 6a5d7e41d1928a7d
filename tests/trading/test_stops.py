"""A stop that comes to nothing: watched here, rested again, never twice at once, and in the end the position goes."""

import pytest
from trading_helpers import CALL, OPEN_TS, StatedCharges, fill, intent

from sos_actors.messages import (
    ExitReason,
    ModifyOrder,
    OrderRole,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Side,
    SubmitOrder,
    Tick,
    TradeClosed,
)
from sos_actors.trading.checkpoint import checkpoint, restore
from sos_actors.trading.desk import DeskSettings, OrderDesk
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.ledger import Ledger

SECOND = 1_000_000_000
STILL = ExitSettings(break_even_at=None, time_stop_min=None, square_off=None)
LOST = (OrderStatus.REJECTED, OrderStatus.CANCELLED)


def fresh(**changes):
    settings = DeskSettings(exits=STILL, rest_target=False, exit_by_stop=True, **changes)
    return OrderDesk(settings, Ledger(100_000_00, StatedCharges()))


def held(**changes):
    """Hold 75 units whose first stop is on its way."""
    desk = fresh(**changes)
    desk.on_intent(intent())
    (stop,) = desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))[1:]
    assert (stop.order_id, stop.role, stop.trigger) == ("i-s", OrderRole.STOP, 90.0)
    return desk


def says(desk, order_id, status, seconds=0.0):
    return desk.on_update(OrderUpdate(order_id, OPEN_TS + round(seconds * SECOND), status, "the broker's word"))


def at(seconds):
    return OPEN_TS + round(seconds * SECOND)


@pytest.mark.parametrize("status", LOST)
def test_a_lost_stop_is_rested_again_after_a_while(status):
    desk = held()
    assert says(desk, "i-s", status) == []
    assert desk.next_due() == at(2.0)
    assert desk.on_timer(at(1.9)) == []
    (again,) = desk.on_timer(at(2.0))
    assert (again.order_id, again.role, again.order_type, again.quantity, again.trigger) == (
        "i-s2", OrderRole.STOP, OrderType.STOP, 75, 90.0,
    )  # fmt: skip
    assert desk.next_due() == 0
    assert desk.on_timer(at(60.0)) == []


def test_a_stop_of_unknown_fate_is_not_sent_again():
    desk = held()
    says(desk, "i-s", OrderStatus.UNKNOWN)
    assert desk.next_due() == 0
    assert desk.on_minute(at(60.0)) == []


def test_while_no_stop_rests_its_level_is_watched_here_and_no_longer():
    desk = held()
    says(desk, "i-s", OrderStatus.REJECTED)
    desk.on_timer(at(2.0))
    exits = desk.flow.live["i"].exits
    assert exits.watch_stop
    says(desk, "i-s2", OrderStatus.OPEN, 3.0)
    assert not exits.watch_stop
    assert desk.on_tick(Tick(CALL, at(4.0), at(4.0), 89.0)) == []  # the exchange sees to it


def test_a_price_beyond_the_level_of_a_lost_stop_closes_at_once():
    desk = held()
    says(desk, "i-s", OrderStatus.REJECTED)
    (out,) = desk.on_tick(Tick(CALL, at(1.0), at(1.0), 89.95))
    assert (out.role, out.order_type, out.quantity) == (OrderRole.EXIT, OrderType.MARKET, 75)
    assert desk.on_timer(at(2.0)) == []  # no stop follows an exit
    closed = desk.on_fill(fill("f2", Side.SELL, 75, 89.9, order_id=out.order_id, ts=at(1.5)))
    assert [m.exit_reason for m in closed if isinstance(m, TradeClosed)] == [ExitReason.STOP]


def test_when_several_come_to_nothing_the_position_is_closed():
    desk = held()
    says(desk, "i-s", OrderStatus.REJECTED)
    desk.on_timer(at(2.0))
    assert says(desk, "i-s2", OrderStatus.REJECTED, 2.5) == []
    assert desk.next_due() == at(6.5)  # twice as long
    desk.on_timer(at(6.5))
    (out,) = says(desk, "i-s3", OrderStatus.REJECTED, 7.0)
    assert (out.role, out.quantity, desk.flow.live["i"].reason) == (OrderRole.EXIT, 75, ExitReason.UNPROTECTED)


def test_a_broker_that_takes_each_stop_and_refuses_it_a_moment_later_is_not_believed_for_ever():
    desk = held()
    for number, order_id in enumerate(("i-s", "i-s2", "i-s3")):
        says(desk, order_id, OrderStatus.OPEN, 10.0 * number)
        out = says(desk, order_id, OrderStatus.REJECTED, 10.0 * number + 1.0)
        if desk.next_due():
            desk.on_timer(desk.next_due())
    assert [m.role for m in out if isinstance(m, SubmitOrder)] == [OrderRole.EXIT]


def test_a_stop_that_rested_long_begins_a_new_row():
    desk = held()
    for number in range(5):
        order_id = "i-s" if not number else f"i-s{number + 1}"
        says(desk, order_id, OrderStatus.OPEN, 100.0 * number + 3.0)
        assert says(desk, order_id, OrderStatus.CANCELLED, 100.0 * number + 80.0) == []
        (again,) = desk.on_timer(desk.next_due())
        assert again.role is OrderRole.STOP


def test_a_new_stop_is_for_what_is_held_by_then():
    desk = held()
    says(desk, "i-s", OrderStatus.CANCELLED)
    desk.on_fill(fill("f2", Side.SELL, 25, 95.0, order_id="i-s", ts=at(1.0)))  # late, and counted
    (again,) = desk.on_timer(at(2.0))
    assert again.quantity == 50


def test_while_a_new_stop_is_on_its_way_an_exit_goes_by_it():
    desk = held()
    says(desk, "i-s", OrderStatus.REJECTED)
    desk.on_timer(at(2.0))
    (out,) = desk.flatten(at(3.0))
    assert isinstance(out, ModifyOrder)
    assert (out.order_id, out.order_type) == ("i-s2", OrderType.MARKET)


def test_a_restored_desk_goes_on_counting():
    desk = held()
    says(desk, "i-s", OrderStatus.REJECTED)
    desk.on_timer(at(2.0))
    says(desk, "i-s2", OrderStatus.REJECTED, 2.5)
    again = fresh()
    restore(again, [checkpoint(desk)])
    assert again.next_due() == at(6.5)
    again.on_timer(at(6.5))
    (out,) = says(again, "i-s3", OrderStatus.REJECTED, 7.0)
    assert out.role is OrderRole.EXIT


def test_settings_that_make_no_sense():
    for wrong in ({"stop_retry_s": 0.0}, {"stop_tries": 0}):
        with pytest.raises(ValueError, match="stop_tries"):
            DeskSettings(**wrong)


def test_an_exit_that_comes_to_nothing_is_sent_again_with_ever_longer_waits():
    desk = held()
    says(desk, "i-s", OrderStatus.REJECTED)
    (out,) = desk.flatten(at(1.0))
    waits, now = [], 1.0
    for number in range(2, 9):
        assert says(desk, out.order_id, OrderStatus.REJECTED, now) == []
        waits.append((desk.next_due() - at(now)) / SECOND)
        now += waits[-1]
        (out,) = desk.on_timer(at(now))
        assert (out.order_id, out.role, out.quantity) == (f"i-x{number}", OrderRole.EXIT, 75)
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0], "the stop that failed before does not count"


def test_an_exit_at_work_is_not_doubled_by_the_timer():
    desk = held()
    says(desk, "i-s", OrderStatus.REJECTED)
    (out,) = desk.flatten(at(1.0))
    assert says(desk, out.order_id, OrderStatus.REJECTED, 59.0) == []
    (again,) = desk.on_minute(at(60.0))
    assert again.role is OrderRole.EXIT
    assert desk.next_due() == at(61.0)
    assert desk.on_timer(at(61.0)) == []


def test_a_stop_that_filled_before_either_of_two_growths_is_complete_and_the_rest_is_sold():
    desk = fresh()
    desk.on_intent(intent(quantity=300))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    says(desk, "i-s", OrderStatus.OPEN)
    desk.flatten(at(1.0))
    for number in (2, 3):  # the entry goes on filling; the stop, an exit by now, is to grow with it, twice
        (growth,) = desk.on_fill(fill(f"f{number}", Side.BUY, 75, 100.0, order_id="i-e", ts=at(2.0)))[1:]
        assert (growth.order_id, growth.quantity) == ("i-s", 75 * number)
    says(desk, "i-e", OrderStatus.CANCELLED, 2.5)
    desk.on_fill(fill("x1", Side.SELL, 75, 99.0, order_id="i-s", ts=at(3.0)))
    (out,) = says(desk, "i-s", OrderStatus.FILLED, 3.0)
    assert (out.role, out.quantity) == (OrderRole.EXIT, 150)
