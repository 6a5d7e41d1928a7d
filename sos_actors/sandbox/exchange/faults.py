"""What can go wrong at the broker on purpose: a menu of faults, and the dice that decide when one strikes."""

from __future__ import annotations

import msgspec
import numpy as np

from sos_actors.errors import InputError


class Chance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a fault strikes: the next `count` times its point is passed, then each time with `probability`."""

    probability: float = 0.0
    """Chance at each passing, 0 to 1, when no count is left."""
    count: int = 0
    """How many of the next passings it surely strikes."""

    def __post_init__(self) -> None:
        """Check the values; raises ValueError."""
        if not 0 <= self.probability <= 1 or self.count < 0:
            raise ValueError("a fault's probability is 0 to 1 and its count 0 or more")


NEVER = Chance()


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
        for name in self.__struct_fields__:
            if name.endswith("_s") and not getattr(self, name) >= 0:
                raise ValueError(f"faults.{name} is {getattr(self, name)}: write 0 or more seconds")


#: The names `FaultDice.arm` takes.
FAULTS = tuple(field.name for field in msgspec.structs.fields(FaultMenu) if field.type is Chance)


class FaultDice:
    """Throws for each fault at its point. Deterministic: the generator is handed in and drawn from only when armed."""

    def __init__(self, menu: FaultMenu, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: dict[str, int] = {}
        self.menu = FaultMenu()
        #: How often each fault has struck.
        self.struck: dict[str, int] = {}
        self.set(menu)

    def set(self, menu: FaultMenu) -> None:
        """Take another menu. Counts begin anew where the chance changed, and go on elsewhere; an empty one ends all."""
        for name in FAULTS:
            chance: Chance = getattr(menu, name)
            if chance != getattr(self.menu, name):
                self._left.pop(name, None)
                if chance != NEVER:
                    self._left[name] = chance.count
        if menu == FaultMenu():
            self._left.clear()
        self.menu = menu

    def arm(self, name: str, count: int = 1) -> None:
        """Let a fault strike the next `count` times, whatever the menu says; InputError for an unknown name."""
        if name not in FAULTS:
            raise InputError(f"fault '{name}': known are {', '.join(FAULTS)}")
        self._left[name] = self._left.get(name, 0) + count

    def hit(self, name: str) -> bool:
        """Whether the fault strikes here and now; counts it."""
        left = self._left.get(name)
        if left is None:
            return False
        if left > 0:
            self._left[name] = left - 1
        elif not (probability := getattr(self.menu, name).probability) or self._rng.random() >= probability:
            return False
        self.struck[name] = self.struck.get(name, 0) + 1
        return True
