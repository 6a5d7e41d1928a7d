"""Bulk requests, GTT orders, kill switch, addresses, profile."""

import pytest
from exchange_helpers import CALL, DAY, PUT

from sos_actors.sandbox.exchange import Caller, EventKind


def row(venue, name, **fields):
    return {**venue.body(price=99.0, **fields), "correlation_id": name}


def test_multi_place_buys_first(venue):
    body = [row(venue, "s", transaction_type="SELL"), row(venue, "b")]
    answer = venue.exchange.place_multi(body, venue.now)
    assert (answer.status, answer.body["status"]) == (200, "success")
    assert answer.body["summary"] == {"total": 2, "payload_error": 0, "success": 2, "error": 0}
    names = {one["correlation_id"]: one["order_id"] for one in answer.body["data"]}
    assert [one.order_id for one in venue.exchange.books.orders()] == [names["b"], names["s"]]


def test_multi_place_slices(venue):
    body = [row(venue, "a", quantity=3510, slice=True)]
    data = venue.exchange.place_multi(body, venue.now).body["data"]
    assert [one["correlation_id"] for one in data] == ["a_1", "a_2"]


def test_multi_place_all_or_nothing_on_what_cannot_be_read(venue):
    body = [row(venue, "a"), row(venue, "b", quantity=0), row(venue, "a"), row(venue, "x" * 21), row(venue, "")]
    answer = venue.exchange.place_multi(body, venue.now)
    assert (answer.status, answer.body["status"]) == (400, "error")
    assert [one["error_code"] for one in answer.body["errors"]] == [
        "UDAPI1052",
        "UDAPI1117",
        "UDAPI1116",
        "UDAPI1115",
    ]
    assert answer.body["summary"]["payload_error"] == 4
    assert venue.exchange.books.orders() == ()


def test_multi_place_partly(venue):
    venue.exchange.faults.arm("reject_place")
    answer = venue.exchange.place_multi([row(venue, "a"), row(venue, "b")], venue.now)
    assert (answer.status, answer.body["status"]) == (207, "partial_success")
    assert [one["correlation_id"] for one in answer.body["errors"]] == ["a"]
    assert [one["correlation_id"] for one in answer.body["data"]] == ["b"]
    assert answer.body["summary"] == {"total": 2, "payload_error": 0, "success": 1, "error": 1}


