import msgspec
import pytest
from trading_helpers import CALL, INDEX, MINUTE, OPEN_TS, PUT, Floor, Paise, bar, fill, intent

from sos_actors.messages import (
    NAN,
    CancelOrder,
    Direction,
    ExitReason,
    ModifyOrder,
    OrderRole,
    OrderStatus,
    OrderType,
    OrderUpdate,
    PositionChanged,
    RefusalReason,
    Refused,
    Side,
    SubmitOrder,
    Tick,
    TradeClosed,
)
from sos_actors.trading.desk import EXTERNAL, DeskSettings, OrderDesk
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.matching import PaperExchange
from sos_actors.trading.paper_settings import PaperSettings

FREE = {"slippage_ticks": 0.0, "half_spread": 0.0, "half_spread_linear": 0.0, "volume_cap": 0.0}
PLAIN = ExitSettings(break_even_at=None, time_stop_min=None, square_off=None)


class Flat:
    """Ten rupees an order."""

    def charges(self, *asked):
        return Paise(1000 * asked[-1])

    def exercise(self, *asked):
        return Paise(77)


def desk_of(exits=PLAIN, **settings):
    return OrderDesk(DeskSettings(exits=exits, **settings), Ledger(1_000_000_00, Flat()))


def floor(exits=PLAIN, paper=None, lots=None, **settings):
    return Floor(desk_of(exits, **settings), PaperExchange(PaperSettings(**(FREE | (paper or {}))), lots))


def update(order_id, status, ts=OPEN_TS, detail=""):
    return OrderUpdate(order_id, ts, status, detail)


def sent(messages, kind=SubmitOrder):
    return [message for message in messages if isinstance(message, kind)]


def test_from_intent_to_target():
    world = floor()
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 110.0, 95.0, 105.0))
    assert [(m.order_id, m.role, m.side, m.quantity, m.oco) for m in world.of(SubmitOrder)] == [
        ("i-e", OrderRole.ENTRY, Side.BUY, 75, ""),
        ("i-s", OrderRole.STOP, Side.SELL, 75, "i-oco"),
        ("i-t", OrderRole.TARGET, Side.SELL, 75, "i-oco"),
    ]
    assert world.desk.held() == (CALL,)
    world.minute(bar(1, 105.0, 121.0, 104.0, 120.0))
    (trade,) = world.of(TradeClosed)
    assert (trade.trade_id, trade.intent_id, trade.quantity, trade.exit_reason) == ("i", "i", 75, ExitReason.TARGET)
    assert (trade.entry_price, trade.exit_price, trade.entry_ts, trade.exit_ts) == (
        100.0,
        120.0,
        OPEN_TS,
        OPEN_TS + 2 * MINUTE,
    )
    assert (trade.gross_paise, trade.charges_paise, trade.net_paise) == (150_000, 2_000, 148_000)
    assert (trade.initial_risk, trade.mae, trade.mfe) == (10.0, 5.0, 20.0)
    assert [(m.quantity, m.realised_paise) for m in world.of(PositionChanged)] == [(75, 0), (0, 150_000)]
    assert world.desk.held() == ()
    assert not world.exchange.working(CALL)
    marked = world.desk.mark(7)
    assert (marked.ts, marked.cash_paise, marked.equity_paise, marked.open_positions) == (
        7,
        100_148_000,
        100_148_000,
        0,
    )


def test_a_stop_within_the_entrys_own_bar():
    world = floor()
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 130.0, 90.0, 105.0))
    (trade,) = world.of(TradeClosed)
    assert (trade.exit_reason, trade.exit_price) == (ExitReason.STOP, 90.0)


def test_break_even_moves_the_resting_stop_and_names_the_exit():
    world = floor(ExitSettings(break_even_at=0.5, time_stop_min=None, square_off=None))
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 110.0, 99.0, 108.0))
    assert [(m.order_id, m.ts, m.trigger) for m in world.of(ModifyOrder)] == [("i-s", OPEN_TS + MINUTE, 100.0)]
    world.minute(bar(1, 108.0, 109.0, 100.0, 101.0))
    (trade,) = world.of(TradeClosed)
    assert (trade.exit_reason, trade.exit_price, trade.gross_paise) == (ExitReason.BREAK_EVEN, 100.0, 0)


