"""What is asked of the broker and what each answer proves: the real SDK against a server that misbehaves."""

import json
import math

import pytest
from link_broker import (
    BOOK,
    CANCEL,
    FUNDS_2,
    FUNDS_3,
    HISTORY,
    KEY,
    MODIFY,
    OPTION,
    PLACE,
    POSITIONS,
    TABLE,
    TRADES,
    answerer_of,
    client_of,
    dead_port,
    order_row,
    orders_of,
    place,
)
from link_server import HTML, BrokerServer, Reply, data, error

from sos_actors.messages import (
    FundsRead,
    OrdersRead,
    OrderType,
    Outcome,
    PositionsRead,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    SendCancel,
    SendModify,
    Side,
    TradesRead,
)
from sos_actors.upstox.account import KillSwitch, OrderLeg, StaticAddresses, UpstoxAccount
from sos_actors.upstox.answers import Answerer
from sos_actors.upstox.errors import BrokerError, RateLimitedError, UnreadableAnswerError
from sos_actors.upstox.history import CandleHistory
from sos_actors.upstox.limits import RateSettings

MODIFIED = SendModify("r2", "77", 65, OrderType.LIMIT, price=99.0)
CANCELLED = SendCancel("r3", "77")
TODAYS = ("GET", "/v3/historical-candle/intraday/INDEX/minutes/1")


@pytest.fixture
def server():
    with BrokerServer() as made:
        yield made


# --- what goes out --------------------------------------------------------------------------------------------


AT_MARKET = {"order_type": "MARKET", "price": 0.0, "market_protection": -1}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"order_type": OrderType.MARKET, "price": math.nan}, AT_MARKET),
        ({"order_type": OrderType.MARKET, "protection": 2.5}, AT_MARKET | {"market_protection": 2.5}),
        ({"order_type": OrderType.MARKET, "protection": 0.0}, AT_MARKET),
        ({"order_type": OrderType.MARKET, "protection": math.nan}, AT_MARKET),
        ({"order_type": OrderType.STOP, "price": math.nan, "trigger": 90.0, "side": Side.SELL},
         AT_MARKET | {"order_type": "SL-M", "trigger_price": 90.0, "transaction_type": "SELL"}),
        ({"order_type": OrderType.STOP, "price": 88.0, "trigger": 90.0, "protection": 5.0},
         {"order_type": "SL", "price": 88.0, "trigger_price": 90.0}),
        ({"slice": True, "quantity": 3900, "product": "D", "validity": "IOC"},
         {"slice": True, "quantity": 3900, "product": "D", "validity": "IOC"}),
    ],
)  # fmt: skip
def test_a_placing_request(server, changes, expected):
    server.replies[PLACE] = data({"order_ids": ["1"]})
    assert orders_of(client_of(server.url)).place(place(**changes), KEY) == ("1",)
    (hit,) = server.hits
    plain = {
        "quantity": 65, "product": "I", "validity": "DAY", "tag": "sos-1", "slice": False, "instrument_token": KEY,
        "transaction_type": "BUY", "disclosed_quantity": 0, "is_amo": False, "order_type": "LIMIT", "price": 100.05,
        "trigger_price": 0.0, "market_protection": 0,
    }  # fmt: skip
    assert hit.body == plain | expected


def test_a_change_and_a_cancel(server):
    server.replies[MODIFY] = server.replies[CANCEL] = data({"order_id": "77"})
    orders = orders_of(client_of(server.url, algo_name="Sos"))
    orders.modify(SendModify("r", "77", 130, OrderType.STOP, trigger=91.5))
    orders.cancel(CANCELLED)
    change, cancel = server.hits
    assert change.body == {
        "quantity": 130, "validity": "DAY", "price": 0.0, "order_id": "77", "order_type": "SL-M",
        "disclosed_quantity": 0, "trigger_price": 91.5, "market_protection": -1,
    }  # fmt: skip
    assert cancel.query == {"order_id": "77"}
    assert [hit.headers["X-Algo-Name"] for hit in server.hits] == ["Sos", "Sos"]


# --- what an answer proves ------------------------------------------------------------------------------------

