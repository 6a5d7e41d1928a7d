"""What every message has in common, and the few enumerations they share."""

from __future__ import annotations

import enum

import msgspec


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Base of everything that crosses a mailbox: immutable, tagged by its class name, cheap to make.

    Events are named in the past tense or as a noun (`Bar`, `Fill`), commands in the imperative
    (`SubmitOrder`). Times are integer nanoseconds since the epoch, UTC. Prices are rupees (index points
    for an index); quantities are units, never lots, unless the field's name says lots.
    """


class Word(enum.StrEnum):
    """Base of our enumerations of words."""

    #: An enum's own hash is a Python function, four times the price of the string's in every look-up by a member.
    __hash__ = str.__hash__


class Right(Word):
    """The right an option gives: CE is a call, PE a put (the exchange's own codes)."""

    CE = "CE"
    PE = "PE"


class Side(Word):
    """Which way an order trades."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class Direction(Word):
    """The view a signal takes of the underlying."""

    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def sign(self) -> int:
        """+1 for LONG, -1 for SHORT."""
        return 1 if self is Direction.LONG else -1


class Regime(Word):
    """The market's mood in seven steps, most bullish first; UNKNOWN until there is enough data."""

    COMPLETE_BULLISH = "COMPLETE_BULLISH"
    BULLISH = "BULLISH"
    SIDEWAYS_BULLISH = "SIDEWAYS_BULLISH"
    SIDEWAYS = "SIDEWAYS"
    SIDEWAYS_BEARISH = "SIDEWAYS_BEARISH"
    BEARISH = "BEARISH"
    COMPLETE_BEARISH = "COMPLETE_BEARISH"
    UNKNOWN = "UNKNOWN"


class Buildup(enum.IntEnum):
    """The Money Matrix: price change x open-interest change. As text: `LONG_BUILDUP` -> 'Long Buildup'."""

    UNKNOWN = -1
    NEUTRAL = 0
    LONG_BUILDUP = 1
    SHORT_COVERING = 2
    SHORT_BUILDUP = 3
    LONG_UNWINDING = 4

    @property
    def label(self) -> str:
        """The words strategies compare with, e.g. 'Long Buildup'."""
        return self.name.replace("_", " ").title()


class VolumeSource(Word):
    """Where a bar's volume comes from; an index has none of its own."""

    EXCHANGE = "EXCHANGE"
    FUTURE = "FUTURE"
    OPTIONS = "OPTIONS"
    NONE = "NONE"
