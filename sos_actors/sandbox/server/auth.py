"""Codes and access tokens: who may come in, and until when."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from typing import Any

import msgspec
import numpy as np

from sos_actors.market.clocktime import SECOND_NS, ist_date, ist_ns
from sos_actors.sandbox.exchange.answers import Refusal
from sos_actors.sandbox.exchange.gate import Token
from sos_actors.sandbox.server.settings import AppSettings

#: Every token dies at this time of the day, IST.
DEATH = "03:30"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def death_of(now_ns: int) -> int:
    """UTC ns at which a token issued at `now_ns` dies: the next 03:30 IST."""
    day = ist_date(now_ns)
    today = ist_ns(day, DEATH)
    return today if now_ns < today else ist_ns(day + dt.timedelta(days=1), DEATH)


class Tokens:
    """Issues and checks tokens, signed with a key that follows from the seed: they outlive a restart of the sandbox."""

    def __init__(self, app: AppSettings, user_id: str, seed: int, rng: np.random.Generator) -> None:
        self._app, self._user, self._rng = app, user_id, rng
        self._key = hashlib.blake2b(f"sandbox {seed}".encode(), digest_size=32).digest()
        self._codes: dict[str, str] = {}
        self._dead_before = -1
        self._revoked: set[str] = set()
        self._issued = 0

    def issue(self, now_ns: int) -> str:
        """Make a token that dies at the next 03:30 IST of the sandbox's clock."""
        self._issued += 1
        claims = {
            "sub": self._user,
            "jti": f"{self._issued}-{now_ns}",
            "isMultiClient": False,
            "isPlusPlan": self._app.plus,
            "iat": now_ns // SECOND_NS,
            "iss": "udapi-gateway-service",
            "exp": death_of(now_ns) // SECOND_NS,
        }
        head = _packed({"typ": "JWT", "alg": "HS256"}) + "." + _packed(claims)
        return f"{head}.{self._signature(head)}"

    def check(self, header: str, now_ns: int) -> Token:
        """Tell what kind of token an Authorization header carries; NONE for a missing, wrong or dead one."""
        kind, _, token = header.partition(" ")
        head, _, signature = token.strip().rpartition(".")
        if kind.lower() != "bearer" or not hmac.compare_digest(signature.encode(), self._signature(head).encode()):
            return Token.NONE
        claims = msgspec.json.decode(_unpacked(head.split(".")[1]))
        number, _, issued = str(claims["jti"]).partition("-")
        dead = now_ns >= claims["exp"] * SECOND_NS or int(issued) <= self._dead_before or token in self._revoked
        return Token.NONE if dead or not number else Token.DAILY

    def revoke(self, header: str) -> None:
        """Log the bearer of a header out."""
        self._revoked.add(header.partition(" ")[2].strip())

    def kill_all(self, now_ns: int) -> None:
        """Let every token issued up to now be dead."""
        self._dead_before = now_ns

    def code(self, client_id: str, redirect_uri: str) -> str:
        """Give a one-time code for an app; raises Refusal 100068."""
        if client_id != self._app.client_id or not redirect_uri or redirect_uri != self._redirect(redirect_uri):
            raise Refusal("100068", "Check your 'client_id' and 'redirect_uri'; one or both are incorrect.")
        made = "".join(_LETTERS[i] for i in self._rng.integers(len(_LETTERS), size=6))
        self._codes[made] = redirect_uri
        return made

    def exchange(self, form: dict[str, str], now_ns: int) -> str:
        """Give a token for a code, which is used up even when this fails; raises Refusal."""
        issued_for = self._codes.pop(form.get("code", ""), None)
        self.check_app(form.get("client_id", ""), form.get("client_secret", ""))
        redirect = form.get("redirect_uri", "")
        if issued_for is None:
            raise Refusal("100057", "Invalid Auth code", status=401)
        if form.get("grant_type") != "authorization_code":
            raise Refusal("100036", "grant_type must be authorization_code", path="grant_type")
        if redirect != issued_for:
            raise Refusal("100070", "The 'redirect_uri' is incorrect", path="redirect_uri", value=redirect)
        return self.issue(now_ns)

    def check_app(self, client_id: str, secret: str) -> None:
        """Check id and secret of the app; raises Refusal 100069."""
        known = client_id == self._app.client_id
        if not hmac.compare_digest(secret.encode(), self._app.client_secret.encode()) or not known:
            raise Refusal("100069", "Check your 'client_id' and 'client_secret'; one or both are incorrect", status=401)

    def _redirect(self, given: str) -> str:
        return self._app.redirect_uri or given

    def _signature(self, head: str) -> str:
        return _text(hmac.new(self._key, head.encode(), hashlib.sha256).digest())


def _packed(value: dict[str, Any]) -> str:
    return _text(msgspec.json.encode(value))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
