"""A stand for the live daemon: the sandbox exchange in this process, the daemon as a process of its own.

The daemon is started as a user starts it, by its command line, and asked over its control socket. What is true is what
the exchange's own books say (`Stand.judge`), not what the daemon believes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from sos_actors.control.client import ControlClient
from sos_actors.control.protocol import ControlError
from sos_actors.market.clocktime import ist_date, ist_ns, ist_text
from sos_actors.sandbox.exchange.books import Books, OrderView
from sos_actors.sandbox.exchange.settings import AccountSettings, ExchangeSettings
from sos_actors.sandbox.server.fault_requests import FaultRequest
from sos_actors.sandbox.server.local import LocalSandbox
from sos_actors.sandbox.server.settings import AppSettings, ServerSettings
from sos_actors.storage.order_store import OrderStore
from sos_actors.trading.gateway.records import PlaceSent
from sos_actors.upstox.tokens import TokenStore, read_token

ROOT = Path(__file__).parents[3]
#: Units of every trade: two lots, so that half of one can fill.
QUANTITY = 130
#: The app's secret, planted so that it can be looked for.
CLIENT_SECRET = "planted-client-secret-7f3a91"
#: Seconds a condition may take on a slow machine; only a failing test waits so long.
PATIENCE = 90.0

#: A strategy that trades all the time: in on any bar, out a few points later.
STRATEGY = {
    "phases": [{"id": "ANY_BAR", "conditions": ["close > 0"]}],
    "execution": {
        "side": "BUY",
        "entry": "close",
        "sl": "close - 5",
        "tp": "close + 5",
        "option_selection": "ATM_CALL",
    },
    "exits": {"time_stop": 4, "break_even_at": 0, "trailing": 0, "square_off": "15:15"},
}

#: Limits out of the way, timers short, little history: everything else is the house's default.
CONFIG: dict[str, Any] = {
    "risk": {
        "daily_loss": 0, "open_positions": 0, "underlying_positions": 0, "cooldown_s": 0, "trades_per_day": 0,
        "strategy_trades_per_day": 0, "last_entry": "15:10",
    },
    "selection": {"max_spread": 0.5},
    "debounce": {"seconds": [0, 0]},
    "gateway": {"idle_read_s": 20, "working_read_s": 5, "answer_s": 240, "settle_s": 60, "read_s": 240},
    "freshness": {"least_real_s": 3.0},
    "follow": {"NIFTY": {"strikes": 3}},
    "data": {"warmup_days": 0, "strikes": 1},
    "upstox": {"order_timeout_s": 1.0, "read_timeout_s": 3.0, "rates": {"pause_s": 0.5}},
    "feed": {
        part: {"backoff_first_s": 0.1, "backoff_cap_s": 0.5, "forbidden_retry_s": 0.5, "dead_token_retry_s": 1.0,
               "stale_open_s": 3.0, "settled_s": 1.0}
        for part in ("market", "orders")
    },
    "live": {"flatten_s": 20.0},
}  # fmt: skip


def until(met: Any, what: str, seconds: float = PATIENCE) -> Any:
    """Wait until `met()` is true and give what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = met()
        if found:
            return found
        assert time.monotonic() < deadline, f"within {seconds:.0f} s: {what}"
        time.sleep(0.05)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Give one nested dict laid over another."""
    found = dict(base)
    for name, value in over.items():
        inner = found.get(name)
        found[name] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found


def exchange(start: str, speed: float, *, user_id: str = "SB1234", **changes: Any) -> LocalSandbox:
    """Make a sandbox exchange of NIFTY, whose app's secret is the planted one."""
    settings = ServerSettings(
        app=AppSettings(client_secret=CLIENT_SECRET),
        exchange=ExchangeSettings(account=AccountSettings(user_id=user_id)),
    )
    start = start if "+" in start else f"{start}+05:30"
    return LocalSandbox(settings, symbols=("NIFTY",), start=start, speed=speed, ping_s=1.0, **changes)


