"""The matching engine: queues, depth, stops, partial fills."""

import pytest
from exchange_helpers import CALL, PUT, Venue, with_settings


def test_life_of_a_filled_order(venue):
    order = venue.place(price=100.05)
    assert venue.words(order) == [
        "put order req received",
        "validation pending",
        "open pending",
        "open",
        "complete",
    ]
    first, last = venue.told(order)[0], venue.told(order)[-1]
    assert (first["exchange_order_id"], first["exchange_timestamp"], first["status_message"]) == ("", None, "")
    assert (last["filled_quantity"], last["pending_quantity"], last["average_price"]) == (65, 0, 100.05)
    assert last["exchange_order_id"]
    assert last["order_timestamp"] == "2026-11-20 10:00:00"
    assert [event.ts for event in venue.events] == sorted(event.ts for event in venue.events)


def test_marketable_order_walks_the_levels(venue):
    # 650 at 100.05, then one and a half times as many (whole lots: 975) a tick higher.
    order = venue.place(quantity=1300, price=100.10)
    trades = venue.exchange.order_trades(order, venue.now).body["data"]
    assert [(row["quantity"], row["average_price"]) for row in trades] == [(650, 100.05), (650, 100.10)]
    assert len({row["trade_id"] for row in trades}) == 2
    assert venue.rows()[0]["average_price"] == pytest.approx(100.075)


def test_what_was_taken_is_gone_until_the_next_quote(venue):
    venue.place(quantity=650, price=100.05)
    late = venue.place(quantity=65, price=100.05)
    assert venue.order(late).filled == 0
    venue.quote()
    assert venue.order(late).filled == 65


def test_the_rest_of_a_limit_order_rests(venue):
    order = venue.place(quantity=1300, price=100.05)
    assert (venue.order(order).status, venue.order(order).filled) == ("open", 650)
    assert venue.rows()[0]["pending_quantity"] == 650
    assert venue.audited().live_by_tag() == {"t1": 1}


def test_the_rest_of_an_ioc_order_is_cancelled(venue):
    order = venue.place(quantity=1300, price=100.05, validity="IOC")
    assert venue.words(order)[-2:] == ["open", "cancelled"]
    assert (venue.order(order).status, venue.order(order).filled) == ("cancelled", 650)


def test_the_queue_ahead_is_eaten_first(venue):
    order = venue.place(price=99.95)
    venue.quote(last=99.95, traded=600)
    assert venue.order(order).filled == 0
    venue.quote(last=99.95, traded=50)
    assert venue.order(order).filled == 0  # 650 stood ahead: only now is it our turn
    venue.quote(last=99.95, traded=65)
    assert venue.order(order).status == "complete"


def test_cancelled_size_ahead_moves_us_up(venue):
    order = venue.place(price=99.95)
    venue.quote(bid_qty=65, last=100.0)
    venue.quote(bid_qty=650, last=99.95, traded=130)
    assert venue.order(order).status == "complete"


def test_two_of_ours_at_one_price_fill_in_turn(venue):
    first = venue.place(quantity=130, price=99.95)
    second = venue.place(quantity=130, price=99.95)
    venue.quote(last=99.95, traded=650 + 130 + 65)
    assert (venue.order(first).filled, venue.order(second).filled) == (130, 65)


def test_inside_the_spread_there_is_no_queue(venue):
    order = venue.place(price=100.0)
    venue.quote(last=100.0, traded=65)
    assert venue.order(order).status == "complete"


def test_trading_through_fills_whatever_the_queue(venue):
    order = venue.place(quantity=650, price=99.0)
    venue.quote(bid=98.5, ask=99.5, last=98.95, traded=65)
    assert venue.order(order).status == "complete"
    assert venue.rows()[0]["average_price"] == 99.0


def test_a_quote_that_crosses_fills_what_it_shows(venue):
    order = venue.place(quantity=650, price=99.0)
    venue.quote(bid=98.5, ask=99.0, ask_qty=130, last=100.0)
    assert venue.order(order).filled == 130
    assert venue.order(order).status == "open"


def test_last_price_without_volume_fills_nobody(venue):
    order = venue.place(price=99.0)
    venue.quote(last=98.0)
    assert venue.order(order).filled == 0


@pytest.mark.parametrize(
    ("side", "trigger", "limit", "through"), [("BUY", 101.0, 101.5, 101.0), ("SELL", 99.0, 98.5, 99.0)]
)
def test_stop_limit(venue, side, trigger, limit, through):
    order = venue.place(order_type="SL", transaction_type=side, trigger_price=trigger, price=limit)
    assert venue.words(order)[-1] == "trigger pending"
    sign = 1 if side == "BUY" else -1
    venue.quote(bid=through - 0.05, ask=through + 0.05, last=through - sign * 0.05, traded=65)
    assert venue.order(order).status == "trigger pending"
    venue.quote(bid=through - 0.05, ask=through + 0.05, last=through, traded=65)
    venue.run()
    assert venue.words(order)[-3:] == ["trigger pending", "open", "complete"]


def test_triggered_stop_limit_rests_where_the_market_has_run_away(venue):
    order = venue.place(order_type="SL", transaction_type="SELL", trigger_price=99.0, price=98.5)
    venue.quote(bid=90.0, ask=90.1, last=90.05, traded=65)
    assert (venue.order(order).status, venue.order(order).filled) == ("open", 0)


def test_stop_market_is_limited_by_its_protection(venue):
    order = venue.place(order_type="SL-M", transaction_type="SELL", trigger_price=99.0, price=0, market_protection=10)
    venue.quote(bid=90.0, bid_qty=6500, ask=90.5, last=90.05, traded=65)
    venue.run()
    row = venue.rows()[0]
    assert (row["order_type"], row["price"], row["status"]) == ("LIMIT", 89.1, "complete")
    assert row["average_price"] == 90.0
    assert venue.order(order).filled == 65


def test_stop_beyond_its_trigger_goes_off_at_once(venue):
    order = venue.place(order_type="SL", trigger_price=99.0, price=100.5)
    assert venue.words(order)[-3:] == ["trigger pending", "open", "complete"]


def test_executions_are_cut_in_two_now_and_then():
    venue = Venue(with_settings(depth={"split_probability": 1.0}))
    venue.quote()
    order = venue.place(quantity=650, price=100.05)
    parts = [row["quantity"] for row in venue.exchange.trades(venue.now).body["data"]]
    assert len(parts) == 2
    assert sum(parts) == 650
    assert all(part % 65 == 0 for part in parts)
    assert [row["filled_quantity"] for row in venue.told(order)[-2:]] == [parts[0], 650]
    venue.audited()


def test_only_whole_lots_trade(venue):
    venue.quote(ask_qty=100)
    order = venue.place(quantity=130, price=100.05)
    assert venue.order(order).filled == 65


def test_halt_stops_executions_and_catches_up(venue):
    venue.exchange.halt(venue.now, 5)
    order = venue.place(price=100.05)
    assert (venue.order(order).status, venue.order(order).filled) == ("open", 0)
    venue.quote(last=90.0, bid=89.95, ask=90.05, traded=650)
    assert venue.order(order).filled == 0
    venue.run(5000)
    assert venue.order(order).status == "complete"


def test_books_of_contracts_do_not_touch(venue):
    venue.quote(PUT, bid=49.95, ask=50.05, last=50.0)
    order = venue.place(PUT, price=49.0)
    venue.quote(CALL, last=10.0, ask=9.0, traded=650)
    assert venue.order(order).filled == 0
