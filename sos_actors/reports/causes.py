"""Why an order was sent: the chain of messages that led to it, and what became of it, from a session's record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

import sos_actors.messages
from sos_actors.errors import InputError
from sos_actors.messages import OrderIntent, Signal, SubmitOrder
from sos_actors.runtime.journal.deliveries import Delivery
from sos_actors.runtime.worker import TIMER

#: What says of an order what became of it.
_AFTERWARDS = {"OrderUpdate", "Fill", "CancelOrder", "ModifyOrder"}
#: A value longer than this is not spelt out.
_LONG = 80


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


def why(record: Sequence[Delivery], order_id: str) -> list[Step]:
    """Give what led to an order, oldest first, then what became of it. Raises InputError for an unknown order.

    Back go both the causes (each message's sender was handling another one) and the ids (order, intent, signal): an
    order sent on a later price than its decision still shows the decision, with what that one was made on.
    """
    mentioned = order_id.encode()
    submits = [one for one in record if one.kind == SubmitOrder.__name__ and mentioned in one.body]
    submits = [one for one in submits if fields_of(one)["order_id"] == order_id]
    if not submits:
        orders = {fields_of(one)["order_id"]: None for one in record if one.kind == SubmitOrder.__name__}
        raise InputError(f"no order '{order_id}' in this session; the last are {', '.join([*orders][-5:]) or 'none'}")
    chain = set(_causes(record, submits[0]))
    for decision in _decisions(record, fields_of(submits[0])["intent_id"]):
        chain.update(_causes(record, decision))
    for one in record:
        if one.kind in _AFTERWARDS and mentioned in one.body and fields_of(one).get("order_id") == order_id:
            chain.add(one.serial)
    return _steps(record, sorted(chain))


def _decisions(record: Sequence[Delivery], intent_id: str) -> Iterable[Delivery]:
    """Give the first delivery of an intent, and of the signal its plan came from."""
    sought = intent_id.encode()
    for one in record:
        if one.kind == OrderIntent.__name__ and sought in one.body and fields_of(one)["intent_id"] == intent_id:
            intent = msgspec.convert(msgspec.msgpack.decode(one.body), OrderIntent)
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
