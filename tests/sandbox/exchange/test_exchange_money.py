"""Positions, cash to the paisa, margin, and what the day does to them."""

import datetime as dt

import pytest
from exchange_helpers import CALL, DAY, EXPIRY, FUTURE, INDEX, PUT, Venue, option, with_settings

from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import Right, Side

ONE_DAY = dt.timedelta(days=1)


def fill(venue, instrument=CALL, side="BUY", quantity=65, price=100.0, product="I"):
    """Trade at one price exactly."""
    venue.quote(instrument, bid=price, bid_qty=6500, ask=price, ask_qty=6500, last=price)
    order = venue.place(instrument, transaction_type=side, quantity=quantity, price=price, product=product, tag="fill")
    assert venue.order(order).status == "complete", venue.rows()[-1]
    return order


def positions(venue):
    return venue.exchange.positions(venue.now).body["data"]


def test_cash_after_a_round_trip(venue):
    fill(venue, price=100.0)
    fill(venue, side="SELL", price=101.0)
    schedule = ChargeSchedule()
    cost = (
        schedule.charges("OPT", "NSE", Side.BUY, 65, 100.0, DAY).total
        + schedule.charges("OPT", "NSE", Side.SELL, 65, 101.0, DAY).total
    )
    books = venue.audited()
    assert books.cash == 100_000_000 + 6500 - cost
    assert books.charges == cost
    assert books.net() == {}
    row = positions(venue)[0]
    assert (row["quantity"], row["realised"], row["unrealised"], row["pnl"]) == (0, 65.0, 0.0, 65.0)
    assert row["average_price"] is None
    assert (row["day_buy_value"], row["day_sell_value"]) == (6500.0, 6565.0)


def test_brokerage_is_charged_once_an_order(venue):
    venue.quote(ask_qty=65)
    order = venue.place(quantity=130, price=100.05)
    venue.quote(bid=99.0, ask=100.0, ask_qty=650)
    assert venue.order(order).status == "complete"
    schedule = ChargeSchedule()
    parts = list(venue.exchange.books.executions())
    assert len(parts) == 2
    for one, orders in zip(parts, (1, 0), strict=True):
        expected = schedule.charges("OPT", "NSE", Side.BUY, one.quantity, one.price / 100, DAY, orders).total
        assert one.charges == expected


def test_open_position(venue):
    fill(venue, price=100.0)
    fill(venue, quantity=130, price=103.0)
    venue.quote(last=104.0)
    row = positions(venue)[0]
    assert row["average_price"] == pytest.approx(102.0)
    assert (row["quantity"], row["last_price"], row["unrealised"]) == (195, 104.0, 390.0)
    assert row["exchange"] == "NFO"
    assert venue.exchange.books.net() == {CALL.id: 195}


def test_products_are_apart(venue):
    fill(venue, product="I")
    fill(venue, side="SELL", product="D")
    assert {(row["product"], row["quantity"]) for row in positions(venue)} == {("I", 65), ("D", -65)}


def test_position_messages(venue):
    fill(venue)
    body = next(event.body for event in venue.events if event.kind == "position")
    assert (body["update_type"], body["exchange"], body["quantity"]) == ("position", "NSE_FO", 65)
    assert {"last_price", "pnl", "unrealised"}.isdisjoint(body)


def test_shorts_block_a_percentage_of_the_underlying(venue):
    before = venue.exchange.funds(venue.now).body["data"]["equity"]
    fill(venue, side="SELL", price=100.0)
    equity = venue.exchange.funds(venue.now).body["data"]["equity"]
    margin = 25_000.0 * 65 * 0.12
    assert equity["span_margin"] + equity["exposure_margin"] == pytest.approx(margin)
    charges = venue.exchange.books.charges / 100
    assert equity["available_margin"] == pytest.approx(before["available_margin"] + 6500 - margin - charges)


def test_working_orders_block_money_and_give_it_back(venue):
    free = venue.exchange.funds(venue.now).body["data"]["equity"]["available_margin"]
    order = venue.place(price=99.0)
    equity = venue.exchange.funds(venue.now).body["data"]["equity"]
    assert (equity["available_margin"], equity["used_margin"]) == (free - 6435, 6435.0)
    venue.exchange.cancel(order, venue.now)
    venue.run()
    assert venue.exchange.funds(venue.now).body["data"]["equity"]["available_margin"] == free


def test_the_second_exit_of_one_position_needs_margin():
    venue = Venue(with_settings(account={"cash": 100_000.0}))
    fill(venue, price=100.0)
    target = venue.place(transaction_type="SELL", price=110.0)
    stop = venue.place(transaction_type="SELL", order_type="SL", trigger_price=95.0, price=94.0)
    assert venue.order(target).status == "open"
    assert venue.order(stop).status == "rejected"  # 195,000 of margin, for it would open a short
    assert "Margin" in venue.rows()[-1]["status_message"]