class Stand:
    """A home, a configuration, a playbook and a daemon on a sandbox exchange."""

    def __init__(
        self, sandbox: LocalSandbox, folder: Path, *, sides: tuple[str, ...] = ("CALL", "PUT"),
        config: dict[str, Any] | None = None, strategy: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None, quantity: int = QUANTITY,
    ) -> None:  # fmt: skip
        self.sandbox, self.folder = sandbox, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.home = folder / "home"
        self.quantity = quantity
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder / "output.txt"
        self._playbook = folder / "playbook"
        self._playbook.mkdir(exist_ok=True)
        for side in sides:
            self._write_strategy(side, strategy or {})
        self._config = folder / "config.yaml"
        self.configure(config or {})
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith(("SOS_", "NOTIFY"))}
        self._environ |= {"SOS_UPSTOX_CLIENT_SECRET": CLIENT_SECRET, "PYTHONUNBUFFERED": "1"} | (environ or {})
        self.said: list[str] = []
        #: Secrets to look for besides the app's and those in the token store.
        self.planted: list[str] = []

    def _write_strategy(self, side: str, over: dict[str, Any]) -> None:
        file = merged({"pattern_id": f"steady_{side.lower()}", "description": "Trades all the time.", **STRATEGY}, over)
        if side == "PUT":
            call = file["execution"]
            file["execution"] = {
                **call,
                "side": "SELL",
                "option_selection": "ATM_PUT",
                "sl": call["tp"],
                "tp": call["sl"],
            }
        (self._playbook / f"{file['pattern_id']}.json").write_text(json.dumps(file))

    def configure(self, over: dict[str, Any]) -> None:
        """Write the configuration anew, for the next start."""
        here = {"sandbox": {"port": int(self.sandbox.address.rpartition(":")[2])}}
        here["sizing"] = {"fixed_quantity": self.quantity}
        self._config.write_text(yaml.safe_dump(merged(merged(CONFIG, here), over)))

    # --- the process ------------------------------------------------------------------------------------------

    def command(self, *more: str) -> list[str]:
        """Give the command line that starts the daemon."""
        return [
            sys.executable, str(ROOT / "run_actors.py"), "live",
            "--config", str(self._config), "--home", str(self.home), "--playbook", str(self._playbook),
            "--sandbox", *more,
        ]  # fmt: skip

    def start(self, *, wait: bool = True, command: list[str] | None = None) -> None:
        """Start the daemon; with `wait`, until it is ready to enter."""
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                command or self.command(),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=self._environ,
                cwd=self.folder,
            )
        if wait:
            self.until(lambda: (self.status() or {}).get("ready"), "the daemon is ready")

    def until(self, met: Any, what: str, seconds: float = PATIENCE) -> Any:
        """Wait as `until` does, and say what the daemon wrote last where it is in vain."""
        try:
            return until(lambda: met() or self._alive(), what, seconds)
        except AssertionError as error:
            tail = "\n".join(self.output.read_text().splitlines()[-30:])
            raise AssertionError(f"{error}\n{self.last_status()}\n{tail}") from None

    def until_dead(self, met: Any, what: str, seconds: float = PATIENCE) -> Any:
        """Wait while no daemon runs."""
        return until(met, what, seconds)

    def _alive(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}"

    def last_status(self) -> str:
        """Give what the daemon says of itself, for a failed test's text."""
        found = self.status() or {}
        names = ("now", "not_ready", "differences", "broker", "trading")
        return f"status: {[(name, found.get(name)) for name in names]}"

    def kill(self) -> None:
        """Kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self, seconds: float = PATIENCE) -> int:
        """Send SIGTERM; give the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    # --- the control socket -----------------------------------------------------------------------------------

    def ask(self, command: str, **args: Any) -> Any:
        """Ask the daemon, and keep the answer's text to look for secrets in."""
        with ControlClient(self.home) as client:
            answer = client.ask(command, **args)
        self.said.append(json.dumps(answer))
        return answer

    def status(self) -> dict[str, Any] | None:
        """Give the daemon's status; None while it does not answer."""
        try:
            found: dict[str, Any] = self.ask("status")
        except ControlError:
            return None
        return found

    # --- the exchange -----------------------------------------------------------------------------------------

    @property
    def books(self) -> _Reader:
        """The exchange's own books."""
        return _Reader(self.sandbox)

    def faults(self, *, clear: bool = False, **menu: Any) -> None:
        """Change what goes wrong: a number arms a fault so many times, a fraction is its chance."""
        arm = {name: value for name, value in menu.items() if isinstance(value, int)}
        chances = {name: value if name.endswith(("_s", "_code")) else {"probability": value, "count": 0}
                   for name, value in menu.items() if name not in arm}  # fmt: skip
        self.sandbox.call(lambda service: service.plan(FaultRequest(clear=clear, set=chances, arm=arm)))

    def struck(self, name: str) -> int:
        """How often a fault has struck."""
        return int(self.sandbox.call(
            lambda s: {**s.world.exchange.faults.struck, **s.world.dice.struck}.get(name, 0)
        ))  # fmt: skip

    def new_token(self) -> None:
        """Log in anew, as `run_actors.py login` leaves it behind."""
        now = self.sandbox.call(lambda service: service.clock.now_ns())
        TokenStore(self.home).save(read_token(self.sandbox.token(), now, origin="test"))

    def clock(self) -> str:
        """Time of day at the exchange, HH:MM:SS."""
        return self.sandbox.call(lambda service: ist_text(service.clock.now_ns()))[11:19]

    def instant(self, clock: str) -> int:
        """Give a time of the exchange's present day, HH:MM, in UTC ns."""
        return self.sandbox.call(lambda service: ist_ns(ist_date(service.clock.now_ns()), clock))

    def trades(self, more: int, seconds: float = PATIENCE) -> None:
        """Wait until the exchange has executed so many more trades."""
        wanted = len(self.books.executions()) + more
        self.until(lambda: len(self.books.executions()) >= wanted, f"{more} more executions", seconds)

    def settled(self, seconds: float = PATIENCE) -> None:
        """Wait until nothing is wrong any more and the daemon enters."""
        self.until(lambda: (self.status() or {}).get("ready"), "the daemon is ready again", seconds)

    def protected(self, seconds: float = PATIENCE) -> None:
        """Wait until orders to sell stand at the exchange for exactly what it holds."""
        self.until(self.covered, "what is held is covered by orders to sell, unit by unit", seconds)

    def covered(self) -> bool:
        """Say whether orders to sell stand for what is held, unit by unit."""

        def look(service: Any) -> bool:
            books = service.world.exchange.books
            offered: Counter[str] = Counter()
            for order in books.orders():
                if order.live and order.side.sign < 0:
                    offered[order.instrument] += order.quantity - order.filled
            return bool(offered) and dict(offered) == books.net()

        return self.sandbox.call(look)

    def wait_flat(self, seconds: float = PATIENCE) -> None:
        """Wait until the exchange holds nothing and no order of ours is live."""
        self.until(lambda: not self.books.net() and not self.books.live(), "flat at the exchange", seconds)

    def judge(self) -> None:
        """Judge by the exchange's books what must hold at any instant."""
        found = self.books
        assert found.audit() == ()
        for tag, orders in found.orders_by_tag().items():
            assert tag, "an order without a tag"
            assert len(orders) == 1, f"{len(orders)} orders with one tag: {orders}"
        held: Counter[str] = Counter()
        for one in found.executions():
            right = one.instrument[-2:]
            held[one.instrument] += one.side.sign * one.quantity
            held[right] += one.side.sign * one.quantity
            assert 0 <= held[one.instrument] <= self.quantity, f"{held[one.instrument]} held after {one}"
            assert held[right] <= self.quantity, f"{held[right]} of {right} held after {one}: entered twice"

    def judge_intents(self) -> None:
        """Judge, once the daemon has ended, that no order of ours became two at the exchange."""
        account = self.sandbox.settings.exchange.account.user_id
        store = OrderStore(self.home / "orders" / account)
        records = store.recovery.records
        store.close()
        tags: dict[str, set[str]] = {}
        for one in records:
            if isinstance(one, PlaceSent):
                tags.setdefault(one.order_id, set()).add(one.send.tag)
        at_exchange = self.books.orders_by_tag()
        known = {tag for group in tags.values() for tag in group}
        assert set(at_exchange) <= known, f"orders we know nothing of: {set(at_exchange) - known}"
        for order_id, group in tags.items():
            placed = [order for tag in group for order in at_exchange.get(tag, ()) if order.status != "rejected"]
            assert len(placed) <= 1, f"{order_id} is {len(placed)} orders at the exchange: {placed}"

    def same_money(self) -> None:
        """Judge, when all is flat, that our trades made what the exchange's made, to the paisa.

        Charges are rounded for each execution. Executions we learn of together, after a restart, are one fill to us:
        there our charges may be off by a paisa an execution. A daemon that has ended is started to be asked, but
        enters nothing.
        """
        executions, cash = self.books.executions(), self.books.cash()
        gross = -sum(one.side.sign * one.quantity * one.price for one in executions)
        if self.process is None or self.process.poll() is not None:
            self.configure({"risk": {"last_entry": "09:16"}})
            self.start(wait=False)

        def same() -> bool:
            found = self.status() or {}
            if found.get("cash") is None or found.get("realised") is None or found["positions"]:
                return False
            off = abs(paise(found["cash"]) - cash)
            return paise(found["realised"]) == gross and off <= len(executions)

        self.until(same, f"our trades made {gross} paise and our cash is {cash} paise, as the exchange's")

    # --- secrets ----------------------------------------------------------------------------------------------

    def judge_secrets(self) -> None:
        """Judge that no token and no secret stands anywhere but in the token store."""
        secrets = [CLIENT_SECRET.encode(), *self.tokens(), *(one.encode() for one in self.planted)]
        files = [path for path in self.home.rglob("*") if path.is_file() and path.parent.name != "tokens"]
        for path in [*files, self.output]:
            raw = path.read_bytes()
            assert not [path for secret in secrets if secret in raw], f"a secret stands in {path}"
        said = "\n".join(self.said).encode()
        assert not [1 for secret in secrets if secret in said], "a secret was told over the control socket"

    def tokens(self) -> list[bytes]:
        """Give the tokens in the store, whole and in the part that signs."""
        stored = TokenStore(self.home).load()
        if stored is None:
            return []
        return [stored.secret.encode(), stored.secret.rpartition(".")[2].encode()]

    def close(self) -> None:
        """End the daemon if it still runs, and judge it."""
        if self.process is not None and self.process.poll() is None:
            status = self.end()
            assert status == 0, f"the daemon ended with {status}\n{self.output.read_text()[-3000:]}"
        self.judge()
        if (self.home / "orders").exists():
            self.judge_intents()
        self.judge_secrets()
        assert "Traceback" not in self.output.read_text(), self.output.read_text()[-4000:]