GOOD_PLACE, GOOD = data({"order_ids": ["1", "2", "1"]}), data({"order_id": "77"})
OF_EVERY = [
    (error(401, "UDAPI100050"), Outcome.REJECTED, "UDAPI100050"),
    (Reply(401, HTML), Outcome.REJECTED, "UDAPI100050"),
    (error(403, "UDAPI1179"), Outcome.REJECTED, "UDAPI1179"),
    (error(403, "UDAPI9999999"), Outcome.REJECTED, "UDAPI9999999"),
    (Reply(403, HTML), Outcome.UNKNOWN, ""),
    (error(423, "UDAPI100500"), Outcome.REJECTED, "UDAPI100500"),
    (error(423, "UDAPI100074", casing="camel"), Outcome.REJECTED, "UDAPI100074"),
    (error(400, "UDAPI1026", casing="snake"), Outcome.REJECTED, "UDAPI1026"),
    (Reply(400, b""), Outcome.UNKNOWN, ""),
    (error(500, "UDAPI100500"), Outcome.UNKNOWN, "UDAPI100500"),
    (Reply(502, HTML), Outcome.UNKNOWN, ""),
    (Reply(503, b""), Outcome.UNKNOWN, ""),
    (Reply(302, b"", (("Location", "/elsewhere"),)), Outcome.UNKNOWN, ""),
    (Reply(200, HTML), Outcome.UNKNOWN, ""),
    (Reply(200, b""), Outcome.UNKNOWN, ""),
    (Reply(200, b'{"status":"success"}'), Outcome.UNKNOWN, ""),
    (Reply(200, b'{"status":"success","data":[]}'), Outcome.UNKNOWN, ""),
    (Reply(200, b'{"status":"error","errors":[{"error_code":"UDAPI1026"}]}'), Outcome.UNKNOWN, ""),
    (Reply(cut="at once"), Outcome.UNKNOWN, ""),
    (Reply(body=b'{"status":"success","data":{"order_ids":["1"]}}', cut="half"), Outcome.UNKNOWN, ""),
]
CASES = [
    *((kind, *case) for kind in (PLACE, MODIFY, CANCEL) for case in OF_EVERY),
    (PLACE, GOOD_PLACE, Outcome.CONFIRMED, ""),
    (PLACE, GOOD, Outcome.CONFIRMED, ""),
    (PLACE, GOOD_PLACE._replace(status=207), Outcome.CONFIRMED, ""),
    (PLACE, data({"order_ids": []}), Outcome.UNKNOWN, ""),
    (PLACE, data({"order_ids": ["1", None]}), Outcome.UNKNOWN, ""),
    (PLACE, data({"order_ids": 7}), Outcome.UNKNOWN, ""),
    (PLACE, error(400, "UDAPI1118"), Outcome.REJECTED, "UDAPI1118"),
    (MODIFY, GOOD, Outcome.CONFIRMED, ""),
    (MODIFY, error(400, "UDAPI100041"), Outcome.REJECTED, "UDAPI100041"),
    (CANCEL, GOOD, Outcome.CONFIRMED, ""),
    (CANCEL, error(400, "UDAPI100040"), Outcome.REJECTED, "UDAPI100040"),
    (CANCEL, error(404, "UDAPI100010"), Outcome.REJECTED, "UDAPI100010"),
]
COMMANDS = {PLACE: place(), MODIFY: MODIFIED, CANCEL: CANCELLED}


@pytest.mark.parametrize(("kind", "reply", "outcome", "code"), CASES)
def test_what_each_answer_proves(server, kind, reply, outcome, code):
    server.replies[kind] = reply
    answer = answerer_of(client_of(server.url)).command(COMMANDS[kind])
    assert (answer.outcome, answer.code) == (outcome, code)
    assert (answer.request_id, answer.ts) == (COMMANDS[kind].request_id, 77)
    assert len(server.hits) == 1
    assert bool(answer.detail) == (outcome is not Outcome.CONFIRMED)
    assert "\n" not in answer.detail
    assert bool(answer.broker_ids) == (outcome is Outcome.CONFIRMED)


def test_the_ids_of_an_order_that_was_cut(server):
    server.replies[PLACE] = GOOD_PLACE
    assert answerer_of(client_of(server.url)).command(place(slice=True)).broker_ids == ("1", "2")


@pytest.mark.parametrize("command", COMMANDS.values())
def test_a_refused_connection_is_a_command_that_never_left(command):
    answer = answerer_of(client_of(f"http://127.0.0.1:{dead_port()}")).command(command)
    assert (answer.outcome, answer.code) == (Outcome.REFUSED, "")


@pytest.mark.parametrize("command", COMMANDS.values())
def test_without_a_token_or_room_nothing_leaves(server, command):
    answer = answerer_of(client_of(server.url, token="")).command(command)
    assert (answer.outcome, answer.code) == (Outcome.REFUSED, "UDAPI100050")
    server.replies |= {PLACE: GOOD_PLACE, MODIFY: GOOD, CANCEL: GOOD}
    answerer = answerer_of(client_of(server.url, rates=RateSettings(order=(1, 500, 2000), share=1.0)))
    assert answerer.command(command).outcome is Outcome.CONFIRMED
    second = answerer.command(command)
    assert second.outcome is Outcome.REFUSED
    assert 0 < second.retry_after_s <= 1
    assert len(server.hits) == 1


