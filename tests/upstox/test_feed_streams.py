"""Streams against a real server with the real SDK: what comes through, and every way a connection can end."""

import itertools
import json
import logging
import threading
import time

import pytest
from feed_clients import EXPIRY, NIFTY, Client, api_client, feed_threads, order_stream, quick, table
from feed_server import CERTIFICATE, FeedServer, snapshot, wait_for

from sos_actors.errors import InputError
from sos_actors.market.ids import index_id, option_id
from sos_actors.messages import Right, SegmentStatusChanged
from sos_actors.upstox import market_connection
from sos_actors.upstox.feed_settings import SDK_BASE, FeedEndpoint, FeedSettings
from sos_actors.upstox.sockets import onward

CALL = option_id("NIFTY", EXPIRY, 25_000.0, Right.CE)
PUT = option_id("NIFTY", EXPIRY, 25_000.0, Right.PE)


@pytest.fixture
def server():
    with FeedServer() as running:
        yield running


def test_what_is_wanted_is_asked_for_and_its_ticks_come(server):
    with Client(server.base) as client:
        wait_for(client.connected)
        assert client.feed.want([NIFTY, CALL, index_id("INDIAVIX")]) == {}
        wait_for(lambda: {NIFTY, CALL, index_id("INDIAVIX")} <= client.heard())
        tick = next(t for t in client.ticks if t.instrument == CALL)
        assert (tick.price, tick.quantity, tick.day_volume, tick.oi) == (100.0, 75, 7_500, 1_500.0)
        assert (tick.bid, tick.ask) == (99.5, 100.5)
        assert tick.ts == 1_795_000_000_000 * 1_000_000
        index = next(t for t in client.ticks if t.instrument == NIFTY)
        assert index.day_volume == -1
        assert index.oi != index.oi
        modes = {r["data"]["mode"]: r["data"]["instrumentKeys"] for r in server.requests}
        assert modes == {
            "ltpc": ["NSE_INDEX|Nifty 50", "NSE_INDEX|India VIX"],
            "full": [client.table.by_id(CALL).upstox_key],
        }
        assert len({r["guid"] for r in server.requests}) == len(server.requests)
        market = next(c for c in client.changes if isinstance(c, SegmentStatusChanged))
        assert dict(market.segments) == {"NSE_FO": "NORMAL_OPEN", "NSE_INDEX": "NORMAL_OPEN"}
        status = client.link()
        assert status["connects"] == 1
        assert status["frames"] >= 3
        assert status["bytes"] > 0
        assert server.handshakes[0][1] == "good"
        assert server.agents == ["sos-actors/test"]


def test_what_is_wanted_no_longer_is_taken_back(server):
    with Client(server.base) as client:
        client.feed.want([NIFTY, CALL, PUT])
        wait_for(lambda: len(client.heard()) == 3)
        client.feed.want([NIFTY, PUT])
        wait_for(lambda: server.asked("unsub"))
        assert server.asked("unsub") == [client.table.by_id(CALL).upstox_key]
        assert "mode" not in next(r for r in server.requests if r["method"] == "unsub")["data"]


@pytest.mark.parametrize("code", [0, 1000, 1001, 1011])
def test_whatever_ends_a_connection_a_new_one_asks_for_everything_again(server, code):
    with Client(server.base) as client:
        client.feed.want([NIFTY, CALL])
        wait_for(lambda: client.heard() == {NIFTY, CALL})
        asked = len(server.asked())
        server.drop(code)
        wait_for(lambda: client.link()["connects"] == 2)
        wait_for(lambda: len(server.asked()) == 2 * asked)
        said = [change.live for change in client.streams()]
        assert said == [True, False, True]
        reason = "closed by the server" if code else "lost"
        assert client.link()["drops"] == {reason: 1}
        assert server.most_open == 1


def test_a_keys_dropped_while_disconnected_is_not_asked_for_again(server):
    with Client(server.base) as client:
        client.feed.want([NIFTY, CALL])
        wait_for(lambda: len(client.heard()) == 2)
        server.forbid = True
        server.drop()
        wait_for(lambda: client.link()["state"] == "waiting")
        client.feed.want([NIFTY, PUT])
        before = len(server.requests)
        server.forbid = False
        key = client.table.by_id(PUT).upstox_key

        def later():
            return [k for r in server.requests[before:] for k in r["data"]["instrumentKeys"]]

        wait_for(lambda: len(later()) >= 2)  # each mode is asked for by itself
        assert sorted(later()) == sorted(["NSE_INDEX|Nifty 50", key])


