"""What a gateway that was cut off finds, asks for and sends when it comes back."""

from gateway_model import CALL, LOT, Wire
from gateway_steps import held, place, ready, stopped

from sos_actors.messages import (
    CancelOrder,
    Fill,
    ModifyOrder,
    OrderStatus,
    OrderType,
    OrderUpdate,
    ReadOrders,
    SendCancel,
    SendModify,
    Side,
)


def test_restart_with_an_answer_outstanding_finds_the_order():
    wire = ready()
    send = place(wire)
    wire.carry(send)
    wire.restart()
    assert wire.desk["a-e"].status is OrderStatus.UNKNOWN
    wire.settle(5.0)
    assert wire.desk["a-e"].status is OrderStatus.OPEN
    assert len(wire.broker.orders) == 1
    wire.check_quiet()


def test_restart_between_the_record_and_the_send_never_sends():
    wire = ready()
    wire.submit("a-e", until=2)  # taken, and about to be sent
    assert wire.waiting == []
    wire.restart()
    wire.settle(60.0)
    assert wire.broker.orders == {}
    assert wire.desk["a-e"].status is OrderStatus.REJECTED


def test_restart_before_anything_was_kept_tells_the_desk_so():
    wire = ready()
    wire.submit("a-e", until=0)
    wire.restart()
    assert wire.desk["a-e"].status is OrderStatus.CANCELLED
    wire.settle(60.0)
    assert wire.broker.orders == {}


def test_a_restart_where_nothing_is_wrong_says_one_line_and_tells_the_desk_nothing():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.alerts.clear()
    before = {order_id: record.status for order_id, record in wire.desk.items()}
    wire.restart()
    assert wire.alerts == ["recovered 1 fills and 2 orders of the day, 1 orders at work"]
    wire.settle(30.0)
    assert wire.differences == ()
    assert len(wire.alerts) == 1
    assert {order_id: record.status for order_id, record in wire.desk.items()} == before
    assert wire.odd == []


def test_a_fill_the_desk_was_told_and_had_not_saved_is_told_again():
    wire = ready()
    held(wire)
    (fill,) = wire.fills.values()
    gateway = wire._new()
    gateway.restore(list(wire.records), ("a-e",), ())
    told = [item for item in gateway.start(wire.now) if isinstance(item, (Fill, OrderUpdate))]
    assert [type(item) for item in told] == [Fill, OrderUpdate]
    assert told[0] == fill
    assert told[1].status is OrderStatus.FILLED


def _cut_off(wire: Wire, *wishes: ModifyOrder | CancelOrder, larger: int = 0) -> list[SendModify | SendCancel]:
    """The process ends before the desk's wishes are heard; gives what is sent after the restart."""
    if larger:
        wire.desk["a-s"].resize(larger)
    wire.restart(*wishes)
    sent: list[SendModify | SendCancel] = []
    carry = wire.carry
    wire.carry = lambda item: sent.append(item) or carry(item)
    wire.settle(30.0)
    return sent


def test_a_larger_stop_that_was_not_heard_of_before_the_end_is_asked_for():
    wire = ready()
    held(wire, lots=2)
    stopped(wire, lots=1)
    (sent,) = _cut_off(wire, larger=2 * LOT)
    assert (type(sent), sent.quantity) == (SendModify, 2 * LOT)
    assert [order.quantity for order in wire.broker.orders.values() if not order.ended] == [2 * LOT]


def test_a_tighter_stop_that_was_not_heard_of_before_the_end_is_asked_for():
    wire = ready()
    held(wire)
    stopped(wire, trigger=90.0)
    (sent,) = _cut_off(wire, ModifyOrder("a-s", wire.now, trigger=95.0))
    assert (type(sent), sent.trigger) == (SendModify, 95.0)


def test_an_exit_by_stop_that_was_not_heard_of_before_the_end_is_made():
    wire = ready()
    held(wire)
    stopped(wire)
    first, *_ = _cut_off(wire, ModifyOrder("a-s", wire.now, order_type=OrderType.MARKET))
    assert isinstance(first, SendModify)
    assert first.order_type is not OrderType.STOP


def test_a_cancel_that_was_not_heard_of_before_the_end_is_asked_for():
    wire = ready()
    held(wire)
    stopped(wire)
    (sent,) = _cut_off(wire, CancelOrder("a-s", wire.now))
    assert isinstance(sent, SendCancel)
    assert wire.desk["a-s"].status is OrderStatus.CANCELLED


def test_what_was_heard_before_the_end_is_not_asked_for_again():
    wire = ready()
    held(wire, lots=2)
    stopped(wire, lots=1)
    wire.modify("a-s", quantity=2 * LOT, trigger=95.0)
    wire.settle(30.0)
    records = len(wire.records)
    again = ModifyOrder("a-s", wire.now, trigger=95.0, quantity=2 * LOT)
    assert _cut_off(wire, again, CancelOrder("a-e", wire.now), ModifyOrder("nobody", wire.now, quantity=LOT)) == []
    assert len(wire.records) == records


def test_restart_with_a_position_keeps_it_and_its_stop():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.restart()
    wire.settle(30.0)
    assert wire.gateway.state().positions == {CALL: LOT}
    assert [o.broker_id for o in wire.broker.orders.values() if not o.ended] == ["B2"]
    wire.modify("a-s", order_type=OrderType.MARKET)
    wire.settle(2.0)
    assert wire.broker.orders["B2"].kind is not OrderType.STOP
    wire.broker.fill("B2", 1, 9_500, wire.now)
    wire.settle(2.0)
    wire.check_quiet()


def test_a_fill_while_we_were_dead_is_found():
    wire = ready()
    held(wire)
    stopped(wire)
    wire.broker.fill("B2", 1, 8_950, wire.now)
    wire.broker.stream.clear()
    wire.restart()
    wire.settle(5.0)
    assert wire.desk["a-s"].status is OrderStatus.FILLED
    wire.check_quiet()


def test_an_order_made_by_hand_between_two_reads_at_start_is_not_taken_for_an_old_position():
    wire = Wire()
    wire.stream(live=True)
    wire.read(next(place for place, (ask, _) in enumerate(wire.reads) if isinstance(ask, ReadOrders)))
    wire.broker.by_hand(Side.BUY, 2, 10_000, wire.now)
    wire.broker.stream.clear()
    wire.settle(60.0)
    assert not any("not ours" in text for text in wire.alerts)
    wire.check_quiet()
