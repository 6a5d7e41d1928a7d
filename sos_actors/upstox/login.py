"""Getting an access token: what is asked of the broker, and what its answers mean.

Two ways (Upstox, "Authentication"): the OAuth code flow, in which a person logs in on the broker's page and the
browser brings a code back; and the token request, in which the broker asks the person by a push to the phone and then
posts the token to the app's notifier address. There is no refresh: every token dies at 03:30 IST.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from sos_actors.decoding import from_json
from sos_actors.errors import InputError
from sos_actors.logs import hide
from sos_actors.market.clocktime import ist_text
from sos_actors.upstox.tokens import Token, read_token

SECRET_CREDENTIAL = "upstox-client-secret"
_MS_NS = 1_000_000


class LoginSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The app registered at the broker, and where its answers reach us."""

    client_id: str = ""
    """Key of the app; $SOS_UPSTOX_CLIENT_ID decides over it. Its secret is never written here."""
    redirect_uri: str = "http://127.0.0.1:8721/callback"
    """Address the browser comes back to, letter by letter as registered. A loopback one is answered by `login`."""
    notifier_host: str = "127.0.0.1"
    """Address on which `login --request` waits for the broker's post; a proxy with TLS stands before it."""
    notifier_port: int = 8722
    """Port of the same."""
    notifier_path: str = "/upstox/token"
    """Path of the same."""
    wait_s: float = 300.0
    """Seconds a login waits for the person."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 < self.notifier_port < 65536:
            raise ValueError(f"login.notifier_port is {self.notifier_port}: write a port from 1 to 65535")
        if not self.notifier_path.startswith("/"):
            raise ValueError(f"login.notifier_path is '{self.notifier_path}': begin it with /")
        if not self.wait_s > 0:
            raise ValueError(f"login.wait_s is {self.wait_s}: write more than 0")
        if urlsplit(self.redirect_uri).scheme not in {"http", "https"}:
            raise ValueError(f"login.redirect_uri is '{self.redirect_uri}': write an http or https address")


class App(msgspec.Struct, frozen=True):
    """The app's identity. Its secret does not show in repr."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return f"App(client_id={self.client_id!r})"


def find_app(
    settings: LoginSettings, ask: Callable[[str], str] | None, environ: Mapping[str, str] | None = None
) -> App:
    """Find the app's key and secret; what is nowhere is asked for with `ask`. Raises InputError without one.

    The secret: $SOS_UPSTOX_CLIENT_SECRET, the file $SOS_UPSTOX_CLIENT_SECRET_FILE, the systemd credential
    `upstox-client-secret`, else the person.
    """
    env = os.environ if environ is None else environ
    client_id = env.get("SOS_UPSTOX_CLIENT_ID") or settings.client_id
    if not client_id:
        raise InputError("the key of your app at Upstox is not known: set login.client_id or $SOS_UPSTOX_CLIENT_ID")
    secret = _stored_secret(env)
    if not secret and ask is not None:
        secret = ask("client secret of your Upstox app (not shown): ").strip()
    if not secret:
        raise InputError(
            "the secret of your Upstox app is not known: set $SOS_UPSTOX_CLIENT_SECRET, "
            "or $SOS_UPSTOX_CLIENT_SECRET_FILE to a file that holds it"
        )
    hide(secret)
    return App(client_id, secret)


def _stored_secret(env: Mapping[str, str]) -> str:
    if text := env.get("SOS_UPSTOX_CLIENT_SECRET"):
        return text.strip()
    files = []
    if name := env.get("SOS_UPSTOX_CLIENT_SECRET_FILE"):
        files.append(Path(name))
    if folder := env.get("CREDENTIALS_DIRECTORY"):
        files.append(Path(folder) / SECRET_CREDENTIAL)
    for file in files:
        try:
            text = file.read_text().strip()
        except OSError as error:
            if file.name == SECRET_CREDENTIAL:
                continue  # the unit gave none
            raise InputError(f"$SOS_UPSTOX_CLIENT_SECRET_FILE: {file}: cannot be read: {error.strerror}") from None
        if text not in {"", "-"}:
            return text
    return ""


def authorization_url(host: str, app_key: str, redirect_uri: str, state: str) -> str:
    """Give the address of the broker's log-in page. `state` comes back with the code and proves that it is ours."""
    query = {"response_type": "code", "client_id": app_key, "redirect_uri": redirect_uri, "state": state}
    return f"{host}/v2/login/authorization/dialog?{urlencode(query)}"


def read_code(text: str, state: str) -> str:
    """Take the code out of what the browser was sent to, or what a person pasted. Raises InputError.

    `text` is a whole address, its query, or (pasted only) the bare code.
    """
    text = text.strip()
    query = urlsplit(text).query if "://" in text else text.partition("?")[2] or text
    fields = parse_qs(query)
    if "code" not in fields:
        if "=" in text or "/" in text or not text:
            raise InputError("there is no code in that address: copy the whole address the browser ended at")
        return text
    if fields.get("state", [state])[0] != state:
        raise InputError("that address belongs to another log-in: begin anew, and use the page this command names")
    return fields["code"][0]


def token_of_exchange(answer: Mapping[str, Any], now: int) -> Token:
    """Make a Token of the broker's answer to a code (it has no envelope). Raises InputError."""
    text = answer.get("access_token")
    if not isinstance(text, str):
        raise InputError("the broker answered the log-in without an access token: try again")
    return read_token(text, now, user_id=str(answer.get("user_id") or ""), origin="log-in")


class _Pushed(msgspec.Struct):
    """What the broker posts to the notifier address. Times are ms since the epoch, as text."""

    access_token: str
    client_id: str
    user_id: str = ""
    message_type: str = "access_token"
    expires_at: str | int = ""
    issued_at: str | int = ""


def pushed_token(body: bytes, client_id: str, now: int) -> Token:
    """Make a Token of what was posted to the notifier address. Raises InputError when it is not for us.

    The post carries no signature, so anybody who knows the address can send one: use the token only after the broker
    has confirmed whose it is.
    """
    try:
        pushed = from_json(body, _Pushed)
    except msgspec.MsgspecError:
        raise InputError("a post to the notifier address was not the broker's token message") from None
    if pushed.message_type != "access_token" or pushed.client_id != client_id:
        raise InputError("a post to the notifier address was not for this app")
    token = read_token(pushed.access_token, now, user_id=pushed.user_id, origin="token request")
    said = _ms(pushed.expires_at)
    return msgspec.structs.replace(token, expires_at=said or token.expires_at)


def _ms(value: str | int) -> int:
    """UTC ns of an epoch in ms that came as a number or as text; 0 for anything else."""
    return int(value) * _MS_NS if str(value).isdecimal() else 0


def request_summary(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Give (until when the person may approve, the registered notifier address) of the answer to a token request."""
    data = answer.get("data")
    fields = data if isinstance(data, Mapping) else {}
    until = _ms(str(fields.get("authorization_expiry", "")))
    return (ist_text(until) if until else "03:30 IST", str(fields.get("notifier_url", "")))
