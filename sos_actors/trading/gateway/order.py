"""What the gateway knows of one order: our wish, the requests that left, and the broker's orders that came of them."""

from __future__ import annotations

import hashlib
from base64 import b32encode

from sos_actors.messages import BrokerOrder, OrderRole, OrderStatus, OrderType, SendPlace, Side, SubmitOrder
from sos_actors.messages.base import Word
from sos_actors.trading.gateway.pricing import Terms

#: Longest tag the broker takes, and of it what the session's prefix may use.
TAG_LENGTH, PREFIX_LENGTH = 40, 20


class Placed(Word):
    """What became of one placing request.

    SENT: no answer yet. DOUBT: nobody knows. TAKEN: the broker has it. NEVER: proved or known not to have been taken.
    ABSENT: not found after a search long enough.
    """

    SENT = "SENT"
    DOUBT = "DOUBT"
    TAKEN = "TAKEN"
    NEVER = "NEVER"
    ABSENT = "ABSENT"


def tag_of(prefix: str, order_id: str, attempt: int) -> str:
    """Tag of an order's `attempt`-th request: a function of both and the session's prefix, at most 40 characters."""
    digest = hashlib.blake2b(f"{order_id}#{attempt}".encode(), digest_size=10).digest()
    return f"{prefix}-{b32encode(digest).decode()}"


class Command:
    """A change that was asked of the broker and not answered yet. `terms` None: a cancel."""

    __slots__ = ("quantity", "sent_ts", "terms")

    def __init__(self, terms: Terms | None, quantity: int, sent_ts: int) -> None:
        self.terms = terms
        self.quantity = quantity
        self.sent_ts = sent_ts


class Child:
    """One order at the broker: ours (`owner`), or one made by hand (`owner` None). Units; money in paise.

    `filled` is the most the broker has shown, `told` what the desk was told of it. `terms` and `quantity` are what we
    believe holds there (the book lags: it is believed after a doubt, or when it says so twice), `want` the quantity we
    want there. `unsure_since` is when we began not to know what a change came to (0: we know). `stray` marks one that
    showed up after it was given up: it is only ever taken back.
    """

    __slots__ = (
        "average",
        "broker_id",
        "command",
        "detail",
        "ended",
        "filled",
        "instrument",
        "key",
        "mismatches",
        "missing_since",
        "owner",
        "placement",
        "priced_ts",
        "quantity",
        "quiet_until",
        "side",
        "status",
        "stray",
        "terms",
        "told",
        "told_paise",
        "trades",
        "ts",
        "unsure_since",
        "waits_since",
        "want",
    )

    def __init__(self, broker_id: str, instrument: str, side: Side, owner: GatewayOrder | None) -> None:
        self.broker_id = broker_id
        self.instrument = instrument
        self.side = side
        self.owner = owner
        self.placement: Placement | None = None
        self.quantity = self.want = 0
        self.filled = self.told = self.told_paise = 0
        self.average = 0.0
        self.status = self.detail = ""
        self.ended = self.stray = False
        self.key = (-1, -1)
        self.ts = 0
        self.terms: Terms | None = None
        self.command: Command | None = None
        self.unsure_since = self.missing_since = self.quiet_until = self.priced_ts = self.waits_since = 0
        self.mismatches = 0
        self.trades: dict[str, tuple[int, int, int]] = {}

    def merge(self, shown: BrokerOrder) -> bool:
        """Take the broker's word, late, doubled or out of order as it may be; whether anything new was in it.

        Fills only ever grow, an end is never taken back, and what is older than what is known changes nothing else.
        """
        before = (self.filled, self.ended, self.status, self.quantity)
        if shown.filled > self.filled or (shown.filled == self.filled and shown.average_price > 0.0):
            self.filled = max(self.filled, shown.filled)
            if shown.average_price > 0.0:
                self.average = shown.average_price
            elif shown.filled > before[0]:
                self.average = 0.0
        key = (shown.revision, shown.ts)
        if key >= self.key and (shown.ended or not self.ended):
            self.key = key
            self.status = shown.status
            self.ts = max(self.ts, shown.ts)
            if not self.quantity or self.owner is None:
                self.quantity = self.want = shown.quantity
        if shown.ended and not self.ended:
            self.ended, self.status = True, shown.status
        self.detail = shown.detail or self.detail
        return before != (self.filled, self.ended, self.status, self.quantity)

    @property
    def settled(self) -> bool:
        """Whether nothing is expected of it any more: ended, told, and nothing asked of it."""
        return self.ended and self.told >= self.filled and self.command is None


class Placement:
    """One placing request: its tag, what was sent, what came of it."""

    __slots__ = ("book_reads", "children", "doubt_since", "owner", "send", "sent_ts", "state", "tag_reads")

    def __init__(self, owner: GatewayOrder, send: SendPlace, sent_ts: int) -> None:
        self.owner = owner
        self.send = send
        self.sent_ts = sent_ts
        self.state = Placed.SENT
        self.children: list[Child] = []
        self.doubt_since = self.book_reads = self.tag_reads = 0

    @property
    def found(self) -> int:
        """Units of this request that the broker has shown."""
        return sum(child.quantity for child in self.children)


class GatewayOrder:
    """An order of the desk. `quantity` and `asked_before` are the totals it asked for last and before that.

    `terms` is how it is to stand at the broker now; `urgent` that it is to fill at once and is chased. `unapplied` are
    units by which its size is still to change there. `retry_at` is when `retry_units` that were not
    taken are asked for again. `recount` says that, after a restart, `unapplied` is to be found from the book.
    `refusals` counts those in a row.
    """

    __slots__ = (
        "asked_before",
        "cancelling",
        "chases",
        "children",
        "ended",
        "placements",
        "quantity",
        "recount",
        "refusals",
        "retry_at",
        "retry_units",
        "submit",
        "terms",
        "told_status",
        "unapplied",
        "urgent",
    )

    def __init__(self, submit: SubmitOrder, terms: Terms) -> None:
        self.submit = submit
        self.quantity = self.asked_before = submit.quantity
        self.terms = terms
        self.urgent = submit.role is OrderRole.EXIT
        self.cancelling = self.recount = False
        self.refusals = self.unapplied = self.retry_at = self.retry_units = self.chases = 0
        self.placements: list[Placement] = []
        self.children: list[Child] = []
        self.told_status: OrderStatus | None = None
        self.ended = False

    @property
    def exits(self) -> bool:
        """Whether it gets us out, or protects us: it has the reserved share of the rate and is tried again."""
        return self.submit.role is OrderRole.EXIT or self.submit.role is OrderRole.STOP

    @property
    def undecided(self) -> bool:
        """Whether the fate of a request is open."""
        return any(placement.state in {Placed.SENT, Placed.DOUBT} for placement in self.placements)

    @property
    def filled(self) -> int:
        """Units filled at the broker, as far as shown."""
        return sum(child.filled for child in self.children)

    @property
    def live(self) -> list[Child]:
        """Its orders at the broker that have not ended."""
        return [child for child in self.children if not child.ended]

    @property
    def is_stop(self) -> bool:
        """Whether it still is a stop that waits for its trigger, as far as our wish goes."""
        return self.terms.order_type is OrderType.STOP
