"""OrderActor alone: what it says at what time, with the broker's part played by the test."""

import datetime as dt

import pytest
from actor_helpers import DAY, MINUTE, NS, Ear, ist
from live_helpers import Script

from sos_actors.actors.order import OrderActor
from sos_actors.config import Config
from sos_actors.market.charges import ChargeSchedule
from sos_actors.market.ids import index_id, option_id
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
    Tick,
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


EXPIRES = DAY + dt.timedelta(days=1)


def at(clock, day=EXPIRES):
    return ist(clock, day)


def spot(price, when):
    return Tick(index_id("NIFTY"), when, when, price)


def expiry_day(fills, *, late=(), desk=None):
    """Hold a call of 24,500 into the close of its expiry, the index at 24,550; `late` is told at 15:35."""
    desk = desk or new_desk()
    phases = [("15:30", Phase.CLOSED)]
    acts = [
        (at("10:00"), lambda runtime: runtime.publish(OrderIntent("i", at("10:00"), plan()))),
        *((at("10:01"), lambda runtime, one=one: runtime.publish(one)) for one in fills),
        (at("15:29"), lambda runtime: runtime.publish(spot(24_550.0, at("15:29")), index_id("NIFTY"))),
        *((at(when), lambda runtime, p=p, w=when: runtime.publish(SessionPhase(at(w), EXPIRES, p)))
          for when, p in phases),
        *((at("15:35"), lambda runtime, one=one: runtime.publish(one)) for one in late),
    ]  # fmt: skip
    stage(desk, acts)
    return desk


@pytest.mark.parametrize("twice", [False, True])
def test_an_exit_that_is_told_after_its_contract_was_settled_leaves_no_position(twice):
    entry = Fill("f", "i-e", at("10:01"), CALL, Side.BUY, 75, 100.0)
    exits = [
        Fill("g1", "i-x", at("15:29"), CALL, Side.SELL, 50, 70.0),
        Fill("g2", "i-x", at("15:29"), CALL, Side.SELL, 25, 70.0),
    ]
    desk = expiry_day([entry], late=[*exits, *(exits if twice else ())])
    assert desk.ledger.positions() == {}
    # What it was sold for, not what the settlement would have paid.
    assert desk.ledger.realised_paise == 75 * (70_00 - 100_00)


def test_what_was_made_by_hand_is_settled_at_its_expiry_too():
    desk = expiry_day([Fill("h", "by-hand", at("10:01"), CALL, Side.BUY, 75, 60.0)])
    assert desk.ledger.positions() == {}


def test_what_expired_while_no_daemon_ran_is_settled_in_the_morning():
    held = new_desk()
    held.on_intent(OrderIntent("i", START, plan()))
    held.on_fill(Fill("f", "i-e", START, CALL, Side.BUY, 75, 100.0))
    held.prices[CALL] = 42.0
    desk, morning = new_desk(), DAY + dt.timedelta(days=2)
    restore(desk, [checkpoint(held)])
    acts = [
        (
            ist("09:14", morning),
            lambda runtime: runtime.publish(SessionPhase(ist("09:14", morning), morning, Phase.PRE_OPEN)),
        )
    ]
    heard = stage(desk, acts)
    assert desk.ledger.positions() == {}
    assert desk.ledger.realised_paise == 75 * (42_00 - 100_00)
    assert not [one for one in heard if isinstance(one, SubmitOrder)]
