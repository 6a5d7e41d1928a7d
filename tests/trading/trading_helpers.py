"""Short ways to make the messages the trading tests need."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np

from sos_actors.messages import (
    NAN,
    Bar,
    CancelOrder,
    ChainSnapshot,
    Direction,
    Fill,
    ModifyOrder,
    OrderIntent,
    OrderRole,
    OrderType,
    OrderUpdate,
    Regime,
    Side,
    Signal,
    SubmitOrder,
    TradePlan,
)

CALL = "NSE|OPT|NIFTY|2025-09-02|24500|CE"
PUT = "NSE|OPT|NIFTY|2025-09-02|24500|PE"
INDEX = "NSE|INDEX|NIFTY"
MINUTE = 60_000_000_000
#: Monday 2025-09-01 09:15 in India.
OPEN_TS = int(dt.datetime(2025, 9, 1, 3, 45, tzinfo=dt.UTC).timestamp()) * 1_000_000_000
DAY = dt.date(2025, 9, 1)


def bar(minute: int, o: float, h: float, low: float, c: float, *, instrument: str = CALL, volume: float = NAN) -> Bar:
    return Bar(instrument, OPEN_TS + minute * MINUTE, OPEN_TS + (minute + 1) * MINUTE, o, h, low, c, volume)


def order(
    order_id: str = "o",
    side: Side = Side.BUY,
    quantity: int = 75,
    kind: OrderType = OrderType.MARKET,
    *,
    price: float = NAN,
    trigger: float = NAN,
    oco: str = "",
    instrument: str = CALL,
    ts: int = OPEN_TS,
    role: OrderRole = OrderRole.ENTRY,
) -> SubmitOrder:
    return SubmitOrder(order_id, "i", ts, instrument, side, quantity, kind, role, price, trigger, oco)


def fill(
    fill_id: str,
    side: Side,
    quantity: int,
    price: float,
    *,
    order_id: str = "o",
    ts: int = OPEN_TS,
    instrument: str = CALL,
) -> Fill:
    return Fill(fill_id, order_id, ts, instrument, side, quantity, price)


def trade_plan(**changes) -> TradePlan:
    fields = {
        "plan_id": "p",
        "signal_id": "s",
        "strategy": "gate",
        "underlying": "NIFTY",
        "ts": OPEN_TS,
        "direction": Direction.LONG,
        "instrument": CALL,
        "side": Side.BUY,
        "quantity": 75,
        "lot_size": 75,
        "entry": 100.0,
        "stop": 90.0,
        "target": 120.0,
    }
    return TradePlan(**(fields | changes))


def intent(intent_id: str = "i", ts: int = OPEN_TS, **changes) -> OrderIntent:
    return OrderIntent(intent_id, ts, trade_plan(**changes))


def signal(**changes) -> Signal:
    fields = {
        "signal_id": "s",
        "strategy": "gate",
        "underlying": "NIFTY",
        "ts": OPEN_TS,
        "direction": Direction.LONG,
        "entry": 24510.0,
        "stop": 24480.0,
        "target": 24570.0,
        "regime": Regime.BULLISH,
        "quantity_mod": 1.0,
        "selection": "ATM_CALL",
    }
    return Signal(**(fields | changes))


def snapshot(**changes) -> ChainSnapshot:
    """Seven strikes round 24500; calls and puts at 0.10 spread, deltas around a half, gamma 0.002."""
    strikes = np.arange(24350.0, 24700.0, 50.0)
    steps = (strikes - 24500.0) / 50.0
    delta = np.vstack([0.5 - 0.1 * steps, -0.5 - 0.1 * steps])
    price = np.vstack([100.0 - 20.0 * steps, 100.0 + 20.0 * steps])
    oi = np.vstack([np.array([1.0, 2.0, 3.0, 7.0, 6.0, 5.0, 4.0])] * 2) * 75_000
    same = np.ones((2, 7))
    fields = dict.fromkeys(ChainSnapshot.__struct_fields__, NAN) | {
        "underlying": "NIFTY",
        "expiry": dt.date(2025, 9, 2),
        "ts": OPEN_TS,
        "spot": 24510.0,
        "atm_strike": 24500.0,
        "smart_trend": "",
        "regime": Regime.BULLISH,
        "missing": (),
        "strikes": strikes,
        "price": price,
        "bid": price - 0.05,
        "ask": price + 0.05,
        "iv": same * 0.12,
        "delta": delta,
        "gamma": same * 0.002,
        "theta": same * -5.0,
        "vega": same,
        "rho": same,
        "oi": oi,
        "oi_change": oi / 10.0,
        "buildup": np.zeros((2, 7), dtype=np.int8),
    }
    return ChainSnapshot(**(fields | changes))


class Paise(NamedTuple):
    total: int


class StatedCharges:
    """20 rupees an order, 0.15 % of what is sold, 0.003 % of what is bought; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = []

    def charges(self, *asked) -> Paise:
        self.asked.append(asked)
        _, _, side, quantity, price, _, orders = asked
        return Paise(2000 * orders + round(price * quantity * (0.15 if side is Side.SELL else 0.003)))

    def exercise(self, exchange, quantity, intrinsic, day) -> Paise:
        self.asked.append(("exercise", exchange, quantity, intrinsic, day))
        return Paise(round(quantity * intrinsic * 0.15))


class Floor:
    """Desk and exchange wired to each other: delivers until both are quiet; keeps everything that was said."""

    def __init__(self, desk, exchange) -> None:
        self.desk = desk
        self.exchange = exchange
        self.said = []

    def send(self, messages) -> None:
        for message in messages:
            self.said.append(message)
            if isinstance(message, SubmitOrder):
                self.hear(self.exchange.submit(message))
            elif isinstance(message, ModifyOrder):
                self.hear(self.exchange.modify(message))
            elif isinstance(message, CancelOrder):
                self.hear(self.exchange.cancel(message))

    def hear(self, events) -> None:
        for event in events:
            self.said.append(event)
            self.send(self.desk.on_update(event) if isinstance(event, OrderUpdate) else self.desk.on_fill(event))

    def minute(self, bar_) -> None:
        """One minute in the order of DESIGN: broker, then desk, then the time."""
        self.hear(self.exchange.open(bar_))
        self.hear(self.exchange.range(bar_))
        self.send(self.desk.on_bar(bar_))
        self.send(self.desk.on_minute(bar_.end))

    def of(self, kind):
        return [message for message in self.said if isinstance(message, kind)]
