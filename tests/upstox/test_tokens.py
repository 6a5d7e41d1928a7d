"""Where a token comes from, when it dies, and that it stays a secret."""

import base64
import datetime as dt
import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sos_actors.errors import InputError
from sos_actors.market.clocktime import DAY_NS, SECOND_NS, ist_ns, ist_text, ns_of_day
from sos_actors.upstox.tokens import Token, TokenStore, find_token, live_token, next_death, read_token

NOW = ist_ns(dt.date(2026, 11, 20), "10:00")


def jwt(**claims):
    parts = ({"alg": "HS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJlLW9mLWl0"])


@pytest.mark.parametrize(
    ("issued", "dies"),
    [
        ("2026-11-20T10:00:00+05:30", "2026-11-21T03:30:00+05:30"),
        ("2026-11-20T02:30:00+05:30", "2026-11-20T03:30:00+05:30"),
        ("2026-11-20T03:30:00+05:30", "2026-11-21T03:30:00+05:30"),
        ("2026-11-20T23:59:59+05:30", "2026-11-21T03:30:00+05:30"),
    ],
)
def test_every_token_dies_at_half_past_three(issued, dies):
    now = int(dt.datetime.fromisoformat(issued).timestamp()) * SECOND_NS
    assert ist_text(next_death(now)) == dies


@given(st.integers(min_value=0, max_value=4_000_000_000 * SECOND_NS))
def test_the_next_death_is_within_a_day_and_at_half_past_three(now):
    death = next_death(now)
    assert now < death <= now + DAY_NS
    assert ns_of_day(death) == (3 * 3600 + 30 * 60) * SECOND_NS


def test_a_token_that_says_when_it_dies_is_believed():
    token = read_token(jwt(sub="AB1234", exp=1789250400, iat=1789201667), NOW)
    assert token.user_id == "AB1234"
    assert token.expires_at == 1789250400 * SECOND_NS
    assert token.issued_at == 1789201667 * SECOND_NS


@pytest.mark.parametrize("text", ["opaque-token-text", jwt()[:-20] + "!!", "a.b.cdefghij", jwt().replace(".", "..")])
def test_a_token_we_cannot_look_into_dies_next_morning(text):
    assert read_token(text, NOW).expires_at == next_death(NOW)


@pytest.mark.parametrize("text", ["", "  ", "tiny7", "two words here"])
def test_what_is_no_token_is_refused_without_showing_it(text):
    with pytest.raises(InputError, match="is no token") as caught:
        read_token(text, NOW, origin="$SOS_UPSTOX_TOKEN")
    assert not text.strip() or text not in str(caught.value)


def test_a_token_does_not_show_in_its_repr():
    text = jwt(sub="AB1234")
    token = read_token(text, NOW)
    assert text not in repr(token)
    assert text not in str(token)
    assert text not in f"{[token]}"


def test_a_stored_token_comes_back_and_only_its_owner_may_read_it(tmp_path):
    store = TokenStore(tmp_path)
    assert store.load() is None
    token = read_token(jwt(sub="AB1234"), NOW)
    store.save(token)
    store.save(token)
    loaded = store.load()
    assert loaded is not None
    assert (loaded.secret, loaded.user_id, loaded.expires_at) == (token.secret, "AB1234", token.expires_at)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    assert [file.name for file in store.path.parent.iterdir()] == ["upstox.json"]
    assert store.forget()
    assert not store.forget()


def test_a_store_others_may_read_is_not_trusted(tmp_path):
    store = TokenStore(tmp_path)
    store.save(read_token(jwt(), NOW))
    store.path.chmod(0o640)
    with pytest.raises(InputError, match="others may read it"):
        store.load()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"secret": 5}', b"\xff\xfe"])
def test_a_broken_store_says_what_to_do(tmp_path, content):
    store = TokenStore(tmp_path)
    store.path.parent.mkdir()
    store.path.write_bytes(content)
    store.path.chmod(0o600)
    with pytest.raises(InputError, match="is not a token file: delete it and log in with"):
        store.load()


def test_the_places_are_asked_in_their_order(tmp_path):
    file, credentials = tmp_path / "file", tmp_path / "credentials"
    file.write_text(jwt(sub="FILE"))
    credentials.mkdir()
    (credentials / "upstox-token").write_text(jwt(sub="SYSTEMD") + "\n")
    TokenStore(tmp_path).save(read_token(jwt(sub="STORE"), NOW))
    env = {
        "SOS_UPSTOX_TOKEN": jwt(sub="ENV"),
        "SOS_UPSTOX_TOKEN_FILE": str(file),
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    for expected in ("ENV", "FILE", "SYSTEMD", "STORE"):
        token = find_token(tmp_path, NOW, env)
        assert token is not None
        assert token.user_id == expected
        if env:
            del env[next(iter(env))]


def test_a_dead_token_gives_way_to_a_living_one_behind_it(tmp_path):
    TokenStore(tmp_path).save(read_token(jwt(sub="STORE"), NOW))
    env = {"SOS_UPSTOX_TOKEN": jwt(sub="YESTERDAY", exp=(NOW - DAY_NS) // SECOND_NS)}
    token = find_token(tmp_path, NOW, env)
    assert token is not None
    assert token.user_id == "STORE"
    TokenStore(tmp_path).forget()
    token = find_token(tmp_path, NOW, env)
    assert token is not None
    assert token.user_id == "YESTERDAY"


@pytest.mark.parametrize("content", [b"", b"-", b"-\n"])
def test_the_units_default_credential_is_none(tmp_path, content):
    (tmp_path / "upstox-token").write_bytes(content)
    assert find_token(tmp_path, NOW, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


def test_a_credentials_folder_without_a_token_is_passed_over(tmp_path):
    (tmp_path / "credentials").mkdir()
    assert find_token(tmp_path, NOW, {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}) is None


def test_a_token_file_may_be_a_copy_of_the_store(tmp_path):
    store = TokenStore(tmp_path)
    store.save(read_token(jwt(sub="AB1234"), NOW))
    token = find_token(tmp_path / "other", NOW, {"SOS_UPSTOX_TOKEN_FILE": str(store.path)})
    assert token is not None
    assert token.user_id == "AB1234"


def test_a_missing_token_file_is_said(tmp_path):
    with pytest.raises(InputError, match=r"\$SOS_UPSTOX_TOKEN_FILE: .*nowhere: cannot be read"):
        find_token(tmp_path, NOW, {"SOS_UPSTOX_TOKEN_FILE": str(tmp_path / "nowhere")})


def test_without_a_token_or_with_a_dead_one_the_way_to_one_is_said(tmp_path):
    with pytest.raises(InputError, match=r"nobody is logged in .*: log in with `python run_actors.py login`"):
        live_token(tmp_path, NOW, {})
    TokenStore(tmp_path).save(Token(secret="dead-token-of-yesterday", expires_at=NOW))
    with pytest.raises(InputError, match=r"died at 2026-11-20T10:00:00\+05:30 .*: log in with"):
        live_token(tmp_path, NOW, {})
    assert live_token(tmp_path, NOW - 1, {}).alive(NOW - 1)
