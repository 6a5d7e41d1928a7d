"""The live cast of bench/tick_to_order.py, put together as the daemon puts it together."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

from made_market import DAY, SPOTS, START, STRIKES, Market
from outside import MinuteWatchActor, Timing
from quick_broker import QuickBrokerActor
from upstox_client import ApiClient, Configuration

from sos_actors import assembly
from sos_actors.config import load_config
from sos_actors.daemon.cast import LINK, LiveCast, LiveEdges, LiveParts
from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.clocktime import SECOND_NS, ist_ns
from sos_actors.market.day import DayStats
from sos_actors.messages import GapsFilled
from sos_actors.playbook.loader import load_playbook
from sos_actors.runtime import LiveRuntime, Session, WallTime
from sos_actors.runtime.clock import NEVER
from sos_actors.storage.order_store import OrderStore
from sos_actors.upstox.feed_settings import FeedEndpoint, FeedSettings
from sos_actors.upstox.market_feed import UpstoxMarketFeed

ROOT = Path(__file__).resolve().parents[1]
#: Real seconds in which the daemon asks for everything, and in which the trades are entered.
LEAD_S, QUIET_S = 8.0, 5.0
#: Real seconds a broker takes to answer, and between an exit and the next entry.
ANSWER_S, PAUSE_S = 0.02, 0.2
CONFIG = {
    "risk": {"daily_loss": 0},
    "orders": {"exits": {"break_even_at": None, "time_stop_min": None}},
    "live": {"symbols": list(SPOTS)},
    # Where the time goes on the way: the desk's state and its wish at the gateway, besides what the daemon measures.
    "runtime": {"stages": {"Tick": "taken", "StateChanged": "state", "ModifyOrder": "wish", "SendModify": "exit"}},
    # The same contracts to the end: what they cost to change is no part of this.
    "follow": {name: {"strikes": STRIKES, "recentre_steps": 100} for name in SPOTS},
}


class Stand:
    """The live cast on a clock of its own, put together as the daemon does it."""

    def __init__(self, folder: Path, market: Market, port: int, speed: float, timing: Timing) -> None:
        self.timing, self.market, self.speed = timing, market, speed
        self.config = load_config(write_config(folder))
        self.orders_folder = folder / "orders"
        self.runtime = LiveRuntime(self.config.runtime)
        self.began = START - round(LEAD_S * speed * SECOND_NS)
        self.wall = WallTime(time.monotonic_ns(), self.began, speed, shifted=True)
        cast = assembly.Cast(
            config=self.config, playbook=load_playbook([ROOT / "strategies"]),
            underlyings=[assembly.Underlying(name, chain=True) for name in SPOTS],
            charges=ChargeSchedule(self.config.charges),
            previous_day=lambda name, _: DayStats(name, DAY - dt.timedelta(days=1), *(SPOTS[name],) * 4),
            trade_from=NEVER, groups=self.config.runtime.groups,
        )  # fmt: skip
        parts = LiveParts(
            table=lambda: market.table, table_of=lambda _: market.table,
            open_store=lambda: OrderStore(self.orders_folder), tag_prefix="BENCH", cash_paise=10**12, speed=speed,
            real=True,
            edges=LiveEdges(
                stream=self._feed(port), market_db=folder / "market.db",
                fill_gaps=lambda asked: GapsFilled(asked.underlying, asked.day), tell=lambda _: None,
                spawn_link=self._spawn_link,
            ),
        )  # fmt: skip
        live = self.cast = LiveCast(self.runtime, cast, parts)
        live.think(lambda _: ())
        self.runtime.clock.follow(
            iter([Session(DAY, ist_ns(DAY, "09:15"), ist_ns(DAY, "15:30"), first=True, last=True)]),
            self.config.clock.grace_ns,
        )
        self.runtime.run(until=ist_ns(DAY, "09:00"))
        live.trade([], ist_ns(DAY, "09:00"))
        self.runtime.spawn(MinuteWatchActor, "watch", SPOTS, group="watch")
        self.minutes = self.runtime.actor("watch")
        self.broker = self.runtime.actor("link")
        self.wall = dataclasses.replace(self.wall, anchor=time.monotonic_ns())
        self.runtime.start_wall(self.wall, step_ns=SECOND_NS)

    def _feed(self, port: int) -> UpstoxMarketFeed:
        configuration = Configuration()
        configuration.access_token = "bench"
        endpoint = FeedEndpoint(f"ws://127.0.0.1:{port}")
        return UpstoxMarketFeed(
            ApiClient(configuration), endpoint, FeedSettings(), lambda: self.market.table,
            now=lambda: self.wall.now(), rng=random.Random(7),  # noqa: PLW0108 - the wall is replaced once
        )  # fmt: skip

    def _spawn_link(self, runtime: LiveRuntime) -> None:
        runtime.spawn(
            QuickBrokerActor, "link", self.market.plans, self.timing, lambda: runtime.clock.now, ANSWER_S, PAUSE_S,
            group=LINK,
        )  # fmt: skip

    def enter(self) -> None:
        """Enter every trade, as soon as the gateway lets entries pass."""
        wait_for(lambda: not self.runtime.snapshot("broker", 5.0)["entries_held"], "the gateway lets entries pass")
        for instrument in self.market.plans:
            self.broker.enter(instrument)

    def close(self) -> None:
        """Stop everything."""
        self.runtime.stop()
        if self.cast.store is not None:
            self.cast.store.close()


def write_config(folder: Path) -> Path:
    """Write the configuration (YAML holds JSON)."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(CONFIG))
    return path


def wait_for(met: Callable[[], bool], what: str, seconds: float = 30.0, *, strict: bool = True) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            if strict:
                raise SystemExit(f"within {seconds:.0f} s this did not come: {what}")
            return
        time.sleep(0.02)
