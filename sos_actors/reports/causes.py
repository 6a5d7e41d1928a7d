"""Why an order was sent: the chain of messages that led to it, and what became of it, from a session's record.

A record of a day is too long to be held: it is gone through several times, and what is sought is picked out of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

import sos_actors.messages
from sos_actors.errors import InputError
from sos_actors.market.clocktime import MINUTE_NS
from sos_actors.messages import (
    Bar,
    CancelOrder,
    ChainSnapshot,
    Fill,
    MarketStructure,
    ModifyOrder,
    OrderIntent,
    OrderUpdate,
    Signal,
    SignalExplained,
    Studies,
    SubmitOrder,
    Tick,
)
from sos_actors.messages.codec import decode
from sos_actors.runtime.journal.deliveries import Delivery
from sos_actors.runtime.journal.flight import WINDOW
from sos_actors.runtime.worker import TIMER

#: What says of an order what became of it.
_AFTERWARDS = frozenset(kind.__name__ for kind in (OrderUpdate, Fill, CancelOrder, ModifyOrder))
#: What an order is traced through, each by an id of its own.
_IDS = {
    Signal.__name__: "signal_id",
    SignalExplained.__name__: "signal_id",
    OrderIntent.__name__: "intent_id",
    SubmitOrder.__name__: "order_id",
}
#: What a strategy decides on.
_INPUTS = frozenset(kind.__name__ for kind in (ChainSnapshot, MarketStructure, Studies))
#: Inputs older than this before a decision were not what it was waiting for.
#: Orders an unknown one is answered with.
_KNOWN = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a chain: when it was delivered (UTC ns), who said it to whom, and its values by field."""

    serial: int
    now: int
    sender: str
    path: str
    kind: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PhaseStep:
    """One phase of a strategy's pattern, passed with the delivery `serial` (-1 and `now` 0: it is not in the record).

    `ts` is the end of the bar that passed it (UTC ns). `conditions` are (text, values it saw by name).
    """

    serial: int
    now: int
    path: str
    phase: str
    number: int
    of: int
    ts: int
    conditions: tuple[tuple[str, dict[str, Any]], ...]
    captured: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Order:
    """What the record says of an order by its ids: deliveries, each the first of its message."""

    submit: Delivery
    intent: Delivery | None
    signal: Delivery | None
    story: SignalExplained | None
    afterwards: list[Delivery]

    def anchors(self) -> list[int]:
        """Give the numbers of the order and of what was decided for it."""
        return [one.serial for one in (self.signal, self.intent, self.submit) if one is not None]


def fields_of(one: Delivery) -> dict[str, Any]:
    """Give the values of a recorded message by field, as plain data."""
    found = msgspec.msgpack.decode(one.body)
    names = getattr(getattr(sos_actors.messages, one.kind, None), "__struct_fields__", ())
    return dict(zip(names, found[1:], strict=False)) if isinstance(found, list) else {}


def why(record: Iterable[Delivery], order_id: str) -> list[Step | PhaseStep]:
    """Give what led to an order, oldest first, then what became of it. Raises InputError for an unknown order.

    Back go both the causes (each message's sender was handling another one) and the ids (order, intent, signal): an
    order sent on a later price than its decision still shows the decision, with what that one was made on, and the
    phases of the strategy's pattern with the values their conditions saw. `record` is gone through some five times.
    """
    order = _order(record, order_id)
    chain = order.anchors()
    found = _with_causes(record, [*chain, *(one.serial for one in order.afterwards)])
    phases: list[PhaseStep] = []
    decision = found.get(order.signal.cause) if order.signal is not None else None
    if decision is not None:
        inputs, phases = _seen_by(record, decision, order.story)
        found |= _with_causes(record, inputs)
        chain += inputs
    shown = {serial for anchor in chain for serial in _back(found, anchor)}
    for tick in _last_ticks(record, found, shown):
        found[tick.serial] = tick
        shown.add(tick.serial)
    shown.update(one.serial for one in order.afterwards)
    steps: list[Step | PhaseStep] = [*_steps(found, sorted(shown)), *phases]
    return sorted(steps, key=lambda step: step.serial)