def test_a_429_is_a_rejection_that_says_when_to_come_again(server):
    server.replies[PLACE] = error(429, "UDAPI10005")
    answer = answerer_of(client_of(server.url)).command(place())
    assert (answer.outcome, answer.code) == (Outcome.REJECTED, "UDAPI10005")
    assert answer.retry_after_s > 0


def test_an_instrument_of_another_day_is_never_sent(server):
    answer = answerer_of(client_of(server.url)).command(place(instrument="NSE|OPT|NIFTY|2020-01-02|1|CE"))
    assert answer.outcome is Outcome.REFUSED
    assert "instrument file" in answer.detail
    assert server.hits == []


def test_a_mistake_of_ours_proves_nothing():
    class Broken:
        def __getattr__(self, name):
            raise KeyError(name)

    answerer = Answerer(Broken(), Broken(), lambda: TABLE, lambda: 5)
    for command in COMMANDS.values():
        assert answerer.command(command).outcome is Outcome.UNKNOWN
    for read, kind in ((ReadOrders("r"), OrdersRead), (ReadTrades("r"), TradesRead),
                       (ReadPositions("r"), PositionsRead), (ReadFunds("r"), FundsRead)):  # fmt: skip
        answer = answerer.read(read)
        assert (type(answer), answer.ok, answer.request_id) == (kind, False, "r")


# --- reads ------------------------------------------------------------------------------------------------------


def test_one_odd_row_does_not_lose_the_book(server):
    rows = [order_row(order_id="1"), order_row(order_id="2", validity="GTD", order_type="ICEBERG", product="X",
            transaction_type="SHORT", status="frozen")]  # fmt: skip
    server.replies[BOOK] = data(rows)
    answer = answerer_of(client_of(server.url)).read(ReadOrders("r"))
    assert answer.ok
    assert [(order.broker_id, order.status, order.ended) for order in answer.orders] == [
        ("1", "open", False), ("2", "frozen", False),
    ]  # fmt: skip


def test_the_orders_of_a_tag(server):
    server.replies[HISTORY] = data([order_row(status="open"), order_row(status="complete", filled_quantity=65)])
    answer = answerer_of(client_of(server.url)).read(ReadOrders("r", "sos-1"))
    assert server.hits[0].query == {"tag": "sos-1"}
    assert (answer.ok, answer.tag, [order.status for order in answer.orders]) == (True, "sos-1", ["complete"])


@pytest.mark.parametrize(
    ("reply", "ok"),
    [
        (error(404, "UDAPI100010"), True), (data([]), True), (data(None), True), (Reply(200, b"[]"), True),
        (error(404, "UDAPI100060"), False), (Reply(404, HTML), False), (Reply(500, HTML), False),
        (Reply(200, HTML), False), (error(401, "UDAPI100050"), False), (Reply(cut="at once"), False),
        (data([{"tag": "sos-1"}]), False),
    ],
)  # fmt: skip
def test_only_a_sound_answer_says_that_a_tag_has_no_order(server, reply, ok):
    server.replies[HISTORY] = reply
    answer = answerer_of(client_of(server.url)).read(ReadOrders("r", "sos-1"))
    assert (answer.ok, answer.orders, answer.tag) == (ok, (), "sos-1")
    assert bool(answer.detail) != ok


@pytest.mark.parametrize(("read", "kind"), [(ReadOrders("r"), BOOK), (ReadTrades("r"), TRADES),
                                            (ReadPositions("r"), POSITIONS), (ReadFunds("r"), FUNDS_3)])  # fmt: skip
@pytest.mark.parametrize("reply", [Reply(500, HTML), Reply(403, HTML), Reply(cut="at once"), error(429, "UDAPI10005")])
def test_a_read_that_failed_says_so_and_is_asked_once(server, read, kind, reply):
    server.replies[kind] = reply
    answer = answerer_of(client_of(server.url)).read(read)
    assert (answer.ok, answer.request_id) == (False, "r")
    assert len(server.hits) == 1


def test_trades_and_positions(server):
    server.replies[TRADES] = Reply(200, json.dumps([{"trade_id": "5", "order_id": "1", "instrument_token": KEY,
        "transaction_type": "BUY", "quantity": 65, "average_price": 100, "order_timestamp": "03-Aug-2026 15:03:42"}]
    ).encode())  # fmt: skip
    server.replies[POSITIONS] = data([{"instrument_token": KEY, "quantity": 65, "product": "I"}])
    answerer = answerer_of(client_of(server.url))
    trades, held = answerer.read(ReadTrades("t")), answerer.read(ReadPositions("p"))
    assert (trades.ok, trades.trades[0].trade_id, trades.trades[0].price) == (True, "5", 100.0)
    assert (held.ok, held.positions[0].instrument, held.positions[0].quantity) == (True, OPTION, 65)


