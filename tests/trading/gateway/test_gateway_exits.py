"""Cancels, stops and exits of the gateway: what may rest at the broker, be moved, grow, be chased and be taken back."""

import pytest
from gateway_model import LOT
from gateway_steps import held, place, ready, stopped

from sos_actors.messages import (
    CommandAnswered,
    OrderRole,
    OrderStatus,
    OrderType,
    Outcome,
    SendCancel,
    SendModify,
    Side,
)
from sos_actors.trading.gateway.settings import GatewaySettings


def test_cancel_confirmed_and_cancel_that_comes_too_late():
    wire = ready()
    send = place(wire, lots=2)
    wire.answer(wire.carry(send))
    wire.cancel("a-e")
    (cancel,) = wire.waiting
    wire.broker.fill("B1", 2, 10_000, wire.now)
    wire.settle(5.0)
    assert isinstance(cancel, SendCancel)
    assert wire.desk["a-e"].status is OrderStatus.FILLED
    send = place(wire, "b-e", lots=2)
    wire.answer(wire.carry(send))
    wire.broker.fill("B2", 1, 10_000, wire.now)
    wire.cancel("b-e")
    wire.settle(5.0)
    assert wire.desk["b-e"].status is OrderStatus.CANCELLED
    assert wire.desk["b-e"].filled == LOT
    wire.check_quiet()


def test_a_cancel_asked_before_the_order_is_known_waits_for_it():
    wire = ready()
    send = place(wire)
    wire.cancel("a-e")
    assert wire.waiting == []
    wire.answer(wire.carry(send))
    (cancel,) = wire.waiting
    assert isinstance(cancel, SendCancel)
    wire.settle(2.0)
    assert wire.desk["a-e"].status is OrderStatus.CANCELLED


def test_a_lost_cancel_is_asked_again():
    wire = ready()
    send = place(wire)
    wire.answer(wire.carry(send))
    wire.cancel("a-e")
    wire.answer(wire.unknown(wire.waiting.pop()))
    assert wire.waiting == []  # first the truth is read
    wire.settle(5.0)
    assert wire.broker.orders["B1"].status == "cancelled"
    assert wire.desk["a-e"].status is OrderStatus.CANCELLED


def test_a_confirmed_cancel_is_not_asked_again_at_once_whatever_the_settings():
    wire = ready(settings=GatewaySettings(settle_s=0.0))
    held(wire)
    stopped(wire)
    wire.cancel("a-s")
    asked = 0
    for _ in range(40):  # the exchange takes two seconds
        for item in list(wire.waiting):
            wire.waiting.remove(item)
            asked += 1
            wire.answer(CommandAnswered(item.request_id, wire.now, Outcome.CONFIRMED))
        wire.reads.clear()
        wire.wait(0.05)
    assert asked == 1


def test_a_stop_rests_as_a_stop_limit_and_is_moved():
    wire = ready()
    held(wire)
    send = stopped(wire)
    assert (send.order_type, send.trigger, send.price) == (OrderType.STOP, 90.0, 81.0)
    wire.modify("a-s", trigger=95.0)
    (change,) = wire.waiting
    assert isinstance(change, SendModify)
    wire.settle(2.0)
    assert (wire.broker.orders["B2"].trigger, wire.broker.orders["B2"].price) == (95.0, 85.5)
    wire.check_quiet()


def test_an_exit_is_the_stop_made_a_market_order_so_that_the_units_are_never_bare():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.modify("a-s", order_type=OrderType.MARKET)
    (change,) = wire.waiting
    assert isinstance(change, SendModify)
    assert change.order_type is OrderType.MARKET
    wire.answer(wire.carry(wire.waiting.pop()))
    assert [o.broker_id for o in wire.broker.orders.values() if not o.ended] == ["B2"]
    wire.broker.fill("B2", 1, 9_800, wire.now)
    wire.settle(2.0)
    assert wire.desk["a-s"].status is OrderStatus.FILLED
    wire.check_quiet()


