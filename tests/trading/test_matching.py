import pytest
from trading_helpers import CALL, INDEX, MINUTE, OPEN_TS, PUT, bar, order

from sos_actors.messages import (
    NAN,
    Bar,
    CancelOrder,
    Fill,
    ModifyOrder,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Side,
    Tick,
)
from sos_actors.trading.matching import PaperExchange
from sos_actors.trading.paper_settings import PaperSettings

BUY, SELL = Side.BUY, Side.SELL
LIMIT, STOP = OrderType.LIMIT, OrderType.STOP
FREE = {"slippage_ticks": 0.0, "half_spread": 0.0, "half_spread_linear": 0.0, "volume_cap": 0.0}


def exchange(lots=None, **settings):
    return PaperExchange(PaperSettings(**(FREE | settings)), lots)


def only_fill(events):
    (found,) = [event for event in events if isinstance(event, Fill)]
    return found


def tick(price, bid=NAN, ask=NAN, ts=OPEN_TS):
    return Tick(CALL, ts, ts, price, bid=bid, ask=ask)


def test_free_of_cost_a_market_order_fills_exactly_at_the_next_open():
    paper = exchange(tick=0.0)
    assert paper.submit(order(instrument=INDEX, quantity=1)) == [OrderUpdate("o", OPEN_TS, OrderStatus.OPEN)]
    assert paper.working(INDEX)
    got = paper.open(bar(1, 24000.07, 24010, 23990, 24000, instrument=INDEX))
    assert got == [Fill("o#1", "o", OPEN_TS + MINUTE, INDEX, BUY, 1, 24000.07)]
    assert not paper.working(INDEX)


def test_a_market_order_pays_half_the_spread_and_the_slippage():
    paper = exchange(slippage_ticks=2.0, half_spread=0.01)
    paper.submit(order("b"))
    paper.submit(order("s", SELL))
    bought, sold = paper.open(bar(1, 100, 101, 99, 100), bid=99.80, ask=100.20)
    assert (bought.price, sold.price) == (100.30, 99.70)


def test_without_a_quote_the_spread_is_a_fraction_and_prices_round_to_the_worse_tick():
    paper = exchange(half_spread=0.0021)
    paper.submit(order("b"))
    paper.submit(order("s", SELL))
    bought, sold = paper.open(bar(1, 100, 101, 99, 100), bid=100.2, ask=99.8)
    assert (bought.price, sold.price) == (100.25, 99.75)


def test_a_sale_never_goes_under_one_tick():
    paper = exchange(slippage_ticks=10.0)
    paper.submit(order("s", SELL))
    assert only_fill(paper.open(bar(1, 0.10, 0.10, 0.10, 0.10))).price == 0.05


def test_a_stop_fills_at_its_trigger_less_slippage_and_a_gap_at_the_open():
    paper = exchange(slippage_ticks=1.0)
    paper.submit(order("a", SELL, kind=STOP, trigger=90.0))
    assert paper.open(bar(1, 95, 96, 90.05, 92)) == []
    assert paper.range(bar(1, 95, 96, 90.05, 92)) == []
    assert paper.open(bar(2, 95, 96, 90, 92)) == []
    got = only_fill(paper.range(bar(2, 95, 96, 90, 92)))
    assert (got.price, got.ts) == (89.95, OPEN_TS + 3 * MINUTE)
    paper.submit(order("b", SELL, kind=STOP, trigger=90.0))
    got = only_fill(paper.open(bar(3, 85, 96, 80, 92)))
    assert (got.price, got.ts) == (84.95, OPEN_TS + 3 * MINUTE)


def test_a_buy_stop_mirrors():
    paper = exchange(slippage_ticks=1.0)
    paper.submit(order("a", BUY, kind=STOP, trigger=110.0))
    assert paper.open(bar(1, 105, 109.95, 100, 105)) + paper.range(bar(1, 105, 109.95, 100, 105)) == []
    assert only_fill(paper.range(bar(2, 105, 110, 100, 105))).price == 110.05
    paper.submit(order("b", BUY, kind=STOP, trigger=110.0))
    assert only_fill(paper.open(bar(3, 120, 121, 100, 105))).price == 120.05


def test_a_stop_that_arrives_after_a_worse_open_gets_the_open():
    paper = exchange()
    first = bar(1, 85, 96, 80, 92)
    paper.open(first)
    paper.submit(order("a", SELL, kind=STOP, trigger=90.0))
    paper.submit(order("b", BUY, kind=STOP, trigger=84.0))
    assert [event.price for event in paper.range(first)] == [85.0, 85.0]


