"""sandbox: the local exchange."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sos_actors.cli import options
from sos_actors.errors import InputError
from sos_actors.market.rupees import rupees

if TYPE_CHECKING:
    from sos_actors.sandbox.days import MarketDays
    from sos_actors.sandbox.server.app import SandboxServer
    from sos_actors.sandbox.server.service import Service
    from sos_actors.sandbox.server.settings import ServerSettings

#: Real seconds between status lines on a terminal.
_TELL_S = 1.0


def sandbox(
    port: Annotated[int | None, typer.Option("--port", help="Port; 0 takes a free one")] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="Sandbox seconds a real second")] = None,
    start: Annotated[
        str, typer.Option("--start", help="Sandbox time to start at, e.g. 2026-11-20T09:10:00+05:30")
    ] = "",
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of market, queues and faults")] = None,
    symbols: Annotated[str, typer.Option("--symbols", help="Underlyings, comma-separated")] = "",
    recorded: Annotated[
        Path | None, typer.Option("--recorded", help="Play the days stored in this home folder or market database")
    ] = None,
    faults: Annotated[Path | None, typer.Option("--faults", help="JSON or YAML of what goes wrong and when")] = None,
    config: options.ConfigOption = None,
) -> None:
    """Run a local exchange that speaks Upstox's REST and WebSockets. Nothing in it is real."""
    import msgspec  # noqa: PLC0415 - imports cost; each command pays for its own

    from sos_actors.sandbox.server.fault_requests import read_requests  # noqa: PLC0415
    from sos_actors.sandbox.server.local import make_service  # noqa: PLC0415

    own = options.configuration(config)
    given = {
        "port": port,
        "speed": speed,
        "start": start or None,
        "seed": seed,
        "symbols": options.parse_symbols(symbols) if symbols else None,
    }
    try:
        settings = msgspec.structs.replace(own.sandbox, **{k: v for k, v in given.items() if v is not None})
        settings.__post_init__()
    except ValueError as error:
        raise InputError(str(error)) from None
    market = f"recorded in {recorded}" if recorded is not None else f"simulated, seed {settings.seed}"
    service = make_service(settings, _days(settings, recorded, own.simulated_market))
    for one in read_requests(_read(faults)) if faults is not None else []:
        service.plan(one)
    asyncio.run(_serve(service, market))


def _days(settings: ServerSettings, recorded: Path | None, market: Any) -> Callable[[], MarketDays]:
    from sos_actors.sandbox.recorded import RecordedDays  # noqa: PLC0415
    from sos_actors.sandbox.server.local import simulated_days  # noqa: PLC0415
    from sos_actors.sources.source import DatabaseSource  # noqa: PLC0415
    from sos_actors.storage.market_store import MarketStore  # noqa: PLC0415

    if recorded is None:
        unknown = [name for name in settings.symbols if name not in market.indices]
        if unknown:
            raise InputError(f"--symbols {unknown[0]}: the simulated market has {', '.join(market.indices)}")
        return lambda: simulated_days(settings, market)
    path = recorded / "market.db" if recorded.is_dir() else recorded
    if not path.exists():
        raise InputError(f"--recorded {recorded}: there is no market database; fill one with `ingest`")

    def make() -> MarketDays:
        store = MarketStore(path, readonly=True)
        return RecordedDays(DatabaseSource(store, every_expiry=True), settings.symbols)

    return make


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"--faults {path}: {error.strerror}") from None


async def _serve(service: Service, market: str) -> None:
    from sos_actors.sandbox.server.app import SandboxServer  # noqa: PLC0415

    server = SandboxServer(service)
    await server.start()
    typer.echo("\n".join(_greeting(server, market)))
    work = asyncio.gather(server.wait(), _tell(server))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        pass
    finally:
        lines = _farewell(server)
        await server.stop()
    typer.echo("\n".join(lines))


def _greeting(server: SandboxServer, market: str) -> list[str]:
    """What a newcomer needs: where it is, what plays, how to trade in it."""
    service, base = server.service, server.address
    settings = service.settings
    account, app = settings.exchange.account, settings.app
    names = ", ".join(settings.symbols)
    return [
        f"Local exchange on {base}: speaks Upstox's REST and WebSockets; nothing in it is real.",
        f"  market   {market}: {names}; {len(service.world.market.table):,} instruments",
        f"  clock    {_clock(service)}",
        f"  account  {account.user_id} with Rs {rupees(account.cash)}",
        "  trade    python run_actors.py live --sandbox",
        f"  token    curl -X POST {base}/sandbox/token   (or log in: client id {app.client_id}, docs/sandbox.md)",
        f"  look     curl {base}/sandbox/state    and /sandbox/books, /sandbox/faults",
        "Stop with Ctrl-C.",
    ]


def _clock(service: Service) -> str:
    """The time, how fast it runs, and when the market opens if it is closed."""
    from sos_actors.market.clocktime import SECOND_NS, ist_date, ist_plain, ist_text  # noqa: PLC0415

    clock, calendar = service.clock, service.world.days.schedule.calendar
    now = clock.now_ns()
    text = f"{ist_text(now // SECOND_NS * SECOND_NS)}, {clock.speed:g} seconds a second"
    today = ist_date(now)
    for day in (today, calendar.next_trading_day("NSE", today)):
        for session in calendar.sessions("NSE", day):
            if now < session.open_ns:
                wait = clock.real_seconds(session.open_ns - now)
                return f"{text}; NSE opens at {ist_plain(session.open_ns)[:16]}, in {wait:,.0f} s"
            if now < session.close_ns:
                return f"{text}; NSE is open"
    return text


def _farewell(server: SandboxServer) -> list[str]:
    """What happened: orders, executions, money, and whether the books are in order."""
    books = server.service.world.exchange.books
    orders, executions, wrong = books.orders(), books.executions(), books.audit()
    served = f"{server.service.requests:,} requests, {server.service.feed.ticks:,} ticks"
    traded = f"{len(orders)} orders today, {len(executions)} executions, cash Rs {rupees(books.cash / 100)}"
    return [f"stopped: {served}; {traded}", *(f"books: {line}" for line in wrong)]


async def _tell(server: SandboxServer) -> None:
    """Keep one status line on a terminal; quiet in a pipe."""
    from rich.console import Console  # noqa: PLC0415

    from sos_actors.market.clocktime import ist_plain  # noqa: PLC0415

    if not sys.stderr.isatty():
        await asyncio.Event().wait()
    service, before = server.service, 0
    with Console(stderr=True).status("starting") as line:
        while True:
            await asyncio.sleep(_TELL_S)
            ticks, books = service.feed.ticks, service.world.exchange.books
            held = len(books.net())
            line.update(
                f"{ist_plain(service.clock.now_ns())}  {ticks - before:,} ticks/s  "
                f"{len(service.feed.clients)} feeds  {len(service.order_streams)} order streams  "
                f"{len(books.orders())} orders  {held} positions"
            )
            before = ticks
