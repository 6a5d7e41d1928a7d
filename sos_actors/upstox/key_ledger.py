"""What is wanted of the market feed, what was asked for on each connection, and what stays silent: no I/O.

The broker confirms nothing: a request can be lost and a wrong key is simply silent. So what is wanted is compared with
what was sent on this very connection, and what was sent with what came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sos_actors.market.clocktime import SECOND_NS

#: Mode -> most keys of one connection, alone and when modes are mixed (the broker's documentation of February 2026).
_LIMITS = {"ltpc": (5_000, 2_000), "option_greeks": (3_000, 2_000), "full": (2_000, 1_500)}
#: full_d30 is of Upstox Plus. Its documented 1,500 in mixed use is more than it may have alone: 50 holds always.
_PLUS_LIMITS = {**_LIMITS, "full_d30": (50, 50)}
#: A key that stays silent is asked for again after 1, 2, 4, ... times the configured wait, up to this power of two.
_MOST_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class Request:
    """One request frame: `method` is 'sub' or 'unsub' ('mode' is then '')."""

    method: str
    mode: str
    keys: tuple[str, ...]


@dataclass(slots=True)
class _Asked:
    mode: str
    first: int
    last: int
    times: int = 1


class KeyLedger:
    """The keys of one connection. `want` may be called from any thread; everything else from one.

    Times are integer ns of one clock, the same that stamps `heard`.
    """

    def __init__(self, chunk: int, silent_s: float) -> None:
        """`chunk`: most keys in a request. `silent_s`: after that long without a word a key is asked for again."""
        self._chunk = chunk
        self._patience = round(silent_s * SECOND_NS)
        self._wanted: Mapping[str, str] = {}
        self._asked: dict[str, _Asked] = {}
        self.repeated = 0

    @property
    def wanted(self) -> Mapping[str, str]:
        """Key -> mode of what is wanted."""
        return self._wanted

    def want(self, wanted: Mapping[str, str]) -> None:
        """Replace what is wanted: key -> mode."""
        self._wanted = dict(wanted)

    def connected(self) -> None:
        """Begin a new connection: nothing was asked for on it yet."""
        self._asked.clear()

    def due(self, now: int, heard: Mapping[str, int]) -> list[Request]:
        """Give the requests to send now; each counts as sent only when `sent` says so."""
        wanted, asked = self._wanted, self._asked
        gone = [key for key, old in asked.items() if wanted.get(key) != old.mode]
        fresh = [key for key in wanted if key not in asked or asked[key].mode != wanted[key]]
        again = [key for key in self.silent(heard) if self._overdue(asked[key], now)]
        requests = [Request("unsub", "", keys) for keys in self._chunks(gone)]
        for mode in sorted(set(wanted.values())):
            of_mode = [key for key in (*fresh, *again) if wanted[key] == mode]
            requests += [Request("sub", mode, keys) for keys in self._chunks(of_mode)]
        return requests

    def sent(self, request: Request, now: int) -> None:
        """Note that a request went out."""
        for key in request.keys:
            old = self._asked.pop(key, None)
            if request.method == "unsub":
                continue
            if old is not None and old.mode == request.mode:
                self.repeated += 1
                self._asked[key] = _Asked(old.mode, old.first, now, old.times + 1)
            else:
                self._asked[key] = _Asked(request.mode, now, now)

    def silent(self, heard: Mapping[str, int]) -> list[str]:
        """Give the keys that were asked for on this connection, are still wanted, and have not said a word since."""
        wanted = self._wanted
        return [
            key
            for key, asked in self._asked.items()
            if heard.get(key, -1) < asked.first and wanted.get(key) == asked.mode
        ]

    def overdue(self, now: int, heard: Mapping[str, int]) -> list[str]:
        """Give the silent keys whose snapshot should have come by now."""
        return [key for key in self.silent(heard) if now - self._asked[key].first >= self._patience]

    def _overdue(self, asked: _Asked, now: int) -> bool:
        return now - asked.last >= self._patience << min(asked.times - 1, _MOST_DOUBLINGS)

    def _chunks(self, keys: Sequence[str]) -> list[tuple[str, ...]]:
        return [tuple(keys[i : i + self._chunk]) for i in range(0, len(keys), self._chunk)]


def allocate(
    wanted: Iterable[tuple[str, str]], before: Sequence[Mapping[str, str]], connections: int, *, plus: bool
) -> tuple[list[dict[str, str]], list[str]]:
    """Distribute (key, mode), most important first, over at most `connections` connections.

    A key stays on the connection where it was `before`; others fill the first connection that has room. Gives key ->
    mode of each connection, as many as are needed (never fewer than before), and the keys that fit nowhere.
    """
    limits = _PLUS_LIMITS if plus else _LIMITS
    home = {key: n for n, keys in enumerate(before) for key in keys}
    placed: list[dict[str, str]] = [{} for _ in range(max(len(before), 1))]
    counts: list[Counter[str]] = [Counter() for _ in placed]
    left: list[str] = []
    for key, mode in wanted:
        old = home.get(key)
        places = range(len(placed)) if old is None else (old, *(n for n in range(len(placed)) if n != old))
        place = next((n for n in places if _fits(counts[n], mode, limits)), -1)
        if place < 0 and len(placed) < connections and mode in limits:
            placed.append({})
            counts.append(Counter())
            place = len(placed) - 1
        if place < 0:
            left.append(key)
        else:
            placed[place][key] = mode
            counts[place][mode] += 1
    return placed, left


def _fits(counts: Counter[str], mode: str, limits: Mapping[str, tuple[int, int]]) -> bool:
    """Say whether one more key of this mode stays within a connection's limits."""
    if mode not in limits:
        return False
    mixed = any(other != mode for other in counts)
    return counts[mode] < limits[mode][mixed] and (
        bool(counts[mode]) or all(counts[other] <= limits[other][1] for other in counts)
    )
