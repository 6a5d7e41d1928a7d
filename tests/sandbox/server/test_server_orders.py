"""Orders through the SDK: what the broker answers, what the stream says, what the exchange's books hold."""

from __future__ import annotations

import json

import pytest
import upstox_client
import urllib3
from server_desk import wait_until
from upstox_client.rest import ApiException

OPTION = "NIFTY 29950 CE 23 NOV 26"
ID = "NSE|OPT|NIFTY|2026-11-23|29950|CE"


def order(key, **changes):
    """A request to place; a marketable buy unless changed."""
    fields = {
        "quantity": 65, "product": "I", "validity": "DAY", "price": 0.0, "tag": "t1", "instrument_token": key,
        "order_type": "MARKET", "transaction_type": "BUY", "disclosed_quantity": 0, "trigger_price": 0.0,
        "is_amo": False, "slice": False, "market_protection": -1,
    }  # fmt: skip
    return upstox_client.PlaceOrderV3Request(**{**fields, **changes})


def place(desk, key, **changes):
    answer = upstox_client.OrderApiV3(desk.api).place_order(order(key, **changes), _request_timeout=(5, 20))
    return answer.data.order_ids


def updates(seen, tag="t1"):
    """Statuses of a tag's orders as the stream told them."""
    rows = [json.loads(text) for text in list(seen.messages)]
    return [row["status"] for row in rows if row["update_type"] == "order" and row["tag"] == tag]


def test_a_bought_option_is_told_and_booked(desk):
    seen = desk.order_stream()
    wait_until(lambda: seen.opened, "the stream")
    (number,) = place(desk, desk.key(OPTION))
    wait_until(lambda: "complete" in updates(seen), "the fill")
    words = list(dict.fromkeys(updates(seen)))
    assert words == ["put order req received", "validation pending", "open pending", "open", "complete"]
    rows = [json.loads(text) for text in seen.messages]
    fill = next(row for row in rows if row.get("status") == "complete")
    assert (fill["order_id"], fill["filled_quantity"], fill["pending_quantity"]) == (number, 65, 0)
    wait_until(lambda: any(json.loads(text)["update_type"] == "position" for text in seen.messages), "the position")
    books = desk.books()
    assert books["positions"] == {ID: 65}
    assert [one["quantity"] for one in books["executions"]] == [65]
    assert sum(one["quantity"] * one["price"] for one in books["executions"]) == pytest.approx(
        fill["average_price"] * 6500
    )
    assert books["audit"] == []


def test_reads_agree_with_the_books(desk):
    key = desk.key(OPTION)
    (number,) = place(desk, key)
    wait_until(lambda: desk.books()["positions"], "the fill")
    orders = upstox_client.OrderApi(desk.api)
    assert [row.status for row in orders.get_order_book("2.0").data] == ["complete"]
    assert orders.get_order_status(order_id=number).data.filled_quantity == 65
    history = orders.get_order_details("2.0", tag="t1").data
    assert history[0].status == "put order req received"
    assert history[-1].status == "complete"
    assert sum(trade.quantity for trade in orders.get_trade_history("2.0").data) == 65
    (position,) = upstox_client.PortfolioApi(desk.api).get_positions("2.0").data
    assert (position.quantity, position.instrument_token) == (65, key)


def test_a_resting_order_is_modified_and_cancelled(desk):
    key = desk.key(OPTION)
    api = upstox_client.OrderApiV3(desk.api)
    price = desk.control(f"market/{key.replace('|', '%7C')}", {})["bid"]
    low = round(price * 0.8 / 0.05) * 0.05
    (number,) = place(desk, key, order_type="LIMIT", price=round(low, 2), market_protection=0)
    status = lambda: upstox_client.OrderApi(desk.api).get_order_status(order_id=number).data  # noqa: E731
    wait_until(lambda: status().status == "open", "the order at the exchange")
    api.modify_order(
        upstox_client.ModifyOrderRequest(
            order_id=number,
            order_type="LIMIT",
            validity="DAY",
            price=round(low - 1.0, 2),
            trigger_price=0.0,
            quantity=65,
        )
    )
    wait_until(lambda: status().price == pytest.approx(low - 1.0), "the modification")
    api.cancel_order(number)
    wait_until(lambda: status().status == "cancelled", "the cancellation")
    with pytest.raises(ApiException) as caught:
        api.cancel_order(number)
    assert json.loads(caught.value.body)["errors"][0]["errorCode"] == "UDAPI100040"
    assert desk.books()["positions"] == {}


