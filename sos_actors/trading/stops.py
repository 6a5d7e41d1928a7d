"""When a stop or an exit that came to nothing is sent again, and when to give up stops and leave.

Each trade has a row of failures, of its stops and then of its exits; the wait doubles with each of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.trading.desk_settings import DeskSettings
from sos_actors.trading.exits import ExitPlan
from sos_actors.trading.order_machine import OrderRecord
from sos_actors.trading.trade import Trade

#: A stop lost after it was with the broker for so long begins a row of its own.
_STEADY_NS = 60 * SECOND_NS
#: The longest wait.
_SLOWEST_S = 30.0


def failed(trade: Trade, exits: ExitPlan, stop: OrderRecord, ts: int, settings: DeskSettings) -> bool:
    """Note that a stop has ended without closing the trade; True where no more is to be tried.

    The broker refused it, gave it back, or was asked until it was plain that it never came: none is live. Until the
    next one rests there, its level is watched here. An acknowledgement alone does not end a row of failures, for a
    broker may take an order and refuse it a moment later.
    """
    if not exits.watch_stop and ts - stop.sent_ts > _STEADY_NS:
        trade.stops_failed = 0
    exits.watch_stop = True
    trade.stops_failed += 1
    if trade.stops_failed >= settings.stop_tries:
        return True
    _wait(trade, ts, settings)
    return False


def exit_failed(trade: Trade, ts: int, settings: DeskSettings) -> None:
    """Note that an exit has ended short: a broker who refuses is not to be hammered."""
    trade.stops_failed += 1
    _wait(trade, ts, settings)


def take_due(trades: Iterable[Trade], ts: int) -> list[Trade]:
    """Give the trades whose time has come, which is thereby past."""
    due = [trade for trade in trades if trade.stop_due and trade.stop_due <= ts]
    for trade in due:
        trade.stop_due = 0
    return due


def next_due(trades: Iterable[Trade]) -> int:
    """Give the time at which the next stop or exit is to leave, UTC ns; 0 where none is."""
    found = 0
    for trade in trades:  # asked after every fill: min() over a generator costs three times as much
        due = trade.stop_due
        if due and (not found or due < found):
            found = due
    return found


def bare(trade: Trade) -> bool:
    """Say whether units are held of which no stop, or when they are to be closed no exit, is live."""
    if not trade.open:
        return False
    if trade.reason is not None:
        return not trade.working
    return trade.stop_order is None or trade.stop_order.ended


def _wait(trade: Trade, ts: int, settings: DeskSettings) -> None:
    seconds = min(settings.stop_retry_s * 2.0 ** min(trade.stops_failed - 1, 10), _SLOWEST_S)
    trade.stop_due = ts + round(seconds * SECOND_NS)
