"""What the gateway has to keep: records that, read again in order, give its state and the desk's.

A record stands among the gateway's outgoing messages before whatever follows from it, so that writing and sending in
that order is all it takes never to have sent what is not known.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from sos_actors.messages import Fill, OrderIntent, OrderStatus, OrderType, SendPlace, SubmitOrder
from sos_actors.messages.market import NAN


class Record(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Base of what is kept."""


class DayBegun(Record, frozen=True):
    """A day begins with these positions carried over from the one before (instrument, signed units).

    `ours` is what of them our orders had opened.
    """

    day: dt.date
    positions: tuple[tuple[str, int], ...] = ()
    ours: tuple[tuple[str, int], ...] = ()


class IntentTaken(Record, frozen=True):
    """Risk let a trade through: the whole plan, should nothing but this file be left."""

    intent: OrderIntent


class OrderTaken(Record, frozen=True):
    """The desk handed over an order."""

    order: SubmitOrder


class PlaceSent(Record, frozen=True):
    """A request is about to leave. Without a PlaceEnded after it, nobody knows what became of it."""

    order_id: str
    send: SendPlace
    ts: int


class PlaceEnded(Record, frozen=True):
    """What became of the request with this tag: a `Placed` word."""

    tag: str
    state: str


class ChildFound(Record, frozen=True):
    """The broker's id of an order (or one slice of it) that carries this tag."""

    tag: str
    broker_id: str


class OrderAsked(Record, frozen=True):
    """The desk asked to change an order, or (`cancel`) to take it back. NaN, 0, None: as it was."""

    order_id: str
    quantity: int = 0
    price: float = NAN
    trigger: float = NAN
    order_type: OrderType | None = None
    cancel: bool = False


class FillBooked(Record, frozen=True):
    """A fill told to the desk: then `told` units for `told_paise` in all were told of the broker's order."""

    broker_id: str
    fill: Fill
    told: int
    told_paise: int


class OrderEnded(Record, frozen=True):
    """The desk was told the end of an order."""

    order_id: str
    ts: int
    status: OrderStatus
    detail: str


class PositionFound(Record, frozen=True):
    """Units held when we came, by nobody's order of today: they are counted and left alone."""

    instrument: str
    quantity: int


class StateSaved(Record, frozen=True):
    """The state of the desk or of the risk book (`part`), and the orders the desk counts as working.

    `whole` false: only what changed since the record of this part before it.
    """

    ts: int
    part: str
    state: bytes
    working: tuple[str, ...] = ()
    whole: bool = True


AnyRecord = (
    DayBegun
    | IntentTaken
    | OrderTaken
    | PlaceSent
    | PlaceEnded
    | ChildFound
    | OrderAsked
    | FillBooked
    | OrderEnded
    | PositionFound
    | StateSaved
)
