"""OrderActor alone: what it says at what time, with the broker's part played by the test."""

import datetime as dt

import pytest
from actor_helpers import DAY, MINUTE, NS, Ear, ist
from live_helpers import Script

from sos_actors.actors.order import OrderActor
from sos_actors.config import Config
from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.ids import option_id
from sos_actors.messages import (
    AccountMarked,
    Direction,
    Fill,
    OrderIntent,
    OrderRole,
    OrderStatus,
    OrderUpdate,
    Phase,
    Right,
    SessionPhase,
    Side,
    SubmitOrder,
    TradePlan,
)
from sos_actors.runtime import SimRuntime
from sos_actors.trading.checkpoint import checkpoint, restore
from sos_actors.trading.desk import OrderDesk
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.ledger import Ledger

CALL = option_id("NIFTY", DAY + dt.timedelta(days=1), 24_500.0, Right.CE)
START = ist("10:00")


def new_desk():
    return OrderDesk(
        DeskSettings(rest_target=False, exit_by_stop=True), Ledger(100_000_00, ChargeSchedule(Config().charges))
    )


def plan():
    return TradePlan(
        plan_id="p", signal_id="s", strategy="one", underlying="NIFTY", ts=START, direction=Direction.LONG,
        instrument=CALL, side=Side.BUY, quantity=75, lot_size=75, entry=100.0, stop=90.0, target=120.0,
    )  # fmt: skip


def stage(desk, acts, *, durable=False):
    heard = []
    runtime = SimRuntime()
    runtime.clock.now = START
    runtime.spawn(OrderActor, "orders", desk, durable=durable)
    runtime.spawn(Ear, "ear", heard, (SubmitOrder, ""), (AccountMarked, ""))
    runtime.spawn(Script, "script", [(at, lambda act=act: act(runtime)) for at, act in acts])
    runtime.run()
    assert not len(runtime.dead_letters), list(runtime.dead_letters)
    return heard


def test_a_lost_stop_leaves_again_by_a_timer():
    desk = new_desk()
    heard = stage(
        desk,
        [
            (START + NS, lambda runtime: runtime.publish(OrderIntent("i", START, plan()))),
            (START + 2 * NS, lambda runtime: runtime.publish(Fill("f", "i-e", START, CALL, Side.BUY, 75, 100.0))),
            (
                START + 3 * NS,
                lambda runtime: runtime.publish(OrderUpdate("i-s", START + 3 * NS, OrderStatus.REJECTED, "no")),
            ),
        ],
    )
    sent = [(m.order_id, m.role) for m in heard if isinstance(m, SubmitOrder)]
    assert sent == [("i-e", OrderRole.ENTRY), ("i-s", OrderRole.STOP), ("i-s2", OrderRole.STOP)]
    assert next(m for m in heard if getattr(m, "order_id", "") == "i-s2").ts == START + 5 * NS


def test_a_desk_restored_without_a_stop_sends_one_when_it_is_due():
    before = new_desk()
    before.on_intent(OrderIntent("i", START, plan()))
    before.on_fill(Fill("f", "i-e", START, CALL, Side.BUY, 75, 100.0))
    before.on_update(OrderUpdate("i-s", START, OrderStatus.CANCELLED, "lost"))
    desk = new_desk()
    restore(desk, [checkpoint(before)])
    heard = stage(desk, [])
    assert [m.order_id for m in heard if isinstance(m, SubmitOrder)] == ["i-s2"]


@pytest.mark.parametrize("durable", [True, False])
def test_told_in_mid_session_that_it_is_open_a_durable_account_is_marked_though_it_holds_nothing(durable):
    told = [(START + MINUTE, lambda runtime: runtime.tell("orders", SessionPhase(ist("09:15"), DAY, Phase.OPEN)))]
    marks = [m for m in stage(new_desk(), told, durable=durable) if isinstance(m, AccountMarked)]
    assert [(m.ts, m.equity_paise, m.open_positions) for m in marks] == [(START + MINUTE, 100_000_00, 0)] * durable


def test_what_the_account_is_worth_follows_the_last_prices():
    desk, told = new_desk(), []
    stage(
        desk,
        [
            (START + NS, lambda runtime: runtime.publish(OrderIntent("i", START, plan()))),
            (START + 2 * NS, lambda runtime: runtime.publish(Fill("f", "i-e", START, CALL, Side.BUY, 75, 100.0))),
            (START + 3 * NS, lambda runtime: desk.prices.update({CALL: 104.0})),
            (START + 4 * NS, lambda runtime: told.append(runtime.actor("orders").inspect())),
        ],
    )
    assert told[0]["equity_paise"] == told[0]["cash_paise"] + 75 * 104_00
