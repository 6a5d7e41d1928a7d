"""Every transition of an order at a real broker, one by one."""

from gateway_model import CALL, LOT, SECOND, START, Wire, contract
from gateway_steps import held, place, ready

from sos_actors.messages import (
    BrokerOrder,
    CommandAnswered,
    OrderRole,
    OrdersRead,
    OrderStatus,
    OrderType,
    Outcome,
    ReadOrders,
    ReadTrades,
    SendPlace,
    Side,
)
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.gateway.order import Child
from sos_actors.trading.gateway.settings import GatewaySettings


def test_nothing_is_entered_before_the_books_are_read():
    wire = Wire()
    wire.stream(live=True)
    wire.submit("a-e")
    assert wire.desk["a-e"].status is OrderStatus.REJECTED
    assert wire.differences[0].startswith("start-up")
    wire.settle(1.0)
    assert wire.differences == ()
    wire.submit("b-e")
    assert len(wire.waiting) == 1


def test_why_the_books_could_not_be_read_is_said_until_they_are():
    wire = Wire()
    wire.stream(live=True)
    asked = next(item for item, _ in wire.reads if isinstance(item, ReadOrders))
    assert wire.gateway.state().entries_held.endswith("the broker's books have not been read yet")
    wire.send(
        wire.gateway.on_orders(OrdersRead(asked.request_id, wire.now, ok=False, detail="HTTP 502\n<html>"), wire.now)
    )
    assert wire.differences == ("start-up: the broker's books have not been read yet (orders: HTTP 502 <html>)",)
    assert "HTTP 502" in wire.gateway.state().entries_held
    wire.settle(5.0)
    assert wire.differences == ()
    assert wire.gateway.state().entries_held == ""


def test_an_answer_that_never_comes_is_a_reason_too():
    wire = Wire()
    wire.stream(live=True)
    wire.now += round((wire.settings.read_s + 1) * SECOND)
    for _ in range(2):
        wire.send(wire.gateway.on_timer(wire.now))
    assert "orders: no answer within" in wire.differences[0]


def test_nothing_is_let_in_before_the_gateway_has_begun():
    idle = OrderGateway(GatewaySettings(need_stream=False), contract, "S1")
    assert "have not been read yet" in idle.state().entries_held


def test_placed_confirmed_filled():
    wire = ready()
    send = place(wire)
    assert (send.quantity, send.order_type, send.protection, send.slice) == (LOT, OrderType.MARKET, -1.0, False)
    wire.answer(wire.carry(send))
    assert wire.desk["a-e"].status is OrderStatus.OPEN
    wire.broker.fill("B1", 1, 10_005, wire.now)
    wire.settle(2.0)
    assert wire.desk["a-e"].status is OrderStatus.FILLED
    assert [(f.fill_id, f.quantity, f.price) for f in wire.fills.values()] == [("B1:0-65", 65, 100.05)]
    wire.check_quiet()


def test_fill_before_the_answer_counts_once():
    wire = ready()
    send = place(wire)
    answer = wire.carry(send)
    wire.broker.fill("B1", 1, 10_000, wire.now)
    wire.say(1, keep=True)
    wire.say(1)
    assert wire.filled("a-e") == LOT
    wire.answer(answer)
    wire.settle(2.0)
    wire.check_quiet()
    assert wire.odd == []


def test_an_order_that_is_shown_without_its_tag_before_the_answer_is_ours():
    wire = ready()
    send = place(wire)
    answer = wire.carry(send)
    (order,) = wire.broker.orders.values()
    order.tag, tag = "", order.tag
    wire.broker.stream.clear()
    wire.broker.fill(order.broker_id, 1, 10_000, wire.now)
    wire.say()
    assert wire.fills == {}
    order.tag = tag
    wire.answer(answer)
    wire.settle(2.0)
    assert [fill.order_id for fill in wire.fills.values()] == ["a-e"]
    assert wire.desk["a-e"].status is OrderStatus.FILLED
    wire.check_quiet()


def test_an_unknown_order_is_found_by_its_tag_and_never_sent_again():
    wire = ready()
    send = place(wire)
    wire.carry(send)
    wire.broker.stream.clear()
    wire.answer(wire.unknown(send))
    assert wire.desk["a-e"].status is OrderStatus.UNKNOWN
    wire.settle(5.0)
    assert wire.desk["a-e"].status is OrderStatus.OPEN
    assert len(wire.broker.orders) == 1