def test_an_exit_that_meets_its_stop_already_filled_is_done():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.broker.fill("B2", 1, 8_990, wire.now)
    wire.modify("a-s", order_type=OrderType.MARKET)
    wire.settle(5.0)
    assert wire.desk["a-s"].status is OrderStatus.FILLED
    assert wire.broker.position == 0
    wire.check_quiet()


def test_an_exit_that_rests_is_priced_anew_by_modifying_it_never_by_a_second_order():
    wire = ready()
    held(wire)
    send = place(wire, "a-x1", role=OrderRole.EXIT, side=Side.SELL)
    wire.answer(wire.carry(send))
    prices = []
    for last in (99.0, 98.0, 97.0):
        wire.wait(2.9)
        wire.quote(last)
        wire.wait(0.2)
        (change,) = [item for item in wire.waiting if isinstance(item, SendModify)]
        wire.waiting.clear()
        wire.answer(wire.carry(change))
        prices.append(change.price)
    assert prices == [97.95, 96.45, 94.95]
    assert len(wire.at_broker("a-x1")) == 1


def test_a_chase_stays_within_what_the_exchange_accepts():
    wire = ready()
    held(wire)
    send = place(wire, "a-x1", role=OrderRole.EXIT, side=Side.SELL)
    wire.answer(wire.carry(send))
    for _ in range(60):
        wire.wait(2.9)
        wire.quote(60.0)
        wire.wait(0.2)
        for item in wire.waiting:
            if isinstance(item, SendModify):
                assert item.price >= 60.0 * (1 - 0.35) - 0.05
                wire.answer(wire.carry(item))
        wire.waiting.clear()


def test_a_triggered_stop_that_rests_unfilled_is_chased():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.broker.orders["B2"].status = "open"
    wire.broker._say(wire.broker.orders["B2"], wire.now)
    wire.say()
    wire.quote(75.0)
    assert wire.waiting == []
    wire.wait(2.9)
    wire.quote(75.0)
    wire.wait(0.2)
    (change,) = wire.waiting
    assert (change.order_type, change.price < 75.0) == (OrderType.LIMIT, True)


def test_a_stop_the_broker_will_not_move_past_the_price_becomes_an_exit():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.modify("a-s", trigger=99.0)
    change = wire.waiting.pop()
    wire.answer(CommandAnswered(change.request_id, wire.now, Outcome.REJECTED, code="UDAPI1037", detail="trigger"))
    wire.quote(98.0)
    wire.settle(6.0)
    assert wire.broker.orders["B2"].kind is not OrderType.STOP


def test_a_stop_the_broker_will_not_make_the_exit_is_taken_back_so_that_an_exit_can_follow():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.modify("a-s", order_type=OrderType.MARKET)
    for _ in range(2):
        (change,) = wire.waiting
        wire.waiting.clear()
        assert isinstance(change, SendModify)
        wire.answer(CommandAnswered(change.request_id, wire.now, Outcome.REJECTED, code="UDAPI1043", detail="no"))
        while wire.reads or wire.broker.stream:
            if wire.reads:
                wire.read()
        for _ in range(6):
            wire.wait(1.0)
            while wire.reads:
                wire.read()
    (cancel,) = wire.waiting
    assert isinstance(cancel, SendCancel)
    wire.settle(2.0)
    assert wire.desk["a-s"].status is OrderStatus.CANCELLED
    wire.check_quiet()


@pytest.mark.parametrize("code", ["UDAPI10005", "UDAPI100050", "UDAPI100074"])
def test_a_stop_goes_on_protecting_while_the_broker_changes_nothing_for_a_reason_that_passes(code):
    wire = ready()
    held(wire)
    stopped(wire)
    wire.modify("a-s", order_type=OrderType.MARKET)
    for _ in range(6):
        (change,) = wire.waiting
        assert isinstance(change, SendModify)
        wire.waiting.clear()
        wire.answer(CommandAnswered(change.request_id, wire.now, Outcome.REJECTED, code=code))
        for _ in range(6):
            wire.wait(1.0)
            while wire.reads:
                wire.read()
    (change,) = wire.waiting
    wire.waiting.clear()
    wire.answer(wire.carry(change))
    wire.settle(2.0)
    assert [order.status for order in wire.broker.orders.values()] == ["complete", "open"]
    assert wire.desk["a-s"].status not in {OrderStatus.CANCELLED, OrderStatus.REJECTED}


