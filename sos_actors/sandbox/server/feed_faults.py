"""What can go wrong on purpose with the streams and with market data."""

from __future__ import annotations

import msgspec
import numpy as np

from sos_actors.errors import InputError
from sos_actors.sandbox.exchange.faults import NEVER, Chance


class FeedFaultMenu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every fault of sockets and market data, none armed. Durations are seconds of the sandbox's clock."""

    # Points passed by a connection.
    refuse_stream: Chance = NEVER
    """A stream's handshake is refused with 403 and a page of HTML."""
    open_then_die: Chance = NEVER
    """A stream opens and its connection breaks at once."""
    # Points passed by an open market feed, ten times a real second.
    feed_close: Chance = NEVER
    """The market feed is closed in good order, with code 1000."""
    feed_break: Chance = NEVER
    """The market feed's connection breaks without a closing frame."""
    feed_silence: Chance = NEVER
    """The market feed is half open for `feed_silence_s`: no data, no ping, no answer to one; the socket stays."""
    feed_silence_s: float = 60.0
    feed_stale: Chance = NEVER
    """No market data for `feed_stale_s`, but the sockets are alive and pinged."""
    feed_stale_s: float = 60.0
    # Points passed by an open portfolio stream, ten times a real second.
    orders_close: Chance = NEVER
    """The portfolio stream is closed in good order, with code 1000."""
    orders_break: Chance = NEVER
    """The portfolio stream's connection breaks."""
    orders_silence: Chance = NEVER
    """The portfolio stream is half open for `orders_silence_s`; what it would have said is lost."""
    orders_silence_s: float = 60.0
    # Points passed by every tick.
    drop_tick: Chance = NEVER
    """A tick never goes out."""
    duplicate_tick: Chance = NEVER
    """A tick goes out twice."""
    late_tick: Chance = NEVER
    """A tick goes out `late_tick_s` later, behind newer ones."""
    late_tick_s: float = 3.0
    crossed_quote: Chance = NEVER
    """A tick shows the bid above the ask."""
    zero_quote: Chance = NEVER
    """A tick shows neither bid nor ask nor depth."""
    # Points passed by the house, ten times a real second.
    outage: Chance = NEVER
    """Every connection breaks and new ones are refused for `outage_s`; orders at the exchange live on."""
    outage_s: float = 120.0
    token_death: Chance = NEVER
    """Every access token is dead from now on; the streams are closed."""

    def __post_init__(self) -> None:
        """Check the durations; raises ValueError."""
        for name in self.__struct_fields__:
            if name.endswith("_s") and not getattr(self, name) >= 0:
                raise ValueError(f"feed_faults.{name} is {getattr(self, name)}: write 0 or more seconds")


#: The names `FeedDice.arm` takes.
FEED_FAULTS = tuple(field.name for field in msgspec.structs.fields(FeedFaultMenu) if field.type is Chance)


class FeedDice:
    """Throws for each fault of the menu where its point is passed; deterministic for a seed and an order of points."""

    def __init__(self, menu: FeedFaultMenu, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: dict[str, int] = {}
        self.menu = FeedFaultMenu()
        #: How often each fault has struck.
        self.struck: dict[str, int] = {}
        self.set(menu)

    def set(self, menu: FeedFaultMenu) -> None:
        """Take another menu. Counts begin anew where the chance changed, and go on elsewhere; an empty one ends all."""
        for name in FEED_FAULTS:
            chance: Chance = getattr(menu, name)
            if chance != getattr(self.menu, name):
                self._left.pop(name, None)
                if chance != NEVER:
                    self._left[name] = chance.count
        if menu == FeedFaultMenu():
            self._left.clear()
        self.menu = menu

    def arm(self, name: str, count: int = 1) -> None:
        """Let a fault strike the next `count` times its point is passed; raises InputError for an unknown name."""
        if name not in FEED_FAULTS:
            raise InputError(f"fault '{name}': known are {', '.join(FEED_FAULTS)}")
        self._left[name] = self._left.get(name, 0) + count

    @property
    def touches_ticks(self) -> bool:
        """Whether any fault of ticks can strike, so that the undisturbed path stays short."""
        return any(name.endswith(("_tick", "_quote")) for name in self._left)

    def hit(self, name: str) -> bool:
        """Whether the fault strikes here and now; counts it."""
        left = self._left.get(name)
        if left is None:
            return False
        if left > 0:
            self._left[name] = left - 1
        elif not (probability := getattr(self.menu, name).probability) or self._rng.random() >= probability:
            return False
        if not self._left[name] and getattr(self.menu, name).probability == 0.0:
            del self._left[name]
        self.struck[name] = self.struck.get(name, 0) + 1
        return True
