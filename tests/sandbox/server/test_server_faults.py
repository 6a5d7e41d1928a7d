"""Every fault of streams and market data does what the menu says, and nothing when it is not armed."""

from __future__ import annotations

import itertools
import json
import time
import urllib.error

import msgspec
import numpy as np
import pytest
import websocket
from server_desk import PATIENCE, wait_until

from sos_actors.errors import InputError
from sos_actors.sandbox.dice import Chance
from sos_actors.sandbox.server.fault_requests import FaultRequest, read_requests
from sos_actors.sandbox.server.feed_faults import FEED_FAULTS, FeedDice, FeedFaultMenu

INDEX = "NSE_INDEX|Nifty 50"
OPTION = "NIFTY 29950 CE 23 NOV 26"


def fulls(seen, key):
    found = [message["feeds"][key] for message in list(seen.messages) if key in message.get("feeds", {})]
    return [one["fullFeed"]["marketFF"] for one in found]


def ticking(desk, key):
    """A feed that has begun to tick."""
    seen = desk.feed([key])
    wait_until(lambda: len(fulls(seen, key)) > 3, "ticks")
    return seen


# === the dice ===================================================================================================


@pytest.mark.parametrize("name", FEED_FAULTS)
def test_an_armed_fault_strikes_so_often_and_no_more(name):
    dice = FeedDice(FeedFaultMenu(), np.random.default_rng(1))
    assert not dice.hit(name)
    dice.arm(name, 2)
    assert [dice.hit(name) for _ in range(4)] == [True, True, False, False]
    assert dice.struck == {name: 2}


def test_a_chance_strikes_as_often_as_it_says_and_the_same_every_time():
    menu = FeedFaultMenu(drop_tick=Chance(probability=0.3))
    runs = [[FeedDice(menu, np.random.default_rng(5)).hit("drop_tick")] for _ in range(2)]
    dice = FeedDice(menu, np.random.default_rng(5))
    hits = sum(dice.hit("drop_tick") for _ in range(2000))
    assert 500 < hits < 700
    assert runs[0] == runs[1]
    assert dice.touches_ticks
    assert not FeedDice(FeedFaultMenu(), np.random.default_rng(5)).touches_ticks


def test_unknown_faults_and_wrong_values_are_told():
    with pytest.raises(InputError, match="fault 'nonsense': known are refuse_stream"):
        FeedDice(FeedFaultMenu(), np.random.default_rng(1)).arm("nonsense")
    with pytest.raises(ValueError, match="outage_s is -1"):
        FeedFaultMenu(outage_s=-1)
    with pytest.raises(InputError, match="unknown field `when`"):
        read_requests(b'{"when": "now"}')


def test_a_file_is_one_request_or_a_list():
    (one,) = read_requests(b'{"arm": {"outage": 1}}')
    assert one == FaultRequest(arm={"outage": 1})
    rows = read_requests(b"- {at: '2026-11-20T10:05:00', set: {outage_s: 20}}\n- {clear: true}\n")
    assert [row.clear for row in rows] == [False, True]


def test_a_wrong_request_changes_nothing(desk):
    for body, words in (
        ({"arm": {"nonsense": 1}}, "unknown"),
        ({"set": {"drop_tick": {"probability": 2}}}, "probability"),
        ({"arm": {"outage_s": 1}}, "unknown"),
        ({"at": "soon"}, "write it like"),
    ):
        status, answer = desk.call("/sandbox/faults", "POST", body)
        assert status == 400
        assert words in answer["errors"][0]["message"]
    menu = desk.control("faults")["menu"]
    assert menu["drop_tick"] == {"probability": 0.0, "count": 0}


# === connections ================================================================================================


def test_refused_stream(desk):
    desk.arm(refuse_stream=1)
    seen = desk.feed([INDEX])
    wait_until(lambda: seen.errors, "the refusal")
    assert "403" in str(seen.errors[0])
    assert not seen.opened


def test_open_then_die(desk):
    desk.arm(open_then_die=1)
    seen = desk.feed([INDEX])
    wait_until(lambda: seen.closed, "the death")
    assert seen.opened
    assert desk.control("faults")["struck"] == {"open_then_die": 1}
    again = desk.feed([INDEX])
    wait_until(lambda: len(again.messages) > 2, "the second connection")


def test_closed_in_good_order(open_desk):
    desk = open_desk(speed=20.0)
    seen = ticking(desk, desk.key(OPTION))
    desk.arm(feed_close=1)
    wait_until(lambda: seen.closed, "the close")
    assert seen.closed[0][0] == 1000


