"""Each command and read of the order gateway, done at the broker and answered by one message, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
from loguru import logger

from sos_actors.market.instruments import InstrumentTable
from sos_actors.messages import (
    BrokerOrder,
    BrokerPosition,
    BrokerTrade,
    CommandAnswered,
    FundsRead,
    OrdersRead,
    Outcome,
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
from sos_actors.upstox.account import Funds
from sos_actors.upstox.errors import BrokerError, Certainty

Command = SendPlace | SendModify | SendCancel
Read = ReadOrders | ReadTrades | ReadPositions | ReadFunds
BookRead = OrdersRead | TradesRead | PositionsRead | FundsRead
#: What an error proves, in the gateway's words.
OUTCOMES = {
    Certainty.NEVER_SENT: Outcome.REFUSED,
    Certainty.REFUSED: Outcome.REJECTED,
    Certainty.UNKNOWN: Outcome.UNKNOWN,
}


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the orders' and the books' requests share the connection to the broker. Times are seconds of real time."""

    order_workers: int = 4
    """Threads that send orders, changes and cancels; the first of them is kept for exits."""
    read_workers: int = 2
    """Threads that read books."""
    order_patience_s: float = 0.5
    """Longest wait of an entry for room in the rate limits, before it is refused."""
    exit_patience_s: float = 1.5
    """The same for exits."""
    read_patience_s: float = 5.0
    """The same for reads."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if self.order_workers < 2 or self.read_workers < 1:
            raise ValueError("link: write order_workers of 2 or more and read_workers of 1 or more")
        if min(self.order_patience_s, self.exit_patience_s, self.read_patience_s) < 0:
            raise ValueError("link: write patience of 0 or more")


class Orders(Protocol):
    """What places, changes and takes back orders. Raises BrokerError."""

    def place(self, order: SendPlace, key: str) -> tuple[str, ...]:
        """Place an order."""

    def modify(self, change: SendModify) -> None:
        """Change an order."""

    def cancel(self, cancel: SendCancel) -> None:
        """Take an order back."""


class Account(Protocol):
    """What reads the books. Raises BrokerError."""

    def order_book(self) -> tuple[BrokerOrder, ...]:
        """Give the day's orders."""

    def orders_of(self, tag: str) -> tuple[BrokerOrder, ...]:
        """Give the orders of a tag."""

    def trades(self) -> tuple[BrokerTrade, ...]:
        """Give the day's executions."""

    def positions(self) -> tuple[BrokerPosition, ...]:
        """Give what is held."""

    def funds(self) -> Funds:
        """Give the free money."""


class Answerer:
    """Does what the gateway asks. For many threads; every call blocks, none raises.

    `table()` gives today's instruments, `now()` clock time (UTC ns), which stamps the answers.
    """

    def __init__(
        self, orders: Orders, account: Account, table: Callable[[], InstrumentTable], now: Callable[[], int]
    ) -> None:
        self._orders, self._account, self._table, self._now = orders, account, table, now

    def command(self, message: Command) -> CommandAnswered:
        """Send a command to the broker and say what became of it."""
        try:
            ids = self._send(message)
        except BrokerError as error:
            return CommandAnswered(
                message.request_id,
                self._now(),
                OUTCOMES[error.certainty],
                code=error.code,
                detail=str(error),
                retry_after_s=error.retry_after_s,
            )
        except Exception as error:  # noqa: BLE001 - a mistake of ours proves nothing about the order
            logger.error("{} {}: {!r}", type(message).__name__, message.request_id, error)
            detail = f"a mistake in the program: {type(error).__name__}"
            return CommandAnswered(message.request_id, self._now(), Outcome.UNKNOWN, detail=detail)
        if isinstance(ids, CommandAnswered):
            return ids
        return CommandAnswered(message.request_id, self._now(), Outcome.CONFIRMED, broker_ids=ids)

    def _send(self, message: Command) -> tuple[str, ...] | CommandAnswered:
        if isinstance(message, SendModify):
            self._orders.modify(message)
            return (message.broker_id,)
        if isinstance(message, SendCancel):
            self._orders.cancel(message)
            return (message.broker_id,)
        listed = self._table().by_id(message.instrument)
        if listed is None:
            return self.refusal(message, f"{message.instrument} is not in today's instrument file")
        return self._orders.place(message, listed.upstox_key)

    def refusal(self, message: Command, detail: str) -> CommandAnswered:
        """Say that a command was not sent."""
        return CommandAnswered(message.request_id, self._now(), Outcome.REFUSED, detail=detail)

    def read(self, message: Read) -> BookRead:
        """Read a book and give it; `ok` false when it cannot be read."""
        try:
            return self._book(message)
        except BrokerError as error:
            return self.unread(message, str(error))
        except Exception as error:  # noqa: BLE001 - a read that failed proves nothing, whatever it failed of
            logger.error("{} {}: {!r}", type(message).__name__, message.request_id, error)
            return self.unread(message, f"a mistake in the program: {type(error).__name__}")

    def _book(self, message: Read) -> BookRead:
        account, request_id = self._account, message.request_id
        if isinstance(message, ReadOrders):
            orders = account.orders_of(message.tag) if message.tag else account.order_book()
            return OrdersRead(request_id, self._now(), ok=True, orders=orders, tag=message.tag)
        if isinstance(message, ReadTrades):
            trades = account.trades()
            return TradesRead(request_id, self._now(), ok=True, trades=trades)
        if isinstance(message, ReadPositions):
            positions = account.positions()
            return PositionsRead(request_id, self._now(), ok=True, positions=positions)
        funds = account.funds()
        return FundsRead(request_id, self._now(), ok=True, available=funds.available, used=funds.used)

    def unread(self, message: Read, detail: str) -> BookRead:
        """Say that a book could not be read."""
        request_id, now = message.request_id, self._now()
        if isinstance(message, ReadOrders):
            return OrdersRead(request_id, now, ok=False, tag=message.tag, detail=detail)
        if isinstance(message, ReadTrades):
            return TradesRead(request_id, now, ok=False, detail=detail)
        if isinstance(message, ReadPositions):
            return PositionsRead(request_id, now, ok=False, detail=detail)
        return FundsRead(request_id, now, ok=False, detail=detail)
