"""A desk put back from its state goes on exactly as the one that never stopped."""

import random

import msgspec
import pytest
from kept_desk import KeptDesk
from trading_helpers import CALL, MINUTE, OPEN_TS, PUT, Floor, bar, intent, order, trade_plan

import sos_actors.trading.checkpoint as module
from sos_actors.errors import StorageError
from sos_actors.messages import (
    AccountMarked,
    CancelOrder,
    Direction,
    ExitReason,
    Fill,
    ModifyOrder,
    OrderIntent,
    OrderRole,
    OrderStatus,
    OrderType,
    OrderUpdate,
    Side,
    SubmitOrder,
    Tick,
    TradeClosed,
)
from sos_actors.trading.checkpoint import (
    COUNTS,
    Checkpointer,
    TradeState,
    checkpoint,
    restore,
    wishes,
    working_orders,
)
from sos_actors.trading.desk import DeskSettings, OrderDesk
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.limits import RiskBook, RiskSettings
from sos_actors.trading.matching import PaperExchange
from sos_actors.trading.paper_settings import PaperSettings
from sos_actors.trading.risk_settings import RiskState
from sos_actors.trading.trade import Trade

EXITS = ExitSettings(break_even_at=0.4, trailing=0.8, time_stop_min=12.0, square_off=None)


def fresh(**settings) -> OrderDesk:
    return OrderDesk(DeskSettings(exits=EXITS, **settings), Ledger(1_000_000_00))


def same(one, other) -> bool:
    return repr(one) == repr(other)  # NaN is not equal to itself


def walk(seed: int, *, restarts: bool, **settings):
    """A random day of one desk: entries, flips, partial fills, exits; with `restarts` it dies after every minute."""
    rng = random.Random(seed)
    world = Floor(fresh(**settings), PaperExchange(PaperSettings(volume_cap=0.5)))
    price = {CALL: 100.0, PUT: 100.0}
    for minute in range(90):
        if restarts:
            raw = checkpoint(world.desk)
            world.desk = fresh(**settings)
            restore(world.desk, [raw])
            assert checkpoint(world.desk) == raw
            assert Checkpointer(world.desk).save() == (raw, True)
        for name in (CALL, PUT):
            o = price[name]
            c = max(round((o + rng.gauss(0, 3)) / 0.05) * 0.05, 1.0)
            h, low = max(o, c) + rng.random() * 2, max(min(o, c) - rng.random() * 2, 0.5)
            price[name] = c
            volume = float(rng.choice([50, 300, 10_000]))
            world.minute(bar(minute, o, h, low, c, instrument=name, volume=volume))
        if rng.random() < 0.4:
            name = rng.choice([CALL, PUT])
            world.send(
                world.desk.on_intent(
                    intent(
                        f"i{minute}", OPEN_TS + (minute + 1) * MINUTE, plan_id=f"i{minute}", instrument=name,
                        quantity=75 * rng.randint(1, 3), entry=price[name], stop=price[name] - 8.0,
                        target=price[name] + 10.0, flip=rng.random() < 0.3,
                        direction=rng.choice([Direction.LONG, Direction.SHORT]), side=rng.choice([Side.BUY, Side.SELL]),
                    )
                )
            )  # fmt: skip
        if rng.random() < 0.05:
            world.send(world.desk.flatten(OPEN_TS + (minute + 1) * MINUTE))
    return world