def test_the_time_stop_cancels_first_and_sends_the_exit_when_both_ends_are_known():
    desk = desk_of(ExitSettings(break_even_at=None, time_stop_min=30, square_off=None))
    desk.on_intent(intent())
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    out = desk.on_minute(OPEN_TS + 30 * MINUTE)
    assert [(type(m), m.order_id) for m in out] == [(CancelOrder, "i-s"), (CancelOrder, "i-t")]
    assert desk.on_minute(OPEN_TS + 31 * MINUTE) == []
    assert desk.on_update(update("i-s", OrderStatus.CANCELLED)) == []
    (order,) = desk.on_update(update("i-t", OrderStatus.CANCELLED))
    assert (order.order_id, order.role, order.order_type, order.quantity, order.side) == (
        "i-x1",
        OrderRole.EXIT,
        OrderType.MARKET,
        75,
        Side.SELL,
    )
    out = desk.on_fill(fill("f2", Side.SELL, 75, 101.0, order_id="i-x1"))
    assert out[-1].exit_reason is ExitReason.TIME_STOP


def test_a_stop_that_fills_while_it_is_being_cancelled_ends_the_trade_without_a_second_order():
    desk = desk_of(ExitSettings(break_even_at=None, time_stop_min=30, square_off=None))
    desk.on_intent(intent())
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    desk.on_minute(OPEN_TS + 30 * MINUTE)
    out = desk.on_fill(fill("f2", Side.SELL, 75, 90.0, order_id="i-s"))
    assert sent(out) == []
    assert sent(out, TradeClosed)[0].exit_reason is ExitReason.STOP
    assert desk.on_update(update("i-t", OrderStatus.CANCELLED)) == []
    assert desk.on_minute(OPEN_TS + 40 * MINUTE) == []


def test_square_off_and_flatten_leave_at_the_market():
    world = floor(ExitSettings(break_even_at=None, time_stop_min=None, square_off="15:15"), entry_patience_s=0)
    world.send(world.desk.on_intent(intent("a")))
    world.send(world.desk.on_intent(intent("b", strategy="other", instrument=PUT, direction=Direction.SHORT)))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0, instrument=PUT))
    world.send(world.desk.flatten(OPEN_TS + MINUTE, "daily loss", "other"))
    world.minute(bar(1, 99.0, 101.0, 98.0, 100.0, instrument=PUT))
    (trade,) = world.of(TradeClosed)
    assert (trade.intent_id, trade.exit_reason, trade.exit_price) == ("b", ExitReason.FLATTEN, 99.0)
    world.send(world.desk.on_minute(OPEN_TS + 360 * MINUTE))
    world.minute(bar(360, 99.5, 101.0, 98.0, 100.0))
    assert world.of(TradeClosed)[1].exit_reason is ExitReason.SQUARE_OFF


def test_flatten_takes_its_reason_from_the_enum_where_it_names_one():
    world = floor()
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    world.send(world.desk.flatten(OPEN_TS + MINUTE, "END_OF_DATA"))
    world.minute(bar(1, 99.0, 101.0, 98.0, 100.0))
    assert world.of(TradeClosed)[0].exit_reason is ExitReason.END_OF_DATA


def test_index_levels_close_the_option():
    world = floor()
    world.send(world.desk.on_intent(intent(index_stop=24480.0, index_target=24570.0)))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    world.send(world.desk.on_bar(bar(0, 24500, 24571, 24490, 24560, instrument=INDEX)))
    assert [m.order_id for m in world.of(SubmitOrder)][-1] == "i-x1"
    world.minute(bar(1, 118.0, 119.0, 110.0, 112.0))
    (trade,) = world.of(TradeClosed)
    assert (trade.exit_reason, trade.exit_price) == (ExitReason.INDEX_TARGET, 118.0)
    assert world.desk.on_bar(bar(1, 24500, 24600, 24400, 24560, instrument=INDEX)) == []


def test_ticks_watch_index_and_premium():
    desk = desk_of(rest_target=False)
    desk.on_intent(intent(index_stop=24480.0))
    out = desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    assert [m.role for m in sent(out)] == [OrderRole.STOP]
    assert desk.on_tick(Tick(CALL, OPEN_TS, OPEN_TS, 119.95)) == []
    assert desk.on_tick(Tick(INDEX, OPEN_TS, OPEN_TS, 24480.05)) == []
    (cancel,) = desk.on_tick(Tick(CALL, OPEN_TS, OPEN_TS, 120.0))
    assert cancel.order_id == "i-s"
    (order,) = desk.on_update(update("i-s", OrderStatus.CANCELLED))
    assert order.role is OrderRole.EXIT
    assert desk.on_fill(fill("f2", Side.SELL, 75, 119.0, order_id="i-x1"))[-1].exit_reason is ExitReason.TARGET


