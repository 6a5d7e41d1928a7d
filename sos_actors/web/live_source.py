"""The API over a running stage: published snapshots, the observer's book, and orders by way of control messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sos_actors.control.status import DaemonStatus
from sos_actors.errors import InputError
from sos_actors.runtime import LiveRuntime
from sos_actors.runtime.tree import hearers
from sos_actors.web.archive import Archive
from sos_actors.web.daybook import DayBook
from sos_actors.web.letters import letters_of
from sos_actors.web.redact import redacted
from sos_actors.web.schema import About, ActorState, ActorTree, Edge, StrategyView
from sos_actors.web.source import ORDERS

#: Dead letters listed, of all and of one actor.
_LETTERS = 50
_MACHINE = (
    "phase", "phase_number", "phases", "bars_waited", "timeout", "captured", "waiting_for", "stance", "signals_today",
    "declined",
)  # fmt: skip


class Operations(Protocol):
    """What may be asked of the daemon and what it may be told; see daemon/operations.py."""

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""

    def kill(self, reason: str = ...) -> str:
        """Stop trading and close everything."""

    def flatten(self, strategy: str = ...) -> str:
        """Close positions."""

    def pause(self, strategy: str = ...) -> str:
        """Let nothing be entered."""

    def resume(self, strategy: str = ...) -> str:
        """Undo a pause or a kill."""


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What the source of a running stage is made of. `config` is the configuration as plain data.

    `secrets` are texts that must not leave wherever they stand: asked for anew each time, as tokens change.
    """

    runtime: LiveRuntime
    operations: Operations
    book: Callable[[], DayBook]
    underlyings: Sequence[str]
    config: Mapping[str, Any]
    archive: Archive | None = None
    kind: str = "live"
    title: str = "SOS Actors"
    real: bool = False
    version: str = ""
    secrets: Callable[[], Sequence[str]] = field(default=lambda: ())


class LiveSource:
    """Reads what the stage publishes. Nothing is put into an actor's mailbox but the orders of the operator."""

    def __init__(self, parts: LiveParts) -> None:
        self._parts = parts
        self._paused: set[str] = set()

    def about(self) -> About:
        """Say what is looked at."""
        parts = self._parts
        archive = parts.archive
        return About(
            kind=parts.kind,
            title=parts.title,
            mode=parts.operations.status().mode,
            real=parts.real,
            underlyings=list(parts.underlyings),
            days=[] if archive is None else archive.days(),
            runs=[] if archive is None else archive.runs(),
            day=str(parts.book().day or ""),
            version=parts.version,
        )

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""
        return self._parts.operations.status()

    def book(self, day: dt.date | None = None, run: str = "") -> DayBook:
        """Give today's book; of another day, or of a stored run, the archive's."""
        today = self._parts.book()
        if not run and (day is None or day == today.day):
            return today
        if self._parts.archive is None:
            raise InputError(f"{day}: only {today.day} can be seen here; there is no market database")
        return self._parts.archive.book(day, run)

    def forming(self, instrument: str) -> Any:
        """Give the bar being built, as the bar actor last said."""
        return self._parts.runtime.snapshots.get(f"bar/{instrument}", {}).get("forming")

    def actors(self) -> ActorTree:
        """Give the cast, read from outside."""
        tree = self._parts.runtime.tree()
        return ActorTree(
            now=tree["now"], groups=tree["groups"], actors=tree["actors"], stages=tree["stages"],
            dead_letters=self._letters(), dead_letters_total=tree["dead_letters"],
        )  # fmt: skip

    def actor(self, path: str) -> ActorState:
        """Give what an actor last published of itself."""
        runtime = self._parts.runtime
        if path not in set(runtime):
            raise InputError(f"there is no actor '{path}'")
        heard = [one for one in hearers(runtime) if one["actor"] == path]
        return ActorState(
            path=path,
            state=redacted(runtime.snapshots.get(path, {}), self._parts.secrets()),
            hears=sorted(heard, key=lambda one: -one["handled"]),
            dead_letters=self._letters(path),
        )

    def edges(self) -> list[Edge]:
        """Say who hears what, the busiest first."""
        found = [Edge(**one) for one in hearers(self._parts.runtime)]
        return sorted(found, key=lambda edge: (-edge.handled, edge.actor, edge.message))

    def strategies(self) -> list[StrategyView]:
        """Say where every strategy stands, and what it made today."""
        runtime, book = self._parts.runtime, self._parts.book()
        positions = self.status().positions
        views = []
        for one in runtime.stats():
            if not one.path.startswith("strategy/"):
                continue
            said = runtime.snapshots.get(one.path, {})
            _, underlying, name = one.path.split("/", 2)
            trades = [t for t in list(book.trades) if t.strategy == name and t.underlying == underlying]
            told = {key: said[key] for key in _MACHINE if key in said}
            views.append(
                StrategyView(
                    path=one.path,
                    strategy=name,
                    underlying=underlying,
                    state="benched" if one.benched else "stopped" if one.stopped else "on",
                    paused=name in self._paused or "" in self._paused,
                    trades=len(trades),
                    net=sum(trade.net_paise for trade in trades) / 100,
                    unrealised=sum(p.unrealised or 0.0 for p in positions if p.strategy == name),
                    **told,
                )
            )
        return views

    def config(self) -> Any:
        """Give the configuration without secrets."""
        return redacted(self._parts.config, self._parts.secrets())

    def run_result(self, run: str) -> Any:
        """Give a stored run's result."""
        if self._parts.archive is None:
            raise InputError("there are no stored runs here")
        return self._parts.archive.result(run)

    def order(self, name: str, **args: str) -> str:
        """Send a control message."""
        if name not in ORDERS:
            raise InputError(f"'{name}' is no order: there are {', '.join(ORDERS)}")
        done: str = getattr(self._parts.operations, name)(**{key: value for key, value in args.items() if value})
        strategy = args.get("strategy", "")
        if name in {"pause", "kill"}:
            self._paused.add(strategy)
        elif name == "resume":
            self._paused.discard(strategy)
        return done

    def _letters(self, path: str = "") -> list[dict[str, Any]]:
        return letters_of(self._parts.runtime.dead_letters, self._parts.secrets(), path=path, most=_LETTERS)
