"""live: the daemon."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
import typer
import urllib3

from sos_actors.cli import options
from sos_actors.errors import InputError

if TYPE_CHECKING:
    from sos_actors.config import Config
    from sos_actors.runtime import WallTime
    from sos_actors.upstox.settings import UpstoxSettings

#: Where the broker itself is: only there is money real.
_BROKER = {"api.upstox.com", "api-hft.upstox.com"}


def live(
    symbol: Annotated[str, typer.Option("--symbol", help="Underlyings, comma-separated; else live.symbols")] = "",
    strategies: Annotated[str, typer.Option("--strategies", help="Names, comma-separated; all when not given")] = "",
    playbook: options.PlaybookOption = None,
    paper: Annotated[bool, typer.Option("--paper", help="Orders stay in this process (the default)")] = False,
    real_money: Annotated[bool, typer.Option("--real-money", help="Orders go to the broker, for real money")] = False,
    account: Annotated[str, typer.Option("--account", help="With --real-money: the account's user id, typed")] = "",
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Trade on `run_actors.py sandbox`, or a stand-in named by $SOS_UPSTOX_...")
    ] = False,
    home: options.HomeOption = None,
    config: options.ConfigOption = None,
) -> None:
    """Run the daemon: real ticks, paper orders, unless said otherwise."""
    from sos_actors.control.systemd import ServiceManager  # noqa: PLC0415 - imports cost; each command pays its own
    from sos_actors.daemon.daemon import REAL_MONEY, Daemon, LiveRequest  # noqa: PLC0415
    from sos_actors.logs import configure, trace_crashes  # noqa: PLC0415

    if real_money and (paper or sandbox):
        raise InputError("--real-money goes with neither --paper nor --sandbox: choose one")
    settings = options.configuration(config)
    symbols = options.parse_symbols(symbol or ",".join(settings.live.symbols))
    folder = options.home_folder(home if home is not None or not sandbox else _sandbox_home())
    broker = _addresses(settings, sandbox=sandbox)
    wall = _wall(settings, broker, sandbox=sandbox)
    if real_money:
        _check_real(settings, broker, wall, account)
    if sandbox:
        _log_in(folder, broker, wall.now())
    request = LiveRequest(
        home=folder, config=settings, playbook=options.strategies(playbook, strategies), symbols=symbols,
        settings=broker, wall=wall, real=real_money or sandbox, account=account,
        mode=REAL_MONEY if real_money else "sandbox" if sandbox else "paper",
    )  # fmt: skip
    configure(settings.logs, folder)
    trace_crashes()
    status = Daemon(request, ServiceManager()).run()
    if status:
        raise typer.Exit(status)


def _sandbox_home() -> Path:
    """Give the home of a stand-in's session: its prices and orders must never lie among real ones."""
    return Path(os.environ.get("SOS_HOME") or "var") / "sandbox"


def _addresses(config: Config, *, sandbox: bool) -> UpstoxSettings:
    """Give the broker's addresses; with --sandbox the local exchange's, unless the environment names a stand-in."""
    from sos_actors.upstox.settings import with_environment  # noqa: PLC0415

    settings = config.upstox
    if sandbox and urlsplit(settings.host).hostname in _BROKER:
        base = f"{config.sandbox.host}:{config.sandbox.port}"
        settings = msgspec.structs.replace(
            settings, host=f"http://{base}", order_host=f"http://{base}", feed_base=f"ws://{base}",
            assets_url=f"http://{base}",
        )  # fmt: skip
    settings = with_environment(settings)
    if sandbox and _is_broker(settings):
        raise InputError("--sandbox: the addresses are the broker's own: unset $SOS_UPSTOX_HOST and its like")
    return settings


def _is_broker(settings: UpstoxSettings) -> bool:
    return bool(_BROKER & {urlsplit(settings.host).hostname, urlsplit(settings.order_host).hostname})


def _wall(config: Config, broker: UpstoxSettings, *, sandbox: bool) -> WallTime:
    """Give the daemon's clock; in the local exchange, unless it is set otherwise, the exchange's own."""
    from sos_actors.runtime import CLOCK_VARIABLE, WallTime, with_clock  # noqa: PLC0415

    given = os.environ.get(CLOCK_VARIABLE)
    settings = with_clock(config.clock, given)
    if sandbox and not given and settings.start is None:
        state = _ask("GET", f"{broker.host}/sandbox/state")
        if state is None:  # another stand-in than ours, that no clock was named for, keeps the real time
            return WallTime.starting(settings)
        return WallTime(time.monotonic_ns(), int(state["now_ns"]), float(state["speed"]), shifted=True)
    return WallTime.starting(settings)


def _check_real(config: Config, broker: UpstoxSettings, wall: WallTime, account: str) -> None:
    if not config.live.real_money:
        raise InputError("--real-money: set live.real_money: true in the configuration as well")
    if not account:
        raise InputError("--real-money: type the account's user id too: --account AB1234")
    if _is_broker(broker) and not wall.is_real:
        raise InputError("--real-money: the clock is shifted or scaled (clock.start, clock.speed, $SOS_CLOCK)")


def _log_in(folder: Path, broker: UpstoxSettings, now: int) -> None:
    """Take a token of the local exchange, unless there is a living one."""
    from sos_actors.upstox.tokens import TokenStore, find_token, read_token  # noqa: PLC0415

    if any(os.environ.get(name) for name in ("SOS_UPSTOX_TOKEN", "SOS_UPSTOX_TOKEN_FILE")):
        return
    found = find_token(folder, now)
    if found is not None and found.alive(now) and _accepts(broker, found.secret):
        return
    data = _ask("POST", f"{broker.host}/sandbox/token")
    if data is None:
        return  # the daemon waits for a log-in, as at the broker
    TokenStore(folder).save(read_token(str(data["access_token"]), now, origin="sandbox"))


def _accepts(broker: UpstoxSettings, token: str) -> bool:
    """Say whether the stand-in knows a token: another run of it gave others."""
    answer = urllib3.request(
        "GET", f"{broker.host}/v2/user/profile", headers={"Authorization": f"Bearer {token}"}, timeout=5.0
    )
    return answer.status != 401


def _ask(method: str, url: str) -> dict[str, Any] | None:
    """Ask the local exchange's own side; None where a stand-in has none, InputError where nothing answers."""
    try:
        answer = urllib3.request(method, url, timeout=5.0, retries=False)
        if 400 <= answer.status < 500:
            return None
        data: dict[str, Any] = json.loads(answer.data)["data"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{url}: no local exchange answers there: start one with `python run_actors.py sandbox`, or name a "
            "stand-in, its token and clock in the environment (docs/live.md)"
        ) from None
    return data
