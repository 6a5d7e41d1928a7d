"""Modifying and cancelling: codes, races, the place in the queue."""

import pytest


def statuses(venue, order):
    return venue.words(order)[4:]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"order_id": None}, "1003"),
        ({"order_id": "a b"}, "1010"),
        ({"order_id": "123"}, "100010"),
        ({"order_type": None}, "1004"),
        ({"order_type": "X"}, "1056"),
        ({"validity": ""}, "1007"),
        ({"validity": "X"}, "1055"),
        ({"price": 0}, "1029"),
        ({"order_type": "MARKET"}, "1030"),
        ({"order_type": "SL", "price": 0}, "1031"),
        ({"order_type": "SL", "price": 0, "trigger_price": 99.0}, "1029"),
        ({"order_type": "SL-M", "trigger_price": 101.0}, "1032"),
        ({"order_type": "SL"}, "1036"),
        ({"order_type": "SL-M", "price": 0, "market_protection": -1}, "1036"),
        ({"order_type": "SL", "trigger_price": 100.5}, "1037"),
        ({"disclosed_quantity": 1}, "1039"),
        ({"quantity": -5}, "1052"),
    ],
)
def test_bad_modification(venue, fields, code):
    order = venue.place(price=99.0)
    answer = venue.modify(**{"order_id": order, **fields})
    assert answer.code == f"UDAPI{code}"
    venue.run()
    assert statuses(venue, order) == []


def test_modify(venue):
    order = venue.place(price=99.0)
    answer = venue.modify(order, price=99.5, quantity=130)
    assert answer.body["data"] == {"order_id": order}
    venue.run()
    assert statuses(venue, order) == ["modify validation pending", "modify pending", "modified", "open"]
    row = venue.rows()[0]
    assert (row["price"], row["quantity"], row["order_request_id"]) == (99.5, 130, "2")


def test_quantity_left_out_stays(venue):
    order = venue.place(price=99.0, quantity=130)
    venue.modify(order, price=99.5)
    venue.run()
    assert venue.order(order).quantity == 130


def test_modify_into_the_market_fills(venue):
    order = venue.place(price=99.0)
    venue.modify(order, order_type="MARKET", price=0, market_protection=-1)
    venue.run()
    assert statuses(venue, order)[-2:] == ["open", "complete"]


def test_stop_becomes_a_market_order(venue):
    order = venue.place(order_type="SL", trigger_price=101.0, price=101.5)
    venue.modify(order, order_type="MARKET", price=0, market_protection=5)
    venue.run()
    assert venue.order(order).status == "complete"
    venue.audited()


def test_limit_becomes_a_stop(venue):
    order = venue.place(price=99.0)
    venue.modify(order, order_type="SL", price=101.5, trigger_price=101.0)
    venue.run()
    assert statuses(venue, order)[-2:] == ["modified", "trigger pending"]
    venue.quote(bid=100.95, ask=101.05, last=101.0, traded=65)
    assert venue.order(order).status == "complete"
    venue.audited()


def test_stop_moves_and_only_the_new_trigger_counts(venue):
    order = venue.place(order_type="SL", transaction_type="SELL", trigger_price=99.0, price=98.0)
    venue.modify(order, order_type="SL", trigger_price=97.0, price=96.0)
    venue.run()
    venue.quote(bid=98.95, ask=99.05, last=98.9, traded=65)
    assert venue.order(order).status == "trigger pending"
    venue.quote(bid=97.0, ask=97.05, last=97.0, traded=65)
    assert venue.order(order).status == "complete"


def test_smaller_quantity_keeps_the_place_in_the_queue(venue):
    order = venue.place(price=99.95, quantity=130)
    venue.quote(last=99.95, traded=650)
    venue.modify(order, price=99.95, quantity=65)
    venue.run()
    venue.quote(last=99.95, traded=65)
    assert venue.order(order).status == "complete"


@pytest.mark.parametrize("fields", [{"price": 99.95, "quantity": 195}, {"price": 99.9, "quantity": 130}])
def test_more_quantity_or_another_price_goes_to_the_back(venue, fields):
    order = venue.place(price=99.95, quantity=130)
    venue.quote(last=99.95, traded=650)
    venue.modify(order, **fields)
    venue.run()
    venue.quote(bid=fields["price"], last=fields["price"], traded=65)
    assert venue.order(order).filled == 0


