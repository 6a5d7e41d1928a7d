"""The paper broker: an exchange in the process, filling by stated, pessimistic rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sos_actors.messages import (
    CancelOrder,
    ExchangeBar,
    Fill,
    ModifyOrder,
    OrderUpdate,
    Phase,
    SessionPhase,
    Stage,
    SubmitOrder,
    Tick,
)
from sos_actors.runtime import Actor, Topic, handles
from sos_actors.trading.matching import PaperExchange

_MATCH_OPEN = Stage.MATCH_OPEN


def exchange_key(instrument: str) -> str:
    """Key under which the feed shows the exchange a tick before anybody else sees it."""
    return f"exchange:{instrument}"


class PaperBrokerActor(Actor):
    """Takes orders, fills them at later prices. It hears an instrument's prices only while an order of it waits."""

    def __init__(self, exchange: PaperExchange, prices: type[ExchangeBar | Tick]) -> None:
        """`prices` is what the feed shows the exchange: bars or ticks."""
        super().__init__()
        self._prices = prices
        self._exchange = exchange
        self._hearing: set[str] = set()
        self._topics: dict[str, Topic] = {}
        self._orders: dict[str, str] = {}
        self._events: dict[type, Topic] = {kind: self.topic(kind) for kind in (OrderUpdate, Fill)}
        for kind in (SubmitOrder, ModifyOrder, CancelOrder, SessionPhase):
            self.subscribe(kind)

    @handles(SubmitOrder)
    def on_submit(self, message: SubmitOrder) -> None:
        """Take an order."""
        self._orders[message.order_id] = message.instrument
        self._tell(self._exchange.submit(message), message.instrument)

    @handles(ModifyOrder)
    def on_modify(self, message: ModifyOrder) -> None:
        """Change an order."""
        self._tell(self._exchange.modify(message), self._orders.get(message.order_id, ""))

    @handles(CancelOrder)
    def on_cancel(self, message: CancelOrder) -> None:
        """Take an order back."""
        self._tell(self._exchange.cancel(message), self._orders.get(message.order_id, ""))

    @handles(ExchangeBar)
    def on_bar(self, message: ExchangeBar) -> None:
        """Match what waits against the first price of a bar, or against the rest of it."""
        bar = message.bar
        if message.stage is _MATCH_OPEN:
            self._tell(self._exchange.open(bar, message.bid, message.ask), bar.instrument)
        else:
            self._tell(self._exchange.range(bar), bar.instrument)

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        """Match what waits against a tick."""
        self._tell(self._exchange.tick(message), message.instrument)

    @handles(SessionPhase)
    def on_phase(self, message: SessionPhase) -> None:
        """End the day's orders."""
        if message.phase is Phase.CLOSED:
            self._publish(self._exchange.end_of_day(message.ts))
            for instrument in sorted(self._hearing):
                self._listen(instrument)
            self._orders = {oid: name for oid, name in self._orders.items() if self._exchange.working(name)}

    def _tell(self, events: Sequence[OrderUpdate | Fill], instrument: str) -> None:
        if events:
            self._publish(events)
        self._listen(instrument)

    def _publish(self, events: Sequence[OrderUpdate | Fill]) -> None:
        topics = self._events
        for event in events:
            publish = topics[type(event)].publish  # a variable: half the price of calling it as if it were a method
            publish(event)

    def _listen(self, instrument: str) -> None:
        working = self._exchange.working(instrument)
        if working == (instrument in self._hearing):
            return
        topic = self._topics.get(instrument)
        if topic is None:
            key = exchange_key(instrument) if self._prices is Tick else instrument
            topic = self._topics[instrument] = self.topic(self._prices, key)
        if working:
            self._hearing.add(instrument)
            self.hear(topic)
        else:
            self._hearing.discard(instrument)
            topic.remove(self)

    def inspect(self) -> dict[str, Any]:
        """Say where orders wait."""
        return {"working": sorted(self._hearing)}