def test_exits_need_no_margin():
    venue = Venue(with_settings(account={"cash": 6_600.0}))
    fill(venue, price=100.0)
    assert venue.order(venue.place(transaction_type="SELL", price=101.0)).status == "open"


def test_funds_in_the_third_version(venue):
    fill(venue, price=100.0)
    venue.quote(last=99.0)
    data = venue.exchange.funds(venue.now, version=3).body["data"]["available_to_trade"]
    cash = data["cash_available_to_trade"]
    assert data["total"] == venue.exchange.funds(venue.now).body["data"]["equity"]["available_margin"]
    assert cash["cash"]["opening_balance"] == 1_000_000.0
    assert cash["cash"]["unpaid_charges"] == venue.exchange.books.charges / 100
    assert cash["margin_used"]["premium_present"] == 6500.0
    assert cash["margin_used"]["loss"] == {"total": 65.0, "realised": 0.0, "unrealised": 65.0}
    assert venue.exchange.funds(venue.now, segment="FOO").code == "UDAPI100036"


def test_margin_of_a_basket(venue):
    leg = {"instrument_key": CALL.upstox_key, "quantity": 65, "transaction_type": "BUY", "product": "I", "price": 10.0}
    short = {**leg, "instrument_key": PUT.upstox_key, "transaction_type": "SELL"}
    data = venue.exchange.margin({"instruments": [leg, short]}, venue.now).body["data"]
    assert data["margins"][0]["net_buy_premium"] == data["margins"][0]["total_margin"] == 650.0
    assert data["margins"][1]["total_margin"] == 195_000.0
    assert data["required_margin"] == data["final_margin"] == 195_650.0


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"price": -1}, "1095"),
        ({"quantity": 0}, "1096"),
        ({"quantity": None}, "1097"),
        ({"instrument_key": "x"}, "1098"),
        ({"instrument_key": ""}, "1099"),
        ({"product": None}, "1100"),
        ({"transaction_type": None}, "1101"),
        ({"quantity": 1}, "1104"),
    ],
)
def test_bad_margin_leg(venue, fields, code):
    leg = {"instrument_key": CALL.upstox_key, "quantity": 65, "transaction_type": "BUY", "product": "I"}
    assert venue.exchange.margin({"instruments": [{**leg, **fields}]}, venue.now).code == f"UDAPI{code}"


def test_bad_margin_basket(venue):
    leg = {"instrument_key": CALL.upstox_key, "quantity": 65, "transaction_type": "BUY", "product": "I"}
    assert venue.exchange.margin({"instruments": [leg, leg]}, venue.now).code == "UDAPI1103"
    assert venue.exchange.margin({"instruments": [leg] * 21}, venue.now).code == "UDAPI1102"
    assert venue.exchange.margin({}, venue.now).code == "UDAPI1099"


def test_brokerage(venue):
    query = {
        "instrument_token": CALL.upstox_key,
        "quantity": "65",
        "product": "I",
        "transaction_type": "SELL",
        "price": "100",
    }
    charges = venue.exchange.brokerage(query, venue.now).body["data"]["charges"]
    expected = ChargeSchedule().charges("OPT", "NSE", Side.SELL, 65, 100.0, DAY)
    assert charges["total"] == expected.total / 100
    assert charges["taxes"] == {"gst": expected.gst / 100, "stt": 9.75, "stamp_duty": 0.0}
    assert charges["otherTaxes"] == charges["other_charges"]
    assert charges["dpPlan"] == charges["dp_plan"]
    for name, code in [("quantity", "1061"), ("product", "1062"), ("transaction_type", "1063"), ("price", "1064")]:
        assert venue.exchange.brokerage({**query, name: ""}, venue.now).code == f"UDAPI{code}"
    assert venue.exchange.brokerage({**query, "quantity": "x"}, venue.now).code == "UDAPI100036"


def test_futures_pay_their_difference(venue):
    venue.quote(FUTURE, bid=25_000.0, ask=25_000.0, last=25_000.0)
    fill(venue, FUTURE, price=25_000.0)
    used = venue.exchange.funds(venue.now).body["data"]["equity"]
    assert used["used_margin"] == pytest.approx(195_000.0)
    venue.quote(FUTURE, last=25_100.0)
    more = venue.exchange.funds(venue.now).body["data"]["equity"]
    assert more["available_margin"] - used["available_margin"] == pytest.approx(6500.0)
    fill(venue, FUTURE, side="SELL", price=25_100.0)
    books = venue.audited()
    assert books.cash == 100_000_000 + 650_000 - books.charges


