"""Why a trade was made: what its signal was made of, the plan, the orders and their fills, as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sos_actors.market.clocktime import ist_text
from sos_actors.messages import Fill, Signal, SignalExplained, SubmitOrder, TradePlan


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of a strategy and the bar that passed it: each condition with the values it saw, and what it captured.

    `at` is the end of the bar, Indian time.
    """

    phase: str
    at: str
    conditions: list[dict[str, Any]]
    captured: dict[str, Any] = {}


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One trade's reasons, oldest first. Levels of `signal` are the underlying's, of `plan` the contract's."""

    signal: dict[str, Any] = {}
    phases: list[Passed] = []
    plan: dict[str, Any] = {}
    orders: list[dict[str, Any]] = []


def decisions(
    intent_ids: Iterable[str],
    signals: Iterable[Signal],
    explained: Iterable[SignalExplained],
    plans: Iterable[TradePlan],
    orders: Iterable[SubmitOrder],
    fills: Iterable[Fill],
) -> dict[str, Decision]:
    """Give the decision behind each intent; a part that was not recorded stays empty."""
    by_signal = {one.signal_id: one for one in signals}
    stories = {one.signal_id: one for one in explained}
    by_plan = {one.plan_id: one for one in plans}  # an intent has the id of its plan
    filled: dict[str, list[Fill]] = {}
    for fill in fills:
        filled.setdefault(fill.order_id, []).append(fill)
    sent: dict[str, list[SubmitOrder]] = {}
    for order in orders:
        sent.setdefault(order.intent_id, []).append(order)
    found = {}
    for intent_id in dict.fromkeys(intent_ids):
        plan = by_plan.get(intent_id)
        signal_id = "" if plan is None else plan.signal_id
        story = stories.get(signal_id)
        found[intent_id] = Decision(
            signal=_signal(by_signal.get(signal_id)),
            phases=[] if story is None else [_passed(*one) for one in story.phases],
            plan=_plan(plan),
            orders=[_order(one, filled) for one in sent.get(intent_id, ())],
        )
    return found


def _signal(signal: Signal | None) -> dict[str, Any]:
    if signal is None:
        return {}
    return _known(
        at=ist_text(signal.ts), direction=signal.direction.value, entry=signal.entry, stop=signal.stop,
        target=signal.target, regime=signal.regime.value, quantity_mod=signal.quantity_mod,
        selection=signal.selection, flip=signal.flip or None,
    )  # fmt: skip


def _passed(phase: str, ts: int, conditions: Iterable[Any], captured: Iterable[Any]) -> Passed:
    return Passed(
        phase=phase, at=ist_text(ts), captured=_clean(dict(captured)),
        conditions=[{"condition": text, "values": _clean(dict(values))} for text, values in conditions],
    )  # fmt: skip


def _plan(plan: TradePlan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    return _known(
        at=ist_text(plan.ts), instrument=plan.instrument, side=plan.side.value, quantity=plan.quantity,
        lots=plan.quantity // plan.lot_size if plan.lot_size else None, entry=plan.entry, stop=plan.stop,
        target=plan.target, index_stop=plan.index_stop, index_target=plan.index_target, bid=plan.bid, ask=plan.ask,
        delta=plan.delta, score=plan.score, risk=abs(plan.entry - plan.stop) * plan.quantity,
    )  # fmt: skip


def _order(order: SubmitOrder, filled: Mapping[str, list[Fill]]) -> dict[str, Any]:
    return _known(
        at=ist_text(order.ts), order_id=order.order_id, role=order.role.value, side=order.side.value,
        quantity=order.quantity, order_type=order.order_type.value, price=order.price, trigger=order.trigger,
    ) | {
        "fills": [
            {"at": ist_text(fill.ts), "quantity": fill.quantity, "price": round(fill.price, 4)}
            for fill in filled.get(order.order_id, ())
        ]
    }  # fmt: skip


def _known(**values: Any) -> dict[str, Any]:
    """Leave out what is not known."""
    return {name: value for name, value in _clean(values).items() if value is not None}


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (round(value, 6) + 0.0 if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in values.items()
    }
