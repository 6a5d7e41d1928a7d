"""What an operator's halt must hold against: an entry that is let through in the same moment, and a stop."""

from __future__ import annotations

import datetime as dt
import threading

from sos_actors.actors.order import OrderActor
from sos_actors.actors.risk import RiskActor
from sos_actors.daemon.operations import Operations
from sos_actors.market.clocktime import ist_ns
from sos_actors.messages import CheckOrders, Direction, ExitReason, Right, Side, TradePlan, TradingState
from sos_actors.runtime import Actor, LiveRuntime, handles
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.limits import RiskBook
from sos_actors.trading.risk_settings import RiskSettings

TEN = ist_ns(dt.date(2026, 11, 20), "10:00")
CALL = "NSE|OPT|NIFTY|2026-11-23|25000|CE"
PLAN = TradePlan(
    "p", "s", "one", "NIFTY", TEN, Direction.LONG, CALL, Side.BUY, 65, 65, 100.0, 90.0, 130.0, right=Right.CE
)


class BusyActor(Actor):
    """Keeps its thread busy until it is told to go on."""

    def __init__(self, go_on: threading.Event) -> None:
        super().__init__()
        self._go_on = go_on

    @handles(CheckOrders)
    def on_check(self, message: CheckOrders) -> None:
        del message
        assert self._go_on.wait(30.0)


def test_a_kill_closes_also_what_the_limits_let_through_a_moment_before():
    """The plan waits at the limits when the kill comes: its entry must not reach the desk after the order to close."""
    go_on, desk, book = threading.Event(), OrderDesk(DeskSettings(), Ledger(10**9)), RiskBook(RiskSettings())
    runtime = LiveRuntime()
    try:
        runtime.spawn(BusyActor, "busy", go_on, group="core")
        runtime.spawn(RiskActor, "risk", book, ("NIFTY",), group="core")
        runtime.spawn(OrderActor, "orders", desk, group="core")
        operations = Operations(runtime, None)
        runtime.tell("busy", CheckOrders(0))
        runtime.publish(PLAN)
        killing = threading.Thread(target=operations.kill)
        killing.start()
        killing.join(0.3)
        go_on.set()
        killing.join(30.0)
        assert runtime.settle(30.0)
        assert book.trading_state() is TradingState.HALTED
        assert [trade.reason for trade in desk.flow.live.values()] == [ExitReason.FLATTEN]
    finally:
        runtime.close()
