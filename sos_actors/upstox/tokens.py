"""The access token: where it comes from, where it is kept, when it dies.

A token is a JSON Web Token that dies at 03:30 IST after it was issued, whatever the hour of issue. It is looked for in
this order, the first that is alive, so that a server can be given one without logging in on it:

1. `$SOS_UPSTOX_TOKEN`
2. the file `$SOS_UPSTOX_TOKEN_FILE`
3. the systemd credential `upstox-token` (`LoadCredential=`; systemd names the folder in `$CREDENTIALS_DIRECTORY`)
4. the token store `<home>/tokens/upstox.json`, which `run_actors.py login` writes (mode 0600)

To a daemon that runs, what is written there anew goes first (`daemon/token_watch.py`).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import os
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from sos_actors.decoding import from_json
from sos_actors.errors import InputError
from sos_actors.logs import hide
from sos_actors.market.clocktime import DAY_NS, SECOND_NS, ist_day, ist_ns, ist_text

#: Time of day at which every token dies (Upstox, "Authentication").
DEATH = "03:30"
CREDENTIAL = "upstox-token"
_LOGIN = "log in with `python run_actors.py login`"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """One access token. Times UTC ns. Its text appears nowhere but in `secret`: not in repr, not in the log."""

    secret: str
    user_id: str = ""
    issued_at: int = 0
    expires_at: int
    origin: str = ""

    def __repr__(self) -> str:
        return f"Token(user_id={self.user_id!r}, expires_at={ist_text(self.expires_at)!r}, origin={self.origin!r})"

    def alive(self, now: int) -> bool:
        """Say whether it still works at `now` (UTC ns)."""
        return now < self.expires_at


class _Claims(msgspec.Struct):
    """What a token says of itself; every field may be absent."""

    exp: int = 0
    iat: int = 0
    sub: str = ""


def next_death(now: int) -> int:
    """Give the next 03:30 IST after `now` (UTC ns): when a token issued now dies."""
    at = ist_ns(dt.date(1970, 1, 1), DEATH) + int(ist_day(now)) * DAY_NS
    return at if now < at else at + DAY_NS


def read_token(text: str, now: int, *, user_id: str = "", origin: str = "") -> Token:
    """Make a Token of its text, and keep the text out of the log. Raises InputError when it cannot be one.

    Expiry is what the token says (`exp`), else the next 03:30 IST. A token we cannot look into is taken as it is: the
    broker will say.
    """
    secret = text.strip()
    if len(secret) < 8 or any(c.isspace() for c in secret):
        raise InputError(f"the access token{_of(origin)} is no token (it is empty, short or has blanks): {_LOGIN}")
    hide(secret)
    claims = _claims(secret)
    return Token(
        secret=secret,
        user_id=user_id or claims.sub,
        issued_at=claims.iat * SECOND_NS or now,
        expires_at=claims.exp * SECOND_NS or next_death(now),
        origin=origin,
    )


def _of(origin: str) -> str:
    return f" of {origin}" if origin else ""


def _claims(secret: str) -> _Claims:
    parts = secret.split(".")
    if len(parts) != 3:
        return _Claims()
    try:
        body = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return from_json(body, _Claims)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return _Claims()


class TokenStore:
    """The file a login leaves its token in. Only its owner may read it."""

    def __init__(self, home: Path) -> None:
        self.path = home / "tokens" / "upstox.json"

    def save(self, token: Token) -> None:
        """Write the token: wholly or not at all."""
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        scratch = self.path.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(token))
            file.flush()
            os.fsync(descriptor)
        scratch.replace(self.path)

    def load(self) -> Token | None:
        """Read the token; None where nobody has logged in. Raises InputError when the file is not to be trusted."""
        try:
            mode = self.path.stat().st_mode
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        if mode & 0o077:
            raise InputError(f"{self.path}: others may read it (mode {mode & 0o777:o}): `chmod 600` it and log in anew")
        try:
            token = from_json(raw, Token)
        except msgspec.MsgspecError:
            raise InputError(f"{self.path}: is not a token file: delete it and {_LOGIN}") from None
        hide(token.secret)
        return msgspec.structs.replace(token, origin=str(self.path))

    def forget(self) -> bool:
        """Delete the token; False when there was none."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True


def find_token(
    home: Path, now: int, environ: Mapping[str, str] | None = None, *, refused: Collection[str] = ()
) -> Token | None:
    """Give the first token that is alive at `now`; else the first dead one; None where no place has any.

    One of those the broker has `refused` counts as dead, whatever it says of itself. Raises InputError for a place that
    cannot be read.
    """
    env = os.environ if environ is None else environ
    first: Token | None = None
    for find in (_from_variable, _from_named_file, _from_credential):
        token = find(env, now)
        if token is not None and token.alive(now) and token.secret not in refused:
            return token
        first = first or token
    stored = TokenStore(home).load()
    good = stored is not None and stored.alive(now) and stored.secret not in refused
    return stored if stored is not None and (first is None or good) else first


def _from_variable(env: Mapping[str, str], now: int) -> Token | None:
    text = env.get("SOS_UPSTOX_TOKEN")
    return read_token(text, now, origin="$SOS_UPSTOX_TOKEN") if text else None


def _from_named_file(env: Mapping[str, str], now: int) -> Token | None:
    name = env.get("SOS_UPSTOX_TOKEN_FILE")
    return _from_file(Path(name), now, "$SOS_UPSTOX_TOKEN_FILE") if name else None


def _from_credential(env: Mapping[str, str], now: int) -> Token | None:
    """Read what systemd was told to load; "-" is the unit's way to say that there is none."""
    folder = env.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder or "") / CREDENTIAL
    if not folder or not credential.exists() or credential.read_bytes().strip() in {b"", b"-"}:
        return None
    return _from_file(credential, now, f"the systemd credential {CREDENTIAL}")


def _from_file(path: Path, now: int, origin: str) -> Token:
    """Read a file that holds a bare token, or what a login stored."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{origin}: {path}: cannot be read: {error.strerror}") from None
    if raw.lstrip().startswith(b"{"):
        try:
            stored = from_json(raw, Token)
        except msgspec.MsgspecError:
            raise InputError(f"{origin}: {path}: is not a token file: {_LOGIN}") from None
        return read_token(stored.secret, now, user_id=stored.user_id, origin=origin)
    return read_token(raw.decode(errors="replace"), now, origin=origin)


def live_token(home: Path, now: int, environ: Mapping[str, str] | None = None) -> Token:
    """Give a token that still works; raises InputError that says how to get one."""
    token = find_token(home, now, environ)
    if token is None:
        raise InputError(f"nobody is logged in at the broker: {_LOGIN}")
    if not token.alive(now):
        died = ist_text(token.expires_at)
        raise InputError(f"the access token{_of(token.origin)} died at {died} (every token dies at {DEATH}): {_LOGIN}")
    return token