def test_a_touch_within_a_merged_tick_is_seen_unless_it_may_be_older_than_the_trade():
    for after, seen in ((5, False), (MINUTE, True)):
        for instrument, low, high in ((CALL, 119.0, 120.0), (INDEX, 24479.0, 24490.0)):
            desk = desk_of(rest_target=False)
            desk.on_intent(intent(index_stop=24480.0))
            desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e", ts=OPEN_TS + 1))
            ts = OPEN_TS + after
            got = desk.on_tick(Tick(instrument, ts, ts, high - 0.5, high=high, low=low, merged=2))
            assert bool(sent(got, CancelOrder)) is seen


def test_a_flip_in_one_instrument_is_one_order_of_both_quantities():
    world = floor()
    future = "NSE|FUT|NIFTY|2025-09-30"
    bare = {"stop": NAN, "target": NAN, "instrument": future, "flip": True, "quantity": 1, "lot_size": 1}
    world.send(world.desk.on_intent(intent("a", **bare)))
    world.minute(bar(0, 24000.0, 24010.0, 23990.0, 24005.0, instrument=future))
    world.send(world.desk.on_intent(intent("b", direction=Direction.SHORT, side=Side.SELL, **bare)))
    assert [(m.order_id, m.side, m.quantity) for m in world.of(SubmitOrder)] == [
        ("a-e", Side.BUY, 1),
        ("b-e", Side.SELL, 2),
    ]
    world.minute(bar(1, 24020.0, 24030.0, 24000.0, 24010.0, instrument=future))
    (trade,) = world.of(TradeClosed)
    assert (trade.trade_id, trade.exit_reason, trade.exit_price, trade.gross_paise) == (
        "a",
        ExitReason.FLIP,
        24020.0,
        2000,
    )
    assert trade.charges_paise == 1000 + 500
    assert world.desk.ledger.position("gate", future) == -1
    world.send(world.desk.settle(OPEN_TS + 5 * MINUTE, future, 24000.0, ExitReason.END_OF_DATA))
    trade = world.of(TradeClosed)[1]
    assert (trade.trade_id, trade.gross_paise, trade.charges_paise) == ("b", 2000, 500 + 1000)
    assert world.desk.ledger.charges_paise == sum(t.charges_paise for t in world.of(TradeClosed))


def test_a_flip_waits_for_the_old_trades_resting_orders():
    desk = desk_of()
    desk.on_intent(intent("a"))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="a-e"))
    short = {"direction": Direction.SHORT, "side": Side.SELL, "stop": 110.0, "target": 80.0, "flip": True}
    out = desk.on_intent(intent("b", **short))
    assert [(type(m), m.order_id) for m in out] == [(CancelOrder, "a-s"), (CancelOrder, "a-t")]
    desk.on_update(update("a-t", OrderStatus.CANCELLED))
    (order,) = desk.on_update(update("a-s", OrderStatus.CANCELLED))
    assert (order.order_id, order.quantity) == ("b-e", 150)
    out = desk.on_fill(fill("f2", Side.SELL, 100, 101.0, order_id="b-e"))
    assert sent(out, TradeClosed)[0].exit_reason is ExitReason.FLIP
    assert [(m.role, m.quantity) for m in sent(out)] == [(OrderRole.STOP, 25), (OrderRole.TARGET, 25)]
    out = desk.on_fill(fill("f3", Side.SELL, 50, 101.0, order_id="b-e"))
    assert [(m.order_id, m.quantity) for m in sent(out, ModifyOrder)] == [("b-s", 75), ("b-t", 75)]


def test_a_flip_whose_old_stop_fills_meanwhile_is_a_plain_entry():
    desk = desk_of()
    desk.on_intent(intent("a"))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="a-e"))
    desk.on_intent(intent("b", direction=Direction.SHORT, side=Side.SELL, stop=110.0, target=80.0, flip=True))
    out = desk.on_fill(fill("f2", Side.SELL, 75, 90.0, order_id="a-s"))
    assert sent(out, TradeClosed)[0].exit_reason is ExitReason.STOP
    assert [(m.order_id, m.quantity) for m in sent(out)] == [("b-e", 75)]


