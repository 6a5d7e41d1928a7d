"""The log-in: addresses, codes, answers, and the pages it waits on."""

import asyncio
import datetime as dt
import json
import socket

import aiohttp
import pytest

from sos_actors.errors import InputError
from sos_actors.market.clocktime import ist_ns, ist_text
from sos_actors.upstox.login import (
    App,
    LoginSettings,
    authorization_url,
    find_app,
    pushed_token,
    read_code,
    request_summary,
    token_of_exchange,
)
from sos_actors.upstox.login_listener import is_local, wait_for_post, wait_for_redirect

NOW = ist_ns(dt.date(2026, 11, 20), "08:40")
REDIRECT = "http://127.0.0.1:8721/callback"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- the app's identity ---------------------------------------------------------------------------------


def test_the_app_is_found_in_settings_and_environment():
    env = {"SOS_UPSTOX_CLIENT_ID": "from-env", "SOS_UPSTOX_CLIENT_SECRET": "hush-hush"}
    assert find_app(LoginSettings(client_id="from-file"), None, env) == App("from-env", "hush-hush")
    del env["SOS_UPSTOX_CLIENT_ID"]
    assert find_app(LoginSettings(client_id="from-file"), None, env).client_id == "from-file"


def test_the_secret_comes_from_a_file_a_credential_or_the_person(tmp_path):
    settings = LoginSettings(client_id="key")
    (tmp_path / "secret").write_text("of-the-file\n")
    (tmp_path / "upstox-client-secret").write_text("of-systemd\n")
    env = {"SOS_UPSTOX_CLIENT_SECRET_FILE": str(tmp_path / "secret"), "CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_app(settings, None, env).client_secret == "of-the-file"
    del env["SOS_UPSTOX_CLIENT_SECRET_FILE"]
    assert find_app(settings, None, env).client_secret == "of-systemd"
    (tmp_path / "upstox-client-secret").write_text("-\n")
    assert find_app(settings, lambda _: "of-the-person ", env).client_secret == "of-the-person"


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match=r"set login\.client_id or"):
        find_app(LoginSettings(), None, {})
    with pytest.raises(InputError, match=r"set \$SOS_UPSTOX_CLIENT_SECRET"):
        find_app(LoginSettings(client_id="key"), None, {})
    with pytest.raises(InputError, match=r"\$SOS_UPSTOX_CLIENT_SECRET_FILE: .*nowhere: cannot be read"):
        find_app(LoginSettings(client_id="key"), None, {"SOS_UPSTOX_CLIENT_SECRET_FILE": str(tmp_path / "nowhere")})


def test_the_secret_does_not_show():
    assert "hush-hush" not in repr(App("key", "hush-hush"))


# --- addresses and codes --------------------------------------------------------------------------------


def test_the_address_of_the_page_quotes_what_it_must():
    url = authorization_url("https://broker.example", "a key", REDIRECT, "s/1")
    assert url == (
        "https://broker.example/v2/login/authorization/dialog?response_type=code&client_id=a+key"
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A8721%2Fcallback&state=s%2F1"
    )


@pytest.mark.parametrize(
    "text",
    [f"{REDIRECT}?code=mk404x&state=s1", "/callback?code=mk404x&state=s1", f" {REDIRECT}?state=s1&code=mk404x\n",
     f"{REDIRECT}?code=mk404x", "code=mk404x&state=s1", "mk404x"],
)  # fmt: skip
def test_a_code_is_taken_from_what_was_pasted(text):
    assert read_code(text, "s1") == "mk404x"


@pytest.mark.parametrize("text", ["", REDIRECT, f"{REDIRECT}?error=denied&state=s1", f"{REDIRECT}?code="])
def test_an_address_without_a_code_is_refused(text):
    with pytest.raises(InputError, match="there is no code in that address"):
        read_code(text, "s1")


def test_a_code_of_another_log_in_is_refused():
    with pytest.raises(InputError, match="another log-in"):
        read_code(f"{REDIRECT}?code=mk404x&state=s2", "s1")


# --- answers --------------------------------------------------------------------------------------------


def test_the_answer_to_a_code_is_a_token():
    token = token_of_exchange({"access_token": "opaque-token", "user_id": "AB1234", "email": "a@b"}, NOW)
    assert (token.secret, token.user_id, ist_text(token.expires_at)) == (
        "opaque-token",
        "AB1234",
        "2026-11-21T03:30:00+05:30",
    )


