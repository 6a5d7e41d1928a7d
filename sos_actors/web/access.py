"""Who may ask: the token, how often an address may ask, and which pages may ask in a browser's name."""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from sos_actors.errors import StorageError
from sos_actors.web.settings import LOOPBACK, WebSettings

#: Bytes of randomness in a token.
_RANDOM = 32
#: Seconds a confirmation that was asked for stays good.
CONFIRM_S = 30.0
#: Addresses whose requests are counted at once; the least recently seen are forgotten first.
_ADDRESSES = 1024


def web_token(home: Path, random: Callable[[int], str] = secrets.token_urlsafe) -> str:
    """Give the token of a home folder, `<home>/tokens/web` (mode 0600), making it at the first start.

    Raises StorageError when others may read it, or it cannot be written.
    """
    path = home / "tokens" / "web"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _read(path)
        text = random(_RANDOM)
        with os.fdopen(file, "w", encoding="ascii") as out:
            out.write(text + "\n")
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; the dashboard keeps its token there") from None
    return text


def _read(path: Path) -> str:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise StorageError(f"{path}: others may read the dashboard's token: remove the file, the next start makes anew")
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if len(text) < _RANDOM:
        raise StorageError(f"{path}: holds no token: remove the file, the next start makes one")
    return text


def same(given: str, token: str) -> bool:
    """Compare in a time that says nothing of the token."""
    return hmac.compare_digest(given.encode(errors="replace"), token.encode())


class Bucket:
    """So many a second on the average, so many at once; time (seconds) is handed in."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = burst, now

    def take(self, now: float) -> bool:
        """Take one; False when there is none left."""
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Limits:
    """A bucket for each address."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, max(burst, 1.0)  # below one a bucket would never give any
        self._buckets: dict[str, Bucket] = {}

    def take(self, address: str, now: float) -> bool:
        """Take one for an address; False when it asks too often."""
        bucket = self._buckets.pop(address, None) or Bucket(self._rate, self._burst, now)
        self._buckets[address] = bucket  # at the end again: the order is that of the last request
        if len(self._buckets) > _ADDRESSES:
            del self._buckets[next(iter(self._buckets))]
        return bucket.take(now)


class Hosts:
    """Names under which the server may be addressed: what a page elsewhere makes of our address is not among them."""

    def __init__(self, settings: WebSettings) -> None:
        self._names = LOOPBACK | {name.lower() for name in (settings.host, *settings.names)}
        #: Bound to every address: any address in figures will do, as only names can be turned elsewhere.
        self._any = settings.host in {"0.0.0.0", "::"}

    def good(self, host: str) -> bool:
        """Say whether a Host header is ours."""
        name = _name_of(host)
        return name in self._names or (self._any and _is_address(name))

    @staticmethod
    def same_page(origin: str | None, host: str) -> bool:
        """Say whether a request comes from a page of ours, or from no browser at all (no Origin)."""
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:  # a bracket that does not close
            return False
        return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # a bracket that does not close
        return ""


def _is_address(name: str) -> bool:
    return ":" in name or all(part.isdecimal() for part in name.split("."))


class Confirmations:
    """Second looks at orders that move real money: a word is given out, and must come back soon with the same order."""

    def __init__(self, random: Callable[[int], str] = secrets.token_hex) -> None:
        self._random = random
        self._given: dict[str, tuple[str, float]] = {}

    def ask(self, order: str, now: float) -> str:
        """Give the word for an order."""
        self._given = {word: one for word, one in self._given.items() if now - one[1] <= CONFIRM_S}
        word = self._random(4)
        self._given[word] = order, now
        return word

    def good(self, word: str, order: str, now: float) -> bool:
        """Say whether the word was given for this order and is fresh; it is good once."""
        asked, at = self._given.pop(word, ("", 0.0))
        return asked == order and now - at <= CONFIRM_S
