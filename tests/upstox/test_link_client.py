"""The client over real sockets with the real SDK: one request each, time-outs, errors that say what is true."""

import copy
import logging
import socket
import threading
import time

import msgspec
import pytest
import upstox_client
from feed_server import CERTIFICATE, wait_for
from link_broker import BOOK, CANCEL, MODIFY, PLACE, TOKEN, client_of, dead_port, orders_of, place
from link_server import HTML, BrokerServer, Reply, data, error
from upstox_client import OrderApi

from sos_actors.messages import OrderType, SendCancel, SendModify
from sos_actors.upstox.errors import (
    RULES,
    BadRequestError,
    BrokerError,
    Certainty,
    NotReachedError,
    RateLimitedError,
    TokenDeadError,
    UnansweredError,
    error_of_answer,
)


@pytest.fixture
def server():
    with BrokerServer() as made:
        yield made


def book(client):
    return client.call("book", OrderApi(client.api).get_order_book, "2.0", answer=msgspec.Raw)


def send(client, what):
    """Make the request of one kind."""
    orders = orders_of(client)
    if what == PLACE:
        orders.place(place(), "NSE_FO|1")
    elif what == MODIFY:
        orders.modify(SendModify("r", "1", 65, OrderType.LIMIT, price=100.0))
    elif what == CANCEL:
        orders.cancel(SendCancel("r", "1"))
    else:
        book(client)


ALL = [PLACE, MODIFY, CANCEL, BOOK]


@pytest.mark.parametrize("what", ALL)
def test_a_dropped_connection_is_one_request_of_unknown_fate(server, what):
    server.replies[what] = Reply(cut="at once")
    with pytest.raises(UnansweredError) as caught:
        send(client_of(server.url), what)
    assert caught.value.certainty is Certainty.UNKNOWN
    assert len(server.hits) == 1


@pytest.mark.parametrize("what", ALL)
def test_a_cut_body_is_one_request_of_unknown_fate(server, what):
    server.replies[what] = Reply(body=b'{"status":"success","data":{"order_ids":["1"]}}', cut="half")
    with pytest.raises(UnansweredError) as caught:
        send(client_of(server.url), what)
    assert caught.value.certainty is Certainty.UNKNOWN
    assert len(server.hits) == 1


@pytest.mark.parametrize("what", ALL)
def test_a_connection_that_was_closed_while_idle_is_no_doubt(server, what):
    body = b'{"status":"success","data":{"order_ids":["1"]}}'
    server.replies[what] = Reply(body=body, cut="after")
    client = client_of(server.url)
    for n in range(3):
        send(client, what)
        wait_for(lambda n=n: server.closed == n + 1)
    assert len(server.hits) == 3


@pytest.mark.parametrize("what", ALL)
def test_a_slow_answer_ends_at_the_time_out_and_is_asked_once(server, what):
    hold = threading.Event()
    server.replies[what] = Reply(hold=hold)
    client = client_of(server.url, read_timeout_s=0.3, order_timeout_s=0.3)
    began = time.monotonic()
    try:
        with pytest.raises(UnansweredError) as caught:
            send(client, what)
    finally:
        hold.set()
    assert caught.value.certainty is Certainty.UNKNOWN
    assert time.monotonic() - began < 20  # the server would have held it for 30 s
    assert len(server.hits) == 1


@pytest.mark.parametrize("what", ALL)
def test_a_refused_connection_never_left(what):
    with pytest.raises(NotReachedError) as caught:
        send(client_of(f"http://127.0.0.1:{dead_port()}"), what)
    assert caught.value.certainty is Certainty.NEVER_SENT


@pytest.mark.parametrize("what", ALL)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_told_not_slept(server, what, status):
    server.replies[what] = error(status, "UDAPI10005")._replace(headers=(("Retry-After", "25"),))
    began = time.monotonic()
    with pytest.raises(RateLimitedError) as caught:
        send(client_of(server.url), what)
    assert time.monotonic() - began < 20
    assert caught.value.retry_after_s == 25
    assert len(server.hits) == 1