def _order(record: Iterable[Delivery], order_id: str) -> _Order:
    """Find an order, its intent and its signal by their ids, and all that was said of it afterwards."""
    mentioned = order_id.encode()
    firsts: dict[str, dict[str, Delivery]] = {kind: {} for kind in _IDS}
    afterwards: list[Delivery] = []
    for one in record:
        if one.kind in _IDS:
            firsts[one.kind].setdefault(fields_of(one)[_IDS[one.kind]], one)
        elif one.kind in _AFTERWARDS and mentioned in one.body and fields_of(one)["order_id"] == order_id:
            afterwards.append(one)
    orders = firsts[SubmitOrder.__name__]
    if order_id not in orders:
        last = ", ".join([*orders][-_KNOWN:]) or "none"
        raise InputError(f"no order '{order_id}' in this session; the last are {last}")
    submit = orders[order_id]
    intent = firsts[OrderIntent.__name__].get(fields_of(submit)["intent_id"])
    if intent is None:
        return _Order(submit, None, None, None, afterwards)
    signal_id = decode(intent.body, OrderIntent).plan.signal_id
    story = firsts[SignalExplained.__name__].get(signal_id)
    told = None if story is None else decode(story.body, SignalExplained)
    return _Order(submit, intent, firsts[Signal.__name__].get(signal_id), told, afterwards)


def _with_causes(record: Iterable[Delivery], serials: Iterable[int]) -> dict[int, Delivery]:
    """Give these deliveries and all that led to them, by number.

    Nearly every cause lies shortly before what came of it; the record is gone through again for those that do not.
    """
    found: dict[int, Delivery] = {}
    missing = set(serials)
    while missing:
        recent: deque[Delivery] = deque(maxlen=WINDOW)
        further: set[int] = set()
        for one in islice(record, max(missing) + 1):
            recent.append(one)
            if one.serial not in missing:
                continue
            found[one.serial] = one
            while one.cause >= 0 and one.cause not in found:
                back = recent[-1].serial - one.cause + 1
                if back > len(recent):
                    further.add(one.cause)
                    break
                one = recent[-back]  # noqa: PLW2901 - from what came of it to what it came of
                found[one.serial] = one
        missing = further
    return found


def _back(found: dict[int, Delivery], serial: int) -> Iterator[int]:
    """Give a delivery's number and those of all that led to it."""
    while serial >= 0:
        yield serial
        serial = found[serial].cause


def _seen_by(
    record: Iterable[Delivery], decision: Delivery, story: SignalExplained | None
) -> tuple[list[int], list[PhaseStep]]:
    """Give the latest snapshot, levels and studies a strategy had when it decided, and the phases it had passed.

    A phase was passed with the last of what the strategy read of the phase's bar.
    """
    told = () if story is None else story.phases
    wanted = {ts for _, ts, _, _ in told}
    bars: dict[int, Delivery] = {}
    latest: dict[str, Delivery] = {}
    for one in islice(record, decision.serial + 1):
        if one.path == decision.path and one.kind in _INPUTS:
            latest[one.kind] = one
            ts = fields_of(one)["ts"]
            if ts in wanted:
                bars[ts] = one
    inputs = [one.serial for one in latest.values() if decision.now - one.now <= MINUTE_NS]
    phases = []
    for number, (phase, ts, conditions, captured) in enumerate(told, start=1):
        at = bars.get(ts)
        serial, now = (-1, 0) if at is None else (at.serial, at.now)
        seen = tuple((text, dict(values)) for text, values in conditions)
        phases.append(PhaseStep(serial, now, decision.path, phase, number, len(told), ts, seen, dict(captured)))
    return inputs, phases


def _last_ticks(record: Iterable[Delivery], found: dict[int, Delivery], chain: set[int]) -> Iterable[Delivery]:
    """Give the last tick of each bar in a chain: a bar is closed by the clock, not by a tick."""
    closed = {found[serial].cause for serial in chain if found[serial].kind == Bar.__name__}
    makers = {cause: found[cause].path for cause in closed if cause >= 0}
    last: dict[int, Delivery] = {}
    for one in islice(record, max(makers, default=0)):
        if one.kind == Tick.__name__:
            for cause, path in makers.items():
                if one.path == path and one.serial < cause:
                    last[cause] = one
    return last.values()


def _steps(found: dict[int, Delivery], serials: Iterable[int]) -> list[Step]:
    """Make steps of deliveries; a message that went to several is told once."""
    steps: list[Step] = []
    told: set[tuple[int, bytes]] = set()
    for serial in serials:
        one = found[serial]
        if (one.cause, one.body) in told and one.cause >= 0:
            continue
        told.add((one.cause, one.body))
        sender = found[one.cause].path if one.cause >= 0 else "timer" if one.cause == TIMER else "outside"
        steps.append(Step(serial, one.now, sender, one.path, one.kind, fields_of(one)))
    return steps