def test_a_flip_that_is_rejected_still_closes_the_old_trade():
    desk = desk_of()
    desk.on_intent(intent("a", stop=NAN, target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="a-e"))
    desk.on_intent(intent("b", direction=Direction.SHORT, side=Side.SELL, stop=110.0, target=80.0, flip=True))
    out = desk.on_update(update("b-e", OrderStatus.REJECTED, detail="no margin"))
    assert sent(out, Refused)[0].detail.endswith("no margin")
    assert [(m.order_id, m.quantity) for m in sent(out)] == [("a-x1", 75)]
    assert desk.on_fill(fill("f2", Side.SELL, 75, 99.0, order_id="a-x1"))[-1].exit_reason is ExitReason.FLIP


def test_a_flip_flattened_while_it_waits_closes_the_old_trade_only():
    desk = desk_of()
    desk.on_intent(intent("a", target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="a-e"))
    desk.on_intent(intent("b", direction=Direction.SHORT, side=Side.SELL, stop=110.0, target=80.0, flip=True))
    out = desk.flatten(OPEN_TS)
    assert [type(m) for m in out] == [Refused]
    (order,) = desk.on_update(update("a-s", OrderStatus.CANCELLED))
    assert (order.order_id, order.quantity) == ("a-x1", 75)


def test_a_flip_between_call_and_put_is_an_exit_and_an_entry():
    desk = desk_of()
    desk.on_intent(intent("a", stop=NAN, target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="a-e"))
    out = desk.on_intent(intent("b", instrument=PUT, direction=Direction.SHORT, flip=True))
    assert [(m.order_id, m.instrument, m.side, m.quantity) for m in out] == [
        ("a-x1", CALL, Side.SELL, 75),
        ("b-e", PUT, Side.BUY, 75),
    ]


def test_without_flip_or_of_another_strategy_nothing_is_turned():
    desk = desk_of()
    desk.on_intent(intent("a", stop=NAN, target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="a-e"))
    opposite = {"direction": Direction.SHORT, "side": Side.SELL, "stop": 110.0, "target": 80.0}
    assert [m.quantity for m in desk.on_intent(intent("b", **opposite))] == [75]
    assert [m.quantity for m in desk.on_intent(intent("c", strategy="other", flip=True, **opposite))] == [75]


def test_a_rejected_entry_is_refused_and_forgotten():
    world = floor(lots=lambda _: 50)
    world.send(world.desk.on_intent(intent()))
    (refused,) = world.of(Refused)
    assert (refused.reason, refused.signal_id, refused.strategy) == (RefusalReason.EXCHANGE_REJECTED, "s", "gate")
    assert "not a multiple of the lot 50" in refused.detail
    assert world.desk.held() == ()
    assert world.of(TradeClosed) == []


def test_an_entry_out_of_patience_is_taken_back_and_what_filled_stays_protected():
    world = floor(paper={"volume_cap": 0.1}, lots=lambda _: 25)
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0, volume=500))
    assert [(m.order_id, m.quantity) for m in world.of(SubmitOrder)][1:] == [("i-s", 50), ("i-t", 50)]
    assert [m.order_id for m in world.of(CancelOrder)] == ["i-e"]
    world.minute(bar(1, 100.0, 101.0, 89.0, 100.0))
    (trade,) = world.of(TradeClosed)
    assert (trade.quantity, trade.exit_reason) == (50, ExitReason.STOP)


def test_no_patience_keeps_the_entry_and_a_limit_entry_is_priced():
    desk = desk_of(entry_patience_s=0, entry_order=OrderType.LIMIT)
    (order,) = desk.on_intent(intent(entry=100.02))
    assert (order.order_type, order.price) == (OrderType.LIMIT, 100.05)
    assert desk.on_minute(OPEN_TS + 100 * MINUTE) == []


def test_an_entry_still_filling_when_the_stop_is_hit_is_taken_back_before_the_trade_ends():
    desk = desk_of()
    desk.on_intent(intent())
    desk.on_fill(fill("f1", Side.BUY, 50, 100.0, order_id="i-e"))
    out = desk.on_fill(fill("f2", Side.SELL, 50, 90.0, order_id="i-s"))
    assert [m.order_id for m in sent(out, CancelOrder)] == ["i-e"]
    assert sent(out, TradeClosed) == []
    out = desk.on_update(update("i-e", OrderStatus.CANCELLED))
    assert [m.quantity for m in sent(out, TradeClosed)] == [50]


