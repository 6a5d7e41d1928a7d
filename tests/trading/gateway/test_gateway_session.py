"""Risk, desk, gateway and record together on the simulated stage, killed with a position open and started again."""

import msgspec
import pytest
from gateway_model import CALL, LOT, SECOND, START, Broker, contract

from sos_actors.actors.gateway import GatewayActor
from sos_actors.actors.order import OrderActor
from sos_actors.actors.risk import RiskActor
from sos_actors.messages import (
    BrokerOrderChanged,
    BrokerPosition,
    CommandAnswered,
    Direction,
    Flatten,
    FundsRead,
    OrdersRead,
    OrderStreamChanged,
    OrderType,
    Outcome,
    Phase,
    PositionsRead,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    Refused,
    Right,
    SendCancel,
    SendModify,
    SendPlace,
    SessionPhase,
    Side,
    Stage,
    Tick,
    TradeClosed,
    TradePlan,
    TradesRead,
)
from sos_actors.runtime import Actor, SimRuntime, handles
from sos_actors.runtime.base import EscalatedError
from sos_actors.runtime.supervision import VITAL
from sos_actors.storage.order_store import OrderStore
from sos_actors.trading.checkpoint import restore
from sos_actors.trading.desk import DeskSettings, OrderDesk
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.gateway.gateway import OrderGateway
from sos_actors.trading.gateway.records import OrderAsked, PlaceSent, StateSaved
from sos_actors.trading.gateway.settings import GatewaySettings
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.limits import RiskBook, RiskSettings
from sos_actors.trading.risk_settings import RiskState

SOON = SECOND // 20


class LinkActor(Actor):
    """The connection to the model broker: fills market orders at the next tick, stops when their trigger trades."""

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self._broker = broker
        self.sent = []
        for kind in type(self).handler_names:
            self.subscribe(kind, CALL if kind is Tick else "")

    @handles(SendPlace)
    def on_place(self, message: SendPlace) -> None:
        self.sent.append(message)
        ids = self._broker.place(message, self.clock.now)
        self._reply(CommandAnswered(message.request_id, self.clock.now, Outcome.CONFIRMED, ids))

    @handles(SendModify)
    def on_modify(self, message: SendModify) -> None:
        self.sent.append(message)
        code = self._broker.modify(message, self.clock.now)
        outcome = Outcome.REJECTED if code else Outcome.CONFIRMED
        self._reply(CommandAnswered(message.request_id, self.clock.now, outcome, code=code))

    @handles(SendCancel)
    def on_cancel(self, message: SendCancel) -> None:
        code = self._broker.cancel(message.broker_id, self.clock.now)
        outcome = Outcome.REJECTED if code else Outcome.CONFIRMED
        self._reply(CommandAnswered(message.request_id, self.clock.now, outcome, code=code))

    @handles(ReadOrders)
    def on_orders(self, message: ReadOrders) -> None:
        now = self.clock.now
        book = [order.shown(now) for order in self._broker.orders.values() if message.tag in {"", order.tag}]
        self._reply(OrdersRead(message.request_id, now, True, tuple(book), message.tag))

    @handles(ReadTrades)
    def on_trades(self, message: ReadTrades) -> None:
        self._reply(TradesRead(message.request_id, self.clock.now, True, tuple(self._broker.trades)))

    @handles(ReadPositions)
    def on_positions(self, message: ReadPositions) -> None:
        held = BrokerPosition(instrument=CALL, product="I", quantity=self._broker.position)
        self._reply(PositionsRead(message.request_id, self.clock.now, True, (held,)))

    @handles(ReadFunds)
    def on_funds(self, message: ReadFunds) -> None:
        self._reply(FundsRead(message.request_id, self.clock.now, True, 1e6, 0.0))

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        for order in list(self._broker.orders.values()):
            stop = order.kind is OrderType.STOP
            if not order.ended and (not stop or message.price <= order.trigger):
                self._broker.fill(order.broker_id, 99, round(message.price * 100), self.clock.now)
        for order in self._broker.stream:
            self.publish(BrokerOrderChanged(self.clock.now, order))
        self._broker.stream.clear()

    def _reply(self, message) -> None:
        gateway = self.runtime.actor("broker")
        self.clock.schedule(self.clock.now + SOON, Stage.TIMER, gateway, message)