def test_a_server_that_accepts_and_drops_is_not_hammered(server):
    server.drop_at_open = 0
    with Client(
        server.base, stream=quick(settled_s=5.0, backoff_first_s=0.1, backoff_cap_s=0.8, backoff_jitter=0.0)
    ) as client:
        wait_for(lambda: len(server.handshakes) >= 5)
        times = [at for at, _, _ in server.handshakes[:5]]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        # A slow machine can only make the gaps longer.
        assert all(gap >= wait for gap, wait in zip(gaps, (0.09, 0.19, 0.39, 0.79), strict=True))
        assert client.link()["connects"] >= 4
        server.drop_at_open = None
        wait_for(client.connected)


def test_a_dead_token_is_said_once_and_a_new_one_is_used_at_once(server):
    api = api_client("dead")
    with Client(server.base, api=api) as client:
        wait_for(lambda: client.link()["drops"])
        time.sleep(0.6)  # many times the back-off
        assert [status for _, _, status in server.handshakes] == [401]
        (said,) = client.streams()
        assert not said.live
        assert "log in" in said.detail
        assert "dead" not in json.dumps(client.feed.status())
        api.configuration.access_token = "good"
        wait_for(client.connected)
        assert [token for _, token, _ in server.handshakes] == ["dead", "good"]


def test_a_token_that_dies_in_mid_session(server):
    with Client(server.base) as client:
        client.feed.want([NIFTY])
        wait_for(lambda: client.heard() == {NIFTY})
        server.tokens = {"tomorrow"}
        server.drop(1000)
        wait_for(lambda: client.link()["drops"].get("token refused"))
        client.api.configuration.access_token = "tomorrow"
        client.ticks.clear()
        wait_for(lambda: client.heard() == {NIFTY})


def test_without_a_token_nothing_is_tried(server):
    api = api_client("")
    with Client(server.base, api=api) as client:
        wait_for(lambda: "token" in client.link()["detail"])
        assert server.handshakes == []
        api.configuration.access_token = "good"
        wait_for(client.connected)


def test_403_is_retried_slowly_and_with_advice(server):
    server.forbid = True
    with Client(server.base, stream=quick(backoff_first_s=0.01, forbidden_retry_s=0.4, backoff_jitter=0.0)) as client:
        wait_for(lambda: len(server.handshakes) == 3)
        times = [at for at, _, _ in server.handshakes]
        assert all(later - earlier >= 0.3 for earlier, later in itertools.pairwise(times))
        wait_for(client.streams)
        assert "too many connections" in client.streams()[0].detail
        server.forbid = False
        wait_for(client.connected)


def test_a_half_open_connection_is_noticed_by_its_silence(server):
    server.answers_pings = False
    with Client(server.base, stream=quick(stale_closed_s=0.5)) as client:
        wait_for(lambda: client.link()["drops"].get("silent"))
        wait_for(lambda: client.link()["connects"] >= 2)
        assert server.most_open == 1


def test_a_quiet_market_with_pings_is_no_stall(server):
    server.ping_every = 0.1
    with Client(server.base, stream=quick(stale_closed_s=1.5)) as client:
        wait_for(lambda: client.link()["pings"] >= 25)
        status = client.link()
        assert status["frames"] == 1  # the market's status alone
        assert status["connects"] == 1
        assert status["drops"] == {}


def test_silence_is_judged_more_strictly_while_the_market_is_open(server):
    server.answers_pings = False
    with Client(server.base, stream=quick(stale_open_s=0.4)) as client:
        wait_for(client.connected)
        time.sleep(1.0)
        assert client.link()["drops"] == {}
        client.feed.session(market_open=True)
        wait_for(lambda: client.link()["drops"].get("silent"))


def test_a_server_that_never_pings_by_itself_is_asked_and_kept(server):
    with Client(server.base, stream=quick(stale_closed_s=0.6)) as client:
        wait_for(lambda: client.link()["pings"] >= 8)
        assert client.link()["frames"] == 1  # the market's status alone
        assert (client.link()["connects"], client.link()["drops"]) == (1, {})


def test_an_order_stream_on_which_nothing_happens_is_kept(server):
    heard, changes = [], []
    stream = order_stream(server.base, heard, changes, settings=quick(stale_closed_s=0.6))
    stream.start()
    try:
        wait_for(lambda: stream.status()["pings"] >= 8)
        assert [live for live, _ in changes] == [True]
    finally:
        stream.stop()


def test_an_order_stream_that_was_quiet_and_well_is_back_at_once_however_often_it_was_lost(server):
    server.greets, changes = False, []
    stream = order_stream(server.base, [], changes, settings=quick(stale_closed_s=0.3, backoff_cap_s=8.0))
    stream.start()
    try:
        for lost in range(6):
            before = stream.status()["pings"]
            wait_for(lambda before=before: stream.status()["pings"] >= before + 2)
            server.drop()
            wait_for(lambda lost=lost: sum(not live for live, _ in changes) > lost)
        assert changes[-1][1].endswith("next try in 0.0 s")
    finally:
        stream.stop()