def test_broken_off(open_desk):
    desk = open_desk(speed=20.0)
    seen = ticking(desk, desk.key(OPTION))
    desk.arm(feed_break=1)
    wait_until(lambda: seen.closed, "the break")
    assert seen.closed[0][0] is None


def test_half_open(open_desk):
    desk = open_desk(speed=20.0, ping_s=0.2)
    key = desk.key(OPTION)
    seen = ticking(desk, key)
    desk.control("faults", {"set": {"feed_silence_s": 40.0}, "arm": {"feed_silence": 1}})
    wait_until(lambda: desk.control("faults")["struck"].get("feed_silence"), "the silence")
    time.sleep(0.3)
    before, ticks = len(seen.messages), desk.control("state")["ticks"]
    wait_until(lambda: desk.control("state")["ticks"] > ticks + 30, "the market to go on")
    assert len(seen.messages) <= before
    assert not seen.closed
    wait_until(lambda: len(seen.messages) > before, "the end of the silence")


def test_half_open_answers_no_ping(desk):
    header = {"Authorization": f"Bearer {desk.api.configuration.access_token}"}
    ws = websocket.create_connection(
        desk.sandbox.feed_base + "/v3/feed/market-data-feed", header=header, timeout=PATIENCE
    )
    ws.recv()
    ws.ping(b"here")
    assert ws.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b"here")
    desk.arm(feed_silence=1)
    wait_until(lambda: desk.control("faults")["struck"].get("feed_silence"), "the silence")
    time.sleep(0.2)
    ws.settimeout(0.7)
    ws.ping(b"there")
    with pytest.raises(websocket.WebSocketTimeoutException):
        ws.recv_data(control_frame=True)
    ws.close()


def test_stale_but_alive(open_desk):
    desk = open_desk(speed=20.0, ping_s=0.2)
    key = desk.key(OPTION)
    seen = ticking(desk, key)
    desk.control("faults", {"set": {"feed_stale_s": 40.0}, "arm": {"feed_stale": 1}})
    wait_until(lambda: desk.control("faults")["struck"].get("feed_stale"), "the fault")
    time.sleep(0.3)
    before = len(fulls(seen, key))
    sent = desk.control("state")["ticks"]
    wait_until(lambda: desk.control("state")["ticks"] > sent + 30, "the market to go on")
    assert len(fulls(seen, key)) == before
    wait_until(lambda: len(fulls(seen, key)) > before, "data again")
    assert not seen.closed


@pytest.mark.parametrize(("fault", "code"), [("orders_close", 1000), ("orders_break", None)])
def test_the_portfolio_stream_ends(desk, fault, code):
    seen = desk.order_stream()
    wait_until(lambda: seen.opened, "the stream")
    wait_until(lambda: desk.control("state")["order_streams"], "the stream at the server")
    desk.arm(**{fault: 1})
    wait_until(lambda: seen.closed, "its end")
    assert seen.closed[0][0] == code


def test_a_half_open_portfolio_stream_loses_what_it_would_have_said(open_desk):
    desk = open_desk(speed=20.0)
    seen = desk.order_stream()
    wait_until(lambda: desk.control("state")["order_streams"], "the stream")
    desk.control("faults", {"set": {"orders_silence_s": 40.0}, "arm": {"orders_silence": 1}})
    wait_until(lambda: desk.control("faults")["struck"].get("orders_silence"), "the silence")
    time.sleep(0.2)
    body = {
        "quantity": 65, "product": "I", "validity": "DAY", "price": 0, "tag": "quiet",
        "instrument_token": desk.key(OPTION), "order_type": "MARKET", "transaction_type": "BUY",
        "disclosed_quantity": 0, "trigger_price": 0, "is_amo": False, "market_protection": -1,
    }  # fmt: skip
    assert desk.call("/v3/order/place", "POST", body)[0] == 200
    wait_until(lambda: desk.books()["positions"], "the fill")
    assert seen.messages == []


# === ticks ======================================================================================================


def test_dropped_ticks(open_desk):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = ticking(desk, key)
    desk.control("faults", {"set": {"drop_tick": {"probability": 1.0}}})
    time.sleep(0.3)
    before, ticks = len(fulls(seen, key)), desk.control("state")["ticks"]
    wait_until(lambda: desk.control("state")["ticks"] > ticks + 30, "the market to go on")
    assert len(fulls(seen, key)) == before
    desk.control("faults", {"clear": True})
    wait_until(lambda: len(fulls(seen, key)) > before, "ticks again")


