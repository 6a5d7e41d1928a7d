"""The stream: whole first, then changes; a client that does not read costs nobody anything."""

import asyncio
import json
import socket
import time

import aiohttp
import pytest
from web_rig import TOKEN, Asker, settings, source_of

from sos_actors.web.server import WebServer


def played(address, topics, enough, **kwargs):
    """Give messages until `enough(messages)`, or thirty seconds are over."""

    async def play():
        found = []
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                address + "/api/v1/stream", protocols=kwargs.get("protocols", ("sos.v1",)), origin=kwargs.get("origin")
            ) as stream,
        ):
            await stream.send_str(json.dumps({"topics": topics}))
            while not enough(found):
                found.append(json.loads(await stream.receive_str(timeout=30)))
        return found

    return asyncio.run(play())


def test_first_whole_then_what_changed(server):
    def enough(found):
        return sum(one["topic"] == "status" for one in found) >= 3

    messages = [one for one in played(server.address, ["status"], enough) if one["topic"] == "status"]
    first, *others = messages
    assert first["whole"]
    assert set(first["parts"]) == {"clock", "status"}
    assert [one["number"] for one in messages] == list(range(first["number"], first["number"] + len(messages)))
    assert not any(one["whole"] for one in others)
    assert all(one["parts"] for one in others)


def test_every_topic_has_its_parts(server):
    topics = ["now NIFTY", "chain NIFTY", "actors", "edges", "strategies"]
    found = played(server.address, topics, lambda seen: {one["topic"] for one in seen} == set(topics))
    parts = {one["topic"]: one["parts"] for one in found}
    assert {"index", "figures", "trades", "performance"} <= set(parts["now NIFTY"])
    assert parts["chain NIFTY"]["chain"]["strikes"]
    assert parts["actors"]["tree"]["actors"]
    assert parts["strategies"]["strategies"]


def test_unknown_topics_and_nonsense_are_told(server):
    found = played(server.address, ["gossip"], bool)
    assert "gossip" in found[0]["parts"]["error"]


def test_pages_elsewhere_get_no_stream(server):
    with pytest.raises(aiohttp.WSServerHandshakeError) as told:
        played(server.address, ["status"], bool, origin="http://evil.example")
    assert told.value.status == 403


def test_token_goes_with_the_handshake_beyond_loopback(rehearsal):
    with WebServer(source_of(rehearsal), settings(host="0.0.0.0"), TOKEN) as server:
        address = f"http://127.0.0.1:{server.port}"
        found = played(address, ["status"], bool, protocols=("sos.v1", f"sos.token.{TOKEN}"))
        assert found[0]["topic"] == "status"
        with pytest.raises(aiohttp.WSServerHandshakeError) as told:
            played(address, ["status"], bool)
        assert told.value.status == 401


def test_a_client_that_never_reads_is_cut_off_and_costs_nobody(rehearsal):
    with WebServer(source_of(rehearsal), settings(queue=2), TOKEN) as server:
        deaf = socket.create_connection(("127.0.0.1", server.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        deaf.sendall(
            b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        wanted = json.dumps({"topics": ["actors", "now NIFTY", "chain NIFTY", "strategies", "edges"]}).encode()
        deaf.sendall(bytes([0x81, 0x80 | 126]) + len(wanted).to_bytes(2, "big") + bytes(4) + wanted)
        ask = Asker(server.address)
        deadline = time.monotonic() + 60
        while not server.hub.dropped and time.monotonic() < deadline:
            assert ask("/api/v1/about")[0] == 200
            time.sleep(0.1)
        assert server.hub.dropped == 1
        assert server.hub.clients == 0
        deaf.close()
        assert played(server.address, ["status"], bool)
