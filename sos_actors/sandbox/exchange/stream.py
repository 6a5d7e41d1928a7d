"""What the portfolio stream says and when, with everything that can happen to a message on its way."""

from __future__ import annotations

import heapq
from typing import Any

import msgspec

from sos_actors.market.clocktime import SECOND_NS
from sos_actors.messages.base import Word
from sos_actors.sandbox.exchange.agenda import Delays
from sos_actors.sandbox.exchange.faults import FaultDice
from sos_actors.sandbox.exchange.orders import FINAL, Order, stream_row


class EventKind(Word):
    """What an event is.

    ORDER, POSITION, GTT: `body` goes to the streams that asked for it (update_types order, position, gtt_order).
    DISCONNECTED: every stream's socket dies. TOKENS_DIED: every access token is dead from now on.
    """

    ORDER = "order"
    POSITION = "position"
    GTT = "gtt_order"
    DISCONNECTED = "disconnected"
    TOKENS_DIED = "tokens_died"


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that leaves the broker unasked, at `ts` (UTC ns)."""

    ts: int
    kind: EventKind
    body: dict[str, Any] = msgspec.field(default_factory=dict)


class Stream:
    """Messages on their way out, by the instant they leave."""

    def __init__(self, delays: Delays, faults: FaultDice, user_id: str) -> None:
        self._delays = delays
        self._faults = faults
        self._user = user_id
        self._heap: list[tuple[int, int, StreamEvent]] = []
        self._count = 0
        self._last = 0

    def order(self, order: Order, row: dict[str, Any], now: int) -> None:
        """Say that an order is now as `row`."""
        body = stream_row(row, order.instrument, self._user)
        if order.filled < order.quantity - 1 and order.status not in FINAL and self._faults.hit("phantom_fill"):
            lot = max(1, order.instrument.lot_size)
            more = min(order.filled + lot, order.quantity - 1)
            self.send(
                EventKind.ORDER, {**body, "filled_quantity": more, "pending_quantity": order.quantity - more}, now
            )
        self.send(EventKind.ORDER, body, now)

    def send(self, kind: EventKind, body: dict[str, Any], now: int) -> None:
        """Put a message on its way; it keeps its place behind those before it unless a fault says otherwise."""
        hit, menu = self._faults.hit, self._faults.menu
        if hit("lost_message"):
            return
        ts = max(self._last, now + self._delays.draw("stream_ms"))
        if hit("late_message"):
            ts += int(menu.late_message_s * SECOND_NS)
        if hit("swapped_message"):
            self._push(ts + int(menu.swapped_message_s * SECOND_NS), kind, body)
        else:
            self._last = ts
            self._push(ts, kind, body)
        if hit("duplicate_message"):
            self._push(ts + self._delays.draw("stream_ms"), kind, body)

    def signal(self, kind: EventKind, now: int) -> None:
        """Let something happen to the sockets or tokens at once."""
        self._push(now, kind, {})

    def disconnect(self, now: int) -> None:
        """Kill the streams: what was on its way is lost."""
        self._heap = [entry for entry in self._heap if entry[0] <= now]
        heapq.heapify(self._heap)
        self._last = now
        self.signal(EventKind.DISCONNECTED, now)

    def next_due(self) -> int | None:
        """When the next message leaves; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def drain(self, now: int) -> tuple[StreamEvent, ...]:
        """Take everything that has left by `now`, in order of time."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            found.append(heapq.heappop(self._heap)[2])
        return tuple(found)

    def _push(self, ts: int, kind: EventKind, body: dict[str, Any]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (ts, self._count, StreamEvent(ts=ts, kind=kind, body=body)))
