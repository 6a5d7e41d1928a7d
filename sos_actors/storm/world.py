"""What outlives our process: the exchange, the market, the wires between, and the faults that are at work on them."""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import (
    BrokerOrderChanged,
    CommandAnswered,
    FeedStatus,
    OrderStreamChanged,
    Outcome,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    SendCancel,
    SendModify,
    SendPlace,
    Tick,
)
from sos_actors.sandbox.exchange import EventKind, Exchange, ExchangeSettings
from sos_actors.storm.broker import SimulatedBroker
from sos_actors.storm.faults import AT_THE_EXCHANGE, Fault
from sos_actors.upstox.answers import OUTCOMES, Answerer, BookRead, Command, Read
from sos_actors.upstox.errors import Certainty
from sos_actors.upstox.order_stream import UpdateReader

_READS = (ReadOrders, ReadTrades, ReadPositions, ReadFunds)
#: Time between two quotes of one contract, and the volatility of one step.
_STEP_NS, _SIGMA = 3 * SECOND_NS, 0.002
#: How long the client waits for an answer, and how long until a lost stream is there again, ns.
_TIME_OUT_NS, _RECONNECT_NS = 7 * SECOND_NS, 2 * SECOND_NS
_TICK = 0.05


class World:
    """Exchange, market and network. Times UTC ns. `tell` is the process's ear: None while there is no process.

    `on_place` hears each placing that reaches the broker, before it is worked on; `mistakes` are answers that only a
    mistake in the program explains.
    """

    def __init__(self, seed: int, start: int, instruments: tuple[Instrument, ...], settings: ExchangeSettings) -> None:
        self.now = start
        self.table = InstrumentTable(instruments)
        self.exchange = Exchange(settings, self.table, np.random.default_rng(seed))
        self.tell: Callable[[Any, str], None] | None = None
        self.on_place: Callable[[SendPlace], None] = lambda _: None
        self.on_placed: Callable[[SendPlace], None] = lambda _: None
        self.mistakes: list[str] = []
        self.counts: Counter[str] = Counter()
        self.changed = True
        self._rng = random.Random(f"market {seed}")
        self._wire = random.Random(f"wire {seed}")
        self._broker = SimulatedBroker(self.exchange, lambda: self.table, lambda: self.now)
        self._answerer = Answerer(self._broker, self._broker, lambda: self.table, lambda: self.now)
        self._updates = UpdateReader(self._broker.reader)
        self._heap: list[tuple[int, int, Callable[[], object]]] = []
        self._number = 0
        self._life = 0
        self._connected = False
        self._queues: dict[str, deque[Command | Read]] = {}
        self._pending: dict[str, list[Fault]] = {"lost_request": [], "stuck_request": []}
        self._until: dict[str, int] = {}
        self.prices = {one.id: 60.0 + 40.0 * number for number, one in enumerate(instruments) if one.kind == "OPT"}
        self._volumes = dict.fromkeys(self.prices, 0.0)
        self._quote()

    # -- time ----------------------------------------------------------------------------------------------------

    def at(self, ts: int, task: Callable[[], object]) -> None:
        """Have something done at an instant."""
        self._number += 1
        heapq.heappush(self._heap, (ts, self._number, task))

    def next_due(self) -> int:
        """When something happens next."""
        due = self.exchange.next_due()
        return self._heap[0][0] if due is None else min(due, self._heap[0][0])

    def run(self, to: int) -> None:
        """Let time come to `to`."""
        heap = self._heap
        while heap and heap[0][0] <= to:
            ts, _, task = heapq.heappop(heap)
            self.now = max(self.now, ts)
            self._pass_on()
            task()
        self.now = max(self.now, to)
        self._pass_on()

    def _pass_on(self) -> None:
        for event in self.exchange.advance(self.now):
            self.changed = True
            if event.kind is EventKind.DISCONNECTED:
                self._disconnect(_RECONNECT_NS)
            elif event.kind is EventKind.ORDER and self._connected and self.tell is not None:
                order = self._updates.read(msgspec.json.encode(event.body))
                if order is None:
                    self.mistakes.append(f"an update that could not be read: {event.body}")
                else:
                    self.tell(BrokerOrderChanged(self.now, order), "")

    # -- the process -----------------------------------------------------------------------------------------------

    def connect(self, tell: Callable[[Any, str], None]) -> None:
        """A process is there: its stream comes up in a moment."""
        self._life += 1
        self.tell = tell
        self._queues.clear()
        self._reconnect(SECOND_NS // 2)

    def lose(self) -> None:
        """The process is gone. What it sent already is on its way all the same."""
        self._life += 1
        self.tell = None
        self._connected = False
        self._queues.clear()

    def _disconnect(self, for_ns: int) -> None:
        if self._connected and self.tell is not None:
            self.tell(OrderStreamChanged(self.now, False, "the connection broke"), "")
        self._connected = False
        self._reconnect(for_ns)

    def _reconnect(self, in_ns: int) -> None:
        life = self._life

        def up() -> None:
            if life == self._life and self.tell is not None and not self._connected:
                self._connected = True
                self.tell(OrderStreamChanged(self.now, True), "")

        self.at(self.now + in_ns, up)

    # -- requests --------------------------------------------------------------------------------------------------

    def send(self, message: Command | Read) -> None:
        """Take a request of the process; those about one order go one after the other."""
        key = message.broker_id if isinstance(message, (SendModify, SendCancel)) else message.request_id
        queue = self._queues.setdefault(key, deque())
        queue.append(message)
        if len(queue) == 1:
            self._leave(key, message)

    def _leave(self, key: str, message: Command | Read) -> None:
        life = self._life
        arrives = self.now + self._wire.randint(2_000_000, 15_000_000)
        if isinstance(message, _READS):
            self.at(arrives, lambda: self._read(life, key, message))
            return
        for kind in ("lost_request", "stuck_request"):
            if self._pending[kind]:
                fault = self._pending[kind].pop()
                self.counts[kind] += 1
                late = round(fault.seconds * SECOND_NS)
                if kind == "stuck_request":
                    self.at(arrives + late, partial(self._carry, message))
                unknown = CommandAnswered(message.request_id, 0, OUTCOMES[Certainty.UNKNOWN], detail="no answer")
                self.at(self.now + _TIME_OUT_NS, partial(self._reply, life, key, unknown))
                return

        def arrive() -> None:
            answer = self._carry(message)
            self.at(self.now + self._broker.delay_ns, lambda: self._reply(life, key, answer))

        self.at(arrives, arrive)

    def _carry(self, message: Command) -> CommandAnswered:
        self._broker.delay_ns = 0
        self.changed = True
        if isinstance(message, SendPlace):
            self.on_place(message)
        answer = self._answerer.command(message)
        if isinstance(message, SendPlace):
            self.on_placed(message)
        if answer.outcome is Outcome.UNKNOWN and answer.detail.startswith("a mistake"):
            self.mistakes.append(answer.detail)
        return answer

    def _read(self, life: int, key: str, message: Read) -> None:
        self._broker.delay_ns = 0
        answer = self._answerer.read(message)
        self.at(self.now + self._broker.delay_ns, lambda: self._reply(life, key, answer))

    def _reply(self, life: int, key: str, answer: CommandAnswered | BookRead) -> None:
        if life != self._life or self.tell is None:
            return
        self.tell(msgspec.structs.replace(answer, ts=self.now), "")
        queue = self._queues[key]
        queue.popleft()
        if queue:
            self._leave(key, queue[0])
        else:
            del self._queues[key]

    # -- the market ------------------------------------------------------------------------------------------------

    def _quote(self) -> None:
        """Move every contract, the exchange first, and let the feed tell of it as far as it works."""
        self.at(self.now + _STEP_NS, self._quote)
        rng, now = self._rng, self.now
        for instrument, before in self.prices.items():
            drift = _SIGMA * rng.gauss(0.0, 1.0) + (0.0002 * math.log(100.0 / before))
            jump = rng.gauss(0.0, 0.04) if rng.random() < 0.002 else 0.0
            price = max(round(before * math.exp(drift + jump) / _TICK), 100) * _TICK
            self.prices[instrument] = price
            half = _TICK * rng.randint(1, 4)
            size = 65 * rng.randint(1, 20)
            self._volumes[instrument] += size
            bid, ask = round(price - half, 2), round(price + half, 2)
            self.exchange.on_quote(instrument, bid, size, ask, size, round(price, 2), self._volumes[instrument], now)
            self._feed(Tick(instrument, now, now, round(price, 2), bid=bid, ask=ask))

    def _feed(self, tick: Tick) -> None:
        until, now = self._until, self.now
        if not until:
            self._tick(tick)
            return
        if until.get("ticks_lost", 0) > now or until.get("feed_stale", 0) > now:
            self.counts["ticks_lost"] += 1
            return
        if until.get("quotes_crossed", 0) > now:
            tick = msgspec.structs.replace(tick, bid=tick.ask, ask=tick.bid)
        if until.get("quotes_zero", 0) > now:
            tick = msgspec.structs.replace(tick, bid=0.0, ask=0.0)
        if until.get("ticks_late", 0) > now:
            self.at(now + self._rng.randint(1, 8 * SECOND_NS), lambda: self._tick(tick))  # and so out of order
        else:
            self._tick(tick)
        if until.get("ticks_doubled", 0) > now:
            self._tick(tick)

    def _tick(self, tick: Tick) -> None:
        if self.tell is not None:
            self.tell(tick, tick.instrument)

    # -- faults ----------------------------------------------------------------------------------------------------

    def strike(self, fault: Fault) -> bool:
        """Let a fault of the world strike; False for one that is not the world's."""
        kind, length = fault.kind, round(fault.seconds * SECOND_NS)
        if kind in AT_THE_EXCHANGE:
            self.exchange.faults.arm(kind, fault.count)
        elif kind in self._pending:
            self._pending[kind].append(fault)
        elif kind == "stream_down":
            self._disconnect(length)
        elif kind == "broker_restart":
            self.exchange.restart(self.now, fault.seconds)
        elif kind == "halt":
            self.exchange.halt(self.now, fault.seconds)
        elif kind.startswith(("ticks_", "quotes_")) or kind == "feed_stale":
            self._until[kind] = self.now + length
            if kind == "feed_stale":
                self._say_feed(live=False)
                self.at(self.now + length, lambda: self._say_feed(live=True))
        else:
            return False
        return True

    def calm(self) -> None:
        """End every fault: what is armed does not strike any more."""
        for name in AT_THE_EXCHANGE:
            self.exchange.faults._left.pop(name, None)
        for waiting in self._pending.values():
            waiting.clear()
        self._until.clear()

    def _say_feed(self, *, live: bool) -> None:
        if self.tell is not None:
            self.tell(FeedStatus("NIFTY", self.now, live, "" if live else "the feed is stale"), "")
