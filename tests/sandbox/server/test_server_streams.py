"""The market feed, read by the SDK's streamers and by a bare socket."""

from __future__ import annotations

import datetime as dt
import json
import time

import pytest
import upstox_client
import websocket
from server_desk import PATIENCE, wait_until
from upstox_client.feeder.proto import MarketDataFeedV3_pb2 as pb

from sos_actors.market.clocktime import MINUTE_NS, ist_ns
from sos_actors.sandbox.live_market import LiveMarket
from sos_actors.sandbox.market import SimulatedMarket
from sos_actors.sandbox.server.settings import AppSettings
from sos_actors.sandbox.tape import SimulatedTape

INDEX = "NSE_INDEX|Nifty 50"
OPTION = "NIFTY 29950 CE 23 NOV 26"
DAY = dt.date(2026, 11, 20)
FEED = "/v3/feed/market-data-feed"


def feeds(seen, key):
    """Every record of an instrument that came, oldest first."""
    return [message["feeds"][key] for message in list(seen.messages) if key in message.get("feeds", {})]


def connect(desk, path=FEED, token=None):
    """A bare socket to a public address, redirect and all."""
    token = desk.api.configuration.access_token if token is None else token
    return websocket.create_connection(
        desk.sandbox.feed_base + path, header={"Authorization": f"Bearer {token}"}, timeout=PATIENCE
    )


def ask(ws, method, keys, mode=None, *, binary=True):
    data = {"instrumentKeys": keys, **({"mode": mode} if mode else {})}
    raw = json.dumps({"guid": "g", "method": method, "data": data}).encode()
    ws.send(raw, opcode=websocket.ABNF.OPCODE_BINARY if binary else websocket.ABNF.OPCODE_TEXT)


def read(ws):
    """The next protobuf frame."""
    return pb.FeedResponse.FromString(ws.recv())