@pytest.mark.parametrize("what", ALL)
def test_a_redirect_is_not_followed(server, what):
    elsewhere = Reply(302, b"", (("Location", f"{server.url}/elsewhere"),))
    server.replies[what] = elsewhere
    with pytest.raises(BrokerError) as caught:
        send(client_of(server.url), what)
    assert caught.value.status == 302
    assert caught.value.certainty is Certainty.UNKNOWN
    assert len(server.hits) == 1


def test_no_secure_connection_where_the_server_speaks_plainly(server):
    with pytest.raises(BrokerError) as caught:
        book(client_of(server.url.replace("http:", "https:")))
    assert caught.value.certainty is Certainty.UNKNOWN
    assert server.hits == []


def test_a_certificate_is_verified_against_our_own_authorities_too():
    with BrokerServer(CERTIFICATE) as server:
        server.replies[BOOK] = data([])
        with pytest.raises(NotReachedError) as caught:
            book(client_of(server.url))
        assert caught.value.certainty is Certainty.NEVER_SENT
        assert "upstox.ca_file" in str(caught.value)
        assert server.hits == []
        book(client_of(server.url, ca_file=str(CERTIFICATE)))
        assert len(server.hits) == 1


def test_after_a_429_the_client_keeps_silence_by_itself(server):
    server.replies[PLACE] = error(429, "UDAPI10005")
    client = client_of(server.url)
    with pytest.raises(RateLimitedError) as first:
        send(client, PLACE)
    assert first.value.certainty is Certainty.REFUSED
    with pytest.raises(RateLimitedError) as second:
        send(client, PLACE)
    assert second.value.certainty is Certainty.NEVER_SENT
    assert second.value.retry_after_s > 0
    assert len(server.hits) == 1


def test_the_process_wide_configuration_does_not_leak_in(server):
    before = upstox_client.Configuration._default
    try:
        upstox_client.Configuration._default = None
        upstox_client.Configuration(sandbox=True)  # what another part of the process may have done
        server.replies[BOOK] = data([])
        client = client_of(server.url)
        book(client)
        other = copy.copy(upstox_client.Configuration())
    finally:
        upstox_client.Configuration._default = before
    assert len(server.asked(*BOOK)) == 1
    assert not client.api.configuration.sandbox
    assert client.api.configuration.verify_ssl
    assert other.access_token == ""
    assert other.host != server.url


def test_what_goes_with_every_request_and_a_new_token_from_the_next_on(server):
    server.replies[BOOK] = data([])
    client = client_of(server.url)
    book(client)
    client.set_token("another-token-of-the-day")
    book(client)
    first, second = server.hits
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert second.headers["Authorization"] == "Bearer another-token-of-the-day"
    assert first.headers["User-Agent"].startswith("sos-actors/")


def test_orders_go_to_the_order_host_and_the_rest_to_the_other(server):
    with BrokerServer() as orders:
        orders.replies[PLACE] = data({"order_ids": ["1"]})
        server.replies[BOOK] = data([])
        client = client_of(server.url, order_host=orders.url)
        send(client, PLACE)
        send(client, BOOK)
        assert [hit.path for hit in orders.hits] == [PLACE[1]]
    assert [hit.path for hit in server.hits] == [BOOK[1]]


def test_requests_leave_from_the_address_and_the_family_that_are_registered(server):
    server.replies[BOOK] = data([])
    book(client_of(server.url, local_address="0.0.0.0"))
    with pytest.raises(NotReachedError) as caught:
        book(client_of(server.url, local_address="::"))  # the server has an address of the other family only
    assert caught.value.certainty is Certainty.NEVER_SENT
    assert len(server.hits) == 1
    with pytest.raises(ValueError, match="write an IP address"):
        client_of(server.url, local_address="eth0")


def test_a_connection_that_rests_is_kept_alive_by_the_system(server):
    server.replies[PLACE] = data({"order_ids": ["1"]})
    client = client_of(server.url)
    send(client, PLACE)
    pool = client.api.rest_client.pool_manager.connection_from_url(server.url)
    (connection,) = [one for one in pool.pool.queue if one is not None]
    assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    if hasattr(socket, "TCP_KEEPIDLE"):
        idle = connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        assert idle <= 60  # routers that forget do so after some minutes


