"""The actors of the storm that stand in for the world's edges: the link to the simulated broker, and who trades."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.messages import (
    Advance,
    Direction,
    MinuteClosed,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    SendCancel,
    SendModify,
    SendPlace,
    Side,
    Stage,
    Tick,
    TradePlan,
)
from sos_actors.runtime import Actor, handles
from sos_actors.storm.world import World
from sos_actors.upstox.answers import Command, Read

#: Lots of an entry, by chance; the last is above the freeze quantity, so that it is cut.
_LOTS = (1, 1, 2, 3, 4, 6, 10, 30)
LOT = 65


class StormLinkActor(Actor):
    """Carries what the gateway sends into the world, and lets the world go on."""

    def __init__(self, world: World, on_send: Callable[[Command], None]) -> None:
        """`on_send` hears each command that leaves, before the world does."""
        super().__init__()
        self._world, self._on_send = world, on_send
        self._due = 0
        for kind in (SendPlace, SendModify, SendCancel, ReadOrders, ReadTrades, ReadPositions, ReadFunds):
            self.subscribe(kind)

    def on_start(self) -> None:
        """Connect."""
        self._world.connect(self._tell)
        self._wake()

    def _tell(self, message: object, key: str) -> None:
        self.publish(message, key)

    @handles(SendPlace, SendModify, SendCancel, ReadOrders, ReadTrades, ReadPositions, ReadFunds)
    def on_request(self, message: Command | Read) -> None:
        """Send a request."""
        self._world.run(self.clock.now)
        if isinstance(message, (SendPlace, SendModify, SendCancel)):
            self._on_send(message)
        self._world.send(message)
        self._wake()

    @handles(Advance)
    def on_due(self, message: Advance) -> None:
        """Let the world come to now."""
        if message.ts == self._due:
            self._due = 0
            self._world.run(self.clock.now)
            self._wake()

    def _wake(self) -> None:
        due = self._world.next_due()
        if not self._due or due < self._due:
            self._due = due
            self.clock.schedule(due, Stage.MARKET_DATA, self, Advance(due, Stage.MARKET_DATA))


class TraderActor(Actor):
    """Plans trades at random, by seed and minute alone: the same in every life of the process.

    `told` are the last ticks the feed told: heard one by one they would be most of what a session delivers.
    """

    def __init__(self, name: str, seed: int, instruments: tuple[str, ...], told: Mapping[str, Tick]) -> None:
        super().__init__()
        self._name, self._seed, self._instruments, self._told = name, seed, instruments, told
        self._plans = self.topic(TradePlan)
        self.subscribe(MinuteClosed)

    @handles(MinuteClosed)
    def on_minute(self, message: MinuteClosed) -> None:
        """Plan a trade, in one minute of four."""
        rng = random.Random(f"{self._name} {self._seed} {message.ts}")
        tick = self._told.get(rng.choice(self._instruments))
        if rng.random() > 0.25 or tick is None:
            return
        price, name = tick.price, f"{self._name}-{message.ts // MINUTE_NS}"
        self._plans.publish(
            TradePlan(
                plan_id=name, signal_id=name, strategy=self._name, underlying="NIFTY", ts=self.clock.now,
                direction=Direction.LONG, instrument=tick.instrument, side=Side.BUY,
                quantity=LOT * rng.choice(_LOTS), lot_size=LOT, entry=price, stop=round(price * rng.uniform(0.9, 0.98)),
                target=round(price * rng.uniform(1.02, 1.1)) + 1.0, bid=tick.bid, ask=tick.ask,
            )
        )  # fmt: skip