def test_an_unknown_order_is_absent_only_after_enough_good_reads_over_enough_time():
    wire = ready()
    send = place(wire)
    wire.answer(wire.unknown(send))
    for _ in range(14):
        wire.wait(1.0)
        while wire.reads:
            wire.read()
        assert wire.desk["a-e"].status is OrderStatus.UNKNOWN
    wire.settle(5.0)
    assert wire.desk["a-e"].status is OrderStatus.REJECTED
    assert wire.waiting == []
    assert any("not placed" in text for text in wire.alerts)


def test_where_tags_cannot_be_asked_for_the_book_decides_after_twice_the_time():
    wire = ready()
    send = place(wire)
    wire.answer(wire.unknown(send))
    while wire.desk["a-e"].status is OrderStatus.UNKNOWN:
        wire.wait(0.5)
        while wire.reads:
            ask, _ = wire.reads[0]
            wire.read(ok=not getattr(ask, "tag", ""))
    assert wire.desk["a-e"].status is OrderStatus.REJECTED
    assert 30 <= (wire.now - START) / SECOND - 1 < 40


def test_failed_reads_prove_nothing():
    wire = ready()
    send = place(wire)
    wire.answer(wire.unknown(send))
    for _ in range(60):
        wire.wait(1.0)
        while wire.reads:
            wire.read(ok=False)
    assert wire.desk["a-e"].status is OrderStatus.UNKNOWN
    wire.carry(send)
    wire.settle(40.0)
    wire.check_quiet()
    assert len(wire.broker.orders) == 1


def test_what_appears_after_it_was_given_up_is_taken_back_and_its_fills_count():
    wire = ready()
    send = place(wire, lots=2)
    wire.answer(wire.unknown(send))
    wire.settle(30.0)
    assert wire.desk["a-e"].status is OrderStatus.REJECTED
    wire.carry(send)
    wire.broker.fill("B1", 1, 10_000, wire.now)
    wire.settle(5.0)
    assert wire.broker.orders["B1"].status == "cancelled"
    assert wire.filled("a-e") == LOT
    assert any("given up" in text for text in wire.alerts)
    wire.check_quiet()


def test_no_answer_at_all_is_a_doubt_too():
    wire = ready()
    send = place(wire)
    wire.carry(send)
    wire.broker.stream.clear()
    wire.broker.orders.clear()
    wire.wait(31.0)
    assert wire.desk["a-e"].status is OrderStatus.UNKNOWN


def test_rejections_reach_the_desk():
    wire = ready()
    send = place(wire)
    wire.answer(CommandAnswered(send.request_id, wire.now, Outcome.REJECTED, code="UDAPI1026", detail="no such key"))
    assert wire.desk["a-e"].status is OrderStatus.REJECTED
    assert wire.gateway.state().entries_held == ""
    send = place(wire, "b-e")
    wire.answer(wire.carry(send))
    wire.broker.reject("B1", wire.now)
    wire.settle(2.0)
    assert wire.desk["b-e"].status is OrderStatus.REJECTED
    wire.check_quiet()


def test_an_unknown_refusal_closes_the_door_for_entries_until_the_operator_opens_it():
    wire = ready()
    send = place(wire)
    wire.answer(CommandAnswered(send.request_id, wire.now, Outcome.REJECTED, code="UDAPI9999", detail="ip"))
    wire.submit("b-e")
    assert wire.waiting == []
    assert wire.desk["b-e"].status is OrderStatus.REJECTED
    assert any("address" in text for text in wire.alerts)
    wire.send(wire.gateway.resume(wire.now))
    wire.submit("c-e")
    assert len(wire.waiting) == 1


def test_a_dead_token_stops_entries_and_exits_go_out_when_it_lives_again():
    wire = ready()
    held(wire)
    send = place(wire, "a-x1", role=OrderRole.EXIT, side=Side.SELL)
    wire.answer(CommandAnswered(send.request_id, wire.now, Outcome.REJECTED, code="UDAPI100050"))
    wire.submit("b-e")
    assert wire.desk["b-e"].status is OrderStatus.REJECTED
    assert not wire.desk["a-x1"].ended
    wire.wait(5.1)
    (again,) = wire.waiting
    assert isinstance(again, SendPlace)
    assert again.tag != send.tag
    wire.settle(1.0)
    assert wire.gateway.state().entries_held == ""
    assert len(wire.at_broker("a-x1")) == 1


