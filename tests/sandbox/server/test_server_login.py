"""The login: codes that work once, tokens that die at half past three, the semi-automatic request."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import urllib.parse
import urllib.request

import numpy as np
import pytest
import upstox_client
from hypothesis import given
from hypothesis import strategies as st
from server_desk import wait_until
from upstox_client.rest import ApiException

from sos_actors.market.clocktime import DAY_NS, SECOND_NS, ist_ns, ns_of_day
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.exchange.gate import Token
from sos_actors.sandbox.server.auth import Tokens, death_of
from sos_actors.sandbox.server.clock import SandboxClock, parse_instant
from sos_actors.sandbox.server.settings import AppSettings

REDIRECT = "http://127.0.0.1:5000/callback"
DIALOG = "/v2/login/authorization/dialog?"
NOW = parse_instant("2026-11-20T10:00:00+05:30")


def tokens(**app):
    return Tokens(AppSettings(**app), "SB1234", 7, np.random.default_rng(1))


def ask_dialog(desk, **changes):
    """The redirect of the dialogue, without following it."""
    query = {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": REDIRECT,
        "state": "s 1",
        "auto": "1",
        **changes,
    }

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args):
            return None

    opener = urllib.request.build_opener(Stay)
    try:
        with opener.open(desk.sandbox.address + DIALOG + urllib.parse.urlencode(query), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Location") or error.read().decode()


def code_of(desk):
    status, where = ask_dialog(desk)
    assert status == 302
    assert where.startswith(REDIRECT + "?")
    back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(where).query))
    assert back["state"] == "s 1"
    return back["code"]


def exchange(desk, code, **changes):
    form = {
        "code": code,
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "redirect_uri": REDIRECT,
        "grant_type": "authorization_code",
        **changes,
    }
    return upstox_client.LoginApi(desk.api).token("2.0", **form)


def refusal(call, *args, **kwargs):
    with pytest.raises(ApiException) as caught:
        call(*args, **kwargs)
    return json.loads(caught.value.body)["errors"][0]["errorCode"]


def test_a_code_gives_a_token_once(desk):
    code = code_of(desk)
    answer = exchange(desk, code)
    assert (answer.user_id, answer.broker) == ("SB1234", "UPSTOX")
    claims = json.loads(base64.urlsafe_b64decode(answer.access_token.split(".")[1] + "=="))
    assert claims["sub"] == "SB1234"
    assert ns_of_day(claims["exp"] * SECOND_NS) == 3.5 * 3600 * SECOND_NS
    desk.api.configuration.access_token = answer.access_token
    assert upstox_client.UserApi(desk.api).get_profile("2.0").data.user_id == "SB1234"
    assert refusal(exchange, desk, code) == "UDAPI100057"


def test_a_code_is_used_up_even_by_a_failure(desk):
    code = code_of(desk)
    assert refusal(exchange, desk, code, client_secret="wrong") == "UDAPI100069"
    assert refusal(exchange, desk, code) == "UDAPI100057"
    assert refusal(exchange, desk, code_of(desk), redirect_uri="http://elsewhere/") == "UDAPI100070"


def test_the_dialogue_is_a_page_with_one_way_back(desk):
    status, text = ask_dialog(desk, auto="0", client_id="sandbox-client")
    assert status == 200
    assert f'href="{REDIRECT}?code=' in text
    status, text = ask_dialog(desk, client_id="someone<script>")
    assert (status, json.loads(text)["errors"][0]["errorCode"]) == (400, "UDAPI100068")


def test_logout(desk):
    token = desk.api.configuration.access_token
    assert upstox_client.LoginApi(desk.api).logout("2.0").data is True
    assert desk.call("/v2/user/profile")[0] == 401
    desk.renew()
    assert desk.api.configuration.access_token != token
    assert desk.call("/v2/user/profile")[0] == 200


def test_the_semi_automatic_request_posts_the_token(open_desk):
    got = []

    class Notifier(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Notifier)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/token"
    desk = open_desk(app=AppSettings(notifier_url=url, approval_s=0.05))
    body = upstox_client.IndieUserTokenRequest(client_secret="sandbox-secret")
    answer = upstox_client.LoginApi(desk.api).init_token_request_for_indie_user(body, "sandbox-client")
    assert answer.data.notifier_url == url
    wait_until(lambda: got, "the token")
    server.shutdown()
    server.server_close()
    assert got[0]["message_type"] == "access_token"
    desk.api.configuration.access_token = got[0]["access_token"]
    assert desk.call("/v2/user/profile")[0] == 200


def test_no_notifier_no_request(desk):
    status, answer = desk.call(
        "/v3/login/auth/token/request/sandbox-client", "POST", {"client_secret": "sandbox-secret"}
    )
    assert (status, answer["errors"][0]["errorCode"]) == (400, "UDAPI1123")


# === the thinking ===============================================================================================


@given(st.integers(min_value=0, max_value=400 * DAY_NS))
def test_a_token_lives_to_the_next_half_past_three(after):
    now = NOW + after
    death = death_of(now)
    assert now < death <= now + DAY_NS
    assert ns_of_day(death) == ns_of_day(ist_ns(parse_day(), "03:30"))
    made = tokens()
    header = f"Bearer {made.issue(now)}"
    assert made.check(header, death - 1) is Token.DAILY
    assert made.check(header, death) is Token.NONE


def parse_day():
    import datetime as dt  # noqa: PLC0415

    return dt.date(2026, 11, 20)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_made_up_token_passes(a, b, c):
    assert tokens().check(f"Bearer {a}.{b}.{c}", NOW) is Token.NONE
    assert tokens().check(a, NOW) is Token.NONE


def test_tokens_survive_a_restart_with_the_same_seed_alone():
    token = tokens().issue(NOW)
    assert tokens().check(f"Bearer {token}", NOW) is Token.DAILY
    other = Tokens(AppSettings(), "SB1234", 8, np.random.default_rng(1))
    assert other.check(f"Bearer {token}", NOW) is Token.NONE


def test_a_registered_redirect_is_the_only_one():
    made = tokens(redirect_uri=REDIRECT)
    assert made.code("sandbox-client", REDIRECT)
    with pytest.raises(Refusal, match="100068"):
        made.code("sandbox-client", "http://elsewhere/")


def test_the_clock_runs_at_its_speed_and_never_back():
    ticks = [0]
    clock = SandboxClock(NOW, 30.0, lambda: ticks[0])
    ticks[0] = SECOND_NS
    assert clock.now_ns() == NOW + 30 * SECOND_NS
    clock.set_speed(1.0)
    ticks[0] += SECOND_NS
    assert clock.now_ns() == NOW + 31 * SECOND_NS
    clock.jump(NOW + 3600 * SECOND_NS)
    assert clock.now_ns() == NOW + 3600 * SECOND_NS
    with pytest.raises(Exception, match="is past"):
        clock.jump(NOW)
    with pytest.raises(Exception, match="clock speed -1"):
        clock.set_speed(-1.0)