def test_a_frame_nobody_can_read_is_counted_and_the_next_is_read(server):
    with Client(server.base) as client:
        client.feed.want([NIFTY])
        wait_for(lambda: client.heard() == {NIFTY})
        server.send(b"\xff\xff no protobuf")
        server.send("text")
        server.send(snapshot(["NSE_FO|77777"]))
        client.ticks.clear()
        server.send(snapshot(["NSE_INDEX|Nifty 50"], price=101.0))
        wait_for(lambda: client.ticks)
        status = client.link()
        assert status["malformed"] == 2
        assert status["unknown_keys"] == {"NSE_FO|77777": 1}
        assert status["connects"] == 1


def test_a_listener_that_raises_harms_nothing(server):
    with Client(server.base) as client:
        client.feed.want([NIFTY])
        wait_for(lambda: client.heard() == {NIFTY})

        def fail(tick):
            raise RuntimeError("listener")

        client.on_tick = fail
        server.send(snapshot(["NSE_INDEX|Nifty 50"]))
        wait_for(lambda: client.link()["listener_errors"] == 1)
        client.on_tick = client.ticks.append
        client.ticks.clear()
        server.send(snapshot(["NSE_INDEX|Nifty 50"]))
        wait_for(lambda: client.ticks)
        assert client.link()["connects"] == 1


def test_a_slow_listener_loses_nothing_and_is_not_taken_for_a_dead_server(server):
    with Client(server.base, stream=quick(stale_closed_s=0.5)) as client:
        client.feed.want([NIFTY])
        wait_for(lambda: client.heard() == {NIFTY})
        client.ticks.clear()

        def slow(tick):
            time.sleep(1.2 if not client.ticks else 0.01)
            client.ticks.append(tick)

        client.on_tick = slow
        server.ping_every = 0.1
        for n in range(20):
            server.send(snapshot(["NSE_INDEX|Nifty 50"], price=200.0 + n))
        wait_for(lambda: len(client.ticks) == 20)
        assert [tick.price for tick in client.ticks] == [200.0 + n for n in range(20)]
        assert client.link()["slow_listener"] >= 1
        assert client.link()["drops"] == {}


def test_a_connection_can_be_made_anew(server):
    with Client(server.base) as client:
        client.feed.want([NIFTY])
        wait_for(lambda: client.heard() == {NIFTY})
        client.feed.reconnect("it brings nothing")
        wait_for(lambda: client.link()["connects"] == 2)
        assert client.streams()[1].detail.startswith("it brings nothing; next try in")
        wait_for(lambda: len(server.asked()) == 2)
        assert server.most_open == 1


def test_a_request_that_got_lost_is_sent_again(server):
    server.swallow_subs = 1
    with Client(server.base, silent_s=0.3) as client:
        client.feed.want([CALL])
        wait_for(lambda: client.heard() == {CALL})
        assert server.asked().count(client.table.by_id(CALL).upstox_key) == 2


def test_a_request_that_could_not_be_sent_is_sent_later(server, monkeypatch):
    real, failures = market_connection._send, iter([True, True])

    def send(feeder, request):
        if next(failures, False):
            raise Exception("WebSocket is not open.")  # noqa: TRY002 - what the SDK raises
        real(feeder, request)

    monkeypatch.setattr(market_connection, "_send", send)
    with Client(server.base) as client:
        client.feed.want([NIFTY, CALL])
        wait_for(lambda: client.heard() == {NIFTY, CALL})
        assert client.link()["send_errors"] == 2
        assert client.link()["connects"] == 1
        assert len(server.asked()) == 2


def test_keys_that_stay_silent_are_named(server):
    listed = table()
    key = listed.by_id(PUT).upstox_key
    server.deaf_keys = {key}
    with Client(server.base, listed=listed, silent_s=0.2) as client:
        client.feed.want([CALL, PUT])
        wait_for(lambda: client.link()["silent"] == [key])
        assert client.heard() == {CALL}
        wait_for(lambda: client.link()["asked_again"] >= 2)
        server.deaf_keys = set()
        wait_for(lambda: client.link()["silent"] == [])


def test_many_keys_go_in_chunks_and_over_several_connections(server):
    listed = table(strikes=600)  # 4,804 options
    wanted = [item.id for item in listed if item.kind == "OPT"][:3_500]
    with Client(server.base, listed=listed, chunk=500) as client:
        assert client.feed.want([NIFTY, *wanted]) == {}
        wait_for(lambda: len(client.heard()) == 3_501, timeout=40)
        assert len(server.open) == 2
        sizes = [len(r["data"]["instrumentKeys"]) for r in server.requests]
        assert max(sizes) == 500
        assert len(server.asked()) == len(set(server.asked())) == 3_501
        left = client.feed.want([NIFTY, *(item.id for item in listed if item.kind == "OPT")])
        assert left
        assert "follow fewer strikes" in next(iter(left.values()))
        assert NIFTY not in left