def test_the_rate_limit_gives_entries_up_and_lets_exits_wait():
    wire = ready()
    held(wire)
    send = place(wire, "b-e")
    wire.answer(CommandAnswered(send.request_id, wire.now, Outcome.REFUSED, code="", detail="rate", retry_after_s=0.7))
    assert wire.desk["b-e"].status is OrderStatus.REJECTED
    send = place(wire, "a-x1", role=OrderRole.EXIT, side=Side.SELL)
    wire.answer(CommandAnswered(send.request_id, wire.now, Outcome.REFUSED, detail="rate", retry_after_s=0.7))
    wire.wait(0.65)
    assert wire.waiting == []
    wire.wait(0.1)
    assert len(wire.waiting) == 1


def test_at_night_entries_are_refused_and_exits_wait_for_the_morning():
    wire = Wire(now=START - 6 * 3600 * SECOND)  # 04:00 in India
    wire.stream(live=True)
    wire.settle(1.0)
    wire.submit("a-e")
    assert wire.desk["a-e"].status is OrderStatus.REJECTED
    wire.submit("a-x1", OrderRole.EXIT, Side.SELL)
    assert wire.waiting == []
    wire.settle(3600.0)
    assert wire.broker.orders == {}
    wire.settle(1801.0)
    assert len(wire.broker.orders) == 1


def test_a_price_that_an_average_does_not_tell_waits_for_the_trade_book():
    wire = ready()
    send = place(wire, lots=4)
    wire.answer(wire.carry(send))
    wire.settle(1.0)
    for lots, paise in ((1, 10_000), (1, 10_005), (2, 10_015)):
        wire.broker.fill("B1", lots, paise, wire.now)
    wire.broker.stream = wire.broker.stream[-1:]
    wire.say()
    wire.settle(3.0)
    assert wire.paise["a-e"] == 65 * (10_000 + 10_005 + 2 * 10_015)
    wire.check_quiet()


def test_a_lost_trade_book_does_not_hold_a_position_back():
    wire = ready(settings=GatewaySettings(average_decimals=0))
    send = place(wire, lots=4)
    wire.answer(wire.carry(send))
    wire.broker.fill("B1", 3, 10_015, wire.now)
    wire.broker.fill("B1", 1, 10_000, wire.now)
    while wire.broker.stream:
        wire.say()
    assert wire.filled("a-e") == 0
    wire.wait(1.1)
    assert wire.filled("a-e") == 4 * LOT


def test_a_fill_after_the_end_counts():
    wire = ready()
    send = place(wire, lots=2)
    wire.answer(wire.carry(send))
    wire.cancel("a-e")
    wire.answer(wire.carry(wire.waiting.pop()))
    while wire.broker.stream:
        wire.say()
    assert wire.desk["a-e"].status is OrderStatus.CANCELLED
    order = wire.broker.orders["B1"]
    order.filled, order.paise = LOT, LOT * 10_000
    wire.broker._say(order, wire.now)
    wire.settle(5.0)
    assert wire.filled("a-e") == LOT
    wire.check_quiet()


def test_orders_made_by_hand_are_booked_as_such():
    wire = ready()
    wire.broker.by_hand(Side.BUY, 2, 12_000, wire.now)
    wire.settle(5.0)
    (fill,) = wire.fills.values()
    assert fill.order_id == "external:H1"
    assert any("by hand" in text for text in wire.alerts)
    wire.settle(120.0)
    assert wire.differences == ()
    wire.check_quiet()


def test_who_sells_by_hand_what_we_hold_closes_ours_and_no_more():
    wire = Wire()
    wire.broker.base = LOT  # held before we came, and by somebody else
    wire.stream(live=True)
    wire.settle(60.0)
    held(wire, lots=2)
    wire.broker.by_hand(Side.SELL, 2, 12_000, wire.now)
    wire.settle(5.0)
    by_hand = sorted((f.closes, f.quantity) for f in wire.fills.values() if f.order_id.startswith("external:"))
    assert by_hand == [(False, LOT), (True, LOT)]
    assert any("it closes what is held here" in text for text in wire.alerts)
    wire.restart()
    wire.settle(5.0)
    wire.broker.by_hand(Side.SELL, 3, 12_000, wire.now)
    wire.settle(5.0)
    assert sum(fill.quantity for fill in wire.fills.values() if fill.closes) == 2 * LOT
    wire.settle(120.0)
    assert wire.differences == ()