class ScriptActor(Actor):
    """Says what the rest of the cast would say, when it is told to; a Phase kills the process."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = []
        for kind in (TradeClosed, Refused):
            self.subscribe(kind)

    @handles(TradePlan, Flatten, OrderStreamChanged)
    def on_word(self, message) -> None:
        self.publish(message)

    @handles(Tick)
    def on_tick(self, message: Tick) -> None:
        self.publish(message, CALL)

    @handles(SessionPhase)
    def on_end(self, message: SessionPhase) -> None:
        raise KeyboardInterrupt if message.phase is Phase.BREAK else RuntimeError("killed")

    @handles(TradeClosed, Refused)
    def on_news(self, message) -> None:
        self.heard.append(message)


class Life:
    """One life of the process over the same broker and the same folder; `at(seconds)` since START."""

    def __init__(self, folder, broker: Broker, begin: float) -> None:
        self.store = OrderStore(folder)
        recovery = self.store.recovery
        self.desk = OrderDesk(
            DeskSettings(exits=ExitSettings(break_even_at=None, square_off=None), exit_by_stop=True, rest_target=False),
            Ledger(100_000_000),
        )
        self.book = RiskBook(RiskSettings(strategy_positions=3, cooldown_s=0.0))
        working = ()
        if "desk" in recovery.states:
            restore(self.desk, [saved.state for saved in recovery.states["desk"]])
            working = recovery.states["desk"][-1].working
        if "risk" in recovery.states:
            self.book.take_up(msgspec.msgpack.decode(recovery.states["risk"][-1].state, type=RiskState))
        self.runtime = runtime = SimRuntime(strict=True)
        runtime.clock.now = START + round(begin * SECOND)
        self.gateway = OrderGateway(GatewaySettings(), contract, f"T{round(begin)}")
        runtime.spawn(LinkActor, "link", broker, policy=VITAL)
        runtime.spawn(GatewayActor, "broker", self.gateway, self.store, recovery.records, working, recovery.cut,
                      policy=VITAL)  # fmt: skip
        runtime.spawn(RiskActor, "risk", self.book, (), durable=True, policy=VITAL)
        runtime.spawn(OrderActor, "orders", self.desk, durable=True, policy=VITAL)
        runtime.spawn(ScriptActor, "script", policy=VITAL)
        self.at(begin + 0.1, OrderStreamChanged(0, live=True))

    def at(self, seconds: float, message) -> None:
        at = START + round(seconds * SECOND)
        self.runtime.clock.schedule(at, Stage.MARKET_DATA, self.runtime.actor("script"), message)

    def tick(self, seconds: float, price: float) -> None:
        at = START + round(seconds * SECOND)
        self.at(seconds, Tick(CALL, at, at, price, bid=price - 0.05, ask=price + 0.05))

    def until_killed(self, seconds: float) -> None:
        at = START + round(seconds * SECOND)
        self.at(seconds, SessionPhase(at, None, Phase.CLOSED))
        with pytest.raises(EscalatedError, match="killed"):
            self.runtime.run()
        for path in ("link", "broker", "risk", "orders"):
            assert not self.runtime.actor(path).closed

    @property
    def heard(self):
        return self.runtime.actor("script").heard

    @property
    def sent(self):
        return self.runtime.actor("link").sent


def plan(seconds: float, name: str = "p1") -> TradePlan:
    return TradePlan(
        name, name, "gate", "NIFTY", START + round(seconds * SECOND), Direction.LONG, CALL, Side.BUY, LOT, LOT,
        100.0, 90.0, 130.0, right=Right.CE,
    )  # fmt: skip


def test_killed_with_a_position_open_and_started_again(tmp_path):
    broker = Broker()
    first = Life(tmp_path, broker, 0)
    first.at(5, plan(5))
    for second in range(1, 20):
        first.tick(second, 100.0 + second / 10)
    first.until_killed(20)
    assert broker.position == LOT
    assert [type(m).__name__ for m in first.sent] == ["SendPlace", "SendPlace"]
    (stop,) = [order for order in broker.orders.values() if not order.ended]
    assert (stop.kind, stop.trigger) == (OrderType.STOP, 90.0)

    second = Life(tmp_path, broker, 25)
    second.at(24.9, plan(24.9, "early"))
    second.until_killed(40)
    assert second.sent == []
    assert second.desk.state().positions == (("gate", CALL, LOT),)
    assert [trade.stop for trade in second.desk.state().trades] == [90.0]
    assert second.book.state().trades_today == 1
    assert second.heard[0].reason == "ACCOUNT_DIFFERS"
    assert second.gateway.state().entries_held == ""

    third = Life(tmp_path, broker, 45)
    third.tick(50, 105.0)
    third.at(51, Flatten(0, "FLATTEN"))
    third.tick(52, 106.0)
    third.until_killed(60)
    (change,) = third.sent
    assert isinstance(change, SendModify)
    assert broker.position == 0
    assert [order for order in broker.orders.values() if not order.ended] == []
    (closed,) = third.heard
    assert (closed.quantity, closed.exit_price, closed.exit_reason) == (LOT, 106.0, "FLATTEN")
    assert third.desk.state().positions == ()
    assert len(broker.orders) == 2


def test_a_stop_that_filled_while_we_were_dead_closes_the_trade(tmp_path):
    broker = Broker()
    first = Life(tmp_path, broker, 0)
    first.at(5, plan(5))
    for second in range(1, 20):
        first.tick(second, 100.0)
    first.until_killed(20)
    broker.fill("B2", 1, 8_985, START + 22 * SECOND)
    broker.stream.clear()
    second = Life(tmp_path, broker, 25)
    second.until_killed(40)
    (closed,) = second.heard
    assert (closed.exit_price, closed.exit_reason) == (89.85, "STOP")
    assert second.sent == []


@pytest.mark.parametrize("moment", [5.0, 5.01, 5.06, 6.0, 6.01, 6.06, 6.2])
def test_killed_at_any_moment_of_an_entry_nothing_is_doubled_or_lost(tmp_path, moment):
    broker = Broker()
    first = Life(tmp_path, broker, 0)
    first.at(5, plan(5))
    for second in range(1, 20):
        first.tick(second, 100.0)
    first.until_killed(moment + 1e-6)
    broker.stream.clear()
    second = Life(tmp_path, broker, 8)
    for now in range(9, 60):
        second.tick(now, 100.0)
    second.until_killed(60)
    entries = [order for order in broker.orders.values() if order.side is Side.BUY]
    assert len(entries) <= 1
    assert broker.position == sum(units for _, _, units in second.desk.state().positions)
    stops = [order for order in broker.orders.values() if not order.ended]
    assert sum(order.quantity for order in stops) == broker.position
    assert second.gateway.state().differences == ()


class Noting:
    """A topic that notes what passes."""

    def __init__(self, topic, log) -> None:
        self._topic, self._log = topic, log

    def publish(self, message) -> None:
        self._log.append(type(message))
        self._topic.publish(message)


def test_a_placing_waits_for_the_disk_and_a_change_for_what_was_written(tmp_path, monkeypatch):
    life = Life(tmp_path, Broker(), 0)
    gateway, log = life.runtime.actor("broker"), []
    append, sync = life.store.append, life.store.sync
    monkeypatch.setattr(life.store, "append", lambda record: (log.append(type(record)), append(record)))
    monkeypatch.setattr(life.store, "sync", lambda: (log.append("sync"), sync()))
    for kind in (SendPlace, SendModify):
        gateway._topics[kind] = Noting(gateway.topic(kind), log)
    life.at(5, plan(5))
    for second in range(1, 20):
        life.tick(second, 100.0)
    life.at(10, Flatten(0, "FLATTEN"))
    life.until_killed(20)
    places = [n for n, what in enumerate(log) if what is SendPlace]
    assert [log[n - 2 : n] for n in places] == [[PlaceSent, "sync"]] * 2
    (change,) = [n for n, what in enumerate(log) if what is SendModify]
    assert log[change - 2 : change + 2] == [StateSaved, OrderAsked, SendModify, "sync"]
