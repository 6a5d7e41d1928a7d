"""What can go wrong on purpose with the streams and with market data."""

from __future__ import annotations

import msgspec

from sos_actors.sandbox.dice import NEVER, Chance, Dice, chances_of, check_durations


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
        check_durations(self, "feed_faults")


#: The names of the menu's faults.
FEED_FAULTS = chances_of(FeedFaultMenu)


class FeedDice(Dice[FeedFaultMenu]):
    """Dice that know whether ticks are safe from them."""

    @property
    def touches_ticks(self) -> bool:
        """Whether any fault of ticks can strike, so that the undisturbed path stays short."""
        return any(name.endswith(("_tick", "_quote")) for name in self._left)
