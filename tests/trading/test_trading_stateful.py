"""Desk, exchange and ledger against each other under arbitrary days: what must always hold."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from trading_helpers import CALL, INDEX, MINUTE, OPEN_TS, PUT, Floor, StatedCharges, bar, intent

from sos_actors.messages import (
    Direction,
    ExitReason,
    Fill,
    OrderRole,
    OrderType,
    OrderUpdate,
    PositionChanged,
    Side,
    SubmitOrder,
    Tick,
    TradeClosed,
)
from sos_actors.trading.desk import DeskSettings, OrderDesk
from sos_actors.trading.exit_settings import ExitSettings
from sos_actors.trading.ledger import Ledger
from sos_actors.trading.matching import PaperExchange
from sos_actors.trading.paper_settings import PaperSettings

START = 1_000_000_00
LOT = 25


class TradingMachine(RuleBasedStateMachine):
    """Two contracts, two strategies, walks of bars, entries, flips, flattening, nights."""

    desk_class = OrderDesk

    @initialize(
        slippage=st.sampled_from([0.0, 1.0, 3.0]),
        half=st.sampled_from([0.0, 0.004]),
        cap=st.sampled_from([0.0, 0.1]),
        rest=st.booleans(),
        even=st.sampled_from([None, 0.3]),
        trailing=st.sampled_from([None, 1.0]),
        entry=st.sampled_from([OrderType.MARKET, OrderType.LIMIT]),
    )
    def begin(self, *, slippage, half, cap, rest, even, trailing, entry):
        exits = ExitSettings(break_even_at=even, trailing=trailing, time_stop_min=7.0, square_off=None)
        self.desk = self.desk_class(
            DeskSettings(exits=exits, rest_target=rest, entry_order=entry, entry_patience_s=120),
            Ledger(START, StatedCharges()),
        )
        self.paper = PaperExchange(
            PaperSettings(slippage_ticks=slippage, half_spread=half, volume_cap=cap), lambda _: LOT
        )
        self.world = Floor(self.desk, self.paper)
        self.half, self.slip = half, slippage * 0.05
        self.now, self.count = 0, 0
        self.prices = {CALL: 100.0, PUT: 100.0}
        self.checked = 0

    @rule(
        instrument=st.sampled_from([CALL, PUT]),
        buy=st.booleans(),
        lots=st.integers(1, 3),
        flip=st.booleans(),
        strategy=st.sampled_from(["a", "b"]),
        wide=st.integers(1, 60),
    )
    def enter(self, *, instrument, buy, lots, flip, strategy, wide):
        price, width = self.prices[instrument], wide * 0.05
        sign = 1 if buy else -1
        self.count += 1
        self.world.send(
            self.desk.on_intent(
                intent(
                    f"i{self.count}",
                    OPEN_TS + self.now * MINUTE,
                    strategy=strategy,
                    instrument=instrument,
                    flip=flip,
                    side=Side.BUY if buy else Side.SELL,
                    direction=Direction.LONG if buy else Direction.SHORT,
                    quantity=lots * LOT,
                    lot_size=LOT,
                    entry=price,
                    stop=price - sign * width,
                    target=price + sign * 2 * width,
                    signal_id=f"s{self.count}",
                )
            )
        )

    @rule(
        gap=st.integers(-40, 40),
        up=st.integers(0, 60),
        down=st.integers(0, 60),
        where=st.floats(0, 1),
        volume=st.sampled_from([0, 300, 1000, 10_000]),
    )
    def minute(self, *, gap, up, down, where, volume):
        for instrument in (CALL, PUT):
            sign = 1 if instrument == CALL else -1
            first = max(round(self.prices[instrument] / 0.05) + sign * gap, 200)
            high, low = first + up, first - down
            close = round(low + where * (high - low))
            bar_ = bar(
                self.now, first * 0.05, high * 0.05, low * 0.05, close * 0.05, instrument=instrument, volume=volume
            )
            before = len(self.world.said)
            self.world.hear(self.paper.open(bar_))
            self.world.hear(self.paper.range(bar_))
            self.check_fill_prices(self.world.said[before:], bar_)
            self.world.send(self.desk.on_bar(bar_))
            self.prices[instrument] = close * 0.05
        self.now += 1
        self.world.send(self.desk.on_minute(OPEN_TS + self.now * MINUTE))

    def check_fill_prices(self, said, bar_):
        allowance = self.slip + self.half * bar_.open + 0.05 + 1e-6
        for fill in (message for message in said if isinstance(message, Fill)):
            assert bar_.low - allowance <= fill.price <= bar_.high + allowance
            assert abs(fill.price / 0.05 - round(fill.price / 0.05)) < 1e-6

    @rule(instrument=st.sampled_from([CALL, PUT, INDEX]), move=st.integers(-30, 30))
    def tick(self, *, instrument, move):
        """What is left at a tick is left at the next bar's prices: the exchange hears bars alone."""
        price = max(self.prices.get(instrument, 24_500.0) + move * 0.05, 0.05)
        ts = OPEN_TS + self.now * MINUTE + 1
        self.world.send(self.desk.on_tick(Tick(instrument, ts, ts, price)))

    @rule(strategy=st.sampled_from(["", "a", "b"]))
    def flatten(self, strategy):
        self.world.send(self.desk.flatten(OPEN_TS + self.now * MINUTE, ExitReason.FLATTEN, strategy))

    @precondition(lambda self: self.count)
    @rule()
    def hear_everything_twice(self):
        for event in [message for message in self.world.said if isinstance(message, OrderUpdate | Fill)][-10:]:
            self.world.hear([event] if isinstance(event, Fill) else [])

    @rule()
    def night(self):
        self.world.hear(self.paper.end_of_day(OPEN_TS + self.now * MINUTE))
        self.desk.end_of_day()
        self.world.send(self.desk.start_of_day(OPEN_TS + self.now * MINUTE))

    @invariant()
    def the_books_balance(self):
        if not hasattr(self, "world"):
            return
        fills = {message.fill_id: message for message in self.world.of(Fill)}
        cash, held = START, defaultdict(int)
        charges, paid = StatedCharges(), set()
        for fill in fills.values():
            cash -= fill.side.sign * fill.quantity * round(fill.price * 100)
            first = 0 if fill.order_id in paid else 1
            paid.add(fill.order_id)
            cash -= charges.charges("OPT", "NSE", fill.side, fill.quantity, fill.price, None, first).total
            held[fill.instrument] += fill.side.sign * fill.quantity
        ledger = self.desk.ledger
        assert ledger.cash_paise == cash
        booked = defaultdict(int)
        for (_, instrument), quantity in ledger.positions().items():
            booked[instrument] += quantity
        assert all(booked[instrument] == held[instrument] for instrument in (CALL, PUT))
        trades = self.world.of(TradeClosed)
        live = sum(view.open * view.side.sign for view in self.desk.state().trades)
        assert live == sum(held.values())
        if not self.desk.state().trades:
            assert sum(trade.charges_paise for trade in trades) == ledger.charges_paise
            assert sum(trade.net_paise for trade in trades) == cash - START

    @invariant()
    def no_order_fills_more_than_it_asked_and_one_leg_closes(self):
        if not hasattr(self, "world"):
            return
        orders = {message.order_id: message for message in self.world.of(SubmitOrder)}
        filled, opened, closed = defaultdict(int), defaultdict(int), defaultdict(int)
        for fill in {message.fill_id: message for message in self.world.of(Fill)}.values():
            order = orders[fill.order_id]
            filled[fill.order_id] += fill.quantity
            target = opened if order.role is OrderRole.ENTRY else closed
            target[order.intent_id] += fill.quantity
        assert all(
            quantity <= orders[order_id].quantity or orders[order_id].role is not OrderRole.ENTRY
            for order_id, quantity in filled.items()
        )
        assert all(quantity <= opened[intent_id] for intent_id, quantity in closed.items())
        assert "OVERFILL" not in self.desk.anomaly_counts
        assert "LATE_FILL" not in self.desk.anomaly_counts
        assert "ILLEGAL_STEP" not in self.desk.anomaly_counts

    @invariant()
    def trades_and_positions_agree(self):
        if not hasattr(self, "world"):
            return
        last = {(change.strategy, change.instrument): change.quantity for change in self.world.of(PositionChanged)}
        positions = self.desk.ledger.positions()
        assert {key: quantity for key, quantity in last.items() if quantity} == positions
        for view in self.desk.state().trades:
            assert view.open >= 0

    def teardown(self):
        """Whatever happened, flattening ends flat within a few liquid minutes."""
        if not hasattr(self, "world"):
            return
        self.world.send(self.desk.flatten(OPEN_TS + self.now * MINUTE))
        for _ in range(4):
            self.minute(gap=0, up=0, down=0, where=0.5, volume=100_000)
        assert self.desk.ledger.open_positions == 0
        assert self.desk.state().trades == ()
        self.the_books_balance()


TestTradingMachine = TradingMachine.TestCase
TestTradingMachine.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)  # shrinking a whole day takes minutes
