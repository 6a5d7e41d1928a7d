"""What the daemon says of itself: the answers to `status` and `actors`, and so the schema of both."""

from __future__ import annotations

import msgspec


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """The market data of one underlying. Ages in seconds; None where nothing came yet."""

    underlying: str
    live: bool
    detail: str = ""
    contracts: int = 0
    price: float | None = None
    age_s: float | None = None


class PositionView(msgspec.Struct, frozen=True, kw_only=True):
    """One open trade. `quantity` in signed units; prices in rupees; `unrealised` in rupees; None where unknown."""

    strategy: str
    instrument: str
    quantity: int
    entry: float | None = None
    price: float | None = None
    stop: float | None = None
    target: float | None = None
    unrealised: float | None = None
    since: str = ""


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """One order that has not ended. Quantities in units, `price` the limit or trigger in rupees."""

    order_id: str
    instrument: str
    side: str
    quantity: int
    filled: int
    status: str
    role: str
    price: float | None = None


class RestrictionView(msgspec.Struct, frozen=True, kw_only=True):
    """Who may not do everything: REDUCING lets nothing be entered, HALTED nothing at all. Both names '': everybody."""

    strategy: str
    underlying: str
    state: str


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """Something worth knowing that happened: a failure, an alert. `at` is Indian time."""

    at: str
    who: str
    what: str


class DaemonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon at a glance. Times are Indian, money rupees; `not_ready` says why nothing is entered now."""

    session: str
    mode: str
    now: str
    started: str
    phase: str
    ready: bool
    not_ready: list[str] = []
    trading: str = ""
    restrictions: list[RestrictionView] = []
    broker: str = ""
    token_until: str = ""
    equity: float | None = None
    cash: float | None = None
    realised: float | None = None
    feeds: list[FeedView] = []
    positions: list[PositionView] = []
    orders: list[OrderView] = []
    differences: list[str] = []
    events: list[EventView] = []


class ActorView(msgspec.Struct, frozen=True, kw_only=True):
    """One actor. `waiting` messages are in its group's mailbox; ages and waits in the unit the name says."""

    path: str
    kind: str
    group: str
    state: str
    handled: int
    waiting: int = 0
    rate: float = 0.0
    age_s: float | None = None
    restarts: int = 0
    failures: int = 0
    merged: int = 0
    p50_us: float | None = None
    p99_us: float | None = None
