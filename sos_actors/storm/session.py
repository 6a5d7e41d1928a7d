"""One session: the order path, its world and its storm, through every death of the process, to the last word."""

from __future__ import annotations

import datetime as dt
import random
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import pykka

from sos_actors.actors.gateway import GatewayActor
from sos_actors.actors.order import OrderActor
from sos_actors.actors.risk import RiskActor
from sos_actors.assembly import exits_by_strategy
from sos_actors.config import Config
from sos_actors.daemon.cast import contracts_by_table, with_real_orders
from sos_actors.decoding import from_msgpack
from sos_actors.errors import StorageError
from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.clocktime import MINUTE_NS, SECOND_NS, ist_ns, ist_text
from sos_actors.market.instruments import Instrument
from sos_actors.messages import Flatten, Phase, Right, SessionPhase, SetTradingState, TradingState
from sos_actors.runtime.base import EscalatedError
from sos_actors.runtime.clock import Session as ClockSession
from sos_actors.runtime.supervision import VITAL, Directive, RestartPolicy
from sos_actors.sandbox.exchange import ExchangeSettings
from sos_actors.storm.cast import LOT, StormLinkActor, TraderActor
from sos_actors.storm.faults import Fault
from sos_actors.storm.invariants import Judge, Rules
from sos_actors.storm.market import Chain, Loose
from sos_actors.storm.stage import ProcessDiedError, StormRuntime
from sos_actors.storm.store import Disk, StormStore
from sos_actors.storm.thinkers import real_cast, spawn_thinkers, tell_the_day
from sos_actors.storm.world import World
from sos_actors.trading.checkpoint import restore, wishes, working_orders
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskSettings, RiskState