def test_exit_all_and_cancel_all(desk):
    place(desk, desk.key(OPTION))
    wait_until(lambda: desk.books()["positions"], "the fill")
    api = upstox_client.OrderApi(desk.api)
    assert len(api.exit_positions().data.order_ids) == 1
    wait_until(lambda: not desk.books()["positions"], "the exit")
    assert desk.books()["audit"] == []


def test_an_order_is_filled_when_the_market_comes_to_it(open_desk):
    desk = open_desk(speed=60.0)
    key = desk.key(OPTION)
    bid = desk.control(f"market/{key.replace('|', '%7C')}", {})["bid"]
    place(desk, key, order_type="LIMIT", price=bid, market_protection=0)
    wait_until(lambda: desk.books()["positions"] == {ID: 65}, "the fill")


def test_a_dropped_answer_leaves_one_order(desk):
    key = desk.key(OPTION)
    desk.arm(drop_after_accept=1)
    with pytest.raises(urllib3.exceptions.HTTPError):
        place(desk, key, tag="lost")
    assert desk.books()["orders"]["lost"][0]["quantity"] == 65
    desk.arm(drop_before_accept=1)
    with pytest.raises(urllib3.exceptions.HTTPError):
        place(desk, key, tag="never")
    assert "never" not in desk.books()["orders"]


def test_a_strange_address_is_refused(open_desk):
    from sos_actors.sandbox.exchange.settings import AccountSettings, ExchangeSettings  # noqa: PLC0415

    desk = open_desk(exchange=ExchangeSettings(account=AccountSettings(primary_ip="10.1.2.3")))
    with pytest.raises(ApiException) as caught:
        place(desk, desk.key(OPTION))
    assert caught.value.status == 403
    assert upstox_client.UserApi(desk.api).get_profile("2.0").data.user_id == "SB1234"


def test_multi_orders_and_gtt(desk):
    call, put = desk.key(OPTION), desk.key("NIFTY 29900 PE 23 NOV 26")
    rows = [
        upstox_client.MultiOrderRequest(
            quantity=65, product="I", validity="DAY", price=0.0, tag="m", instrument_token=key, order_type="MARKET",
            transaction_type="BUY", disclosed_quantity=0, trigger_price=0.0, is_amo=False, slice=False,
            correlation_id=str(number), market_protection=-1,
        )
        for number, key in enumerate((call, put))
    ]  # fmt: skip
    answer = upstox_client.OrderApi(desk.api).place_multi_order(rows)
    assert answer.summary.success == 2
    wait_until(lambda: len(desk.books()["positions"]) == 2, "both fills")
    rule = {"strategy": "ENTRY", "trigger_type": "ABOVE", "trigger_price": 500.0}
    status, answer = desk.call(
        "/v3/order/gtt/place",
        "POST",
        {
            "type": "SINGLE",
            "quantity": 65,
            "product": "D",
            "instrument_token": call,
            "transaction_type": "BUY",
            "rules": [rule],
        },
    )
    assert status == 200, answer
    (number,) = answer["data"]["gtt_order_ids"]
    _, shown = desk.call(f"/v3/order/gtt?gtt_order_id={number}")
    assert shown["data"][0]["gtt_order_id"] == number
    assert desk.call("/v3/order/gtt/cancel", "DELETE", {"gtt_order_id": number})[0] == 200