def test_a_limit_needs_the_price_to_trade_through_it():
    paper = exchange(limit_through_ticks=1.0)
    paper.submit(order("t", SELL, kind=LIMIT, price=120.0))
    assert paper.open(bar(1, 110, 120, 100, 110)) + paper.range(bar(1, 110, 120, 100, 110)) == []
    got = only_fill(paper.range(bar(2, 110, 120.05, 100, 110)))
    assert (got.price, got.quantity, got.side) == (120.0, 75, SELL)
    paper.submit(order("b", BUY, kind=LIMIT, price=90.0))
    assert paper.range(bar(3, 100, 110, 90, 100)) == []
    assert only_fill(paper.range(bar(4, 100, 110, 89.95, 100))).price == 90.0


def test_a_limit_the_open_has_passed_fills_at_the_open():
    paper = exchange()
    paper.submit(order("t", SELL, kind=LIMIT, price=120.0))
    paper.submit(order("b", BUY, kind=LIMIT, price=130.0))
    assert [event.price for event in paper.open(bar(1, 125, 126, 124, 125))] == [125.0, 125.0]
    paper.submit(order("t2", SELL, kind=LIMIT, price=125.0))
    paper.submit(order("b2", BUY, kind=LIMIT, price=125.0))
    assert paper.open(bar(2, 125, 126, 124, 125)) == []


def test_a_limit_at_the_open_still_crosses_the_spread():
    paper = exchange(half_spread=0.02)
    paper.submit(order("t", SELL, kind=LIMIT, price=120.0))
    paper.submit(order("b", BUY, kind=LIMIT, price=130.0))
    assert [event.price for event in paper.open(bar(1, 125, 126, 124, 125))] == [122.5, 127.5]


def test_of_stop_and_target_in_one_bar_the_stop_is_taken_and_the_target_cancelled():
    paper = exchange()
    paper.submit(order("t", SELL, kind=LIMIT, price=110.0, oco="x"))
    paper.submit(order("s", SELL, kind=STOP, trigger=90.0, oco="x"))
    got = paper.range(bar(1, 100, 120, 80, 100))
    assert [(event.order_id, type(event)) for event in got] == [("t", OrderUpdate), ("s", Fill)]
    assert got[0].status is OrderStatus.CANCELLED
    assert not paper.working(CALL)


def test_a_filled_target_cancels_the_stop_of_its_group_only():
    paper = exchange()
    paper.submit(order("t", SELL, kind=LIMIT, price=110.0, oco="x"))
    paper.submit(order("s", SELL, kind=STOP, trigger=90.0, oco="x"))
    paper.submit(order("other", SELL, kind=STOP, trigger=90.0, oco="y"))
    got = paper.range(bar(1, 100, 120, 95, 100))
    assert [event.order_id for event in got] == ["t", "s"]
    assert [event.order_id for event in paper.range(bar(2, 90, 91, 89, 90))] == ["other"]


def test_the_volume_cap_is_shared_by_the_bar_and_floored_to_lots():
    paper = exchange(lambda _: 25, volume_cap=0.1)
    paper.submit(order("a", quantity=50))
    paper.submit(order("b", quantity=50))
    first = bar(1, 100, 101, 99, 100, volume=890)
    assert [(event.order_id, event.quantity) for event in paper.open(first)] == [("a", 50), ("b", 25)]
    assert paper.range(first) == []
    assert paper.open(bar(2, 100, 101, 99, 100, volume=0)) == []
    got = only_fill(paper.open(bar(3, 100, 101, 99, 100)))
    assert (got.fill_id, got.quantity) == ("b#2", 25)


def test_a_triggered_stop_goes_on_as_a_market_order():
    paper = exchange(volume_cap=0.1)
    paper.submit(order("s", SELL, kind=STOP, trigger=90.0, oco="x"))
    paper.submit(order("t", SELL, kind=LIMIT, price=110.0, oco="x"))
    got = paper.range(bar(1, 100, 120, 90, 100, volume=500))
    assert [event.order_id for event in got] == ["t", "s"]
    assert got[1].quantity == 50
    got = only_fill(paper.open(bar(2, 105, 106, 104, 105, volume=500)))
    assert (got.price, got.quantity) == (105.0, 25)


def test_a_partly_filled_target_leaves_the_stop_the_rest():
    paper = exchange(volume_cap=0.1)
    paper.submit(order("t", SELL, kind=LIMIT, price=110.0, oco="x"))
    paper.submit(order("s", SELL, kind=STOP, trigger=90.0, oco="x"))
    assert only_fill(paper.range(bar(1, 100, 120, 95, 100, volume=500))).quantity == 50
    got = paper.range(bar(2, 100, 101, 90, 100, volume=5000))
    assert [getattr(event, "quantity", 0) for event in got] == [0, 25]


