"""The running daemon on one screen: session, money, what is held and worked, the busiest actors, what happened last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sos_actors.control.status import ActorView, DaemonStatus, FeedView
from sos_actors.decoding import converted
from sos_actors.errors import InputError
from sos_actors.market.rupees import NOTHING, grouped, rupees
from sos_actors.reports.formats import decimal
from sos_actors.reports.terminal import new_table

#: By what the actors can be ordered; those that failed or were taken out come first whatever it is.
ORDERS: dict[str, Callable[[ActorView], float]] = {
    "rate": lambda one: one.rate,
    "waiting": lambda one: one.waiting,
    "restarts": lambda one: one.restarts + one.failures,
    "slow": lambda one: one.p99_us or 0.0,
    "handled": lambda one: one.handled,
}
#: Rows of the screen that orders and events may take each, and the least the actors are left.
_FEW = 6
_LEAST = 5


def frame(status: Any, actors: Any, *, by: str = "rate", height: int = 0) -> RenderableType:
    """Draw what `status` and `actors` answered. `height`: lines of the screen, 0 for as many as it takes.

    Raises InputError for an order of the actors that is not there.
    """
    if by not in ORDERS:
        raise InputError(f"--sort {by}: write one of {', '.join(ORDERS)}")
    told = converted(status, DaemonStatus)
    parts: list[RenderableType] = [*_head(told), Text(), _feeds(told.feeds)]
    lines = 5 + len(told.differences) + max(1, len(told.feeds)) + 2
    for title, table, rows in (_positions(told), _orders(told)):
        parts += [Text(), Text(title, style="bold"), table if rows else Text("none", style="dim")]
        lines += 2 + (rows + 2 if rows else 1)
    events = _events(told)
    lines += 2 + len(events)
    room = max(_LEAST, height - lines - 5) if height else len(actors)
    parts += [Text(), *_cast(converted(actors, list[ActorView]), by, room)]
    return Group(*parts, Text(), Text("Last alerts", style="bold"), *events)


def _head(told: DaemonStatus) -> list[Text]:
    state = Text("ready", style="green")
    if not told.ready:
        state = Text("NOT READY: " + "; ".join(told.not_ready), style="bold red")
    trading = Text(told.trading or NOTHING, style="bold" if told.trading == "ACTIVE" else "bold red")
    mode = Text(told.mode, style="bold white on red" if "REAL" in told.mode else "bold")
    lines = [
        Text("  ").join([Text(told.now + " IST", style="bold"), mode, Text(told.phase or NOTHING), trading, state]),
        Text(
            f"session {told.session} since {told.started}   broker: {told.broker or NOTHING}"
            + (f"   token until {told.token_until}" if told.token_until else ""),
            style="dim",
        ),
        _money(told),
    ]
    paused = [f"{one.strategy or 'all'} {one.underlying}".strip() for one in told.restrictions
              if one.strategy or one.underlying]  # fmt: skip
    if paused:
        lines.append(Text("enters nothing: " + ", ".join(paused), style="yellow"))
    return lines + [Text(f"DIFFERS FROM THE BROKER: {one}", style="bold red") for one in told.differences]


def _money(told: DaemonStatus) -> Text:
    known = [one.unrealised for one in told.positions if one.unrealised is not None]
    held = sum(known) if known or not told.positions else None
    figures = (("realised (all days, before charges)", told.realised, True), ("open", held, True),
               ("equity", told.equity, False), ("cash", told.cash, False))  # fmt: skip
    line = Text()
    for name, amount, signed in figures:
        line.append(f"{name} ", style="dim")
        line.append_text(_signed(amount) if signed else Text(rupees(amount)))
        line.append("   ")
    return line


def _signed(amount: float | None) -> Text:
    if amount is None or not amount:
        return Text(rupees(amount))
    return Text(("+" if amount > 0 else "") + rupees(amount), style="green" if amount > 0 else "red")


def _feeds(feeds: Sequence[FeedView]) -> RenderableType:
    if not feeds:
        return Text("no market data yet", style="dim")
    table = new_table("market data", "state", "price", "age s", "contracts", "detail", left=2, fold="detail")
    for one in feeds:
        state = Text("live", style="green") if one.live else Text("STALE", style="bold red")
        table.add_row(
            one.underlying, state, decimal(one.price), decimal(one.age_s, 1), grouped(one.contracts), one.detail
        )
    return table


def _positions(told: DaemonStatus) -> tuple[str, Table, int]:
    table = new_table("contract", "strategy", "units", "entry", "now", "stop", "target", "P&L", left=2)
    for one in told.positions:
        table.add_row(
            one.instrument, one.strategy, grouped(one.quantity), *map(decimal, (one.entry, one.price, one.stop)),
            decimal(one.target), _signed(one.unrealised),
        )  # fmt: skip
    return f"Positions {len(told.positions)}", table, len(told.positions)


def _orders(told: DaemonStatus) -> tuple[str, Table, int]:
    table = new_table("order", "contract", "role", "side", "status", "units", "filled", "price", left=5)
    for one in told.orders[:_FEW]:
        table.add_row(
            one.order_id, one.instrument, one.role, one.side, one.status, grouped(one.quantity), grouped(one.filled),
            decimal(one.price),
        )  # fmt: skip
    more = f", {len(told.orders) - _FEW} not shown" if len(told.orders) > _FEW else ""
    return f"Working orders {len(told.orders)}{more}", table, min(len(told.orders), _FEW)


def _cast(actors: Sequence[ActorView], by: str, room: int) -> list[RenderableType]:
    key = ORDERS[by]
    there = [one for one in actors if one.state != "stopped"]
    ordered = sorted(there, key=lambda one: (one.state != "benched", -key(one), one.path))
    table = new_table("actor", "state", "group", "a second", "waiting", "handled", "restarts", "failures", "p50 us",
                      "p99 us", left=3, fold="actor")  # fmt: skip
    for one in ordered[:room]:
        style = "red" if one.state == "benched" else "yellow" if one.restarts or one.failures else ""
        table.add_row(
            one.path, one.state, one.group, decimal(one.rate, 1), grouped(one.waiting), grouped(one.handled),
            grouped(one.restarts), grouped(one.failures), decimal(one.p50_us, 0), decimal(one.p99_us, 0), style=style,
        )  # fmt: skip
    rate, restarts = sum(one.rate for one in there), sum(one.restarts for one in actors)
    said = f"Actors {len(there)}, by {by}: {grouped(round(rate))} messages a second, {restarts} restarts, "
    said += f"{sum(one.failures for one in actors)} failures, {len(actors) - len(there)} ended"
    return [Text(said, style="bold"), table]


def _events(told: DaemonStatus) -> list[Text]:
    lines = [Text(f"{one.at}  {one.who}: {one.what}", no_wrap=True, overflow="ellipsis")
             for one in told.events[:_FEW]]  # fmt: skip
    return lines or [Text("none", style="dim")]
