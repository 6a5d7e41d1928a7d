"""What can go wrong at the broker on purpose: a menu of faults."""

from __future__ import annotations

import msgspec

from sos_actors.sandbox.dice import NEVER, Chance, Dice, chances_of, check_durations


class FaultMenu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every fault of the order path, none armed. Points: a request (orders alone or any), an order's way, a message.

    Durations are seconds. A fault that needs a request strikes once at most a request, in the order written here.
    """

    # Requests that write (place, modify, cancel, multi, exit, GTT).
    drop_before_accept: Chance = NEVER
    """The connection breaks before the request was read: nothing happened."""
    drop_after_accept: Chance = NEVER
    """The request was carried out, the connection breaks before the answer."""
    reject_place: Chance = NEVER
    """A placing is refused with `reject_place_code`."""
    reject_place_code: str = "UDAPI100500"
    """Error code of a refused placing."""
    reject_place_status: int = 400
    """HTTP status of a refused placing."""
    # Any request.
    too_many: Chance = NEVER
    """429 with UDAPI10005."""
    server_error: Chance = NEVER
    """500 with the JSON envelope; writes are not carried out."""
    bad_gateway: Chance = NEVER
    """502 with an HTML body; writes are not carried out."""
    bad_gateway_after: Chance = NEVER
    """502 with an HTML body though the write was carried out."""
    forbidden: Chance = NEVER
    """403 with an HTML body, as a web firewall gives; writes are not carried out."""
    slow_answer: Chance = NEVER
    """The answer comes `slow_answer_s` later."""
    slow_answer_s: float = 3.0
    """Seconds a slow answer, or one overtaken by the stream, is held back."""
    # An order's way.
    slow_status: Chance = NEVER
    """A step of an order takes `slow_status_s` longer."""
    slow_status_s: float = 2.0
    """Seconds a slow step takes longer."""
    fill_before_answer: Chance = NEVER
    """An order goes through at once and its answer is held back `slow_answer_s`: the stream is first."""
    reject_risk: Chance = NEVER
    """An accepted order is rejected by the risk checks."""
    reject_modify: Chance = NEVER
    """A modification accepted by the broker ends 'not modified'."""
    cancel_loses: Chance = NEVER
    """An open limit order is filled wholly before its cancellation arrives."""
    odd_fill: Chance = NEVER
    """An execution is made in two pieces that are no multiple of the lot."""
    # The stream.
    lost_message: Chance = NEVER
    """A stream message never goes out."""
    duplicate_message: Chance = NEVER
    """A stream message goes out twice."""
    late_message: Chance = NEVER
    """A stream message, and all after it, goes out `late_message_s` later."""
    late_message_s: float = 2.0
    """Seconds a late message is late."""
    swapped_message: Chance = NEVER
    """A stream message is overtaken by those of the next `swapped_message_s`."""
    swapped_message_s: float = 0.5
    """Seconds of later messages that overtake a swapped one."""
    phantom_fill: Chance = NEVER
    """An update of an open order is preceded by one that says more is filled than is; the books never say so."""
    # Reads.
    stale_orders: Chance = NEVER
    """A read of orders or trades shows them as they were `stale_orders_s` ago."""
    stale_orders_s: float = 5.0
    """Seconds by which a stale order or trade book lags."""
    stale_positions: Chance = NEVER
    """A read of positions shows them as they were `stale_positions_s` ago."""
    stale_positions_s: float = 5.0
    """Seconds by which stale positions lag."""
    unknown_word: Chance = NEVER
    """One row of an order-book answer has a validity, type or status no documentation knows."""
    # The house.
    halt: Chance = NEVER
    """An order reaching the exchange finds it halted: no executions for `halt_s`."""
    halt_s: float = 10.0
    """Seconds a halt of executions lasts."""
    restart: Chance = NEVER
    """A request finds the broker restarting: streams die, requests get 503 for `restart_s`; the books survive."""
    restart_s: float = 3.0
    """Seconds the broker's front end is away."""

    def __post_init__(self) -> None:
        """Check the durations; raises ValueError."""
        check_durations(self, "faults")


#: The names of the menu's faults.
FAULTS = chances_of(FaultMenu)
FaultDice = Dice[FaultMenu]