def test_a_stop_grows_with_its_position_and_shrinks():
    wire = ready()
    held(wire, lots=3)
    stopped(wire, lots=1)
    wire.modify("a-s", quantity=3 * LOT)
    wire.settle(2.0)
    assert wire.broker.orders["B2"].quantity == 3 * LOT
    wire.modify("a-s", quantity=2 * LOT)
    wire.settle(2.0)
    assert wire.broker.orders["B2"].quantity == 2 * LOT
    wire.check_quiet()


def test_above_the_freeze_quantity_orders_are_cut_and_added_up():
    wire = ready()
    send = place(wire, lots=10)
    assert send.slice
    wire.answer(wire.carry(send))
    assert [o.quantity for o in wire.broker.orders.values()] == [260, 260, 130]
    for broker_id in list(wire.broker.orders):
        wire.broker.fill(broker_id, 4, 10_000, wire.now)
    wire.settle(2.0)
    assert wire.desk["a-e"].status is OrderStatus.FILLED
    wire.check_quiet()


def test_slices_of_which_some_were_never_taken():
    wire = ready()
    send = place(wire, lots=10)
    wire.carry(send)
    del wire.broker.orders["B3"]
    wire.broker.stream = [order for order in wire.broker.stream if order.broker_id != "B3"]
    wire.answer(wire.unknown(send))
    wire.settle(30.0)
    for broker_id in list(wire.broker.orders):
        wire.broker.fill(broker_id, 4, 10_000, wire.now)
    wire.settle(30.0)
    assert wire.desk["a-e"].status is OrderStatus.CANCELLED
    assert wire.desk["a-e"].filled == 8 * LOT
    wire.check_quiet()


def test_a_stop_of_which_a_part_was_never_taken_is_taken_back_so_that_another_can_follow():
    wire = ready()
    held(wire, lots=10)
    send = place(wire, "a-s", role=OrderRole.STOP, side=Side.SELL, lots=10, kind=OrderType.STOP, trigger=90.0)
    wire.carry(send)
    lost = wire.at_broker("a-s")[-1].broker_id
    del wire.broker.orders[lost]
    wire.broker.stream = [order for order in wire.broker.stream if order.broker_id != lost]
    wire.answer(wire.unknown(send))
    wire.settle(60.0)
    assert wire.desk["a-s"].status is OrderStatus.CANCELLED
    assert all(order.ended for order in wire.at_broker("a-s"))
    assert any("no stop for 130 units" in text for text in wire.alerts)


def test_a_stop_of_which_the_broker_ends_a_part_is_taken_back():
    wire = ready()
    held(wire, lots=10)
    stopped(wire, lots=10)
    assert wire.desk["a-s"].status is OrderStatus.OPEN
    part = wire.at_broker("a-s")[-1]
    wire.broker.cancel(part.broker_id, wire.now)
    wire.settle(30.0)
    assert wire.desk["a-s"].status is OrderStatus.CANCELLED


def test_a_stop_grows_beyond_the_freeze_quantity_by_another_order():
    wire = ready()
    held(wire, lots=4)
    stopped(wire, lots=4)
    wire.modify("a-s", quantity=6 * LOT)
    wire.settle(3.0)
    assert [o.quantity for o in wire.at_broker("a-s")] == [260, 130]
    wire.cancel("a-s")
    wire.settle(3.0)
    assert all(order.ended for order in wire.at_broker("a-s"))
    assert wire.desk["a-s"].status is OrderStatus.CANCELLED
    wire.check_quiet()


def test_a_stop_that_grows_twice_waits_for_the_first_growth_to_be_decided():
    wire = ready()
    held(wire, lots=4)
    stopped(wire, lots=4)
    wire.modify("a-s", quantity=6 * LOT)
    (growth,) = wire.waiting
    wire.modify("a-s", quantity=8 * LOT)
    assert wire.waiting == [growth]
    wire.settle(5.0)
    assert sum(order.quantity for order in wire.at_broker("a-s")) == 8 * LOT
    wire.check_quiet()
