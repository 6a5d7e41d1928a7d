"""The daemon's recorded lives: what each one was, and what it told of a day.

Which life traded when is seen from the head and the end of its record; only what it told is read through.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sos_actors.decoding import from_json
from sos_actors.errors import InputError
from sos_actors.market.calendar import INDIA, regular_session
from sos_actors.market.clocktime import ist_date, midnight_ns
from sos_actors.market.ids import EXCHANGE_OF
from sos_actors.messages import (
    ActorReinstated,
    AlertRaised,
    Bar,
    ChainSnapshot,
    MarketStructure,
    OrderIntent,
    SessionPhase,
    SetTradingState,
    decode,
)
from sos_actors.runtime.journal.deliveries import heard
from sos_actors.runtime.journal.format import JournalError, SessionEnd, segments
from sos_actors.runtime.journal.glance import Glance, glance
from sos_actors.runtime.journal.reader import JournalReader
from sos_actors.runtime.journal.sessions import in_order
from sos_actors.web.daybook import WRITTEN

#: Fact of a daemon's session: what it was started with. A recorded backtest has another.
_LIVE = "live"
#: Kind of a life whose head cannot be read.
DAMAGED = "damaged"
_ONE_DAY = dt.timedelta(days=1)
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in WRITTEN}
#: By the beginning of a path: who hears what, where no observer looked on for the pages. Contracts' bars go to the
#: chain, the index's to both; all else is heard by one of them, or by many with the same content.
_HEARERS: dict[str, tuple[type, ...]] = {
    "chain/": (Bar,),
    "orders": (OrderIntent,),
    "structure/": (Bar, ChainSnapshot, SessionPhase),
    "strategy/": (MarketStructure,),
    "notifier": (ActorReinstated, AlertRaised, SetTradingState),
}
_OTHERWISE = {kind for kinds in _HEARERS.values() for kind in kinds}
_HEARERS["recorder"] = tuple(kind for kind in WRITTEN if kind not in _OTHERWISE)


class _Strategy(msgspec.Struct, frozen=True):
    """As much of a strategy as is shown."""

    pattern_id: str


class _Facts(msgspec.Struct, frozen=True):
    """As much of what a daemon was started with as is shown; see LiveFacts of daemon/sessions.py."""

    symbols: tuple[str, ...]
    mode: str
    config: dict[str, Any]
    playbook: tuple[tuple[_Strategy, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """One recorded life of the daemon. `kind` is live, paper or sandbox: where its orders went.

    `last` (UTC ns) is its end or, where it was cut off or still runs, its last delivery on disk. `watched`: an
    observer looked on. `problem` says why its head cannot be read; its kind is then DAMAGED and nothing else known.
    """

    name: str
    folder: Path
    size: int
    kind: str
    symbols: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    config_hash: str = ""
    code: str = ""
    watched: bool = False
    began: int = 0
    last: int = 0
    end: SessionEnd | None = None
    problem: str = ""

    def days(self) -> list[dt.date]:
        """Give the days in whose trading hours it lived, by the calendar's tables."""
        first, last = ist_date(self.began), ist_date(self.last)
        span = (first + n * _ONE_DAY for n in range((last - first).days + 1))
        return [day for day in span if any(self.began < b and self.last > a for a, b in self._hours(day))]

    def _hours(self, day: dt.date) -> list[tuple[int, int]]:
        try:
            found = INDIA.sessions(EXCHANGE_OF.get(self.symbols[0], "NSE") if self.symbols else "NSE", day)
        except InputError:  # a year the tables do not know
            found = () if day.weekday() >= 5 else (regular_session(day),)
        return [(one.open_ns, one.close_ns) for one in found]


def kind_of(mode: str) -> str:
    """Give the kind of a life from its mode, as a daemon's status says it: 'live' is real money."""
    return "live" if mode == "REAL MONEY" else mode.lower()


class Lives:
    """The lives recorded under a folder. A head is read once, and again when the record has grown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Life | None] = {}
        self._sizes: dict[str, int] = {}

    def all(self) -> list[Life]:
        """Give every life in the order they were begun; recorded backtests are none. Safe on any thread."""
        found: dict[str, Life | None] = {}
        for folder in in_order(self._folder):
            try:
                size = sum(path.stat().st_size for _, path in segments(folder))
                known = self._known.get(folder.name)
                same = folder.name in self._known and self._sizes.get(folder.name) == size
                found[folder.name] = known if same else _life(folder, size)
                self._sizes[folder.name] = size
            except OSError:  # deleted at this moment
                continue
        self._known = found
        return [one for one in found.values() if one is not None]


def _life(folder: Path, size: int) -> Life | None:
    """Give the life recorded in a folder; None where it is no daemon's."""
    try:
        seen = glance(folder)
        if _LIVE not in seen.header.facts:
            return None
        facts = from_json(seen.header.facts[_LIVE], _Facts)
    except (JournalError, msgspec.MsgspecError) as error:
        return Life(folder.name, folder, size, DAMAGED, problem=str(error))
    return _known_life(folder, size, seen, facts)


def _known_life(folder: Path, size: int, seen: Glance, facts: _Facts) -> Life:
    config = msgspec.json.encode(facts.config, order="sorted")  # as Config.fingerprint takes it
    web = facts.config.get("web", {})
    return Life(
        folder.name, folder, size, kind_of(facts.mode), facts.symbols,
        tuple(strategy.pattern_id for strategy, _ in facts.playbook),
        hashlib.blake2b(config, digest_size=8).hexdigest(), seen.header.code, bool(web.get("enabled")),
        seen.header.opened, seen.last, seen.end,
    )  # fmt: skip


def told(life: Life, day: dt.date, leave_out: Collection[type] = ()) -> Iterator[tuple[int, Any]]:
    """Give what a day's book is made of, as a life told it on that day: (UTC ns, message), without some kinds.

    Raises JournalError where the record is damaged, after what is whole; OSError where it is gone.
    """
    unwanted = {kind.__name__ for kind in leave_out}
    begin, end = midnight_ns(day), midnight_ns(day + _ONE_DAY)

    def wanted(path: str) -> frozenset[str]:
        if life.watched:
            return frozenset(_KINDS) - unwanted if path == "observer" else frozenset()
        kinds = next((kinds for head, kinds in _HEARERS.items() if path.startswith(head)), ())
        return frozenset(kind.__name__ for kind in kinds) - unwanted

    for now, kind, body in heard(JournalReader(life.folder, begin), wanted):
        if now >= end:
            return
        if now >= begin:
            yield now, decode(body, _KINDS[kind])
