"""What bench/tick_to_order.py trades on: three indices with their futures and a chain each, and India VIX."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
from frame_server import Line

from sos_actors.market.clocktime import ist_ns
from sos_actors.market.contracts import strike_step
from sos_actors.market.expiries import monthly_expiries, next_expiry
from sos_actors.market.instruments import Instrument, InstrumentTable
from sos_actors.messages import Direction, Right, Side, TradePlan
from sos_actors.quant.black import price as black_price
from sos_actors.sandbox.listing import future_instrument, index_instrument, option_instruments
from sos_actors.sandbox.schedule import Schedule

DAY = dt.date(2026, 11, 20)
#: The clock's time at which the load begins.
START = ist_ns(DAY, "10:00")
SPOTS = {"NIFTY": 25_500.0, "BANKNIFTY": 58_000.0, "SENSEX": 83_000.0}
#: Strikes on each side of the one at the money.
STRIKES = 40
#: Trades held at a time; each is left by its target in turn.
HELD = 10


@dataclasses.dataclass(frozen=True)
class Market:
    """What is listed, what it costs at first, and the trades that are held."""

    table: InstrumentTable
    lines: list[Line]
    plans: dict[str, TradePlan]


def make_market() -> Market:
    """List the instruments and price them; choose the trades among contracts that cost enough."""
    schedule = Schedule()
    listed: list[Instrument] = []
    prices: dict[str, float] = {}
    for name, spot in SPOTS.items():
        step = strike_step(name, DAY)
        at_money = round(spot / step) * step
        strikes = [at_money + step * n for n in range(-STRIKES, STRIKES + 1)]
        expiry = next_expiry(name, DAY, schedule.calendar)
        month = monthly_expiries(name, DAY, DAY + dt.timedelta(days=70), schedule.calendar)[0]
        index, future = index_instrument(name), future_instrument(name, month, DAY, schedule)
        options = list(option_instruments(name, expiry, strikes, DAY, schedule))
        years = max((expiry - DAY).days, 1) / 365.0
        calls = np.array([item.right is Right.CE for item in options])
        values = black_price(spot, np.array([item.strike for item in options]), years, 0.14, 1.0, calls)
        listed += [index, future, *options]
        prices |= {index.id: spot, future.id: spot} | {
            item.id: max(round(value / 0.05) * 0.05, 0.05) for item, value in zip(options, values, strict=True)
        }
    vix = index_instrument("INDIAVIX")
    listed.append(vix)
    prices[vix.id] = 14.0
    dear = [item for item in listed if item.kind == "OPT" and 60.0 < prices[item.id] < 1_500.0]
    chosen = dear[:: len(dear) // HELD][:HELD]
    plans = {item.id: plan_of(item, prices[item.id]) for item in chosen}
    lines = [
        Line(key=item.upstox_key, kind=item.kind, price=prices[item.id], hit=beyond(plans.get(item.id)))
        for item in listed
    ]
    return Market(InstrumentTable(listed), lines, plans)


def plan_of(item: Instrument, price: float) -> TradePlan:
    """Make the trade of a contract: ten per cent to the target, twenty to the stop."""
    return TradePlan(
        plan_id="", signal_id="", strategy="bench", underlying=item.underlying, ts=0, direction=Direction.LONG,
        instrument=item.id, side=Side.BUY, quantity=item.lot_size, lot_size=item.lot_size, entry=price,
        stop=round(price * 0.8 / 0.05) * 0.05, target=round(price * 1.1 / 0.05) * 0.05, right=item.right,
    )  # fmt: skip


def beyond(plan: TradePlan | None) -> float:
    """Give a price past the target of a trade; 0 without one."""
    return 0.0 if plan is None else plan.target + 1.0