def test_multi_place_limits(venue):
    assert venue.exchange.place_multi([], venue.now).code == "UDAPI1114"
    body = [row(venue, str(number)) for number in range(26)]
    assert venue.exchange.place_multi(body, venue.now).code == "UDAPI1118"
    assert venue.exchange.place_multi([row(venue, "a", quantity=26 * 1755 // 2, slice=True)], venue.now).ok


def test_multi_cancel(venue):
    first, second = venue.place(price=99.0, tag="a"), venue.place(price=99.0, tag="b")
    answer = venue.exchange.cancel_multi(venue.now, tag="a")
    assert answer.body["data"] == {"order_ids": [first]}
    assert answer.body["summary"] == {"total": 1, "success": 1, "error": 0}
    assert answer.body["errors"] is None
    venue.run()
    assert [venue.order(one).status for one in (first, second)] == ["cancelled", "open"]
    assert venue.exchange.cancel_multi(venue.now, segment="NSE_FO").body["data"] == {"order_ids": [second]}
    venue.run()
    assert venue.exchange.cancel_multi(venue.now).code == "UDAPI1109"
    assert venue.exchange.cancel_multi(venue.now, segment="X").code == "UDAPI1108"


def test_multi_cancel_has_a_limit(make_venue):
    venue = make_venue(account={"cash": 1e9})
    for _ in range(51):
        venue.send(price=99.0)
    assert venue.exchange.cancel_multi(venue.now).code == "UDAPI1110"


def test_exit_all(venue):
    venue.place(quantity=130, price=100.05, tag="a")
    venue.quote(PUT)
    venue.place(PUT, transaction_type="SELL", price=99.95, tag="b", product="D")
    assert venue.exchange.exit_positions(venue.now, tag="b").code == "UDAPI1111"  # tags find intraday ones alone
    answer = venue.exchange.exit_positions(venue.now)
    assert answer.body["summary"]["success"] == 2
    sides = [venue.order(one).side for one in answer.body["data"]["order_ids"]]
    assert sides == ["BUY", "SELL"]
    venue.run()
    assert venue.audited().net() == {}
    assert venue.exchange.exit_positions(venue.now).code == "UDAPI1111"


def test_exit_by_tag_and_after_hours(venue):
    venue.place(price=100.05, tag="a", product="D")
    venue.place(price=100.05, tag="a", product="I")
    (order,) = venue.exchange.exit_positions(venue.now, tag="a").body["data"]["order_ids"]
    assert venue.order(order).product == "I"
    venue.run()
    venue.until("15:45")
    assert venue.exchange.exit_positions(venue.now).code == "UDAPI1113"


# --- GTT -----------------------------------------------------------------------------------------------------


def gtt(*rules, **fields):
    return {
        "type": "SINGLE" if len(rules) == 1 else "MULTIPLE",
        "quantity": 65,
        "product": "I",
        "instrument_token": CALL.upstox_key,
        "transaction_type": "BUY",
        "rules": list(rules),
        **fields,
    }


def rule(strategy="ENTRY", trigger_type="IMMEDIATE", trigger_price=100.05, **fields):
    return {"strategy": strategy, "trigger_type": trigger_type, "trigger_price": trigger_price, **fields}


def placed(venue, *rules, **fields):
    answer = venue.exchange.gtt_place(gtt(*rules, **fields), venue.now)
    assert answer.ok, answer
    return answer.body["data"]["gtt_order_ids"][0]


def states(venue, gtt_id):
    (found,) = venue.exchange.gtt_list(venue.now, gtt_order_id=gtt_id).body["data"]
    return {one["strategy"]: one["status"] for one in found["rules"]}


def move(venue, last):
    venue.quote(bid=last - 0.05, ask=last + 0.05, last=last, traded=65)
    venue.run()
    venue.quote(bid=last - 0.05, ask=last + 0.05, last=last, traded=65)


def test_entry_above(venue):
    found = placed(venue, rule(trigger_type="ABOVE", trigger_price=105.0, market_protection=5))
    move(venue, 104.95)
    assert states(venue, found) == {"ENTRY": "SCHEDULED"}
    move(venue, 105.0)
    assert states(venue, found) == {"ENTRY": "COMPLETED"}
    assert venue.exchange.books.net() == {CALL.id: 65}
    assert venue.rows()[0]["price"] == 110.25
    (shown,) = venue.exchange.gtt_list(venue.now).body["data"]
    assert shown["created_at"] < shown["expires_at"]
    assert 0 < venue.now // 1000 - shown["created_at"] < 10**6
    assert shown["rules"][0]["order_id"] == venue.rows()[0]["order_id"]
    told = [event.body["rules"][0]["status"] for event in venue.events if event.kind is EventKind.GTT]
    assert told[0] == "SCHEDULED"


def bracket(venue, **stop):
    found = placed(venue, rule(), rule("TARGET", trigger_price=110.0), rule("STOPLOSS", trigger_price=95.0, **stop))
    venue.run()
    move(venue, 100.0)
    assert states(venue, found) == {"ENTRY": "COMPLETED", "TARGET": "SCHEDULED", "STOPLOSS": "SCHEDULED"}
    return found


def test_bracket_target(venue):
    found = bracket(venue)
    move(venue, 110.5)
    venue.run()
    assert states(venue, found) == {"ENTRY": "COMPLETED", "TARGET": "COMPLETED", "STOPLOSS": "CANCELLED"}
    assert venue.audited().net() == {}


def test_bracket_stop_trails(venue):
    found = bracket(venue, trailing_gap=3.0)
    move(venue, 105.0)
    assert states(venue, found)["STOPLOSS"] == "SCHEDULED"
    move(venue, 102.5)
    assert states(venue, found)["STOPLOSS"] == "SCHEDULED"
    move(venue, 102.0)  # 105 less 3
    assert states(venue, found)["STOPLOSS"] in {"PENDING", "COMPLETED"}
    assert states(venue, found)["TARGET"] == "CANCELLED"
    assert venue.rows()[-1]["price"] == 102.0


def test_entry_that_is_rejected_fails(venue):
    found = placed(venue, rule(trigger_price=10.0), rule("TARGET", trigger_price=20.0))
    venue.run()
    move(venue, 100.0)
    assert states(venue, found) == {"ENTRY": "FAILED", "TARGET": "CANCELLED"}


def test_gtt_modify_and_cancel(venue):
    found = placed(venue, rule(trigger_type="BELOW", trigger_price=95.0))
    body = {**gtt(rule(trigger_type="BELOW", trigger_price=90.0)), "gtt_order_id": found, "quantity": 130}
    assert venue.exchange.gtt_modify(body, venue.now).body["data"] == {"gtt_order_ids": [found]}
    move(venue, 94.0)
    assert states(venue, found) == {"ENTRY": "SCHEDULED"}
    assert venue.exchange.gtt_cancel({"gtt_order_id": found}, venue.now).ok
    assert states(venue, found) == {"ENTRY": "CANCELLED"}
    assert venue.exchange.gtt_cancel({"gtt_order_id": found}, venue.now).code == "UDAPI1140"
    assert venue.exchange.gtt_cancel({"gtt_order_id": "x"}, venue.now).code == "UDAPI1135"
    move(venue, 80.0)
    assert venue.rows() == []


def test_gtt_of_the_day_ends_with_it(venue):
    day = placed(venue, rule(trigger_type="BELOW", trigger_price=50.0))
    longer = placed(venue, rule(trigger_type="BELOW", trigger_price=50.0), product="D")
    venue.until("16:00")
    assert (states(venue, day), states(venue, longer)) == ({"ENTRY": "CANCELLED"}, {"ENTRY": "SCHEDULED"})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (gtt(rule(), type="X"), "1126"),
        (gtt(rule(), rule("TARGET"), type="SINGLE"), "1136"),
        (gtt(rule(), type="MULTIPLE"), "1137"),
        (gtt(rule("TARGET")), "1141"),
        (gtt(rule(), rule("TARGET", "ABOVE")), "1143"),
        (gtt(rule(), rule()), "1138"),
        (gtt(rule(trigger_type="X")), "1130"),
        (gtt(rule("X")), "1132"),
        (gtt(rule(trigger_price=0)), "1142"),
        (gtt(rule(market_protection=30)), "1159"),
        (gtt(rule(trailing_gap=1)), "1151"),
        (gtt(rule(), instrument_token="x"), "100011"),
        (gtt(rule(), product="MTF"), "1054"),
        (gtt(rule(), transaction_type=None), "1057"),
        (gtt(rule(), quantity=0), "1052"),
    ],
)
def test_bad_gtt(venue, body, code):
    assert venue.exchange.gtt_place(body, venue.now).code == f"UDAPI{code}"


# --- the account's owner -------------------------------------------------------------------------------------


def test_profile(venue):
    data = venue.exchange.profile(venue.now).body["data"]
    assert (data["broker"], data["user_id"], data["is_active"]) == ("UPSTOX", "SB1234", True)


def test_kill_switch(venue):
    order = venue.place(price=99.0)
    off = [{"segment": "NSE_FO", "action": "DISABLE"}]
    answer = venue.exchange.set_kill_switch(off, venue.now)
    assert answer.body["data"] == [{"segment": "NSE_FO", "segment_status": "ACTIVE", "kill_switch_enabled": True}]
    venue.run()
    assert venue.order(order).status == "cancelled"
    assert venue.send(price=99.0).code == "UDAPI100049"
    on = [{"segment": "NSE_FO", "action": "ENABLE"}]
    assert venue.exchange.set_kill_switch(on, venue.now).code == "UDAPI1185"
    venue.until("22:00:01")
    assert venue.exchange.set_kill_switch(on, venue.now).ok
    shown = {one["segment"]: one["kill_switch_enabled"] for one in venue.exchange.kill_switch(venue.now).body["data"]}
    assert shown == {"NSE_EQ": False, "NSE_FO": False, "BSE_EQ": False, "BSE_FO": False, "MCX_FO": False}


def test_kill_switch_refuses_all_or_nothing(venue):
    venue.place(price=100.05)
    rows = [{"segment": "BSE_FO", "action": "DISABLE"}, {"segment": "NSE_FO", "action": "DISABLE"}]
    assert venue.exchange.set_kill_switch(rows, venue.now).code == "UDAPI1184"
    assert not any(one["kill_switch_enabled"] for one in venue.exchange.kill_switch(venue.now).body["data"])
    for bad, code in [({"segment": "X", "action": "ENABLE"}, "1186"), ({"segment": "NSE_FO", "action": "X"}, "1188")]:
        assert venue.exchange.set_kill_switch([bad], venue.now).code == f"UDAPI{code}"
    assert venue.exchange.set_kill_switch({}, venue.now).code == "UDAPI100038"


def test_static_ip(venue):
    answer = venue.exchange.set_static_ip({"primary_ip": "10.0.0.9"}, venue.now)
    assert answer.body["data"]["access_tokens_invalidated"] is True
    assert answer.body["data"]["primary_ip_updated_at"] == "2026-11-20 10:00:00"
    assert [event.kind for event in venue.run(0)] == [EventKind.TOKENS_DIED]
    assert venue.exchange.place(venue.body(), venue.now, Caller(ip="127.0.0.1")).code == "UDAPI1154"
    assert venue.exchange.place(venue.body(), venue.now, Caller(ip="10.0.0.9")).ok
    assert venue.exchange.set_static_ip({"primary_ip": "10.0.0.8"}, venue.now).code == "UDAPI1185"
    venue.until("10:00", day=DAY.replace(day=23))
    assert venue.exchange.set_static_ip({"primary_ip": "::1"}, venue.now).ok
    assert venue.exchange.static_ip(venue.now).body["data"]["primary_ip"] == "::1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "1182"),
        (None, "1182"),
        ({"primary_ip": "x"}, "1183"),
        ({"primary_ip": "10.0.0.9", "secondary_ip": "10.0.0.9"}, "1184"),
    ],
)
def test_bad_static_ip(venue, body, code):
    assert venue.exchange.set_static_ip(body, venue.now).code == f"UDAPI{code}"
