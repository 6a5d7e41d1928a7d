"""What the API stands on: something that knows a day, a cast, and perhaps takes orders. Plain data in and out."""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol

from sos_actors.control.status import DaemonStatus
from sos_actors.web.daybook import DayBook
from sos_actors.web.schema import About, ActorState, ActorTree, Edge, Maintenance, SessionRow, StrategyView

#: Orders a source may take, by the name they are asked for.
ORDERS = ("kill", "flatten", "pause", "resume", "stop", "start", "reinstate", "maintenance")


class Source(Protocol):
    """A running daemon, or something finished. Methods run on the web server's threads and wait for no actor.

    They raise InputError (a SosError) for what is not there.
    """

    def about(self) -> About:
        """Say what is looked at."""

    def real(self) -> bool:
        """Say whether orders move real money; known beforehand, so that an order waits for no answer."""

    def status(self) -> DaemonStatus:
        """Give it at a glance."""

    def book(self, day: dt.date | None = None, run: str = "") -> DayBook:
        """Give a day: the one under way, or the last, without a date; of a run where one is named."""

    def forming(self, instrument: str) -> Any:
        """Give the bar being built, [start, open, high, low, price]; None without one."""

    def actors(self) -> ActorTree:
        """Give the cast."""

    def actor(self, path: str) -> ActorState:
        """Give one of the cast."""

    def edges(self) -> list[Edge]:
        """Say who hears what."""

    def strategies(self) -> list[StrategyView]:
        """Say where every strategy stands."""

    def config(self) -> Any:
        """Give the configuration."""

    def runs(self) -> list[SessionRow]:
        """List what can be looked at besides stored days: see SessionRow."""

    def run_result(self, run: str) -> Any:
        """Give a run's result."""

    def find(self, text: str) -> list[dict[str, Any]]:
        """Give the instruments a text means."""

    def start_log(self) -> list[str]:
        """Give what was logged at the start."""

    def maintenance(self) -> Maintenance:
        """Say how long data is kept and how the database was found."""

    def order(self, name: str, **args: str) -> str:
        """Do one of ORDERS; gives what was done, in words."""