def test_the_token_is_in_no_error_and_no_log(server, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    client = client_of(server.url, order_timeout_s=0.3)
    told = []
    for reply in (
        error(401, "UDAPI100050", f"Invalid token {TOKEN}"), Reply(403, HTML), Reply(cut="at once"),
        Reply(200, f'{{"data": "{TOKEN}'.encode()), Reply(500, TOKEN.encode()),
    ):  # fmt: skip
        server.replies[PLACE] = reply
        with pytest.raises(BrokerError) as caught:
            send(client, PLACE)
        told += [str(caught.value), repr(caught.value)]
    said = "".join(told) + caplog.text + "".join(capfd.readouterr()) + repr(client) + str(vars(client))
    assert len(server.hits) == 5
    assert TOKEN not in said


def test_nothing_of_the_sdk_or_urllib3_prints(server, capfd):
    server.replies[CANCEL] = Reply(cut="at once")
    with pytest.raises(UnansweredError):
        send(client_of(server.url), CANCEL)
    out, err = capfd.readouterr()
    assert out == err == ""


def test_no_thread_of_the_sdk_is_left_for_the_end_of_the_process_to_wait_for(server):
    for _ in range(20):
        before = set(threading.enumerate())
        client = client_of(server.url)
        assert set(threading.enumerate()) <= before
        del client  # its destructor has nothing to wait for either


def test_a_request_that_the_sdk_refuses_to_make_never_left(server):
    client = client_of(server.url)
    with pytest.raises(BadRequestError) as caught:
        orders_of(client).place(place(product="CO"), "NSE_FO|1")
    assert caught.value.certainty is Certainty.NEVER_SENT
    with pytest.raises(BadRequestError) as caught:
        client.call("book", OrderApi(client.api).get_order_book, "2.0", answer=msgspec.Raw, nonsense=1)
    assert caught.value.certainty is Certainty.NEVER_SENT
    assert server.hits == []


def test_without_a_token_nothing_is_sent(server):
    client = client_of(server.url, token="")
    with pytest.raises(TokenDeadError) as caught:
        send(client, CANCEL)
    assert (caught.value.certainty, caught.value.code) == (Certainty.NEVER_SENT, "UDAPI100050")
    assert "run_actors.py login" in str(caught.value)
    assert server.hits == []


# --- what an error answer says ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(RULES))
@pytest.mark.parametrize("casing", ["snake", "camel", "both"])
def test_every_known_code_is_its_own_error_with_advice(code, casing):
    told = error_of_answer("place order", 400, error(400, code, "Words of the broker.", casing=casing).body)
    assert type(told) is RULES[code].kind
    assert (told.code, told.certainty) == (code, Certainty.REFUSED)
    assert "Words of the broker" in str(told)
    assert RULES[code].advice in str(told)
    assert "\n" not in str(told)


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        (302, "UNKNOWN"), (400, "UNKNOWN"), (401, "REFUSED"), (403, "UNKNOWN"), (404, "UNKNOWN"), (423, "UNKNOWN"),
        (429, "REFUSED"), (500, "UNKNOWN"), (503, "UNKNOWN"), (520, "UNKNOWN"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "body", [HTML, b"", b"[]", b'{"status":"error"}', b"\xff\xfe", b'{"errors":[]}', b'{"errors":7}']
)
def test_an_answer_that_is_not_the_brokers_own_proves_little(status, certainty, body):
    told = error_of_answer("place order", status, body)
    assert told.certainty == certainty
    assert told.status == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 422, 423, 429])
def test_a_4xx_in_the_brokers_own_words_is_a_proof(status):
    assert error_of_answer("x", status, error(status, "UDAPI9999999").body).certainty is Certainty.REFUSED


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_5xx_proves_nothing_whatever_it_says(status):
    assert error_of_answer("x", status, error(status, "UDAPI100500").body).certainty is Certainty.UNKNOWN


def test_a_401_and_a_429_have_the_brokers_code_whoever_answers():
    assert error_of_answer("x", 401, HTML).code == "UDAPI100050"
    assert error_of_answer("x", 429, HTML).code == "UDAPI10005"