@pytest.mark.parametrize("by_stop", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_a_desk_that_dies_every_minute_does_what_one_that_lives_does(seed, by_stop):
    lived = walk(seed, restarts=False, exit_by_stop=by_stop, rest_target=not by_stop)
    died = walk(seed, restarts=True, exit_by_stop=by_stop, rest_target=not by_stop)
    assert len(lived.of(TradeClosed)) > 5
    assert same(died.said, lived.said)
    assert same(died.desk.state(), lived.desk.state())


def test_a_day_of_increments_is_a_whole_state_at_every_event():
    saved = kept_walk().saved
    assert len(saved) > 300
    assert all(len(raw) < 6_000 for raw in saved[1:])


def kept_walk() -> KeptDesk:
    """The random day with a desk that is checked after every event; gives the desk."""
    rng = random.Random(11)
    world = Floor(KeptDesk(DeskSettings(exits=EXITS), Ledger(1_000_000_00)), PaperExchange(PaperSettings()))
    for minute in range(60):
        end = OPEN_TS + (minute + 1) * MINUTE
        world.send(world.desk.on_intent(intent(f"i{minute}", end, plan_id=f"i{minute}", flip=rng.random() < 0.3)))
        for n in range(4):
            price = 100.0 + rng.randint(-60, 60) * 0.2
            world.send(world.desk.on_tick(Tick(CALL, end + n, end + n, price)))
        world.minute(bar(minute + 1, 100.0, 104.0, 96.0, 100.0 + rng.randint(-9, 9)))
    return world.desk


def test_a_whole_state_is_due_when_increments_outweigh_it():
    desk = fresh()
    checkpoints = Checkpointer(desk)
    assert checkpoints.save()[1]
    held = desk.on_intent(intent())
    sizes = []
    while not checkpoints.due:
        desk.on_update(OrderUpdate(held[0].order_id, OPEN_TS, OrderStatus.OPEN, ""))
        raw, whole = checkpoints.save()
        assert not whole
        sizes.append(len(raw))
    assert sum(sizes) > 200_000
    raw, whole = checkpoints.save(whole=True)
    assert whole
    assert raw == checkpoint(desk)
    assert not checkpoints.due


def test_increments_without_a_whole_state_before_them_are_refused():
    desk = fresh()
    checkpoints = Checkpointer(desk)
    checkpoints.save()
    desk.on_intent(intent())
    with pytest.raises(StorageError, match="no beginning"):
        restore(fresh(), [checkpoints.save()[0]])


def test_an_ended_trade_is_encoded_no_more(monkeypatch):
    world = Floor(fresh(), PaperExchange(PaperSettings()))
    checkpoints = Checkpointer(world.desk)
    world.send(world.desk.on_intent(intent("a")))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    world.send(world.desk.flatten(OPEN_TS + MINUTE))
    world.minute(bar(1, 100.0, 101.0, 99.0, 100.0))
    assert len(world.of(TradeClosed)) == 1
    checkpoints.save()
    world.send(world.desk.on_intent(intent("b")))
    encoded = []
    encode = module._encode_trade
    monkeypatch.setattr(module, "_encode_trade", lambda desk, trade: encoded.append(trade) or encode(desk, trade))
    checkpoints.save(whole=True)
    assert [trade.intent_id for trade in encoded] == ["b"]


def test_working_orders_are_those_the_desk_waits_for():
    world = walk(3, restarts=False)
    live = [record.order_id for record in world.desk.flow.records.values() if not record.ended]
    assert sorted(working_orders(world.desk)) == sorted(live)


def test_wishes_are_what_the_desk_wants_of_its_resting_orders_now():
    world = Floor(fresh(), PaperExchange(PaperSettings()))
    world.send(world.desk.on_intent(intent("a")))
    assert wishes(world.desk) == ()  # an entry that waits is as it was sent
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    trade = world.desk.flow.trades["a"]
    stop, target = trade.stop_order, trade.target_order
    level = trade.exits.stop
    said = {wish.order_id: wish for wish in wishes(world.desk)}
    assert (said[stop.order_id].quantity, said[stop.order_id].trigger) == (stop.quantity, level)
    assert said[stop.order_id].order_type is None
    assert said[target.order_id].quantity == target.quantity
    stop.resize(3 * stop.quantity)
    stop.leaving = target.cancelling = True
    said = {wish.order_id: wish for wish in wishes(world.desk)}
    assert said[stop.order_id].quantity == stop.quantity
    assert said[stop.order_id].order_type is OrderType.MARKET
    assert isinstance(said[target.order_id], CancelOrder)


def test_a_state_of_another_version_is_refused():
    with pytest.raises(StorageError, match="another version"):
        restore(fresh(), [msgspec.msgpack.encode({"type": "desk-9"})])


def test_nothing_of_a_trade_is_left_out():
    by_itself = {"intent_id", "plan", "sign", "index"}
    assert set(Trade.__slots__) - by_itself - set(COUNTS) <= set(TradeState.__struct_fields__)


# -- leaving by the stop ------------------------------------------------------------------------------------------


def held(**settings) -> Floor:
    world = Floor(fresh(exit_by_stop=True, rest_target=False, **settings), PaperExchange(PaperSettings(volume_cap=0.0)))
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    assert [m.role for m in world.of(SubmitOrder)] == [OrderRole.ENTRY, OrderRole.STOP]
    return world


def test_an_exit_is_the_stop_made_a_market_order():
    world = held()
    world.send(world.desk.flatten(OPEN_TS + MINUTE))
    change = world.of(ModifyOrder)[-1]
    assert (change.order_id, change.order_type) == ("i-s", OrderType.MARKET)
    assert world.of(CancelOrder) == []
    world.minute(bar(1, 102.0, 103.0, 101.0, 102.0))
    (trade,) = world.of(TradeClosed)
    assert trade.exit_reason is ExitReason.FLATTEN
    assert len(world.of(SubmitOrder)) == 2
    assert not world.exchange.working(CALL)


def test_a_stop_that_could_not_become_the_exit_is_followed_by_one():
    world = held()
    world.send(world.desk.flatten(OPEN_TS + MINUTE))
    world.send(world.desk.on_update(OrderUpdate("i-s", OPEN_TS + MINUTE, OrderStatus.REJECTED, "circuit limits")))
    last = world.of(SubmitOrder)[-1]
    assert (last.order_id, last.role, last.quantity, last.order_type) == ("i-x1", OrderRole.EXIT, 75, OrderType.MARKET)


def test_an_entry_that_still_fills_while_its_stop_is_the_exit_makes_the_exit_larger():
    desk = fresh(exit_by_stop=True, rest_target=False)
    desk.on_intent(intent(quantity=150))
    desk.on_fill(Fill("f1", "i-e", OPEN_TS, CALL, Side.BUY, 75, 100.0))
    out = desk.flatten(OPEN_TS + 1)
    assert [type(m).__name__ for m in out] == ["ModifyOrder", "CancelOrder"]
    out = desk.on_fill(Fill("f2", "i-e", OPEN_TS + 2, CALL, Side.BUY, 75, 100.0))
    (change,) = [m for m in out if isinstance(m, ModifyOrder)]
    assert (change.order_id, change.quantity) == ("i-s", 150)
    out = desk.on_fill(Fill("f3", "i-s", OPEN_TS + 3, CALL, Side.SELL, 150, 101.0))
    assert [m.exit_reason for m in out if isinstance(m, TradeClosed)] == [ExitReason.FLATTEN]


def test_the_paper_exchange_makes_a_stop_a_market_order():
    exchange = PaperExchange(PaperSettings(volume_cap=0.0, half_spread=0.0, slippage_ticks=0.0))
    exchange.submit(order("s", Side.SELL, kind=OrderType.STOP, trigger=90.0))
    assert exchange.modify(ModifyOrder("s", OPEN_TS, order_type=OrderType.MARKET)) == []
    (fill,) = [event for event in exchange.open(bar(1, 100.0, 101.0, 99.0, 100.0)) if isinstance(event, Fill)]
    assert fill.price == 100.0


# -- the risk book ------------------------------------------------------------------------------------------------


def test_a_risk_book_put_back_refuses_what_the_old_one_would():
    settings = RiskSettings(trades_per_day=2, cooldown_s=0, first_entry=None, last_entry=None, strategy_positions=0)
    book = RiskBook(settings)
    book.new_day(1_000_000)
    for name in ("a", "b"):
        plan = trade_plan(plan_id=name, signal_id=name)
        assert book.check(plan, OPEN_TS) is None
        book.on_intent(OrderIntent(name, OPEN_TS, plan))
    book.on_mark(AccountMarked(OPEN_TS, 0, 990_000, 2))
    raw = msgspec.msgpack.encode(book.state())
    again = RiskBook(settings)
    again.take_up(msgspec.msgpack.decode(raw, type=RiskState))
    assert again.state() == book.state()
    plan = trade_plan(plan_id="c", signal_id="c")
    assert again.check(plan, OPEN_TS) == book.check(plan, OPEN_TS)
    assert again.check(plan, OPEN_TS).reason == "TRADES_PER_DAY"
    assert again.on_mark(AccountMarked(OPEN_TS, 0, 969_000, 2))
    again.on_intent_end("a")
    assert len(again.state().groups) == 1
