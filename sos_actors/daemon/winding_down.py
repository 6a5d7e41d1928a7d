"""How the daemon stops trading: nothing new is entered, and nothing is left half entered or without its stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from loguru import logger

from sos_actors.config import LiveSettings
from sos_actors.messages import Flatten, OrderRole, OrderStatus, SetTradingState, TradingState
from sos_actors.runtime import LiveRuntime

#: An order of which the broker has said that it is there.
_THERE = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)
#: Real seconds an actor may take to answer, and between two looks at the desk.
_ANSWER_S, _LOOK_S = 1.0, 0.2


def wind_down(
    runtime: LiveRuntime, settings: LiveSettings, symbols: Iterable[str], more_time: Callable[[float], None]
) -> None:
    """Enter nothing more, close what is open where that is wanted, and wait `flatten_s` at most for what is under way.

    What keeps entries out until the end lies on the underlyings, and the next start lifts it: an operator's halt or
    pause lies on the account or a strategy, and must outlive the stop. `more_time` asks the service manager for some.
    """
    logger.info("stopping: nothing is entered any more")
    for name in symbols:
        runtime.publish(SetTradingState(TradingState.REDUCING, "the daemon stops", underlying=name))
    with contextlib.suppress(TimeoutError, KeyError):
        runtime.snapshot("risk", _ANSWER_S)  # what the limits let through before is with the desk from here on
    flatten = settings.on_stop == "flatten"
    if flatten:
        runtime.publish(Flatten(runtime.clock.now, "FLATTEN"))
    deadline = time.monotonic() + settings.flatten_s
    while time.monotonic() < deadline and unfinished(_desk(runtime), flatten=flatten):
        more_time(5.0)
        time.sleep(_LOOK_S)
    desk = _desk(runtime)
    left = [f"{units} {instrument}" for _, instrument, units in desk.get("positions", ()) if units]
    if left:
        logger.warning("{} position(s) stay open: {}", len(left), ", ".join(left))
    for what in unfinished(desk, flatten=False):
        logger.warning("waited for in vain: {}", what)


def unfinished(desk: Mapping[str, Any], *, flatten: bool) -> list[str]:
    """Give what the order desk (`desk`: what it tells of itself) has begun and not brought to its end, a line each.

    A process that ends on one of these may leave units without a stop. With `flatten` no trade may be left at all.
    """
    found = []
    for trade in desk.get("trades", ()):
        orders = [(role, status) for _, role, _, status, _, _ in trade["orders"]]
        name = f"{trade['strategy']} {trade['instrument']}"
        if flatten:
            found.append(f"{name} is being closed")
        elif any(role == OrderRole.ENTRY for role, _ in orders):
            found.append(f"{name} is being entered")
        elif trade["open"] and _wants_order(trade) and not any(_closes(*order) for order in orders):
            found.append(f"{name}: {trade['open']} units have no stop at the exchange")
    return found


def _wants_order(trade: Mapping[str, Any]) -> bool:
    """Say whether an order should stand against a trade's units: it has a stop, or is being closed."""
    return bool(trade["closing"]) or trade["stop"] == trade["stop"]


def _closes(role: str, status: str) -> bool:
    return role in {OrderRole.STOP, OrderRole.EXIT} and status in _THERE


def _desk(runtime: LiveRuntime) -> dict[str, Any]:
    try:
        return runtime.snapshot("orders", _ANSWER_S)
    except (TimeoutError, KeyError):
        return {}