def test_a_market_order_that_arrives_within_a_bar_waits():
    paper = exchange()
    first = bar(1, 100, 101, 99, 100)
    paper.open(first)
    paper.submit(order("a"))
    assert paper.range(first) == []
    assert only_fill(paper.open(bar(2, 102, 103, 101, 102))).price == 102.0


def long_bar(o, high, low, c, start=0):
    """Fifteen minutes of the contract, as files of them have it beside an index of minutes."""
    return Bar(CALL, OPEN_TS + start * MINUTE, OPEN_TS + (start + 15) * MINUTE, o, high, low, c, NAN)


def test_nothing_sent_within_a_long_bar_meets_what_was_before_it():
    """An exit decided at 09:22 on the index must not get the contract's price of 09:15, nor its extremes since."""
    paper, now = exchange(), OPEN_TS + 7 * MINUTE
    paper.submit(order("exit", SELL, ts=now))
    paper.submit(order("stop", SELL, kind=STOP, trigger=95.0, ts=now))
    paper.submit(order("limit", SELL, kind=LIMIT, price=105.0, ts=now))
    first = long_bar(110, 110, 90, 100)
    assert paper.open(first) == []
    assert paper.range(first) == []
    assert only_fill(paper.open(long_bar(101, 101, 101, 101, start=15))) == Fill(
        "exit#1", "exit", OPEN_TS + 15 * MINUTE, CALL, SELL, 75, 101.0
    )


def test_what_was_sent_within_a_long_bar_meets_its_close():
    paper, now = exchange(), OPEN_TS + 7 * MINUTE
    paper.submit(order("stop", SELL, kind=STOP, trigger=95.0, ts=now))
    paper.submit(order("limit", BUY, kind=LIMIT, price=95.0, ts=now))
    first = long_bar(100, 110, 80, 90)
    assert paper.open(first) == []
    fills = [event for event in paper.range(first) if isinstance(event, Fill)]
    assert [(one.order_id, one.ts, one.price) for one in fills] == [
        ("stop", OPEN_TS + 15 * MINUTE, 90.0),
        ("limit", OPEN_TS + 15 * MINUTE, 90.0),
    ]


def test_a_stop_made_an_exit_within_a_long_bar_waits_for_the_next():
    paper = exchange()
    paper.submit(order("s", SELL, kind=STOP, trigger=80.0))
    paper.modify(ModifyOrder("s", OPEN_TS + 7 * MINUTE, order_type=OrderType.MARKET))
    first = long_bar(110, 110, 90, 100)
    assert paper.open(first) == paper.range(first) == []
    assert only_fill(paper.open(long_bar(101, 101, 101, 101, start=15))).price == 101.0


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (order(quantity=70), "not a multiple of the lot 75"),
        (order(quantity=0), "not positive"),
        (order(quantity=-75), "not positive"),
        (order(instrument=PUT), "unknown instrument"),
        (order(kind=LIMIT, price=100.02), "off the tick"),
        (order(kind=STOP, trigger=100.02), "off the tick"),
        (order(kind=LIMIT), "is not a price"),
        (order(kind=STOP, price=100.0), "is not a price"),
        (order(kind=LIMIT, price=-5.0), "is not a price"),
    ],
)
def test_bad_orders_are_rejected_with_the_reason(message, words):
    paper = exchange(lambda instrument: 75 if instrument == CALL else 0)
    (got,) = paper.submit(message)
    assert got.status is OrderStatus.REJECTED
    assert words in got.detail
    assert not paper.working(message.instrument)


def test_an_order_id_is_taken_once():
    paper = exchange()
    paper.submit(order("a"))
    assert paper.submit(order("a")) == []
    assert len(paper.open(bar(1, 100, 101, 99, 100))) == 1
    assert paper.submit(order("a")) == []
    assert paper.duplicates == 2


def test_modify_changes_prices_and_quantity_and_refuses_nonsense():
    paper = exchange(lambda _: 25)
    paper.submit(order("s", SELL, kind=STOP, trigger=90.0))
    assert paper.modify(ModifyOrder("s", OPEN_TS, trigger=95.0, quantity=50)) == []
    (got,) = paper.modify(ModifyOrder("s", OPEN_TS, trigger=95.02))
    assert (got.status, "off the tick" in got.detail) == (OrderStatus.OPEN, True)
    (got,) = paper.modify(ModifyOrder("s", OPEN_TS, quantity=30))
    assert "not a multiple" in got.detail
    fill = only_fill(paper.range(bar(1, 100, 101, 95, 100)))
    assert (fill.price, fill.quantity) == (95.0, 50)