@pytest.mark.parametrize("answer", [{}, {"access_token": None}, {"status": "error"}])
def test_an_answer_without_a_token_is_refused(answer):
    with pytest.raises(InputError, match="without an access token"):
        token_of_exchange(answer, NOW)


def _post(**fields):
    body = {"client_id": "key", "user_id": "AB1234", "access_token": "opaque-token", "token_type": "Bearer",
            "expires_at": "1795644000000", "issued_at": "1795600000000", "message_type": "access_token"}  # fmt: skip
    return json.dumps(body | fields).encode()


def test_a_posted_token_is_read():
    token = pushed_token(_post(), "key", NOW)
    assert (token.secret, token.user_id, token.expires_at) == ("opaque-token", "AB1234", 1795644000000 * 1_000_000)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", _post(client_id="other"), _post(message_type="order"), _post(access_token=""), b"\xff"]
)
def test_a_post_that_is_not_for_us_is_refused(body):
    with pytest.raises(InputError):
        pushed_token(body, "key", NOW)


def test_the_answer_to_a_request_is_told_in_words():
    answer = {"status": "success", "data": {"authorization_expiry": "1795644000000", "notifier_url": "https://x/y"}}
    assert request_summary(answer) == (ist_text(1795644000000 * 1_000_000), "https://x/y")
    assert request_summary({"data": None}) == ("03:30 IST", "")


# --- the pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "local"),
    [(REDIRECT, True), ("http://localhost:80/", True), ("https://127.0.0.1:8721/", False),
     ("http://example.com:8721/", False), ("http://127.0.0.1/callback", False)],
)  # fmt: skip
def test_only_an_address_of_this_machine_is_answered_here(uri, local):
    assert is_local(uri) is local


def test_the_browser_brings_the_code():
    uri = f"http://127.0.0.1:{free_port()}/callback"

    async def login():
        waiting = asyncio.create_task(wait_for_redirect(uri, lambda url: read_code(url, "s1"), 20))
        async with aiohttp.ClientSession() as browser:
            answers = [await _retried(browser, f"{uri}?error=denied")]
            answers += [await _get(browser, f"{uri}?code=wrong&state=other")]
            answers += [await _get(browser, f"{uri}?code=mk404x&state=s1")]
        return await waiting, answers

    code, answers = asyncio.run(login())
    assert code == "mk404x"
    assert [status for status, _ in answers] == [400, 400, 200]
    assert "no code in that address" in answers[0][1]
    assert "Logged in" in answers[2][1]
    assert "mk404x" not in answers[2][1]


async def _get(browser, url):
    async with browser.get(url) as response:
        return response.status, await response.text()


async def _retried(browser, url):
    for _ in range(200):
        try:
            return await _get(browser, url)
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.02)  # the listener is still coming up
    raise AssertionError("nobody listens")


def test_a_posted_token_is_taken_only_when_it_is_confirmed():
    port = free_port()

    async def read(body):
        token = pushed_token(body, "key", NOW)
        if token.user_id != "AB1234":
            raise InputError("the broker does not know that token")
        return token

    async def post(client, body):
        async with client.post(f"http://127.0.0.1:{port}/upstox/token", data=body) as response:
            return response.status

    async def login():
        waiting = asyncio.create_task(wait_for_post("127.0.0.1", port, "/upstox/token", read, 20))
        async with aiohttp.ClientSession() as client:
            await _retried(client, f"http://127.0.0.1:{port}/")
            statuses = [await post(client, body) for body in (b"{}", _post(user_id="FORGED"), _post())]
        return await waiting, statuses

    token, statuses = asyncio.run(login())
    assert token.secret == "opaque-token"
    assert statuses == [400, 400, 200]


def test_a_log_in_nobody_finishes_ends():
    with pytest.raises(InputError, match="nobody came within"):
        asyncio.run(wait_for_redirect(f"http://127.0.0.1:{free_port()}/", lambda url: url, 0.05))


def test_a_taken_port_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}"):
            asyncio.run(wait_for_redirect(f"http://127.0.0.1:{port}/", lambda url: url, 5))


@pytest.mark.parametrize(
    ("key", "value"), [("notifier_port", 0), ("notifier_path", "x"), ("wait_s", 0), ("redirect_uri", "callback")]
)
def test_settings_that_make_no_sense_are_refused(key, value):
    with pytest.raises(ValueError, match=f"login.{key}"):
        LoginSettings(**{key: value})