def test_what_one_read_showed_is_no_difference_until_a_later_read_shows_it_too():
    wire = ready()
    held(wire)
    wire.broker.base = LOT
    wire.now += round(wire.settings.idle_read_s * SECOND)
    wire.send(wire.gateway.on_timer(wire.now))
    while wire.reads:
        wire.read()
    wire.broker.base = 0
    for _ in range(3):  # time passes, and nobody answers
        wire.now += round(wire.settings.settle_s * SECOND)
        wire.send(wire.gateway.on_timer(wire.now))
        assert wire.differences == ()
    wire.settle(120.0)
    assert wire.differences == ()


def test_a_position_nobody_can_explain_stops_entries_until_it_is_gone():
    wire = ready()
    held(wire)
    wire.broker.base = LOT
    wire.settle(120.0)
    assert wire.differences == (f"position of {CALL}: ours 65, the broker's 130",)
    wire.submit("b-e")
    assert wire.desk["b-e"].status is OrderStatus.REJECTED
    wire.broker.base = 0
    wire.settle(30.0)
    assert wire.differences == ()
    wire.submit("c-e")
    assert len(wire.waiting) == 1


def test_what_was_held_before_we_came_is_left_alone():
    wire = Wire()
    wire.broker.base = 3 * LOT
    wire.stream(live=True)
    wire.settle(60.0)
    assert wire.differences == ()
    assert any("not ours" in text for text in wire.alerts)


def test_no_entries_while_the_stream_is_down_and_the_books_are_read_when_it_is_back():
    wire = ready()
    wire.stream(live=False)
    wire.submit("a-e")
    assert wire.desk["a-e"].status is OrderStatus.REJECTED
    wire.wait(1.0)
    wire.reads.clear()
    wire.stream(live=True)
    assert len(wire.reads) == 3


def test_reads_are_few():
    wire = ready()
    begin = wire.now
    reads = 0
    send = wire.send

    def count(out, until=None):
        nonlocal reads
        reads += sum(type(item).__name__.startswith("Read") for item in out)
        send(out, until)

    wire.send = count
    wire.settle(600.0)
    assert reads / ((wire.now - begin) / SECOND) < 0.08
    reads = 0
    send_a = place(wire, kind=OrderType.LIMIT, price=90.0)
    wire.answer(wire.carry(send_a))
    wire.settle(600.0)
    assert reads / 600 < 0.25


def test_a_read_that_began_before_the_doubt_does_not_count():
    wire = ready(settings=GatewaySettings(absent_reads=2, absent_s=1.0, doubt_read_s=1.5))
    wire.wait(61.0)
    books = [ask for ask, _ in wire.reads]
    early = next(place for place, ask in enumerate(books) if isinstance(ask, ReadOrders))
    send = place(wire)
    wire.wait(0.1)
    wire.answer(wire.unknown(send))
    wire.wait(1.2)
    tag = next(place for place, (ask, _) in enumerate(wire.reads) if isinstance(ask, ReadOrders) and ask.tag)
    wire.read(tag)
    wire.read(early, old=True)
    assert wire.desk["a-e"].status is OrderStatus.UNKNOWN
    wire.settle(5.0)
    assert wire.desk["a-e"].status is OrderStatus.REJECTED


def test_the_brokers_word_never_goes_back():
    child = Child("B1", CALL, Side.BUY, None)

    def shown(status, filled, ended=False, revision=1, ts=1):
        return BrokerOrder(broker_id="B1", instrument=CALL, side=Side.BUY, quantity=130, status=status, ended=ended,
                           filled=filled, average_price=100.0, revision=revision, ts=ts)  # fmt: skip

    assert child.merge(shown("open", 65, ts=2))
    assert not child.merge(shown("open pending", 0, ts=1))
    assert (child.status, child.filled) == ("open", 65)
    assert child.merge(shown("cancelled", 65, ended=True, ts=1))
    assert not child.merge(shown("open", 65, revision=9, ts=9))
    assert (child.status, child.ended) == ("cancelled", True)
    assert child.merge(shown("complete", 130, ended=True, ts=9))
    assert child.filled == 130


def test_an_execution_that_only_the_trade_book_shows_is_booked():
    wire = ready()
    send = place(wire)
    wire.answer(wire.carry(send))
    wire.broker.fill("B1", 1, 10_010, wire.now)
    wire.broker.stream.clear()
    wire.reads.clear()
    wire.stream(live=False)
    wire.stream(live=True)
    trades = next(place for place, (ask, _) in enumerate(wire.reads) if isinstance(ask, ReadTrades))
    wire.read(trades)
    assert wire.filled("a-e") == LOT
    wire.settle(5.0)
    wire.check_quiet()