def test_duplicated_ticks(open_desk):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = ticking(desk, key)
    desk.control("faults", {"set": {"duplicate_tick": {"probability": 1.0}}})
    mark = len(fulls(seen, key))
    wait_until(lambda: len(fulls(seen, key)) > mark + 20, "ticks")
    volumes = [int(full["vtt"]) for full in fulls(seen, key)[mark + 4 :]]
    pairs = sum(a == b for a, b in itertools.pairwise(volumes))
    assert pairs >= len(volumes) // 2 - 1


def test_late_ticks_come_behind_newer_ones(open_desk):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = ticking(desk, key)
    desk.control("faults", {"set": {"late_tick": {"probability": 0.3}, "late_tick_s": 20.0}})

    def backwards():
        volumes = [int(full["vtt"]) for full in fulls(seen, key)]
        return any(b < a for a, b in itertools.pairwise(volumes))

    wait_until(backwards, "a tick behind newer ones")


@pytest.mark.parametrize("fault", ["crossed_quote", "zero_quote"])
def test_strange_quotes(open_desk, fault):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = ticking(desk, key)
    desk.control("faults", {"set": {fault: {"probability": 1.0}}})

    def strange():
        levels = fulls(seen, key)[-1].get("marketLevel", {}).get("bidAskQuote", [])
        return not levels if fault == "zero_quote" else levels and levels[0]["bidP"] > levels[0]["askP"]

    wait_until(strange, fault)
    own = desk.control(f"market/{key.replace('|', '%7C')}", {})
    assert 0 < own["bid"] < own["ask"]  # the market itself is sound


# === the house ==================================================================================================


def test_an_outage_breaks_everything_and_passes(open_desk):
    desk = open_desk(speed=20.0)
    seen = ticking(desk, desk.key(OPTION))
    desk.control("faults", {"set": {"outage_s": 20.0}, "arm": {"outage": 1}})
    wait_until(lambda: seen.closed, "the feed's end")

    def refused():
        try:
            desk.call("/sandbox/state")
        except (urllib.error.URLError, ConnectionError):
            return True
        return False

    wait_until(refused, "a refused connection")
    wait_until(lambda: not refused(), "the end of the outage")
    assert desk.control("faults")["struck"] == {"outage": 1}


def test_tokens_die_now(desk):
    seen = desk.feed([INDEX])
    wait_until(lambda: seen.messages, "the feed")
    desk.arm(token_death=1)
    wait_until(lambda: desk.call("/v2/user/profile")[0] == 401, "the token's death")
    wait_until(lambda: seen.closed, "the feed's end")
    desk.renew()
    assert desk.call("/v2/user/profile")[0] == 200


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("too_many", 429, "UDAPI10005"),
        ("server_error", 500, "UDAPI100500"),
        ("bad_gateway", 502, "<html"),
        ("forbidden", 403, "<html"),
    ],
)
def test_requests_go_wrong(desk, fault, status, words):
    desk.arm(**{fault: 1})
    got, answer = desk.call("/v2/user/profile")
    assert got == status
    assert words in json.dumps(answer)
    assert desk.call("/v2/user/profile")[0] == 200


def test_market_reads_go_wrong_too(desk):
    desk.arm(bad_gateway=1)
    assert desk.call("/v2/option/contract?instrument_key=NSE_INDEX%7CNifty+50")[0] == 502


def test_faults_come_at_their_time(open_desk):
    desk = open_desk(start="2026-11-20T10:00:00+05:30", speed=1.0)
    desk.control("faults", {"at": "2026-11-20T10:30:00+05:30", "arm": {"forbidden": 1}})
    assert len(desk.control("faults")["waiting"]) == 1
    assert desk.call("/v2/user/profile")[0] == 200
    desk.control("clock", {"now": "2026-11-20T10:30:00+05:30"})
    wait_until(lambda: not desk.control("faults")["waiting"], "its time")
    assert desk.call("/v2/user/profile")[0] == 403


def test_the_settings_menus_are_the_ones_in_force(open_desk):
    desk = open_desk(feed_faults=FeedFaultMenu(drop_tick=Chance(probability=0.5)))
    menu = desk.control("faults")["menu"]
    assert menu["drop_tick"]["probability"] == 0.5
    assert set(msgspec.structs.asdict(FeedFaultMenu())) <= set(menu)