def test_square_off(venue):
    fill(venue, price=100.0)
    fill(venue, PUT, side="SELL", quantity=130, price=50.0)
    fill(venue, CALL, product="D", price=100.0)
    waiting = venue.place(transaction_type="SELL", price=120.0)
    venue.until("15:19:59")
    assert venue.exchange.books.net() == {CALL.id: 130, PUT.id: -130}
    venue.until("15:21")
    assert venue.order(waiting).status == "cancelled"
    assert venue.exchange.books.net() == {CALL.id: 65}
    assert [row["quantity"] for row in positions(venue) if row["product"] == "D"] == [65]
    venue.audited()


def test_square_off_goes_on_until_it_is_done(venue):
    fill(venue, price=100.0)
    venue.quote(bid=0, bid_qty=0, ask=0, ask_qty=0, last=100.0)
    venue.until("15:25")
    assert venue.exchange.books.net() == {CALL.id: 65}
    venue.quote(bid=60.0, ask=60.1, last=60.05)
    venue.run(90_000)
    assert venue.exchange.books.net() == {}
    venue.audited()


def test_what_is_opened_after_the_square_off_is_closed_too(venue):
    venue.until("15:30:01")
    fill(venue, price=100.0)
    assert venue.exchange.books.net() == {CALL.id: 65}
    venue.run(31_000)
    assert venue.exchange.books.net() == {}
    assert len(venue.rows()) == 2


def test_the_close_ends_orders(make_venue):
    venue = make_venue(day={"square_off": ""})
    order = venue.place(price=99.0)
    stop = venue.place(order_type="SL", trigger_price=110.0, price=111.0)
    venue.until("15:39:59")
    assert venue.order(order).status == "open"
    venue.until("15:41")
    assert [venue.order(one).status for one in (order, stop)] == ["cancelled", "cancelled"]
    assert venue.rows()[0]["status_message"]
    venue.audited()


def test_expiry_settles_against_the_index():
    venue = Venue(day=EXPIRY, at="15:00")
    fill(venue, CALL, product="D", price=100.0)
    fill(venue, PUT, side="SELL", product="D", price=50.0)
    before = venue.exchange.books.cash
    venue.quote(INDEX, last=25_120.5)
    venue.until("15:50", day=EXPIRY)
    books = venue.audited()
    assert books.net() == {}
    tax = ChargeSchedule().exercise("NSE", 65, 120.5, EXPIRY).total
    assert books.cash == before + 65 * 12_050 - tax
    settled = books.executions()[-2:]
    assert [(one.kind, one.price, one.side) for one in settled] == [
        ("SETTLEMENT", 12_050, "SELL"),
        ("SETTLEMENT", 0, "BUY"),
    ]


def test_short_call_in_the_money_pays():
    venue = Venue(day=EXPIRY, at="15:00")
    fill(venue, CALL, side="SELL", product="D", price=100.0)
    before = venue.exchange.books.cash
    venue.quote(INDEX, last=25_200.0)
    venue.until("16:00", day=EXPIRY)
    assert venue.audited().cash == before - 65 * 20_000


def test_the_next_morning(venue):
    fill(venue, price=100.0, product="D")
    fill(venue, side="SELL", price=110.0, product="I")
    fill(venue, side="BUY", price=109.0, product="I")
    venue.quote(last=108.0)
    venue.until("05:29:59", day=DAY + ONE_DAY)
    assert len(venue.rows()) == 3
    cash = venue.exchange.books.cash
    venue.until("05:30", day=DAY + ONE_DAY)
    assert venue.rows() == []
    assert venue.exchange.trades(venue.now).body["data"] == []
    (row,) = positions(venue)
    assert (row["product"], row["quantity"], row["overnight_quantity"], row["overnight_buy_amount"]) == (
        "D",
        65,
        65,
        6500.0,
    )
    assert (row["close_price"], row["average_price"], row["day_buy_quantity"]) == (108.0, 100.0, 0)
    books = venue.audited()
    assert books.cash == cash
    assert len(books.executions()) == 3
    data = venue.exchange.funds(venue.now, version=3).body["data"]["available_to_trade"]
    assert data["cash_available_to_trade"]["cash"]["opening_balance"] == cash / 100


def test_days_pass_in_one_step(venue):
    fill(venue, price=100.0, product="D")
    venue.until("10:00", day=dt.date(2026, 12, 10))
    assert venue.audited().net() == {}  # expired meanwhile


def test_contracts_of_another_day(venue):
    fill(venue, price=100.0, product="D")
    other = option(25_100.0, Right.CE, "60000", dt.date(2026, 12, 1))
    venue.exchange.relist(InstrumentTable([INDEX, other]), venue.now)
    assert venue.send(CALL).code == "UDAPI100011"
    venue.quote(other)
    assert venue.order(venue.place(other, price=100.05)).status == "complete"
    assert venue.audited().net() == {CALL.id: 65, other.id: 65}