V3 = {"available_to_trade": {"total": 900.0, "cash_available_to_trade": {"total": 700.0, "margin_used": {"total": 50}}}}
V2 = {"equity": {"available_margin": 600.0, "used_margin": 40.0}}


@pytest.mark.parametrize(
    ("third", "second", "expected"),
    [
        (data(V3), None, (700.0, 50.0)),
        (data({"available_to_trade": {"total": 900.0}}), None, (900.0, math.nan)),
        (error(404, "UDAPI100060"), data(V2), (600.0, 40.0)),
        (error(400, "UDAPI10000"), data(V2), (600.0, 40.0)),
        (data({"something": "else"}), data(V2), (600.0, 40.0)),
    ],
)
def test_free_money_by_the_newer_interface_or_the_older(server, third, second, expected):
    server.replies[FUNDS_3] = third
    if second is not None:
        server.replies[FUNDS_2] = second
    answer = answerer_of(client_of(server.url)).read(ReadFunds("f"))
    assert answer.ok
    assert str((answer.available, answer.used)) == str(expected)
    assert len(server.asked(*FUNDS_2)) == (second is not None)


def test_money_that_is_not_told_is_not_guessed(server):
    server.replies[FUNDS_3] = server.replies[FUNDS_2] = data({"equity": {"available_margin": None}})
    answer = answerer_of(client_of(server.url)).read(ReadFunds("f"))
    assert not answer.ok
    assert math.isnan(answer.available)


def test_the_rest_of_the_account(server):
    server.replies |= {
        ("GET", "/v2/user/profile"): data(
            {"user_id": "AB1234", "user_name": "X", "exchanges": ["NFO"], "is_active": True}
        ),
        ("GET", "/v2/user/kill-switch"): data([{"segment": "NSE_FO", "kill_switch_enabled": False}]),
        ("GET", "/v2/user/ip"): data({"user_id": "AB1234", "primary_ip": "203.0.113.7", "secondary_ip": None}),
        ("POST", "/v2/charges/margin"): data({"margins": [{}], "required_margin": 7000, "final_margin": 6500.0}),
        ("GET", "/v2/charges/brokerage"): data({"charges": {"total": 57.3, "brokerage": 20}}),
        ("GET", "/v2/order/details"): data(order_row(status="complete")),
    }  # fmt: skip
    account = UpstoxAccount(client_of(server.url), lambda: TABLE, patience_s=0.0)
    leg = OrderLeg(KEY, Side.BUY, 65, "I", 100.0)
    assert account.profile() == ("AB1234", "X", ("NFO",), True)
    assert account.kill_switch() == (KillSwitch("NSE_FO", on=False),)
    assert account.static_addresses() == StaticAddresses("203.0.113.7", "")
    assert (account.margin([leg]), account.charges(leg)) == (6500.0, 57.3)
    assert account.order("261120025562880").ended
    margin = server.asked("POST", "/v2/charges/margin")[0].body["instruments"][0]
    assert (margin["instrument_key"], margin["transaction_type"], margin["quantity"]) == (KEY, "BUY", 65)
    charges = server.asked("GET", "/v2/charges/brokerage")[0].query
    assert (charges["instrument_token"], charges["price"]) == (KEY, "100.0")


@pytest.mark.parametrize("body", [b"[]", b'{"data":null}', b'{"data":{}}', b"<html>"])
def test_account_answers_without_what_was_asked_for(server, body):
    for path in ("/v2/user/profile", "/v2/charges/brokerage", "/v2/order/details"):
        server.replies["GET", path] = Reply(200, body)
    server.replies["POST", "/v2/charges/margin"] = Reply(200, body)
    account = UpstoxAccount(client_of(server.url), lambda: TABLE, patience_s=0.0)
    leg = OrderLeg(KEY, Side.BUY, 65, "I", 100.0)
    for read in (
        account.profile,
        lambda: account.charges(leg),
        lambda: account.margin([leg]),
        lambda: account.order("1"),
    ):
        with pytest.raises(UnreadableAnswerError):
            read()


def test_a_dead_token_is_not_asked_about_twice(server):
    server.replies[FUNDS_3] = error(401, "UDAPI100050")
    account = UpstoxAccount(client_of(server.url), lambda: TABLE, patience_s=0.0)
    with pytest.raises(BrokerError):
        account.funds()
    assert len(server.hits) == 1


def test_books_are_read_though_history_has_used_its_share(server):
    server.replies |= {BOOK: data([]), TODAYS: data({"candles": []})}
    client = client_of(server.url, rates=RateSettings(standard=(4, 500, 2000), share=1.0, exit_reserve=0.5))
    history = CandleHistory(client, patience_s=0.0)
    for _ in range(2):
        assert history.today("INDEX") == []
    with pytest.raises(RateLimitedError):
        history.today("INDEX")
    assert UpstoxAccount(client, lambda: TABLE, patience_s=0.0).order_book() == ()
