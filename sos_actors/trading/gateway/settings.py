"""How the order gateway prices, looks after and checks orders at a real broker."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec


class Contract(NamedTuple):
    """What an order in one instrument must obey today. `freeze` 0: orders of any size; units and rupees."""

    lot: int
    freeze: int
    tick: float

    @property
    def largest(self) -> int:
        """Largest quantity of one exchange order, whole lots in units; a very large number where there is no limit."""
        return self.freeze // self.lot * self.lot if self.freeze >= self.lot else 1 << 40


class Quote(NamedTuple):
    """Last known prices of an instrument in rupees, 0.0 where unknown; `ts` UTC ns."""

    ts: int
    last: float
    bid: float = 0.0
    ask: float = 0.0


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Orders at a real broker. Seconds are clock seconds."""

    #: Product of every order: I (intraday) or D (carried forward).
    product: Literal["I", "D"] = "I"
    #: What a market order becomes: PROTECTED (the broker's market protection) or LIMIT (through the quote).
    market_order: Literal["PROTECTED", "LIMIT"] = "PROTECTED"
    #: Market protection in percent; -1 leaves it to the broker's own table.
    protection: float = -1.0
    #: Ticks beyond the far side of the quote at which a market order rests as a limit; each chase adds as many.
    through_ticks: int = 10
    #: What a stop becomes: SL (stop-limit) or SL-M (stop-market; exchanges refuse it for options).
    stop_order: Literal["SL", "SL-M"] = "SL"
    #: Distance of a stop's limit behind its trigger, as a fraction of the trigger.
    stop_offset: float = 0.10
    #: The least such distance, in ticks.
    stop_offset_ticks: int = 20
    #: Furthest a price may lie from the last one above 50 rupees, as a fraction (the exchange refuses 0.4).
    price_reach: float = 0.35
    #: The same where the last price is 50 rupees or less, in rupees (the exchange refuses 20).
    price_reach_low: float = 18.0
    #: Age in seconds up to which a quote may price an order.
    quote_fresh_s: float = 5.0
    #: Seconds an exit may rest unfilled before it is priced anew.
    chase_s: float = 3.0
    #: Seconds after which an exit that never left, or was proved not taken for a passing reason, is sent once more.
    exit_retry_s: float = 5.0
    #: Reads that must not show an order of unknown fate before it counts as absent; order book and tag both among them,
    #: or twice as many, over twice the time, of the book alone.
    absent_reads: int = 5
    #: Seconds over which they must not.
    absent_s: float = 15.0
    #: Seconds between such reads.
    doubt_read_s: float = 2.0
    #: Seconds without an answer after which a command's fate counts as unknown.
    answer_s: float = 30.0
    #: Seconds without an answer after which a read counts as failed.
    read_s: float = 20.0
    #: Seconds between reads of the order book while an order works.
    working_read_s: float = 7.0
    #: Seconds between reads of orders, trades and positions while none does.
    idle_read_s: float = 60.0
    #: Seconds between reads of the funds.
    funds_read_s: float = 300.0
    #: Seconds a difference between our books and the broker's may stand before it stops entries.
    settle_s: float = 10.0
    #: Seconds a fill waits for the trade book, where the average price does not tell its value to the paisa.
    trades_wait_s: float = 1.0
    #: Decimals of the broker's average prices.
    average_decimals: int = 2
    #: Largest number of exchange orders that one order may be cut into.
    slices: int = 25
    #: Whether entries wait while the order stream is down.
    need_stream: bool = True

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name != "protection" and not isinstance(value, (str, bool)) and value < 0:
                raise ValueError(f"gateway.{name} is {value}: write 0 or more")
        for name in ("chase_s", "exit_retry_s", "doubt_read_s", "working_read_s", "idle_read_s", "funds_read_s",
                     "answer_s", "read_s"):  # fmt: skip
            if getattr(self, name) < 0.1:
                raise ValueError(f"gateway.{name} is {getattr(self, name)}: write 0.1 or more")
        if self.protection != -1.0 and not 0.0 < self.protection <= 25.0:
            raise ValueError(f"gateway.protection is {self.protection}: write -1, or a percentage up to 25")
        if self.absent_reads < 2 or self.absent_s < 1.0:
            raise ValueError("gateway.absent_reads and gateway.absent_s: write at least 2 reads over 1 second")
        if not 1 <= self.slices <= 25:
            raise ValueError(f"gateway.slices is {self.slices}: write 1 to 25 (the broker's limit)")
        for name in ("price_reach", "stop_offset"):
            if getattr(self, name) >= 1:
                raise ValueError(f"gateway.{name} is {getattr(self, name)}: write a fraction below 1")