def test_modification_the_checks_refuse(venue):
    order = venue.place(price=99.0)
    venue.modify(order, price=99.0, quantity=100)
    venue.run()
    assert statuses(venue, order) == ["modify validation pending", "modify pending", "not modified", "open"]
    refused, after = venue.told(order)[-2:]
    assert "lot size" in refused["status_message"]
    assert (after["quantity"], after["status_message"]) == (65, "")


def test_quantity_below_what_is_filled(venue):
    order = venue.place(quantity=1300, price=100.05)
    assert venue.order(order).filled == 650
    venue.modify(order, price=100.05, quantity=650)
    venue.run()
    assert "not modified" in venue.words(order)
    assert venue.order(order).quantity == 1300


def test_cancel(venue):
    order = venue.place(price=99.0)
    answer = venue.exchange.cancel(order, venue.now)
    assert answer.body["data"] == {"order_id": order}
    venue.run()
    assert statuses(venue, order) == ["cancel pending", "cancelled"]
    assert venue.rows()[0]["order_request_id"] == "2"
    venue.quote(last=90.0, ask=90.0, traded=650)
    assert venue.order(order).filled == 0
    assert venue.exchange.cancel(order, venue.now).code == "UDAPI100040"
    assert venue.modify(order).code == "UDAPI100041"


@pytest.mark.parametrize(("order_id", "code"), [(None, "1023"), ("", "1023"), ("a b", "1010"), ("123", "100010")])
def test_bad_cancel(venue, order_id, code):
    assert venue.exchange.cancel(order_id, venue.now).code == f"UDAPI{code}"


def test_cancel_keeps_the_fill(venue):
    order = venue.place(quantity=1300, price=100.05)
    venue.exchange.cancel(order, venue.now)
    venue.run()
    assert (venue.order(order).status, venue.order(order).filled) == ("cancelled", 650)
    venue.audited()


def test_fill_overtakes_a_cancel(venue):
    order = venue.place(price=99.0)
    venue.exchange.cancel(order, venue.now)
    venue.quote(bid=98.0, ask=98.5, last=98.0, traded=65)
    venue.run()
    assert statuses(venue, order) == ["cancel pending", "not cancelled", "complete"]
    venue.audited()


def test_fill_overtakes_a_modification(venue):
    order = venue.place(price=99.0)
    venue.modify(order, price=98.0)
    venue.quote(bid=98.0, ask=98.5, last=98.0, traded=65)
    venue.run()
    assert statuses(venue, order)[-2:] == ["not modified", "complete"]
    assert venue.rows()[0]["price"] == 99.0


def test_trigger_during_a_modification(venue):
    order = venue.place(order_type="SL", transaction_type="SELL", trigger_price=99.0, price=98.5)
    venue.modify(order, order_type="SL", trigger_price=98.0, price=97.5)
    venue.quote(bid=97.0, ask=97.1, last=97.05, traded=65)
    venue.run()
    assert venue.order(order).status == "open"  # triggered, and then moved as the limit it had become
    venue.quote(bid=97.5, ask=97.6, last=97.55)
    assert venue.order(order).status == "complete"
    venue.audited()


def test_requests_before_the_order_has_arrived_wait_for_it(venue):
    order = venue.send(price=99.0).body["data"]["order_ids"][0]
    assert venue.modify(order, price=98.5).ok
    assert venue.exchange.cancel(order, venue.now).ok
    venue.run(1000)
    assert venue.words(order) == [
        "put order req received",
        "validation pending",
        "open pending",
        "open",
        "modify validation pending",
        "modify pending",
        "modified",
        "open",
        "cancel pending",
        "cancelled",
    ]
    assert [row["order_request_id"] for row in venue.told(order)] == ["1"] * 4 + ["2"] * 4 + ["3"] * 2


def test_history_of_an_order_and_of_a_tag(venue):
    first = venue.place(price=99.0, tag="a")
    second = venue.place(price=99.0, tag="a")
    venue.place(price=99.0, tag="b")
    history = venue.exchange.order_history(venue.now, order_id=first).body["data"]
    assert [row["status"] for row in history] == venue.words(first)
    assert {"pending_quantity", "guid", "order_ref_id"}.isdisjoint(history[0])
    assert history[0]["parent_order_id"] == "NA"
    tagged = venue.exchange.order_history(venue.now, tag="a").body["data"]
    assert {row["order_id"] for row in tagged} == {first, second}
    assert venue.exchange.order_history(venue.now).code == "UDAPI100059"
    assert venue.exchange.order_history(venue.now, tag="none").code == "UDAPI100010"