def test_a_rejected_stop_is_watched_here():
    desk = desk_of()
    desk.on_intent(intent(target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    desk.on_update(update("i-s", OrderStatus.REJECTED))
    assert desk.anomaly_counts == {"ORDER_REFUSED": 1}
    assert desk.on_bar(bar(0, 100.0, 101.0, 90.05, 100.0)) == []
    (order,) = desk.on_bar(bar(1, 100.0, 101.0, 90.0, 100.0))
    assert (order.role, order.quantity) == (OrderRole.EXIT, 75)


def test_a_refused_exit_is_sent_again_at_the_next_minute():
    desk = desk_of()
    desk.on_intent(intent(stop=NAN, target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    desk.flatten(OPEN_TS)
    assert desk.on_update(update("i-x1", OrderStatus.REJECTED)) == []
    (order,) = desk.on_minute(OPEN_TS + MINUTE)
    assert (order.order_id, order.quantity) == ("i-x2", 75)
    desk.on_fill(fill("f2", Side.SELL, 25, 100.0, order_id="i-x2"))
    desk.on_update(update("i-x2", OrderStatus.CANCELLED))
    (order,) = desk.on_minute(OPEN_TS + 2 * MINUTE)
    assert (order.order_id, order.quantity) == ("i-x3", 50)


def test_a_late_fill_of_a_cancelled_exit_is_a_stray_closed_at_the_market():
    desk = desk_of(ExitSettings(break_even_at=None, time_stop_min=30, square_off=None))
    desk.on_intent(intent(target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    desk.on_minute(OPEN_TS + 30 * MINUTE)
    desk.on_update(update("i-s", OrderStatus.CANCELLED))
    desk.on_fill(fill("f2", Side.SELL, 75, 95.0, order_id="i-x1"))
    out = desk.on_fill(fill("f3", Side.SELL, 75, 90.0, order_id="i-s"))
    assert desk.anomaly_counts == {"LATE_FILL": 1}
    (order,) = sent(out)
    assert (order.order_id, order.side, order.quantity) == ("f3-stray-x1", Side.BUY, 75)
    assert desk.ledger.position("gate", CALL) == -75
    trade = desk.on_fill(fill("f4", Side.BUY, 75, 91.0, order_id="f3-stray-x1"))[-1]
    assert (trade.trade_id, trade.direction, trade.gross_paise) == ("f3-stray", Direction.SHORT, -7500)
    assert desk.ledger.open_positions == 0


def test_more_entry_units_than_planned_are_given_back():
    desk = desk_of()
    desk.on_intent(intent())
    out = desk.on_fill(fill("f1", Side.BUY, 100, 100.0, order_id="i-e"))
    assert [(m.order_id, m.quantity) for m in sent(out)] == [("i-s", 75), ("i-t", 75), ("f1-stray-x1", 25)]


def test_duplicates_do_nothing():
    desk = desk_of()
    assert len(desk.on_intent(intent())) == 1
    assert desk.on_intent(intent()) == []
    assert desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    assert desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e")) == []
    assert desk.ledger.position("gate", CALL) == 75
    assert desk.anomaly_counts == {"DUPLICATE_INTENT": 1, "DUPLICATE_FILL": 1}


def test_fills_made_by_hand_are_booked_as_external():
    desk = desk_of()
    (change,) = desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="hand"))
    assert (change.strategy, change.quantity) == (EXTERNAL, 75)
    assert desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="hand")) == []
    assert desk.on_update(update("hand", OrderStatus.OPEN)) == []
    assert desk.anomaly_counts == {"UNKNOWN_ORDER": 2}


def by_hand(name, units, price=110.0):
    return msgspec.structs.replace(fill(name, Side.SELL, units, price, order_id="external:9"), closes=True)


def test_what_is_closed_by_hand_is_closed_here_and_its_stop_sells_it_no_more():
    desk = desk_of()
    desk.on_intent(intent())
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    desk.on_update(update("i-e", OrderStatus.FILLED))
    stop = next(one for one in desk.flow.records.values() if one.role is OrderRole.STOP)
    first = desk.on_fill(by_hand("h1", 25))
    resized = {one.order_id: one.quantity for one in first if isinstance(one, ModifyOrder)}
    assert resized[stop.order_id] == 50
    last = desk.on_fill(by_hand("h2", 50))
    cancelled = {one.order_id for one in last if isinstance(one, CancelOrder)}
    assert stop.order_id in cancelled
    assert desk.ledger.positions() == {}
    assert desk.on_fill(by_hand("h2", 50)) == []
    closed = [one for name in cancelled for one in desk.on_update(update(name, OrderStatus.CANCELLED))]
    (trade,) = [one for one in closed if isinstance(one, TradeClosed)]
    assert (trade.quantity, trade.exit_price) == (75, 110.0)
    assert desk.held() == ()


def test_a_stop_that_fills_before_its_cancel_arrives_is_undone():
    desk = desk_of()
    desk.on_intent(intent())
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    desk.on_update(update("i-e", OrderStatus.FILLED))
    stop = next(one for one in desk.flow.records.values() if one.role is OrderRole.STOP)
    desk.on_fill(by_hand("h1", 75))
    (order,) = sent(desk.on_fill(fill("f2", Side.SELL, 75, 95.0, order_id=stop.order_id)))
    assert (order.side, order.quantity, order.role) == (Side.BUY, 75, OrderRole.EXIT)


def test_what_is_closed_by_hand_beyond_what_is_held_is_external():
    desk = desk_of()
    desk.on_intent(intent())
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    desk.on_fill(by_hand("h1", 150))
    assert desk.ledger.positions() == {(EXTERNAL, CALL): -75}


def test_a_fill_of_the_wrong_instrument_is_not_booked():
    desk = desk_of()
    desk.on_intent(intent())
    assert desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e", instrument=PUT)) == []
    assert desk.ledger.open_positions == 0


def test_filled_before_its_fills_still_protects():
    desk = desk_of()
    desk.on_intent(intent())
    assert desk.on_update(update("i-e", OrderStatus.FILLED)) == []
    assert len(sent(desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e")))) == 2


def test_what_is_held_over_night_is_protected_again():
    world = floor()
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    world.hear(world.exchange.end_of_day(OPEN_TS + 385 * MINUTE))
    world.desk.end_of_day()
    assert world.desk.held() == (CALL,)
    world.send(world.desk.start_of_day(OPEN_TS + 1440 * MINUTE))
    assert [m.order_id for m in world.of(SubmitOrder)][-2:] == ["i-s2", "i-t2"]
    world.minute(bar(1440, 85.0, 86.0, 84.0, 85.0))
    (trade,) = world.of(TradeClosed)
    assert (trade.exit_reason, trade.exit_price) == (ExitReason.STOP, 85.0)


def test_settle_takes_the_orders_back_and_closes_at_the_price():
    world = floor()
    world.send(world.desk.on_intent(intent()))
    world.minute(bar(0, 100.0, 101.0, 99.0, 100.0))
    world.send(world.desk.settle(OPEN_TS + 385 * MINUTE, CALL, 12.5, ExitReason.EXPIRY))
    (trade,) = world.of(TradeClosed)
    assert (trade.exit_reason, trade.exit_price, trade.gross_paise) == (ExitReason.EXPIRY, 12.5, -75 * 8750)
    assert trade.charges_paise == 1000 + 77
    assert not world.exchange.working(CALL)
    assert world.desk.ledger.open_positions == 0


def test_a_strategys_own_exits_are_taken():
    desk = OrderDesk(DeskSettings(exits=PLAIN), Ledger(0), {"gate": ExitSettings(time_stop_min=5)})
    desk.on_intent(intent(target=NAN))
    desk.on_fill(fill("f1", Side.BUY, 75, 100.0, order_id="i-e"))
    assert len(desk.on_minute(OPEN_TS + 5 * MINUTE)) == 1


def test_state_tells_what_there_is():
    desk = desk_of()
    desk.on_intent(intent())
    desk.on_fill(fill("f1", Side.BUY, 50, 100.0, order_id="i-e"))
    state = desk.state()
    assert state.positions == (("gate", CALL, 50),)
    (view,) = state.trades
    assert (view.intent_id, view.open, view.entry_price, view.stop, view.closing) == ("i", 50, 100.0, 90.0, "")
    assert view.orders[0] == ("i-e", "ENTRY", "BUY", "PARTIALLY_FILLED", 50, 75)


@pytest.mark.parametrize("wrong", [{"entry_order": OrderType.STOP}, {"entry_patience_s": -1}, {"tick": -0.05}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="write"):
        DeskSettings(**wrong)