#: The day every session is played on, and what is traded.
DAY, EXPIRY = dt.date(2026, 11, 20), dt.date(2026, 11, 24)
_FREEZE = 1800
_TRADERS = ("one", "two", "three", "four")
#: One session of so many is traded by real strategies and not by scripted traders.
REAL_EVERY = 8
#: Before the end: entries stop, positions are closed, the storm dies down; then all must become quiet.
_LAST_ENTRY, _SQUARE_OFF, _CALM = 16, 12, 8
_VITAL = ("broker", "orders", "risk")
#: A strategy that crashes comes back, as often as the storm wants.
_TRADER_POLICY = RestartPolicy(restarts=1_000, exhausted=Directive.BENCH)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a session. `struck` counts faults by kind, `trades` executions at the exchange."""

    seed: int
    violations: tuple[str, ...]
    deliveries: int
    deaths: int
    orders: int
    executions: int
    checks: int
    struck: dict[str, int]


def instruments(*, real: bool) -> tuple[Instrument, ...]:
    """Give what is listed: the index and three options, for the real cast ten."""
    found = [
        Instrument(
            id="NSE|INDEX|NIFTY", upstox_key="NSE_INDEX|Nifty 50", exchange="NSE", kind="INDEX", underlying="NIFTY",
            trading_symbol="NIFTY",
        )
    ]  # fmt: skip
    chain = tuple((strike, right) for strike in range(24_900, 25_101, 50) for right in Right)
    few = ((25_000, Right.CE), (25_000, Right.PE), (25_100, Right.CE))
    for number, (strike, right) in enumerate(chain if real else few):
        found.append(
            Instrument(
                id=f"NSE|OPT|NIFTY|{EXPIRY}|{strike}|{right}", upstox_key=f"NSE_FO|{43885 + number}", exchange="NSE",
                kind="OPT", underlying="NIFTY", trading_symbol=f"NIFTY {strike} {right}", expiry=EXPIRY,
                strike=float(strike), right=right, lot_size=LOT, freeze_quantity=_FREEZE, tick_size=0.05,
            )
        )  # fmt: skip
    return tuple(found)


def span(hours: float) -> tuple[int, int]:
    """Give begin and end (UTC ns) of a session of so many hours."""
    start = ist_ns(DAY, "09:15")
    return start, start + round(hours * 60) * MINUTE_NS


class Session:
    """Plays one session under these faults. Not for use twice."""

    def __init__(self, seed: int, hours: float, faults: tuple[Fault, ...], folder: Path) -> None:
        self._seed, self._faults = seed, faults
        self._start, self._end = span(hours)
        self._rng = random.Random(f"session {seed}")
        self._real = seed % REAL_EVERY == REAL_EVERY - 1
        listed = instruments(real=self._real)
        self._config = _config(self._end)
        market = Chain if self._real else Loose
        self._world = World(seed, self._start - MINUTE_NS, listed, ExchangeSettings(), market)
        self._cast = real_cast(tuple(one.id for one in listed), self._config)
        self._options = tuple(one.id for one in listed if one.kind == "OPT")
        self._disk = Disk(folder)
        rules = Rules(
            open_ns=self._start, last_entry_ns=self._end - (_LAST_ENTRY - 1) * MINUTE_NS, largest=_FREEZE // LOT * LOT,
            open_positions=self._config.risk.open_positions,
        )  # fmt: skip
        self._judge = Judge(rules, self._world.exchange.books, self._disk)
        self._world.on_place = self._judge.placing
        self._world.on_placed = self._judge.placed
        self._runtime: StormRuntime | None = None
        self._desk: OrderDesk
        self._gateway: OrderGateway
        self._book: RiskBook
        self._power = False
        self._down_s = 0.0
        self._halted = False
        self._deliveries = self._deaths = 0
        self._struck: Counter[str] = Counter()

    def run(self) -> Result:
        """Play it, and give what was found."""
        calm = self._end - _CALM * MINUTE_NS
        for fault in self._faults:
            if fault.at < calm:
                self._until(fault.at)
                self._strike(fault)
        self._until(calm)
        self._world.calm()
        self._disk.full = False
        if self._runtime is not None:
            self._runtime.dies_at, self._runtime.crash_at = 0, None
        self._until(self._end)
        self._judge.now = self._world.now
        if self._runtime is None:
            self._judge.found.append("up_again: the process did not come back")
        else:
            self._judge.end(self._desk, self._gateway.state(), self._book)
            self._bury()
        self._judge.found += [f"no_mistakes: {text}" for text in self._world.mistakes]
        books = self._world.exchange.books
        return Result(
            seed=self._seed, violations=tuple(self._judge.found), deliveries=self._deliveries, deaths=self._deaths,
            orders=len(books.orders()), executions=len(books.executions()), checks=self._judge.checks,
            struck={**self._struck, **self._world.exchange.faults.struck},
        )  # fmt: skip

    # -- the process -------------------------------------------------------------------------------------------------

    def _until(self, until: int) -> None:
        """Let time come to an instant, through as many lives of the process as it takes."""
        while True:
            if self._runtime is None and not self._boot(until):
                return
            runtime = self._runtime
            assert runtime is not None
            try:
                runtime.play(until)
            except (EscalatedError, ProcessDiedError):
                self._die()
            else:
                runtime.clock.now = max(runtime.clock.now, until)
                return

    def _boot(self, until: int) -> bool:
        """Start the process from its records; False while it is down until after `until`."""
        back = self._world.now + round(self._down_s * SECOND_NS)
        if back > until:
            self._down_s = (back - until) / SECOND_NS
            self._away(until)
            return False
        self._away(back)
        runtime = StormRuntime(self._quiet)
        runtime.clock.now = back
        try:
            self._spawn(runtime)
        except StorageError:
            self._down_s = 5.0
            return self._boot(until)
        self._judge.excuse()
        self._runtime = runtime
        return True

    def _spawn(self, runtime: StormRuntime) -> None:
        """Put the order path together, as the records of the last life left it."""
        config, world = self._config, self._world
        ledger = Ledger(round(ExchangeSettings().account.cash * 100), ChargeSchedule(config.charges))
        desk = OrderDesk(config.orders, ledger, exits_by_strategy(self._cast))
        book = RiskBook(config.risk, rest_target=config.orders.rest_target)
        store = StormStore(self._disk)
        states = store.recovery.states
        if "desk" in states:
            restore(desk, [saved.state for saved in states["desk"]])
        if "risk" in states:
            book.take_up(from_msgpack(states["risk"][-1].state, RiskState))
            book.release(desk.flow.live, desk.ledger.positions())
        gateway = OrderGateway(config.gateway, contracts_by_table(lambda: world.table), "STORM1")
        spawn = runtime.spawn
        if self._real:
            spawn_thinkers(runtime, self._cast, world.table)
        for name in () if self._real else _TRADERS:
            spawn(TraderActor, f"trader/{name}", name, self._seed, self._options, world.told, policy=_TRADER_POLICY)
        spawn(
            GatewayActor, "broker", gateway, store, store.recovery.records, working_orders(desk), store.recovery.cut,
            desk.ledger.seen, wishes(desk), policy=VITAL,
        )  # fmt: skip
        spawn(RiskActor, "risk", book, ("NIFTY",), durable=True, policy=VITAL)
        spawn(OrderActor, "orders", desk, timed=True, durable=True, policy=VITAL)
        spawn(StormLinkActor, "link", world, self._judge.sent, policy=VITAL)
        now = runtime.clock.now
        first = "desk" not in states
        for ts, phase in ((self._start - MINUTE_NS, Phase.PRE_OPEN), (self._start, Phase.OPEN)):
            if ts < now:
                morning = phase is Phase.PRE_OPEN and not first
                tell_the_day(runtime, SessionPhase(ts, DAY, phase), besides=("orders",) if morning else ())
        self._follow(runtime)
        self._desk, self._gateway, self._book = desk, gateway, book

    def _follow(self, runtime: StormRuntime) -> None:
        """Have the clock say the phases and minutes that are still to come."""
        now, clock = runtime.clock.now, runtime.clock
        if now < self._start:
            clock.follow([ClockSession(DAY, self._start, 1 << 61)])
            return
        opened = now - (now - self._start) % MINUTE_NS
        clock._session = ClockSession(DAY, opened, 1 << 61)
        clock._close_at(opened + MINUTE_NS)

    def _die(self) -> None:
        self._deaths += 1
        self._halted = self._halted and bool(self._judge.halted_at)  # a word that nobody heard before the end
        self._bury()
        self._world.lose()
        if self._power:
            self._disk.cut_power(self._rng)
        self._power = False
        self._down_s = self._down_s or 5.0

    def _bury(self) -> None:
        """Take the figures of a life that is over, and let it go."""
        runtime = self._runtime
        assert runtime is not None
        self._deliveries += runtime.delivered
        escalated = int(runtime.escalated is not None)
        self._judge.now = self._world.now
        self._judge.nothing_dropped(runtime.dead_letters, runtime.crashed + escalated)
        for path in runtime:
            pykka.ActorRegistry.unregister(runtime.actor(path).actor_ref)
        self._runtime = None

    def _away(self, until: int) -> None:
        """Let the world go on without us."""
        while self._world.next_due() <= until:
            self._world.run(self._world.next_due())
            self._look(up=False)
        self._world.run(until)

    # -- the storm ---------------------------------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> None:
        self._struck[fault.kind] += 1
        if self._world.strike(fault):
            return
        if fault.kind == "disk_full":
            self._disk.full = True
            self._world.at(fault.at + round(fault.seconds * SECOND_NS), self._room)
            return
        runtime = self._runtime
        if runtime is None:
            return  # there is nothing to harm
        if fault.kind == "clock_step":
            runtime.clock.now += round(fault.seconds * SECOND_NS)
        elif fault.kind in {"killed", "power_lost"}:
            runtime.dies_at = runtime.delivered + fault.count
            self._power, self._down_s = fault.kind == "power_lost", fault.seconds
        elif fault.kind == "strategy_crash":
            runtime.crash_at = (runtime.delivered + fault.count, ("trader/", "strategy/"))
        elif fault.kind == "vital_crash":
            runtime.crash_at = (runtime.delivered + fault.count, _VITAL)
            self._down_s = fault.seconds
        elif fault.kind == "account_halted":
            runtime.publish(SetTradingState(TradingState.HALTED, "the operator"))
            runtime.publish(Flatten(runtime.clock.now, "FLATTEN"))
            self._halted = True

    def _room(self) -> None:
        self._disk.full = False

    def _quiet(self) -> None:
        """Look at everything: nothing waits in the process."""
        if self._halted and not self._judge.halted_at:
            self._judge.halted_at = self._world.now  # the halt was handled by all who hear it
        self._look(up=True)

    def _look(self, *, up: bool) -> None:
        self._judge.now = self._world.now
        if self._world.changed:
            self._world.changed = False
            self._judge.step(up=up)


def play(seed: int, hours: float, faults: tuple[Fault, ...]) -> Result:
    """Play one session in a folder of its own, in memory where the machine has such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="storm-", dir=memory if memory.is_dir() else None) as folder:
        return Session(seed, hours, faults, Path(folder)).run()


def _config(end: int) -> Config:
    """Give the configuration of a session that ends at an instant: limits that bind, exits that come soon."""

    def clock(minutes: int) -> str:
        return ist_text(end - minutes * MINUTE_NS)[11:16]

    exits = ExitSettings(trailing=0.5, time_stop_min=6.0, square_off=clock(_SQUARE_OFF))
    risk = RiskSettings(
        daily_loss=0.5, open_positions=3, cooldown_s=30.0, trades_per_day=0, strategy_trades_per_day=0,
        last_entry=clock(_LAST_ENTRY), underlying_positions=0,
    )  # fmt: skip
    return with_real_orders(Config(risk=risk, orders=DeskSettings(exits=exits)), 1.0)
