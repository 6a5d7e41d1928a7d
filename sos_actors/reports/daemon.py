"""The running daemon as tables: its status, and its actors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from sos_actors.control.status import ActorView, DaemonStatus
from sos_actors.decoding import converted
from sos_actors.market.rupees import NOTHING, grouped, rupees
from sos_actors.reports.formats import decimal
from sos_actors.reports.terminal import console_on, new_table


def print_status(data: Any, file: TextIO) -> None:
    """Print what `status` answered."""
    status = converted(data, DaemonStatus)
    with console_on(file) as console:
        state = "ready" if status.ready else "NOT READY: " + "; ".join(status.not_ready)
        console.print(f"{status.now}  {status.mode}  {status.phase}  {status.trading}  {state}", style="bold")
        console.print(f"session {status.session}, started {status.started}, broker: {status.broker or NOTHING}")
        if status.token_until:
            console.print(f"access token until {status.token_until}")
        console.print(
            f"equity {rupees(status.equity)}  cash {rupees(status.cash)}  "
            f"realised {rupees(status.realised)} (all days, before charges)"
        )
        paused = [one for one in status.restrictions if one.strategy or one.underlying]
        if paused:
            said = (f"{one.strategy or 'all'} {one.underlying}".strip() + f" ({one.state})" for one in paused)
            console.print("enters nothing: " + ", ".join(said))
        for difference in status.differences:
            console.print(f"DIFFERS FROM THE BROKER: {difference}", style="bold red")
        for title, table in _tables(status):
            console.print()
            console.print(title, style="bold")
            console.print(table)


def _tables(status: DaemonStatus) -> list[tuple[str, Any]]:
    feeds = new_table("underlying", "feed", "detail", "contracts", "price", "age s", left=3, fold="detail")
    for feed in status.feeds:
        live = "live" if feed.live else "STALE"
        feeds.add_row(
            feed.underlying, live, feed.detail, grouped(feed.contracts), decimal(feed.price), decimal(feed.age_s, 1)
        )
    positions = new_table("position", "strategy", "units", "entry", "price", "stop", "target", "P&L", left=2)
    for one in status.positions:
        positions.add_row(
            one.instrument, one.strategy, grouped(one.quantity), *map(decimal, (one.entry, one.price, one.stop)),
            decimal(one.target), rupees(one.unrealised),
        )  # fmt: skip
    orders = new_table("order", "instrument", "role", "side", "status", "units", "filled", "price", left=5)
    for order in status.orders:
        orders.add_row(
            order.order_id, order.instrument, order.role, order.side, order.status, grouped(order.quantity),
            grouped(order.filled), decimal(order.price),
        )  # fmt: skip
    events = new_table("when", "who", "what", left=3, fold="what")
    for event in status.events:
        events.add_row(event.at, event.who, event.what)
    named = (
        ("Feeds", feeds, status.feeds),
        ("Positions", positions, status.positions),
        ("Working orders", orders, status.orders),
        ("Last events", events, status.events),
    )
    return [(title, table) for title, table, rows in named if rows]


def print_actors(data: Any, file: TextIO) -> None:
    """Print what `actors` answered: a row an actor, by group."""
    actors: Sequence[ActorView] = converted(data, list[ActorView])
    with console_on(file, pipe_width=200) as console:  # a line an actor, for grep
        table = new_table(
            "actor", "group", "state", "handled", "a second", "age s", "waiting", "merged", "restarts", "p50 us",
            "p99 us", left=3, fold="actor",
        )  # fmt: skip
        for one in actors:
            table.add_row(
                one.path, one.group, one.state, grouped(one.handled), decimal(one.rate, 1), decimal(one.age_s, 1),
                grouped(one.waiting), grouped(one.merged), grouped(one.restarts), decimal(one.p50_us, 0),
                decimal(one.p99_us, 0),
            )  # fmt: skip
        console.print(table)