def test_a_new_days_table_changes_the_keys(server):
    with Client(server.base) as client:
        client.feed.want([CALL])
        wait_for(lambda: client.heard() == {CALL})
        old = client.table.by_id(CALL).upstox_key
        client.table = table(first_token=500)
        new = client.table.by_id(CALL).upstox_key
        assert client.feed.want([CALL, "NSE|OPT|NIFTY|2026-11-23|1|CE"]) == {
            "NSE|OPT|NIFTY|2026-11-23|1|CE": "not in today's instrument file"
        }
        wait_for(lambda: server.asked()[-1:] == [new])
        assert server.asked("unsub") == [old]


def test_tls_is_verified():
    with FeedServer(tls=True) as server:
        with Client(server.base) as client:
            wait_for(lambda: client.link()["drops"].get("TLS failed"))
            wait_for(client.streams)
            assert server.handshakes == []  # the token never went out
            assert "certificate" in client.streams()[0].detail
        with Client(server.base, ca_file=str(CERTIFICATE)) as client:
            client.feed.want([CALL])
            wait_for(lambda: client.heard() == {CALL})
        with Client(server.base.replace("localhost", "127.0.0.2"), ca_file=str(CERTIFICATE)) as client:
            wait_for(lambda: client.link()["drops"])
            assert client.link()["connects"] == 0


def test_stopping_ends_every_thread(server):
    with Client(server.base) as client:
        wait_for(client.connected)
        assert all(t.daemon for t in threading.enumerate() if t.name in feed_threads())
    wait_for(lambda: not feed_threads())
    wait_for(lambda: not server.open)
    assert client.feed.want([NIFTY]) == {}
    assert not feed_threads()


def test_stopping_while_nobody_answers():
    with Client("ws://127.0.0.1:1") as client:
        wait_for(lambda: client.link()["attempts"] >= 2)
    wait_for(lambda: not feed_threads())


def test_the_portfolio_stream_is_kept_the_same_way(server):
    heard, changes = [], []
    stream = order_stream(server.base, heard, changes)
    stream.start()
    try:
        wait_for(lambda: [live for live, _ in changes] == [True])
        assert server.queries == ["update_types=order%2Cposition"]
        server.send('{"update_type":"order"}')
        wait_for(lambda: '{"update_type":"order"}' in heard)
        server.drop(1000)
        wait_for(lambda: [live for live, _ in changes] == [True, False, True])
    finally:
        assert stream.stop()


def test_addresses():
    path = "/v3/feed/market-data-feed"
    assert FeedEndpoint().url(SDK_BASE + path) == "wss://api.upstox.com" + path
    assert FeedEndpoint("ws://localhost:9000/").url(SDK_BASE + path) == "ws://localhost:9000" + path
    with pytest.raises(InputError, match="ws://HOST:PORT"):
        FeedEndpoint("http://localhost")


@pytest.mark.parametrize(
    "wrong",
    [
        {"option_mode": "full_d30"},
        {"index_mode": "option_greeks"},
        {"connections": 3},
        {"chunk": 0},
        {"future_mode": "x"},
    ],
)
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="feed"):
        FeedSettings(**wrong)


@pytest.mark.parametrize("shape", ["", "//localhost:{port}", "http://localhost:{port}"])
def test_a_redirect_the_library_refuses_is_followed(server, shape):
    server.onward = shape.format(port=server.port)
    with Client(server.base) as client:
        client.feed.want([NIFTY])
        wait_for(lambda: client.heard() == {NIFTY})
        assert client.link()["connects"] == 1
        assert [status for _, _, status in server.handshakes] == [302]
        assert [change.live for change in client.streams()] == [True]


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("wss://a/v3/feed", "/feeds?code=c", "wss://a/feeds?code=c"),
        ("wss://a/v3/feed", "feeds?code=c", "wss://a/v3/feeds?code=c"),
        ("wss://a/v3/feed", "//b:8/feeds", "wss://b:8/feeds"),
        ("wss://a/v3/feed", "https://b/feeds", "wss://b/feeds"),
        ("wss://a/v3/feed", "http://b/feeds", ""),
        ("wss://a/v3/feed", "wss://b/feeds", ""),
        ("wss://a/v3/feed", "ftp://b/feeds", ""),
        ("wss://a/v3/feed", "", ""),
    ],
)
def test_what_a_redirect_means(url, location, target):
    assert onward(url, location) == target


def test_the_sockets_library_logs_nothing_itself():
    """Its own line about a redirect it cannot follow would name the code that opens the stream."""
    assert not logging.getLogger("websocket").isEnabledFor(logging.CRITICAL)