class _Reader:
    """The exchange's books, each question asked on the exchange's own thread."""

    def __init__(self, sandbox: LocalSandbox) -> None:
        self._sandbox = sandbox

    def _ask(self, work: Any) -> Any:
        return self._sandbox.call(lambda service: work(service.world.exchange.books))

    def __getattr__(self, name: str) -> Any:
        def give(*args: Any) -> Any:
            def work(books: Books) -> Any:
                found = getattr(books, name)
                return found(*args) if callable(found) else found

            return self._ask(work)

        return give

    def live(self) -> list[OrderView]:
        """Orders that have not ended."""
        return [order for order in self.orders() if order.live]

    def entries(self) -> int:
        """How many orders have bought something."""
        return sum(order.side.sign > 0 and order.filled > 0 for order in self.orders())

    def profit(self) -> int:
        """Paise the account has gained since the start."""
        return int(self._ask(lambda books: books.cash - books._floor.account.start))


class NotifySocket:
    """What systemd would hear: a datagram socket, and the lines that came, with the instant of each."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(0.2)
        self.heard: list[tuple[float, str]] = []
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                text = self._socket.recv(4096).decode()
            except TimeoutError:
                continue
            self.heard += [(time.monotonic(), line) for line in text.splitlines()]

    def count(self, line: str, since: float = 0.0) -> int:
        """How often a line was heard since an instant of the monotonic clock."""
        return sum(one == line and at >= since for at, one in self.heard)

    def close(self) -> None:
        """Stop listening."""
        self._open = False
        self._thread.join()
        self._socket.close()


def paise(rupees: float) -> int:
    """Give whole paise of rupees that are meant to be whole paise."""
    found = round(rupees * 100)
    assert abs(rupees * 100 - found) < 1e-6 * max(1.0, abs(found))
    return found