def read_with(ws, key):
    """The next frame with a record of `key`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        frame = read(ws)
        if key in frame.feeds:
            return frame
    raise AssertionError(f"nothing of {key}")


# === the market feed ============================================================================================


def test_the_market_then_a_snapshot_then_ticks(open_desk):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = desk.feed([key, INDEX])
    wait_until(lambda: len(feeds(seen, key)) > 20, "ticks")
    info, snapshot = seen.messages[:2]
    assert info["type"] == "market_info"
    assert info["marketInfo"]["segmentStatus"]["NSE_FO"] == "NORMAL_OPEN"
    assert "type" not in snapshot  # initial_feed is 0, which protobuf leaves out
    assert set(snapshot["feeds"]) == {key, INDEX}
    assert all(message["type"] == "live_feed" for message in seen.messages[2:])
    assert not seen.errors


def test_every_tick_of_the_market_goes_out_and_no_other(open_desk):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = desk.feed([key])
    wait_until(lambda: len(feeds(seen, key)) > 60, "ticks")
    desk.control("clock", {"speed": 0})
    now = desk.control("state")["now_ns"]
    tape = SimulatedTape(SimulatedMarket(seed=7), DAY, ("NIFTY",), 20.0)
    market = LiveMarket(tape, None, ist_ns(DAY, "10:00"))
    quote = market.quote(key)
    made = [(quote.ltt // 1_000_000, quote.ltp, quote.volume) for _ in market.advance(now)]

    def got():
        fulls = [one["fullFeed"]["marketFF"] for one in feeds(seen, key)[1:]]
        return [(int(full["ltpc"]["ltt"]), full["ltpc"]["ltp"], int(full["vtt"])) for full in fulls]

    wait_until(lambda: got()[-1] == made[-1], "the last tick")
    assert got() == made[-len(got()) :]


def test_a_record_agrees_with_itself_and_with_rest(open_desk):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = desk.feed([key])
    wait_until(lambda: len(feeds(seen, key)) > 5, "ticks")
    desk.control("clock", {"speed": 0})
    time.sleep(0.3)
    full = feeds(seen, key)[-1]["fullFeed"]["marketFF"]
    own = desk.control(f"market/{key.replace('|', '%7C')}", {})
    assert full["ltpc"]["ltp"] == own["ltp"]
    assert int(full["vtt"]) == own["volume"]
    assert full["oi"] == own["oi"]
    best = full["marketLevel"]["bidAskQuote"][0]
    assert (best["bidP"], best["askP"]) == (own["bid"], own["ask"])
    assert len(full["marketLevel"]["bidAskQuote"]) == 5
    day, minute = full["marketOHLC"]["ohlc"]
    assert (day["interval"], minute["interval"]) == ("1d", "I1")
    assert (day["high"], day["low"]) == (own["high"], own["low"])
    assert int(minute["ts"]) * 1_000_000 % MINUTE_NS == 0
    assert own["ltt"] - int(minute["ts"]) * 1_000_000 < 2 * MINUTE_NS + MINUTE_NS
    rest = next(iter(upstox_client.MarketQuoteV3Api(desk.api).get_ltp(instrument_key=key).data.values()))
    assert (rest.last_price, rest.volume, rest.cp) == (own["ltp"], own["volume"], full["ltpc"]["cp"])


def test_modes(desk):
    key = desk.key(OPTION)
    ws = connect(desk)
    assert read(ws).type == pb.Type.market_info
    for mode, number in (("ltpc", 0), ("full", 1), ("option_greeks", 2), ("full_d30", 3)):
        ask(ws, "sub" if mode == "ltpc" else "change_mode", [key, INDEX], mode)
        frame = read_with(ws, key)
        while frame.type != pb.Type.initial_feed or frame.feeds[key].requestMode != number:
            frame = read_with(ws, key)
        record = frame.feeds[key]
        kind = record.WhichOneof("FeedUnion")
        assert kind == {"ltpc": "ltpc", "option_greeks": "firstLevelWithGreeks"}.get(mode, "fullFeed")
        if kind == "fullFeed":
            assert len(record.fullFeed.marketFF.marketLevel.bidAskQuote) == (30 if mode == "full_d30" else 5)
            assert frame.feeds[INDEX].fullFeed.WhichOneof("FullFeedUnion") == "indexFF"
    ws.close()


def test_text_is_ignored_and_so_are_unknown_keys(desk):
    key = desk.key(OPTION)
    ws = connect(desk)
    assert read(ws).type == pb.Type.market_info
    ask(ws, "sub", [key], "ltpc", binary=False)
    ask(ws, "sub", ["NSE_FO|1", "nonsense"], "ltpc")
    ask(ws, "nonsense", [key], "ltpc")
    ws.send(b"{", opcode=websocket.ABNF.OPCODE_BINARY)
    ask(ws, "sub", [INDEX], "ltpc")
    assert set(read_with(ws, INDEX).feeds) == {INDEX}
    assert desk.control("state")["feeds"][0]["keys"] == 1
    ws.close()


def test_unsubscribed_means_silence(open_desk):
    desk = open_desk(speed=20.0)
    key = desk.key(OPTION)
    seen = desk.feed([key, INDEX])
    wait_until(lambda: len(feeds(seen, key)) > 3, "ticks")
    seen.stream.unsubscribe([key])
    wait_until(lambda: desk.control("state")["feeds"][0]["keys"] == 1, "the unsubscription")
    time.sleep(0.3)
    before, index_before = len(feeds(seen, key)), len(feeds(seen, INDEX))
    wait_until(lambda: len(feeds(seen, INDEX)) > index_before + 5, "ticks of the index")
    assert len(feeds(seen, key)) == before


def test_the_redirect_works_once(desk):
    status, answer = desk.call(FEED + "/authorize")
    assert status == 200
    address = answer["data"]["authorized_redirect_uri"]
    assert address.startswith(f"{desk.sandbox.feed_base}/market-data-feeder/v3/upstox-developer-api/feeds?requestId=")
    ws = websocket.create_connection(address, timeout=PATIENCE)
    assert read(ws).type == pb.Type.market_info
    ws.close()
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket.create_connection(address, timeout=PATIENCE)
    assert caught.value.status_code == 403


def test_a_wrong_token_is_told_by_the_handshake(desk):
    for path in (FEED, "/v2/feed/portfolio-stream-feed?update_types=order"):
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            connect(desk, path, token="wrong.wrong.wrong")
        assert caught.value.status_code == 401


@pytest.mark.parametrize(("plus", "allowed"), [(False, 2), (True, 5)])
def test_connections_of_a_user(open_desk, plus, allowed):
    desk = open_desk(app=AppSettings(plus=plus))
    sockets = [connect(desk) for _ in range(allowed)]
    for ws in sockets:
        assert read(ws).type == pb.Type.market_info
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        connect(desk)
    assert caught.value.status_code == 403
    sockets.pop().close()
    wait_until(lambda: len(desk.control("state")["feeds"]) == allowed - 1, "the connection's end")
    sockets.append(connect(desk))
    for ws in sockets:
        ws.close()


def test_a_change_of_the_session_is_told(open_desk):
    desk = open_desk(start="2026-11-20T08:59:58+05:30", speed=1.0)
    seen = desk.feed([INDEX])
    told = lambda: [m["marketInfo"]["segmentStatus"].get("NSE_FO") for m in seen.messages if "marketInfo" in m]  # noqa: E731
    wait_until(lambda: "PRE_OPEN_START" in told(), "the pre-open")
    desk.control("clock", {"now": "2026-11-20T09:14:59+05:30"})
    wait_until(lambda: "NORMAL_OPEN" in told(), "the open")
    desk.control("clock", {"now": "2026-11-20T15:39:59+05:30"})
    wait_until(lambda: told()[-1] == "NORMAL_CLOSE", "the close")


def test_a_quiet_feed_is_pinged(open_desk):
    desk = open_desk(start="2026-11-20T20:00:00+05:30", ping_s=0.2)
    ws = connect(desk)
    assert read(ws).type == pb.Type.market_info
    opcode, _ = ws.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_PING
    ws.close()


def test_who_does_not_read_is_cut_off(open_desk):
    desk = open_desk(speed=600.0, slow_client_mb=0.05)
    keys = desk.sandbox.call(lambda service: [one.upstox_key for one in service.world.market.table][:200])
    ws = connect(desk)
    ask(ws, "sub", keys, "full")
    wait_until(lambda: desk.control("state")["cut_off"] == 1, "the cut")
    assert desk.control("state")["feeds"] == []
    ws.close()


# === tokens over the day ========================================================================================


def test_tokens_die_at_half_past_three_and_the_streams_with_them(open_desk):
    desk = open_desk(start="2026-11-20T16:00:00+05:30")
    seen = desk.feed([INDEX])
    wait_until(lambda: seen.messages, "the feed")
    assert desk.call("/v2/user/profile")[0] == 200
    desk.control("clock", {"now": "2026-11-21T03:29:59+05:30"})
    wait_until(lambda: desk.call("/v2/user/profile")[0] == 401, "the token's death")
    wait_until(lambda: seen.closed, "the feed's end")
    desk.renew()
    assert desk.call("/v2/user/profile")[0] == 200


def test_a_new_day_begins_by_itself(open_desk):
    desk = open_desk(start="2026-11-20T15:39:00+05:30")
    assert desk.control("state")["day"] == "2026-11-20"
    desk.control("clock", {"now": "2026-11-23T09:20:00+05:30"})
    state = desk.control("state")
    assert state["day"] == "2026-11-23"
    desk.renew()
    status, answer = desk.call("/v3/historical-candle/intraday/NSE_INDEX%7CNifty%2050/minutes/1")
    assert (status, len(answer["data"]["candles"])) == (200, 5)
