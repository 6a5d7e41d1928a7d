"""Why an order was sent: the chain of messages that led to it, and what became of it, from a session's record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

import sos_actors.messages
from sos_actors.actors.strategy import StrategyActor
from sos_actors.errors import InputError
from sos_actors.messages import (
    Bar,
    ChainSnapshot,
    MarketStructure,
    OrderIntent,
    Signal,
    Studies,
    SubmitOrder,
    Tick,
)
from sos_actors.messages.codec import decode
from sos_actors.runtime.journal.deliveries import START, Delivery
from sos_actors.runtime.journal.replay import ReplayRuntime, replay
from sos_actors.runtime.worker import TIMER

#: What says of an order what became of it.
_AFTERWARDS = {"OrderUpdate", "Fill", "CancelOrder", "ModifyOrder"}
#: A value longer than this is not spelt out.
_LONG = 80
#: Inputs older than this before a decision were not what it was waiting for.
_MINUTE_NS = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a chain: when it was delivered (UTC ns), who said it to whom, and its values by field."""

    serial: int
    now: int
    sender: str
    path: str
    kind: str
    values: dict[str, Any]


def fields_of(one: Delivery) -> dict[str, Any]:
    """Give the values of a recorded message by field, as plain data."""
    found = msgspec.msgpack.decode(one.body)
    names = getattr(getattr(sos_actors.messages, one.kind, None), "__struct_fields__", ())
    return dict(zip(names, found[1:], strict=False)) if isinstance(found, list) else {}


def why(record: Sequence[Delivery], order_id: str, runtime: ReplayRuntime | None = None) -> list[Step]:
    """Give what led to an order, oldest first, then what became of it. Raises InputError for an unknown order.

    Back go both the causes (each message's sender was handling another one) and the ids (order, intent, signal): an
    order sent on a later price than its decision still shows the decision, with what that one was made on. With
    `runtime`, a fresh cast of the session, it is replayed up to the signal, and each phase of the pattern is told as a
    step PhaseAdvanced with its conditions and the values they saw. Raises DivergenceError where the replay parts.
    """
    mentioned = order_id.encode()
    submits = [one for one in record if one.kind == SubmitOrder.__name__ and mentioned in one.body]
    submits = [one for one in submits if fields_of(one)["order_id"] == order_id]
    if not submits:
        orders = {fields_of(one)["order_id"]: None for one in record if one.kind == SubmitOrder.__name__}
        raise InputError(f"no order '{order_id}' in this session; the last are {', '.join([*orders][-5:]) or 'none'}")
    chain = set(_causes(record, submits[0]))
    phases: list[Step] = []
    for decision in _decisions(record, fields_of(submits[0])["intent_id"]):
        chain.update(_causes(record, decision))
        if decision.kind == Signal.__name__ and decision.cause >= 0:
            chain.update(_inputs(record, record[decision.cause]))
            if runtime is not None:
                phases = phases_passed(record, runtime, record[decision.cause])
    chain.update(_last_ticks(record, chain))
    for one in record:
        if one.kind in _AFTERWARDS and mentioned in one.body and fields_of(one).get("order_id") == order_id:
            chain.add(one.serial)
    return sorted([*_steps(record, sorted(chain)), *phases], key=lambda step: step.serial)


def phases_passed(record: Sequence[Delivery], runtime: ReplayRuntime, last: Delivery) -> list[Step]:
    """Replay up to the delivery with which a strategy's pattern was complete, and give the phases it went through."""
    found: list[Step] = []
    path = last.path
    pending: tuple[Delivery, dict[str, Any]] | None = None

    def before(one: Delivery) -> bool:
        nonlocal pending
        if pending is not None:
            told, was = pending
            actor = runtime.actor(path)
            assert isinstance(actor, StrategyActor)
            number, now = was.get("phase_number", 0), actor.inspect().get("phase_number", 0)
            if now == number + 1 or told.serial == last.serial:
                values: dict[str, Any] = {"phase": was.get("phase", ""), "number": number, "of": was.get("phases", 0)}
                values |= {condition: in_words(seen) for condition, seen in actor.seen(number).items()}
                found.append(Step(told.serial, told.now, path, path, "PhaseAdvanced", values))
            elif now < number:
                found.clear()  # it timed out, or a day began: the pattern starts over
        mine = one.path == path and one.kind != START
        pending = (one, runtime.actor(path).inspect()) if mine else None
        return one.serial <= last.serial

    replay(record, runtime, before)
    return found


def _inputs(record: Sequence[Delivery], last: Delivery) -> Iterable[int]:
    """Give the latest snapshot, levels and studies a strategy had when it decided, with what they came from."""
    missing = {ChainSnapshot.__name__, MarketStructure.__name__, Studies.__name__}
    for one in reversed(record[: last.serial + 1]):
        if one.path == last.path and one.kind in missing:
            missing.discard(one.kind)
            yield from _causes(record, one)
        if not missing or last.now - one.now > _MINUTE_NS:
            return


def _last_ticks(record: Sequence[Delivery], chain: set[int]) -> Iterable[int]:
    """Give the last tick of each bar in a chain: a bar is closed by the clock, not by a tick."""
    for serial in sorted(chain):
        one = record[serial]
        if one.kind == Bar.__name__ and one.cause >= 0:
            maker = record[one.cause].path
            tick = next((t for t in reversed(record[: one.cause]) if t.path == maker and t.kind == Tick.__name__), None)
            if tick is not None:
                yield tick.serial


def _decisions(record: Sequence[Delivery], intent_id: str) -> Iterable[Delivery]:
    """Give the first delivery of an intent, and of the signal its plan came from."""
    sought = intent_id.encode()
    for one in record:
        if one.kind == OrderIntent.__name__ and sought in one.body and fields_of(one)["intent_id"] == intent_id:
            intent = decode(one.body, OrderIntent)
            yield one
            for signal in record[: one.serial]:
                if signal.kind == Signal.__name__ and fields_of(signal)["signal_id"] == intent.plan.signal_id:
                    yield signal
                    return
            return


def _causes(record: Sequence[Delivery], one: Delivery) -> Iterable[int]:
    yield one.serial
    while one.cause >= 0:
        one = record[one.cause]
        yield one.serial


def _steps(record: Sequence[Delivery], serials: Iterable[int]) -> list[Step]:
    """Make steps of deliveries; a message that went to several is told once."""
    found: list[Step] = []
    told: set[tuple[int, bytes]] = set()
    for serial in serials:
        one = record[serial]
        if (one.cause, one.body) in told and one.cause >= 0:
            continue
        told.add((one.cause, one.body))
        sender = record[one.cause].path if one.cause >= 0 else "timer" if one.cause == TIMER else "outside"
        found.append(Step(serial, one.now, sender, one.path, one.kind, fields_of(one)))
    return found


def in_words(values: dict[str, Any]) -> str:
    """Give the values of a message on one line; long ones (arrays, whole states) are left to the record itself."""
    told = ((name, value) for name, value in values.items() if value == value)  # NaN is left out
    return " ".join(f"{name}={value}" if len(str(value)) <= _LONG else f"{name}=..." for name, value in told)
