"""BrokerLinkActor: carries what the order gateway sends to the broker, and what the broker says back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sos_actors.messages import (
    BrokerOrderChanged,
    CommandAnswered,
    FundsRead,
    OrdersRead,
    OrderStreamChanged,
    PositionsRead,
    ReadFunds,
    ReadOrders,
    ReadPositions,
    ReadTrades,
    SendCancel,
    SendModify,
    SendPlace,
    TradesRead,
)
from sos_actors.runtime import Actor, handles
from sos_actors.upstox.answers import Answerer, Command, LinkSettings, Read
from sos_actors.upstox.calls import Workers
from sos_actors.upstox.order_stream import OpenStream, OrderStream, UpdateReader

_STOPPED = "the link to the broker is stopped"
#: Longest wait of `on_stop` for one thread; a request under way is left to its own time-outs.
_JOIN_S = 0.5


class BrokerLinkActor(Actor):
    """Answers every Send... and Read... of the gateway with one message, and passes the order stream on.

    Requests block, so threads do them: orders, changes and cancels on their own (exits first, those about one order
    one after the other), reads on others, so that a slow read never delays an order. Answers and updates go from those
    threads straight to their topics.
    """

    def __init__(
        self,
        answerer: Answerer,
        updates: UpdateReader,
        open_stream: OpenStream,
        settings: LinkSettings,
        now: Callable[[], int],
    ) -> None:
        """`now()` is clock time (UTC ns): it stamps what the stream says."""
        super().__init__()
        self._answerer, self._updates, self._open_stream = answerer, updates, open_stream
        self._settings, self._now = settings, now
        self._outcomes: Counter[str] = Counter()
        self._commands: Workers[Command] | None = None
        self._reads: Workers[Read] | None = None
        self._stream: OrderStream | None = None
        self._live = False
        self._answered = self.topic(CommandAnswered)
        self._read_answers = {kind: self.topic(kind) for kind in (OrdersRead, TradesRead, PositionsRead, FundsRead)}
        self._changed = self.topic(BrokerOrderChanged)
        for kind in (SendPlace, SendModify, SendCancel, ReadOrders, ReadTrades, ReadPositions, ReadFunds):
            self.subscribe(kind)

    def on_start(self) -> None:
        """Start the threads and connect the order stream."""
        settings = self._settings
        self._commands = Workers("orders", settings.order_workers, self._send, reserved=True)
        self._reads = Workers("books", settings.read_workers, self._read)
        self._stream = self._open_stream(self._update, self._stream_changed)
        self._stream.start()

    def on_stop(self) -> None:
        """Disconnect, and answer what was never sent."""
        if self._stream is not None:
            self._stream.stop()
        if self._commands is not None:
            for command in self._commands.stop():
                self._answer(self._answerer.refusal(command, _STOPPED))
        if self._reads is not None:
            for read in self._reads.stop():
                self._answer_read(read, _STOPPED)
        for workers in (self._commands, self._reads):
            if workers is not None:
                workers.join(_JOIN_S)

    def on_failure(self, *_: Any) -> None:
        """Leave nothing behind that the next life would have twice."""
        self.on_stop()

    # -- from the gateway --------------------------------------------------------------------------------------

    @handles(SendPlace)
    def on_place(self, message: SendPlace) -> None:
        """Place an order."""
        self._command(f"place {message.request_id}", message, urgent=message.exits)

    @handles(SendModify)
    def on_modify(self, message: SendModify) -> None:
        """Change an order."""
        self._command(message.broker_id, message, urgent=message.exits)

    @handles(SendCancel)
    def on_cancel(self, message: SendCancel) -> None:
        """Take an order back: like an exit, it only ever takes risk away."""
        self._command(message.broker_id, message, urgent=True)

    @handles(ReadOrders, ReadTrades, ReadPositions, ReadFunds)
    def on_read(self, message: Read) -> None:
        """Read a book."""
        # The order's fate goes before the rest: a read of one tag settles a doubt.
        urgent = isinstance(message, ReadOrders)
        if self._reads is None or not self._reads.put(message.request_id, message, urgent=urgent):
            self._answer_read(message, _STOPPED)

    def _command(self, key: str, message: Command, *, urgent: bool) -> None:
        if self._commands is None or not self._commands.put(key, message, urgent=urgent):
            self._answer(self._answerer.refusal(message, _STOPPED))

    # -- the threads -------------------------------------------------------------------------------------------

    def _send(self, message: Command) -> None:
        self._answer(self._answerer.command(message))

    def _read(self, message: Read) -> None:
        answer = self._answerer.read(message)
        self._read_answers[type(answer)].publish(answer)

    def _answer(self, answer: CommandAnswered) -> None:
        self._outcomes[answer.outcome.value] += 1
        self._answered.publish(answer)

    def _answer_read(self, message: Read, detail: str) -> None:
        answer = self._answerer.unread(message, detail)
        self._read_answers[type(answer)].publish(answer)

    def _update(self, data: Any) -> None:
        order = self._updates.read(data)
        if order is not None:
            self._changed.publish(BrokerOrderChanged(self._now(), order))

    def _stream_changed(self, live: bool, detail: str) -> None:
        self._live = live
        self.publish(OrderStreamChanged(self._now(), live, detail))

    def inspect(self) -> dict[str, Any]:
        """Say how requests and the stream do."""
        return {
            "outcomes": dict(self._outcomes),
            "commands_waiting": self._commands.waiting if self._commands is not None else 0,
            "reads_waiting": self._reads.waiting if self._reads is not None else 0,
            "stream_live": self._live,
            "updates": dict(self._updates.counts),
            "stream": self._stream.status() if self._stream is not None else {},
        }
