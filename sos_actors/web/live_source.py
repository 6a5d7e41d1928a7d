"""The API over a running stage: published snapshots, the observer's book, and orders by way of control messages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sos_actors.control.status import DaemonStatus
from sos_actors.decoding import converted
from sos_actors.errors import InputError
from sos_actors.web.archive import Archive
from sos_actors.web.daybook import DayBook
from sos_actors.web.redact import redacted
from sos_actors.web.schema import About, ActorState, ActorTree, Edge, Maintenance, SessionRow, StrategyView
from sos_actors.web.source import ORDERS
from sos_actors.web.stage import Stage

_MACHINE = (
    "phase", "phase_number", "phases", "bars_waited", "timeout", "captured", "waiting_for", "met", "stance",
    "signals_today", "declined",
)  # fmt: skip


class Keeper(Protocol):
    """Who looks after the market database; see upkeep.py."""

    def state(self) -> Maintenance:
        """Say how long data is kept and what the last look found."""

    def run(self) -> str:
        """Look it over and delete what is too old; gives what was done, in words."""


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What the source of a running stage is made of. `config` is the configuration as plain data.

    `secrets` are texts that must not leave wherever they stand: asked for anew each time, as tokens change.
    """

    stage: Stage
    underlyings: Sequence[str]
    config: Mapping[str, Any]
    archive: Archive | None = None
    keeper: Keeper | None = None
    kind: str = "live"
    title: str = "SOS Actors"
    real: bool = False
    version: str = ""
    secrets: Callable[[], Sequence[str]] = tuple


class LiveSource:
    """Reads what the stage publishes. Nothing is put into an actor's mailbox but the orders of the operator."""

    def __init__(self, parts: LiveParts) -> None:
        self._parts, self._stage = parts, parts.stage

    def about(self) -> About:
        """Say what is looked at."""
        parts = self._parts
        archive = parts.archive
        return About(
            kind=parts.kind,
            title=parts.title,
            mode=self._stage.status().mode,
            real=parts.real,
            underlyings=list(parts.underlyings),
            days=[] if archive is None else archive.days(),
            runs=[] if archive is None else archive.runs(),
            day=str(self._stage.book().day or ""),
            version=parts.version,
        )

    def real(self) -> bool:
        """Say whether orders move real money."""
        return self._parts.real

    def status(self) -> DaemonStatus:
        """Give the daemon at a glance."""
        return self._stage.status()

    def book(self, day: dt.date | None = None, run: str = "") -> DayBook:
        """Give today's book; of another day, or of a stored run, the archive's."""
        today = self._stage.book()
        if not run and (day is None or day == today.day):
            return today
        if self._parts.archive is None:
            raise InputError(f"{day}: only {today.day} can be seen here; there is no market database")
        return self._parts.archive.book(day, run)

    def forming(self, instrument: str) -> Any:
        """Give the bar being built, as the bar actor last said."""
        path = f"bar/{instrument}"
        return self._stage.snapshots(path).get(path, {}).get("forming")

    def actors(self) -> ActorTree:
        """Give the cast, read from outside."""
        tree = self._stage.tree()
        return ActorTree(
            now=tree["now"], groups=tree["groups"], actors=tree["actors"], stages=tree["stages"],
            dead_letters=self._clean(self._stage.letters()), dead_letters_total=tree["dead_letters"],
        )  # fmt: skip

    def actor(self, path: str) -> ActorState:
        """Give what an actor last published of itself."""
        stage = self._stage
        messages = self._clean(stage.tail(path))
        edges = self.edges()
        return ActorState(
            path=path,
            state=self._clean(stage.snapshots(path).get(path, {})),
            hears=[one for one in edges if one.actor == path],
            tells=[one for one in edges if path in one.senders],
            messages=messages,
            dead_letters=self._clean(stage.letters(path)),
        )

    def edges(self) -> list[Edge]:
        """Say who hears what from whom, the busiest first."""
        found = [converted(one, Edge) for one in self._stage.hearers()]
        return sorted(found, key=lambda edge: (-edge.handled, edge.actor, edge.message))

    def strategies(self) -> list[StrategyView]:
        """Say where every strategy stands, and what it made today."""
        book, status, views = self._stage.book(), self._stage.status(), []
        said = self._stage.snapshots("strategy/")
        for path, state in self._stage.strategies():
            _, underlying, name = path.split("/", 2)
            held = {one.underlying for one in status.restrictions if one.strategy in {"", name}}
            trades = [t for t in list(book.trades) if t.strategy == name and t.underlying == underlying]
            told = {key: value for key, value in said.get(path, {}).items() if key in _MACHINE}
            views.append(
                StrategyView(
                    path=path,
                    strategy=name,
                    underlying=underlying,
                    state=state,
                    paused="" in held or underlying in held,
                    trades=len(trades),
                    net=sum(trade.net_paise for trade in trades) / 100,
                    unrealised=sum(p.unrealised or 0.0 for p in status.positions
                                   if p.strategy == name and f"|{underlying}|" in p.instrument),
                    **told,
                )
            )  # fmt: skip
        return views

    def config(self) -> Any:
        """Give the configuration without secrets."""
        return self._clean(self._parts.config)

    def runs(self) -> list[SessionRow]:
        """List the past runs."""
        return [] if self._parts.archive is None else self._parts.archive.rows()

    def run_result(self, run: str) -> Any:
        """Give a past run's result."""
        if self._parts.archive is None:
            raise InputError("there are no stored runs here")
        return self._parts.archive.result(run)

    def find(self, text: str) -> list[dict[str, Any]]:
        """Give the instruments a text means."""
        return self._stage.find(text)

    def start_log(self) -> list[str]:
        """Give what was logged at the start."""
        found: list[str] = self._clean(self._stage.start_log())
        return found

    def maintenance(self) -> Maintenance:
        """Say how long data is kept and how the database was found."""
        return self._keeper().state()

    def order(self, name: str, **args: str) -> str:
        """Send a control message, or look after the database."""
        if name not in ORDERS:
            raise InputError(f"'{name}' is no order: there are {', '.join(ORDERS)}")
        if name == "maintenance":
            return self._keeper().run()
        return self._stage.order(name, **{key: value for key, value in args.items() if value})

    def _keeper(self) -> Keeper:
        if self._parts.keeper is None:
            raise InputError("there is no market database here to look after")
        return self._parts.keeper

    def _clean(self, value: Any) -> Any:
        return redacted(value, self._parts.secrets())
