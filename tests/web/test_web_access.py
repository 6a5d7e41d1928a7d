"""Who may ask: token file, rates, hosts, origins, second confirmations."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import StorageError
from sos_actors.web.access import CONFIRM_S, Bucket, Confirmations, Hosts, Limits, same, web_token
from sos_actors.web.redact import HIDDEN, redacted
from sos_actors.web.settings import WebSettings


def test_token_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    token = web_token(tmp_path)
    path = tmp_path / "tokens" / "web"
    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert web_token(tmp_path) == token


def test_token_that_others_may_read_is_refused(tmp_path):
    web_token(tmp_path)
    (tmp_path / "tokens" / "web").chmod(0o644)
    with pytest.raises(StorageError, match="others may read"):
        web_token(tmp_path)


def test_empty_token_file_is_refused(tmp_path):
    web_token(tmp_path)
    (tmp_path / "tokens" / "web").write_text("\n")
    with pytest.raises(StorageError, match="holds no token"):
        web_token(tmp_path)


def test_comparison():
    assert same("abc", "abc")
    assert not same("abc", "abd")
    assert not same("", "abc")
    assert not same("ü", "abc")
    assert not same("\udcff", "abc")  # how a byte that is no UTF-8 comes out of a header


@given(st.lists(st.floats(0, 3), max_size=200))
def test_bucket_never_gives_more_than_rate_and_burst(steps):
    bucket, now, given_out = Bucket(2.0, 5.0, 0.0), 0.0, 0
    for step in steps:
        now += step
        given_out += bucket.take(now)
    assert given_out <= 5 + 2.0 * now + 1e-6


def test_one_address_does_not_use_up_anothers():
    limits = Limits(1.0, 2.0)
    assert [limits.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert limits.take("b", 0.0)


def test_less_than_one_a_minute_is_still_some():
    limits = Limits(0.5 / 60, 0.5)
    assert [limits.take("a", now) for now in (0.0, 60.0, 120.1)] == [True, False, True]


@pytest.mark.parametrize("host", ["127.0.0.1:8600", "localhost", "[::1]:8600", "desk.lan:1", "mybox:1", "MyBox"])
def test_own_names(host):
    assert Hosts(WebSettings(names=("desk.lan", "MyBox"))).good(host)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8600", "", "10.0.0.1", "["])
def test_foreign_names(host):
    assert not Hosts(WebSettings()).good(host)


def test_bound_to_everything_takes_addresses_and_no_foreign_names():
    hosts = Hosts(WebSettings(host="0.0.0.0"))
    assert hosts.good("192.168.1.5:8600")
    assert not hosts.good("evil.example:8600")


def test_origins():
    assert Hosts.same_page(None, "localhost:1")
    assert Hosts.same_page("http://localhost:1", "localhost:1")
    assert not Hosts.same_page("http://localhost:2", "localhost:1")
    assert not Hosts.same_page("null", "localhost:1")
    assert not Hosts.same_page("http://[", "localhost:1")


def test_confirmation_is_good_once_for_its_order_and_for_a_while():
    words = Confirmations()
    first = words.ask("kill", 0.0)
    assert not words.good(first, "flatten", 1.0)
    assert not words.good(first, "kill", 1.0)  # used up by the wrong order
    second = words.ask("kill", 0.0)
    assert words.good(second, "kill", 1.0)
    assert not words.good(second, "kill", 1.0)
    third = words.ask("kill", 0.0)
    assert not words.good(third, "kill", CONFIRM_S + 1)
    assert not words.good("", "kill", 0.0)


def test_secrets_are_hidden_by_name_by_form_and_by_value():
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
    plain = {
        "client_secret": "s3cret", "access_token": "t", "text": f"sent {jwt} on", "list": [{"API_KEY": "k"}],
        "header": "Authorization: Bearer abc.def", "note": "the planted-value stands here", "token_until": "15:00",
        "count": 3, "tokens": 5,
    }  # fmt: skip
    said = str(redacted(plain, ["planted-value"]))
    for secret in ("s3cret", jwt, "abc.def", "planted-value", "'k'"):
        assert secret not in said
    clean = redacted(plain, [])
    assert clean["token_until"] == "15:00"
    assert clean["count"] == 3
    assert clean["client_secret"] == HIDDEN