def test_modify_below_what_is_filled_is_refused():
    paper = exchange(volume_cap=0.1)
    paper.submit(order("a"))
    paper.open(bar(1, 100, 101, 99, 100, volume=500))
    (got,) = paper.modify(ModifyOrder("a", OPEN_TS, quantity=50))
    assert got.status is OrderStatus.PARTIALLY_FILLED
    assert "already filled" in got.detail


def test_cancel_and_what_has_ended_says_how():
    paper = exchange()
    paper.submit(order("a"))
    (got,) = paper.cancel(CancelOrder("a", OPEN_TS))
    assert (got.status, got.detail) == (OrderStatus.CANCELLED, "cancelled")
    assert paper.open(bar(1, 100, 101, 99, 100)) == []
    (got,) = paper.cancel(CancelOrder("a", OPEN_TS))
    assert (got.status, "ended already" in got.detail) == (OrderStatus.CANCELLED, True)
    (got,) = paper.modify(ModifyOrder("nobody", OPEN_TS))
    assert (got.status, "no such order" in got.detail) == (OrderStatus.REJECTED, True)


def test_the_day_ends_orders_unless_told_otherwise():
    paper = exchange()
    paper.submit(order("a"))
    (got,) = paper.end_of_day(OPEN_TS)
    assert (got.status, got.detail) == (OrderStatus.CANCELLED, "end of day")
    lasting = exchange(day_orders=False)
    lasting.submit(order("a"))
    assert lasting.end_of_day(OPEN_TS) == []
    assert lasting.working(CALL)


def test_ticks_fill_at_the_far_side_of_the_quote():
    paper = exchange(slippage_ticks=1.0, half_spread=0.01)
    paper.submit(order("b"))
    paper.submit(order("s", SELL))
    assert [event.price for event in paper.tick(tick(100.0, bid=99.9, ask=100.1))] == [100.15, 99.85]
    paper.submit(order("b2"))
    assert only_fill(paper.tick(tick(100.0))).price == 101.05


def test_ticks_pass_by_an_order_on_its_way():
    paper = exchange(latency_ms=200.0)
    paper.submit(order("a", ts=OPEN_TS))
    assert paper.tick(tick(100.0, ts=OPEN_TS + 199_999_999)) == []
    assert only_fill(paper.tick(tick(101.0, ts=OPEN_TS + 200_000_000))).price == 101.0


def test_ticks_trigger_stops_and_reach_limits():
    paper = exchange()
    paper.submit(order("t", SELL, kind=LIMIT, price=110.0, oco="x"))
    paper.submit(order("s", SELL, kind=STOP, trigger=90.0, oco="x"))
    assert paper.tick(tick(90.05)) == paper.tick(tick(110.0)) == []
    got = paper.tick(tick(89.0))
    assert [event.order_id for event in got] == ["t", "s"]
    assert got[1].price == 89.0
    paper.submit(order("t2", SELL, kind=LIMIT, price=110.0))
    assert only_fill(paper.tick(tick(109.0, bid=110.0, ask=110.1))).price == 110.0
    paper.submit(order("b", BUY, kind=LIMIT, price=90.0))
    assert paper.tick(tick(90.0)) == []
    assert only_fill(paper.tick(tick(89.95))).price == 90.0


def merged_tick(price, low, high, ts):
    return Tick(CALL, ts, ts, price, low=low, high=high, merged=3)


def test_a_merged_tick_brings_its_extremes_to_orders_that_stood_before_its_minute():
    later = OPEN_TS + MINUTE + 5
    paper = exchange()
    paper.submit(order("s", SELL, kind=STOP, trigger=90.0))
    assert paper.tick(merged_tick(95.0, 90.05, 96.0, later)) == []
    assert only_fill(paper.tick(merged_tick(95.0, 89.0, 96.0, later))).price == 90.0, "not the price it came back to"
    paper.submit(order("gone", SELL, kind=STOP, trigger=90.0))
    assert only_fill(paper.tick(merged_tick(88.0, 87.0, 96.0, later))).price == 88.0
    paper.submit(order("t", SELL, kind=LIMIT, price=110.0))
    assert only_fill(paper.tick(merged_tick(95.0, 94.0, 110.05, later))).price == 110.0
    paper.submit(order("young", SELL, kind=STOP, trigger=90.0, ts=OPEN_TS + MINUTE + 1))
    assert paper.tick(merged_tick(95.0, 89.0, 96.0, later)) == [], "that low may be from before the order"


def test_negative_settings_are_refused():
    with pytest.raises(ValueError, match=r"paper\.slippage_ticks"):
        PaperSettings(slippage_ticks=-1.0)
