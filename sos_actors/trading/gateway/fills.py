"""Fills out of what the broker shows: how many units are filled at what average, and the trade book's executions.

A fill stands for a range of an order's units, `broker_id:from-to`, so it has one id however it was learned. The money
told is always the difference between what all units cost and what was told before, so an early guess never lasts.
"""

from __future__ import annotations

from typing import NamedTuple

from sos_actors.trading.gateway.order import Child
from sos_actors.trading.gateway.settings import Contract


class Execution(NamedTuple):
    """Units at a price in paise, executed at `ts` (0: not known)."""

    units: int
    paise: int
    ts: int


class Value(NamedTuple):
    """What all filled units of an order cost, in paise; `exact` says that nothing about it is a guess."""

    paise: int
    exact: bool


def value_of(child: Child, contract: Contract, decimals: int) -> Value | None:
    """Give what the filled units cost; None where neither an average nor the trade book tells."""
    if sum(units for _, units, _ in child.trades.values()) == child.filled:
        return Value(sum(units * paise for _, units, paise in child.trades.values()), exact=True)
    if child.average <= 0.0:
        return None
    raw = child.filled * child.average * 100.0
    # Trades are whole lots on the price grid, so of an average rounded not too far only one sum can have come.
    grid = max(round(contract.tick * 100.0), 1) * (contract.lot if child.filled % contract.lot == 0 else 1)
    nearest = round(raw / grid) * grid
    error = child.filled * 50.0 * 10.0**-decimals + 1e-6
    if abs(raw - nearest) <= error:
        return Value(nearest, exact=error < grid / 2.0)
    return Value(round(raw), exact=False)


def untold(child: Child, value: Value, contract: Contract) -> list[Execution]:
    """Give the executions the desk has not been told of: the trade book's own, or units that cost what is missing."""
    by_trade = _after_told(child)
    if by_trade is not None:
        return by_trade
    units, paise = child.filled - child.told, value.paise - child.told_paise
    lot = contract.lot
    if paise <= 0:
        return [Execution(units, max(round(value.paise / child.filled), 1), child.ts)]
    if units % lot or paise % lot:
        return [Execution(units, max(round(paise / units), 1), child.ts)]
    lots, price_of_all = units // lot, paise // lot
    lower, dearer = divmod(price_of_all, lots)
    if not lower:
        return [Execution(units, max(round(paise / units), 1), child.ts)]
    split = (Execution((lots - dearer) * lot, lower, child.ts), Execution(dearer * lot, lower + 1, child.ts))
    return [execution for execution in split if execution.units]


def _after_told(child: Child) -> list[Execution] | None:
    """Give the trades after those that make up what was told; None where trade book and told do not fit."""
    trades = sorted((ts, trade_id, units, paise) for trade_id, (ts, units, paise) in child.trades.items())
    if sum(trade[2] for trade in trades) != child.filled:
        return None
    units = money = 0
    for place, (_, _, count, paise) in enumerate(trades):
        if units == child.told and money == child.told_paise:
            return [Execution(count, paise, ts) for ts, _, count, paise in trades[place:]]
        units += count
        money += count * paise
    return None
